/* Reconciliation with one who breaks its rules, by mistake, by malice or by being newer. */
#include "tests/unit/gossip/duo.h"

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
	        cmocka_unit_test(frames_out_of_turn_or_malformed_end_the_sync),
	        cmocka_unit_test(a_frame_that_asks_too_much_is_refused),
	        cmocka_unit_test(an_answer_to_no_question_ends_the_sync),
	        cmocka_unit_test(a_newer_peer_is_understood),
	        cmocka_unit_test(a_liar_cannot_make_us_hold_more_than_the_bound),
	        cmocka_unit_test(hostile_frames_never_do_more_than_fail),
	        cmocka_unit_test(a_span_ends_where_the_next_begins),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, free_numbered);
}
