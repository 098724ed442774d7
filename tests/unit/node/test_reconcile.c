/* The rules of node/reconcile.c for slots that somebody has, one by one, on one peer whose view is made by hand. */
#include "tests/unit/node/one_peer.h"

/* ---- R1: what nobody wants ---- */

static void r1_tasks_of_a_removed_stack_stop(void **state)
{
	(void)state;
	start(1, 0);
	task(0);
	c.stacks[0].removed = true;
	ready = false; /* a removal is certain, however little else is known */
	run();
	expect(DO_STOP, 100);
	own[0].stopping = true;
	after(10);
	expect_nothing();
	own[0].state = TASK_DONE;
	after(10);
	expect(DO_FORGET, 100);
	finish();
}

static void r1_surplus_replicas_stop_once_ready(void **state)
{
	(void)state;
	start(1, 0)->replicas = 1;
	task(0);
	task(1);
	ready = false;
	run();
	expect_nothing();
	ready = true;
	after(1);
	expect(DO_STOP, 101);
	finish();
}

static void r1_a_missing_body_changes_nothing(void **state)
{
	(void)state;
	start(1, 0);
	task(0);
	c.stacks[0].spec = NULL;
	c.stacks[0].have_body = false;
	run();
	expect_nothing();
	after(SECONDS(1000));
	expect_nothing();
	finish();
}

static void r1_tasks_of_an_unknown_stack_stop_once_ready(void **state)
{
	(void)state;
	start(1, 0);
	task(0)->stack = "gone";
	own[0].slot = 4711;
	c.view.n_stacks = 0;
	ready = false;
	run();
	expect_nothing();
	ready = true;
	after(1);
	expect(DO_STOP, 100);
	finish();
}

/* ---- R2, R3: too many ---- */

static void r2_of_two_own_tasks_one_stays(void **state)
{
	(void)state;
	start(1, 0);
	task(0)->content = 1; /* old */
	task(0);
	run();
	expect(DO_STOP, 100);
	own[0].stopping = true;
	own[0].state = TASK_FAILED;
	after(1);
	expect(DO_FORGET, 100);
	finish();
}

static void r3_the_loser_of_a_conflict_stops_after_a_while(void **state)
{
	struct claim *mine;

	(void)state;
	start(2, 0);
	task(0);
	mine = cluster_claim(&c, slot(0), 0, content());
	mine->health = HEALTH_UNHEALTHY;
	own[0].health = HEALTH_UNHEALTHY;
	cluster_claim(&c, slot(0), 1, content());
	run();
	expect_nothing();
	assert_int_equal(wake, now + reconcile_defaults().yield);
	/* Suspect: it may be gone, and then nobody would be left. */
	c.members[1].state = VIEW_SUSPECT;
	after(SECONDS(5));
	expect_nothing();
	c.members[1].state = VIEW_ALIVE;
	c.members[1].seen = now;
	after(0);
	expect_nothing();
	now = wake;
	run();
	expect(DO_STOP, 100);
	finish();
}

static void r3_the_winner_of_a_conflict_goes_on(void **state)
{
	(void)state;
	start(2, 0);
	task(0);
	cluster_claim(&c, slot(0), 0, content());
	cluster_claim(&c, slot(0), 1, content())->sight = SIGHT_FEW;
	run();
	after(SECONDS(60));
	expect_nothing();
	finish();
}

static enum claim_sight sight(void)
{
	struct claim claim = {0};

	reconcile_claim(r, &claim);
	return claim.sight;
}

static void r3_sight_follows_the_flock_and_remembers(void **state)
{
	(void)state;
	start(3, 0);
	run();
	assert_int_equal(sight(), SIGHT_MOST);
	c.members[1].state = c.members[2].state = VIEW_SUSPECT;
	after(1);
	assert_int_equal(sight(), SIGHT_FEW);
	c.members[1].state = c.members[2].state = VIEW_ALIVE;
	after(SECONDS(59));
	assert_int_equal(sight(), SIGHT_FEW);
	assert_true(wake <= now + SECONDS(1));
	after(SECONDS(1));
	assert_int_equal(sight(), SIGHT_MOST);
	/* Isolated: it has accused nobody yet, but sees nobody either. */
	isolated = true;
	after(1);
	assert_int_equal(sight(), SIGHT_FEW);
	isolated = false;
	after(SECONDS(60));
	/* Who left is not missed. */
	c.members[1].state = c.members[2].state = VIEW_LEFT;
	after(1);
	assert_int_equal(sight(), SIGHT_MOST);
	finish();
}

