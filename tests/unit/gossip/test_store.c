#include "tests/unit/gossip/flock.h"

static const struct key32 flock = {{9}};

static struct packed page(unsigned who, uint8_t kind, const char *name, uint64_t stamp, const char *body)
{
	struct actor by = actor(PEER_A + who);
	struct record r = {.kind = kind, .stamp = stamp};

	return pack(r, name, body, strlen(body), &flock, &by);
}

static enum store_verdict put_free(struct store *st, struct packed p, bool on_disk)
{
	enum store_verdict v = put(st, &p, on_disk);

	packed_free(&p);
	return v;
}

static void the_newest_page_of_a_peer_replaces_the_older(void **state)
{
	struct store *st = store_new(&flock, test_secret);
	struct actor by = actor(PEER_A);

	(void)state;
	assert_int_equal(put_free(st, page(0, REC_STATUS, "0", 5, "five"), false), STORE_NEW);
	assert_int_equal(put_free(st, page(0, REC_STATUS, "0", 4, "four"), false), STORE_OLD);
	assert_int_equal(put_free(st, page(0, REC_STATUS, "0", 5, "five"), false), STORE_KNOWN);
	assert_int_equal(put_free(st, page(0, REC_STATUS, "0", 6, "six"), false), STORE_NEW);
	assert_int_equal(put_free(st, page(0, REC_STATUS, "1", 1, "page 1"), false), STORE_NEW);
	assert_int_equal(put_free(st, page(1, REC_STATUS, "0", 1, "other peer"), false), STORE_NEW);
	assert_int_equal(store_count(st), 3);
	assert_int_equal(store_digest(st, true).count, 3);
	assert_memory_equal(store_page(st, REC_STATUS, &by.key, "0")->rec.body, "six", 3);
	assert_null(store_page(st, REC_STATUS, &by.key, "2"));
	store_drop_author_volatile(st, &by.key);
	assert_int_equal(store_count(st), 1);
	store_free(st);
}

static void a_durable_record_enters_the_digest_once_it_is_on_disk(void **state)
{
	struct store *st = store_new(&flock, test_secret);
	struct actor by = actor(ADMIN);
	struct packed p = make_revision(&flock, &by, "web", 1, NULL, 0, "body");
	struct digest d;

	(void)state;
	assert_int_equal(put(st, &p, false), STORE_NEW);
	assert_int_equal(store_digest(st, false).count, 0);
	assert_false(store_get(st, &p.id)->on_disk);
	store_on_disk(st, &p.id);
	store_on_disk(st, &p.id);
	assert_int_equal(store_digest(st, false).count, 1);
	d = store_digest(st, false);
	assert_true(key32_eq(&d.root, &p.id));
	assert_int_equal(store_digest(st, true).count, 0);
	store_drop(st, &p.id);
	assert_int_equal(store_digest(st, false).count, 0);
	d = store_digest(st, false);
	assert_true(key32_is_zero(&d.root));
	packed_free(&p);
	store_free(st);
}

/* From our own disk: its signature was checked before it was written, its hashes are checked again. */
static void a_record_known_to_be_verified_is_checked_for_form_and_hashes_alone(void **state)
{
	struct store *st = store_new(&flock, test_secret);
	struct actor by = actor(ADMIN);
	struct packed p = make_revision(&flock, &by, "web", 1, NULL, 0, "the body");
	uint8_t *sig = p.w.p + p.w.len - 8 - 64, *body = p.w.p + p.w.len - 1;
	struct err err;

	(void)state;
	*sig ^= 1;
	assert_int_equal(put(st, &p, true), STORE_BAD);
	assert_int_equal(store_put_verified(st, p.w.p, p.w.len, true, NULL, &err), STORE_NEW);
	assert_int_equal(store_digest(st, false).count, 1);
	store_drop(st, &p.id);
	*body ^= 1;
	assert_int_equal(store_put_verified(st, p.w.p, p.w.len, true, NULL, &err), STORE_BAD);
	packed_free(&p);
	store_free(st);
}

