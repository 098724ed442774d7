/*
 * Statements that are kept: each holder has a copy of its own, or shares one with others through a pool. An agent
 * needs no pool. In a simulated flock of 10,000 each peer keeps the same 10,000 statements; with a pool there is one
 * of each.
 */
#ifndef GOSSIP_INTERN_H
#define GOSSIP_INTERN_H

#include "base/map.h"
#include "gossip/wire.h"

struct intern {
	struct map by_sig;
};

void intern_init(struct intern *pool);
void intern_free(struct intern *pool);
/* A copy that stays until statement_drop(). pool may be NULL. */
const struct statement *statement_keep(struct intern *pool, const struct statement *st);
void statement_drop(struct intern *pool, const struct statement *st);

#endif
