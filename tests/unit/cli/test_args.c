/* The command line: options by tables, before and after the verb; near misses; addresses of services. */
#include "tests/unit/unit.h"

#include "cli/address.h"
#include "cli/cli.h"
#include "cli/near.h"

#define ARGV(...)                                                                                                \
	(char *[])                                                                                               \
	{                                                                                                        \
		"starling", __VA_ARGS__, NULL                                                                    \
	}

static bool help;

static int parse(struct cli *cli, char **argv, struct err *err)
{
	int argc = 0;

	while (argv[argc])
		argc++;
	*err = (struct err){0};
	return cli_parse(cli, argc, argv, &help, err);
}

static void global_options_stand_before_or_after_the_verb(void **state)
{
	struct err err;
	struct cli cli;

	(void)state;
	assert_int_equal(parse(&cli, ARGV("--data", "/d", "ps", "web", "-o", "json", "--timeout=10s"), &err), 0);
	assert_string_equal(cli.verb->name, "ps");
	assert_string_equal(cli.data_dir, "/d");
	assert_int_equal(cli.format, FORMAT_JSON);
	assert_int_equal(cli.timeout_ms, 10000);
	assert_int_equal(cli.n_args, 1);
	assert_string_equal(cli.args[0], "web");
	cli_free(&cli);
	assert_int_equal(parse(&cli, ARGV("-qojson", "ps", "--data=/e", "--watch"), &err), 0);
	assert_true(cli.quiet && cli.watch && !cli.force_clock);
	assert_int_equal(cli.format, FORMAT_JSON);
	assert_string_equal(cli.data_dir, "/e");
	cli_free(&cli);
	assert_int_equal(parse(&cli, ARGV("rm", "web", "--force-clock"), &err), 0);
	assert_true(cli.force_clock);
	cli_free(&cli);
}

static void the_environment_names_data_and_key_unless_flags_do(void **state)
{
	struct err err;
	struct cli cli;

	(void)state;
	setenv("STARLING_DATA", "/from/env", 1);
	setenv("STARLING_KEY", "/key/from/env", 1);
	assert_int_equal(parse(&cli, ARGV("ls"), &err), 0);
	assert_string_equal(cli.data_dir, "/from/env");
	assert_string_equal(cli.key_path, "/key/from/env");
	cli_free(&cli);
	assert_int_equal(parse(&cli, ARGV("ls", "--data", "/d", "--key", "/k"), &err), 0);
	assert_string_equal(cli.data_dir, "/d");
	assert_string_equal(cli.key_path, "/k");
	cli_free(&cli);
	unsetenv("STARLING_DATA");
	unsetenv("STARLING_KEY");
}

static void verbs_may_be_two_words_or_an_alias(void **state)
{
	struct err err;
	struct cli cli;

	(void)state;
	assert_int_equal(parse(&cli, ARGV("node", "ls"), &err), 0);
	assert_string_equal(cli.verb->name, "node ls");
	cli_free(&cli);
	assert_int_equal(parse(&cli, ARGV("up", "f.yaml"), &err), 0);
	assert_string_equal(cli.verb->name, "deploy");
	cli_free(&cli);
	assert_int_equal(parse(&cli, ARGV("down", "web"), &err), 0);
	assert_string_equal(cli.verb->name, "rm");
	cli_free(&cli);
	assert_int_equal(parse(&cli, ARGV("-q"), &err), 0);
	assert_null(cli.verb);
	cli_free(&cli);
}

static void options_of_a_verb_take_their_values_in_every_form(void **state)
{
	struct err err;
	struct cli cli;

	(void)state;
	assert_int_equal(parse(&cli, ARGV("logs", "web/app", "-fn5", "--since", "1m"), &err), 0);
	assert_true(cli_flag(&cli, "follow"));
	assert_false(cli_flag(&cli, "timestamps"));
	assert_int_equal(cli_number(&cli, "tail", 0), 5);
	assert_int_equal(cli_duration(&cli, "since", 0), 60000);
	cli_free(&cli);
	assert_int_equal(parse(&cli, ARGV("logs", "web/app", "--tail=7", "-n", "8"), &err), 0);
	assert_int_equal(cli_number(&cli, "tail", 0), 8);
	assert_int_equal(cli_duration(&cli, "since", 9), 9);
	cli_free(&cli);
	assert_int_equal(parse(&cli, ARGV("deploy", "-f", "a", "--file", "b", "--name", "n"), &err), 0);
	assert_string_equal(cli_list(&cli, "file", 0), "a");
	assert_string_equal(cli_list(&cli, "file", 1), "b");
	assert_null(cli_list(&cli, "file", 2));
	assert_string_equal(cli_text(&cli, "name"), "n");
	cli_free(&cli);
}

static void after_two_dashes_everything_is_an_argument(void **state)
{
	struct err err;
	struct cli cli;

	(void)state;
	assert_int_equal(parse(&cli, ARGV("validate", "--", "--odd.yaml"), &err), 0);
	assert_string_equal(cli.args[0], "--odd.yaml");
	cli_free(&cli);
	assert_int_equal(parse(&cli, ARGV("validate", "-"), &err), 0);
	assert_string_equal(cli.args[0], "-");
	cli_free(&cli);
}

