/* One peer's core against scripted others. */
#ifndef TESTS_UNIT_GOSSIP_WORLD_H
#define TESTS_UNIT_GOSSIP_WORLD_H

#include "gossip/core.h"
#include "tests/unit/gossip/core_of.h"

#define PEERS_MAX 8

/* The peer under test is number 0; the others exist as keys, and speak through seals of their own. */
struct world {
	struct flock flock;
	struct actor who[PEERS_MAX];
	struct gossip *g;
	struct now now;
	unsigned n;
};

static inline id64 id_of(const struct world *w, unsigned i)
{
	return key32_id(&w->who[i].key);
}

static inline struct world world(unsigned n)
{
	struct world w = {.flock = flock_new(), .n = n, .now = {.mono = 1000, .wall = 1700000000000}};

	w.g = core_of(&w.flock, w.who, n, true);
	gossip_start(w.g, w.now);
	return w;
}

static inline void end(struct world *w)
{
	gossip_free(w->g);
	flock_free(&w->flock);
}

static inline struct peer *peer(struct world *w, unsigned i)
{
	return member_by_id(w->g, id_of(w, i));
}

static inline struct statement statement(
        struct world *w, enum msg_type type, unsigned subject, uint64_t n, unsigned signer)
{
	struct statement st = {.type = type, .subject = id_of(w, subject), .incarnation = UINT64_C(1) << 32 | n};

	if (type == MSG_ALIVE)
		st.addr = addr_of(subject);
	if (type == MSG_SUSPECT || type == MSG_DEAD)
		st.accuser = id_of(w, signer);
	statement_sign(&st, &w->flock.id, w->who[signer].secret);
	return st;
}

static inline void tell(struct world *w, enum msg_type type, unsigned subject, uint64_t n, unsigned signer)
{
	struct statement st = statement(w, type, subject, n, signer);

	member_on_statement(w->g, &st, NULL);
}

static inline enum member_state state_of(struct world *w, unsigned i)
{
	return peer(w, i)->state;
}

/* Drains what it wants to say; counts packets to peer i (0: all). */
static inline unsigned packets_to(struct world *w, unsigned i)
{
	struct gossip_action a;
	struct addr to = addr_of(i);
	unsigned n = 0;

	while (gossip_next(w->g, &a))
		n += a.kind == GOSSIP_PACKET && (!i || addr_eq(&a.addr, &to));
	return n;
}

static inline void all_alive(struct world *w)
{
	for (unsigned i = 1; i < w->n; i++) {
		tell(w, MSG_ALIVE, i, 0, i);
		member_heard(w->g, peer(w, i));
	}
	packets_to(w, 0);
}

/* Time passes; nobody answers. Whoever is in `speaks` (a bit per peer) is heard. */
static inline void pass(struct world *w, int64_t ms, unsigned speaks)
{
	mono_ms until = w->now.mono + ms;

	while (w->now.mono < until) {
		mono_ms wake = gossip_wake(w->g);

		w->now.mono = MIN(MAX(wake, w->now.mono + 1), until);
		gossip_tick(w->g, w->now);
		for (unsigned i = 1; i < w->n; i++)
			if (speaks >> i & 1) {
				member_heard(w->g, peer(w, i));
				for (size_t k = 0; k < PROBES_MAX; k++)
					if (w->g->probes[k].used && w->g->probes[k].target == id_of(w, i))
						probe_on_ack(w->g, peer(w, i), w->g->probes[k].seq[0]);
			}
		packets_to(w, 0);
		/* Nothing is due in the past: it would pass for a stall. */
		assert_true(gossip_wake(w->g) >= w->now.mono);
	}
}

#endif
