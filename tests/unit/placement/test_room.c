/* Making room for what fits nowhere: orphans give way, running slots are handed over, lower priorities stop. */
#include "tests/unit/placement/cluster.h"
#include "tests/unit/unit.h"

static struct cluster c;
static struct placement p;

/* n peers of `cores` cores each. */
static void peers(size_t n, uint64_t cores)
{
	cluster_init(&c, n);
	for (size_t i = 0; i < n; i++)
		c.facts[i].cpu_milli = cores * 1000;
	cluster_sort(&c);
}

/* A stack of one service that needs so many cores. */
static struct service *stack(const char *name, uint64_t cores, int32_t priority)
{
	struct service *s = cluster_stack(&c, name, 1)->services;

	s->reserve.cpu_milli = cores * 1000;
	s->priority = priority;
	return s;
}

static void bind(struct service *s, struct spec_constraint *to, const char *peer)
{
	*to = (struct spec_constraint){"node.hostname", OP_EQ, peer};
	s->n_constraints = 1;
	s->constraints = to;
}

static struct claim *runs(const char *name, uint32_t index, const char *peer)
{
	struct claim *claim = cluster_claim(&c, slot_id(&c.view.flock, name, "s0", index),
	        cluster_member(&c, peer), service_content(cluster_find_stack(&c, name)->spec->services));

	claim->revision = cluster_find_stack(&c, name)->revision_id;
	return claim;
}

static void look(void)
{
	cluster_sort_claims(&c);
	place(&c.view, &c.arena, &p);
}

static const struct placed_slot *slot(const char *name, uint32_t index)
{
	id64 id = slot_id(&c.view.flock, name, "s0", index);

	for (size_t i = 0; i < p.n_slots; i++)
		if (p.slots[i].slot == id)
			return &p.slots[i];
	abort();
}

static const char *peer_of(const char *name)
{
	int m = cluster_peer_of(&c, slot(name, 0));

	return m < 0 ? "nobody" : cluster_name(&c, (size_t)m);
}

static void expect_move(size_t i, enum move_why why, const char *name, const char *to, const char *for_whom)
{
	assert_true(i < p.n_moves);
	assert_int_equal(p.moves[i].why, why);
	assert_true(&p.slots[p.moves[i].slot] == slot(name, 0));
	if (to)
		assert_string_equal(cluster_name(&c, (size_t)p.moves[i].to), to);
	else
		assert_int_equal(p.moves[i].to, -1);
	assert_int_equal(p.slots[p.moves[i].for_slot].stack, slot(for_whom, 0)->stack);
}

static void an_orphan_gives_way_to_one_that_can_be_nowhere_else(void **state)
{
	struct spec_constraint on[2];

	(void)state;
	for (int choice = 0; choice < 2; choice++) {
		peers(2, 2);
		stack("first", 2, 0);
		place(&c.view, &c.arena, &p);
		/* Wherever the first goes, the second is bound to just that peer. */
		bind(stack("second", 2, 0), &on[0], peer_of("first"));
		look();
		assert_string_equal(peer_of("second"), on[0].value);
		assert_string_not_equal(peer_of("first"), on[0].value);
		assert_string_not_equal(peer_of("first"), "nobody");
		assert_int_equal(p.n_moves, 0); /* nothing runs yet */
		assert_int_equal(p.n_displaced, 1);
		cluster_free(&c);
	}
}

static void orphans_give_way_in_a_chain(void **state)
{
	struct spec_constraint any[4][2];

	(void)state;
	peers(3, 1);
	/* a: p0 or p1; b: p1 or p2; then two that can be on p0 alone, and p1 alone. */
	for (size_t i = 0; i < 2; i++) {
		struct service *s = stack(i ? "b" : "a", 1, 0);

		any[i][0] = (struct spec_constraint){"node.hostname", OP_NE, i ? "p0" : "p2"};
		s->n_constraints = 1;
		s->constraints = any[i];
	}
	place(&c.view, &c.arena, &p);
	bind(stack("c", 1, 0), any[2], "p0");
	look();
	assert_string_equal(peer_of("c"), "p0");
	assert_string_equal(peer_of("a"), "p1");
	assert_string_equal(peer_of("b"), "p2");
	assert_int_equal(p.n_moves, 0);
	cluster_free(&c);
}

static void what_runs_is_handed_over_for_one_that_can_be_nowhere_else(void **state)
{
	struct spec_constraint on;

	(void)state;
	peers(2, 2);
	stack("old", 2, 0);
	bind(stack("new", 2, 0), &on, "p0");
	runs("old", 0, "p0");
	look();
	assert_int_equal(p.n_moves, 1);
	expect_move(0, MOVE_REPAIR, "old", "p1", "new");
	assert_string_equal(peer_of("new"), "nobody");
	assert_int_equal(slot("new", 0)->reason, REASON_MAKING_ROOM);
	assert_string_equal(cluster_name(&c, slot("new", 0)->candidate[0]), "p0");
	cluster_free(&c);
}

