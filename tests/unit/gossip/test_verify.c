/* Signatures checked ahead of the core: which records of a frame are found, and what the core does with the word of it. */
#include "gossip/core.h"
#include "tests/unit/gossip/flock.h"

#include <stdlib.h>

static struct packed revision(const struct flock *f, unsigned n, bool spoilt)
{
	char body[16];
	struct packed p;

	snprintf(body, sizeof(body), "v%u", n);
	p = make_revision(&f->id, &f->admin, "web", 50 + n, NULL, 0, body);
	if (spoilt) /* inside the signature, which stands before the body */
		p.w.p[p.w.len - strlen(body) - 1] ^= 1;
	return p;
}

static struct wr frame_of(uint8_t type)
{
	struct wr w;

	wr_init(&w, FRAME_BYTES_MAX);
	wr_u8(&w, type);
	return w;
}

/* As a test may keep some: CORPUS=folder writes each frame there, as a seed for tests/fuzz/fuzz_frame.c. */
static void keep(const char *name, const struct wr *w)
{
	const char *dir = getenv("CORPUS");
	char path[256];
	FILE *f;

	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(w->p, 1, w->len, f), w->len);
	fclose(f);
}

static struct wr part_frame(const struct packed *p, size_t total, size_t at, size_t n)
{
	struct wr w = frame_of(FRAME_RECORD);

	wr_u8(&w, RECORD_PUSH);
	wr_u32(&w, (uint32_t)total);
	wr_u32(&w, (uint32_t)at);
	wr_bytes(&w, p->w.p + at, n);
	return w;
}

static void good_records_of_messages_are_named_and_bad_ones_are_not(void **state)
{
	struct flock f = flock_new();
	struct wr w = frame_of(FRAME_MSGS);
	struct key32 good[FRAME_RECORDS_MAX], want[2];
	size_t n = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct packed p = revision(&f, i, i == 1);

		if (i != 1)
			hash32(&want[n++], p.w.p, p.w.len);
		wire_put_nack(&w, i);
		wire_put_record(&w, p.w.p, p.w.len);
		packed_free(&p);
	}
	keep("messages", &w);
	assert_true(frame_has_records(w.p, w.len));
	assert_int_equal(frame_verify(&f.id, w.p, w.len, good), 2);
	assert_memory_equal(good, want, sizeof(want));
	/* Cut short, it still names those that are whole. */
	assert_int_equal(frame_verify(&f.id, w.p, w.len - 5, good), 1);
	wr_free(&w);
	flock_free(&f);
}

static void a_record_in_one_part_is_checked_and_parts_are_left_to_the_core(void **state)
{
	struct flock f = flock_new();
	struct packed p = revision(&f, 1, false);
	struct key32 good[FRAME_RECORDS_MAX], hash;
	struct wr whole = part_frame(&p, p.w.len, 0, p.w.len), first = part_frame(&p, p.w.len, 0, 100),
	          second = part_frame(&p, p.w.len, 100, p.w.len - 100);

	(void)state;
	keep("record", &whole);
	keep("part", &second);
	hash32(&hash, p.w.p, p.w.len);
	assert_int_equal(frame_verify(&f.id, whole.p, whole.len, good), 1);
	assert_true(key32_eq(&good[0], &hash));
	assert_false(frame_has_records(first.p, first.len));
	assert_false(frame_has_records(second.p, second.len));
	wr_free(&whole);
	wr_free(&first);
	wr_free(&second);
	packed_free(&p);
	flock_free(&f);
}

static void count_one(void *ctx, const uint8_t *bytes, size_t len)
{
	(void)bytes;
	(void)len;
	++*(unsigned *)ctx;
}

