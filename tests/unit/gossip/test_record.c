#include "tests/unit/gossip/flock.h"
#include "tests/unit/gossip/golden.h"

#include "base/hash.h"

static const struct key32 flock = {{7, 7, 7}};

static struct packed sample(void)
{
	static const struct key32 parents[] = {{{1}}, {{2}}}, prev[] = {{{3}}};
	struct actor by = actor(ADMIN);
	struct record r = {.kind = REC_REVISION,
	        .stamp = 0x018bcfe568000001,
	        .parents = parents,
	        .n_parents = 2,
	        .prev = prev,
	        .n_prev = 1};

	return pack(r, "hello", "a body", 6, &flock, &by);
}

static void the_bytes_of_a_record_are_those_of_the_golden_file(void **state)
{
	struct packed p = sample();

	(void)state;
	golden_hex("record.hex", p.w.p, p.w.len);
	packed_free(&p);
}

static void a_record_reads_back_as_it_was_signed(void **state)
{
	struct packed p = sample();
	struct actor by = actor(ADMIN);
	struct record r;
	struct key32 id;

	(void)state;
	assert_int_equal(record_decode(&r, p.w.p, p.w.len, NULL), 0);
	assert_int_equal(r.kind, REC_REVISION);
	assert_string_equal(r.name, "hello");
	assert_int_equal(r.n_parents, 2);
	assert_int_equal(r.parents[1].b[0], 2);
	assert_int_equal(r.n_prev, 1);
	assert_int_equal(r.prev[0].b[0], 3);
	assert_true(key32_eq(&r.author, &by.key));
	assert_int_equal(r.body_len, 6);
	assert_memory_equal(r.body, "a body", 6);
	hash32(&id, p.w.p, p.w.len - 6 - 64);
	assert_true(key32_eq(&r.id, &id));
	assert_true(record_verify(&r, &flock));
	packed_free(&p);
}

static void a_signature_holds_for_one_flock_only(void **state)
{
	struct packed p = sample();
	struct key32 other = {{8}};
	struct record r;

	(void)state;
	assert_int_equal(record_decode(&r, p.w.p, p.w.len, NULL), 0);
	assert_false(record_verify(&r, &other));
	packed_free(&p);
}

static void a_header_may_come_without_its_body(void **state)
{
	struct packed p = sample();
	struct record r;

	(void)state;
	assert_int_equal(record_decode(&r, p.w.p, p.w.len - 6, NULL), 0);
	assert_null(r.body);
	assert_int_equal(r.body_len, 6);
	assert_true(record_verify(&r, &flock));
	assert_true(key32_eq(&r.id, &p.id));
	packed_free(&p);
}

/* Every flipped bit is noticed: by the form, by the body's hash, or by the signature. */
static void no_byte_of_a_record_may_change(void **state)
{
	struct packed p = sample();

	(void)state;
	for (size_t i = 0; i < p.w.len; i++) {
		struct record r;

		p.w.p[i] ^= 0x10;
		if (record_decode(&r, p.w.p, p.w.len, NULL) == 0)
			assert_false(record_verify(&r, &flock));
		p.w.p[i] ^= 0x10;
	}
	packed_free(&p);
}

static void every_truncation_is_refused_but_the_bare_header(void **state)
{
	struct packed p = sample();

	(void)state;
	for (size_t len = 0; len < p.w.len; len++) {
		uint8_t *exact = malloc(len + 1); /* so that the sanitizer sees a read beyond */
		struct err err = {0};
		struct record r;
		int rc;

		memcpy(exact, p.w.p, len);
		rc = record_decode(&r, exact, len, &err);
		assert_int_equal(rc, len == p.w.len - 6 ? 0 : -1);
		if (rc < 0)
			assert_string_not_equal(err.text, "");
		free(exact);
	}
	packed_free(&p);
}

static void a_name_with_a_control_character_is_refused(void **state)
{
	struct actor by = actor(ADMIN);
	struct record r = {.kind = REC_SETTING, .stamp = 1};
	struct record out;
	struct wr w = record_wr();
	struct err err = {0};

	(void)state;
	text_copy(r.name, sizeof(r.name), "a\nb");
	record_sign(&r, &flock, by.secret);
	record_encode(&w, &r);
	assert_int_equal(record_decode(&out, w.p, w.len, &err), -1);
	assert_non_null(strstr(err.text, "name"));
	wr_free(&w);
}

static void peers_own_records_have_keys_of_their_own(void **state)
{
	struct key32 a, b, alice = {{1}}, bob = {{2}};

	(void)state;
	record_key(&a, REC_STATUS, &alice, "0");
	record_key(&b, REC_STATUS, &bob, "0");
	assert_false(key32_eq(&a, &b));
	record_key(&a, REC_REVISION, &alice, "web");
	record_key(&b, REC_REVISION, &bob, "web");
	assert_true(key32_eq(&a, &b));
}

static void a_clock_never_goes_back_and_is_not_dragged_far_ahead(void **state)
{
	struct hlc h = {0};
	uint64_t first = hlc_now(&h, 1000);

	(void)state;
	assert_true(hlc_now(&h, 999) > first);
	assert_int_equal(hlc_wall(hlc_now(&h, 2000)), 2000);
	hlc_seen(&h, (uint64_t)3000 << 16 | 5, 2000);
	assert_true(hlc_now(&h, 2000) > ((uint64_t)3000 << 16 | 5));
	hlc_seen(&h, UINT64_MAX, 2000);
	assert_true(hlc_wall(hlc_now(&h, 2000)) <= 2000 + HLC_AHEAD_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_bytes_of_a_record_are_those_of_the_golden_file),
	        cmocka_unit_test(a_record_reads_back_as_it_was_signed),
	        cmocka_unit_test(a_signature_holds_for_one_flock_only),
	        cmocka_unit_test(a_header_may_come_without_its_body),
	        cmocka_unit_test(no_byte_of_a_record_may_change),
	        cmocka_unit_test(every_truncation_is_refused_but_the_bare_header),
	        cmocka_unit_test(a_name_with_a_control_character_is_refused),
	        cmocka_unit_test(peers_own_records_have_keys_of_their_own),
	        cmocka_unit_test(a_clock_never_goes_back_and_is_not_dragged_far_ahead),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
