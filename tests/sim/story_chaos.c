/* Everything at once: whatever happens, in the end all agree, and the same seed is the same story. */
#include "tests/sim/chaos.h"
#include "tests/sim/story.h"

/* Two rounds of trouble, each healed. */
static void chaos(struct sim *s, unsigned strikes)
{
	struct chaos *c = xcalloc(1, sizeof(*c));

	WAIT(s, SECONDS(15), sim_converged(s));
	for (int round = 0; round < 2; round++) {
		chaos_phase(s, c, strikes, SECONDS(20));
		chaos_heal(s, c);
	}
	chaos_free(c);
	free(c);
}

SIM(three_peers_survive_chaos, .peers = 3)
{
	chaos(s, 60);
}

SIM(three_peers_survive_chaos_sealed, .peers = 3, .sealed = true)
{
	chaos(s, 40);
}

SIM(five_peers_survive_chaos, .peers = 5)
{
	chaos(s, 60);
}

SIM(eight_peers_survive_chaos, .peers = 8)
{
	chaos(s, 80);
}

SIM(eight_far_peers_survive_chaos, .peers = 8, .profile = PROFILE_WAN)
{
	chaos(s, 60);
}

SIM(twenty_peers_survive_chaos, .peers = 20)
{
	chaos(s, 80);
}

static uint64_t trace_of(uint64_t seed, bool sealed)
{
	struct sim_options opt = {.peers = 5, .sealed = sealed};
	struct sim *s = sim_new("the_same_seed_is_the_same_story", seed, &opt);
	struct chaos *c = xcalloc(1, sizeof(*c));
	uint64_t trace;

	chaos_phase(s, c, 40, SECONDS(10));
	trace = sim_trace(s);
	chaos_free(c);
	free(c);
	sim_free(s);
	return trace;
}

/* Over every event: when, whose, of which kind, with which bytes. tests/sim/run compares two processes as well. */
SIM(the_same_seed_is_the_same_story, .peers = 1)
{
	for (int sealed = 0; sealed < 2; sealed++) {
		uint64_t first = trace_of(s->seed, sealed);

		EXPECT(s, trace_of(s->seed, sealed) == first);
		EXPECT(s, trace_of(s->seed + 1, sealed) != first);
	}
}
