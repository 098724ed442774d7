/* Tables, cells, JSON of msgpack values, and what a terminal must not be told. */
#include "tests/unit/unit.h"

#include "cli/client.h"
#include "cli/output.h"

static const struct column cols[] = {
        {"NAME", "name", false, NULL},
        {"STATE", "state", false, NULL},
        {"EXIT", "exit.code", true, NULL},
        {"LABELS", "labels", false, NULL},
};

static json_t *rows(void)
{
	return json_loads(
	        "[{\"name\": \"a\", \"state\": \"alive\", \"exit\": {\"code\": 3}, \"labels\": {\"k\": \"v\", "
	        "\"l\": \"w\"}}, {\"name\": \"caf\\u00e9-long\", \"state\": null, \"labels\": [\"x\", \"y\"]}]",
	        0, NULL);
}

static char *print(enum cli_format format, bool quiet)
{
	struct cli cli = {.format = format, .quiet = quiet};
	json_t *list = rows();
	char *text = NULL;
	size_t len;

	cli.out = open_memstream(&text, &len);
	out_rows(&cli, list, cols, ARRAY_LEN(cols), "name");
	fclose(cli.out);
	json_decref(list);
	return text;
}

static void a_table_is_aligned_by_characters(void **state)
{
	char *text = print(FORMAT_TABLE, false);

	(void)state;
	assert_string_equal(text, "NAME        STATE   LABELS\n"
	                          "a           alive   k=v,l=w\n"
	                          "caf\xc3\xa9-long   -       x,y\n");
	free(text);
}

static void wide_shows_more_and_quiet_only_names(void **state)
{
	char *wide = print(FORMAT_WIDE, false);
	char *quiet = print(FORMAT_TABLE, true);

	(void)state;
	assert_non_null(strstr(wide, "EXIT"));
	assert_non_null(strstr(wide, "alive   3      k=v,l=w"));
	assert_string_equal(quiet, "a\ncaf\xc3\xa9-long\n");
	free(wide);
	free(quiet);
}

static void json_keeps_the_order_of_fields(void **state)
{
	char *text = print(FORMAT_JSON, false);
	json_t *back = json_loads(text, 0, NULL);
	json_t *want = rows();

	(void)state;
	assert_true(json_equal(back, want));
	assert_true(strstr(text, "\"name\"") < strstr(text, "\"state\""));
	json_decref(back);
	json_decref(want);
	free(text);
}

static void bytes_and_ages_read_as_people_say_them(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} sizes[] = {{0, "0 B"}, {1023, "1023 B"}, {1024, "1.0 KiB"}, {1536, "1.5 KiB"},
	        {200ULL << 20, "200 MiB"}, {3ULL << 30, "3.0 GiB"}, {UINT64_MAX, "1638 PiB"}};
	char text[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		out_bytes(text, sizeof(text), sizes[i].bytes);
		assert_string_equal(text, sizes[i].text);
	}
	out_age(text, sizeof(text), "1970-01-01T00:00:10.500Z", 70000);
	assert_string_equal(text, "60s");
	out_age(text, sizeof(text), "1970-01-01T00:00:00.000Z", 7200 * 1000);
	assert_string_equal(text, "2h");
	out_age(text, sizeof(text), "1970-01-01T00:00:00.000Z", 86400000LL * 3);
	assert_string_equal(text, "3d");
	out_age(text, sizeof(text), NULL, 5);
	assert_string_equal(text, "-");
}

static char *safe(const char *text, bool tty)
{
	char *got = NULL;
	size_t len;
	FILE *out = open_memstream(&got, &len);

	out_safe(out, text, strlen(text), tty);
	fclose(out);
	return got;
}

static void a_log_cannot_move_the_cursor_of_a_terminal(void **state)
{
	static const char hostile[] = "\033[31mred\033[0m \033[2Jgone\r\a\tend";
	char *tty = safe(hostile, true);
	char *file = safe(hostile, false);

	(void)state;
	assert_string_equal(tty, "\033[31mred\033[0m ?[2Jgone??\tend");
	assert_string_equal(file, hostile);
	free(tty);
	free(file);
}

