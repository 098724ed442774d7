#include "gossip/core.h"

#include <assert.h>

/* The table of members: see gossip/peer.h for its order. */

struct peer *member_by_id(const struct gossip *g, id64 id)
{
	return map_get(&g->by_id, &id);
}

static void put(struct gossip *g, struct peer *p, size_t at)
{
	g->peers[at] = p;
	p->index = (uint32_t)at;
}

static void swap(struct gossip *g, size_t a, size_t b)
{
	struct peer *p = g->peers[a];

	put(g, g->peers[b], a);
	put(g, p, b);
}

/* How far behind us on the ring of ids. */
static uint64_t behind(const struct gossip *g, const struct peer *p)
{
	return peer_id(p) - g->id;
}

static void watch_anew(struct gossip *g)
{
	g->watch = NULL;
	for (size_t i = 0; i < g->n_up; i++)
		if (!g->watch || behind(g, g->peers[i]) < behind(g, g->watch))
			g->watch = g->peers[i];
}

/* From the part of those that are not up to a random place among those still to be probed. */
static void join_up(struct gossip *g, struct peer *p)
{
	size_t last = g->n_up++;

	swap(g, p->index, last);
	swap(g, last, g->at_order + drbg_below(&g->rng, g->n_up - g->at_order));
	if (!g->watch || behind(g, p) < behind(g, g->watch))
		g->watch = p;
}

/* And back; who was probed in this round and who was not stays as it is. */
static void leave_up(struct gossip *g, struct peer *p)
{
	if (p->index < g->at_order)
		swap(g, p->index, --g->at_order);
	swap(g, p->index, --g->n_up);
	if (p == g->watch)
		watch_anew(g);
}

static void count(struct gossip *g, const struct peer *p, int by)
{
	if (member_up(p) && p->silent)
		g->n_silent += (size_t)by;
}

static void suspects_add(struct gossip *g, struct peer *p)
{
	if (g->n_suspects == g->cap_suspects) {
		g->cap_suspects = MAX(g->cap_suspects * 2, (size_t)8);
		g->suspects = xrealloc(g->suspects, g->cap_suspects * sizeof(*g->suspects));
	}
	suspicion_of(g, p)->index = g->n_suspects;
	g->suspects[g->n_suspects++] = p;
}

static void suspects_remove(struct gossip *g, struct peer *p)
{
	struct peer *last = g->suspects[--g->n_suspects];

	g->suspects[p->sus->index] = last;
	last->sus->index = p->sus->index;
}

void peer_set_state(struct gossip *g, struct peer *p, enum member_state state)
{
	bool was_up = member_up(p);

	count(g, p, -1);
	if (p->state == MEMBER_SUSPECT)
		suspects_remove(g, p);
	p->state = (uint8_t)state;
	p->since = g->now.mono;
	if (state == MEMBER_ALIVE)
		p->silent = false;
	if (state == MEMBER_SUSPECT)
		suspects_add(g, p);
	count(g, p, 1);
	if (was_up && !member_up(p))
		leave_up(g, p);
	if (!was_up && member_up(p))
		join_up(g, p);
}

void peer_set_silent(struct gossip *g, struct peer *p, bool silent)
{
	count(g, p, -1);
	p->silent = silent;
	count(g, p, 1);
}

void peer_set_alive(struct gossip *g, struct peer *p, const struct statement *st)
{
	const struct statement *old = p->alive;

	p->alive = statement_keep(g->cfg.intern, st);
	statement_drop(g->cfg.intern, old);
}

struct contact *contact_of(struct gossip *g, struct peer *p)
{
	struct contact *c = p->contact;

	if (c)
		return c;
	c = p->contact = xcalloc(1, sizeof(*c));
	c->peer = p;
	c->index = g->n_contacts;
	c->heard = c->told = g->now.mono - MINUTES(1);
	c->retry_ms = RETRY_MIN_MS / 2;
	c->introduced = INTRODUCTIONS - 1; /* it mostly knows us by gossip, and else it says so */
	c->retry_at = g->now.mono;
	if (g->n_contacts == g->cap_contacts) {
		g->cap_contacts = MAX(g->cap_contacts * 2, (size_t)16);
		g->contacts = xrealloc(g->contacts, g->cap_contacts * sizeof(struct contact *));
	}
	g->contacts[g->n_contacts++] = c;
	return c;
}

