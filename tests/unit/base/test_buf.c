#include "tests/unit/unit.h"

#include "base/addr.h"
#include "base/drbg.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/pack.h"
#include "base/text.h"

static void a_truncated_read_sticks_and_gives_zero(void **state)
{
	static const uint8_t bytes[] = {1, 2, 3};
	struct rd r;
	struct err err = {0};

	(void)state;
	rd_init(&r, bytes, sizeof(bytes));
	assert_int_equal(rd_u16(&r), 0x0102);
	assert_int_equal(rd_u32(&r), 0);
	assert_int_equal(rd_u8(&r), 0);
	assert_int_equal(rd_end(&r, &err), -1);
	assert_int_equal(err.code, ERR_USAGE);
}

static void trailing_bytes_are_refused(void **state)
{
	static const uint8_t bytes[] = {1, 2};
	struct rd r;
	struct err err = {0};

	(void)state;
	rd_init(&r, bytes, sizeof(bytes));
	rd_u8(&r);
	assert_int_equal(rd_end(&r, &err), -1);
	assert_non_null(strstr(err.text, "1 trailing"));
}

static void a_writer_stops_at_its_bound(void **state)
{
	struct wr w;

	(void)state;
	wr_init(&w, 6);
	wr_u32(&w, 7);
	assert_true(wr_ok(&w));
	wr_u32(&w, 8);
	assert_false(wr_ok(&w));
	assert_int_equal(w.len, 4);
	wr_free(&w);
}

static void msgpack_survives_a_round_trip(void **state)
{
	struct wr w;
	struct rd r;
	size_t len;
	char name[8];

	(void)state;
	wr_init(&w, 1000);
	pk_map(&w, 4);
	pk_kv_str(&w, "name", "web");
	pk_kv_i64(&w, "n", -5);
	pk_kv_u64(&w, "big", UINT64_MAX);
	pk_kv_bin(&w, "id", "\1\2", 2);
	rd_init(&r, w.p, w.len);
	assert_int_equal(up_map(&r), 4);
	up_str(&r, &len);
	up_str_copy(&r, name, sizeof(name));
	assert_string_equal(name, "web");
	up_str(&r, &len);
	assert_int_equal(up_i64(&r), -5);
	up_skip(&r);
	assert_true(up_u64(&r) == UINT64_MAX);
	up_skip(&r);
	assert_int_equal(up_peek(&r), UP_BIN);
	up_skip(&r);
	assert_int_equal(rd_end(&r, NULL), 0);
	wr_free(&w);
}

static void a_container_cannot_announce_more_than_there_is(void **state)
{
	static const uint8_t array32[] = {0xdd, 0xff, 0xff, 0xff, 0xff, 1};
	static const uint8_t map32[] = {0xdf, 0xff, 0xff, 0xff, 0xff, 1};
	static const uint8_t str32[] = {0xdb, 0xff, 0xff, 0xff, 0xff, 1};
	struct rd r;
	size_t len;

	(void)state;
	rd_init(&r, array32, sizeof(array32));
	assert_int_equal(up_array(&r), 0);
	assert_false(rd_ok(&r));
	rd_init(&r, map32, sizeof(map32));
	assert_int_equal(up_map(&r), 0);
	assert_false(rd_ok(&r));
	rd_init(&r, str32, sizeof(str32));
	assert_null(up_str(&r, &len));
	rd_init(&r, array32, sizeof(array32));
	up_skip(&r);
	assert_false(rd_ok(&r));
}

static void nesting_is_bounded(void **state)
{
	uint8_t deep[64];
	struct rd r;

	(void)state;
	memset(deep, 0x91, sizeof(deep));
	deep[63] = 0xc0;
	rd_init(&r, deep, sizeof(deep));
	up_skip(&r);
	assert_false(rd_ok(&r));
}

static void addresses_read_and_print(void **state)
{
	struct addr a;
	char text[ADDR_TEXT_MAX];
	struct err err;

	(void)state;
	assert_int_equal(addr_parse(&a, "127.78.0.1:7827", 0, &err), 0);
	addr_text(text, &a);
	assert_string_equal(text, "127.78.0.1:7827");
	assert_int_equal(addr_parse(&a, "[::1]:53", 0, &err), 0);
	addr_text(text, &a);
	assert_string_equal(text, "[::1]:53");
	assert_int_equal(addr_parse(&a, "::1", 7827, &err), 0);
	assert_int_equal(a.port, 7827);
	assert_int_equal(addr_parse(&a, "10.0.0.1", 0, &err), -1);
	assert_int_equal(addr_parse(&a, "host:1", 0, &err), -1);
	assert_int_equal(addr_parse(&a, "10.0.0.1:70000", 0, &err), -1);
	assert_int_equal(addr_parse(&a, "[::1]x", 1, &err), -1);
}

