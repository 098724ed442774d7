/* How long an agent that is restarted again and again waits before it takes new work. */
#include "tests/unit/unit.h"

#include "node/restarts.h"

static struct restarts r;
static wall_ms now;

static int setup(void **state)
{
	(void)state;
	r = (struct restarts){0};
	now = 1763830231042;
	return 0;
}

/* Ends by itself after so many ms, and is started again. */
static int64_t crash_after(int64_t ms)
{
	return restarts_begin(&r, now += ms);
}

static void the_first_start_and_one_after_a_calm_run_wait_for_nothing(void **state)
{
	(void)state;
	assert_int_equal(restarts_begin(&r, now), 0);
	assert_int_equal(crash_after(RESTART_CALM), 0);
	assert_int_equal(crash_after(MINUTES(60 * 24)), 0);
	assert_int_equal(r.in_a_row, 0);
}

static void each_restart_soon_after_the_last_doubles_the_wait_up_to_its_most(void **state)
{
	int64_t expected = RESTART_WAIT_FIRST;

	(void)state;
	restarts_begin(&r, now);
	for (uint32_t i = 1; i < 100; i++) {
		assert_int_equal(crash_after(SECONDS(1)), expected);
		assert_int_equal(r.in_a_row, i);
		expected = MIN(expected * 2, RESTART_WAIT_MAX);
	}
	assert_int_equal(expected, RESTART_WAIT_MAX);
}

/* It crashes as soon as it takes work, which each time is later: that must not look like a calm run. */
static void a_run_is_calm_only_when_it_took_work_for_a_minute(void **state)
{
	int64_t wait;

	(void)state;
	wait = restarts_begin(&r, now);
	for (int i = 0; i < 20; i++)
		wait = crash_after(wait + SECONDS(1));
	assert_int_equal(wait, RESTART_WAIT_MAX);
	assert_true(crash_after(wait + RESTART_CALM - 1) > 0);
	assert_int_equal(crash_after(wait + RESTART_CALM), 0);
	/* And it begins with the shortest again. */
	assert_int_equal(crash_after(SECONDS(1)), RESTART_WAIT_FIRST);
}

static void a_clean_stop_is_no_restart_and_forgets_those_before(void **state)
{
	(void)state;
	restarts_begin(&r, now);
	for (int i = 0; i < 5; i++) {
		restarts_end(&r);
		assert_int_equal(crash_after(SECONDS(2)), 0);
	}
	for (int i = 0; i < 5; i++)
		crash_after(SECONDS(2));
	restarts_end(&r);
	assert_int_equal(crash_after(SECONDS(2)), 0);
	assert_int_equal(crash_after(SECONDS(2)), RESTART_WAIT_FIRST);
}

static void a_clock_that_was_set_holds_nobody_back_for_long(void **state)
{
	(void)state;
	restarts_begin(&r, now);
	crash_after(SECONDS(1));
	assert_int_equal(crash_after(-MINUTES(60)), 0);
	crash_after(SECONDS(1));
	assert_int_equal(crash_after(MINUTES(60 * 24 * 365)), 0);
}

static void it_is_kept_and_what_cannot_be_read_counts_as_nothing(void **state)
{
	uint8_t buf[RESTARTS_BYTES + 1];
	struct restarts got;
	struct wr w;

	(void)state;
	restarts_begin(&r, now);
	crash_after(SECONDS(1));
	wr_fixed(&w, buf, RESTARTS_BYTES);
	restarts_put(&w, &r);
	assert_true(wr_ok(&w));
	assert_int_equal(w.len, RESTARTS_BYTES);
	restarts_get(&got, buf, RESTARTS_BYTES);
	assert_true(got.in_a_row == 1 && got.started == now);
	for (size_t len = 0; len <= sizeof(buf); len++)
		if (len != RESTARTS_BYTES) {
			restarts_get(&got, buf, len);
			assert_true(got.in_a_row == 0 && got.started == 0);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup(the_first_start_and_one_after_a_calm_run_wait_for_nothing, setup),
	        cmocka_unit_test_setup(each_restart_soon_after_the_last_doubles_the_wait_up_to_its_most, setup),
	        cmocka_unit_test_setup(a_run_is_calm_only_when_it_took_work_for_a_minute, setup),
	        cmocka_unit_test_setup(a_clean_stop_is_no_restart_and_forgets_those_before, setup),
	        cmocka_unit_test_setup(a_clock_that_was_set_holds_nobody_back_for_long, setup),
	        cmocka_unit_test_setup(it_is_kept_and_what_cannot_be_read_counts_as_nothing, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