static void r3_what_a_restarted_peer_finds_running_counts_less(void **state)
{
	(void)state;
	start(3, 0);
	ready = false;
	run();
	assert_int_equal(sight(), SIGHT_MOST); /* nothing runs: a first start */
	task(0);
	after(1);
	assert_int_equal(sight(), SIGHT_FEW);
	assert_true(wake <= now); /* claims must say so */
	ready = true;
	after(1);
	assert_int_equal(sight(), SIGHT_FEW);
	after(SECONDS(60));
	assert_int_equal(sight(), SIGHT_MOST);
	finish();
}

/* ---- R4 to R6: updates ---- */

static void new_revision(void)
{
	static const char *command[] = {"/bin/sleep", "2000"};

	c.stacks[0].revision_id++;
	c.stacks[0].arrived = now;
	c.specs[0].services[0].command = command;
}

static void r3_whom_an_isolated_peer_sees_alive_does_not_count_but_of_two_it_is_half(void **state)
{
	(void)state;
	for (size_t peers = 2; peers <= 3; peers++) {
		start(peers, 0);
		run();
		assert_int_equal(sight(), SIGHT_MOST);
		isolated = true;
		after(1);
		assert_int_equal(sight(), peers == 2 ? SIGHT_HALF : SIGHT_FEW);
		finish();
	}
}

static void r4_an_unchanged_task_is_confirmed_not_restarted(void **state)
{
	(void)state;
	start(1, 0);
	task(0);
	c.stacks[0].revision_id++;
	c.specs[0].services[0].parallelism = 7;
	run();
	expect(DO_CONFIRM, 100);
	assert_int_equal(actions[0].placed, 0);
	own[0].revision = c.stacks[0].revision_id;
	after(1);
	expect_nothing();
	finish();
}

static void r5_changed_slots_are_replaced_one_after_the_other(void **state)
{
	(void)state;
	start(1, 0)->replicas = 3;
	for (uint32_t i = 0; i < 3; i++)
		task(i);
	new_revision();
	for (uint32_t i = 0; i < 3; i++) {
		run();
		expect(DO_STOP, 100 + i);
		own[i].stopping = true;
		own[i].state = TASK_STOPPING;
		after(500);
		expect_nothing();
		own[i].state = TASK_DONE;
		after(1);
		assert_int_equal(n_actions, 2);
		assert_int_equal(actions[0].kind, DO_FORGET);
		assert_int_equal(actions[1].kind, DO_START);
		assert_true(actions[1].slot == slot(i));
		assert_int_equal(actions[1].replaces, 100 + i);
		own[i] = (struct own_task){.task = 200 + i,
		        .slot = slot(i),
		        .stack = "hello",
		        .revision = c.stacks[0].revision_id,
		        .content = content(),
		        .state = TASK_STARTING};
		after(200);
		expect_nothing();
		own[i].state = TASK_RUNNING;
		own[i].health = HEALTH_HEALTHY;
		own[i].healthy_at = now;
		after(1);
		expect_nothing();
		now += reconcile_defaults().monitor;
	}
	run();
	expect_nothing();
	finish();
}

static void r5_unhealthy_slots_go_first_and_parallelism_counts(void **state)
{
	(void)state;
	start(1, 0)->replicas = 4;
	for (uint32_t i = 0; i < 4; i++)
		task(i);
	own[2].health = HEALTH_UNHEALTHY;
	new_revision();
	run();
	expect(DO_STOP, 102);
	c.specs[0].services[0].parallelism = 2;
	after(1);
	assert_int_equal(n_actions, 2);
	assert_true(actions[0].task == 100 || actions[1].task == 100);
	finish();
}

static void r5_another_peers_slot_under_way_holds_up_ours(void **state)
{
	struct claim *theirs;

	(void)state;
	start(2, 0)->replicas = 2;
	task(1);
	new_revision();
	theirs = cluster_claim(&c, slot(0), 1, 1); /* old content, lower index: it goes first */
	run();
	after(SECONDS(5)); /* served for long enough, as we saw it */
	expect_nothing();
	theirs->state = TASK_STOPPING;
	after(100);
	expect_nothing();
	c.view.n_claims = 0; /* stopped, not yet started */
	after(100);
	expect_nothing();
	theirs = cluster_claim(&c, slot(0), 1, content());
	theirs->task = 4711;
	after(100);
	expect_nothing();
	after(reconcile_defaults().monitor);
	expect(DO_STOP, 100);
	finish();
}

