#include "tests/unit/unit.h"

#include "base/drbg.h"
#include "base/text.h"

static void hex_takes_exactly_what_it_should(void **state)
{
	uint8_t out[3];
	char text[7];

	(void)state;
	hex_encode(text, "\x00\xab\xff", 3);
	assert_string_equal(text, "00abff");
	assert_true(hex_decode(out, 3, "00ABff"));
	assert_memory_equal(out, "\x00\xab\xff", 3);
	assert_false(hex_decode(out, 3, "00abf"));
	assert_false(hex_decode(out, 3, "00abff0"));
	assert_false(hex_decode(out, 3, "00abfg"));
	assert_false(hex_decode(out, 3, ""));
}

static void short_ids_sort_as_text_as_they_do_as_numbers(void **state)
{
	char small[17], large[17];
	id64 back;

	(void)state;
	id64_text(small, 0x00000000000000ff);
	id64_text(large, 0x0100000000000000);
	assert_true(strcmp(small, large) < 0);
	assert_true(id64_parse(&back, large));
	assert_true(back == 0x0100000000000000);
	assert_false(id64_parse(&back, "0100"));
}

static void a_label_is_what_dns_and_people_can_write(void **state)
{
	char long_label[65];

	(void)state;
	memset(long_label, 'a', 64);
	long_label[64] = '\0';
	assert_true(text_is_label("a", false));
	assert_true(text_is_label("web-1", false));
	assert_true(text_is_label(long_label + 1, false));
	assert_false(text_is_label(long_label, false));
	assert_false(text_is_label("", false));
	assert_false(text_is_label("-a", false));
	assert_false(text_is_label("a-", false));
	assert_false(text_is_label("A", false));
	assert_false(text_is_label("a.b", false));
	assert_false(text_is_label("\xc3\xbc", false));
	assert_false(text_is_label("a_b", false));
	assert_true(text_is_label("a_b", true));
}

static void a_copy_is_cut_and_ends(void **state)
{
	char out[4];

	(void)state;
	text_copy(out, sizeof(out), "abcdef");
	assert_string_equal(out, "abc");
	text_copy(out, sizeof(out), "a");
	assert_string_equal(out, "a");
	text_copy(out, 1, "a");
	assert_string_equal(out, "");
}

static void numbers_have_bounds_and_no_signs(void **state)
{
	uint64_t n;

	(void)state;
	assert_true(text_u64("0", 0, 10, &n));
	assert_true(text_u64("18446744073709551615", 0, UINT64_MAX, &n));
	assert_true(n == UINT64_MAX);
	assert_false(text_u64("18446744073709551616", 0, UINT64_MAX, &n));
	assert_false(text_u64("11", 0, 10, &n));
	assert_false(text_u64("1", 2, 10, &n));
	assert_false(text_u64("", 0, 10, &n));
	assert_false(text_u64("+1", 0, 10, &n));
	assert_false(text_u64("-1", 0, 10, &n));
	assert_false(text_u64(" 1", 0, 10, &n));
	assert_false(text_u64("1 ", 0, 10, &n));
	assert_false(text_u64("0x1", 0, 10, &n));
}

static void sizes_and_durations_do_not_wrap(void **state)
{
	uint64_t n;
	int64_t ms;

	(void)state;
	assert_true(text_size("0.5k", &n));
	assert_true(n == 512);
	assert_false(text_size("99999999999999999t", &n));
	assert_false(text_size("1kk", &n));
	assert_false(text_size("1.", &n));
	assert_false(text_size(".5k", &n));
	assert_false(text_size("-1k", &n));
	assert_false(text_duration("1000000000000000h", &ms));
	assert_false(text_duration("2000000h2000000h2000000h", &ms));
	assert_false(text_duration("1h30", &ms));
	assert_false(text_duration("s", &ms));
	assert_true(text_duration("60d12h", &ms));
	assert_int_equal(ms, (60 * 24 + 12) * 3600000LL);
	assert_false(text_duration("100000000000d", &ms));
	assert_true(text_duration("1500us", &ms));
	assert_true(ms == 1);
	assert_true(text_duration("0s", &ms));
	assert_true(ms == 0);
}

/* Every code point, well-formed and with one byte spoiled, against the definition in RFC 3629 section 3. */
static void utf8_follows_the_definition_for_every_code_point(void **state)
{
	(void)state;
	for (uint32_t point = 1; point <= 0x110000; point++) {
		char s[4];
		size_t len;

		if (point < 0x80) {
			s[0] = (char)point;
			len = 1;
		} else if (point < 0x800) {
			s[0] = (char)(0xc0 | point >> 6);
			s[1] = (char)(0x80 | (point & 0x3f));
			len = 2;
		} else if (point < 0x10000) {
			s[0] = (char)(0xe0 | point >> 12);
			s[1] = (char)(0x80 | (point >> 6 & 0x3f));
			s[2] = (char)(0x80 | (point & 0x3f));
			len = 3;
		} else {
			s[0] = (char)(0xf0 | point >> 18);
			s[1] = (char)(0x80 | (point >> 12 & 0x3f));
			s[2] = (char)(0x80 | (point >> 6 & 0x3f));
			s[3] = (char)(0x80 | (point & 0x3f));
			len = 4;
		}
		bool surrogate = point >= 0xd800 && point <= 0xdfff;

		if (text_is_utf8(s, len) != (!surrogate && point <= 0x10ffff))
			fail_msg("U+%04X", point);
		if (len > 1 && text_is_utf8(s, len - 1))
			fail_msg("U+%04X cut", point);
	}
}

static void a_glob_agrees_with_its_definition(void **state)
{
	static const char *const alphabet = "ab*?";
	struct drbg rng;

	(void)state;
	drbg_init_u64(&rng, 3, 0);
	for (int round = 0; round < 20000; round++) {
		char glob[7] = {0}, s[7] = {0};
		size_t n_glob = drbg_below(&rng, 7), n = drbg_below(&rng, 7);
		bool match[8][8] = {0};

		for (size_t i = 0; i < n_glob; i++)
			glob[i] = alphabet[drbg_below(&rng, 4)];
		for (size_t i = 0; i < n; i++)
			s[i] = alphabet[drbg_below(&rng, 2)];
		/* match[i][j]: glob from i on matches s from j on. */
		match[n_glob][n] = true;
		for (size_t i = n_glob; i-- > 0;)
			for (size_t j = n + 1; j-- > 0;)
				match[i][j] = glob[i] == '*' ? match[i + 1][j] || (j < n && match[i][j + 1])
				                             : j < n && (glob[i] == '?' || glob[i] == s[j]) &&
				                                       match[i + 1][j + 1];
		if (text_glob(glob, s) != match[0][0])
			fail_msg("glob \"%s\" and \"%s\"", glob, s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(hex_takes_exactly_what_it_should),
	        cmocka_unit_test(short_ids_sort_as_text_as_they_do_as_numbers),
	        cmocka_unit_test(a_label_is_what_dns_and_people_can_write),
	        cmocka_unit_test(a_copy_is_cut_and_ends),
	        cmocka_unit_test(numbers_have_bounds_and_no_signs),
	        cmocka_unit_test(sizes_and_durations_do_not_wrap),
	        cmocka_unit_test(utf8_follows_the_definition_for_every_code_point),
	        cmocka_unit_test(a_glob_agrees_with_its_definition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
