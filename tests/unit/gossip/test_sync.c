#include "tests/unit/gossip/flock.h"

#include "gossip/sync.h"
#include "gossip/sync_wire.h"

static const struct key32 flock = {{9}};

/* Two stores that reconcile; b answers. */
struct duo {
	struct store *a, *b;
	unsigned round_trips;
	size_t longest; /* bytes of a frame */
	struct sync_stats stats;
};

static void into(void *ctx, const uint8_t *bytes, size_t len)
{
	struct store *st = ctx;
	struct key32 id;
	enum store_verdict v = store_put(st, bytes, len, false, &id, NULL);

	assert_int_not_equal(v, STORE_BAD);
	store_on_disk(st, &id);
}

static size_t carry(struct sync *from, struct sync *to)
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

static void reconcile(struct duo *d)
{
	struct sync *a = sync_new(d->a, true, into, d->a), *b = sync_new(d->b, false, into, d->b);

	d->round_trips = 0;
	while (!sync_done(a)) {
		size_t there = carry(a, b), back = carry(b, a);

		assert_true(there && back);
		d->longest = MAX(d->longest, MAX(there, back));
		d->round_trips++;
		assert_true(d->round_trips < 20000);
	}
	assert_true(sync_done(b));
	assert_int_equal(carry(a, b), 0);
	d->stats = *sync_stats(a);
	sync_free(a);
	sync_free(b);
}

static struct duo duo_new(void)
{
	static const uint8_t other[16] = {5};

	return (struct duo){.a = store_new(&flock, test_secret), .b = store_new(&flock, other)};
}

static void duo_free(struct duo *d)
{
	store_free(d->a);
	store_free(d->b);
}

static bool all_there(const struct stored *s, void *ctx)
{
	const struct stored *other = store_get(ctx, &s->rec.id);

	assert_non_null(other);
	assert_int_equal(other->len, s->len);
	assert_memory_equal(other->bytes, s->bytes, s->len);
	return true;
}

static void expect_equal(struct duo *d)
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
static struct packed make_numbered(unsigned i)
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

static void put_numbered(struct duo *d, unsigned i, bool in_a, bool in_b)
{
	assert_true(i < NUMBERS);
	if (!numbered[i].w.p)
		numbered[i] = make_numbered(i);
	if (in_a)
		put(d->a, &numbered[i], true);
	if (in_b)
		put(d->b, &numbered[i], true);
}

static int free_numbered(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUMBERS; i++)
		packed_free(&numbered[i]);
	return 0;
}

static void two_empty_stores_agree_at_once(void **state)
{
	struct duo d = duo_new();

	(void)state;
	reconcile(&d);
	assert_int_equal(d.round_trips, 2);
	expect_equal(&d);
	duo_free(&d);
}

static void an_empty_store_gets_everything_either_way(void **state)
{
	(void)state;
	for (int side = 0; side < 2; side++) {
		struct duo d = duo_new();

		for (unsigned i = 0; i < 700; i++)
			put_numbered(&d, i, side, !side);
		reconcile(&d);
		expect_equal(&d);
		assert_int_equal(store_count(d.a), 700);
		assert_in_range(d.round_trips, 2, 8);
		duo_free(&d);
	}
}

static void stores_converge_for_any_number_of_differences(void **state)
{
	static const unsigned differences[] = {0, 1, 2, 20, 200, 1000};
	const unsigned shared = 1000;
	struct drbg rng;

	(void)state;
	drbg_init_u64(&rng, 8, 8);
	for (size_t k = 0; k < ARRAY_LEN(differences); k++) {
		struct duo d = duo_new();
		unsigned n = shared;

		for (unsigned i = 0; i < shared; i++)
			put_numbered(&d, i, true, true);
		for (; n < shared + differences[k]; n++) {
			bool in_a = drbg_below(&rng, 2);

			put_numbered(&d, n, in_a, !in_a);
		}
		reconcile(&d);
		expect_equal(&d);
		assert_int_equal(store_count(d.a), n);
		/* About three round trips for a few differences, and the end. */
		if (differences[k] <= 20)
			assert_in_range(d.round_trips, 2, 4);
		assert_in_range(d.round_trips, 2, 20);
		/* Nothing that both have was sent. */
		assert_int_equal(d.stats.records_in + d.stats.records_out, differences[k]);
		duo_free(&d);
	}
}

