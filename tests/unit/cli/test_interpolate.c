/* Variables, words of a command, files of variables. */
#include "tests/unit/unit.h"

#include "cli/compose/envfile.h"
#include "cli/compose/words.h"

static unsigned unset_n;

static const char *get(void *ctx, const char *name)
{
	static const char *const env[][2] = {{"SET", "value"}, {"EMPTY", ""}, {"_U1", "under"}};

	(void)ctx;
	for (size_t i = 0; i < ARRAY_LEN(env); i++)
		if (strcmp(env[i][0], name) == 0)
			return env[i][1];
	return NULL;
}

static void count_unset(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
	unset_n++;
}

static const struct vars vars = {get, count_unset, NULL};

struct row {
	const char *in;
	const char *out; /* or part of the error */
};

static void values_are_filled_in_as_compose_does(void **state)
{
	static const struct row rows[] = {
	        {"no variable", "no variable"},
	        {"$SET", "value"},
	        {"${SET}", "value"},
	        {"a${SET}b$SET-c", "avalueb"
	                           "value-c"},
	        {"$_U1", "under"},
	        {"$$SET $$", "$SET $"},
	        {"${SET:-d} ${SET-d}", "value value"},
	        {"${EMPTY:-d} ${EMPTY-d}", "d "},
	        {"${NONE:-d} ${NONE-d}", "d d"},
	        {"${NONE:-}|${NONE-}", "|"},
	        {"${SET:+y} ${SET+y}", "y y"},
	        {"${EMPTY:+y}|${EMPTY+y}", "|y"},
	        {"${NONE:+y}|${NONE+y}", "|"},
	        {"${SET:?e} ${SET?e} ${EMPTY?e}", "value value "},
	        {"${NONE:-${SET}}", "value"},
	        {"${NONE:-${OTHER:-${SET:+deep}}}x", "deepx"},
	        {"${NONE:-a}b}", "ab}"},
	        {"${NONE:-$$}", "$"},
	        {"${NONE:-{}}", "{}"},
	        {"${NONE:-a:b-c?d+e}", "a:b-c?d+e"},
	        {"caf\xc3\xa9 $SET", "caf\xc3\xa9 value"},
	};
	struct arena arena;

	(void)state;
	arena_init(&arena);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = {0};
		const char *got = interpolate(&arena, rows[i].in, &vars, &err);

		if (!got)
			fail_msg("%s: %s", rows[i].in, err.text);
		assert_string_equal(got, rows[i].out);
	}
	arena_free(&arena);
}

static void what_is_no_variable_is_said(void **state)
{
	static const struct row rows[] = {
	        {"$", "$$ for a plain dollar"},
	        {"$1", "$$ for a plain dollar"},
	        {"a $ b", "$$ for a plain dollar"},
	        {"${", "no closing }"},
	        {"${SET", "no closing }"},
	        {"${NONE:-${SET}", "no closing }"},
	        {"${}", "neither a name"},
	        {"${ SET}", "neither a name"},
	        {"${SET:}", "may follow the name"},
	        {"${SET=x}", "may follow the name"},
	        {"${NONE:?tell me}", "variable NONE is unset or empty: tell me"},
	        {"${NONE?}", "variable NONE is unset"},
	        {"${EMPTY:?}", "variable EMPTY is unset or empty"},
	        {"${NONE:?the ${SET}}", "the value"},
	};
	struct arena arena;

	(void)state;
	arena_init(&arena);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = {0};

		assert_null(interpolate(&arena, rows[i].in, &vars, &err));
		if (!strstr(err.text, rows[i].out))
			fail_msg("%s gave: %s", rows[i].in, err.text);
	}
	arena_free(&arena);
}

static void nesting_and_growth_are_bounded(void **state)
{
	struct err err = {0};
	struct arena arena;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	arena_init(&arena);
	for (unsigned i = 0; i < 100; i++)
		fputs("${NONE:-", f);
	for (unsigned i = 0; i < 100; i++)
		fputc('}', f);
	fclose(f);
	assert_null(interpolate(&arena, text, &vars, &err));
	assert_non_null(strstr(err.text, "nested"));
	free(text);
	f = open_memstream(&text, &len);
	for (unsigned i = 0; i < 20000; i++)
		fputs("$SET", f);
	fclose(f);
	assert_null(interpolate(&arena, text, &vars, &err));
	assert_non_null(strstr(err.text, "longer than"));
	free(text);
	arena_free(&arena);
}

