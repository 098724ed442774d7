/* R11, R12, R14: slots that go from one living peer to another; and claims that are disputed. */
#include "tests/unit/node/one_peer.h"

#include <stdlib.h>

#define OTHERS_MAX 32

static struct view_claim others[OTHERS_MAX]; /* claims of other peers */
static size_t n_others;
static struct placed_move asked; /* a move that placement is made to ask for */
static bool ask;

static struct service *begin(size_t n)
{
	n_others = 0;
	ask = false;
	return start(n, 0);
}

/* As run(), with the claims that this peer publishes in its view. */
static void look(void)
{
	c.view.n_claims = 0;
	for (size_t i = 0; i < n_others; i++)
		c.claims[c.view.n_claims++] = others[i];
	for (size_t i = 0; i < n_own; i++) {
		struct claim *claim = cluster_claim(&c, own[i].slot, 0, own[i].content);

		claim->task = own[i].task;
		claim->state = own[i].state;
		claim->health = own[i].health;
		claim->revision = own[i].revision;
		claim->failures = own[i].failures;
		reconcile_claim(r, claim);
	}
	cluster_sort_claims(&c);
	place(&c.view, &c.arena, &p);
	if (ask) {
		p.n_moves = 1;
		p.moves = &asked;
	}
	reconcile_run(r, &c.view, &p, own, n_own, ready, isolated, now, &c.arena, &actions, &n_actions, &wake);
}

static void look_after(mono_ms ms)
{
	now += ms;
	look();
}

/* What this peer's claim of its task i says. */
static struct claim said(size_t i)
{
	struct claim claim = {.task = own[i].task, .slot = own[i].slot};

	reconcile_claim(r, &claim);
	return claim;
}

static size_t heir(size_t i)
{
	for (size_t m = 0; m < c.view.n_members; m++)
		if (c.members[m].id == said(i).handover_to)
			return m;
	return SIZE_MAX;
}

/* Another peer's claim of own task 0's slot. */
static struct claim *claimed_by(size_t member, enum task_state state)
{
	others[n_others] = (struct view_claim){.c = {.task = 7000 + n_others,
	                                               .slot = slot(0),
	                                               .content = content(),
	                                               .revision = c.stacks[0].revision_id,
	                                               .boot = 1,
	                                               .state = state,
	                                               .health = HEALTH_HEALTHY},
	        .member = member};
	return &others[n_others++].c;
}

/* Own task 0 is on its way to the returned peer. */
static size_t drain_one(void)
{
	task(0);
	look();
	expect_nothing();
	c.members[0].draining = true;
	look_after(1);
	expect_nothing();
	assert_int_equal(wake, now); /* the claim has to say so */
	assert_true(heir(0) < c.view.n_members && heir(0) != 0);
	return heir(0);
}

static void r11_a_slot_of_a_draining_peer_is_served_until_its_heir_has_served_for_two_seconds(void **state)
{
	struct claim *theirs;
	size_t to;

	(void)state;
	begin(3);
	to = drain_one();
	theirs = claimed_by(to, TASK_STARTING);
	for (int i = 0; i < 60; i++) { /* however long that takes */
		look_after(SECONDS(1));
		expect_nothing();
	}
	theirs->state = TASK_RUNNING;
	look_after(1);
	expect_nothing();
	assert_int_equal(wake, now + 2000);
	look_after(1999);
	expect_nothing();
	look_after(1);
	expect(DO_STOP, 100);
	own[0].stopping = true;
	own[0].state = TASK_STOPPING;
	look_after(100);
	expect_nothing();
	own[0].state = TASK_DONE;
	look_after(100);
	expect(DO_FORGET, 100);
	finish();
}

