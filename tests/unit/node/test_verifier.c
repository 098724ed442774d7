/* Frames whose records are checked on a thread: what comes back, in which order, and what happens when a stream ends. */
#include "node/verifier.h"

#include "gossip/core.h"
#include "tests/unit/unit.h"

#include "base/hash.h"
#include "base/text.h"

#include <sodium.h>

#define FRAMES_MAX 128

struct got {
	uint64_t stream;
	uint8_t last; /* the frame's last byte: which it was */
	size_t n_good;
	bool good; /* the first one's hash is that of the record that was sent */
};

static const struct key32 flock_id = {{7}};

struct scene {
	uint8_t author[64];
	uv_loop_t loop;
	struct verifier *v;
	struct got got[FRAMES_MAX];
	unsigned n;
	uint64_t forget_when; /* forget this stream from inside the next delivery */
	struct key32 hash;
};

static void on_frame(
        void *ctx, uint64_t stream, const uint8_t *bytes, size_t len, const struct good_records *good)
{
	struct scene *s = ctx;

	assert_true(s->n < FRAMES_MAX);
	s->got[s->n++] = (struct got){.stream = stream,
	        .last = bytes[len - 1],
	        .n_good = good->n,
	        .good = good->n && key32_eq(&good->hash[0], &s->hash)};
	if (s->forget_when)
		verifier_forget(s->v, s->forget_when);
	s->forget_when = 0;
}

static struct scene *scene(void)
{
	struct scene *s = xcalloc(1, sizeof(*s));
	struct err err;

	crypto_sign_seed_keypair((uint8_t[32]){0}, s->author, (uint8_t[32]){1});
	uv_loop_init(&s->loop);
	s->v = verifier_new(&s->loop, &flock_id, on_frame, s, &err);
	assert_non_null(s->v);
	return s;
}

static void end(struct scene *s)
{
	verifier_close(s->v);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&s->loop), 0);
	free(s);
}

static void until(struct scene *s, unsigned n)
{
	while (s->n < n)
		uv_run(&s->loop, UV_RUN_ONCE);
}

/* One record in a frame of its own. body says which it is; spoilt: its signature is wrong. */
static struct wr record_frame(struct scene *s, char body, bool spoilt)
{
	struct record r = {
	        .kind = REC_REVISION, .stamp = 50, .name = "web", .body = (uint8_t *)&body, .body_len = 1};
	struct wr bytes, w;

	record_sign(&r, &flock_id, s->author);
	wr_init(&bytes, RECORD_BYTES_MAX);
	record_encode(&bytes, &r);
	if (spoilt) /* the last byte of the signature */
		bytes.p[bytes.len - 2] ^= 1;
	hash32(&s->hash, bytes.p, bytes.len);
	wr_init(&w, FRAME_BYTES_MAX);
	wr_u8(&w, FRAME_RECORD);
	wr_u8(&w, 0);
	wr_u32(&w, (uint32_t)bytes.len);
	wr_u32(&w, 0);
	wr_bytes(&w, bytes.p, bytes.len);
	wr_free(&bytes);
	return w;
}

static bool take(struct scene *s, uint64_t stream, char body, bool spoilt)
{
	struct wr w = record_frame(s, body, spoilt);
	bool taken = verifier_take(s->v, stream, w.p, w.len);

	wr_free(&w);
	return taken;
}

static bool take_plain(struct scene *s, uint64_t stream, char what)
{
	uint8_t frame[34] = {FRAME_STORED};

	frame[33] = (uint8_t)what;
	return verifier_take(s->v, stream, frame, sizeof(frame));
}

static void a_good_record_comes_back_as_good_and_a_bad_one_does_not(void **state)
{
	struct scene *s = scene();

	(void)state;
	assert_true(take(s, 1, 'a', false));
	until(s, 1);
	assert_int_equal(s->got[0].n_good, 1);
	assert_true(s->got[0].good);
	assert_true(take(s, 1, 'b', true));
	until(s, 2);
	assert_int_equal(s->got[1].n_good, 0);
	end(s);
}