/* More questions than one answer has room for, on ranges that all differ. */
static void stores_with_little_in_common_converge(void **state)
{
	struct duo d = duo_new();

	(void)state;
	for (unsigned i = 0; i < NUMBERS; i++)
		put_numbered(&d, i, i % 10 < 6, i % 10 > 4);
	reconcile(&d);
	expect_equal(&d);
	assert_int_equal(store_count(d.a), NUMBERS);
	assert_in_range(d.round_trips, 10, 30);
	duo_free(&d);
}

static void a_newer_page_goes_to_the_side_with_the_older(void **state)
{
	struct duo d = duo_new();
	struct actor by = actor(PEER_A);
	struct key32 key;

	(void)state;
	for (uint64_t stamp = 1; stamp <= 2; stamp++) {
		struct record r = {.kind = REC_STATUS, .stamp = stamp};
		struct packed p = pack(r, "0", "page", 4, &flock, &by);

		put(stamp == 1 ? d.a : d.b, &p, false);
		packed_free(&p);
	}
	reconcile(&d);
	record_key(&key, REC_STATUS, &by.key, "0");
	assert_int_equal(store_current(d.a, &key)->rec.stamp, 2);
	assert_int_equal(store_current(d.b, &key)->rec.stamp, 2);
	expect_equal(&d);
	duo_free(&d);
}

static void large_bodies_travel_in_pieces_both_ways(void **state)
{
	struct duo d = duo_new();
	struct actor by = actor(ADMIN);
	uint8_t *body = calloc(1, BODY_BYTES_MAX);
	struct drbg rng;

	(void)state;
	drbg_init_u64(&rng, 4, 4);
	for (unsigned i = 0; i < 6; i++) {
		struct record r = {.kind = REC_REVISION, .stamp = i};
		struct packed p;

		drbg_bytes(&rng, body, 64);
		p = pack(r, "web", body, BODY_BYTES_MAX - i, &flock, &by);
		put(i % 2 ? d.a : d.b, &p, true);
		packed_free(&p);
	}
	put_numbered(&d, 1, true, false);
	put_numbered(&d, 2, false, true);
	reconcile(&d);
	expect_equal(&d);
	assert_int_equal(store_count(d.a), 8);
	free(body);
	duo_free(&d);
}

/* A body is trimmed away while its record is half sent, by either side: the header arrives, nothing breaks. */
static void a_body_that_goes_while_it_is_sent_leaves_its_header(void **state)
{
	uint8_t *body = calloc(1, BODY_BYTES_MAX);
	struct actor by = actor(ADMIN);
	struct record r = {.kind = REC_REVISION, .stamp = 1};
	struct packed p = pack(r, "web", body, BODY_BYTES_MAX, &flock, &by);

	(void)state;
	for (int side = 0; side < 2; side++) {
		struct duo d = duo_new();
		struct store *has = side ? d.b : d.a, *lacks = side ? d.a : d.b;
		struct sync *a, *b;
		int frames = 0;

		put(has, &p, true);
		a = sync_new(d.a, true, into, d.a);
		b = sync_new(d.b, false, into, d.b);
		while (!sync_done(a)) {
			carry(a, b);
			carry(b, a);
			if (frames++ == 2)
				store_drop_body(has, &p.id);
			assert_true(frames < 20);
		}
		assert_null(store_get(has, &p.id)->rec.body);
		/* The responder drops the pull when its offset is gone; the next sync brings the header. */
		sync_free(a);
		sync_free(b);
		reconcile(&d);
		assert_non_null(store_get(lacks, &p.id));
		expect_equal(&d);
		duo_free(&d);
	}
	packed_free(&p);
	free(body);
}

