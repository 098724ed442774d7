#include "gossip/core.h"

#include <sodium.h>

/* Addresses remembered for peers that are not admitted yet. */
#define HINTS_MAX 1024

static bool counts(const struct stored *s, void *ctx)
{
	return trust_valid(ctx, s);
}

struct gossip *gossip_new(const struct gossip_config *cfg)
{
	struct gossip *g = xcalloc(1, sizeof(*g));
	uint8_t start[16], token_secret[32], map_secret[16];

	g->cfg = *cfg;
	g->key = cfg->key;
	g->id = key32_id(&cfg->key);
	g->tune = cfg->tuning ? cfg->tuning : tuning_of(cfg->profile);
	drbg_init(&g->rng, cfg->seed);
	drbg_bytes(&g->rng, start, sizeof(start));
	drbg_bytes(&g->rng, token_secret, sizeof(token_secret));
	drbg_bytes(&g->rng, map_secret, sizeof(map_secret));
	seal_init(&g->seal, &cfg->key, cfg->secret, &cfg->flock, start, token_secret, cfg->plain || cfg->bare);
	g->store = store_new(&cfg->flock, map_secret);
	g->trust = trust_new(&cfg->flock);
	store_judge(g->store, counts, g->trust);
	g->incarnation = (uint64_t)cfg->boot << 32;
	map_init(&g->by_id, sizeof(id64), map_secret);
	map_init(&g->streams, sizeof(uint64_t), map_secret);
	map_init(&g->pending, sizeof(struct key32), map_secret);
	map_init(&g->flaps, sizeof(struct key32), map_secret);
	map_init(&g->trims, sizeof(struct key32), map_secret);
	g->pull_at = g->flap_at = g->trim_at = g->settle_at = MONO_NEVER;
	broadcast_init(&g->bc);
	list_init(&g->tickets);
	list_init(&g->out);
	g->spread_at = g->suspicion_at = g->entropy_at = MONO_NEVER;
	g->probe_at = g->retry_at = g->renew_at = g->refute_at = MONO_NEVER;
	return g;
}

void gossip_free(struct gossip *g)
{
	if (!g)
		return;
	list_each (&g->tickets, i)
		free(list_entry(i, struct ticket, at));
	list_init(&g->tickets);
	stream_free_all(g);
	map_each (&g->pending, pending)
		free(pending);
	map_free(&g->pending);
	flap_free(g);
	trim_free(g);
	table_free(g);
	free(g->hints);
	broadcast_free(&g->bc);
	free(g->early);
	list_each (&g->out, i)
		free(list_entry(i, struct out, at));
	free(g->current);
	store_free(g->store);
	trust_free(g->trust);
	sodium_memzero(g, sizeof(*g));
	free(g);
}

static int load(struct gossip *g, const uint8_t *bytes, size_t len, bool verified, struct err *err)
{
	enum store_verdict v;
	struct record r;
	struct key32 id;

	if (record_decode(&r, bytes, len, err) < 0) {
		g->count.records_bad++;
		return -1;
	}
	v = verified ? store_put_verified(g->store, bytes, len, true, &id, err)
	             : store_put(g->store, bytes, len, true, &id, err);
	switch (v) {
	case STORE_BAD:
	case STORE_FULL:
		g->count.records_bad++;
		return -1;
	case STORE_OLD:
		output_new(g, GOSSIP_FORGET, 0)->action.id = r.id;
		return 0;
	default:
		break;
	}
	if (!record_is_volatile(r.kind))
		g->stamp_loaded = MAX(g->stamp_loaded, r.stamp);
	else if (key32_eq(&r.author, &g->key) && r.stamp >> 32 == g->cfg.boot)
		g->record_n = MAX(g->record_n, (uint32_t)r.stamp);
	return 0;
}

int gossip_load(struct gossip *g, const uint8_t *bytes, size_t len, struct err *err)
{
	return load(g, bytes, len, false, err);
}