static void r11_an_heir_that_fails_again_sends_nobody_away(void **state)
{
	struct claim *theirs;

	(void)state;
	begin(3);
	theirs = claimed_by(drain_one(), TASK_RUNNING);
	look_after(1);
	look_after(1500);
	theirs->health = HEALTH_UNHEALTHY;
	look_after(100);
	look_after(SECONDS(5));
	expect_nothing();
	theirs->health = HEALTH_HEALTHY;
	look_after(1);
	look_after(1999);
	expect_nothing(); /* the two seconds count anew */
	look_after(1);
	expect(DO_STOP, 100);
	finish();
}

static void r12_an_heir_that_is_lost_is_replaced_at_once(void **state)
{
	size_t to;

	(void)state;
	begin(3);
	to = drain_one();
	claimed_by(to, TASK_STARTING);
	look_after(100);
	c.members[to].state = VIEW_DEAD;
	look_after(100);
	expect_nothing();
	assert_true(heir(0) < 3 && heir(0) != to && heir(0) != 0);
	finish();
}

static void r12_an_heir_that_refuses_is_replaced_at_once(void **state)
{
	size_t to;

	(void)state;
	begin(3);
	to = drain_one();
	claimed_by(to, TASK_REFUSED);
	look_after(100);
	assert_true(heir(0) < 3 && heir(0) != to);
	expect_nothing();
	finish();
}

static void r12_an_heir_that_is_silent_is_waited_for_ten_seconds(void **state)
{
	(void)state;
	begin(2);
	drain_one();
	look_after(9998);
	assert_int_equal(heir(0), 1);
	look_after(1);
	assert_int_equal(heir(0), 1);
	look_after(1);
	assert_int_equal(said(0).handover_to, 0);
	look_after(19999); /* and then left alone for a while */
	assert_int_equal(said(0).handover_to, 0);
	look_after(1);
	assert_int_equal(heir(0), 1);
	expect_nothing();
	finish();
}

static void r12_an_heir_whose_task_keeps_failing_is_let_go(void **state)
{
	struct claim *theirs;

	(void)state;
	begin(2);
	theirs = claimed_by(drain_one(), TASK_BACKOFF);
	theirs->failures = 2;
	look_after(SECONDS(30));
	assert_int_equal(heir(0), 1);
	theirs->failures = 3;
	look_after(1);
	assert_int_equal(said(0).handover_to, 0);
	expect_nothing();
	finish();
}

static void r11_a_drain_taken_back_ends_a_handover_that_nobody_has_begun(void **state)
{
	(void)state;
	begin(3);
	drain_one();
	c.members[0].draining = false;
	look_after(100);
	assert_int_equal(said(0).handover_to, 0);
	expect_nothing();
	finish();
	/* One that was begun is brought to its end. */
	begin(3);
	claimed_by(drain_one(), TASK_STARTING);
	look_after(100);
	c.members[0].draining = false;
	look_after(100);
	assert_true(said(0).handover_to != 0);
	finish();
}

static void r11_ten_slots_go_at_once_and_no_more(void **state)
{
	size_t going = 0;

	(void)state;
	begin(3)->replicas = 12;
	for (uint32_t i = 0; i < 12; i++)
		task(i);
	c.members[0].draining = true;
	look();
	for (size_t i = 0; i < 12; i++)
		going += said(i).handover_to != 0;
	assert_int_equal(going, 10);
	finish();
}

static void r11_who_is_not_ready_or_isolated_hands_nothing_over(void **state)
{
	(void)state;
	begin(3);
	task(0);
	c.members[0].draining = true;
	ready = false;
	look();
	assert_int_equal(said(0).handover_to, 0);
	ready = isolated = true;
	look_after(SECONDS(20));
	assert_int_equal(said(0).handover_to, 0);
	isolated = false;
	look_after(1);
	assert_true(said(0).handover_to != 0);
	finish();
}

