/* Whose wall clock is wrong: stories of time (gossip_clock). */
#include "tests/sim/story.h"

static struct gossip_clock clock_of(struct sim *s, unsigned i)
{
	struct gossip_clock c;

	gossip_clock(s->peer[i].gossip, sim_peer_now(s, i), &c);
	return c;
}

static unsigned doubted(struct sim *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n; i++)
		n += s->peer[i].gossip && clock_of(s, i).doubted;
	return n;
}

SIM(a_peer_whose_clock_is_wrong_knows_it_and_the_others_are_not_misled, .peers = 5, .sealed = true)
{
	struct gossip_clock c;

	WAIT(s, SECONDS(4), sim_all_ready(s));
	sim_run(s, SECONDS(10));
	EXPECT(s, doubted(s) == 0);
	sim_step_clock(s, 2, -MINUTES(10));
	WAIT(s, SECONDS(8), clock_of(s, 2).others == 4);
	c = clock_of(s, 2);
	EXPECT(s, c.doubted && c.others == 4);
	EXPECT(s, llabs(c.offset_ms + MINUTES(10)) < SECONDS(2));
	/* The others hear of it, and trust themselves. */
	sim_run(s, SECONDS(20));
	EXPECT(s, doubted(s) == 1);
	c = clock_of(s, 0);
	EXPECT(s, key32_eq(&c.peer, &s->peer[2].key) && llabs(c.apart_ms - MINUTES(10)) < SECONDS(2));
	/* Set right again: at once, and after all have heard. */
	sim_step_clock(s, 2, MINUTES(10));
	EXPECT(s, !clock_of(s, 2).doubted);
	sim_run(s, SECONDS(20));
	EXPECT(s, doubted(s) == 0);
}

SIM(a_peer_that_stood_still_or_slept_does_not_doubt_its_clock, .peers = 4, .sealed = true)
{
	WAIT(s, SECONDS(4), sim_all_ready(s));
	sim_run(s, SECONDS(10));
	sim_freeze(s, 1, MINUTES(5));
	for (unsigned k = 0; k < 40; k++) {
		sim_run(s, k ? 500 : MINUTES(5));
		EXPECT(s, doubted(s) == 0);
	}
	sim_suspend(s, 2, MINUTES(60));
	for (unsigned k = 0; k < 40; k++) {
		sim_run(s, k ? 500 : MINUTES(60));
		EXPECT(s, doubted(s) == 0);
	}
}