static void a_variable_that_becomes_nothing_is_reported(void **state)
{
	struct err err = {0};
	struct arena arena;

	(void)state;
	arena_init(&arena);
	unset_n = 0;
	assert_string_equal(
	        interpolate(&arena, "$NONE ${NONE} ${NONE:-x} ${NONE+x} $EMPTY", &vars, &err), "  x  ");
	assert_int_equal(unset_n, 2);
	arena_free(&arena);
}

static void a_command_is_split_as_a_shell_would(void **state)
{
	static const struct {
		const char *in;
		const char *out[4];
	} rows[] = {
	        {"a b  c", {"a", "b", "c"}},
	        {"  a\tb\n", {"a", "b"}},
	        {"'a b' \"c d\"", {"a b", "c d"}},
	        {"a'b'\"c\"d", {"abcd"}},
	        {"'' \"\"", {"", ""}},
	        {"a\\ b \\\\ \\'", {"a b", "\\", "'"}},
	        {"\"\\\"\\\\\\$\\x\" '\\n'", {"\"\\$\\x", "\\n"}},
	        {"a \\\n b", {"a", "", "b"}},
	        {"a;b|c >d", {"a;b|c", ">d"}},
	};
	const char *words[4];
	struct err err = {0};
	struct arena arena;

	(void)state;
	arena_init(&arena);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int n = words_split(&arena, rows[i].in, words, 4, &err);

		for (int k = 0; k < n; k++)
			assert_string_equal(words[k], rows[i].out[k]);
		assert_true(n == 4 || !rows[i].out[n]);
	}
	assert_int_equal(words_split(&arena, "a b c d e", words, 4, &err), -1);
	assert_int_equal(words_split(&arena, "a 'b", words, 4, &err), -1);
	assert_int_equal(words_split(&arena, "a \"b\\\"", words, 4, &err), -1);
	assert_int_equal(words_split(&arena, "", words, 4, &err), 0);
	arena_free(&arena);
}

static unsigned parse_env(struct arena *arena, const char *text, struct envfile *out, struct diags *diags)
{
	struct source *src = arena_alloc(arena, sizeof(*src));

	*src = (struct source){"x.env", text, strlen(text)};
	diags_init(diags, arena);
	envfile_parse(out, src, ENVFILE_COMPOSE, &vars, arena, diags);
	return (unsigned)diags->errors;
}

static void a_file_of_variables_reads_line_by_line(void **state)
{
	struct envfile f;
	struct arena arena;
	struct diags diags;

	(void)state;
	arena_init(&arena);
	assert_int_equal(
	        parse_env(&arena,
	                "\r\n#c\nA=1\r\nB = two # c\nexport C='x#y' # c\nD=\"a\\tb\\$SET$SET\"\nE\nF=$A-$SET\nA=2\nG=$A",
	                &f, &diags),
	        0);
	assert_string_equal(envfile_get(&f, "A"), "2");
	assert_string_equal(envfile_get(&f, "B"), "two");
	assert_string_equal(envfile_get(&f, "C"), "x#y");
	assert_string_equal(envfile_get(&f, "D"), "a\tb$SETvalue");
	assert_null(envfile_get(&f, "E"));
	assert_string_equal(envfile_get(&f, "F"), "1-value");
	assert_string_equal(envfile_get(&f, "G"), "2");
	arena_free(&arena);
}

static void its_faults_have_lines(void **state)
{
	static const struct {
		const char *in;
		uint32_t line, column;
	} rows[] = {
	        {"A=1\n=2\n", 2, 1},
	        {"A=1\nB C\n", 2, 3},
	        {"A='1\n2\n", 1, 3},
	        {"A=\"1\\\"\n", 1, 3},
	        {"A='x' y\n", 1, 7},
	        {"A=\"1\n2\" x\n", 2, 4},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct envfile f;
		struct arena arena;
		struct diags diags;

		arena_init(&arena);
		assert_int_equal(parse_env(&arena, rows[i].in, &f, &diags), 1);
		assert_int_equal(diags.list[0].mark.line, rows[i].line);
		assert_int_equal(diags.list[0].mark.column, rows[i].column);
		arena_free(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(values_are_filled_in_as_compose_does),
	        cmocka_unit_test(what_is_no_variable_is_said),
	        cmocka_unit_test(nesting_and_growth_are_bounded),
	        cmocka_unit_test(a_variable_that_becomes_nothing_is_reported),
	        cmocka_unit_test(a_command_is_split_as_a_shell_would),
	        cmocka_unit_test(a_file_of_variables_reads_line_by_line),
	        cmocka_unit_test(its_faults_have_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
