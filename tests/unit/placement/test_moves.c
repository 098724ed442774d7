/* Slots that run where they should not: who is told to go, where to, and who is left alone. */
#include "tests/unit/placement/cluster.h"
#include "tests/unit/unit.h"

static struct cluster c;
static struct placement p;

static void run(void)
{
	cluster_sort_claims(&c);
	place(&c.view, &c.arena, &p);
}

/* n peers of which p0 runs every slot of hello/s0. */
static struct service *start(size_t n, uint32_t replicas)
{
	struct service *s;

	cluster_init(&c, n);
	cluster_sort(&c);
	s = cluster_stack(&c, "hello", 1)->services;
	s->replicas = replicas;
	for (uint32_t i = 0; i < replicas; i++)
		cluster_claim(&c, slot_id(&c.view.flock, "hello", "s0", i), cluster_member(&c, "p0"), 0);
	return s;
}

static struct view_member *peer(const char *name)
{
	return &c.members[cluster_member(&c, name)];
}

static struct facts *facts_of(const char *name)
{
	return &c.facts[peer(name)->facts - c.facts];
}

static struct claim *claim_of(uint32_t index)
{
	for (size_t i = 0; i < c.view.n_claims; i++)
		if (c.claims[i].c.slot == slot_id(&c.view.flock, "hello", "s0", index))
			return &c.claims[i].c;
	fail_msg("no claim of slot %u", index);
	return NULL;
}

static void the_slots_of_a_draining_peer_move_to_others(void **state)
{
	size_t to[3] = {0};

	(void)state;
	start(3, 4);
	run();
	assert_int_equal(p.n_moves, 0);
	peer("p0")->draining = true;
	run();
	assert_int_equal(p.n_moves, 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(p.moves[i].slot, i);
		assert_int_equal(p.moves[i].why, MOVE_DRAIN);
		assert_true(p.moves[i].to >= 0 && p.moves[i].to != (int)cluster_member(&c, "p0"));
		assert_true(p.slots[i].owner >= 0); /* until another serves */
		to[p.moves[i].to]++;
	}
	/* What was moved counts for the next, as with orphans. */
	assert_int_equal(to[cluster_member(&c, "p1")], 2);
	assert_int_equal(to[cluster_member(&c, "p2")], 2);
	cluster_free(&c);
}

static void a_peer_that_is_no_longer_what_the_service_asks_for_lets_it_go(void **state)
{
	static struct spec_constraint zone[] = {{"node.labels.zone", OP_NE, "b"}};
	static struct kv label[] = {{"zone", "b"}};
	static const char *feature[] = {"teleport"};
	struct service *s;

	(void)state;
	s = start(2, 1);
	s->n_constraints = 1;
	s->constraints = zone;
	run();
	assert_int_equal(p.n_moves, 0);
	peer("p0")->labels = label;
	peer("p0")->n_labels = 1;
	run();
	assert_int_equal(p.n_moves, 1);
	assert_int_equal(p.moves[0].why, MOVE_FORBIDDEN);
	assert_int_equal(p.moves[0].to, cluster_member(&c, "p1"));
	cluster_free(&c);

	start(2, 1);
	facts_of("p0")->drivers = 0;
	run();
	assert_int_equal(p.moves[0].why, MOVE_FORBIDDEN);
	assert_int_equal(p.moves[0].to, cluster_member(&c, "p1"));
	cluster_free(&c);

	start(2, 1);
	c.specs[0].n_features = 1;
	c.specs[0].features = facts_of("p1")->features = feature;
	facts_of("p1")->n_features = 1;
	run();
	assert_int_equal(p.moves[0].why, MOVE_FORBIDDEN);
	assert_int_equal(p.moves[0].to, cluster_member(&c, "p1"));
	cluster_free(&c);
}

