/* R15: `partition: majority`; and what `pause` keeps. */
#include "tests/unit/node/one_peer.h"

#include <stdlib.h>

#define PEERS 5

static struct key32 voters[PEERS];

static int by_key(const void *a, const void *b)
{
	return key32_cmp(a, b);
}

/* Five peers, all voters but the last `not`; this one is the first. */
static struct service *begin(size_t not )
{
	struct service *s = start(PEERS, 0);

	s->partition = PARTITION_MAJORITY;
	for (size_t i = 0; i < PEERS; i++)
		voters[i] = c.members[i].key;
	qsort(voters, PEERS, sizeof(*voters), by_key);
	c.view.voters = voters;
	c.view.n_voters = PEERS - not ;
	return s;
}

static void say(enum view_state state, size_t from, size_t to)
{
	for (size_t i = from; i <= to; i++) {
		c.members[i].state = state;
		c.members[i].seen = now;
		c.members[i].suspected = state == VIEW_ALIVE ? 0 : now;
	}
}

static void r15_a_task_runs_while_over_half_of_the_voters_are_in_sight(void **state)
{
	(void)state;
	begin(0);
	task(0);
	run();
	say(VIEW_DEAD, 3, 4);
	for (int i = 0; i < 20; i++) {
		after(SECONDS(1));
		expect_nothing();
	}
	say(VIEW_DEAD, 2, 2);
	after(1);
	expect_nothing();
	after(999);
	expect_nothing();
	after(1);
	expect(DO_STOP, 100);
	own[0].stopping = true;
	own[0].state = TASK_DONE;
	after(100);
	expect(DO_FORGET, 100); /* and not started again */
	n_own = 0;
	for (int i = 0; i < 60; i++) {
		after(SECONDS(1));
		expect_nothing();
	}
	/* The majority is back: like any orphan. */
	say(VIEW_ALIVE, 2, 4);
	for (int i = 0; i < 15 && !n_actions; i++)
		after(SECONDS(1));
	expect(DO_START, slot(0));
	finish();
}

static void r15_a_suspicion_counts_after_three_seconds(void **state)
{
	(void)state;
	begin(0);
	task(0);
	run();
	say(VIEW_SUSPECT, 2, 4);
	after(2999);
	expect_nothing();
	after(1);
	expect_nothing();
	after(1000);
	expect(DO_STOP, 100);
	finish();
	/* One that is refuted in time counts for nothing. */
	begin(0);
	task(0);
	run();
	for (int i = 0; i < 20; i++) {
		say(VIEW_SUSPECT, 2, 4);
		after(2900);
		expect_nothing();
		say(VIEW_ALIVE, 2, 4);
		after(100);
		expect_nothing();
	}
	finish();
}

static void r15_who_is_isolated_sees_no_majority(void **state)
{
	(void)state;
	begin(0);
	task(0);
	run();
	isolated = true;
	after(1);
	after(1000);
	expect(DO_STOP, 100);
	finish();
}

static void r15_the_only_voter_is_its_own_majority(void **state)
{
	(void)state;
	begin(PEERS - 1);
	voters[0] = c.members[0].key;
	task(0);
	run();
	isolated = true;
	say(VIEW_DEAD, 1, PEERS - 1);
	for (int i = 0; i < 10; i++) {
		after(SECONDS(1));
		expect_nothing();
	}
	finish();
}

static void r15_peers_without_a_vote_do_not_count_but_may_run_it(void **state)
{
	(void)state;
	begin(2); /* three voters by key */
	task(0);
	run();
	/* Whoever has no vote may go. */
	for (size_t i = 1; i < PEERS; i++) {
		bool votes = false;

		for (size_t v = 0; v < c.view.n_voters; v++)
			votes |= key32_eq(&voters[v], &c.members[i].key);
		if (!votes)
			say(VIEW_DEAD, i, i);
	}
	after(SECONDS(1));
	after(SECONDS(10));
	expect_nothing();
	finish();
}

static void r15_without_a_list_of_voters_it_runs_nowhere(void **state)
{
	(void)state;
	begin(0);
	c.view.n_voters = 0;
	c.stacks[0].arrived = now;
	run();
	after(SECONDS(20));
	expect_nothing();
	finish();
}

static void r15_an_agent_that_restarts_stops_nothing_before_it_has_looked_and_starts_nothing(void **state)
{
	(void)state;
	begin(0);
	say(VIEW_DEAD, 1, 4); /* it has not met them yet */
	ready = false;
	task(0);
	task(1)->state = TASK_LOST;
	for (int i = 0; i < 30; i++) {
		after(SECONDS(1));
		expect_nothing();
	}
	ready = true;
	after(1);
	assert_int_equal(n_actions, 2);
	finish();
}

static void r15_services_of_other_policies_go_on(void **state)
{
	(void)state;
	begin(0)->partition = PARTITION_RUN;
	task(0);
	run();
	say(VIEW_DEAD, 1, 4);
	after(SECONDS(1));
	after(SECONDS(10));
	expect_nothing();
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(r15_a_task_runs_while_over_half_of_the_voters_are_in_sight),
	        cmocka_unit_test(r15_a_suspicion_counts_after_three_seconds),
	        cmocka_unit_test(r15_who_is_isolated_sees_no_majority),
	        cmocka_unit_test(r15_the_only_voter_is_its_own_majority),
	        cmocka_unit_test(r15_peers_without_a_vote_do_not_count_but_may_run_it),
	        cmocka_unit_test(r15_without_a_list_of_voters_it_runs_nowhere),
	        cmocka_unit_test(
	                r15_an_agent_that_restarts_stops_nothing_before_it_has_looked_and_starts_nothing),
	        cmocka_unit_test(r15_services_of_other_policies_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
