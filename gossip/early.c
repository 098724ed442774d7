#include "gossip/core.h"

/*
 * What members say of themselves before we hold them for members. An admission counts once it is on our disk; the
 * newcomer's first word travels faster and is said a few times only. Without this it would be heard again when somebody
 * happens to probe.
 *
 *	alive of X ----> kept ---- X's admission is on disk ----> as if it came now
 */

void early_keep(struct gossip *g, const struct statement *st)
{
	struct statement *to = NULL;

	if (st->type != MSG_ALIVE)
		return;
	if (!g->early)
		g->early = xcalloc(EARLY_MAX, sizeof(*g->early));
	for (size_t i = 0; i < EARLY_MAX && !to; i++)
		if (g->early[i].subject == st->subject)
			to = &g->early[i];
	if (!to) {
		to = &g->early[g->early_at];
		g->early_at = (g->early_at + 1) % EARLY_MAX;
	} else if (st->incarnation <= to->incarnation) {
		return;
	}
	*to = *st;
}

void early_replay(struct gossip *g)
{
	for (size_t i = 0; g->early && i < EARLY_MAX; i++) {
		struct statement st = g->early[i];

		if (!st.subject || !member_by_id(g, st.subject))
			continue;
		g->early[i] = (struct statement){0};
		member_on_statement(g, &st, NULL);
	}
}
