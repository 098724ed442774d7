#include "gossip/core.h"

/*
 * A probe round (SWIM section 3.1, with Lifeguard's and our own additions):
 *
 *	0         space     2 space   3 space            4 space     3 space + indirect
 *	|---------|---------|---------|------------------|-----------|
 *	ping      ping      ping      ping-req to 3,     ping-req    no ack: silent
 *	                              TCP in parallel    again
 *
 * space follows the measured round trip. Those asked nack when they get no answer either: a missing nack says that
 * it is we who are slow, and raises the local health multiplier, which stretches all our timing.
 */

/* In a small flock each peer looks twice per period: a loss is seen sooner, and load stays that of two pings. */
#define SMALL_FLOCK 8

static int64_t space(const struct gossip *g, const struct peer *p)
{
	/* RFC 6298: smoothed round trip and four deviations; in milliseconds. */
	int64_t rto = p->rtt ? (p->rtt + 4 * p->rtt_var) / 1000 : g->prof->ping_max;

	return MIN(MAX(rto, g->prof->ping_min), g->prof->ping_max) * (g->health + 1);
}

void health_bad(struct gossip *g)
{
	if (g->health < HEALTH_MAX)
		g->health++;
}

void health_good(struct gossip *g)
{
	if (g->health)
		g->health--;
}

void ping_send(struct gossip *g, struct peer *p, uint32_t seq)
{
	uint8_t buf[PAYLOAD_BYTES_MAX];
	struct wr w;

	wr_fixed(&w, buf, sizeof(buf));
	wire_put_ping(&w, seq, member_up(p) && p->incarnation ? 0 : PING_TELL);
	packet_send(g, p, &w);
}

static void ping_direct(struct gossip *g, struct probe *pr, struct peer *p)
{
	pr->seq[pr->pings] = ++g->seq;
	pr->sent[pr->pings] = g->now.mono;
	pr->pings++;
	pr->next_at = g->now.mono + space(g, p);
	ping_send(g, p, g->seq);
}

/* TCP in parallel: a path that drops UDP alone does not make a host dead. */
static void ping_stream(struct gossip *g, struct probe *pr, struct peer *p)
{
	uint8_t buf[16];
	struct stream *s = stream_to(g, p);
	struct wr w;

	pr->tcp_tried = true;
	if (!s || !s->open)
		return; /* the handshake itself will be the answer */
	wr_fixed(&w, buf, sizeof(buf));
	wire_put_ping(&w, ++g->seq, 0);
	stream_frame(g, s, FRAME_MSGS, w.p, w.len);
}

static void ask_others(struct gossip *g, struct probe *pr, struct peer *p)
{
	struct peer *helper[INDIRECT_PROBES];
	size_t n = member_pick(g, helper, INDIRECT_PROBES, p, true);

	if (!pr->asked)
		pr->indirect_seq = ++g->seq;
	for (size_t i = 0; i < n; i++) {
		uint8_t buf[PAYLOAD_BYTES_MAX];
		struct wr w;

		wr_fixed(&w, buf, sizeof(buf));
		wire_put_ping_req(&w, pr->indirect_seq, p->id);
		packet_send(g, helper[i], &w);
	}
	pr->helpers = MAX(pr->helpers, (unsigned)n);
	pr->asked++;
}

void probe_target(struct gossip *g, struct peer *p)
{
	struct probe *free_one = NULL;

	for (size_t i = 0; i < PROBES_MAX; i++) {
		if (g->probes[i].used && g->probes[i].target == p->id)
			return;
		if (!g->probes[i].used && !free_one)
			free_one = &g->probes[i];
	}
	if (!free_one || !p->addr.family)
		return;
	*free_one = (struct probe){.used = true, .target = p->id, .began = g->now.mono};
	isolation_target(g, p);
	ping_direct(g, free_one, p);
}

static void succeed(struct gossip *g, struct probe *pr)
{
	pr->used = false;
	health_good(g);
	isolation_update(g, false);
}

