#include "tests/unit/gossip/duo.h"

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
	        cmocka_unit_test(a_newer_page_goes_to_the_side_with_the_older),
	        cmocka_unit_test(large_bodies_travel_in_pieces_both_ways),
	        cmocka_unit_test(large_bodies_among_many_records_are_sent_once),
	        cmocka_unit_test(a_body_that_goes_while_it_is_sent_leaves_its_header),
	        cmocka_unit_test(bodies_that_are_missing_are_fetched_by_id_from_both_sides),
	        cmocka_unit_test(a_wanted_record_that_the_other_lacks_ends_the_wish),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, free_numbered);
}
