#include "gossip/core.h"

#include <sodium.h>

/* Packets to one peer in one go, when much is new. */
#define SPREAD_PACKETS 4
/* Addresses remembered for peers that are not admitted yet. */
#define HINTS_MAX 1024

static const struct profile profiles[] = {
        [PROFILE_LAN] = {.period = 1000,
                .ping_min = 100,
                .ping_max = 300,
                .indirect = 400,
                .suspicion_unit = 750,
                .spread = 100},
        [PROFILE_WAN] = {.period = 2000,
                .ping_min = 300,
                .ping_max = 1000,
                .indirect = 1500,
                .suspicion_unit = 1500,
                .spread = 250},
        [PROFILE_LOCAL] = {.period = 500,
                .ping_min = 50,
                .ping_max = 200,
                .indirect = 250,
                .suspicion_unit = 500,
                .spread = 50},
};

struct gossip *gossip_new(const struct gossip_config *cfg)
{
	struct gossip *g = xcalloc(1, sizeof(*g));
	uint8_t start[16], token_secret[32], map_secret[16];

	g->cfg = *cfg;
	g->key = cfg->key;
	g->id = key32_id(&cfg->key);
	g->prof = &profiles[cfg->profile];
	drbg_init(&g->rng, cfg->seed);
	drbg_bytes(&g->rng, start, sizeof(start));
	drbg_bytes(&g->rng, token_secret, sizeof(token_secret));
	drbg_bytes(&g->rng, map_secret, sizeof(map_secret));
	seal_init(&g->seal, &cfg->key, cfg->secret, &cfg->flock, start, token_secret, cfg->plain);
	g->store = store_new(&cfg->flock, map_secret);
	g->trust = trust_new(&cfg->flock);
	g->incarnation = (uint64_t)cfg->boot << 32;
	map_init(&g->by_id, sizeof(id64), map_secret);
	map_init(&g->streams, sizeof(uint64_t), map_secret);
	map_init(&g->pending, sizeof(struct key32), map_secret);
	broadcast_init(&g->bc);
	list_init(&g->tickets);
	list_init(&g->out);
	g->spread_at = g->suspicion_at = g->entropy_at = MONO_NEVER;
	g->probe_at = g->retry_at = MONO_NEVER;
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
	for (size_t i = 0; i < g->n_peers; i++)
		member_free(g->peers[i]);
	free(g->peers);
	free(g->order);
	free(g->hints);
	map_free(&g->by_id);
	broadcast_free(&g->bc);
	list_each (&g->out, i)
		free(list_entry(i, struct out, at));
	free(g->current);
	store_free(g->store);
	trust_free(g->trust);
	sodium_memzero(g, sizeof(*g));
	free(g);
}