static void while_it_is_handed_over_nothing_else_has_to_move(void **state)
{
	struct spec_constraint on;
	struct claim *old, *theirs;

	(void)state;
	peers(3, 2);
	stack("old", 1, 0);
	stack("other", 1, 0);
	bind(stack("new", 1, 0), &on, "p0");
	old = runs("old", 0, "p0");
	runs("other", 0, "p0");
	old->handover_to = c.members[cluster_member(&c, "p1")].id;
	look();
	assert_int_equal(p.n_moves, 0);
	assert_int_equal(slot("new", 0)->reason, REASON_MAKING_ROOM);
	/* The heir serves; the old task drains. */
	theirs = runs("old", 0, "p1");
	theirs->task++;
	look();
	assert_int_equal(p.n_moves, 0);
	assert_int_equal(slot("new", 0)->reason, REASON_MAKING_ROOM);
	cluster_free(&c);
}

static void two_that_wait_do_not_count_on_the_same_room(void **state)
{
	struct spec_constraint on[2];

	(void)state;
	peers(2, 2);
	stack("big", 2, 0);
	bind(stack("new1", 2, 0), &on[0], "p0");
	bind(stack("new2", 2, 0), &on[1], "p0");
	runs("big", 0, "p0")->handover_to = c.members[cluster_member(&c, "p1")].id;
	look();
	assert_int_equal(slot("new1", 0)->reason, REASON_MAKING_ROOM);
	assert_int_equal(slot("new2", 0)->reason, REASON_ROOM);
	cluster_free(&c);
}

static void nothing_runs_elsewhere_for_a_slot_of_lower_priority(void **state)
{
	struct spec_constraint on;

	(void)state;
	peers(2, 2);
	stack("old", 2, 1);
	bind(stack("new", 2, 0), &on, "p0");
	runs("old", 0, "p0");
	look();
	assert_int_equal(p.n_moves, 0);
	assert_int_equal(slot("new", 0)->reason, REASON_ROOM);
	cluster_free(&c);
}

static void folders_of_a_host_are_not_left_for_another_slot(void **state)
{
	static const char *volumes[] = {"data"};
	struct spec_constraint on;
	struct service *s;

	(void)state;
	peers(2, 2);
	s = stack("old", 2, 0);
	s->n_volumes = 1;
	s->volumes = volumes;
	bind(stack("new", 2, 0), &on, "p0");
	runs("old", 0, "p0");
	look();
	assert_int_equal(p.n_moves, 0);
	cluster_free(&c);
}

static void of_lower_priority_the_fewest_stop(void **state)
{
	struct spec_constraint on;

	(void)state;
	peers(1, 4);
	stack("one", 1, -1);
	stack("three", 3, 0);
	bind(stack("high", 3, 5), &on, "p0");
	runs("one", 0, "p0");
	runs("three", 0, "p0");
	look();
	/* Without `one` it does not fit yet; without `three` it does. */
	assert_int_equal(p.n_moves, 1);
	expect_move(0, MOVE_PREEMPT, "three", NULL, "high");
	assert_int_equal(slot("high", 0)->reason, REASON_MAKING_ROOM);
	cluster_free(&c);
}

static void of_two_that_would_do_the_lower_priority_stops(void **state)
{
	(void)state;
	for (int lower = 0; lower < 2; lower++) {
		peers(2, 2);
		stack("a", 2, lower ? 1 : 2);
		stack("b", 2, lower ? 2 : 1);
		stack("high", 2, 5);
		runs("a", 0, "p0");
		runs("b", 0, "p1");
		look();
		assert_int_equal(p.n_moves, 1);
		expect_move(0, MOVE_PREEMPT, lower ? "a" : "b", NULL, "high");
		cluster_free(&c);
	}
}

static void equal_priority_stops_for_nobody(void **state)
{
	(void)state;
	peers(1, 2);
	stack("old", 2, 3);
	stack("new", 2, 3);
	runs("old", 0, "p0");
	look();
	assert_int_equal(p.n_moves, 0);
	assert_int_equal(slot("new", 0)->reason, REASON_ROOM);
	cluster_free(&c);
}

