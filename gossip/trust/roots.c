/*
 * Roots: the key of the genesis, and those that succeeded it.
 *
 *	genesis ----> root ----> root-2 ----> root-3       each names the next; the later stands above the earlier
 *
 * The successor is the one that the genesis names, which nobody can undo, for the flock's id covers it. Where it names
 * none, the root names one by a record. Of several such records of one root the first by (stamp, id) counts, and
 * no revocation touches it: so the line of roots is settled before anything that hangs on it, by the set of records
 * alone.
 */
#include "base/text.h"
#include "gossip/trust/chain.h"

#include <stdio.h>

/* Longest line of roots: one a year for as long as anyone will keep count. */
#define ROOTS_MAX 64

struct naming {
	struct key32 by, successor, record;
	uint64_t stamp;
};

struct namings {
	struct naming *all;
	size_t n, cap;
};

static bool gather(const struct stored *s, void *ctx)
{
	struct namings *g = ctx;
	struct naming n = {.by = s->rec.author, .record = s->rec.id, .stamp = s->rec.stamp};

	if (body_get_succession(&n.successor, &s->rec, NULL) < 0)
		return true;
	g->all = trust_grown(g->all, g->n, &g->cap, sizeof(n));
	g->all[g->n++] = n;
	return true;
}

static bool among(const struct naming *line, size_t n, const struct key32 *key)
{
	for (size_t i = 0; i < n; i++)
		if (key32_eq(&line[i].successor, key))
			return true;
	return false;
}

/* The succession of the last in line that counts, or NULL. */
static const struct naming *next_of(const struct namings *g, const struct naming *line, size_t n)
{
	const struct naming *best = NULL;

	for (size_t i = 0; i < g->n; i++) {
		const struct naming *c = &g->all[i];

		if (!key32_eq(&c->by, &line[n - 1].successor) || among(line, n, &c->successor))
			continue;
		if (!best || c->stamp < best->stamp ||
		        (c->stamp == best->stamp && key32_cmp(&c->record, &best->record) < 0))
			best = c;
	}
	return best;
}

static void add_root(struct trust *t, const struct naming *r, size_t number, size_t parent)
{
	struct grant g = {.operator_key = r->successor, .role = ROLE_ROOT, .powers = POWER_ALL, .name = "root"};

	if (number)
		snprintf(g.name, sizeof(g.name), "root-%zu", number + 1);
	op_add(t, &g, &r->record, parent);
}

bool roots_evaluate(struct trust *t, const struct store *st)
{
	const struct stored *genesis = store_get(st, &t->flock);
	struct naming line[ROOTS_MAX];
	struct namings g = {0};
	struct genesis body;
	size_t n = 0;

	if (!genesis || genesis->rec.kind != REC_GENESIS || body_get_genesis(&body, &genesis->rec, NULL) < 0 ||
	        !key32_eq(&body.root, &genesis->rec.author))
		return false;
	text_copy(t->name, sizeof(t->name), body.name);
	line[n++] = (struct naming){.successor = body.root, .record = t->flock};
	if (!key32_is_zero(&body.successor))
		line[n++] = (struct naming){.successor = body.successor, .record = t->flock};
	store_each(st, REC_SUCCESSION, gather, &g);
	for (const struct naming *next; n < ROOTS_MAX && (next = next_of(&g, line, n)); n++)
		line[n] = *next;
	free(g.all);
	for (size_t i = n; i-- > 0;)
		add_root(t, &line[i], i, i + 1 < n ? n - 2 - i : 0);
	t->n_roots = n;
	return true;
}
