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
 *
 * One of those asked may lie, for ever, and so hide that the target is gone. So the word of one ends the round well only
 * where its end has come and not NACKS_OUTWEIGH others heard nothing, or where there are not so many others to say so;
 * two who heard the target end it at once.
 */

static int64_t space(const struct gossip *g, const struct peer *p)
{
	const struct contact *c = p->contact;
	/* RFC 6298: smoothed round trip and four deviations; in milliseconds. */
	int64_t rto = c && c->rtt && part(g, PART_RETRIES) ? (c->rtt + 4 * c->rtt_var) / 1000 : g->tune->ping_max;

	return MIN(MAX(rto, g->tune->ping_min), g->tune->ping_max) * (g->health + 1);
}

void health_bad(struct gossip *g)
{
	if (g->health < HEALTH_MAX && part(g, PART_LHA_PROBE))
		g->health++;
}

void health_good(struct gossip *g)
{
	if (g->health)
		g->health--;
}

uint32_t seq_draw(struct gossip *g)
{
	return (uint32_t)drbg_u64(&g->rng);
}

void ping_send(struct gossip *g, struct peer *p, uint32_t seq)
{
	uint8_t buf[PAYLOAD_BYTES_MAX];
	struct wr w;

	wr_fixed(&w, buf, sizeof(buf));
	wire_put_ping(&w, seq, member_up(p) ? p->incarnation : 0);
	packet_send(g, p, &w);
}

static void ping_direct(struct gossip *g, struct probe *pr, struct peer *p, mono_ms at)
{
	uint32_t seq = seq_draw(g);

	pr->seq[pr->pings] = seq;
	pr->sent[pr->pings] = g->now.mono;
	pr->pings++;
	pr->next_at = at + space(g, p);
	ping_send(g, p, seq);
}

/* TCP in parallel: a path that drops UDP alone does not make a host dead. */
static void ping_stream(struct gossip *g, struct probe *pr, struct peer *p)
{
	uint8_t buf[STATEMENT_BYTES_MAX + 32];
	struct stream *s = stream_to(g, p);
	struct wr w;

	pr->tcp_tried = true;
	if (!s)
		return;
	/* While it is not open yet, the handshake itself will be the answer. Our statement goes along, so that we hear if
	 * another machine with our key is why nobody answers our packets. */
	wr_fixed(&w, buf, sizeof(buf));
	wire_put_ping(&w, seq_draw(g), p->incarnation);
	wire_put_statement(&w, &g->self);
	stream_frame(g, s, FRAME_MSGS, w.p, w.len);
}

static struct helper *helper_of(struct probe *pr, id64 id)
{
	for (unsigned i = 0; i < pr->n_helpers; i++)
		if (pr->helper[i].id == id)
			return &pr->helper[i];
	return NULL;
}

static unsigned helpers_that(const struct probe *pr, enum helper_word said)
{
	unsigned n = 0;

	for (unsigned i = 0; i < pr->n_helpers; i++)
		n += pr->helper[i].said == said;
	return n;
}

static void ask_others(struct gossip *g, struct probe *pr, struct peer *p)
{
	struct peer *helper[INDIRECT_PROBES];
	size_t n = member_pick(g, helper, INDIRECT_PROBES, p);

	if (!pr->asked)
		pr->indirect_seq = seq_draw(g);
	for (size_t i = 0; i < n; i++) {
		uint8_t buf[PAYLOAD_BYTES_MAX];
		struct wr w;

		if (!helper_of(pr, peer_id(helper[i])))
			pr->helper[pr->n_helpers++] = (struct helper){.id = peer_id(helper[i])};
		wr_fixed(&w, buf, sizeof(buf));
		wire_put_ping_req(&w, pr->indirect_seq, peer_id(p));
		packet_send(g, helper[i], &w);
	}
	pr->asked_most = MAX(pr->asked_most, (unsigned)n);
	pr->asked++;
}

void probe_target(struct gossip *g, struct peer *p)
{
	struct probe *free_one = NULL;
	id64 id = peer_id(p);

	for (size_t i = 0; i < PROBES_MAX; i++) {
		if (g->probes[i].used && g->probes[i].target == id)
			return;
		if (!g->probes[i].used && !free_one)
			free_one = &g->probes[i];
	}
	if (!free_one || !peer_addr(p).family)
		return;
	*free_one = (struct probe){.used = true, .target = id, .began = g->now.mono};
	isolation_target(g, p);
	ping_direct(g, free_one, p, g->now.mono);
}

static void succeed(struct gossip *g, struct probe *pr)
{
	pr->used = false;
	health_good(g);
	isolation_update(g, false);
}