static void r11_a_slot_with_a_folder_of_its_own_stops_first(void **state)
{
	static const char *volumes[] = {"data"};
	struct service *s;

	(void)state;
	s = begin(2);
	s->n_volumes = 1;
	s->volumes = volumes;
	task(0);
	c.members[0].draining = true;
	look();
	expect(DO_STOP, 100);
	assert_int_equal(heir(0), 1);
	own[0].stopping = true;
	own[0].state = TASK_STOPPING;
	look_after(100);
	expect_nothing();
	own[0].state = TASK_DONE;
	look_after(100);
	expect_nothing(); /* its claim is what lets the heir start */
	assert_int_equal(heir(0), 1);
	claimed_by(1, TASK_STARTING);
	look_after(100);
	expect(DO_FORGET, 100);
	finish();
}

static void r11_a_stopped_slot_whose_heir_is_lost_starts_here_again(void **state)
{
	static const char *volumes[] = {"data"};
	struct service *s;

	(void)state;
	s = begin(2);
	s->n_volumes = 1;
	s->volumes = volumes;
	task(0);
	c.members[0].draining = true;
	look();
	own[0].stopping = true;
	own[0].state = TASK_DONE;
	look_after(100);
	c.members[1].state = VIEW_DEAD;
	look_after(100);
	assert_int_equal(n_actions, 2);
	assert_int_equal(actions[0].kind, DO_FORGET);
	assert_int_equal(actions[1].kind, DO_START);
	finish();
}

/* Peer 1 hands its slot 0 over to us. */
static struct claim *named(void)
{
	struct claim *theirs = claimed_by(1, TASK_RUNNING);

	theirs->handover_to = c.members[0].id;
	c.members[1].draining = true;
	return theirs;
}

static void r12_who_is_named_starts_the_slot(void **state)
{
	(void)state;
	begin(2);
	look();
	named();
	look_after(1);
	expect(DO_START, slot(0));
	finish();
}

static void r12_who_is_named_by_a_peer_out_of_sight_or_is_not_ready_does_nothing(void **state)
{
	(void)state;
	begin(2);
	named();
	ready = false;
	look();
	expect_nothing();
	ready = true;
	c.members[1].state = VIEW_SUSPECT;
	look_after(1);
	expect_nothing();
	finish();
}

static void r12_who_is_named_and_has_no_room_refuses_after_a_while(void **state)
{
	(void)state;
	begin(2)->reserve.cpu_milli = 3000;
	look();
	named();
	c.facts[0].cpu_milli = 2000;
	look_after(1);
	expect_nothing(); /* room may be about to come */
	look_after(2999);
	expect_nothing();
	look_after(1);
	assert_int_equal(n_actions, 1);
	assert_int_equal(actions[0].kind, DO_REFUSE);
	finish();
}

static void r12_a_slot_with_a_folder_is_taken_once_its_owner_has_stopped(void **state)
{
	static const char *volumes[] = {"data"};
	struct service *s;
	struct claim *theirs;

	(void)state;
	s = begin(2);
	s->n_volumes = 1;
	s->volumes = volumes;
	look();
	theirs = named();
	look_after(1);
	expect_nothing();
	theirs->state = TASK_STOPPING;
	look_after(1);
	expect_nothing();
	theirs->state = TASK_DONE;
	look_after(1);
	expect(DO_START, slot(0));
	finish();
}

static void r12_who_takes_over_does_not_yield_to_the_owner_until_it_is_let_go(void **state)
{
	struct claim *theirs;

	(void)state;
	begin(2);
	look();
	theirs = named();
	task(0)->state = TASK_STARTING;
	own[0].health = HEALTH_STARTING;
	for (int i = 0; i < 20; i++) {
		look_after(SECONDS(1));
		expect_nothing();
	}
	theirs->handover_to = 0;
	c.members[1].draining = false;
	look_after(1);
	expect(DO_STOP, 100); /* at once: before it serves beside the owner */
	finish();
}

static void r11_what_was_just_taken_over_stays_until_its_giver_is_done(void **state)
{
	(void)state;
	begin(3);
	look();
	named();
	task(0); /* serves: it is the owner */
	c.members[0].draining = true;
	for (int i = 0; i < 5; i++) {
		look_after(SECONDS(1));
		expect_nothing();
		assert_int_equal(said(0).handover_to, 0);
	}
	n_others = 0;
	look_after(1);
	assert_true(said(0).handover_to != 0);
	finish();
}

