#include "gossip/core.h"

/*
 * Whether it is we who are cut off, rather than all the others who died. While it looks so, accusations wait until
 * another peer confirms the silence, and orphans are not started here.
 */

/* Is it we who are cut off? Most of those probed last are silent, or nobody at all spoke during a round. */
void isolation_update(struct gossip *g, bool nobody)
{
	size_t probed = 0, silent = 0;

	for (size_t i = 0; i < g->n_targets; i++) {
		const struct peer *p = member_by_id(g, g->targets[i]);

		if (!p || !member_up(p) || !p->incarnation)
			continue;
		probed++;
		silent += p->silent;
	}
	if (nobody || silent * 2 > probed) {
		if (!g->silent_since)
			g->silent_since = g->now.mono;
	} else if (g->heard >= g->silent_since) {
		g->silent_since = 0;
	}
}

bool isolation_holds(const struct gossip *g)
{
	int64_t limit = g->n_up <= 1 ? ISOLATION_TWO_MS : ISOLATION_MS;

	return part(g, PART_ISOLATION) && g->silent_since && g->silence_confirmed < g->silent_since &&
	       g->now.mono - g->silent_since < limit;
}

void isolation_confirmed(struct gossip *g)
{
	g->silence_confirmed = g->now.mono;
}

void isolation_target(struct gossip *g, const struct peer *p)
{
	for (size_t i = 0; i < g->n_targets; i++)
		if (g->targets[i] == peer_id(p))
			return;
	g->targets[g->at_targets] = peer_id(p);
	g->at_targets = (g->at_targets + 1) % ISOLATION_TARGETS;
	g->n_targets = MIN(g->n_targets + 1, (size_t)ISOLATION_TARGETS);
}