static void bodies_that_are_missing_are_fetched_by_id_from_both_sides(void **state)
{
	struct duo d = duo_new();
	struct actor by = actor(ADMIN);
	struct packed one = make_revision(&flock, &by, "web", 1, NULL, 0, "one");
	struct packed two = make_revision(&flock, &by, "db", 2, NULL, 0, "two");
	struct packed none = make_revision(&flock, &by, "lost", 3, NULL, 0, "none has it");

	(void)state;
	store_put(d.a, one.w.p, one.w.len - 3, true, NULL, NULL);
	put(d.b, &one, true);
	put(d.a, &two, true);
	store_put(d.b, two.w.p, two.w.len - 3, true, NULL, NULL);
	store_put(d.a, none.w.p, none.w.len - 11, true, NULL, NULL);
	reconcile(&d);
	assert_non_null(store_get(d.a, &one.id)->rec.body);
	assert_non_null(store_get(d.b, &two.id)->rec.body);
	assert_null(store_get(d.b, &none.id)->rec.body);
	expect_equal(&d);
	packed_free(&one);
	packed_free(&two);
	packed_free(&none);
	duo_free(&d);
}

static void a_wanted_record_that_the_other_lacks_ends_the_wish(void **state)
{
	struct duo d = duo_new();
	struct sync *a = sync_new(d.a, true, into, d.a), *b = sync_new(d.b, false, into, d.b);
	struct key32 nowhere = {{0x33}};
	int frames = 0;

	(void)state;
	for (int i = 0; i < SYNC_WANTS_MAX + 40; i++) {
		nowhere.b[1] = (uint8_t)i;
		nowhere.b[2] = (uint8_t)(i >> 8);
		sync_want(a, &nowhere);
		sync_want(a, &nowhere);
	}
	while (!sync_done(a)) {
		carry(a, b);
		carry(b, a);
		assert_true(++frames < 10);
	}
	sync_free(a);
	sync_free(b);
	duo_free(&d);
}

static int feed(struct sync *s, const void *bytes, size_t len, struct err *err)
{
	uint8_t *exact = malloc(len ? len : 1);
	int rc;

	memcpy(exact, bytes, len);
	rc = sync_on_frame(s, exact, len, err);
	free(exact);
	return rc;
}

static void frames_out_of_turn_or_malformed_end_the_sync(void **state)
{
	static const uint8_t noise[] = {SYNC_VERSION, 99}, cut[] = {SYNC_VERSION, SYNC_GET, 1, 2}, old[] = {9},
	                     answer[] = {SYNC_VERSION, SYNC_WANT, [33] = 0},
	                     question[] = {SYNC_VERSION, SYNC_GET, [37] = 0}, empty[] = {SYNC_VERSION};
	struct duo d = duo_new();
	struct sync *a = sync_new(d.a, true, into, d.a), *b = sync_new(d.b, false, into, d.b);
	struct err err = {0};
	struct wr w;

	(void)state;
	assert_int_equal(feed(a, empty, 1, &err), -1); /* it asked nothing yet */
	assert_non_null(strstr(err.text, "turn"));
	assert_int_equal(feed(b, empty, 0, &err), -1);
	assert_int_equal(feed(b, old, sizeof(old), &err), -1);
	assert_non_null(strstr(err.text, "version"));
	assert_int_equal(feed(b, noise, sizeof(noise), &err), -1);
	assert_int_equal(feed(b, cut, sizeof(cut), &err), -1);
	assert_int_equal(feed(b, answer, sizeof(answer), &err), -1);
	assert_int_equal(feed(b, question, sizeof(question), &err), 0);
	assert_int_equal(feed(b, question, sizeof(question), &err), -1); /* before the answer was taken */
	wr_init(&w, FRAME_BYTES_MAX);
	assert_true(sync_next_frame(a, &w));
	assert_false(sync_next_frame(a, &w)); /* one at a time */
	assert_int_equal(feed(a, question, sizeof(question), &err), -1);
	wr_free(&w);
	sync_free(a);
	sync_free(b);
	duo_free(&d);
}