static void r5_a_slot_on_its_way_counts_as_under_way(void **state)
{
	struct claim *theirs;

	(void)state;
	begin(3)->replicas = 2;
	task(1);
	look();
	c.members[0].draining = true;
	look_after(1);
	theirs = claimed_by(heir(0), TASK_STARTING);
	theirs->slot = slot(1);
	look_after(1);
	c.members[0].draining = false; /* so that the other stays */
	task(0);
	look_after(SECONDS(5));
	c.specs[0].services[0].user = "other";
	c.stacks[0].revision_id++;
	for (int i = 0; i < 5; i++) {
		look_after(SECONDS(1));
		expect_nothing();
	}
	/* It has arrived, and settled. */
	n_own = 1;
	own[0] = own[1];
	theirs->state = TASK_RUNNING;
	theirs->content = content();
	look_after(1);
	look_after(SECONDS(2));
	expect(DO_STOP, 101);
	finish();
}

static void r12_a_failed_task_is_kept_until_the_owner_has_seen_it(void **state)
{
	struct claim *theirs;

	(void)state;
	begin(2);
	look();
	theirs = named();
	task(0)->state = TASK_FAILED;
	look_after(1);
	expect_nothing();
	theirs->handover_to = 0;
	look_after(1);
	expect(DO_FORGET, 100);
	finish();
}

static void r12_what_came_from_an_owner_with_little_sight_has_no_better_right_than_its_giver(void **state)
{
	(void)state;
	begin(2);
	look();
	named()->sight = SIGHT_FEW;
	look_after(1);
	expect(DO_START, slot(0));
	task(0);
	assert_true(said(0).replaces);
	finish();
	begin(2);
	look();
	named();
	look_after(1);
	expect(DO_START, slot(0));
	task(0);
	assert_false(said(0).replaces);
	finish();
}

static void asks_for(enum move_why why, int32_t to)
{
	ask = true;
	asked = (struct placed_move){.slot = 0, .to = to, .why = why};
}

static void r14_a_task_stops_for_a_higher_priority_and_is_not_started_again_in_its_own_right(void **state)
{
	(void)state;
	begin(1);
	task(0);
	look();
	asks_for(MOVE_PREEMPT, -1);
	look_after(1);
	look_after(2999);
	expect_nothing();
	look_after(1);
	expect(DO_STOP, 100);
	own[0].stopping = true;
	own[0].state = TASK_DONE;
	ask = false;
	look_after(100);
	expect(DO_FORGET, 100);
	finish();
}

static void r11_room_is_made_for_a_slot_that_needs_it_for_three_seconds(void **state)
{
	(void)state;
	begin(2);
	task(0);
	look();
	asks_for(MOVE_REPAIR, 1);
	look_after(1);
	look_after(2000);
	ask = false; /* it found another way */
	look_after(500);
	asks_for(MOVE_REPAIR, 1);
	look_after(1);
	look_after(2999);
	assert_int_equal(said(0).handover_to, 0);
	look_after(1);
	assert_int_equal(heir(0), 1);
	expect_nothing();
	finish();
}

/* Own task 0 fails, and placement offers it to the returned peer. */
static size_t fail_one(void)
{
	struct own_task *t = task(0);

	look();
	expect_nothing();
	t->state = TASK_BACKOFF;
	t->health = HEALTH_NONE;
	t->failures = SERVICE_MOVE_AFTER - 1;
	look_after(1000);
	assert_int_equal(said(0).handover_to, 0);
	t->failures++;
	look_after(1000);
	expect_nothing(); /* it goes on being restarted */
	assert_true(heir(0) < c.view.n_members && heir(0) != 0);
	return heir(0);
}