static void a_body_may_follow_its_header_and_go_again(void **state)
{
	struct store *st = store_new(&flock, test_secret);
	struct actor by = actor(ADMIN);
	struct packed p = make_revision(&flock, &by, "web", 1, NULL, 0, "the body");
	struct key32 missing[2];

	(void)state;
	assert_int_equal(store_put(st, p.w.p, p.w.len - 8, true, NULL, NULL), STORE_NEW);
	assert_null(store_get(st, &p.id)->rec.body);
	assert_int_equal(store_missing_bodies(st, missing, 2), 1);
	assert_true(key32_eq(&missing[0], &p.id));
	assert_int_equal(put(st, &p, false), STORE_BODY);
	assert_true(store_get(st, &p.id)->on_disk);
	assert_memory_equal(store_get(st, &p.id)->rec.body, "the body", 8);
	assert_int_equal(store_missing_bodies(st, missing, 2), 0);
	assert_int_equal(store_put(st, p.w.p, p.w.len - 8, true, NULL, NULL), STORE_KNOWN);
	assert_int_equal(store_digest(st, false).count, 1);
	store_drop_body(st, &p.id);
	assert_null(store_get(st, &p.id)->rec.body);
	assert_true(record_verify(&store_get(st, &p.id)->rec, &flock));
	packed_free(&p);
	store_free(st);
}

static void a_wrong_signature_changes_nothing(void **state)
{
	struct store *st = store_new(&flock, test_secret);
	struct packed p = page(0, REC_FACTS, "", 1, "facts");
	struct err err = {0};

	(void)state;
	p.w.p[p.w.len - 5 - 64] ^= 1; /* first byte of the signature */
	assert_int_equal(store_put(st, p.w.p, p.w.len, false, NULL, &err), STORE_BAD);
	assert_non_null(strstr(err.text, "signature"));
	assert_int_equal(store_count(st), 0);
	packed_free(&p);
	store_free(st);
}

static void malformed_records_are_refused_by_kind(void **state)
{
	static const struct {
		uint8_t kind;
		const char *name;
		size_t len;
		uint8_t flags;
	} bad[] = {
	        {0, "", 1, 0},
	        {REC_STATUS, "128", 1, 0}, /* beyond the last page */
	        {REC_STATUS, "07", 1, 0},
	        {REC_STATUS, "0", PAGE_BYTES_MAX + 1, 0},
	        {REC_FACTS, "x", 1, 0},
	        {REC_REVISION, "Not A Label", 1, 0},
	        {REC_REVISION, "", 1, 0},
	        {REC_REVISION, "web", 0, 0}, /* neither body nor removal */
	        {REC_REVISION, "web", 1, RECORD_FLAG_REMOVAL},
	        {REC_SETTING, "", 1, 0},
	        {REC_GENESIS, "", 1, 0}, /* of another flock */
	        {REC_GRANT, "", 4097, 0},
	};
	struct store *st = store_new(&flock, test_secret);
	struct actor by = actor(ADMIN);
	uint8_t *body = calloc(1, 5000);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct record r = {.kind = bad[i].kind, .flags = bad[i].flags, .stamp = 1};
		struct packed p = pack(r, bad[i].name, body, bad[i].len, &flock, &by);
		struct err err = {0};

		assert_int_equal(store_put(st, p.w.p, p.w.len, true, NULL, &err), STORE_BAD);
		assert_string_not_equal(err.text, "");
		packed_free(&p);
	}
	assert_int_equal(store_count(st), 0);
	free(body);
	store_free(st);
}

static void unknown_kinds_are_kept_up_to_a_bound_per_author(void **state)
{
	struct store *st = store_new(&flock, test_secret);
	uint8_t *body = calloc(1, 20001);
	struct err err = {0};
	struct packed p;

	(void)state;
	memset(body, 'x', 20000);
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(put_free(st, page(0, 77, "later", i, (char *)body), true), STORE_NEW);
	p = page(0, 77, "later", 4, (char *)body);
	assert_int_equal(store_put(st, p.w.p, p.w.len, true, NULL, &err), STORE_FULL);
	assert_non_null(strstr(err.text, "unknown kinds"));
	packed_free(&p);
	assert_int_equal(put_free(st, page(1, 77, "later", 4, (char *)body), true), STORE_NEW);
	assert_int_equal(store_digest(st, false).count, 4);
	free(body);
	store_free(st);
}

static void a_flood_of_verdicts_is_bounded(void **state)
{
	struct store *st = store_new(&flock, test_secret);

	(void)state;
	for (uint64_t i = 0; i < VERDICTS_PER_AUTHOR_MAX; i++)
		assert_int_equal(put_free(st, page(0, REC_VERDICT, "web/api", i, "failed"), false), STORE_NEW);
	assert_int_equal(put_free(st, page(0, REC_VERDICT, "web/api", 9999, "failed"), false), STORE_FULL);
	assert_int_equal(put_free(st, page(1, REC_VERDICT, "web/api", 9999, "failed"), false), STORE_NEW);
	store_free(st);
}