static void r5_content_that_every_peer_refuses_stops_the_update_at_its_first_slot(void **state)
{
	(void)state;
	start(2, 0)->replicas = 2;
	task(1);
	cluster_claim(&c, slot(0), 1, content());
	run();
	after(SECONDS(60));
	expect_nothing();
	new_revision();
	c.view.n_claims = 0;
	refuse(0, 0);
	refuse(0, 1);
	after(1);
	expect_nothing();
	for (int i = 0; i < 1000; i++) {
		after(500);
		expect_nothing();
	}
	/* They try again from time to time: now and then nobody refuses, for a moment. */
	c.view.n_claims = 0;
	c.specs[0].services[0].failover_after_ms = SECONDS(1000); /* not ours to start in this story */
	after(500);
	expect_nothing();
	cluster_claim(&c, slot(0), 1, content())->state = TASK_PREPARING;
	after(SECONDS(2));
	expect_nothing();
	c.view.n_claims = 0;
	refuse(0, 0);
	refuse(0, 1);
	after(1);
	expect_nothing();
	/* A revision that works is not held up by what was refused before it. */
	new_revision();
	c.view.n_claims = 0;
	cluster_claim(&c, slot(0), 1, content());
	after(1);
	after(reconcile_defaults().monitor);
	expect(DO_STOP, 100);
	finish();
}

static void r5_an_agent_that_restarts_tries_the_missing_slot_before_it_stops_another(void **state)
{
	(void)state;
	start(1, 0)->replicas = 2;
	task(1);
	new_revision();
	c.stacks[0].arrived = 0; /* known from disk; what was refused before the restart is not */
	ready = false;
	run();
	after(SECONDS(60));
	ready = true;
	after(1);
	expect_nothing();
	after(reconcile_defaults().newcomer);
	expect(DO_START, slot(0));
	refuse(0, 0);
	after(1);
	expect_nothing();
	after(SECONDS(60));
	expect_nothing();
	finish();
}

static void r5_a_slot_that_nobody_takes_does_not_hold_up_the_rest_for_ever(void **state)
{
	const struct reconcile_config cfg = reconcile_defaults();

	(void)state;
	start(2, 0)->replicas = 2;
	task(1);
	cluster_claim(&c, slot(0), 1, 1);
	run();
	new_revision();
	c.view.n_claims = 0;
	c.facts[0].ready = c.facts[1].ready = true;
	c.specs[0].services[0].failover_after_ms = SECONDS(1000); /* nobody starts it soon */
	after(1);
	expect_nothing();
	after(cfg.settle + 2 * cfg.deputy_delay);
	expect(DO_STOP, 100);
	finish();
}

static void r5_without_the_authors_power_the_old_revision_goes_on(void **state)
{
	(void)state;
	start(1, 0);
	task(0);
	new_revision();
	c.specs[0].services[0].user = "root";
	c.stacks[0].powers = 0;
	run();
	expect_nothing();
	finish();
}

static void r4_a_revision_that_forbids_this_peer_is_not_confirmed_and_the_task_stays(void **state)
{
	static struct spec_constraint elsewhere[] = {{"node.hostname", OP_EQ, "elsewhere"}};

	(void)state;
	start(1, 0);
	task(0);
	run(); /* serving as we saw it */
	c.stacks[0].revision_id++;
	c.specs[0].services[0].n_constraints = 1;
	c.specs[0].services[0].constraints = elsewhere;
	for (int i = 0; i < 10; i++) {
		after(SECONDS(5));
		expect_nothing(); /* it has nowhere to go */
	}
	/* Other content, too, has nowhere to start. */
	c.specs[0].services[0].user = "other";
	after(SECONDS(5));
	expect_nothing();
	finish();
}

static void a_label_or_drain_that_changes_later_moves_nothing(void **state)
{
	static struct spec_constraint zone[] = {{"node.labels.zone", OP_EQ, "a"}};

	(void)state;
	start(1, 0)->n_constraints = 1;
	c.specs[0].services[0].constraints = zone;
	task(0); /* confirmed at this very revision; the label is gone since */
	c.members[0].draining = true;
	run();
	after(SECONDS(60));
	expect_nothing();
	finish();
}

static void r6_a_task_lost_with_its_host_starts_again_when_no_one_is_reached(void **state)
{
	(void)state;
	start(3, 0);
	task(0)->state = TASK_LOST;
	cluster_claim(&c, slot(0), 0, content())->state = TASK_LOST;
	c.members[1].state = c.members[2].state = VIEW_DEAD;
	c.facts[0].ready = c.facts[1].ready = c.facts[2].ready = false;
	ready = false;
	isolated = true;
	run();
	expect_nothing(); /* who is there may have the slot by now */
	ready = true;
	after(1);
	assert_int_equal(n_actions, 2);
	assert_int_equal(actions[0].kind, DO_FORGET);
	assert_int_equal(actions[1].kind, DO_START);
	assert_true(actions[1].slot == slot(0));
	finish();
}