static void r16_a_task_that_keeps_failing_is_replaced_by_another_peer_once_that_serves(void **state)
{
	struct claim *theirs;

	(void)state;
	begin(3);
	theirs = claimed_by(fail_one(), TASK_STARTING);
	look_after(1000);
	expect_nothing();
	theirs->state = TASK_RUNNING;
	look_after(1000);
	look_after(2000);
	expect(DO_STOP, 100);
	finish();
}

static void r16_one_that_serves_again_before_the_other_began_stays(void **state)
{
	(void)state;
	begin(3);
	fail_one();
	own[0].state = TASK_RUNNING;
	own[0].health = HEALTH_HEALTHY;
	look_after(500);
	expect_nothing();
	assert_int_equal(said(0).handover_to, 0);
	finish();
}

static void r16_what_fails_everywhere_is_tried_elsewhere_after_pauses_that_double(void **state)
{
	static const int64_t pauses[] = {MINUTES(1), MINUTES(2), MINUTES(4), MINUTES(8), MINUTES(16), MINUTES(32),
	        MINUTES(60), MINUTES(60)};
	size_t to;

	(void)state;
	begin(3);
	to = fail_one();
	for (size_t i = 0; i < ARRAY_LEN(pauses); i++) {
		struct claim *theirs = claimed_by(to, TASK_BACKOFF);

		theirs->health = HEALTH_NONE;
		theirs->failures = 3;
		look_after(100);
		assert_int_equal(said(0).handover_to, 0);
		n_others = 0;
		look_after(pauses[i] - 1);
		assert_int_equal(said(0).handover_to, 0);
		look_after(1);
		expect_nothing();
		to = heir(0);
		assert_true(to < c.view.n_members);
	}
	finish();
}

static void r16_who_takes_over_what_fails_gives_it_up_after_three_failures(void **state)
{
	struct claim *theirs;
	struct own_task *t;

	(void)state;
	begin(3);
	theirs = claimed_by(1, TASK_BACKOFF);
	theirs->health = HEALTH_NONE;
	theirs->failures = SERVICE_MOVE_AFTER;
	theirs->handover_to = c.members[0].id;
	t = task(0);
	t->state = TASK_BACKOFF;
	t->health = HEALTH_NONE;
	t->failures = 2;
	look();
	expect_nothing();
	t->failures = 3;
	look_after(100);
	assert_int_equal(n_actions, 2);
	assert_int_equal(actions[0].kind, DO_STOP);
	assert_int_equal(actions[1].kind, DO_REFUSE);
	finish();
}

static void r3_who_served_all_along_does_not_stop_for_a_newcomer_and_tells_operators_once(void **state)
{
	size_t rounds = 0;

	(void)state;
	/* Whom the slot's hash prefers is chance: enough services give both. */
	for (uint64_t born = 1; born <= 8; born++) {
		begin(2)->born = born;
		c.specs[0].name = arena_printf(&c.arena, "hello%d", (int)born);
		own[n_own] = (struct own_task){.task = 100,
		        .slot = slot_id(&c.view.flock, c.specs[0].name, "s0", 0),
		        .stack = "hello",
		        .revision = c.stacks[0].revision_id,
		        .content = content(),
		        .state = TASK_RUNNING,
		        .health = HEALTH_HEALTHY,
		        .healthy_at = T0 - SECONDS(100)};
		n_own++;
		look();
		claimed_by(1, TASK_RUNNING)->slot = own[0].slot;
		look_after(1);
		if (p.slots[0].owner >= 0 && c.claims[p.slots[0].owner].member == 1) {
			assert_int_equal(n_actions, 1);
			assert_int_equal(actions[0].kind, DO_DISPUTE);
			assert_true(actions[0].peer == c.members[1].id);
			rounds++;
		} else {
			expect_nothing();
		}
		for (int i = 0; i < 20; i++) {
			look_after(SECONDS(5));
			expect_nothing();
		}
		finish();
	}
	assert_true(rounds > 0);
}

