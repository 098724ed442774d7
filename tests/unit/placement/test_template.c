/* Swarm's templates: which there are, and what becomes of all else that looks like one. */
#include "placement/spec/template.h"
#include "tests/unit/unit.h"

static const struct template_values values = {{
        [TEMPLATE_NODE_HOSTNAME] = "wren",
        [TEMPLATE_NODE_ID] = "0123456789abcdef",
        [TEMPLATE_SERVICE_ID] = "fedcba9876543210",
        [TEMPLATE_SERVICE_NAME] = "shop_web",
        [TEMPLATE_TASK_ID] = "00000000000000aa",
        [TEMPLATE_TASK_NAME] = "shop_web.3.00000000000000aa",
        [TEMPLATE_TASK_SLOT] = "3",
}};

static void each_template_becomes_its_value(void **state)
{
	static const char *const cases[][2] = {
	        {"", ""},
	        {"plain", "plain"},
	        {"{{.Task.Slot}}", "3"},
	        {"{{.Task.ID}}", "00000000000000aa"},
	        {"{{.Task.Name}}", "shop_web.3.00000000000000aa"},
	        {"{{.Node.Hostname}}", "wren"},
	        {"{{.Node.ID}}", "0123456789abcdef"},
	        {"{{.Service.Name}}", "shop_web"},
	        {"{{.Service.ID}}", "fedcba9876543210"},
	        {"web-{{ .Task.Slot  }}.{{.Node.Hostname}}!", "web-3.wren!"},
	        {"{{.Task.Slot}}{{.Task.Slot}}", "33"},
	        {"{{\"{{\"}}.Level}}", "{{.Level}}"},
	        {"{ {.Task.Slot}} }} {", "{ {.Task.Slot}} }} {"},
	};
	struct arena arena;

	(void)state;
	arena_init(&arena);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(template_check(cases[i][0], NULL), 0);
		assert_string_equal(template_expand(&arena, cases[i][0], &values), cases[i][1]);
	}
	arena_free(&arena);
}

static void anything_else_in_two_braces_is_refused_and_left_as_it_is(void **state)
{
	static const char *const cases[] = {"{{", "a{{b", "{{}}", "{{.Task.slot}}", "{{.Task.Slot",
	        "{{.Task.Slot}", "{{.Task.Slot | printf \"%d\"}}", "{{.Task.Slot.X}}", "{{{.Task.Slot}}}",
	        "{{.Node.Platform.OS}}", "{{\"{{\"", "{{\"{{\" x}}",
	        "{{.Task.Slot}}{{index .Service.Labels \"a\"}}"};
	struct arena arena;
	struct err err;

	(void)state;
	arena_init(&arena);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		err = (struct err){0};
		if (template_check(cases[i], &err) == 0)
			fail_msg("%s is taken", cases[i]);
		assert_int_equal(err.code, ERR_USAGE);
		assert_non_null(strstr(err.text, "{{.Task.Slot}}"));
		if (i < ARRAY_LEN(cases) - 1)
			assert_string_equal(template_expand(&arena, cases[i], &values), cases[i]);
	}
	assert_string_equal(template_expand(&arena, cases[ARRAY_LEN(cases) - 1], &values),
	        "3{{index .Service.Labels \"a\"}}");
	arena_free(&arena);
}

static void a_fault_is_found_where_it_stands(void **state)
{
	static const char text[] = "{{.Task.ID}} and {{.Task.Id}} here";
	size_t len = 0;

	(void)state;
	assert_ptr_equal(template_fault(text, &len), text + 17);
	assert_int_equal(len, strlen("{{.Task.Id}}"));
	assert_null(template_fault("{{.Task.ID}}", &len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_template_becomes_its_value),
	        cmocka_unit_test(anything_else_in_two_braces_is_refused_and_left_as_it_is),
	        cmocka_unit_test(a_fault_is_found_where_it_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
