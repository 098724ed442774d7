#include "tests/unit/placement/cluster.h"
#include "tests/unit/unit.h"

static struct cluster c;
static struct placement p;

static void run(size_t slot, enum place_reason *out)
{
	cluster_sort_claims(&c);
	place(&c.view, &c.arena, &p);
	place_explain(&c.view, &p, slot, out);
}

static void every_peer_gets_its_own_reason(void **state)
{
	static struct spec_constraint zone[] = {{"node.labels.zone", OP_EQ, "a"}};
	static struct kv label[] = {{"zone", "a"}};
	enum place_reason why[6];

	(void)state;
	cluster_init(&c, 6);
	for (size_t i = 0; i < 5; i++) {
		c.members[i].labels = label;
		c.members[i].n_labels = 1;
	}
	c.members[1].state = VIEW_DEAD;
	c.members[2].draining = true;
	c.facts[3].ready = false;
	c.facts[4].cpu_milli = 500;
	cluster_sort(&c);
	cluster_stack(&c, "hello", 1)->services[0].n_constraints = 1;
	c.specs[0].services[0].constraints = zone;
	c.specs[0].services[0].reserve.cpu_milli = 1000;
	run(0, why);
	assert_int_equal(why[cluster_member(&c, "p0")], REASON_OK);
	assert_int_equal(why[cluster_member(&c, "p1")], REASON_NOT_ALIVE);
	assert_int_equal(why[cluster_member(&c, "p2")], REASON_DRAINING);
	assert_int_equal(why[cluster_member(&c, "p3")], REASON_NOT_READY);
	assert_int_equal(why[cluster_member(&c, "p4")], REASON_CAPACITY);
	assert_int_equal(why[cluster_member(&c, "p5")], REASON_CONSTRAINT);
	cluster_free(&c);
}

static void an_owner_is_not_told_that_its_own_slot_fills_it(void **state)
{
	enum place_reason why[2];
	size_t other;

	(void)state;
	cluster_init(&c, 2);
	cluster_sort(&c);
	cluster_stack(&c, "hello", 1)->services[0].replicas = 2;
	c.specs[0].services[0].reserve.cpu_milli = 4000;
	cluster_claim(&c, slot_id(&c.view.flock, "hello", "s0", 0), 1, 0);
	run(0, why);
	assert_int_equal(why[1], REASON_OK);
	assert_int_equal(why[0], REASON_ROOM); /* the other slot goes there */
	run(1, why);
	other = p.slots[1].candidate[0];
	assert_int_equal(other, 0);
	assert_int_equal(why[0], REASON_OK);
	assert_int_equal(why[1], REASON_ROOM);
	cluster_free(&c);
}

static void a_refusal_shows_for_its_slot_only(void **state)
{
	enum place_reason why[2];
	struct claim *refusal;

	(void)state;
	cluster_init(&c, 2);
	cluster_sort(&c);
	cluster_stack(&c, "hello", 1)->services[0].replicas = 2;
	refusal = cluster_claim(&c, slot_id(&c.view.flock, "hello", "s0", 0), 1, 0);
	refusal->state = TASK_REFUSED;
	refusal->revision = c.stacks[0].revision_id;
	run(0, why);
	assert_int_equal(why[0], REASON_OK);
	assert_int_equal(why[1], REASON_REFUSED);
	run(1, why);
	assert_int_equal(why[1], REASON_OK);
	cluster_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_peer_gets_its_own_reason),
	        cmocka_unit_test(an_owner_is_not_told_that_its_own_slot_fills_it),
	        cmocka_unit_test(a_refusal_shows_for_its_slot_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