static void who_may_only_be_given_nothing_new_keeps_what_it_runs(void **state)
{
	(void)state;
	start(2, 2);
	facts_of("p0")->ready = false;
	run();
	assert_int_equal(p.n_moves, 0);
	facts_of("p0")->ready = true;
	peer("p0")->state = VIEW_SUSPECT;
	run();
	assert_int_equal(p.n_moves, 0);
	peer("p0")->state = VIEW_ALIVE;
	peer("p0")->facts = NULL;
	run();
	assert_int_equal(p.n_moves, 0);
	cluster_free(&c);
}

static void a_slot_that_can_go_nowhere_stays_and_says_why(void **state)
{
	(void)state;
	start(3, 1)->reserve.cpu_milli = 1000;
	peer("p0")->draining = true;
	facts_of("p1")->cpu_milli = 500;
	facts_of("p2")->cpu_milli = 500;
	run();
	assert_int_equal(p.n_moves, 1);
	assert_int_equal(p.moves[0].to, -1);
	assert_int_equal(p.moves[0].reason, REASON_CAPACITY);
	assert_true(p.slots[0].owner >= 0);
	cluster_free(&c);
	/* Alone: that it drains itself is why. */
	start(1, 1);
	peer("p0")->draining = true;
	run();
	assert_int_equal(p.moves[0].to, -1);
	assert_int_equal(p.moves[0].reason, REASON_DRAINING);
	cluster_free(&c);
}

static void a_handover_under_way_is_not_listed_and_its_room_is_taken(void **state)
{
	struct service *other;

	(void)state;
	start(2, 1)->reserve.cpu_milli = 3000;
	other = cluster_stack(&c, "other", 1)->services;
	other->reserve.cpu_milli = 2000;
	peer("p0")->draining = true;
	run();
	assert_int_equal(p.n_moves, 1);
	assert_int_equal(p.moves[0].to, cluster_member(&c, "p1"));
	assert_int_equal(p.slots[1].n_candidates, 0); /* a later service's orphan gets what is left */

	claim_of(0)->handover_to = peer("p1")->id;
	run();
	assert_int_equal(p.n_moves, 0);
	assert_int_equal(p.slots[1].n_candidates, 0);
	assert_int_equal(p.slots[1].reason, REASON_ROOM);
	/* Room is taken once: by the promise, then by the claim. */
	other->reserve.cpu_milli = 1000;
	run();
	assert_int_equal(p.slots[1].n_candidates, 1);
	cluster_claim(&c, p.slots[0].slot, cluster_member(&c, "p1"), 0)->state = TASK_STARTING;
	run();
	assert_int_equal(p.n_moves, 0);
	assert_int_equal(p.slots[1].n_candidates, 1);
	/* It serves: the slot is where it should be. */
	for (size_t i = 0; i < c.view.n_claims; i++)
		c.claims[i].c.state = TASK_RUNNING;
	run();
	assert_int_equal(c.claims[p.slots[0].owner].member, cluster_member(&c, "p1"));
	assert_int_equal(p.n_moves, 0);
	cluster_free(&c);
}

static void a_promised_place_counts_as_a_replica(void **state)
{
	struct service *s;

	(void)state;
	s = start(3, 2);
	s->max_replicas_per_node = 1;
	c.claims[1].member = cluster_member(&c, "p1");
	cluster_sort_claims(&c);
	peer("p0")->draining = peer("p1")->draining = true;
	claim_of(0)->handover_to = peer("p2")->id;
	run();
	assert_int_equal(p.n_moves, 1);
	assert_int_equal(p.moves[0].slot, 1);
	assert_int_equal(p.moves[0].to, -1);
	assert_int_equal(p.moves[0].reason, REASON_PER_NODE);
	/* Named in this very run, it counts too. */
	claim_of(0)->handover_to = 0;
	run();
	assert_int_equal(p.n_moves, 2);
	assert_int_equal(p.moves[0].to, cluster_member(&c, "p2"));
	assert_int_equal(p.moves[1].to, -1);
	cluster_free(&c);
}

