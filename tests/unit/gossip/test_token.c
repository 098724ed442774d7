#include "tests/unit/gossip/golden.h"

#include "base/text.h"
#include "gossip/trust/token.h"

#include <sodium.h>

static struct token sample(size_t n)
{
	struct token t = {.n_addrs = n};

	memset(t.flock.b, 0xf1, sizeof(t.flock.b));
	memset(t.invite_seed, 0x5e, sizeof(t.invite_seed));
	for (size_t i = 0; i < n; i++)
		addr_parse(&t.addrs[i], i % 2 ? "[2001:db8::7]" : "192.0.2.4", 7827, NULL);
	return t;
}

static void the_text_of_a_token_is_that_of_the_golden_file(void **state)
{
	struct token t = sample(2);
	char text[TOKEN_TEXT_MAX];

	(void)state;
	assert_int_equal(token_format(text, &t, NULL), 0);
	golden_text("token.txt", text);
}

static void a_token_survives_a_round_trip_with_any_number_of_addresses(void **state)
{
	(void)state;
	for (size_t n = 0; n <= TOKEN_ADDRS_MAX; n++) {
		struct token t = sample(n), back;
		char text[TOKEN_TEXT_MAX + 4];

		assert_int_equal(token_format(text + 2, &t, NULL), 0);
		text[0] = ' ', text[1] = '\n'; /* as pasted */
		assert_int_equal(token_parse(&back, text, NULL), 0);
		assert_true(key32_eq(&back.flock, &t.flock));
		assert_memory_equal(back.invite_seed, t.invite_seed, 32);
		assert_int_equal(back.n_addrs, n);
		for (size_t i = 0; i < n; i++)
			assert_true(addr_eq(&back.addrs[i], &t.addrs[i]));
	}
}

static void every_truncation_and_every_typo_is_refused_with_a_reason(void **state)
{
	struct token t = sample(2), back;
	char text[TOKEN_TEXT_MAX];
	size_t len;

	(void)state;
	assert_int_equal(token_format(text, &t, NULL), 0);
	len = strlen(text);
	for (size_t i = 0; i < len; i++) {
		char cut[TOKEN_TEXT_MAX];
		struct err err = {0};

		memcpy(cut, text, i);
		cut[i] = '\0';
		assert_int_equal(token_parse(&back, cut, &err), -1);
		assert_int_equal(err.code, ERR_USAGE);
		memcpy(cut, text, len + 1);
		cut[i] = cut[i] == 'A' ? 'B' : 'A';
		assert_int_equal(token_parse(&back, cut, &err), -1);
		assert_true(key32_is_zero(&back.flock));
	}
}

static const char *reason(const char *text)
{
	static struct err err;
	struct token t;

	err = (struct err){0};
	assert_int_equal(token_parse(&t, text, &err), -1);
	return err.text;
}

static void reasons_tell_foreign_text_from_damage_and_from_another_version(void **state)
{
	char text[TOKEN_TEXT_MAX], longer[TOKEN_TEXT_MAX + 8];
	struct token t = sample(1);

	(void)state;
	assert_non_null(strstr(reason("SWMTKN-1-49nj1cmql0"), "no Starling token"));
	assert_non_null(strstr(reason(""), "no Starling token"));
	assert_non_null(strstr(reason("STARLING2-AAAA"), "version"));
	assert_non_null(strstr(reason("STARLING1-"), "end is missing"));
	assert_non_null(strstr(reason("STARLING1-A%"), "damaged"));
	token_format(text, &t, NULL);
	snprintf(longer, sizeof(longer), "%s x", text);
	assert_non_null(strstr(reason(longer), "damaged"));
	text[strlen(text) / 2] = '\0';
	assert_non_null(strstr(reason(text), "end is missing"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_text_of_a_token_is_that_of_the_golden_file),
	        cmocka_unit_test(a_token_survives_a_round_trip_with_any_number_of_addresses),
	        cmocka_unit_test(every_truncation_and_every_typo_is_refused_with_a_reason),
	        cmocka_unit_test(reasons_tell_foreign_text_from_damage_and_from_another_version),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