void contact_set_left(struct gossip *g, struct contact *c, const struct statement *st)
{
	const struct statement *old = c->left;

	c->left = st ? statement_keep(g->cfg.intern, st) : NULL;
	statement_drop(g->cfg.intern, old);
}

static void contact_free(struct gossip *g, struct contact *c)
{
	struct contact *last = g->contacts[--g->n_contacts];

	g->contacts[c->index] = last;
	last->index = c->index;
	statement_drop(g->cfg.intern, c->left);
	if (c->seal)
		seal_peer_free(c->seal);
	free(c->seal);
	free(c);
}

struct suspicion *suspicion_of(struct gossip *g, struct peer *p)
{
	if (!p->sus) {
		p->sus = xcalloc(1, sizeof(*p->sus));
		p->sus->began = g->now.mono;
		p->sus->deadline = p->sus->recheck_at = MONO_NEVER;
	}
	return p->sus;
}

void suspicion_clear(struct peer *p)
{
	/* A suspect stands in the list of suspects through it. */
	assert(p->state != MEMBER_SUSPECT);
	free(p->sus);
	p->sus = NULL;
}

struct seal_peer *peer_seal(struct gossip *g, struct peer *p)
{
	struct contact *c;

	if (g->cfg.bare)
		return NULL;
	c = contact_of(g, p);
	if (!c->seal) {
		c->seal = xcalloc(1, sizeof(*c->seal));
		seal_peer_init(c->seal, &p->key);
	}
	return c->seal;
}

struct addr peer_advertised(const struct peer *p)
{
	return p->alive ? p->alive->addr : (struct addr){0};
}

struct addr peer_addr(const struct peer *p)
{
	return p->contact && p->contact->addr.family ? p->contact->addr : peer_advertised(p);
}

struct peer *table_add(struct gossip *g, const struct key32 *key)
{
	struct peer *p = xcalloc(1, sizeof(*p));
	id64 id = key32_id(key);

	p->key = *key;
	p->admitted = true;
	/* Nothing is known of it yet: it is not counted on until it is heard. */
	p->state = MEMBER_DEAD;
	p->since = g->now.mono;
	if (g->n_peers == g->cap_peers) {
		g->cap_peers = MAX(g->cap_peers * 2, (size_t)16);
		g->peers = xrealloc(g->peers, g->cap_peers * sizeof(*g->peers));
	}
	put(g, p, g->n_peers++);
	map_put(&g->by_id, &id, p);
	return p;
}

static void peer_free(struct gossip *g, struct peer *p)
{
	if (p->contact)
		contact_free(g, p->contact);
	statement_drop(g->cfg.intern, p->alive);
	free(p->sus);
	free(p);
}

void table_remove(struct gossip *g, struct peer *p)
{
	id64 id = peer_id(p);

	peer_set_state(g, p, MEMBER_DEAD);
	states_incarnation(g, p, 0);
	swap(g, p->index, g->n_peers - 1);
	g->n_peers--;
	map_del(&g->by_id, &id);
	peer_free(g, p);
}

void table_free(struct gossip *g)
{
	while (g->n_peers)
		peer_free(g, g->peers[--g->n_peers]);
	free(g->peers);
	free(g->contacts);
	free(g->suspects);
	map_free(&g->by_id);
}

size_t member_pick(struct gossip *g, struct peer **out, size_t k, const struct peer *except)
{
	size_t seen = 0;

	/* Reservoir sampling (Vitter's algorithm R). */
	for (size_t i = 0; i < g->n_contacts; i++) {
		struct peer *p = g->contacts[i]->peer;
		size_t at;

		if (p == except || !member_up(p) || !p->reachable)
			continue;
		at = seen < k ? seen : drbg_below(&g->rng, seen + 1);
		if (at < k)
			out[at] = p;
		seen++;
	}
	return MIN(seen, k);
}

struct peer *table_next(struct gossip *g)
{
	if (!g->n_up)
		return NULL;
	g->watch_turn = part(g, PART_WATCH) && g->n_up >= WATCH_FROM && !g->watch_turn;
	if (g->watch_turn)
		return g->watch;
	if (g->at_order >= g->n_up) {
		/* Fisher and Yates. */
		for (size_t i = g->n_up; i > 1; i--)
			swap(g, i - 1, drbg_below(&g->rng, i));
		g->at_order = 0;
	}
	return g->peers[g->at_order++];
}
