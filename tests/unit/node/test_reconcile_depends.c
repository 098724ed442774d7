/* R17: slots wait for the services that theirs depends on, wherever those run. */
#include "tests/unit/node/one_peer.h"

#include "placement/depends.h"

static struct spec_depends_on needs;

/* Peer 0 of n; the only slot of "s1" needs "s0", which wants `replicas`. Peer 0 would start both. */
static void begin(size_t n, enum spec_depends condition, uint32_t replicas)
{
	struct spec *spec;

	start(n, 0);
	cluster_free(&c);
	cluster_init(&c, n);
	cluster_sort(&c);
	spec = cluster_stack(&c, "hello", 2);
	needs = (struct spec_depends_on){.service = "s0", .condition = condition};
	spec->services[0].replicas = replicas;
	spec->services[1].n_depends_on = 1;
	spec->services[1].depends_on = &needs;
	c.stacks[0].arrived = now;
}

static id64 waiter(void)
{
	return slot_id(&c.view.flock, "hello", "s1", 0);
}

static struct claim *base_runs(uint32_t index, enum task_state state, enum task_health health)
{
	struct claim *claim = cluster_claim(&c, slot(index), c.view.n_members - 1, content());

	claim->state = state;
	claim->health = health;
	return claim;
}

static bool starts_waiter(void)
{
	for (size_t i = 0; i < n_actions; i++)
		if (actions[i].kind == DO_START && actions[i].slot == waiter())
			return true;
	return false;
}

static void each_condition_is_met_by_what_compose_says(void **state)
{
	static const struct {
		enum spec_depends condition;
		enum task_state state;
		enum task_health health;
		bool met;
	} cases[] = {
	        {DEPENDS_STARTED, TASK_PREPARING, HEALTH_NONE, false},
	        {DEPENDS_STARTED, TASK_STARTING, HEALTH_NONE, false},
	        {DEPENDS_STARTED, TASK_RUNNING, HEALTH_STARTING, true},
	        {DEPENDS_STARTED, TASK_BACKOFF, HEALTH_NONE, false},
	        {DEPENDS_STARTED, TASK_DONE, HEALTH_NONE, true},
	        {DEPENDS_HEALTHY, TASK_RUNNING, HEALTH_STARTING, false},
	        {DEPENDS_HEALTHY, TASK_UNHEALTHY, HEALTH_UNHEALTHY, false},
	        {DEPENDS_HEALTHY, TASK_RUNNING, HEALTH_HEALTHY, true},
	        {DEPENDS_HEALTHY, TASK_RUNNING, HEALTH_NONE, true},
	        {DEPENDS_COMPLETED, TASK_RUNNING, HEALTH_NONE, false},
	        {DEPENDS_COMPLETED, TASK_FAILED, HEALTH_NONE, false},
	        {DEPENDS_COMPLETED, TASK_DONE, HEALTH_NONE, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		begin(2, cases[i].condition, 1);
		base_runs(0, cases[i].state, cases[i].health);
		cluster_sort_claims(&c);
		place(&c.view, &c.arena, &p);
		for (size_t k = 0; k < p.n_slots; k++)
			if (p.slots[k].slot == waiter())
				assert_int_equal(place_waits_for(&c.view, &p, k) == NULL, cases[i].met);
			else
				assert_null(place_waits_for(&c.view, &p, k));
		finish();
	}
}

static void one_healthy_replica_is_enough_but_all_have_to_complete(void **state)
{
	(void)state;
	begin(1, DEPENDS_HEALTHY, 3);
	base_runs(1, TASK_RUNNING, HEALTH_HEALTHY);
	run();
	assert_true(starts_waiter());
	finish();

	begin(1, DEPENDS_COMPLETED, 2);
	base_runs(0, TASK_DONE, HEALTH_NONE);
	run();
	assert_false(starts_waiter());
	base_runs(1, TASK_DONE, HEALTH_NONE);
	after(1);
	assert_true(starts_waiter());
	finish();
}

static void nobody_waits_for_a_service_that_wants_no_replicas_or_is_not_there(void **state)
{
	(void)state;
	begin(1, DEPENDS_HEALTHY, 0);
	run();
	assert_true(starts_waiter());
	finish();

	begin(1, DEPENDS_HEALTHY, 1);
	needs.service = "s7";
	needs.optional = true;
	run();
	assert_true(starts_waiter());
	finish();
}

static void after_a_long_wait_the_first_candidate_starts_at_once_and_deputies_hold_back(void **state)
{
	size_t firsts = 0, seconds = 0;

	(void)state;
	for (size_t self = 0; self < 3; self++) {
		struct claim *base;
		bool first;

		begin(3, DEPENDS_HEALTHY, 1);
		c.view.self = self;
		base = base_runs(0, TASK_RUNNING, HEALTH_STARTING);
		run();
		assert_false(starts_waiter());
		after(MINUTES(5));
		assert_false(starts_waiter());
		base->health = HEALTH_HEALTHY;
		after(10);
		first = starts_waiter();
		firsts += first;
		after(1900);
		assert_int_equal(starts_waiter(), first);
		after(200);
		seconds += starts_waiter() && !first;
		finish();
	}
	assert_int_equal(firsts, 1);
	assert_int_equal(seconds, 1);
}

static void a_task_that_runs_is_not_stopped_when_what_it_needs_goes(void **state)
{
	struct own_task *t;

	(void)state;
	begin(1, DEPENDS_HEALTHY, 1);
	t = task(0);
	t->slot = waiter();
	t->content = service_content(&c.specs[0].services[1]);
	base_runs(0, TASK_BACKOFF, HEALTH_NONE);
	run();
	expect_nothing();
	after(MINUTES(5));
	expect_nothing();
	finish();
}

static void after_a_restart_of_the_host_it_waits_again(void **state)
{
	struct claim *base;
	struct own_task *t;

	(void)state;
	begin(1, DEPENDS_HEALTHY, 1);
	t = task(0);
	t->slot = waiter();
	t->content = service_content(&c.specs[0].services[1]);
	t->state = TASK_LOST;
	base = base_runs(0, TASK_RUNNING, HEALTH_STARTING);
	run();
	expect_nothing();
	base->health = HEALTH_HEALTHY;
	after(1000);
	assert_true(starts_waiter());
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_condition_is_met_by_what_compose_says),
	        cmocka_unit_test(one_healthy_replica_is_enough_but_all_have_to_complete),
	        cmocka_unit_test(nobody_waits_for_a_service_that_wants_no_replicas_or_is_not_there),
	        cmocka_unit_test(after_a_long_wait_the_first_candidate_starts_at_once_and_deputies_hold_back),
	        cmocka_unit_test(a_task_that_runs_is_not_stopped_when_what_it_needs_goes),
	        cmocka_unit_test(after_a_restart_of_the_host_it_waits_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
