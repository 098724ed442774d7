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

static void into(void *ctx, const uint8_t *bytes, size_t len)
{
	struct store *st = ctx;
	struct key32 id;
	enum store_verdict v = store_put(st, bytes, len, false, &id, NULL);

	assert_int_not_equal(v, STORE_BAD);
	store_on_disk(st, &id);
}

/* One frame, if there is any; its length. */
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

/* Takes out all frames that may be on their way at once. */
static size_t burst(struct sync *s, struct wr out[WINDOW])
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
static struct sync *begin(struct store *st, const bool equal[2])
{
	static uint8_t salt;
	struct sync_start start = {.salt = {++salt}};

	if (equal)
		memcpy(start.equal, equal, sizeof(start.equal));
	return sync_begin(st, &start, into, st);
}

static void reconcile(struct duo *d)
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
	assert_int_equal(d.round_trips, 1);
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
		assert_in_range(d.round_trips, 1, 5);
		/* Records that only one side has are sent as they are, without a list of them. */
		assert_int_equal(d.stats.records_in + d.stats.records_out, 700);
		assert_in_range(d.bytes, 700 * 150, 700 * 230);
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
		/* Two round trips for a few differences, and a last frame. */
		if (differences[k] <= 20)
			assert_in_range(d.round_trips, 1, 2);
		assert_in_range(d.round_trips, 1, 8);
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
	assert_in_range(d.round_trips, 2, 6);
	duo_free(&d);
}

/* A newcomer's whole store takes fewer round trips than frames. */
static void a_long_range_comes_several_frames_a_round_trip(void **state)
{
	(void)state;
	for (int side = 0; side < 2; side++) {
		struct duo d = duo_new();

		for (unsigned i = 0; i < NUMBERS; i++)
			put_numbered(&d, i, side, !side);
		reconcile(&d);
		expect_equal(&d);
		assert_true(d.bytes > 10 * SYNC_FRAME_MAX);
		assert_in_range(d.round_trips, 3, 5);
		duo_free(&d);
	}
}

/* One side has nearly nothing: whoever asks, the other's records come, and the few are found among them. */
static void few_records_meet_many(void **state)
{
	static const unsigned few[] = {1, 20, 63, 100};

	(void)state;
	for (size_t k = 0; k < 2 * ARRAY_LEN(few); k++) {
		struct duo d = duo_new();
		bool asks = k % 2; /* who has few */

		/* Of the few every other one is unknown to the other side. */
		for (unsigned i = 0; i < NUMBERS; i++) {
			bool is_few = i < few[k / 2], alone = is_few && i % 4 < 2;

			put_numbered(&d, i, asks ? is_few : !alone, asks ? !alone : is_few);
		}
		reconcile(&d);
		expect_equal(&d);
		assert_int_equal(store_count(d.a), NUMBERS);
		duo_free(&d);
	}
}

/* What acks said of the digests saves bytes when it is true, and is found out when it is not. */
static void a_belief_about_the_digests_is_checked(void **state)
{
	(void)state;
	for (unsigned wrong = 0; wrong < 3; wrong++) {
		struct duo d = duo_new();

		for (unsigned i = 0; i < 1000; i++)
			put_numbered(&d, i, true, true);
		d.equal[0] = d.equal[1] = true;
		if (wrong) /* of the durable, of the volatile records */
			put_numbered(&d, 1000 + wrong % 2, true, false);
		reconcile(&d);
		expect_equal(&d);
		assert_int_equal(d.round_trips, wrong ? 2 : 1);
		assert_true(wrong || d.bytes < 64);
		duo_free(&d);
	}
}

/* The same difference looks different under another salt: nobody can prepare sets that look alike. */
static void fingerprints_and_short_ids_depend_on_the_salt(void **state)
{
	struct range_print p = {.sum = {{1, 2, 3}}, .count = 9};
	struct key32 id = {{7}};
	struct sync_salt a, b;
	struct sync_part x, y;

	(void)state;
	sync_salt_init(&a, (const uint8_t[SYNC_SALT_BYTES]){1});
	sync_salt_init(&b, (const uint8_t[SYNC_SALT_BYTES]){2});
	x = sync_part_of(&a, &p);
	y = sync_part_of(&b, &p);
	assert_false(sync_part_eq(&x, &y));
	assert_true(sync_short(&a, &id) != sync_short(&b, &id));
	assert_true(sync_short(&a, &id) < UINT64_C(1) << 8 * SYNC_SHORT_BYTES);
	/* The count is in the print too: 255 says only "so many or more". */
	p.count = 300;
	x = sync_part_of(&a, &p);
	p.count = 301;
	y = sync_part_of(&a, &p);
	assert_int_equal(x.count, y.count);
	assert_false(sync_part_eq(&x, &y));
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
	/* No piece is sent in vain. */
	assert_in_range(d.bytes, 6 * (BODY_BYTES_MAX - 6), 6 * BODY_BYTES_MAX + 8192);
	free(body);
	duo_free(&d);
}