static void durations_and_sizes_follow_compose(void **state)
{
	int64_t ms;
	uint64_t n;

	(void)state;
	assert_true(text_duration("1h5m30s20ms", &ms));
	assert_true(ms == 3930020);
	assert_true(text_duration("1.5s", &ms));
	assert_true(ms == 1500);
	assert_false(text_duration("10", &ms));
	assert_false(text_duration("", &ms));
	assert_false(text_duration("-1s", &ms));
	assert_false(text_duration("99999999999999999999h", &ms));
	assert_true(text_size("64m", &n));
	assert_true(n == 64 << 20);
	assert_true(text_size("1GB", &n));
	assert_true(n == 1 << 30);
	assert_true(text_size("300", &n));
	assert_true(n == 300);
	assert_false(text_size("12q", &n));
	assert_true(text_milli("0.25", &n));
	assert_true(n == 250);
	assert_false(text_milli("1.2345", &n));
}

static void utf8_is_checked(void **state)
{
	(void)state;
	assert_true(text_is_utf8("gr\xc3\xbc\xc3\x9f", 6));
	assert_false(text_is_utf8("\xc0\xaf", 2));
	assert_false(text_is_utf8("\xed\xa0\x80", 3));
	assert_false(text_is_utf8("a\0b", 3));
	assert_false(text_is_utf8("\xf5\x80\x80\x80", 4));
}

static void globs_match(void **state)
{
	(void)state;
	assert_true(text_glob("shop-*", "shop-web"));
	assert_true(text_glob("*", ""));
	assert_false(text_glob("shop-?", "shop-ab"));
	assert_true(text_glob("a*b*c", "axxbxxbxc"));
}

static void a_map_forgets_what_is_deleted_and_keeps_the_rest(void **state)
{
	struct map m;
	static int value[2000];
	struct drbg rng;

	(void)state;
	drbg_init_u64(&rng, 7, 0);
	map_init(&m, 4, NULL);
	for (uint32_t i = 0; i < 2000; i++)
		map_put(&m, &i, &value[i]);
	for (uint32_t i = 0; i < 2000; i += 2)
		assert_ptr_equal(map_del(&m, &i), &value[i]);
	for (uint32_t i = 0; i < 2000; i++)
		assert_ptr_equal(map_get(&m, &i), i % 2 ? &value[i] : NULL);
	assert_int_equal(m.len, 1000);
	map_free(&m);
}

static void the_generator_replays_from_its_seed(void **state)
{
	struct drbg a, b;
	uint8_t x[1000], y[1000];

	(void)state;
	drbg_init_u64(&a, 1, 2);
	drbg_init_u64(&b, 1, 2);
	drbg_bytes(&a, x, sizeof(x));
	for (size_t i = 0; i < sizeof(y); i++)
		drbg_bytes(&b, y + i, 1);
	assert_memory_equal(x, y, sizeof(x));
	for (int i = 0; i < 1000; i++)
		assert_true(drbg_below(&a, 10) < 10);
}

static void time_prints_as_rfc3339(void **state)
{
	char text[25];
	wall_ms t;

	(void)state;
	text_time(text, 0);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
	text_time(text, 1795366231042);
	assert_true(text_time_parse(text, &t));
	assert_true(t == 1795366231042);
	assert_false(text_time_parse("2026-13-01T00:00:00.000Z", &t));
	assert_false(text_time_parse("yesterday", &t));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_truncated_read_sticks_and_gives_zero),
	        cmocka_unit_test(trailing_bytes_are_refused),
	        cmocka_unit_test(a_writer_stops_at_its_bound),
	        cmocka_unit_test(msgpack_survives_a_round_trip),
	        cmocka_unit_test(a_container_cannot_announce_more_than_there_is),
	        cmocka_unit_test(nesting_is_bounded),
	        cmocka_unit_test(addresses_read_and_print),
	        cmocka_unit_test(durations_and_sizes_follow_compose),
	        cmocka_unit_test(utf8_is_checked),
	        cmocka_unit_test(globs_match),
	        cmocka_unit_test(a_map_forgets_what_is_deleted_and_keeps_the_rest),
	        cmocka_unit_test(the_generator_replays_from_its_seed),
	        cmocka_unit_test(time_prints_as_rfc3339),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
