#include "base/pack.h"
#include "placement/settings.h"
#include "tests/unit/unit.h"

static struct arena arena;
static struct wr w;

static int start(void **state)
{
	(void)state;
	arena_init(&arena);
	wr_init(&w, SETTING_BYTES_MAX);
	return 0;
}

static int finish(void **state)
{
	(void)state;
	wr_free(&w);
	arena_free(&arena);
	return 0;
}

static void a_peers_setting_is_named_after_its_id(void **state)
{
	char name[RECORD_NAME_MAX + 1];
	id64 peer = 0;

	(void)state;
	setting_name(name, SETTING_DRAIN, 0x0123456789abcdef);
	assert_string_equal(name, "drain/0123456789abcdef");
	assert_true(setting_peer(name, SETTING_DRAIN, &peer));
	assert_true(peer == 0x0123456789abcdef);
	assert_false(setting_peer(name, SETTING_LABELS, &peer));
	assert_false(setting_peer("drain/0123456789ABCDEF", SETTING_DRAIN, &peer));
	assert_false(setting_peer("drain/0123456789abcde", SETTING_DRAIN, &peer));
	assert_false(setting_peer("drain/0123456789abcdef0", SETTING_DRAIN, &peer));
	assert_false(setting_peer("drain/", SETTING_DRAIN, &peer));
}

static void a_drain_says_yes_or_no(void **state)
{
	bool drain = true;

	(void)state;
	for (int said = 0; said < 2; said++) {
		wr_reset(&w);
		drain_encode(&w, said);
		assert_int_equal(drain_decode(&drain, w.p, w.len, NULL), 0);
		assert_int_equal(drain, said);
	}
}

static void entries_of_a_newer_version_are_stepped_over(void **state)
{
	bool drain = false;

	(void)state;
	pk_map(&w, 3);
	pk_kv_str(&w, "by", "someone");
	pk_kv_bool(&w, "drain", true);
	pk_str(&w, "until");
	pk_array(&w, 1);
	pk_nil(&w);
	assert_int_equal(drain_decode(&drain, w.p, w.len, NULL), 0);
	assert_true(drain);
	assert_int_equal(rebalance_decode(w.p, w.len, NULL), 0);
	wr_reset(&w);
	rebalance_encode(&w);
	assert_int_equal(w.len, 1);
	assert_int_equal(rebalance_decode(w.p, w.len, NULL), 0);
}

static void labels_come_back_and_nil_takes_one_away(void **state)
{
	const struct kv over[] = {{"disk", NULL}, {"rack", "8"}, {"zone", ""}};
	const struct kv own[] = {{"arch", "x"}, {"disk", "ssd"}, {"rack", "7"}};
	struct kv *back, out[6];
	size_t n;

	(void)state;
	labels_encode(&w, over, ARRAY_LEN(over));
	assert_int_equal(labels_decode(&back, &n, &arena, w.p, w.len, NULL), 0);
	assert_int_equal(n, 3);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(back[i].key, over[i].key);
	assert_null(back[0].value);
	assert_string_equal(back[1].value, "8");
	assert_string_equal(back[2].value, "");
	n = labels_overlay(own, ARRAY_LEN(own), back, n, out);
	assert_int_equal(n, 3);
	assert_string_equal(out[0].key, "arch");
	assert_string_equal(out[1].key, "rack");
	assert_string_equal(out[1].value, "8");
	assert_string_equal(out[2].key, "zone");
	/* Nothing laid over, or nothing under it. */
	assert_int_equal(labels_overlay(own, 3, NULL, 0, out), 3);
	assert_int_equal(labels_overlay(NULL, 0, over, 3, out), 2);
}

static void voters_come_back(void **state)
{
	struct key32 voters[VOTERS_MAX] = {0}, back[VOTERS_MAX];
	size_t n;

	(void)state;
	for (size_t i = 0; i < VOTERS_MAX; i++)
		voters[i].b[31] = (uint8_t)i;
	for (size_t count = 1; count <= VOTERS_MAX; count += VOTERS_MAX - 1) {
		wr_reset(&w);
		voters_encode(&w, voters, count);
		assert_true(wr_ok(&w));
		assert_int_equal(voters_decode(back, &n, w.p, w.len, NULL), 0);
		assert_int_equal(n, count);
		assert_memory_equal(back, voters, count * sizeof(*voters));
	}
}