static void fail(struct gossip *g, struct probe *pr, struct peer *p)
{
	unsigned nacks = helpers_that(pr, HELPER_NACKED);

	pr->used = false;
	peer_set_silent(g, p, true);
	if (nacks)
		isolation_confirmed(g);
	/* Others spoke, yet not those whom we asked: we may be slow. */
	if (pr->asked_most > nacks + helpers_that(pr, HELPER_ACKED) && g->heard >= pr->began)
		health_bad(g);
	isolation_update(g, g->heard < pr->began);
	/* The address that it stated may work again where the one it was last seen at does not. */
	if (p->contact && peer_advertised(p).family)
		p->contact->addr = (struct addr){0};
	if (!isolation_holds(g))
		suspicion_accuse(g, p);
}

/* One step of a round. A late one gives the next its full time: what came meanwhile is still to be read. (Without the
 * stall rule it counts from when it was due, as SWIM implementations do whose timers run by themselves.) */
static void step(struct gossip *g, struct probe *pr)
{
	struct peer *p = member_by_id(g, pr->target);
	mono_ms at = part(g, PART_STALL) ? g->now.mono : pr->next_at;

	if (!p || !member_up(p)) {
		pr->used = false;
		return;
	}
	if (pr->pings < (part(g, PART_RETRIES) ? DIRECT_PINGS : 1)) {
		ping_direct(g, pr, p, at);
	} else if (!pr->asked) {
		pr->end_at = at + g->tune->indirect * (g->health + 1);
		ask_others(g, pr, p);
		ping_stream(g, pr, p);
		pr->next_at = MIN(at + space(g, p), pr->end_at);
	} else if (at < pr->end_at) {
		if (pr->asked == 1)
			ask_others(g, pr, p);
		pr->next_at = pr->end_at;
	} else if (helpers_that(pr, HELPER_ACKED) && helpers_that(pr, HELPER_NACKED) < NACKS_OUTWEIGH) {
		peer_set_silent(g, p, false);
		succeed(g, pr);
	} else {
		fail(g, pr, p);
	}
}

static int64_t interval(const struct gossip *g)
{
	return g->tune->period * (g->health + 1) / (g->n_up >= 2 && g->n_up <= SMALL_FLOCK ? 2 : 1);
}

void probe_start(struct gossip *g)
{
	g->probe_at = g->now.mono + (int64_t)drbg_below(&g->rng, (uint64_t)g->tune->period);
	g->retry_at = g->now.mono;
}

/* A ping to someone who is not counted on: dead, left for us, or never heard of. */
void probe_greet(struct gossip *g, struct peer *p)
{
	if (peer_addr(p).family)
		ping_send(g, p, seq_draw(g));
}

void probe_retry_soon(struct gossip *g, struct peer *p)
{
	struct contact *c = contact_of(g, p);

	c->retry_ms = RETRY_MIN_MS / 2;
	c->retry_at = g->now.mono;
	g->retry_at = g->now.mono;
}

/* Nobody at all is up: UDP may be what is broken, or we were evicted while we were away, and a session tells. One at
 * a time, and not before pings had their chance. */
static bool try_stream(const struct gossip *g, const struct contact *c)
{
	return c->retry_ms >= RETRY_MIN_MS * 4 && !g->streams.len && !g->n_up;
}

static void retry(struct gossip *g, struct contact *c)
{
	probe_greet(g, c->peer);
	if (try_stream(g, c))
		stream_to(g, c->peer);
	c->retry_at = g->now.mono + drbg_jitter(&g->rng, c->retry_ms, 20);
	c->retry_ms = MIN(c->retry_ms * 2, (int64_t)RETRY_MAX_MS);
}

/* The dead are tried; and those who left when nobody is up: they may be back, and not know where we are now. */
static bool worth_a_try(const struct gossip *g, const struct peer *p)
{
	return p->state == MEMBER_DEAD || (p->state == MEMBER_LEFT && !g->n_up);
}

/* Those that went lately back off one by one; of those that are dead for long the one that waits longest has its turn
 * once per period, so that hosts which never return cost the flock next to nothing. */
