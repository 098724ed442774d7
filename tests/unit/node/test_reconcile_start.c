/* R7 to R10, slots that nobody has: who starts them, and when; on one peer whose view is made by hand. */
#include "tests/unit/node/one_peer.h"

static void r9_a_fresh_slot_is_started_at_once_by_candidate_0_alone(void **state)
{
	(void)state;
	for (size_t self = 0; self < 3; self++) {
		start(3, self);
		c.stacks[0].arrived = now - 100;
		bool first = candidate(0) == self;
		run();
		if (first)
			expect(DO_START, slot(0));
		else
			expect_nothing();
		finish();
	}
}

static void r9_an_old_revision_or_a_slot_once_claimed_is_not_fresh(void **state)
{
	(void)state;
	start(1, 0);
	c.stacks[0].arrived = 0; /* known from disk */
	run();
	expect_nothing();
	finish();

	start(1, 0);
	c.stacks[0].arrived = now - SECONDS(11);
	run();
	expect_nothing();
	finish();

	start(2, 0);
	c.stacks[0].arrived = now;
	cluster_claim(&c, slot(0), 1, content());
	run();
	expect_nothing();
	c.view.n_claims = 0; /* between its stop and its start, for example */
	after(100);
	expect_nothing();
	finish();
}

static void r9_a_stack_removed_and_deployed_again_is_fresh_again(void **state)
{
	(void)state;
	start(1, 0);
	c.stacks[0].arrived = now;
	cluster_claim(&c, slot(0), 0, content());
	run();
	c.view.n_claims = 0;
	c.stacks[0].removed = true;
	after(100);
	c.stacks[0].removed = false;
	c.stacks[0].arrived = now;
	after(100);
	expect(DO_START, slot(0));
	finish();
}

static void r10_an_orphan_waits_settle_and_its_rank(void **state)
{
	const struct reconcile_config cfg = reconcile_defaults();

	(void)state;
	for (size_t rank = 0; rank < 3; rank++) {
		mono_ms due = cfg.settle + (mono_ms)rank * cfg.deputy_delay;

		start(4, 0);
		cluster_claim(&c, slot(0), 3, content());
		c.members[3].state = VIEW_DEAD;
		c.members[3].suspected = now - SECONDS(2);
		cluster_sort_claims(&c);
		c.view.self = candidate(rank);
		/* Ready for long, and then the peer died. */
		c.members[3].state = VIEW_SUSPECT;
		now -= SECONDS(60);
		run();
		now += SECONDS(60);
		c.members[3].state = VIEW_DEAD;
		run();
		if (due > SECONDS(2)) {
			expect_nothing();
			/* A deputy's turn also waits from when it became one. */
			assert_int_equal(
			        wake, MAX(now - SECONDS(2) + due, now + (mono_ms)rank * cfg.deputy_delay));
			now = wake - 1;
			run();
			expect_nothing();
			after(1);
		}
		expect(DO_START, slot(0));
		assert_int_equal(actions[0].placed, 0);
		/* Not again in the same breath, should the task not show yet. */
		after(10);
		expect_nothing();
		finish();
	}
}

static void r10_a_suspicion_alone_starts_nothing(void **state)
{
	(void)state;
	start(2, 0);
	cluster_claim(&c, slot(0), 1, content());
	run();
	c.members[1].state = VIEW_SUSPECT;
	c.members[1].suspected = now;
	for (int i = 0; i < 200; i++) {
		after(500);
		expect_nothing();
	}
	finish();
}

static void r10_failover_after_overrides_settle(void **state)
{
	(void)state;
	start(2, 0)->failover_after_ms = SECONDS(30);
	run(); /* nobody has it from here on */
	after(SECONDS(29));
	expect_nothing();
	after(SECONDS(1));
	expect(DO_START, slot(0));
	finish();
}

static void r10_the_slots_of_a_peer_that_left_are_started_at_once(void **state)
{
	(void)state;
	start(2, 0);
	cluster_claim(&c, slot(0), 1, content());
	run();
	c.members[1].state = VIEW_LEFT;
	after(10);
	expect(DO_START, slot(0));
	finish();
}

static void r10_a_peer_that_was_just_ready_waits_for_the_agents_of_others(void **state)
{
	(void)state;
	start(2, 0);
	cluster_claim(&c, slot(0), 1, content());
	c.members[1].state = VIEW_DEAD;
	c.members[1].suspected = now - SECONDS(500);
	ready = false;
	run();
	expect_nothing();
	after(SECONDS(100));
	expect_nothing();
	ready = true;
	after(1);
	expect_nothing();
	after(0); /* the first run was to have claims say what is in sight */
	expect_nothing();
	assert_int_equal(wake, now + reconcile_defaults().newcomer);
	now = wake;
	run();
	expect(DO_START, slot(0));
	finish();
}

static void r10_after_a_refusal_the_next_candidate_acts_at_once(void **state)
{
	size_t first;
	struct claim *refusal;

	(void)state;
	start(3, 0);
	c.stacks[0].arrived = now;
	first = candidate(0);
	c.view.self = candidate(1);
	run();
	expect_nothing();
	refusal = cluster_claim(&c, slot(0), first, content());
	refusal->state = TASK_REFUSED;
	refusal->revision = c.stacks[0].revision_id;
	after(100);
	expect(DO_START, slot(0));
	finish();
}

