/* The client against an agent whose every byte is scripted: greeting, answers, faults, and nonsense. */
#include "tests/unit/unit.h"

#include "cli/list.h"
#include "cli/tail.h"
#include "tests/unit/cli/fake_agent.h"

#include <sodium.h>

static void rows_and_the_end_arrive_in_order(void **state)
{
	struct err err = {0};
	struct agent a;
	struct client *c;
	json_t *rows;
	json_t *end;

	(void)state;
	prepare(&a);
	greet(&a);
	say_row(&a, "x");
	say_row(&a, "y");
	say_end(&a);
	say_end(&a);
	go(&a);
	c = client_open(&a.cli, &err);
	assert_non_null(c);
	assert_string_equal(client_hello(c)->flock_name, "birds");
	rows = client_list(c, "members", NULL, false, &err);
	assert_int_equal(json_array_size(rows), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 1), "name")), "y");
	end = client_get(c, "status", NULL, false, &err);
	assert_string_equal(json_string_value(json_object_get(end, "state")), "ready");
	json_decref(rows);
	json_decref(end);
	finish(&a, c);
}

static void an_error_of_the_agent_decides_the_exit_code(void **state)
{
	struct err said = {.code = ERR_UNAUTHORISED, .text = "this key may not"};
	struct err err = {0};
	struct agent a;
	struct client *c;

	(void)state;
	prepare(&a);
	greet(&a);
	say_row(&a, "x");
	proto_error(&a.says, &said);
	go(&a);
	c = client_open(&a.cli, &err);
	assert_null(client_list(c, "members", NULL, false, &err));
	assert_int_equal(err.code, ERR_UNAUTHORISED);
	assert_string_equal(err.text, "this key may not");
	finish(&a, c);
}

static void a_watched_list_comes_whole_each_time(void **state)
{
	json_t *rows = json_array();
	struct err err = {0};
	struct agent a;
	struct client *c;

	(void)state;
	prepare(&a);
	greet(&a);
	proto_reset(&a.says, 2);
	say_row(&a, "x");
	say_row(&a, "y");
	proto_reset(&a.says, 1);
	say_row(&a, "z");
	go(&a);
	c = client_open(&a.cli, &err);
	assert_int_equal(list_next(c, &rows, 1000, &err), 1);
	assert_int_equal(json_array_size(rows), 2);
	assert_int_equal(list_next(c, &rows, 1000, &err), 1);
	assert_int_equal(json_array_size(rows), 1);
	assert_int_equal(list_next(c, &rows, 1000, &err), -1);
	assert_non_null(strstr(err.text, "closed the connection"));
	json_decref(rows);
	finish(&a, c);
}

static void an_agent_that_is_not_there_is_said_with_what_to_do(void **state)
{
	struct cli cli = {.data_dir = "/nonexistent/data"};
	struct err err = {0};

	(void)state;
	assert_null(client_open(&cli, &err));
	assert_int_equal(err.code, ERR_FAILED);
	assert_non_null(strstr(err.text, "starling agent --data /nonexistent/data"));
}

static void what_is_no_greeting_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {
	        {"", 0}, {"HTTP/1.1 400 Bad Request\r\n", 26}, {"\xff\xff\xff\xff", 4}, /* a message of 4 GiB */
	        {"\0\0\0\1\xc0", 5},                                                    /* nil */
	        {"\0\0\0\5\xdf\xff\xff\xff\xff", 9},                                    /* a map of 2^32 */
	        {"\0\0\0\0", 4}, {"\0\0\0\5\x81", 5},                                   /* cut */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = {0};
		struct agent a;

		prepare(&a);
		wr_bytes(&a.says, rows[i].bytes, rows[i].len);
		go(&a);
		assert_null(client_open(&a.cli, &err));
		assert_true(err.code != ERR_NONE && err.text[0]);
		finish(&a, NULL);
	}
}

static void nonsense_in_an_answer_ends_the_call_not_the_program(void **state)
{
	static const char *const replies[] = {
	        "\0\0\0\2\x80\xc0",                           /* trailing */
	        "\0\0\0\5\xdd\xff\xff\xff\xff",               /* array of 2^32 */
	        "\0\0\0\7\x81\xa4item\x91",                   /* item that is cut */
	        "\0\0\0\x0b\x81\xa4item\xdf\xff\xff\xff\xff", /* item that is a map of 2^32 */
	};
	static const size_t lens[] = {6, 9, 11, 15};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
		struct err err = {0};
		struct agent a;
		struct client *c;

		prepare(&a);
		greet(&a);
		wr_bytes(&a.says, replies[i], lens[i]);
		go(&a);
		c = client_open(&a.cli, &err);
		assert_non_null(c);
		assert_null(client_list(c, "members", NULL, false, &err));
		assert_true(err.code != ERR_NONE && err.text[0]);
		finish(&a, c);
	}
}

static void signing_without_a_key_is_not_authorised(void **state)
{
	struct err err = {0};
	struct agent a;
	struct client *c;

	(void)state;
	prepare(&a);
	greet(&a);
	go(&a);
	c = client_open(&a.cli, &err);
	assert_int_equal(client_request(c, "inspect", NULL, true, &err), -1);
	assert_int_equal(err.code, ERR_UNAUTHORISED);
	assert_non_null(strstr(err.text, "operator's key"));
	finish(&a, c);
}

static void log_lines_may_be_text_or_any_bytes(void **state)
{
	static const char bytes[] = "\xff\0\xfe";
	struct tail_line line;
	struct wr w;

	(void)state;
	wr_init(&w, 1024);
	pk_map(&w, 3);
	pk_kv_i64(&w, "at", 5);
	pk_kv_bool(&w, "stderr", true);
	pk_kv_bin(&w, "text", bytes, 3);
	assert_true(tail_read(w.p, w.len, &line));
	assert_int_equal(line.at, 5);
	assert_true(line.is_stderr);
	assert_int_equal(line.len, 3);
	for (size_t len = 0; len < w.len; len++)
		assert_false(tail_read(w.p, len, &line));
	wr_reset(&w);
	pk_map(&w, 2);
	pk_kv_str(&w, "text", "hello");
	pk_kv_str(&w, "later", "unknown fields are stepped over");
	assert_true(tail_read(w.p, w.len, &line));
	assert_memory_equal(line.text, "hello", 5);
	wr_free(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(rows_and_the_end_arrive_in_order),
	        cmocka_unit_test(an_error_of_the_agent_decides_the_exit_code),
	        cmocka_unit_test(a_watched_list_comes_whole_each_time),
	        cmocka_unit_test(an_agent_that_is_not_there_is_said_with_what_to_do),
	        cmocka_unit_test(what_is_no_greeting_is_refused),
	        cmocka_unit_test(nonsense_in_an_answer_ends_the_call_not_the_program),
	        cmocka_unit_test(signing_without_a_key_is_not_authorised),
	        cmocka_unit_test(log_lines_may_be_text_or_any_bytes),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