static void fail(struct gossip *g, struct probe *pr, struct peer *p)
{
	pr->used = false;
	p->silent = true;
	if (pr->nacks)
		isolation_confirmed(g);
	/* Others spoke, yet not those whom we asked: we may be slow. */
	if (pr->helpers > pr->nacks && g->heard >= pr->began)
		health_bad(g);
	isolation_update(g, g->heard < pr->began);
	/* The address that it stated may work again where the one it was last seen at does not. */
	if (p->advertised.family && !addr_eq(&p->addr, &p->advertised))
		p->addr = p->advertised;
	if (!isolation_holds(g))
		suspicion_accuse(g, p);
}

/* One step of a round. */
static void step(struct gossip *g, struct probe *pr)
{
	struct peer *p = member_by_id(g, pr->target);

	if (!p || !member_up(p)) {
		pr->used = false;
		return;
	}
	if (pr->pings < DIRECT_PINGS) {
		ping_direct(g, pr, p);
	} else if (!pr->asked) {
		pr->end_at = g->now.mono + g->prof->indirect * (g->health + 1);
		ask_others(g, pr, p);
		ping_stream(g, pr, p);
		pr->next_at = MIN(g->now.mono + space(g, p), pr->end_at);
	} else if (g->now.mono < pr->end_at) {
		if (pr->asked == 1)
			ask_others(g, pr, p);
		pr->next_at = pr->end_at;
	} else {
		fail(g, pr, p);
	}
}

static void shuffle(struct gossip *g)
{
	g->order = xrealloc(g->order, MAX(g->n_peers, (size_t)1) * sizeof(*g->order));
	g->n_order = 0;
	g->at_order = 0;
	for (size_t i = 0; i < g->n_peers; i++)
		if (member_up(g->peers[i]))
			g->order[g->n_order++] = g->peers[i];
	for (size_t i = g->n_order; i > 1; i--) {
		size_t j = drbg_below(&g->rng, i);
		struct peer *swap = g->order[i - 1];

		g->order[i - 1] = g->order[j];
		g->order[j] = swap;
	}
}

static void probe_next(struct gossip *g)
{
	/* Once through what is left of this round and once through a new one finds whoever is up. */
	for (size_t tries = g->n_peers + g->n_order + 1; tries-- > 0;) {
		struct peer *p;

		if (g->at_order >= g->n_order) {
			shuffle(g);
			if (!g->n_order)
				return;
		}
		p = g->order[g->at_order++];
		if (!member_up(p))
			continue;
		probe_target(g, p);
		return;
	}
}

static int64_t interval(const struct gossip *g)
{
	size_t up = members_up(g);

	return g->prof->period * (g->health + 1) / (up >= 2 && up <= SMALL_FLOCK ? 2 : 1);
}

void probe_start(struct gossip *g)
{
	g->probe_at = g->now.mono + (int64_t)drbg_below(&g->rng, (uint64_t)g->prof->period);
	g->retry_at = g->now.mono;
}

/* A ping to someone who is not counted on: dead, left for us, or never heard of. */
void probe_greet(struct gossip *g, struct peer *p)
{
	if (p->addr.family)
		ping_send(g, p, ++g->seq);
}

void probe_retry_soon(struct gossip *g, struct peer *p)
{
	p->retry_ms = RETRY_MIN_MS / 2;
	p->retry_at = g->now.mono;
	g->retry_at = g->now.mono;
}

/* Nobody at all is up: UDP may be what is broken, or we were evicted while we were away, and a session tells. One at
 * a time, and not before pings had their chance. */
static bool try_stream(const struct gossip *g, const struct peer *p)
{
	return p->retry_ms >= RETRY_MIN_MS * 4 && !g->streams.len && !members_up(g);
}

static void retry_dead(struct gossip *g)
{
	size_t sent = 0;

	g->retry_at = MONO_NEVER;
	for (size_t i = 0; i < g->n_peers; i++) {
		struct peer *p = g->peers[i];

		if (p->state != MEMBER_DEAD)
			continue;
		if (g->now.mono >= p->retry_at && sent < RETRIES_AT_ONCE) {
			probe_greet(g, p);
			if (try_stream(g, p))
				stream_to(g, p);
			p->retry_at = g->now.mono + drbg_jitter(&g->rng, p->retry_ms, 20);
			p->retry_ms = MIN(p->retry_ms * 2, (int64_t)RETRY_MAX_MS);
			sent++;
		}
		g->retry_at = MIN(g->retry_at, MAX(p->retry_at, g->now.mono + 100));
	}
}

