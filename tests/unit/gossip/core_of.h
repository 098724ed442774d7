/* A core among admitted others, before it starts: what tests of one peer against scripted others begin with. */
#ifndef TESTS_UNIT_GOSSIP_CORE_OF_H
#define TESTS_UNIT_GOSSIP_CORE_OF_H

#include "gossip/gossip.h"
#include "tests/unit/gossip/flock.h"

static inline struct addr addr_of(unsigned i)
{
	return (struct addr){.family = 4, .port = 7827, .ip = {10, 0, 0, (uint8_t)i}};
}

/* Peer 0 of n; fills who. With addresses: it knows where the others are. Packets are plain. */
static inline struct gossip *core_of(const struct flock *f, struct actor *who, unsigned n, bool addresses)
{
	struct gossip_config cfg = {.flock = f->id, .boot = 5, .advertise = addr_of(0), .plain = true};
	struct gossip *g;

	for (unsigned i = 0; i < n; i++)
		who[i] = actor(PEER_A + i);
	cfg.key = who[0].key;
	memcpy(cfg.secret, who[0].secret, sizeof(cfg.secret));
	g = gossip_new(&cfg);
	gossip_load(g, f->genesis.w.p, f->genesis.w.len, NULL);
	gossip_load(g, f->grant.w.p, f->grant.w.len, NULL);
	for (unsigned i = 0; i < n; i++) {
		struct addr at = addr_of(i);
		struct wr r = record_wr();
		struct admission a;

		trust_vouch_first(&a, &f->id, &who[i].key, f->admin.secret);
		trust_make_admission(&r, &f->id, &a, 1 + i, who[i].secret);
		assert_int_equal(gossip_load(g, r.p, r.len, NULL), 0);
		wr_free(&r);
		if (i && addresses)
			gossip_load_addr(g, &who[i].key, &at);
	}
	return g;
}

#endif