static void a_stream_keeps_its_order_and_does_not_hold_up_another(void **state)
{
	struct scene *s = scene();
	char of_one[FRAMES_MAX];
	unsigned n = 0;

	(void)state;
	for (int i = 0; i < 20; i++) {
		assert_true(take(s, 1, (char)('a' + i), false));
		assert_true(take_plain(s, 1, (char)('A' + i))); /* must wait behind it */
	}
	assert_false(take_plain(s, 2, 'x')); /* nothing of stream 2 waits */
	until(s, 40);
	for (unsigned i = 0; i < s->n; i++) {
		assert_int_equal(s->got[i].stream, 1);
		of_one[n++] = (char)s->got[i].last;
	}
	for (int i = 0; i < 20; i++) {
		assert_int_equal(of_one[2 * i], 'a' + i);
		assert_int_equal(of_one[2 * i + 1], 'A' + i);
	}
	assert_false(take_plain(s, 1, 'y'));
	end(s);
}

static void what_waits_of_a_stream_comes_before_its_end(void **state)
{
	struct scene *s = scene();

	(void)state;
	for (int i = 0; i < 10; i++)
		take(s, 1, (char)('a' + i), false);
	take(s, 2, 'z', false);
	verifier_flush(s->v, 1);
	assert_int_equal(s->n, 10);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(s->got[i].last, 'a' + i);
	until(s, 11);
	assert_int_equal(s->got[10].stream, 2);
	assert_true(s->got[10].good);
	end(s);
}

static void what_is_forgotten_never_comes(void **state)
{
	struct scene *s = scene();

	(void)state;
	for (int i = 0; i < 10; i++)
		take(s, 1, (char)('a' + i), false);
	s->forget_when = 1; /* as when the core closes the stream over its first frame */
	until(s, 1);
	take(s, 2, 'z', false);
	until(s, 2);
	assert_int_equal(s->got[1].stream, 2);
	end(s);
}

static void too_much_of_a_stream_is_not_kept(void **state)
{
	struct scene *s = scene();
	uint8_t *big = xcalloc(1, FRAME_BYTES_MAX);
	unsigned taken = 0;

	(void)state;
	big[0] = FRAME_STORED;
	assert_true(take(s, 1, 'a', false));
	while (verifier_take(s->v, 1, big, FRAME_BYTES_MAX)) {
		taken++;
		assert_true(taken < FRAMES_MAX);
	}
	/* All that waited has come, and the caller goes on with this one. */
	assert_int_equal(s->n, taken + 1);
	assert_in_range(taken, VERIFIER_LANE_MAX / FRAME_BYTES_MAX - 1, VERIFIER_LANE_MAX / FRAME_BYTES_MAX);
	free(big);
	end(s);
}

/* Of many streams together neither. */
static void too_much_of_all_streams_is_not_kept(void **state)
{
	struct scene *s = scene();
	uint8_t *big = xcalloc(1, FRAME_BYTES_MAX);
	size_t bytes = 0;
	uint64_t stream = 1;
	unsigned n = 0;

	(void)state;
	big[0] = FRAME_STORED;
	for (bool taken = true; taken; stream++) {
		taken = take(s, stream, 'a', false);
		n += taken;
		for (unsigned i = 0; i < 7 && taken; i++) {
			taken = verifier_take(s->v, stream, big, FRAME_BYTES_MAX);
			bytes += taken ? FRAME_BYTES_MAX : 0;
			n += taken;
		}
		assert_true(bytes <= VERIFIER_MAX);
	}
	assert_true(bytes > VERIFIER_MAX - 2 * FRAME_BYTES_MAX);
	/* The stream that met the limit has had its own delivered; the others still wait, in their order. */
	for (unsigned i = 0; i < s->n; i++)
		assert_int_equal(s->got[i].stream, stream - 1);
	/* What has been delivered takes no room. */
	until(s, n);
	assert_true(take(s, 1, 'b', false));
	assert_true(verifier_take(s->v, 1, big, FRAME_BYTES_MAX));
	free(big);
	end(s);
}

static void closing_with_frames_under_way_leaks_nothing(void **state)
{
	struct scene *s = scene();

	(void)state;
	for (int i = 0; i < 30; i++)
		take(s, 1 + (uint64_t)i % 3, (char)('a' + i), false);
	end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_good_record_comes_back_as_good_and_a_bad_one_does_not),
	        cmocka_unit_test(a_stream_keeps_its_order_and_does_not_hold_up_another),
	        cmocka_unit_test(what_waits_of_a_stream_comes_before_its_end),
	        cmocka_unit_test(what_is_forgotten_never_comes),
	        cmocka_unit_test(too_much_of_a_stream_is_not_kept),
	        cmocka_unit_test(too_much_of_all_streams_is_not_kept),
	        cmocka_unit_test(closing_with_frames_under_way_leaks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