int gossip_load(struct gossip *g, const uint8_t *bytes, size_t len, struct err *err)
{
	struct record r;
	struct key32 id;

	if (record_decode(&r, bytes, len, err) < 0) {
		g->count.records_bad++;
		return -1;
	}
	switch (store_put(g->store, bytes, len, true, &id, err)) {
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
		hlc_seen(&g->hlc, r.stamp, hlc_wall(r.stamp));
	else if (key32_eq(&r.author, &g->key) && r.stamp >> 32 == g->cfg.boot)
		g->record_n = MAX(g->record_n, (uint32_t)r.stamp);
	return 0;
}

void gossip_load_addr(struct gossip *g, const struct key32 *peer, const struct addr *addr)
{
	struct peer *p = member_by_id(g, key32_id(peer));

	if (p) {
		if (!p->seal.known)
			p->addr = *addr;
		probe_retry_soon(g, p);
		return;
	}
	if (g->n_hints == HINTS_MAX)
		return;
	g->hints = xrealloc(g->hints, (g->n_hints + 1) * sizeof(*g->hints));
	g->hints[g->n_hints].key = *peer;
	g->hints[g->n_hints++].addr = *addr;
}

void trust_settle(struct gossip *g)
{
	if (!g->trust_changed)
		return;
	g->trust_changed = false;
	trust_evaluate(g->trust, g->store);
	member_refresh(g);
}

void gossip_start(struct gossip *g, struct now now)
{
	g->now = now;
	g->started = true;
	g->started_at = now.mono;
	member_sign_self(g, MSG_ALIVE);
	g->trust_changed = true;
	trust_settle(g);
	probe_start(g);
	g->entropy_at = now.mono;
	member_announce_self(g, BROADCAST_ALIVE);
	gossip_tick(g, now);
}

mono_ms gossip_wake(const struct gossip *g)
{
	mono_ms at = MIN(probe_wake(g), suspicion_wake(g));

	if (!g->started)
		return MONO_NEVER;
	at = MIN(at, g->spread_at);
	at = MIN(at, stream_wake(g));
	at = MIN(at, record_wake(g));
	return MIN(at, entropy_wake(g));
}

void core_enter(struct gossip *g, struct now now)
{
	mono_ms due = gossip_wake(g);

	if (due != MONO_NEVER && now.mono - due > STALL_MS) {
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
	probe_tick(g);
	suspicion_tick(g);
	record_tick(g);
	stream_tick(g);
	entropy_tick(g);
}

/* Packets out. */

unsigned spread_limit(const struct gossip *g)
{
	size_t n = g->n_peers + 1;
	unsigned digits = 1;

	/* SWIM section 4.1: lambda * log n sends reach everyone; memberlist's lambda is 4. */
	for (size_t reach = 10; reach < n + 1; reach *= 10)
		digits++;
	return MAX(4 * digits, 3 * (unsigned)MIN(g->n_peers, (size_t)SPREAD_FANOUT));
}

void spread_soon(struct gossip *g, int64_t in)
{
	g->spread_at = MIN(g->spread_at, g->now.mono + in);
}

static void seal_and_send(struct gossip *g, struct peer *p, const struct addr *to, const struct wr *w)
{
	uint8_t packet[PACKET_BYTES_MAX];
	size_t len = seal_packet(&g->seal, &p->seal, PACKET_GOSSIP, w->p, w->len, packet);

	if (!len || !to->family)
		return;
	/* Where UDP does not get through, a stream that is open carries the same messages. */
	if (p->udp_bad) {
		struct stream *s = stream_open_to(g, p);

		if (s)
			stream_frame(g, s, FRAME_MSGS, w->p, w->len);
	}
	g->count.packets_out++;
	g->count.bytes_out += len;
	output_bytes(g, GOSSIP_PACKET, to, 0, packet, len);
}

void packet_send_to(struct gossip *g, struct peer *p, const struct addr *to, struct wr *w)
{
	uint8_t buf[PAYLOAD_BYTES_MAX];
	struct wr all;

	/* What is said of p itself comes first, so that its answer already knows it. */
	wr_fixed(&all, buf, sizeof(buf));
	if (w->len + TELL_BYTES_MAX <= PAYLOAD_BYTES_MAX)
		member_tell(g, p, &all);
	wr_bytes(&all, w->p, w->len);
	broadcast_round(&g->bc);
	broadcast_fill(&g->bc, &all, sizeof(buf) - all.len, spread_limit(g), 1, false);
	seal_and_send(g, p, to, &all);
}

void packet_send(struct gossip *g, struct peer *p, struct wr *w)
{
	packet_send_to(g, p, &p->addr, w);
}

/* Whom to tell: all others in a small flock, a few at random in a larger one. */
static size_t spread_targets(struct gossip *g, struct peer *out[SPREAD_FANOUT])
{
	size_t n = 0;

	if (g->n_peers <= SPREAD_FANOUT) {
		for (size_t i = 0; i < g->n_peers; i++)
			if (member_up(g->peers[i]))
				out[n++] = g->peers[i];
		return n;
	}
	/* Most are up; a few misses are cheaper than a walk over all. */
	for (int tries = 0; tries < 8 * SPREAD_FANOUT && n < SPREAD_FANOUT; tries++) {
		struct peer *p = g->peers[drbg_below(&g->rng, g->n_peers)];
		bool twice = false;

		for (size_t i = 0; i < n; i++)
			twice |= out[i] == p;
		if (member_up(p) && !twice)
			out[n++] = p;
	}
	return n;
}

static void spread_packet(struct gossip *g, struct peer *p, const struct wr *w, bool tell)
{
	uint8_t buf[PAYLOAD_BYTES_MAX];
	struct wr all;

	wr_fixed(&all, buf, sizeof(buf));
	if (tell)
		member_tell(g, p, &all);
	wr_bytes(&all, w->p, w->len);
	seal_and_send(g, p, &p->addr, &all);
}

/* Sends what waits, each message once to each of a few peers. */
static void spread_now(struct gossip *g)
{
	struct peer *to[SPREAD_FANOUT];
	size_t n, tell = 0; /* bytes kept free for what each is told of itself */

	g->spread_at = MONO_NEVER;
	if (!broadcast_pending(&g->bc))
		return;
	n = spread_targets(g, to);
	for (size_t i = 0; i < n; i++)
		if (member_has_news(to[i]))
			tell = TELL_BYTES_MAX;
	broadcast_round(&g->bc);
	for (unsigned k = 0; n && k < SPREAD_PACKETS; k++) {
		uint8_t buf[PAYLOAD_BYTES_MAX];
		struct wr w;

		wr_fixed(&w, buf, sizeof(buf));
		if (!broadcast_fill(
		            &g->bc, &w, sizeof(buf) - (k ? 0 : tell), spread_limit(g), (unsigned)n, k % 2) &&
		        k)
			break;
		for (size_t i = 0; i < n && (w.len || tell); i++)
			spread_packet(g, to[i], &w, k == 0);
	}
	if (broadcast_pending(&g->bc) && n)
		g->spread_at = g->now.mono + g->prof->spread;
}

bool gossip_next(struct gossip *g, struct gossip_action *out)
{
	free(g->current);
	g->current = NULL;
	if (g->started && g->now.mono >= g->spread_at)
		spread_now(g);
	if (list_empty(&g->out))
		return false;
	g->current = list_entry(g->out.next, struct out, at);
	list_remove(&g->current->at);
	g->n_out--;
	*out = g->current->action;
	return true;
}

/* Packets in. */

static void brief(struct digest_brief *out, struct digest d)
{
	out->count = d.count;
	memcpy(out->root, d.root.b, sizeof(out->root));
}

void digests_brief(const struct gossip *g, struct digest_brief *durable, struct digest_brief *volatile_)
{
	brief(durable, store_digest(g->store, false));
	brief(volatile_, store_digest(g->store, true));
}

static void on_ping(struct gossip *g, struct peer *p, const struct msg *m, struct wr *reply)
{
	struct digest_brief durable, volatile_;

	if (m->flags & PING_TELL)
		p->introduced = 0;
	digests_brief(g, &durable, &volatile_);
	wire_put_ack(reply, m->seq, &durable, &volatile_);
}

void on_message(struct gossip *g, struct peer *p, const struct msg *m, struct wr *reply, struct stream *stream)
{
	switch (m->type) {
	case MSG_PING:
		on_ping(g, p, m, reply);
		break;
	case MSG_ACK:
		/* An answer in a packet: UDP works both ways. */
		p->udp_bad &= stream != NULL;
		probe_on_ack(g, p, m->seq);
		entropy_on_digests(g, p, &m->durable, &m->volatile_);
		break;
	case MSG_NACK:
		probe_on_nack(g, p, m->seq);
		break;
	case MSG_PING_REQ:
		probe_on_ping_req(g, p, m->seq, m->target);
		break;
	case MSG_ALIVE:
	case MSG_LEFT:
	case MSG_SUSPECT:
	case MSG_DEAD:
		member_on_statement(g, &m->st, p);
		break;
	case MSG_RECORD:
		record_take(g, m->bytes, m->len, p, stream, false);
		break;
	case MSG_HAVE:
		record_on_have(g, p, &m->have, reply, stream);
		break;
	case MSG_WANT:
		record_on_want(g, p, m->want, m->n_want, stream);
		break;
	case MSG_END:
		break;
	}
}

static void on_payload(
        struct gossip *g, struct peer *p, const struct addr *from, const uint8_t *bytes, size_t len)
{
	uint8_t buf[PAYLOAD_BYTES_MAX];
	struct wr reply;
	struct msg m;
	struct rd r;

	wr_fixed(&reply, buf, sizeof(buf));
	rd_init(&r, bytes, len);
	while (wire_next(&r, &m))
		on_message(g, p, &m, &reply, NULL);
	if (!rd_ok(&r))
		g->count.drop_bad++;
	if (reply.len && wr_ok(&reply)) {
		packet_send_to(g, p, from, &reply);
	} else if ((p->stale || p->state == MEMBER_DEAD) && g->now.mono - p->told >= g->prof->period / 2) {
		/* It speaks, though we hold it for dead or its word for old: it shall know, and answer that. */
		p->told = g->now.mono;
		packet_send_to(g, p, from, &reply);
	}
}

void gossip_on_packet(struct gossip *g, const struct addr *from, const uint8_t *bytes, size_t len, struct now now)
{
	struct packet_header h;
	struct opened opened;
	struct peer *p;

	core_enter(g, now);
	g->count.packets_in++;
	g->count.bytes_in += len;
	if (!packet_header_get(&h, bytes, len)) {
		g->count.drop_short++;
		return;
	}
	p = member_by_id(g, h.sender);
	if (!p || !g->started) {
		g->count.drop_unknown++;
		return;
	}
	switch (seal_open(&g->seal, &p->seal, from, &h, bytes, len, now.mono, &opened)) {
	case OPEN_BAD:
		g->count.drop_bad++;
		return;
	case OPEN_REPLAY:
		g->count.drop_replay++;
		return;
	case OPEN_CHALLENGE:
		g->count.challenges++;
		break;
	case OPEN_ANSWER:
		break;
	case OPEN_PROVED:
		if (opened.restarted)
			p->introduced = 0;
		/* fallthrough */
	case OPEN_MESSAGES:
		if (opened.newest && !addr_eq(&p->addr, from)) {
			p->addr = *from;
			output_member(g, &p->key);
		}
		member_heard(g, p);
		break;
	}
	if (opened.answer_len) {
		g->count.packets_out++;
		g->count.bytes_out += opened.answer_len;
		output_bytes(g, GOSSIP_PACKET, from, 0, opened.answer, opened.answer_len);
	}
	if (opened.len)
		on_payload(g, p, from, opened.payload, opened.len);
}

/* Requests. */

void gossip_leave(struct gossip *g, struct now now)
{
	core_enter(g, now);
	g->leaving = true;
	g->incarnation++;
	member_sign_self(g, MSG_LEFT);
	member_announce_self(g, BROADCAST_LEAVE);
}

void gossip_set_advertise(struct gossip *g, const struct addr *addr, struct now now)
{
	core_enter(g, now);
	if (addr_eq(&g->cfg.advertise, addr) || g->leaving)
		return;
	g->cfg.advertise = *addr;
	g->incarnation++;
	member_sign_self(g, MSG_ALIVE);
	member_announce_self(g, BROADCAST_REFUTE);
	for (size_t i = 0; i < g->n_peers; i++)
		g->peers[i]->introduced = 0;
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
	return (struct member){.key = p->key,
	        .id = p->id,
	        .state = p->state,
	        .incarnation = p->incarnation,
	        .addr = p->addr,
	        .since = p->since,
	        .suspected = p->suspected,
	        .rtt_us = (uint32_t)MIN(p->rtt, (int64_t)UINT32_MAX),
	        .udp_bad = p->udp_bad,
	        .reachable = p->reachable};
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