static void r10_room_that_appears_late_goes_to_candidate_0_first(void **state)
{
	size_t second;

	(void)state;
	start(3, 0)->reserve.cpu_milli = 1000;
	for (size_t i = 0; i < 3; i++)
		c.facts[i].cpu_milli = 0;
	second = 0;
	run();
	after(SECONDS(100)); /* nowhere to go all that time */
	expect_nothing();
	for (size_t i = 0; i < 3; i++)
		c.facts[i].cpu_milli = 1000;
	second = candidate(1);
	c.view.self = second;
	after(1);
	expect_nothing();
	assert_int_equal(wake, now + reconcile_defaults().deputy_delay);
	finish();
}

static void r7_an_isolated_peer_starts_no_orphan_but_what_is_new(void **state)
{
	(void)state;
	start(1, 0);
	run();
	isolated = true;
	after(SECONDS(60));
	expect_nothing();
	c.stacks[0].arrived = now;
	after(1);
	expect(DO_START, slot(0));
	finish();
}

static void r7_nothing_is_started_beyond_own_room(void **state)
{
	struct service *s;

	(void)state;
	s = start(1, 0);
	s->replicas = 3;
	s->reserve.cpu_milli = 1500;
	c.stacks[0].arrived = now;
	/* Our own tasks are not in the claims yet: the placement believes that there is room. */
	task(0);
	task(1);
	run();
	expect_nothing();
	finish();

	s = start(1, 0);
	s->replicas = 3;
	s->max_replicas_per_node = 2;
	c.stacks[0].arrived = now;
	task(0);
	run();
	expect(DO_START, slot(1));
	finish();
}

/* A stack that was removed, or whose slots are fewer now, holds what it has until its tasks have ended. */
static void r7_a_task_that_nobody_wants_any_more_takes_its_room_until_it_has_ended(void **state)
{
	static struct spec_port port = {.name = "http", .target = 80, .published = 8080, .mode = PORT_HOST};
	struct service *s;

	(void)state;
	for (int of_room = 0; of_room < 2; of_room++) {
		struct service old;

		s = start(1, 0);
		s->reserve.cpu_milli = of_room ? 2500 : 0; /* of 4000 */
		s->ports = &port;
		s->n_ports = of_room ? 0 : 1;
		c.stacks[0].arrived = now;
		old = *s;
		own[n_own++] = (struct own_task){.task = 7,
		        .slot = 0x77,
		        .stack = "gone",
		        .takes = &old,
		        .state = TASK_STOPPING,
		        .stopping = true};
		run();
		expect_nothing();
		after(500);
		expect_nothing();
		own[0].state = TASK_DONE;
		after(100);
		assert_int_equal(n_actions, 2);
		assert_int_equal(actions[0].kind, DO_FORGET);
		assert_int_equal(actions[1].kind, DO_START);
		finish();
	}
}

static void r7_a_task_of_the_old_content_takes_what_that_asked_for(void **state)
{
	struct service old, *s;

	(void)state;
	s = start(1, 0);
	s->replicas = 2;
	s->reserve.cpu_milli = 1000;
	c.stacks[0].arrived = now;
	old = *s;
	old.reserve.cpu_milli = 3500; /* of 4000 */
	task(0)->takes = &old;
	own[0].content = service_content(&old);
	own[0].state = TASK_STOPPING;
	own[0].stopping = true;
	run();
	expect_nothing();
	own[0] = (struct own_task){0};
	n_own = 0;
	task(0);
	after(100);
	expect(DO_START, slot(1));
	finish();
}

static void r8_a_global_slot_is_its_peers_at_once(void **state)
{
	(void)state;
	start(3, 1)->mode = MODE_GLOBAL;
	isolated = true;
	run();
	expect(DO_START, slot_id_global(&c.view.flock, "hello", "s0", &c.members[1].key));
	finish();
}

static void r10_a_refusal_seen_after_a_claim_does_not_wait_for_settle(void **state)
{
	struct claim *theirs;
	size_t first;

	(void)state;
	start(3, 0);
	first = candidate(0);
	c.view.self = candidate(1);
	theirs = cluster_claim(&c, slot(0), first, content());
	theirs->state = TASK_PREPARING;
	run();
	after(SECONDS(1));
	expect_nothing();
	c.view.n_claims = 0;
	refuse(0, first);
	after(1);
	expect(DO_START, slot(0));
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(r9_a_fresh_slot_is_started_at_once_by_candidate_0_alone),
	        cmocka_unit_test(r9_an_old_revision_or_a_slot_once_claimed_is_not_fresh),
	        cmocka_unit_test(r9_a_stack_removed_and_deployed_again_is_fresh_again),
	        cmocka_unit_test(r10_an_orphan_waits_settle_and_its_rank),
	        cmocka_unit_test(r10_a_suspicion_alone_starts_nothing),
	        cmocka_unit_test(r10_failover_after_overrides_settle),
	        cmocka_unit_test(r10_the_slots_of_a_peer_that_left_are_started_at_once),
	        cmocka_unit_test(r10_a_peer_that_was_just_ready_waits_for_the_agents_of_others),
	        cmocka_unit_test(r10_after_a_refusal_the_next_candidate_acts_at_once),
	        cmocka_unit_test(r10_room_that_appears_late_goes_to_candidate_0_first),
	        cmocka_unit_test(r7_an_isolated_peer_starts_no_orphan_but_what_is_new),
	        cmocka_unit_test(r7_nothing_is_started_beyond_own_room),
	        cmocka_unit_test(r7_a_task_that_nobody_wants_any_more_takes_its_room_until_it_has_ended),
	        cmocka_unit_test(r7_a_task_of_the_old_content_takes_what_that_asked_for),
	        cmocka_unit_test(r8_a_global_slot_is_its_peers_at_once),
	        cmocka_unit_test(r10_a_refusal_seen_after_a_claim_does_not_wait_for_settle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
