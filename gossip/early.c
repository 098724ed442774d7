#include "gossip/core.h"

/*
 * What members say of themselves before we hold them for members. An admission counts once it is on our disk; the
 * newcomer's first word travels faster and is said a few times only. Without this it would be heard again when somebody
 * happens to probe.
 *
 *	alive of X ----> kept ---- X's admission is on disk ----> as if it came now
 */

struct early {
	struct statement st; /* subject 0: none */
	id64 from;           /* whose packet or frame brought it */
};

static bool same(const struct statement *a, const struct statement *b)
{
	return a->incarnation == b->incarnation && addr_eq(&a->addr, &b->addr) &&
	       memcmp(a->boot_id, b->boot_id, sizeof(a->boot_id)) == 0 &&
	       memcmp(a->sig, b->sig, sizeof(a->sig)) == 0;
}

/*
 * Where a word that `from` brought goes; NULL: it is here already, or an older one. Nothing of it can be checked yet, so
 * what one brought gives way only to what it brings later, and to the ring's turn.
 */
static struct early *place(struct gossip *g, const struct statement *st, id64 from)
{
	struct early *first = NULL, *to;
	size_t n = 0;

	for (size_t i = 0; i < EARLY_MAX; i++) {
		struct early *e = &g->early[(g->early_at + i) % EARLY_MAX]; /* oldest first */

		if (e->st.subject == st->subject) {
			if (same(&e->st, st))
				return NULL;
			if (e->from == from)
				return st->incarnation > e->st.incarnation ? e : NULL;
		}
		if (!e->st.subject || e->from != from)
			continue;
		n++;
		if (!first)
			first = e;
	}
	if (n >= EARLY_OF_ONE)
		return first;
	to = &g->early[g->early_at];
	g->early_at = (g->early_at + 1) % EARLY_MAX;
	return to;
}

void early_keep(struct gossip *g, const struct statement *st, const struct peer *from)
{
	id64 by = from ? peer_id(from) : 0;
	struct early *to;

	if (st->type != MSG_ALIVE)
		return;
	if (!g->early)
		g->early = xcalloc(EARLY_MAX, sizeof(*g->early));
	to = place(g, st, by);
	if (to)
		*to = (struct early){.st = *st, .from = by};
}

void early_replay(struct gossip *g)
{
	for (size_t i = 0; g->early && i < EARLY_MAX; i++) {
		struct statement st = g->early[i].st;

		if (!st.subject || !member_by_id(g, st.subject))
			continue;
		g->early[i] = (struct early){0};
		member_on_statement(g, &st, NULL);
	}
}