int gossip_load_verified(struct gossip *g, const uint8_t *bytes, size_t len, struct err *err)
{
	return load(g, bytes, len, true, err);
}

void gossip_load_addr(struct gossip *g, const struct key32 *peer, const struct addr *addr)
{
	struct peer *p = member_by_id(g, key32_id(peer));

	if (p) {
		struct contact *c = contact_of(g, p);

		if (!c->seal || !c->seal->known)
			c->addr = *addr;
		probe_retry_soon(g, p);
		return;
	}
	if (g->n_hints == HINTS_MAX)
		return;
	g->hints = xrealloc(g->hints, (g->n_hints + 1) * sizeof(*g->hints));
	g->hints[g->n_hints].key = *peer;
	g->hints[g->n_hints++].addr = *addr;
}

/* Judging takes time with the trust records that are here, so of hundreds that come together not each is worth it. */
#define SETTLE_MS 50

void trust_settle(struct gossip *g)
{
	g->settle_at = MONO_NEVER;
	if (!g->trust_changed)
		return;
	g->trust_changed = false;
	g->settled = g->now.mono;
	trust_evaluate(g->trust, g->store);
	quarantine_recount(g);
	member_refresh(g);
	trim_all_later(g);
	if (!g->ready)
		g->entropy_at = MIN(g->entropy_at, g->now.mono);
}

void trust_settle_soon(struct gossip *g)
{
	if (!g->trust_changed)
		return;
	if (g->now.mono - g->settled >= SETTLE_MS)
		trust_settle(g);
	else
		g->settle_at = g->settled + SETTLE_MS;
}

static void settle_tick(struct gossip *g)
{
	if (g->now.mono < g->settle_at)
		return;
	trust_settle(g);
	output_self(g); /* other revisions may count now: the owner looks again */
}

void gossip_load_statement(struct gossip *g, const struct statement *st)
{
	struct peer *p = member_by_id(g, st->subject);

	if (!p || p->alive)
		return;
	states_incarnation(g, p, st->incarnation);
	peer_set_alive(g, p, st);
	peer_set_state(g, p, MEMBER_ALIVE);
	output_member(g, p);
}

const struct statement *gossip_self(const struct gossip *g)
{
	return &g->self;
}

void gossip_start(struct gossip *g, struct now now)
{
	g->now = now;
	g->started = true;
	g->started_at = now.mono;
	hlc_seen(&g->hlc, g->stamp_loaded, now.wall);
	g->own_told = now.mono - SECONDS(1);
	g->refuted_at = g->retry_old_at = g->spread_last = now.mono - MINUTES(1);
	self_sign(g, MSG_ALIVE);
	g->trust_changed = true;
	trust_settle(g);
	probe_start(g);
	g->entropy_at = now.mono;
	self_announce(g, BROADCAST_ALIVE);
	gossip_tick(g, now);
}

mono_ms gossip_wake(const struct gossip *g)
{
	mono_ms at;

	if (!g->started)
		return MONO_NEVER;
	at = MIN(probe_wake(g), suspicion_wake(g));
	at = MIN(at, MIN(g->spread_at, MIN(g->refute_at, g->renew_at)));
	at = MIN(at, MIN(stream_wake(g), g->settle_at));
	at = MIN(at, ticket_wake(g));
	at = MIN(at, MIN(pull_wake(g), MIN(flap_wake(g), trim_wake(g))));
	return MIN(at, entropy_wake(g));
}

void core_enter(struct gossip *g, struct now now)
{
	mono_ms due = gossip_wake(g);

	if (due != MONO_NEVER && now.mono - due > STALL_MS && part(g, PART_STALL)) {
		int64_t late = now.mono - due;

		log_warn("gossip", "stood still for %lld ms", (long long)late);
		g->now = now;
		suspicion_shift(g, late);
		probe_shift(g, late);
		health_bad(g);
	}
	g->now = now;
}

