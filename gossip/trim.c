#include "gossip/core.h"

/*
 * Bodies of revisions that are not wanted any more are dropped, and those that are wanted and not here are asked for.
 * Looking at a stack takes time with its revisions, and records come by the thousand when a peer catches up; so a stack
 * that got one is noted, and looked at a little later, once for all that came.
 */

/* What comes within this time is looked at together. */
#define TRIM_MS 100
/* Stacks looked at in one go, and the pause before the next: 20 revisions each take some tens of microseconds. */
#define TRIM_STACKS  16
#define TRIM_NEXT_MS 2

void trim_later(struct gossip *g, const struct stored *revision)
{
	if (!map_get(&g->trims, &revision->rec.key))
		map_put(&g->trims, &revision->rec.key,
		        xmemdup(revision->rec.name, (size_t)revision->rec.name_len + 1));
	if (g->trim_at == MONO_NEVER)
		g->trim_at = g->now.mono + TRIM_MS;
}

void trim_all_later(struct gossip *g)
{
	g->trim_all = true;
	if (g->trim_at == MONO_NEVER)
		g->trim_at = g->now.mono + TRIM_MS;
}

/* A trimmed body is forgotten by the disk too: the header is written over it. Nobody waits for that. */
static void trimmed(const struct stored *header, void *ctx)
{
	struct gossip *g = ctx;
	struct out *o = output_new(g, GOSSIP_PERSIST, header->len);

	memcpy(o->bytes, header->bytes, header->len);
	o->action.id = header->rec.id;
	o->action.record_kind = header->rec.kind;
}

/* A reconciliation asks for what is missing. */
static void missing_some(struct gossip *g)
{
	g->bodies_missing = true;
	g->entropy_at = MIN(g->entropy_at, g->now.mono);
}

static void trim(struct gossip *g, const char *stack)
{
	struct key32 missing;

	store_trim_bodies(g->store, stack, NULL, NULL, trimmed, g);
	if (store_missing_bodies_of(g->store, stack, &missing, 1))
		missing_some(g);
}

/* The first noted stack, taken out; NULL: none. */
static char *next_stack(struct gossip *g)
{
	struct key32 key;

	map_each (&g->trims, name) {
		static const struct key32 nobody;

		record_key(&key, REC_REVISION, &nobody, name);
		return map_del(&g->trims, &key);
	}
	return NULL;
}

void trim_tick(struct gossip *g)
{
	char *stack = NULL;
	struct key32 missing;

	if (g->now.mono < g->trim_at)
		return;
	for (int i = 0; i < TRIM_STACKS && (stack = next_stack(g)); i++) {
		trim(g, stack);
		free(stack);
	}
	/* Who may write what has changed: other revisions may count now, in any stack. */
	if (g->trim_all && store_missing_bodies(g->store, &missing, 1))
		missing_some(g);
	g->trim_all = false;
	g->trim_at = g->trims.len ? g->now.mono + TRIM_NEXT_MS : MONO_NEVER;
}

mono_ms trim_wake(const struct gossip *g)
{
	return g->trim_at;
}

void trim_free(struct gossip *g)
{
	map_each (&g->trims, stack)
		free(stack);
	map_free(&g->trims);
}