static void wrong_use_is_code_2_and_says_what_was_meant(void **state)
{
	static const struct {
		const char *argv[6];
		const char *says;
	} rows[] = {
	        {{"deplyo"}, "did you mean `starling deploy`?"},
	        {{"nodes"}, "unknown verb nodes"},
	        {{"node"}, "node what?"},
	        {{"node", "lss"}, "did you mean `starling node ls`?"},
	        {{"ps", "--wacth"}, "did you mean --watch?"},
	        {{"ps", "--data"}, "--data needs a value: --data DIR"},
	        {{"ps", "-o", "yaml"}, "-o yaml: use table, wide or json"},
	        {{"ps", "--timeout", "soon"}, "not a duration"},
	        {{"ps", "--timeout", "0s"}, "not a duration"},
	        {{"logs", "a/b", "--tail", "-1"}, "not a whole number"},
	        {{"ps", "a", "b"}, "one argument too many: b"},
	        {{"rm"}, "usage: starling rm STACK"},
	        {{"ps", "--watch=yes"}, "--watch takes no value"},
	        {{"--follow", "logs", "a/b"}, "a verb's own options stand after the verb"},
	        {{"ps", "-z"}, "unknown option -z"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char *argv[8] = {"starling"};
		struct err err;
		struct cli cli;

		for (size_t k = 0; k < 6 && rows[i].argv[k]; k++)
			argv[k + 1] = (char *)rows[i].argv[k];
		assert_int_equal(parse(&cli, argv, &err), -1);
		assert_int_equal(err.code, ERR_USAGE);
		if (!strstr(err.text, rows[i].says))
			fail_msg("%s gave: %s", rows[i].argv[0], err.text);
		cli_free(&cli);
	}
}

static void help_needs_no_arguments(void **state)
{
	char *text = NULL;
	size_t len;
	struct err err;
	struct cli cli;
	FILE *out;

	(void)state;
	assert_int_equal(parse(&cli, ARGV("rm", "--help"), &err), 0);
	assert_true(help);
	out = open_memstream(&text, &len);
	cli_help(out, cli.verb);
	fclose(out);
	assert_non_null(strstr(text, "usage: starling rm STACK"));
	assert_non_null(strstr(text, "-y, --yes"));
	assert_non_null(strstr(text, "--data DIR"));
	free(text);
	cli_free(&cli);
}

/* A verb's option that hides a global one, or two that share a letter, could never be given. */
static void options_do_not_collide(void **state)
{
	(void)state;
	for (const struct cli_verb *v = cli_verbs; v->name; v++) {
		for (const struct cli_option *o = v->options; o->name; o++) {
			for (const struct cli_option *g = cli_globals; g->name; g++) {
				if (strcmp(o->name, g->name) == 0 || (o->letter && o->letter == g->letter))
					fail_msg("%s: --%s", v->name, o->name);
			}
			for (const struct cli_option *p = v->options; p != o; p++) {
				if (strcmp(o->name, p->name) == 0 || (o->letter && o->letter == p->letter))
					fail_msg("%s: --%s twice", v->name, o->name);
			}
			assert_true((o->kind == OPT_FLAG) == (o->value == NULL));
		}
		assert_true(v->min_args <= v->max_args);
	}
}

static void the_nearest_word_is_near(void **state)
{
	static const char *const words[] = {"replicas", "ports", "environment", "x"};

	(void)state;
	assert_string_equal(near_word("replcias", words, 4), "replicas");
	assert_string_equal(near_word("port", words, 4), "ports");
	assert_string_equal(near_word("enviroment", words, 4), "environment");
	assert_null(near_word("command", words, 4));
	assert_null(near_word("", words, 4));
	assert_null(near_word("y", words, 4));
	assert_null(near_word("ports", words, 4));
}

static void services_and_slots_are_addressed_by_paths(void **state)
{
	struct address a;
	struct err err;

	(void)state;
	assert_int_equal(address_parse(&a, "web", ADDRESS_STACK, &err), 0);
	assert_int_equal(a.depth, ADDRESS_STACK);
	assert_int_equal(address_parse(&a, "web/a_b/12", ADDRESS_SERVICE, &err), 0);
	assert_int_equal(a.depth, ADDRESS_SLOT);
	assert_string_equal(a.stack, "web");
	assert_string_equal(a.service, "a_b");
	assert_int_equal(a.slot, 12);
	assert_int_equal(address_parse(&a, "web", ADDRESS_SERVICE, &err), -1);
	assert_int_equal(address_parse(&a, "web/", ADDRESS_SERVICE, &err), -1);
	assert_int_equal(address_parse(&a, "/app", ADDRESS_SERVICE, &err), -1);
	assert_int_equal(address_parse(&a, "web/app/x", ADDRESS_SERVICE, &err), -1);
	assert_int_equal(address_parse(&a, "web/app/1/2", ADDRESS_SERVICE, &err), -1);
	assert_int_equal(address_parse(&a, "Web/app", ADDRESS_SERVICE, &err), -1);
	assert_int_equal(err.code, ERR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(global_options_stand_before_or_after_the_verb),
	        cmocka_unit_test(the_environment_names_data_and_key_unless_flags_do),
	        cmocka_unit_test(verbs_may_be_two_words_or_an_alias),
	        cmocka_unit_test(options_of_a_verb_take_their_values_in_every_form),
	        cmocka_unit_test(after_two_dashes_everything_is_an_argument),
	        cmocka_unit_test(wrong_use_is_code_2_and_says_what_was_meant),
	        cmocka_unit_test(help_needs_no_arguments),
	        cmocka_unit_test(options_do_not_collide),
	        cmocka_unit_test(the_nearest_word_is_near),
	        cmocka_unit_test(services_and_slots_are_addressed_by_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