void gossip_tick(struct gossip *g, struct now now)
{
	core_enter(g, now);
	if (!g->started)
		return;
	settle_tick(g);
	probe_tick(g);
	suspicion_tick(g);
	self_tick(g);
	ticket_tick(g);
	stream_tick(g);
	pull_tick(g);
	flap_tick(g);
	trim_tick(g);
	entropy_tick(g);
}

bool gossip_next(struct gossip *g, struct gossip_action *out)
{
	free(g->current);
	g->current = NULL;
	if (g->started && g->now.mono >= g->spread_at)
		packet_spread(g);
	if (list_empty(&g->out))
		return false;
	g->current = list_entry(g->out.next, struct out, at);
	list_remove(&g->current->at);
	g->n_out--;
	*out = g->current->action;
	if (out->kind == GOSSIP_MEMBER)
		output_member_drained(g, &out->peer);
	return true;
}

/* Requests. */

void gossip_leave(struct gossip *g, struct now now)
{
	core_enter(g, now);
	g->leaving = true;
	g->incarnation++;
	self_sign(g, MSG_LEFT);
	self_announce(g, BROADCAST_LEAVE);
}

void gossip_set_advertise(struct gossip *g, const struct addr *addr, struct now now)
{
	core_enter(g, now);
	if (addr_eq(&g->cfg.advertise, addr) || g->leaving)
		return;
	g->cfg.advertise = *addr;
	g->incarnation++;
	self_sign(g, MSG_ALIVE);
	self_announce(g, BROADCAST_REFUTE);
	for (size_t i = 0; i < g->n_contacts; i++)
		g->contacts[i]->introduced = 0;
}

uint64_t gossip_stamp(struct gossip *g, wall_ms wall)
{
	return hlc_now(&g->hlc, wall);
}

/* Reading. */

const struct store *gossip_store(const struct gossip *g)
{
	return g->store;
}

const struct trust *gossip_trust(const struct gossip *g)
{
	return g->trust;
}

static struct member self_member(const struct gossip *g)
{
	return (struct member){.key = g->key,
	        .id = g->id,
	        .state = g->leaving ? MEMBER_LEFT : MEMBER_ALIVE,
	        .incarnation = g->incarnation,
	        .addr = g->cfg.advertise,
	        .since = g->started_at,
	        .reachable = true};
}

static struct member member_of(const struct peer *p)
{
	const struct contact *c = p->contact;
	struct member m = {.key = p->key,
	        .id = peer_id(p),
	        .state = p->state,
	        .incarnation = p->incarnation,
	        .addr = peer_addr(p),
	        .since = p->since,
	        .reachable = p->reachable};

	if (p->state != MEMBER_ALIVE)
		m.suspected = p->sus ? p->sus->began : p->since;
	if (c) {
		m.rtt_us = (uint32_t)MIN(c->rtt, (int64_t)UINT32_MAX);
		m.udp_bad = c->udp_bad;
	}
	return m;
}

static int by_id(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

size_t gossip_members(const struct gossip *g, struct member *out, size_t max)
{
	size_t n = 0;

	if (trust_peer(g->trust, &g->key)) {
		if (n < max)
			out[n] = self_member(g);
		n++;
	}
	for (size_t i = 0; i < g->n_peers; i++, n++)
		if (n < max)
			out[n] = member_of(g->peers[i]);
	if (max)
		qsort(out, MIN(n, max), sizeof(*out), by_id);
	return n;
}

bool gossip_member(const struct gossip *g, const struct key32 *peer, struct member *out)
{
	const struct peer *p = member_by_id(g, key32_id(peer));

	if (key32_eq(peer, &g->key)) {
		*out = self_member(g);
		return true;
	}
	if (!p || !key32_eq(&p->key, peer))
		return false;
	*out = member_of(p);
	return true;
}

bool gossip_ready(const struct gossip *g)
{
	return g->ready;
}

bool gossip_isolated(const struct gossip *g)
{
	return isolation_holds(g);
}

const struct gossip_counters *gossip_counters(const struct gossip *g)
{
	return &g->count;
}
