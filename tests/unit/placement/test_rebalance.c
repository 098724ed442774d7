/* Evening out: who sheds, who attracts, and who is left alone. */
#include "tests/unit/placement/cluster.h"
#include "tests/unit/unit.h"

static struct cluster c;
static struct placement p;
static struct placed_move moves[64];

static size_t even_out(size_t most)
{
	cluster_sort_claims(&c);
	place(&c.view, &c.arena, &p);
	return place_rebalance(&c.view, &p, &c.arena, moves, most);
}

/* Services of one replica each, one core; on[i] of them run on peer i (in the order of keys). */
static struct service *start(size_t peers, const size_t *on)
{
	size_t n = 0, k = 0;

	cluster_init(&c, peers);
	cluster_sort(&c);
	for (size_t i = 0; i < peers; i++) {
		c.facts[i].cpu_milli = 16000;
		c.facts[i].memory = 64ULL << 30;
		n += on[i];
	}
	cluster_stack(&c, "a", n);
	for (size_t i = 0; i < peers; i++)
		for (size_t q = 0; q < on[i]; q++, k++) {
			c.specs[0].services[k].reserve.cpu_milli = 1000;
			cluster_claim(&c, slot_id(&c.view.flock, "a", c.specs[0].services[k].name, 0), i, 0);
		}
	return c.specs[0].services;
}

static void the_fullest_sheds_until_nobody_is_hot_or_cold(void **state)
{
	size_t n, on[4] = {12, 8, 8, 4};

	(void)state;
	start(4, on);
	n = even_out(64);
	assert_true(n > 0 && n <= 4);
	for (size_t i = 0; i < n; i++) {
		size_t from = c.claims[p.slots[moves[i].slot].owner].member;

		assert_int_equal(moves[i].why, MOVE_REBALANCE);
		assert_int_equal(moves[i].to, 3);
		on[from]--;
		on[moves[i].to]++;
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(moves[k].slot, moves[i].slot);
	}
	for (size_t i = 0; i < 4; i++)
		assert_in_range(on[i], 6, 10);
	/* No more than asked for. */
	assert_int_equal(even_out(1), 1);
	cluster_free(&c);
}

static void an_even_flock_is_left_alone(void **state)
{
	const size_t on[4] = {9, 8, 8, 7};

	(void)state;
	start(4, on);
	assert_int_equal(even_out(64), 0);
	cluster_free(&c);
}

static void one_large_slot_does_not_wander(void **state)
{
	const size_t on[2] = {1, 0};

	(void)state;
	/* It would be as full there. */
	start(2, on)[0].reserve.cpu_milli = 8000;
	assert_int_equal(even_out(64), 0);
	cluster_free(&c);
}

static void what_does_not_serve_or_is_on_its_way_stays(void **state)
{
	const size_t on[3] = {6, 6, 0};

	(void)state;
	start(3, on);
	for (size_t i = 0; i < c.view.n_claims; i++)
		c.claims[i].c.health = HEALTH_STARTING;
	assert_int_equal(even_out(64), 0);
	for (size_t i = 0; i < c.view.n_claims; i++) {
		c.claims[i].c.health = HEALTH_HEALTHY;
		c.claims[i].c.handover_to = c.members[2].id;
	}
	assert_int_equal(even_out(64), 0);
	/* A cold peer that may be given nothing attracts nothing. */
	for (size_t i = 0; i < c.view.n_claims; i++)
		c.claims[i].c.handover_to = 0;
	assert_true(even_out(64) > 0);
	c.members[2].draining = true;
	assert_int_equal(even_out(64), 0);
	cluster_free(&c);
}

static void replicas_are_not_brought_together(void **state)
{
	const size_t on[3] = {0, 0, 0};
	struct service *s;

	(void)state;
	start(3, on);
	s = cluster_stack(&c, "b", 1)->services;
	s->reserve.cpu_milli = 4000;
	s->replicas = 3;
	/* Peer 2 is the emptiest, but has its replica. */
	for (uint32_t i = 0; i < 3; i++)
		cluster_claim(&c, slot_id(&c.view.flock, "b", "s0", i), i, 0);
	c.facts[2].cpu_milli = 64000;
	assert_int_equal(even_out(64), 0);
	cluster_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_fullest_sheds_until_nobody_is_hot_or_cold),
	        cmocka_unit_test(an_even_flock_is_left_alone),
	        cmocka_unit_test(one_large_slot_does_not_wander),
	        cmocka_unit_test(what_does_not_serve_or_is_on_its_way_stays),
	        cmocka_unit_test(replicas_are_not_brought_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
