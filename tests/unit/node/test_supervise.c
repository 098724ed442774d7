#include "tests/unit/unit.h"

#include "node/runtime/supervise.h"

static const struct spec_restart_policy any = {.condition = RESTART_ANY, .delay_ms = 100, .window_ms = 5000};

static struct drbg rng(void)
{
	struct drbg d;

	drbg_init_u64(&d, 1, 0);
	return d;
}

/* The whole table again, as one would draw it on paper: rows are states, columns events in the order of the enum.
 * "." nothing happens; else the next state's letter and the action's. */
/* clang-format off */
static const char *const grid[SUPERVISE_STATES] = {
        /*                  start  prep   block  refuse start. healthy unhea. keep   again  done   failed timer  stop   gone */
        [TASK_PENDING]   = "Pp     .      .      .      .      .      .      .      .      .      .      .      De     Le",
        [TASK_PREPARING] = ".      Sl     Bw     Fe     .      .      .      .      .      .      .      .      De     Le",
        [TASK_STARTING]  = ".      .      Bw     Fe     Rh     .      .      .      Bw     De     Fe     .      Ts     Le",
        [TASK_RUNNING]   = ".      .      .      .      .      .      Us     U-     Bw     De     Fe     .      Ts     Le",
        [TASK_UNHEALTHY] = ".      .      .      .      .      R-     .      .      Bw     De     Fe     .      Ts     Le",
        [TASK_STOPPING]  = ".      .      De     De     .      .      .      .      De     De     De     .      .      Le",
        [TASK_BACKOFF]   = ".      .      .      .      .      .      .      .      .      .      .      Pp     De     Le",
        [TASK_DONE]      = ".      .      .      .      .      .      .      .      .      .      .      .      .      .",
        [TASK_FAILED]    = ".      .      .      .      .      .      .      .      .      .      .      .      .      .",
        [TASK_LOST]      = ".      .      .      .      .      .      .      .      .      .      .      .      .      .",
};
/* clang-format on */

static enum task_state state_of(char c)
{
	switch (c) {
	case 'P':
		return TASK_PREPARING;
	case 'S':
		return TASK_STARTING;
	case 'R':
		return TASK_RUNNING;
	case 'U':
		return TASK_UNHEALTHY;
	case 'T':
		return TASK_STOPPING;
	case 'B':
		return TASK_BACKOFF;
	case 'D':
		return TASK_DONE;
	case 'F':
		return TASK_FAILED;
	default:
		assert_int_equal(c, 'L');
		return TASK_LOST;
	}
}

static enum supervise_action action_of(char c)
{
	static const char letters[] = "-plhswe";
	const char *at = strchr(letters, c);

	assert_non_null(at);
	return (enum supervise_action)(at - letters);
}

static void every_event_in_every_state(void **state)
{
	(void)state;
	for (int from = 0; from < SUPERVISE_STATES; from++) {
		const char *cell = grid[from];

		for (int ev = 0; ev < SUPERVISE_EVENTS; ev++) {
			struct supervise s = {.state = (enum task_state)from};
			struct drbg d = rng();
			enum supervise_action did = supervise_on(&s, (enum supervise_event)ev, &any, 1000, &d);
			enum task_state want = (enum task_state)from;
			enum supervise_action want_action = ACT_NONE;

			if (cell[0] != '.') {
				want = state_of(cell[0]);
				want_action = action_of(cell[1]);
			}
			if (s.state != want || did != want_action)
				fail_msg("state %d, event %d: went to %d with action %d", from, ev, s.state, did);
			cell += strcspn(cell, " ");
			cell += strspn(cell, " ");
		}
		assert_string_equal(cell, "");
	}
}

static void numbers_out_of_range_change_nothing(void **state)
{
	struct supervise s = {.state = TASK_REFUSED};
	struct drbg d = rng();

	(void)state;
	assert_int_equal(supervise_on(&s, EV_START, &any, 0, &d), ACT_NONE);
	s.state = TASK_PENDING;
	assert_int_equal(supervise_on(&s, SUPERVISE_EVENTS, &any, 0, &d), ACT_NONE);
	assert_int_equal(s.state, TASK_PENDING);
}

static void crash(
        struct supervise *s, const struct spec_restart_policy *p, mono_ms *now, int64_t ran, struct drbg *d)
{
	supervise_on(s, EV_PREPARED, p, *now, d);
	supervise_on(s, EV_STARTED, p, *now, d);
	*now += ran;
	supervise_on(s, supervise_exit(s, p, true, *now), p, *now, d);
}

static void the_first_restart_is_at_once_then_delays_double_up_to_a_minute(void **state)
{
	struct supervise s;
	struct drbg d = rng();
	mono_ms now = 0;
	int64_t expect = 0;

	(void)state;
	supervise_init(&s);
	supervise_on(&s, EV_START, &any, now, &d);
	for (int i = 0; i < 40; i++) {
		crash(&s, &any, &now, 10, &d);
		assert_int_equal(s.state, TASK_BACKOFF);
		assert_in_range(s.retry_in_ms, expect - expect * BACKOFF_JITTER / 100,
		        expect + expect * BACKOFF_JITTER / 100);
		assert_int_equal(s.retry_at, now + s.retry_in_ms);
		expect = expect ? MIN(expect * 2, BACKOFF_MAX_MS) : any.delay_ms;
		supervise_on(&s, EV_TIMER, &any, now, &d);
	}
	assert_int_equal(s.runs, 40);
}