static void expect_refused(int status, const struct err *err, const char *what)
{
	assert_int_equal(status, -1);
	if (!strstr(err->text, what))
		fail_msg("\"%s\" does not say \"%s\"", err->text, what);
}

static void hostile_bytes_are_refused_and_named(void **state)
{
	struct key32 keys[VOTERS_MAX + 1] = {0};
	char long_text[SETTING_LABEL_MAX + 2];
	struct kv labels[FACTS_LABELS_MAX + 1];
	struct err err = {0};
	struct kv *l;
	bool drain;
	size_t n;

	(void)state;
#define DRAIN(bytes, what)                                                                                       \
	expect_refused(drain_decode(&drain, (const uint8_t *)(bytes), sizeof(bytes) - 1, &err), &err, what)
	DRAIN("", "setting drain: malformed");
	DRAIN("\x80", "is missing");
	DRAIN("\x81\xa5"
	      "drain\x01",
	        "boolean expected");
	DRAIN("\x81\xa5"
	      "drain\xc3\xc3",
	        "trailing");
	DRAIN("\x82\xa5"
	      "drain\xc3\xa5"
	      "drain\xc2",
	        "out of order");
	DRAIN("\x82\xa5"
	      "drain\xc3\xa1"
	      "a\xc2",
	        "out of order");
	DRAIN("\xdf\xff\xff\xff\xff", "malformed");
	DRAIN("\xc0", "malformed");
#undef DRAIN
	assert_int_equal(rebalance_decode((const uint8_t *)"\x80\x80", 2, &err), -1);
	assert_int_equal(rebalance_decode((const uint8_t *)"\x81\x01\x01", 3, &err), -1);

	/* labels */
	memset(long_text, 'x', sizeof(long_text));
	long_text[sizeof(long_text) - 1] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(labels); i++)
		labels[i] = (struct kv){arena_printf(&arena, "l%02zu", i), "v"};
	labels_encode(&w, labels, FACTS_LABELS_MAX);
	assert_int_equal(labels_decode(&l, &n, &arena, w.p, w.len, &err), 0);
	wr_reset(&w);
	labels_encode(&w, labels, FACTS_LABELS_MAX + 1);
	expect_refused(labels_decode(&l, &n, &arena, w.p, w.len, &err), &err, "too many");
	for (int side = 0; side < 2; side++) {
		wr_reset(&w);
		labels_encode(&w, &(struct kv){side ? "a" : long_text, side ? long_text : "a"}, 1);
		expect_refused(labels_decode(&l, &n, &arena, w.p, w.len, &err), &err, "too long");
	}
	wr_reset(&w);
	labels_encode(&w, (struct kv[]){{"b", "1"}, {"a", "1"}}, 2);
	expect_refused(labels_decode(&l, &n, &arena, w.p, w.len, &err), &err, "out of order");
	wr_reset(&w);
	labels_encode(&w, (struct kv[]){{"", "1"}}, 1);
	expect_refused(labels_decode(&l, &n, &arena, w.p, w.len, &err), &err, "without a name");
	expect_refused(labels_decode(&l, &n, &arena, (const uint8_t *)"\x81\xa1\x61\xc3", 4, &err), &err,
	        "text expected");

	/* voters */
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		keys[i].b[0] = (uint8_t)i;
	wr_reset(&w);
	voters_encode(&w, keys, 0);
	expect_refused(voters_decode(keys, &n, w.p, w.len, &err), &err, "not 1 to 64");
	wr_reset(&w);
	voters_encode(&w, keys, VOTERS_MAX + 1);
	expect_refused(voters_decode(keys, &n, w.p, w.len, &err), &err, "not 1 to 64");
	keys[0] = keys[1];
	wr_reset(&w);
	voters_encode(&w, keys, 2);
	expect_refused(voters_decode(keys, &n, w.p, w.len, &err), &err, "out of order");
	expect_refused(
	        voters_decode(keys, &n, (const uint8_t *)"\x91\xc4\x01\x00", 4, &err), &err, "another length");
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, start, finish)
	const struct CMUnitTest tests[] = {
	        STORY(a_peers_setting_is_named_after_its_id),
	        STORY(a_drain_says_yes_or_no),
	        STORY(entries_of_a_newer_version_are_stepped_over),
	        STORY(labels_come_back_and_nil_takes_one_away),
	        STORY(voters_come_back),
	        STORY(hostile_bytes_are_refused_and_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