void probe_tick(struct gossip *g)
{
	for (size_t i = 0; i < PROBES_MAX; i++)
		if (g->probes[i].used && g->now.mono >= g->probes[i].next_at)
			step(g, &g->probes[i]);
	relay_tick(g);
	if (g->now.mono >= g->probe_at) {
		g->probe_at = g->now.mono + drbg_jitter(&g->rng, interval(g), 5);
		probe_next(g);
	}
	if (g->now.mono >= g->retry_at)
		retry_dead(g);
}

mono_ms probe_wake(const struct gossip *g)
{
	mono_ms at = MIN(MIN(g->probe_at, g->retry_at), relay_wake(g));

	for (size_t i = 0; i < PROBES_MAX; i++)
		if (g->probes[i].used)
			at = MIN(at, g->probes[i].next_at);
	return at;
}

void probe_shift(struct gossip *g, int64_t by)
{
	for (size_t i = 0; i < PROBES_MAX; i++)
		if (g->probes[i].used) {
			g->probes[i].next_at += by;
			g->probes[i].end_at += by;
		}
}

static void measure(struct peer *p, int64_t sample_us)
{
	if (!p->rtt) {
		p->rtt = MAX(sample_us, INT64_C(1));
		p->rtt_var = sample_us / 2;
		return;
	}
	p->rtt_var += (llabs(sample_us - p->rtt) - p->rtt_var) / 4;
	p->rtt += (sample_us - p->rtt) / 8;
	p->rtt = MAX(p->rtt, INT64_C(1));
}

/* The ping that this seq belongs to, if it was p's own. */
static struct probe *direct(struct gossip *g, const struct peer *p, uint32_t seq, mono_ms *sent)
{
	for (size_t i = 0; i < PROBES_MAX; i++)
		for (unsigned k = 0; g->probes[i].used && k < g->probes[i].pings; k++)
			if (g->probes[i].seq[k] == seq && g->probes[i].target == p->id) {
				*sent = g->probes[i].sent[k];
				return &g->probes[i];
			}
	return NULL;
}

static struct probe *indirect(struct gossip *g, uint32_t seq)
{
	for (size_t i = 0; i < PROBES_MAX; i++)
		if (g->probes[i].used && g->probes[i].asked && g->probes[i].indirect_seq == seq)
			return &g->probes[i];
	return NULL;
}

void probe_on_ack(struct gossip *g, struct peer *from, uint32_t seq)
{
	mono_ms sent;
	struct probe *pr = direct(g, from, seq, &sent);

	if (pr) {
		measure(from, (g->now.mono - sent) * 1000 + 500);
		succeed(g, pr);
		return;
	}
	pr = indirect(g, seq);
	if (pr) {
		struct peer *p = member_by_id(g, pr->target);

		if (p)
			p->silent = false;
		succeed(g, pr);
		return;
	}
	relay_on_ack(g, from, seq);
}

void probe_on_nack(struct gossip *g, struct peer *from, uint32_t seq)
{
	struct probe *pr = indirect(g, seq);

	if (pr && pr->target != from->id && pr->nacks < pr->helpers)
		pr->nacks++;
}

void probe_on_stream(struct gossip *g, struct peer *p)
{
	for (size_t i = 0; i < PROBES_MAX; i++)
		if (g->probes[i].used && g->probes[i].target == p->id && g->probes[i].tcp_tried) {
			p->udp_bad = true;
			succeed(g, &g->probes[i]);
			return;
		}
}

void probe_forget(struct gossip *g, const struct peer *p)
{
	for (size_t i = 0; i < PROBES_MAX; i++)
		if (g->probes[i].target == p->id)
			g->probes[i].used = false;
	/* A new round begins: the old one may name it. */
	g->n_order = g->at_order = 0;
}