static void a_run_as_long_as_the_window_clears_the_backoff(void **state)
{
	struct supervise s;
	struct drbg d = rng();
	mono_ms now = 0;

	(void)state;
	supervise_init(&s);
	supervise_on(&s, EV_START, &any, now, &d);
	for (int i = 0; i < 5; i++) {
		crash(&s, &any, &now, 10, &d);
		supervise_on(&s, EV_TIMER, &any, now, &d);
	}
	crash(&s, &any, &now, any.window_ms, &d);
	assert_int_equal(s.retry_in_ms, 0);
}

static void an_own_delay_beyond_a_minute_is_kept(void **state)
{
	const struct spec_restart_policy slow = {.condition = RESTART_ANY, .delay_ms = MINUTES(5)};
	struct supervise s;
	struct drbg d = rng();
	mono_ms now = 0;

	(void)state;
	supervise_init(&s);
	supervise_on(&s, EV_START, &slow, now, &d);
	for (int i = 0; i < 4; i++) {
		crash(&s, &slow, &now, 10, &d);
		supervise_on(&s, EV_TIMER, &slow, now, &d);
	}
	assert_in_range(s.retry_in_ms, MINUTES(4), MINUTES(6));
}

static void conditions_decide_what_an_exit_means(void **state)
{
	static const struct {
		enum spec_restart condition;
		bool failed;
		enum supervise_event want;
	} table[] = {
	        {RESTART_ANY, false, EV_EXIT_AGAIN},
	        {RESTART_ANY, true, EV_EXIT_AGAIN},
	        {RESTART_ON_FAILURE, false, EV_EXIT_DONE},
	        {RESTART_ON_FAILURE, true, EV_EXIT_AGAIN},
	        {RESTART_NONE, false, EV_EXIT_DONE},
	        {RESTART_NONE, true, EV_EXIT_FAILED},
	};
	struct supervise s = {.state = TASK_RUNNING};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct spec_restart_policy p = {.condition = table[i].condition};

		assert_int_equal(supervise_exit(&s, &p, table[i].failed, 10), table[i].want);
		assert_int_equal(supervise_sick(&p),
		        table[i].condition == RESTART_NONE ? EV_UNHEALTHY_KEEP : EV_UNHEALTHY);
	}
}

static void attempts_run_out_only_within_the_window(void **state)
{
	struct spec_restart_policy p = {.condition = RESTART_ANY, .max_attempts = 2, .window_ms = 1000};
	struct supervise s;
	struct drbg d = rng();
	mono_ms now = 0;

	(void)state;
	supervise_init(&s);
	supervise_on(&s, EV_START, &p, now, &d);
	for (int i = 0; i < 10; i++) {
		crash(&s, &p, &now, 1000, &d);
		assert_int_equal(s.state, TASK_BACKOFF);
		supervise_on(&s, EV_TIMER, &p, now, &d);
	}
	/* The last long run's restart was the first of the two. */
	crash(&s, &p, &now, 10, &d);
	assert_int_equal(s.state, TASK_BACKOFF);
	supervise_on(&s, EV_TIMER, &p, now, &d);
	crash(&s, &p, &now, 10, &d);
	assert_int_equal(s.state, TASK_FAILED);
}

static void what_blocks_a_start_never_uses_up_attempts_and_never_spins(void **state)
{
	struct spec_restart_policy p = {.condition = RESTART_ANY, .delay_ms = 100, .max_attempts = 1};
	struct supervise s;
	struct drbg d = rng();

	(void)state;
	supervise_init(&s);
	supervise_on(&s, EV_START, &p, 0, &d);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(supervise_on(&s, EV_BLOCKED, &p, 0, &d), ACT_WAIT);
		assert_true(s.retry_in_ms >= 80);
		supervise_on(&s, EV_TIMER, &p, 0, &d);
	}
	supervise_on(&s, EV_PREPARED, &p, 0, &d);
	supervise_on(&s, EV_STARTED, &p, 0, &d);
	assert_int_equal(s.blocked, 0);
	assert_int_equal(supervise_exit(&s, &p, true, 10), EV_EXIT_AGAIN);
}

static void states_are_live_ended_or_between(void **state)
{
	(void)state;
	for (int s = 0; s < SUPERVISE_STATES; s++)
		assert_false(supervise_live((enum task_state)s) && supervise_ended((enum task_state)s));
	assert_true(supervise_live(TASK_STARTING) && supervise_live(TASK_RUNNING));
	assert_true(supervise_live(TASK_UNHEALTHY) && supervise_live(TASK_STOPPING));
	assert_false(supervise_live(TASK_BACKOFF) || supervise_ended(TASK_BACKOFF));
	assert_true(supervise_ended(TASK_DONE) && supervise_ended(TASK_FAILED) && supervise_ended(TASK_LOST));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_event_in_every_state),
	        cmocka_unit_test(numbers_out_of_range_change_nothing),
	        cmocka_unit_test(the_first_restart_is_at_once_then_delays_double_up_to_a_minute),
	        cmocka_unit_test(a_run_as_long_as_the_window_clears_the_backoff),
	        cmocka_unit_test(an_own_delay_beyond_a_minute_is_kept),
	        cmocka_unit_test(conditions_decide_what_an_exit_means),
	        cmocka_unit_test(attempts_run_out_only_within_the_window),
	        cmocka_unit_test(what_blocks_a_start_never_uses_up_attempts_and_never_spins),
	        cmocka_unit_test(states_are_live_ended_or_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