/* Fingerprints against a plain sum over all ids, for random ranges, as records come and go. */
static void fingerprints_equal_the_plain_sum_of_the_range(void **state)
{
	struct store *st = store_new(&flock, test_secret);
	struct actor by = actor(ADMIN);
	struct key32 ids[200], top;
	size_t n = 0;
	struct drbg d;

	(void)state;
	memset(&top, 0xff, sizeof(top));
	drbg_init_u64(&d, 3, 0);
	for (int step = 0; step < 400; step++) {
		if (n < 200 && (!n || drbg_below(&d, 3))) {
			struct record r = {.kind = REC_SETTING, .stamp = (uint64_t)step};
			struct packed p = pack(r, "labels/x", "v", 1, &flock, &by);

			put(st, &p, true);
			ids[n++] = p.id;
			packed_free(&p);
		} else {
			size_t i = drbg_below(&d, n);

			store_drop(st, &ids[i]);
			ids[i] = ids[--n];
		}
		for (int probe = 0; probe < 4; probe++) {
			struct key32 lo, hi, sum = {{0}};
			struct range_print got;
			uint32_t count = 0;

			drbg_bytes(&d, lo.b, 32);
			drbg_bytes(&d, hi.b, 32);
			if (probe == 0)
				memset(&lo, 0, sizeof(lo)), hi = top;
			for (size_t i = 0; i < n; i++) {
				unsigned carry = 0;

				if (key32_cmp(&ids[i], &lo) < 0 || (key32_cmp(&ids[i], &hi) >= 0 && probe))
					continue;
				count++;
				for (int b = 31; b >= 0; b--) {
					carry += sum.b[b] + ids[i].b[b];
					sum.b[b] = (uint8_t)carry;
					carry >>= 8;
				}
			}
			got = store_range(st, false, &lo, &hi);
			assert_int_equal(got.count, count);
			assert_memory_equal(&got.sum, &sum, 32);
		}
	}
	assert_int_equal(store_digest(st, false).count, n);
	store_free(st);
}

static void ids_of_a_range_come_in_order_and_in_pages(void **state)
{
	struct store *st = store_new(&flock, test_secret);
	struct key32 lo = {{0}}, top, page_of[10], before;
	size_t seen = 0;

	(void)state;
	memset(&top, 0xff, sizeof(top));
	for (uint64_t i = 0; i < 35; i++)
		put_free(st, page((unsigned)i, REC_FACTS, "", 1, "f"), false);
	for (;;) {
		size_t left = store_range_ids(st, true, &lo, &top, page_of, 10);

		assert_int_equal(left, 35 - seen);
		for (size_t i = 0; i < MIN(left, 10); i++) {
			assert_true(!seen || key32_cmp(&before, &page_of[i]) < 0);
			assert_non_null(store_get(st, &page_of[i]));
			before = page_of[i];
			seen++;
		}
		if (left <= 10)
			break;
		lo = page_of[9];
		lo.b[31]++; /* good enough for ids that do not end in ff */
	}
	assert_int_equal(seen, 35);
	store_free(st);
}

struct walk {
	size_t n;
	uint8_t kinds[16];
};

static bool note(const struct stored *s, void *ctx)
{
	struct walk *w = ctx;

	w->kinds[w->n++] = s->rec.kind;
	return w->n < 5;
}

static void a_walk_shows_kinds_in_order_and_stops_when_told(void **state)
{
	struct store *st = store_new(&flock, test_secret);
	struct walk w = {0};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		put_free(st, page(i, REC_STATUS, "0", 1, "s"), false);
		put_free(st, page(i, REC_FACTS, "", 1, "f"), false);
	}
	store_each(st, REC_STATUS, note, &w);
	assert_int_equal(w.n, 3);
	w.n = 0;
	store_each(st, 0, note, &w);
	assert_int_equal(w.n, 5);
	assert_int_equal(w.kinds[2], REC_FACTS);
	assert_int_equal(w.kinds[3], REC_STATUS);
	store_free(st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_newest_page_of_a_peer_replaces_the_older),
	        cmocka_unit_test(a_durable_record_enters_the_digest_once_it_is_on_disk),
	        cmocka_unit_test(a_record_known_to_be_verified_is_checked_for_form_and_hashes_alone),
	        cmocka_unit_test(a_body_may_follow_its_header_and_go_again),
	        cmocka_unit_test(a_wrong_signature_changes_nothing),
	        cmocka_unit_test(malformed_records_are_refused_by_kind),
	        cmocka_unit_test(unknown_kinds_are_kept_up_to_a_bound_per_author),
	        cmocka_unit_test(a_flood_of_verdicts_is_bounded),
	        cmocka_unit_test(fingerprints_equal_the_plain_sum_of_the_range),
	        cmocka_unit_test(ids_of_a_range_come_in_order_and_in_pages),
	        cmocka_unit_test(a_walk_shows_kinds_in_order_and_stops_when_told),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