static void r6_one_that_its_watchdog_stopped_starts_again_once_it_is_known_that_nobody_has_it(void **state)
{
	(void)state;
	start(1, 0);
	task(0)->state = TASK_LOST;
	own[0].alone = true;
	cluster_claim(&c, slot(0), 0, content())->state = TASK_LOST;
	ready = false;
	run();
	expect_nothing();
	after(SECONDS(100));
	expect_nothing();
	ready = true;
	after(1);
	assert_int_equal(n_actions, 2);
	assert_int_equal(actions[0].kind, DO_FORGET);
	assert_int_equal(actions[1].kind, DO_START);
	finish();
}

static void r6_one_that_its_watchdog_stopped_and_that_moved_is_forgotten(void **state)
{
	(void)state;
	start(2, 0);
	task(0)->state = TASK_LOST;
	own[0].alone = true;
	ready = false;
	run();
	expect_nothing();
	cluster_claim(&c, slot(0), 1, content());
	after(1);
	expect(DO_FORGET, 100);
	finish();
}

static void r6_a_lost_task_that_moved_is_forgotten(void **state)
{
	(void)state;
	start(2, 0);
	task(0)->state = TASK_LOST;
	cluster_claim(&c, slot(0), 1, content());
	run();
	expect(DO_FORGET, 100);
	finish();
}

static void a_task_that_ended_for_good_is_left_alone(void **state)
{
	(void)state;
	for (int s = TASK_DONE; s <= TASK_FAILED; s++) {
		start(1, 0);
		task(0)->state = s;
		cluster_claim(&c, slot(0), 0, content())->state = s;
		run();
		after(SECONDS(100));
		expect_nothing();
		/* Until a revision changes it. */
		new_revision();
		after(1);
		assert_int_equal(n_actions, 2);
		assert_int_equal(actions[1].kind, DO_START);
		finish();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(r1_tasks_of_a_removed_stack_stop),
	        cmocka_unit_test(r1_surplus_replicas_stop_once_ready),
	        cmocka_unit_test(r1_a_missing_body_changes_nothing),
	        cmocka_unit_test(r1_tasks_of_an_unknown_stack_stop_once_ready),
	        cmocka_unit_test(r2_of_two_own_tasks_one_stays),
	        cmocka_unit_test(r3_the_loser_of_a_conflict_stops_after_a_while),
	        cmocka_unit_test(r3_the_winner_of_a_conflict_goes_on),
	        cmocka_unit_test(r3_sight_follows_the_flock_and_remembers),
	        cmocka_unit_test(r3_what_a_restarted_peer_finds_running_counts_less),
	        cmocka_unit_test(r3_whom_an_isolated_peer_sees_alive_does_not_count_but_of_two_it_is_half),
	        cmocka_unit_test(r4_an_unchanged_task_is_confirmed_not_restarted),
	        cmocka_unit_test(r5_changed_slots_are_replaced_one_after_the_other),
	        cmocka_unit_test(r5_unhealthy_slots_go_first_and_parallelism_counts),
	        cmocka_unit_test(r5_another_peers_slot_under_way_holds_up_ours),
	        cmocka_unit_test(r5_a_slot_that_nobody_takes_does_not_hold_up_the_rest_for_ever),
	        cmocka_unit_test(r5_content_that_every_peer_refuses_stops_the_update_at_its_first_slot),
	        cmocka_unit_test(r5_an_agent_that_restarts_tries_the_missing_slot_before_it_stops_another),
	        cmocka_unit_test(r5_without_the_authors_power_the_old_revision_goes_on),
	        cmocka_unit_test(r4_a_revision_that_forbids_this_peer_is_not_confirmed_and_the_task_stays),
	        cmocka_unit_test(a_label_or_drain_that_changes_later_moves_nothing),
	        cmocka_unit_test(r6_a_task_lost_with_its_host_starts_again_when_no_one_is_reached),
	        cmocka_unit_test(
	                r6_one_that_its_watchdog_stopped_starts_again_once_it_is_known_that_nobody_has_it),
	        cmocka_unit_test(r6_one_that_its_watchdog_stopped_and_that_moved_is_forgotten),
	        cmocka_unit_test(r6_a_lost_task_that_moved_is_forgotten),
	        cmocka_unit_test(a_task_that_ended_for_good_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