static void every_kind_of_value_becomes_json(void **state)
{
	static const uint8_t blob[] = {0xde, 0xad};
	json_t *want;
	struct wr w;
	json_t *got;

	(void)state;
	wr_init(&w, 4096);
	pk_map(&w, 6);
	pk_kv_nil(&w, "nil");
	pk_kv_bool(&w, "bool", true);
	pk_kv_i64(&w, "int", -5);
	pk_str(&w, "real");
	pk_double(&w, 0.5);
	pk_kv_bin(&w, "bin", blob, sizeof(blob));
	pk_str(&w, "list");
	pk_array(&w, 2);
	pk_str(&w, "a");
	pk_map(&w, 0);
	got = value_json(w.p, w.len);
	want = json_pack("{s:n, s:b, s:i, s:f, s:s, s:[s, {}]}", "nil", "bool", 1, "int", -5, "real", 0.5, "bin",
	        "dead", "list", "a");
	assert_non_null(got);
	assert_true(json_equal(got, want));
	json_decref(got);
	json_decref(want);
	/* Every cut of it is refused, and so is what follows it. */
	for (size_t len = 0; len < w.len; len++)
		assert_null(value_json(w.p, len));
	wr_u8(&w, 0xc0);
	assert_null(value_json(w.p, w.len));
	wr_free(&w);
}

static void hostile_values_are_refused(void **state)
{
	static const uint8_t huge_array[] = {0xdd, 0xff, 0xff, 0xff, 0xff};
	static const uint8_t huge_map[] = {0xdf, 0xff, 0xff, 0xff, 0xff};
	uint8_t deep[200];

	(void)state;
	assert_null(value_json(huge_array, sizeof(huge_array)));
	assert_null(value_json(huge_map, sizeof(huge_map)));
	memset(deep, 0x91, sizeof(deep));
	deep[sizeof(deep) - 1] = 0xc0;
	assert_null(value_json(deep, sizeof(deep)));
}

static void a_map_in_a_cell_shows_texts_and_numbers(void **state)
{
	json_t *row = json_pack("{s:{s:s, s:i, s:n}}", "has", "zone", "a", "gpu", 2, "none");
	char cell[64];

	(void)state;
	out_cell(cell, sizeof(cell), row, "has");
	assert_string_equal(cell, "zone=a,gpu=2");
	json_decref(row);
}

static void an_objects_values_are_aligned_and_fractions_are_short(void **state)
{
	json_t *object =
	        json_pack("{s:s, s:{s:f, s:i}}", "name", "p1", "capacity", "cpus", 1.9, "memory_bytes", 5);
	struct cli cli = {.format = FORMAT_TABLE};
	char *text = NULL;
	size_t len;

	(void)state;
	cli.out = open_memstream(&text, &len);
	out_object(&cli, object);
	fclose(cli.out);
	assert_string_equal(text, "name                   p1\n"
	                          "capacity cpus          1.9\n"
	                          "capacity memory_bytes  5\n");
	free(text);
	cli.format = FORMAT_JSON;
	cli.out = open_memstream(&text, &len);
	out_object(&cli, object);
	fclose(cli.out);
	assert_non_null(strstr(text, "\"cpus\": 1.9,"));
	free(text);
	json_decref(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_map_in_a_cell_shows_texts_and_numbers),
	        cmocka_unit_test(an_objects_values_are_aligned_and_fractions_are_short),
	        cmocka_unit_test(a_table_is_aligned_by_characters),
	        cmocka_unit_test(wide_shows_more_and_quiet_only_names),
	        cmocka_unit_test(json_keeps_the_order_of_fields),
	        cmocka_unit_test(bytes_and_ages_read_as_people_say_them),
	        cmocka_unit_test(a_log_cannot_move_the_cursor_of_a_terminal),
	        cmocka_unit_test(every_kind_of_value_becomes_json),
	        cmocka_unit_test(hostile_values_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