static void r3_who_was_there_first_keeps_it_from_one_started_in_its_place(void **state)
{
	(void)state;
	for (int theirs_replaces = 0; theirs_replaces < 2; theirs_replaces++) {
		begin(2);
		task(0)->healthy_at = T0 - SECONDS(10); /* too short to dispute */
		look();
		claimed_by(1, TASK_RUNNING)->replaces = theirs_replaces;
		if (!theirs_replaces) {
			/* Ours is the one that was started as an orphan's. */
			n_own = 0;
			n_others = 0;
			for (int i = 0; i < 20 && !n_actions; i++)
				look_after(SECONDS(1));
			expect(DO_START, slot(0));
			task(0);
			assert_true(said(0).replaces);
			claimed_by(1, TASK_RUNNING);
		}
		look_after(1);
		look_after(SECONDS(5));
		if (theirs_replaces)
			expect_nothing();
		else
			expect(DO_STOP, 100);
		finish();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(
	                r11_a_slot_of_a_draining_peer_is_served_until_its_heir_has_served_for_two_seconds),
	        cmocka_unit_test(r11_an_heir_that_fails_again_sends_nobody_away),
	        cmocka_unit_test(r12_an_heir_that_is_lost_is_replaced_at_once),
	        cmocka_unit_test(r12_an_heir_that_refuses_is_replaced_at_once),
	        cmocka_unit_test(r12_an_heir_that_is_silent_is_waited_for_ten_seconds),
	        cmocka_unit_test(r12_an_heir_whose_task_keeps_failing_is_let_go),
	        cmocka_unit_test(r11_a_drain_taken_back_ends_a_handover_that_nobody_has_begun),
	        cmocka_unit_test(r11_ten_slots_go_at_once_and_no_more),
	        cmocka_unit_test(r11_who_is_not_ready_or_isolated_hands_nothing_over),
	        cmocka_unit_test(r11_a_slot_with_a_folder_of_its_own_stops_first),
	        cmocka_unit_test(r11_a_stopped_slot_whose_heir_is_lost_starts_here_again),
	        cmocka_unit_test(r12_who_is_named_starts_the_slot),
	        cmocka_unit_test(r12_who_is_named_by_a_peer_out_of_sight_or_is_not_ready_does_nothing),
	        cmocka_unit_test(r12_who_is_named_and_has_no_room_refuses_after_a_while),
	        cmocka_unit_test(r12_a_slot_with_a_folder_is_taken_once_its_owner_has_stopped),
	        cmocka_unit_test(r12_who_takes_over_does_not_yield_to_the_owner_until_it_is_let_go),
	        cmocka_unit_test(r11_what_was_just_taken_over_stays_until_its_giver_is_done),
	        cmocka_unit_test(r5_a_slot_on_its_way_counts_as_under_way),
	        cmocka_unit_test(r12_a_failed_task_is_kept_until_the_owner_has_seen_it),
	        cmocka_unit_test(
	                r12_what_came_from_an_owner_with_little_sight_has_no_better_right_than_its_giver),
	        cmocka_unit_test(
	                r14_a_task_stops_for_a_higher_priority_and_is_not_started_again_in_its_own_right),
	        cmocka_unit_test(r11_room_is_made_for_a_slot_that_needs_it_for_three_seconds),
	        cmocka_unit_test(r16_a_task_that_keeps_failing_is_replaced_by_another_peer_once_that_serves),
	        cmocka_unit_test(r16_one_that_serves_again_before_the_other_began_stays),
	        cmocka_unit_test(r16_what_fails_everywhere_is_tried_elsewhere_after_pauses_that_double),
	        cmocka_unit_test(r16_who_takes_over_what_fails_gives_it_up_after_three_failures),
	        cmocka_unit_test(r3_who_served_all_along_does_not_stop_for_a_newcomer_and_tells_operators_once),
	        cmocka_unit_test(r3_who_was_there_first_keeps_it_from_one_started_in_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
