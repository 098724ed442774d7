/* When a shim whose agent is gone stops its task, in time that the story makes. */
#include "tests/unit/unit.h"

#include "node/runtime/watchdog.h"
#include "placement/spec/spec.h"

#define LIMIT SECONDS(30)

static struct watchdog w;
static mono_ms now;

static int setup(void **state)
{
	(void)state;
	watchdog_init(&w, LIMIT);
	now = 1000000;
	return 0;
}

/* A turn of the loop after so many ms. */
static bool after(int64_t ms, bool connected)
{
	return watchdog_turn(&w, connected, now += ms);
}

static void it_fires_once_when_no_agent_came_back_in_time(void **state)
{
	(void)state;
	assert_false(after(0, true));
	assert_false(after(0, false));
	assert_false(after(LIMIT - 1, false));
	assert_true(after(1, false));
	assert_false(after(LIMIT * 2, false));
	assert_false(after(0, true));
	assert_false(after(0, false));
	assert_false(after(LIMIT, false));
}

static void an_agent_back_in_time_cancels_it(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		assert_false(after(0, false));
		assert_false(after(LIMIT - 1, false));
		assert_false(after(0, true));
	}
	assert_false(after(LIMIT * 100, true));
}

static void while_an_agent_is_connected_there_is_no_timer(void **state)
{
	(void)state;
	after(0, true);
	assert_int_equal(w.due, MONO_NEVER);
	after(0, false);
	assert_int_equal(w.due, now + LIMIT);
	after(0, true);
	assert_int_equal(w.due, MONO_NEVER);
}

static void without_a_limit_it_never_fires(void **state)
{
	(void)state;
	watchdog_init(&w, 0);
	assert_false(after(0, false));
	assert_false(after(MINUTES(60 * 24), false));
	assert_int_equal(w.due, MONO_NEVER);
}

/* The shim was stopped for an hour, or its host stood still: an agent that went down a moment before stood still too. */
static void a_stall_gives_the_agent_the_time_of_a_restart_once(void **state)
{
	(void)state;
	after(0, false);
	assert_false(after(MINUTES(60), false));
	assert_int_equal(w.due, now + SPEC_WATCHDOG_MIN);
	assert_false(after(SPEC_WATCHDOG_MIN - 1, false));
	/* Another stall puts nothing off. */
	assert_true(after(MINUTES(60), false));
}

static void a_stall_in_which_the_agent_came_back_stops_nothing(void **state)
{
	(void)state;
	after(0, false);
	assert_false(after(MINUTES(60), true));
	/* And the next absence may stall again. */
	after(0, false);
	assert_false(after(MINUTES(60), false));
	assert_true(after(SPEC_WATCHDOG_MIN, false));
}

static void a_turn_that_is_a_little_late_is_no_stall(void **state)
{
	(void)state;
	after(0, false);
	assert_true(after(LIMIT + WATCHDOG_LATE_MS - 1, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup(it_fires_once_when_no_agent_came_back_in_time, setup),
	        cmocka_unit_test_setup(an_agent_back_in_time_cancels_it, setup),
	        cmocka_unit_test_setup(while_an_agent_is_connected_there_is_no_timer, setup),
	        cmocka_unit_test_setup(without_a_limit_it_never_fires, setup),
	        cmocka_unit_test_setup(a_stall_gives_the_agent_the_time_of_a_restart_once, setup),
	        cmocka_unit_test_setup(a_stall_in_which_the_agent_came_back_stops_nothing, setup),
	        cmocka_unit_test_setup(a_turn_that_is_a_little_late_is_no_stall, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