/* p0 drains and hands its slot over to p1. */
static void handing_over(void)
{
	start(3, 1)->reserve.cpu_milli = 3000;
	peer("p0")->draining = true;
	claim_of(0)->handover_to = peer("p1")->id;
	run();
	assert_int_equal(p.n_moves, 0);
}

static void expect_move_to(const char *name)
{
	run();
	assert_int_equal(p.n_moves, 1);
	assert_int_equal(p.moves[0].to, cluster_member(&c, name));
	cluster_free(&c);
}

static void a_target_that_cannot_take_it_any_more_is_replaced(void **state)
{
	(void)state;
	handing_over();
	peer("p1")->state = VIEW_DEAD;
	expect_move_to("p2");
	handing_over();
	peer("p1")->draining = true;
	expect_move_to("p2");
	handing_over();
	facts_of("p1")->ready = false;
	expect_move_to("p2");
	handing_over();
	cluster_claim(&c, p.slots[0].slot, cluster_member(&c, "p1"), 0)->state = TASK_FAILED;
	expect_move_to("p2");
	handing_over();
	cluster_claim(&c, p.slots[0].slot, cluster_member(&c, "p1"), 0)->state = TASK_REFUSED;
	c.claims[c.view.n_claims - 1].c.revision = c.stacks[0].revision_id;
	expect_move_to("p2");
	handing_over();
	claim_of(0)->handover_to = 12345; /* a stranger */
	run();
	assert_int_equal(p.n_moves, 1);
	cluster_free(&c);
	/* A suspicion may be false, and a target that has begun may be not ready: these go on. */
	handing_over();
	peer("p1")->state = VIEW_SUSPECT;
	run();
	assert_int_equal(p.n_moves, 0);
	peer("p1")->state = VIEW_ALIVE;
	cluster_claim(&c, p.slots[0].slot, cluster_member(&c, "p1"), 0)->state = TASK_STARTING;
	facts_of("p1")->ready = false;
	run();
	assert_int_equal(p.n_moves, 0);
	cluster_free(&c);
}

static void of_two_that_were_promised_one_room_the_first_goes_on(void **state)
{
	(void)state;
	start(3, 2)->reserve.cpu_milli = 2000;
	facts_of("p1")->cpu_milli = 3000;
	peer("p0")->draining = true;
	claim_of(0)->handover_to = claim_of(1)->handover_to = peer("p1")->id;
	run();
	assert_int_equal(p.n_moves, 1);
	assert_int_equal(p.moves[0].slot, 0);
	assert_int_equal(p.moves[0].to, cluster_member(&c, "p2"));
	cluster_free(&c);
}

static void what_is_over_for_good_stays(void **state)
{
	(void)state;
	for (enum task_state s = TASK_DONE; s <= TASK_FAILED; s++) {
		start(2, 1);
		peer("p0")->draining = true;
		claim_of(0)->state = s;
		run();
		assert_int_equal(p.n_moves, 0);
		assert_true(p.slots[0].owner >= 0);
		cluster_free(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_slots_of_a_draining_peer_move_to_others),
	        cmocka_unit_test(a_peer_that_is_no_longer_what_the_service_asks_for_lets_it_go),
	        cmocka_unit_test(who_may_only_be_given_nothing_new_keeps_what_it_runs),
	        cmocka_unit_test(a_slot_that_can_go_nowhere_stays_and_says_why),
	        cmocka_unit_test(a_handover_under_way_is_not_listed_and_its_room_is_taken),
	        cmocka_unit_test(a_promised_place_counts_as_a_replica),
	        cmocka_unit_test(a_target_that_cannot_take_it_any_more_is_replaced),
	        cmocka_unit_test(of_two_that_were_promised_one_room_the_first_goes_on),
	        cmocka_unit_test(what_is_over_for_good_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