/* Large records among many small ones: several frames are on their way, and yet each piece is sent once. */
static void large_bodies_among_many_records_are_sent_once(void **state)
{
	struct duo d = duo_new();
	struct actor by = actor(ADMIN);
	static uint8_t body[100000];
	size_t bodies = 24;

	(void)state;
	for (unsigned i = 0; i < bodies; i++) {
		struct record r = {.kind = REC_REVISION, .stamp = i};
		struct packed p = pack(r, "web", body, sizeof(body) - i, &flock, &by);

		put(d.b, &p, true);
		packed_free(&p);
	}
	for (unsigned i = 0; i < 2000; i++)
		put_numbered(&d, i, false, true);
	reconcile(&d);
	expect_equal(&d);
	assert_in_range(d.bytes, bodies * sizeof(body), bodies * sizeof(body) + 2000 * 230 + 100000);
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
		a = begin(d.a, NULL);
		b = sync_respond(d.b, into, d.b);
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
	struct sync *a = begin(d.a, NULL), *b = sync_respond(d.b, into, d.b);
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

/* A frame of a question: version, salt, then an item. */
static struct wr question(enum sync_item_kind kind)
{
	struct wr w;

	wr_init(&w, SYNC_FRAME_MAX);
	wr_u8(&w, SYNC_VERSION);
	wr_u64(&w, 1);
	if (kind)
		wr_u8(&w, (uint8_t)kind);
	return w;
}

static void expect_refused(struct sync *s, struct wr w, const char *why)
{
	struct err err = {0};

	assert_int_equal(feed(s, w.p, w.len, &err), -1);
	if (!strstr(err.text, why))
		fail_msg("%s", err.text);
	wr_free(&w);
}

static void frames_out_of_turn_or_malformed_end_the_sync(void **state)
{
	static const uint8_t old[] = {1}, empty[] = {SYNC_VERSION}, noise[] = {SYNC_VERSION, 99};
	struct duo d = duo_new();
	struct sync *a = begin(d.a, NULL), *b = sync_respond(d.b, into, d.b);
	static const struct key32 id = {{1}};
	struct err err = {0};
	struct wr w;

	(void)state;
	assert_int_equal(feed(a, empty, 1, &err), -1); /* it asked nothing yet */
	assert_non_null(strstr(err.text, "turn"));
	assert_int_equal(feed(b, empty, 0, &err), -1);
	assert_int_equal(feed(b, old, sizeof(old), &err), -1);
	assert_non_null(strstr(err.text, "version"));
	assert_int_equal(feed(b, empty, 1, &err), -1); /* no salt */
	expect_refused(b, question(99), "unknown item");
	expect_refused(b, question(SYNC_REST), "malformed"); /* cut short */
	w = question(0);
	sync_put_id(&w, SYNC_WANT_ID, &id);
	expect_refused(b, w, "holds an answer");
	w = question(0);
	sync_put_id(&w, SYNC_REST, &id);
	wr_u32(&w, 0);
	assert_int_equal(feed(b, w.p, w.len, &err), 0);
	expect_refused(b, w, "turn"); /* before the answer was taken */
	wr_init(&w, FRAME_BYTES_MAX);
	assert_true(sync_next_frame(a, &w));
	assert_false(sync_next_frame(a, &w)); /* one at a time */
	assert_int_equal(feed(a, noise, sizeof(noise), &err), -1);
	wr_free(&w);
	sync_free(a);
	sync_free(b);
	duo_free(&d);
}

static void a_frame_that_asks_too_much_is_refused(void **state)
{
	struct duo d = duo_new();
	struct sync *b = sync_respond(d.b, into, d.b);
	static const struct key32 id = {{1}};
	struct wr w = question(0);
	uint64_t shorts[SYNC_LIST_MAX] = {0};
	struct span root;

	(void)state;
	for (size_t i = 0; i <= QUESTIONS_PER_FRAME; i++) {
		sync_put_id(&w, SYNC_REST, &id);
		wr_u32(&w, 0);
	}
	expect_refused(b, w, "questions");
	/* Fewer, of which the mere "ask again" would fill the answer. */
	w = question(0);
	span_root(&root, false);
	while (w.len + 400 < SYNC_FRAME_MAX) {
		sync_put_span(&w, SYNC_GET, &root);
		sync_put_shorts(&w, shorts, SYNC_LIST_MAX);
	}
	expect_refused(b, w, "questions");
	sync_free(b);
	duo_free(&d);
}

/* An answer that belongs to no question, and one that gives nothing but "ask again", end the sync: else the other side
 * could keep us busy, and make us remember, as long as it likes. */
static void an_answer_to_no_question_ends_the_sync(void **state)
{
	static const enum sync_item_kind kinds[] = {
	        SYNC_IDS, SYNC_WANT, SYNC_GET_MORE, SYNC_MORE, SYNC_PRINTS_MORE};
	struct duo d = duo_new();

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		put_numbered(&d, i, true, false);
	for (size_t k = 0; k < 2 * ARRAY_LEN(kinds) + 1; k++) {
		struct sync *a = begin(d.a, NULL);
		struct wr w, answer;
		struct span root, deep;

		wr_init(&w, SYNC_FRAME_MAX);
		wr_init(&answer, SYNC_FRAME_MAX);
		assert_true(sync_next_frame(a, &w));
		span_root(&root, false);
		span_part(&deep, &root, 2, 33);
		wr_u8(&answer, SYNC_VERSION);
		if (k == 2 * ARRAY_LEN(kinds)) {
			for (int v = 0; v < 2; v++) {
				span_root(&root, v);
				sync_put_span(&answer, SYNC_PRINTS_MORE, &root);
				wr_u8(&answer, 1);
			}
			expect_refused(a, answer, "without giving");
		} else {
			sync_put_span(&answer, kinds[k / 2], k % 2 ? &deep : &root);
			if (kinds[k / 2] == SYNC_PRINTS_MORE)
				wr_u8(&answer, k % 2); /* other levels than were asked about */
			else if (kinds[k / 2] == SYNC_MORE)
				sync_put_bound(&answer, k % 2 ? &deep.prefix : &root.prefix), wr_u32(&answer, 9);
			else
				sync_put_shorts(&answer, &(uint64_t){5}, 1);
			expect_refused(a, answer, "no question");
		}
		wr_free(&w);
		sync_free(a);
	}
	duo_free(&d);
}

/* A newer peer may say more: items that we do not know are stepped over; a version that we do not speak is answered
 * by an empty frame of ours, and the other side begins again with that. */
static void a_newer_peer_is_understood(void **state)
{
	static const uint8_t newer[] = {SYNC_VERSION + 1, 1, 2, 3};
	struct duo d = duo_new();
	struct sync *a, *b = sync_respond(d.b, into, d.b);
	struct wr w;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		put_numbered(&d, i, i % 3 != 0, i % 3 != 1);
	assert_int_equal(feed(b, newer, sizeof(newer), NULL), 0);
	wr_init(&w, SYNC_FRAME_MAX);
	assert_true(sync_next_frame(b, &w));
	assert_int_equal(w.len, 1);
	assert_int_equal(w.p[0], SYNC_VERSION);
	a = begin(d.a, NULL);
	while (!sync_done(a)) {
		for (int turn = 0; turn < 2; turn++) {
			wr_reset(&w);
			if (!sync_next_frame(turn ? b : a, &w))
				continue;
			wr_u8(&w, 200);
			wr_u16(&w, 5);
			wr_bytes(&w, "later", 5);
			if (turn || !sync_done(a))
				assert_int_equal(feed(turn ? a : b, w.p, w.len, NULL), 0);
		}
	}
	wr_free(&w);
	sync_free(a);
	sync_free(b);
	reconcile(&d);
	expect_equal(&d);
	assert_int_equal(store_count(d.a), 100);
	duo_free(&d);
}

/* A responder that answers each question with as much as may be said of it, true or not: what we hold stays bounded,
 * whatever it says, and ends. */
static void a_liar_cannot_make_us_hold_more_than_the_bound(void **state)
{
	struct duo d = duo_new();
	struct key32 nowhere = {{1}};
	struct drbg rng;
	size_t most = 0;

	(void)state;
	drbg_init_u64(&rng, 31, 7);
	for (unsigned i = 0; i < NUMBERS; i++)
		put_numbered(&d, i, true, false);
	for (int round = 0; round < 9; round++) {
		struct sync *a = begin(d.a, NULL);
		bool good = true;

		for (int frame = 0; frame < 300 && good && !sync_done(a); frame++) {
			const struct flight *f = sync_flight(a);
			struct wr w, answer;

			wr_init(&w, SYNC_FRAME_MAX);
			wr_init(&answer, SYNC_FRAME_MAX);
			while (sync_next_frame(a, &w))
				wr_reset(&w);
			assert_true(a->in_flight > 0);
			wr_u8(&answer, SYNC_VERSION);
			sync_put_id(&answer, SYNC_WANT_ID, &nowhere); /* it gives something each time */
			for (size_t n = f->n_asked ? 4000 : 0; n-- > 0 && answer.len + 400 < SYNC_FRAME_MAX;) {
				const struct todo *t = &f->asked[drbg_below(&rng, f->n_asked)];
				uint64_t shorts[SYNC_LIST_MAX];
				struct span part;

				drbg_bytes(&rng, shorts, sizeof(shorts));
				for (size_t i = 0; i < SYNC_LIST_MAX; i++)
					shorts[i] &= (UINT64_C(1) << 48) - 1;
				span_part(&part, &t->span, t->levels,
				        (unsigned)drbg_below(&rng, span_parts(t->levels)));
				switch (t->ask == ASK_PRINTS ? (unsigned)round % 3 : 3U + t->ask) {
				case 0: /* parts that differ from ours */
					sync_put_span(&answer, SYNC_PRINTS, &part);
					wr_u8(&answer, 1);
					for (int i = 0; i < SYNC_FANOUT; i++)
						sync_put_part(&answer, &(struct sync_part){255, drbg_u64(&rng)});
					break;
				case 1: /* ids that we do not have */
					sync_put_span(&answer, SYNC_IDS, &part);
					sync_put_shorts(&answer, shorts, SYNC_LIST_MAX);
					break;
				case 2: /* nothing: all of ours is to be sent, over and over */
					sync_put_span(&answer, SYNC_IDS, &part);
					sync_put_shorts(&answer, shorts, 0);
					break;
				case 3 + ASK_MINE:
					sync_put_span(&answer, SYNC_MORE, &t->span);
					sync_put_bound(&answer, &t->span.prefix);
					wr_u32(&answer, round % 2 ? 1 : 100000);
					break;
				default:
					sync_put_span(&answer, SYNC_GET_MORE, &t->span);
					sync_put_shorts(&answer, shorts, SYNC_LIST_MAX);
					break;
				}
			}
			good = feed(a, answer.p, answer.len, NULL) == 0;
			most = MAX(most, sync_held(a));
			assert_in_range(sync_held(a), 1, SYNC_HELD_MAX);
			wr_free(&w);
			wr_free(&answer);
		}
		sync_free(a);
	}
	assert_true(most > SYNC_HELD_MAX / 8); /* it tried */
	duo_free(&d);
}

/* The store judges records. */
static void into_any(void *ctx, const uint8_t *bytes, size_t len)
{
	store_put(ctx, bytes, len, true, NULL, NULL);
}

/* Random bytes behind a valid version, and random damage to real frames: an error or an answer, nothing else. */
static void hostile_frames_never_do_more_than_fail(void **state)
{
	static const struct sync_start start;
	struct drbg rng;

	(void)state;
	drbg_init_u64(&rng, 6, 6);
	for (int round = 0; round < 300; round++) {
		struct duo d = duo_new();
		struct sync *a, *b;

		for (unsigned i = 0; i < 12; i++)
			put_numbered(&d, i, i % 3 != 0, i % 3 != 1);
		a = sync_begin(d.a, &start, into_any, d.a);
		b = sync_respond(d.b, into_any, d.b);
		for (int turn = 0; turn < 6; turn++) {
			struct sync *from = turn % 2 ? b : a, *to = turn % 2 ? a : b;
			struct wr w;
			int rc;

			wr_init(&w, FRAME_BYTES_MAX);
			if (!sync_next_frame(from, &w)) {
				wr_free(&w);
				break;
			}
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

			span_part(&child, &s, 1, nibble);
			span_part(&next, &s, 1, nibble + 1);
			span_end(&end, &child);
			assert_true(key32_eq(&end, &next.prefix));
			assert_true(span_has(&s, &child.prefix));
			assert_true(span_has(&child, &child.prefix));
			assert_false(span_has(&child, &end));
			span_part(&next, &s, 1, 15);
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
	        cmocka_unit_test(a_long_range_comes_several_frames_a_round_trip),
	        cmocka_unit_test(few_records_meet_many),
	        cmocka_unit_test(a_belief_about_the_digests_is_checked),
	        cmocka_unit_test(fingerprints_and_short_ids_depend_on_the_salt),
	        cmocka_unit_test(an_answer_to_no_question_ends_the_sync),
	        cmocka_unit_test(a_newer_peer_is_understood),
	        cmocka_unit_test(a_liar_cannot_make_us_hold_more_than_the_bound),
	        cmocka_unit_test(a_newer_page_goes_to_the_side_with_the_older),
	        cmocka_unit_test(large_bodies_travel_in_pieces_both_ways),
	        cmocka_unit_test(large_bodies_among_many_records_are_sent_once),
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
