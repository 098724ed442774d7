/* What ties a slot to peers beyond size and labels: volumes, devices, voters. */
#include "tests/unit/placement/cluster.h"
#include "tests/unit/unit.h"

static struct cluster c;
static struct placement p;

static void run(void)
{
	cluster_sort_claims(&c);
	place(&c.view, &c.arena, &p);
}

static struct service *start(size_t n, uint32_t replicas)
{
	struct service *s;

	cluster_init(&c, n);
	cluster_sort(&c);
	s = cluster_stack(&c, "hello", 1)->services;
	s->replicas = replicas;
	return s;
}

static struct facts *facts_of(const char *name)
{
	return &c.facts[c.members[cluster_member(&c, name)].facts - c.facts];
}

static void claim(uint32_t index, const char *name)
{
	cluster_claim(&c, slot_id(&c.view.flock, "hello", "s0", index), cluster_member(&c, name), 0);
}

static void a_volume_that_lives_somewhere_pins_its_service_there(void **state)
{
	static const char *wanted[] = {"cache", "data"};
	static const char *other[] = {"hell/data", "hello/dat", "hello/data2", "hellos/data"};
	static const char *data[] = {"a/b", "hello/data", "z/z"};
	struct service *s;

	(void)state;
	s = start(4, 1);
	s->n_volumes = 2;
	s->volumes = wanted;
	/* Nobody has one; names that are only alike are none. */
	facts_of("p1")->volumes = other;
	facts_of("p1")->n_volumes = 4;
	run();
	assert_int_equal(p.slots[0].n_candidates, 4);
	facts_of("p3")->volumes = data;
	facts_of("p3")->n_volumes = 3;
	run();
	assert_int_equal(p.slots[0].n_candidates, 1);
	assert_int_equal(p.slots[0].candidate[0], cluster_member(&c, "p3"));
	/* Two have it: either will do. */
	facts_of("p0")->volumes = data;
	facts_of("p0")->n_volumes = 3;
	run();
	assert_int_equal(p.slots[0].n_candidates, 2);
	/* Who has it is away: the slot waits. Gone for good: anybody may begin anew. */
	facts_of("p0")->n_volumes = 0;
	c.members[cluster_member(&c, "p3")].state = VIEW_DEAD;
	run();
	assert_int_equal(p.slots[0].n_candidates, 0);
	assert_int_equal(p.slots[0].reason, REASON_VOLUME);
	c.members[cluster_member(&c, "p3")].state = VIEW_LEFT;
	run();
	assert_int_equal(p.slots[0].n_candidates, 3);
	cluster_free(&c);
}

static void both_volumes_of_a_service_are_asked_for(void **state)
{
	static const char *wanted[] = {"cache", "data"};
	static const char *data[] = {"hello/data"}, *both[] = {"hello/cache", "hello/data"};
	struct service *s;

	(void)state;
	s = start(3, 1);
	s->n_volumes = 2;
	s->volumes = wanted;
	facts_of("p0")->volumes = data;
	facts_of("p0")->n_volumes = 1;
	facts_of("p2")->volumes = both;
	facts_of("p2")->n_volumes = 2;
	run();
	assert_int_equal(p.slots[0].n_candidates, 1);
	assert_int_equal(p.slots[0].candidate[0], cluster_member(&c, "p2"));
	/* And a slot goes to where its data is. */
	claim(0, "p0");
	run();
	assert_int_equal(p.n_moves, 1);
	assert_int_equal(p.moves[0].why, MOVE_FORBIDDEN);
	assert_int_equal(p.moves[0].to, cluster_member(&c, "p2"));
	cluster_free(&c);
}

static void devices_are_counted(void **state)
{
	static struct spec_generic two_gpus[] = {{"gpu", 2}}, has[] = {{"fpga", 1}, {"gpu", 5}};
	static struct spec_generic one_gpu[] = {{"gpu", 1}};
	struct service *s;

	(void)state;
	s = start(2, 3);
	s->n_generic = 1;
	s->generic = two_gpus;
	run();
	assert_int_equal(p.slots[0].reason, REASON_DEVICE);
	facts_of("p0")->generic = has;
	facts_of("p0")->n_generic = 2;
	run();
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(p.slots[i].n_candidates, 1);
	assert_int_equal(p.slots[2].n_candidates, 0);
	assert_int_equal(p.slots[2].reason, REASON_DEVICE_BUSY);
	/* What runs takes them, whoever it belongs to; the rest is free. */
	claim(0, "p0");
	claim(1, "p0");
	s = cluster_stack(&c, "other", 1)->services;
	s->n_generic = 1;
	s->generic = one_gpu;
	s->replicas = 2;
	run();
	assert_int_equal(p.slots[2].reason, REASON_DEVICE_BUSY);
	assert_int_equal(p.slots[3].n_candidates, 1);
	assert_int_equal(p.slots[4].reason, REASON_DEVICE_BUSY);
	cluster_free(&c);
}

static void a_slot_leaves_a_peer_whose_devices_are_gone(void **state)
{
	static struct spec_generic gpu[] = {{"gpu", 1}};
	struct service *s;

	(void)state;
	s = start(2, 1);
	s->n_generic = 1;
	s->generic = gpu;
	facts_of("p1")->generic = facts_of("p0")->generic = gpu;
	facts_of("p1")->n_generic = facts_of("p0")->n_generic = 1;
	claim(0, "p0");
	run();
	assert_int_equal(p.n_moves, 0);
	facts_of("p0")->n_generic = 0;
	run();
	assert_int_equal(p.n_moves, 1);
	assert_int_equal(p.moves[0].why, MOVE_FORBIDDEN);
	assert_int_equal(p.moves[0].to, cluster_member(&c, "p1"));
	cluster_free(&c);
}

static void majority_needs_voters(void **state)
{
	(void)state;
	start(2, 1)->partition = PARTITION_MAJORITY;
	run();
	assert_int_equal(p.slots[0].reason, REASON_VOTERS);
	/* What runs is not moved for it: reconcile has its own rule for the majority. */
	claim(0, "p0");
	run();
	assert_int_equal(p.n_moves, 0);
	c.view.n_claims = 0;
	c.view.n_voters = 1;
	c.view.voters = &c.members[0].key;
	run();
	assert_int_equal(p.slots[0].n_candidates, 2);
	cluster_free(&c);
	/* A global service's slots show it. */
	start(2, 1)->mode = MODE_GLOBAL;
	c.specs[0].services[0].partition = PARTITION_MAJORITY;
	run();
	assert_int_equal(p.n_slots, 2);
	assert_int_equal(p.slots[1].reason, REASON_VOTERS);
	cluster_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_volume_that_lives_somewhere_pins_its_service_there),
	        cmocka_unit_test(both_volumes_of_a_service_are_asked_for),
	        cmocka_unit_test(devices_are_counted),
	        cmocka_unit_test(a_slot_leaves_a_peer_whose_devices_are_gone),
	        cmocka_unit_test(majority_needs_voters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