static void retry_dead(struct gossip *g)
{
	struct contact *oldest = NULL;
	size_t sent = 0;

	g->retry_at = MONO_NEVER;
	for (size_t i = g->n_up; i < g->n_peers; i++) {
		struct contact *c = g->peers[i]->contact;

		if (!worth_a_try(g, g->peers[i]))
			continue;
		if (!c && sent == RETRIES_AT_ONCE) {
			g->retry_at = g->now.mono + RETRY_LOOK_MS;
			continue;
		}
		c = contact_of(g, g->peers[i]);
		if (c->retry_ms >= RETRY_MAX_MS) {
			if (!oldest || c->retry_at < oldest->retry_at)
				oldest = c;
			continue;
		}
		if (g->now.mono >= c->retry_at && sent < RETRIES_AT_ONCE) {
			retry(g, c);
			sent++;
		}
		g->retry_at = MIN(g->retry_at, MAX(c->retry_at, g->now.mono + RETRY_LOOK_MS));
	}
	if (!oldest)
		return;
	if (g->now.mono >= MAX(oldest->retry_at, g->retry_old_at)) {
		retry(g, oldest);
		g->retry_old_at = g->now.mono + g->tune->period;
		g->retry_at = MIN(g->retry_at, g->retry_old_at);
	} else {
		g->retry_at = MIN(g->retry_at, MAX(oldest->retry_at, g->retry_old_at));
	}
}

void probe_tick(struct gossip *g)
{
	for (size_t i = 0; i < PROBES_MAX; i++)
		while (g->probes[i].used && g->now.mono >= g->probes[i].next_at)
			step(g, &g->probes[i]);
	relay_tick(g);
	if (g->now.mono >= g->probe_at) {
		struct peer *next = table_next(g);

		g->probe_at = g->now.mono + drbg_jitter(&g->rng, interval(g), 5);
		if (next)
			probe_target(g, next);
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

static void measure(struct contact *c, int64_t sample_us)
{
	if (!c->rtt) {
		c->rtt = MAX(sample_us, INT64_C(1));
		c->rtt_var = sample_us / 2;
		return;
	}
	c->rtt_var += (llabs(sample_us - c->rtt) - c->rtt_var) / 4;
	c->rtt += (sample_us - c->rtt) / 8;
	c->rtt = MAX(c->rtt, INT64_C(1));
}

/* The ping that this seq belongs to, if it was p's own. */
static struct probe *direct(struct gossip *g, const struct peer *p, uint32_t seq, mono_ms *sent)
{
	for (size_t i = 0; i < PROBES_MAX; i++)
		for (unsigned k = 0; g->probes[i].used && k < g->probes[i].pings; k++)
			if (g->probes[i].seq[k] == seq && g->probes[i].target == peer_id(p)) {
				*sent = g->probes[i].sent[k];
				return &g->probes[i];
			}
	return NULL;
}

/* The round in which p was asked to help, under this seq. */
static struct probe *indirect(struct gossip *g, const struct peer *p, uint32_t seq)
{
	for (size_t i = 0; i < PROBES_MAX; i++)
		if (g->probes[i].used && g->probes[i].asked && g->probes[i].indirect_seq == seq &&
		        helper_of(&g->probes[i], peer_id(p)))
			return &g->probes[i];
	return NULL;
}

static void indirect_ack(struct gossip *g, struct probe *pr, const struct peer *from)
{
	struct peer *p = member_by_id(g, pr->target);

	helper_of(pr, peer_id(from))->said = HELPER_ACKED;
	/* Might those who have not acked outweigh it? */
	if (helpers_that(pr, HELPER_ACKED) < 2 && pr->n_helpers > NACKS_OUTWEIGH)
		return;
	if (p)
		peer_set_silent(g, p, false);
	succeed(g, pr);
}

int64_t probe_on_ack(struct gossip *g, struct peer *from, uint32_t seq)
{
	mono_ms sent;
	int64_t rtt;
	struct probe *pr = direct(g, from, seq, &sent);

	if (pr) {
		rtt = (g->now.mono - sent) * 1000 + 500;
		measure(contact_of(g, from), rtt);
		succeed(g, pr);
		return rtt;
	}
	pr = indirect(g, from, seq);
	if (pr)
		indirect_ack(g, pr, from);
	else
		relay_on_ack(g, from, seq);
	return -1;
}

void probe_on_nack(struct gossip *g, struct peer *from, uint32_t seq)
{
	struct probe *pr = indirect(g, from, seq);
	struct helper *h = pr ? helper_of(pr, peer_id(from)) : NULL;

	if (h && h->said == HELPER_ASKED)
		h->said = HELPER_NACKED;
}

void probe_on_stream(struct gossip *g, struct peer *p)
{
	for (size_t i = 0; i < PROBES_MAX; i++)
		if (g->probes[i].used && g->probes[i].target == peer_id(p) && g->probes[i].tcp_tried) {
			contact_of(g, p)->udp_bad = true;
			succeed(g, &g->probes[i]);
			return;
		}
}

void probe_forget(struct gossip *g, const struct peer *p)
{
	for (size_t i = 0; i < PROBES_MAX; i++)
		if (g->probes[i].target == peer_id(p))
			g->probes[i].used = false;
}
