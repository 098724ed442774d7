/* R13: who carries too much hands over, a little at a time, or at once when an operator says so. */
#include "tests/unit/node/one_peer.h"

#define SLOTS 6

/* All slots of a service run on this peer, and another carries nothing. */
static void begin(uint64_t ordered_before)
{
	start(2, 0)->replicas = SLOTS;
	c.view.rebalance = ordered_before;
	for (uint32_t i = 0; i < SLOTS; i++) {
		struct claim *claim = cluster_claim(&c, slot(i), 0, content());

		claim->task = task(i)->task;
		claim->revision = c.stacks[0].revision_id;
	}
	for (size_t i = 0; i < c.view.n_members; i++)
		c.members[i].seen = 1;
	run();
}

/* Own claims say what reconcile decided, as when they are published; the other does not answer. */
static size_t handing(void)
{
	size_t n = 0;

	for (size_t i = 0; i < c.view.n_claims; i++) {
		reconcile_claim(r, &c.view.claims[i].c);
		n += c.view.claims[i].c.handover_to == c.members[1].id;
	}
	return n;
}

static void r13_only_what_stays_uneven_for_a_minute_is_evened_out_and_one_slot_at_a_time(void **state)
{
	(void)state;
	begin(0);
	for (int i = 0; i < 59; i++) {
		after(SECONDS(1));
		assert_int_equal(handing(), 0);
	}
	for (int i = 0; i < 8; i++)
		after(SECONDS(1));
	assert_int_equal(handing(), 1);
	expect_nothing(); /* it serves until the other does */
	after(SECONDS(1));
	assert_int_equal(handing(), 1);
	finish();
}

static void r13_an_order_is_carried_out_at_once(void **state)
{
	(void)state;
	begin(5);
	after(SECONDS(6));
	assert_int_equal(handing(), 0); /* it was given before this agent started */
	c.view.rebalance = 6;
	after(10);
	assert_int_equal(handing(), 1);
	finish();
}

static void r13_nothing_moves_while_a_peer_is_suspect(void **state)
{
	(void)state;
	begin(5);
	c.members[1].state = VIEW_SUSPECT;
	c.view.rebalance = 6;
	for (int i = 0; i < 70; i++) {
		after(SECONDS(1));
		assert_int_equal(handing(), 0);
	}
	c.members[1].state = VIEW_ALIVE;
	after(10);
	assert_int_equal(handing(), 1);
	finish();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(r13_only_what_stays_uneven_for_a_minute_is_evened_out_and_one_slot_at_a_time),
	        cmocka_unit_test(r13_an_order_is_carried_out_at_once),
	        cmocka_unit_test(r13_nothing_moves_while_a_peer_is_suspect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
