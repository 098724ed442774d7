#include "gossip/intern.h"

struct kept {
	struct statement st;
	size_t holders;
};

void intern_init(struct intern *pool)
{
	map_init(&pool->by_sig, sizeof(((struct statement *)0)->sig), NULL);
}

void intern_free(struct intern *pool)
{
	map_each (&pool->by_sig, kept)
		free(kept);
	map_free(&pool->by_sig);
}

const struct statement *statement_keep(struct intern *pool, const struct statement *st)
{
	struct kept *k;

	if (!pool)
		return xmemdup(st, sizeof(*st));
	k = map_get(&pool->by_sig, st->sig);
	if (!k) {
		k = xcalloc(1, sizeof(*k));
		k->st = *st;
		map_put(&pool->by_sig, st->sig, k);
	}
	k->holders++;
	return &k->st;
}

void statement_drop(struct intern *pool, const struct statement *st)
{
	struct kept *k;

	if (!st)
		return;
	if (!pool) {
		free((void *)(uintptr_t)st);
		return;
	}
	k = map_get(&pool->by_sig, st->sig);
	if (--k->holders)
		return;
	map_del(&pool->by_sig, st->sig);
	free(k);
}
