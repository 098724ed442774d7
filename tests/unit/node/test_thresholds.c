#include "tests/unit/unit.h"

#include "node/health/probe.h"
#include "node/health/thresholds.h"

static const struct spec_check check = {
        .kind = CHECK_TCP, .interval_ms = 1000, .start_interval_ms = 200, .retries = 3};

static void a_new_task_is_asked_soon_and_ever_less_often(void **state)
{
	struct thresholds t;
	mono_ms now = 0, before = 0;
	int64_t gap = 0;

	(void)state;
	thresholds_init(&t, &check, HEALTH_NONE, now);
	assert_int_equal(t.health, HEALTH_STARTING);
	assert_int_equal(t.next, HEALTH_FIRST_MS);
	while (t.next < check.interval_ms) {
		before = now;
		now = t.next;
		assert_false(thresholds_result(&t, &check, false, now));
		assert_true(now - before >= gap);
		assert_true(now - before <= check.start_interval_ms);
		gap = now - before;
	}
	assert_int_equal(t.next, check.interval_ms);
	assert_int_equal(t.streak, 0);
}

static void as_many_failures_as_retries_make_it_unhealthy(void **state)
{
	struct thresholds t;

	(void)state;
	thresholds_init(&t, &check, HEALTH_STARTING, 0);
	assert_false(thresholds_result(&t, &check, false, 1000));
	assert_false(thresholds_result(&t, &check, false, 2000));
	assert_int_equal(t.next, 3000);
	assert_true(thresholds_result(&t, &check, false, 3000));
	assert_int_equal(t.health, HEALTH_UNHEALTHY);
	assert_false(thresholds_result(&t, &check, false, 4000));
	assert_true(thresholds_result(&t, &check, true, 5000));
	assert_int_equal(t.health, HEALTH_HEALTHY);
}

static void a_success_between_starts_the_count_again(void **state)
{
	struct thresholds t;

	(void)state;
	thresholds_init(&t, &check, HEALTH_HEALTHY, 0);
	for (int i = 0; i < 10; i++) {
		thresholds_result(&t, &check, false, 1000);
		thresholds_result(&t, &check, false, 2000);
		thresholds_result(&t, &check, true, 3000);
	}
	assert_int_equal(t.health, HEALTH_HEALTHY);
}

static void failures_in_the_start_period_do_not_count(void **state)
{
	struct spec_check c = check;
	struct thresholds t;

	(void)state;
	c.start_period_ms = 10000;
	thresholds_init(&t, &c, HEALTH_STARTING, 0);
	for (mono_ms now = t.next; now < 10000; now = t.next) {
		assert_false(thresholds_result(&t, &c, false, now));
		assert_true(t.next - now <= c.start_interval_ms);
	}
	assert_int_equal(t.streak, 0);
	assert_int_equal(t.next, 10000);
	thresholds_result(&t, &c, false, 10000);
	assert_int_equal(t.streak, 1);
}

static void after_the_first_success_failures_count_even_in_the_start_period(void **state)
{
	struct spec_check c = check;
	struct thresholds t;

	(void)state;
	c.start_period_ms = 100000;
	thresholds_init(&t, &c, HEALTH_STARTING, 0);
	assert_true(thresholds_result(&t, &c, true, 50));
	assert_int_equal(t.next, 1050);
	thresholds_result(&t, &c, false, 1050);
	thresholds_result(&t, &c, false, 2050);
	assert_true(thresholds_result(&t, &c, false, 3050));
	assert_int_equal(t.health, HEALTH_UNHEALTHY);
}

static void what_is_left_out_takes_composes_defaults(void **state)
{
	static const struct spec_check empty = {.kind = CHECK_TCP};
	struct thresholds t;

	(void)state;
	thresholds_init(&t, &empty, HEALTH_HEALTHY, 0);
	assert_int_equal(t.next, HEALTH_ADOPTED_MS);
	thresholds_result(&t, &empty, false, 1000);
	assert_int_equal(t.next, 31000);
	thresholds_result(&t, &empty, false, 31000);
	assert_int_equal(t.health, HEALTH_HEALTHY);
	thresholds_result(&t, &empty, false, 61000);
	assert_int_equal(t.health, HEALTH_UNHEALTHY);
}

static void http_answers_are_read_with_care(void **state)
{
	static const struct {
		const char *bytes;
		int status;
	} table[] = {
	        {"", 0},
	        {"HTT", 0},
	        {"HTTP/1.1 20", 0},
	        {"HTTP/1.1 200", 200},
	        {"HTTP/1.0 301 Moved", 301},
	        {"HTTP/1.1 503 Service Unavailable\r\n", 503},
	        {"HTTP/2 200", -1},
	        {"SSH-2.0-OpenSSH", -1},
	        {"HTTP/1.1 2x0", -1},
	        {"HTTP/1.1 099", -1},
	        {"HTTP/1.12200", -1},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		assert_int_equal(http_status(table[i].bytes, strlen(table[i].bytes)), table[i].status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_new_task_is_asked_soon_and_ever_less_often),
	        cmocka_unit_test(as_many_failures_as_retries_make_it_unhealthy),
	        cmocka_unit_test(a_success_between_starts_the_count_again),
	        cmocka_unit_test(failures_in_the_start_period_do_not_count),
	        cmocka_unit_test(after_the_first_success_failures_count_even_in_the_start_period),
	        cmocka_unit_test(what_is_left_out_takes_composes_defaults),
	        cmocka_unit_test(http_answers_are_read_with_care),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