static void nobody_stops_where_that_would_not_be_enough(void **state)
{
	struct spec_constraint on;

	(void)state;
	peers(2, 4);
	stack("low", 1, 0);
	stack("same", 2, 5);
	bind(stack("high", 3, 5), &on, "p0");
	runs("low", 0, "p0");
	runs("same", 0, "p0");
	look();
	for (size_t i = 0; i < p.n_moves; i++)
		assert_int_not_equal(p.moves[i].why, MOVE_PREEMPT);
	cluster_free(&c);
}

static void who_stopped_does_not_come_back_into_the_room(void **state)
{
	(void)state;
	peers(1, 2);
	stack("low", 2, 0);
	stack("high", 2, 5);
	look();
	assert_string_equal(peer_of("high"), "p0");
	assert_string_equal(peer_of("low"), "nobody");
	runs("high", 0, "p0");
	look();
	assert_int_equal(slot("low", 0)->reason, REASON_ROOM);
	assert_int_equal(p.n_moves, 0);
	cluster_free(&c);
}

static void what_stopped_first_does_not_come_back_while_more_has_to_stop(void **state)
{
	(void)state;
	peers(1, 6);
	stack("low", 1, 0)->replicas = 2;
	stack("high", 3, 5)->replicas = 2;
	runs("high", 0, "p0");
	runs("low", 0, "p0");
	look(); /* low/1 has stopped: there is room for it, which is kept */
	assert_int_equal(slot("high", 1)->reason, REASON_MAKING_ROOM);
	assert_int_equal(slot("low", 1)->n_candidates, 0);
	assert_int_equal(p.n_moves, 1);
	expect_move(0, MOVE_PREEMPT, "low", NULL, "high");
	cluster_free(&c);
}

static void a_port_that_is_free_is_kept_too(void **state)
{
	static struct spec_port port = {.name = "a", .target = 80, .published = 80, .mode = PORT_HOST};
	struct service *s;

	(void)state;
	peers(1, 2);
	stack("low", 2, 0);
	s = stack("web", 0, 0);
	s->n_ports = 1;
	s->ports = &port;
	s = stack("high", 2, 5);
	s->n_ports = 1;
	s->ports = &port;
	runs("low", 0, "p0");
	look();
	assert_int_equal(slot("high", 0)->reason, REASON_MAKING_ROOM);
	assert_int_equal(slot("web", 0)->n_candidates, 0);
	cluster_free(&c);
}

static void a_host_port_is_given_up_too(void **state)
{
	static struct spec_port port = {.name = "a", .target = 80, .published = 80, .mode = PORT_HOST};
	struct service *s;

	(void)state;
	peers(1, 4);
	s = stack("low", 1, 0);
	s->n_ports = 1;
	s->ports = &port;
	s = stack("high", 1, 5);
	s->n_ports = 1;
	s->ports = &port;
	runs("low", 0, "p0");
	look();
	expect_move(0, MOVE_PREEMPT, "low", NULL, "high");
	cluster_free(&c);
}

static void a_global_slot_makes_room_on_its_own_peer(void **state)
{
	struct service *s;

	(void)state;
	peers(1, 2);
	stack("old", 2, 0);
	runs("old", 0, "p0");
	s = stack("all", 1, 5);
	s->mode = MODE_GLOBAL;
	look();
	assert_int_equal(p.n_moves, 1);
	assert_int_equal(p.moves[0].why, MOVE_PREEMPT);
	assert_true(&p.slots[p.moves[0].slot] == slot("old", 0));
	cluster_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(an_orphan_gives_way_to_one_that_can_be_nowhere_else),
	        cmocka_unit_test(orphans_give_way_in_a_chain),
	        cmocka_unit_test(what_runs_is_handed_over_for_one_that_can_be_nowhere_else),
	        cmocka_unit_test(while_it_is_handed_over_nothing_else_has_to_move),
	        cmocka_unit_test(two_that_wait_do_not_count_on_the_same_room),
	        cmocka_unit_test(nothing_runs_elsewhere_for_a_slot_of_lower_priority),
	        cmocka_unit_test(folders_of_a_host_are_not_left_for_another_slot),
	        cmocka_unit_test(of_lower_priority_the_fewest_stop),
	        cmocka_unit_test(of_two_that_would_do_the_lower_priority_stops),
	        cmocka_unit_test(equal_priority_stops_for_nobody),
	        cmocka_unit_test(nobody_stops_where_that_would_not_be_enough),
	        cmocka_unit_test(who_stopped_does_not_come_back_into_the_room),
	        cmocka_unit_test(what_stopped_first_does_not_come_back_while_more_has_to_stop),
	        cmocka_unit_test(a_port_that_is_free_is_kept_too),
	        cmocka_unit_test(a_host_port_is_given_up_too),
	        cmocka_unit_test(a_global_slot_makes_room_on_its_own_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