static void a_frame_that_asks_too_much_is_refused(void **state)
{
	struct duo d = duo_new();
	struct sync *b = sync_new(d.b, false, into, d.b);
	struct span root;
	struct err err = {0};
	struct wr w;

	(void)state;
	span_root(&root, false);
	wr_init(&w, SYNC_FRAME_MAX);
	wr_u8(&w, SYNC_VERSION);
	for (int i = 0; i < 50; i++)
		sync_put_prints(&w, d.a, &root);
	assert_int_equal(feed(b, w.p, w.len, &err), -1);
	assert_non_null(strstr(err.text, "questions"));
	wr_free(&w);
	sync_free(b);
	duo_free(&d);
}

/* Random bytes behind a valid version, and random damage to real frames: an error or an answer, nothing else. */
static void hostile_frames_never_do_more_than_fail(void **state)
{
	struct drbg rng;

	(void)state;
	drbg_init_u64(&rng, 6, 6);
	for (int round = 0; round < 300; round++) {
		struct duo d = duo_new();
		struct sync *a, *b;

		for (unsigned i = 0; i < 12; i++)
			put_numbered(&d, i, i % 3 != 0, i % 3 != 1);
		a = sync_new(d.a, true, into, d.a);
		b = sync_new(d.b, false, into, d.b);
		for (int turn = 0; turn < 6; turn++) {
			struct sync *from = turn % 2 ? b : a, *to = turn % 2 ? a : b;
			struct wr w;
			int rc;

			wr_init(&w, FRAME_BYTES_MAX);
			if (!sync_next_frame(from, &w)) {
				wr_free(&w);
				break;
			}
			/* Records inside are left alone: the store judges those. */
			w.p[1 + drbg_below(&rng, MIN(w.len - 1, 40))] ^= (uint8_t)(1 << drbg_below(&rng, 8));
			rc = feed(to, w.p, w.len, NULL);
			wr_free(&w);
			if (rc < 0)
				break;
		}
		sync_free(a);
		sync_free(b);
		duo_free(&d);
	}
}

static void a_span_ends_where_the_next_begins(void **state)
{
	struct span s, child, next;
	struct key32 end, top;
	struct drbg rng;

	(void)state;
	memset(&top, 0xff, sizeof(top));
	drbg_init_u64(&rng, 2, 2);
	for (int round = 0; round < 100; round++) {
		span_root(&s, false);
		span_end(&end, &s);
		assert_true(key32_eq(&end, &top));
		for (unsigned depth = 0; depth < 64; depth++) {
			unsigned nibble = (unsigned)drbg_below(&rng, 15);

			span_child(&child, &s, nibble);
			span_child(&next, &s, nibble + 1);
			span_end(&end, &child);
			assert_true(key32_eq(&end, &next.prefix));
			assert_true(span_has(&s, &child.prefix));
			assert_true(span_has(&child, &child.prefix));
			assert_false(span_has(&child, &end));
			span_child(&next, &s, 15);
			span_end(&end, &next);
			span_end(&top, &s);
			assert_true(key32_eq(&end, &top));
			memset(&top, 0xff, sizeof(top));
			s = child;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(two_empty_stores_agree_at_once),
	        cmocka_unit_test(an_empty_store_gets_everything_either_way),
	        cmocka_unit_test(stores_converge_for_any_number_of_differences),
	        cmocka_unit_test(stores_with_little_in_common_converge),
	        cmocka_unit_test(a_newer_page_goes_to_the_side_with_the_older),
	        cmocka_unit_test(large_bodies_travel_in_pieces_both_ways),
	        cmocka_unit_test(a_body_that_goes_while_it_is_sent_leaves_its_header),
	        cmocka_unit_test(bodies_that_are_missing_are_fetched_by_id_from_both_sides),
	        cmocka_unit_test(a_wanted_record_that_the_other_lacks_ends_the_wish),
	        cmocka_unit_test(frames_out_of_turn_or_malformed_end_the_sync),
	        cmocka_unit_test(a_frame_that_asks_too_much_is_refused),
	        cmocka_unit_test(hostile_frames_never_do_more_than_fail),
	        cmocka_unit_test(a_span_ends_where_the_next_begins),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, free_numbered);
}