/* A peer that lacks 60 records, and has 5 of its own: whatever crosses in either direction is found and good. */
static void every_record_of_a_reconciliation_is_found(void **state)
{
	static const struct sync_start start;
	struct flock f = flock_new();
	struct store *st[2] = {flock_store(&f), flock_store(&f)};
	struct key32 good[FRAME_RECORDS_MAX];
	unsigned came = 0, found = 0, frames = 0;
	struct sync *s[2];
	bool moved = true;

	(void)state;
	for (unsigned i = 0; i < 65; i++) {
		struct packed p = revision(&f, i, false);

		assert_int_equal(put(st[i >= 60], &p, true), STORE_NEW);
		packed_free(&p);
	}
	s[0] = sync_begin(st[1], &start, count_one, &came);
	s[1] = sync_respond(st[0], count_one, &came);
	while (moved) {
		moved = false;
		for (int i = 0; i < 2; i++) {
			struct wr body, frame = frame_of(i ? FRAME_SYNC_REPLY : FRAME_SYNC_ASK);
			struct err err;
			char name[32];

			wr_init(&body, SYNC_FRAME_MAX);
			if (sync_next_frame(s[i], &body)) {
				moved = true;
				wr_bytes(&frame, body.p, body.len);
				snprintf(name, sizeof(name), "sync-%u", frames++);
				keep(name, &frame);
				found += (unsigned)frame_verify(&f.id, frame.p, frame.len, good);
				assert_int_equal(sync_on_frame(s[!i], body.p, body.len, &err), 0);
			}
			wr_free(&body);
			wr_free(&frame);
		}
	}
	assert_int_equal(came, 65);
	assert_int_equal(found, 65);
	for (int i = 0; i < 2; i++) {
		sync_free(s[i]);
		store_free(st[i]);
	}
	flock_free(&f);
}

/* One core, and a stream from another peer. */
struct core {
	struct flock f;
	struct actor who[2];
	struct gossip *g;
	struct now now;
};

#define STREAM (UINT64_C(1) << 63 | 1)

static struct core core(void)
{
	struct core c = {
	        .f = flock_new(), .who = {actor(PEER_A), actor(PEER_A + 1)}, .now = {1000, 1700000000000}};
	struct gossip_config cfg = {.flock = c.f.id, .boot = 1, .plain = true};
	struct gossip_action a;

	cfg.key = c.who[0].key;
	cfg.advertise = (struct addr){.family = 4, .port = 7827, .ip = {10, 0, 0, 1}};
	memcpy(cfg.secret, c.who[0].secret, sizeof(cfg.secret));
	c.g = gossip_new(&cfg);
	gossip_load(c.g, c.f.genesis.w.p, c.f.genesis.w.len, NULL);
	gossip_load(c.g, c.f.grant.w.p, c.f.grant.w.len, NULL);
	for (unsigned i = 0; i < 2; i++) {
		struct wr r = record_wr();
		struct admission ad;

		trust_vouch_first(&ad, &c.f.id, &c.who[i].key, c.f.admin.secret);
		trust_make_admission(&r, &c.f.id, &ad, 1, c.who[i].secret);
		assert_int_equal(gossip_load(c.g, r.p, r.len, NULL), 0);
		wr_free(&r);
	}
	gossip_start(c.g, c.now);
	gossip_on_stream(c.g, STREAM, &c.who[1].key, true, c.now);
	while (gossip_next(c.g, &a))
		;
	return c;
}

static void core_end(struct core *c)
{
	gossip_free(c->g);
	flock_free(&c->f);
}

static void the_core_takes_the_word_for_the_very_bytes_and_for_this_frame_alone(void **state)
{
	struct core c = core();
	struct packed bad = revision(&c.f, 1, true), other = revision(&c.f, 2, true);
	struct wr w = part_frame(&bad, bad.w.len, 0, bad.w.len),
	          w2 = part_frame(&other, other.w.len, 0, other.w.len);
	struct key32 hash;
	struct good_records good = {1, &hash};

	(void)state;
	/* A record whose signature is wrong shows whether the core looked. */
	hash32(&hash, bad.w.p, bad.w.len);
	gossip_on_frame(c.g, STREAM, w.p, w.len, c.now);
	assert_null(store_get(gossip_store(c.g), &bad.id));
	gossip_on_verified_frame(c.g, STREAM, w2.p, w2.len, &good, c.now);
	assert_null(store_get(gossip_store(c.g), &other.id)); /* the word was about another */
	gossip_on_frame(c.g, STREAM, w.p, w.len, c.now);      /* and is gone with its frame */
	assert_null(store_get(gossip_store(c.g), &bad.id));
	gossip_on_verified_frame(c.g, STREAM, w.p, w.len, &good, c.now);
	assert_non_null(store_get(gossip_store(c.g), &bad.id));
	wr_free(&w);
	wr_free(&w2);
	packed_free(&bad);
	packed_free(&other);
	core_end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(good_records_of_messages_are_named_and_bad_ones_are_not),
	        cmocka_unit_test(a_record_in_one_part_is_checked_and_parts_are_left_to_the_core),
	        cmocka_unit_test(every_record_of_a_reconciliation_is_found),
	        cmocka_unit_test(the_core_takes_the_word_for_the_very_bytes_and_for_this_frame_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
