/* Two stores that reconcile in memory, and records to fill them with. */
#ifndef TESTS_UNIT_GOSSIP_DUO_H
#define TESTS_UNIT_GOSSIP_DUO_H

#include "tests/unit/gossip/flock.h"

#include "gossip/sync_core.h"

static const struct key32 flock = {{9}};

/* Two stores that reconcile; b answers. */
struct duo {
	struct store *a, *b;
	bool equal[2];        /* what the initiator believes of the digests */
	unsigned round_trips; /* a frame and its answer; a last frame that takes none is not counted */
	size_t bytes;
	size_t longest; /* bytes of a frame */
	struct sync_stats stats;
};

static UNUSED void into(void *ctx, const uint8_t *bytes, size_t len)
{
	struct store *st = ctx;
	struct key32 id;
	enum store_verdict v = store_put(st, bytes, len, false, &id, NULL);

	assert_int_not_equal(v, STORE_BAD);
	store_on_disk(st, &id);
}

/* One frame, if there is any; its length. */
static UNUSED size_t carry(struct sync *from, struct sync *to)
{
	struct err err = {0};
	struct wr w;
	size_t len = 0;

	wr_init(&w, FRAME_BYTES_MAX);
	wr_u8(&w, 1); /* the caller's channel byte */
	if (sync_next_frame(from, &w)) {
		assert_true(wr_ok(&w));
		len = w.len - 1;
		assert_in_range(len, 1, SYNC_FRAME_MAX);
		if (sync_on_frame(to, w.p + 1, len, &err) < 0)
			fail_msg("%s", err.text);
	}
	wr_free(&w);
	return len;
}

/* Takes out all frames that may be on their way at once. */
static UNUSED size_t burst(struct sync *s, struct wr out[WINDOW])
{
	size_t n = 0;

	for (; n <= WINDOW; n++) {
		struct wr w;

		wr_init(&w, SYNC_FRAME_MAX);
		if (!sync_next_frame(s, &w)) {
			wr_free(&w);
			break;
		}
		assert_true(n < WINDOW && wr_ok(&w));
		assert_in_range(w.len, 1, SYNC_FRAME_MAX);
		out[n] = w;
	}
	return n;
}

/* Each starts with a salt of its own. */
static UNUSED struct sync *begin(struct store *st, const bool equal[2])
{
	static uint8_t salt;
	struct sync_start start = {.salt = {++salt}};

	if (equal)
		memcpy(start.equal, equal, sizeof(start.equal));
	return sync_begin(st, &start, into, st);
}

static UNUSED void reconcile(struct duo *d)
{
	struct sync *a = begin(d->a, d->equal), *b = sync_respond(d->b, into, d->b);

	d->round_trips = 0;
	d->longest = d->bytes = 0;
	while (!sync_done(a)) {
		struct wr there[WINDOW], back[WINDOW];
		size_t n = burst(a, there);

		assert_true(n > 0);
		for (size_t i = 0; i < n; i++) {
			struct err err = {0};

			if (sync_on_frame(b, there[i].p, there[i].len, &err) < 0)
				fail_msg("%s", err.text);
			/* Each takes one answer, but for the last of all. */
			assert_int_equal(burst(b, &back[i]), !sync_done(b));
		}
		for (size_t i = 0; i < n; i++) {
			struct err err = {0};

			if (!sync_done(b) && sync_on_frame(a, back[i].p, back[i].len, &err) < 0)
				fail_msg("%s", err.text);
			d->bytes += there[i].len + (sync_done(b) ? 0 : back[i].len);
			d->longest = MAX(d->longest, there[i].len);
			wr_free(&there[i]);
			if (!sync_done(b))
				wr_free(&back[i]);
		}
		d->round_trips += !sync_done(b);
		assert_in_range(sync_held(a), 1, SYNC_HELD_MAX);
		assert_in_range(sync_held(b), 1, SYNC_HELD_MAX);
		assert_true(d->round_trips < 20000);
	}
	assert_true(sync_done(b));
	assert_int_equal(carry(a, b), 0);
	d->stats = *sync_stats(a);
	sync_free(a);
	sync_free(b);
}

static UNUSED struct duo duo_new(void)
{
	static const uint8_t other[16] = {5};

	return (struct duo){.a = store_new(&flock, test_secret), .b = store_new(&flock, other)};
}

static UNUSED void duo_free(struct duo *d)
{
	store_free(d->a);
	store_free(d->b);
}

static UNUSED bool all_there(const struct stored *s, void *ctx)
{
	const struct stored *other = store_get(ctx, &s->rec.id);

	assert_non_null(other);
	assert_int_equal(other->len, s->len);
	assert_memory_equal(other->bytes, s->bytes, s->len);
	return true;
}

static UNUSED void expect_equal(struct duo *d)
{
	for (int v = 0; v < 2; v++) {
		struct digest x = store_digest(d->a, v), y = store_digest(d->b, v);

		assert_memory_equal(&x.root, &y.root, 32);
		assert_int_equal(x.count, y.count);
	}
	store_each(d->a, 0, all_there, d->b);
	store_each(d->b, 0, all_there, d->a);
}

/* A durable record of a kind that only grows, or (odd numbers) a page of a peer. */
static UNUSED struct packed make_numbered(unsigned i)
{
	char body[48];
	struct record r = {.kind = REC_SETTING, .stamp = i};
	struct actor by;

	snprintf(body, sizeof(body), "record %u", i);
	if (i % 2 == 0) {
		by = actor(ADMIN);
		return pack(r, "labels/1", body, strlen(body), &flock, &by);
	}
	by = actor(1000 + i);
	r.kind = REC_STATUS;
	return pack(r, "0", body, strlen(body), &flock, &by);
}

#define NUMBERS 4000
static struct packed numbered[NUMBERS];

static UNUSED void put_numbered(struct duo *d, unsigned i, bool in_a, bool in_b)
{
	assert_true(i < NUMBERS);
	if (!numbered[i].w.p)
		numbered[i] = make_numbered(i);
	if (in_a)
		put(d->a, &numbered[i], true);
	if (in_b)
		put(d->b, &numbered[i], true);
}

static UNUSED int free_numbered(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUMBERS; i++)
		packed_free(&numbered[i]);
	return 0;
}

#endif
