#include "gossip/core.h"

/*
 * Packets out and in: what waits to be told rides on every packet, and goes to a few peers by itself when it is new.
 */

/* Packets to one peer in one go, when much is new. */
#define SPREAD_PACKETS 4

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
	if (!part(g, PART_EAGER))
		in = (int64_t)drbg_below(&g->rng, (uint64_t)g->tune->spread);
	g->spread_at = MIN(g->spread_at, g->now.mono + in);
}

static void seal_and_send(struct gossip *g, struct peer *p, const struct addr *to, const struct wr *w)
{
	uint8_t packet[PACKET_BYTES_MAX];
	size_t len = seal_packet(&g->seal, peer_seal(g, p), PACKET_GOSSIP, w->p, w->len, packet);

	if (!len || !to->family)
		return;
	/* Where UDP does not get through, a stream that is open carries the same messages. */
	if (p->contact && p->contact->udp_bad) {
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
	struct addr to = peer_addr(p);

	packet_send_to(g, p, &to, w);
}

/* Whom to tell: all others in a small flock, a few at random in a larger one. */
static size_t spread_targets(struct gossip *g, struct peer *out[SPREAD_FANOUT])
{
	size_t n = 0;

	for (int tries = 0; tries < 8 * SPREAD_FANOUT && n < MIN(g->n_up, (size_t)SPREAD_FANOUT); tries++) {
		struct peer *p =
		        g->peers[g->n_up <= SPREAD_FANOUT ? (size_t)tries : drbg_below(&g->rng, g->n_up)];
		bool twice = false;

		for (size_t i = 0; i < n; i++)
			twice |= out[i] == p;
		if (!twice)
			out[n++] = p;
	}
	return n;
}

static void spread_packet(struct gossip *g, struct peer *p, const struct wr *w, bool tell)
{
	uint8_t buf[PAYLOAD_BYTES_MAX];
	struct addr to = peer_addr(p);
	struct wr all;

	wr_fixed(&all, buf, sizeof(buf));
	if (tell)
		member_tell(g, p, &all);
	wr_bytes(&all, w->p, w->len);
	seal_and_send(g, p, &to, &all);
}

/* Sends what waits, each message once to each of a few peers. */
void packet_spread(struct gossip *g)
{
	struct peer *to[SPREAD_FANOUT];
	size_t n, tell = 0; /* bytes kept free for what each is told of itself */

	g->spread_at = MONO_NEVER;
	if (!broadcast_pending(&g->bc))
		return;
	g->spread_last = g->now.mono;
	n = spread_targets(g, to);
	for (size_t i = 0; i < n; i++)
		if (member_has_news(g, to[i]))
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
		g->spread_at = g->now.mono + g->tune->spread;
}

/* Packets in. */

/* The answer is the same until a record comes or goes, and acks are many. */
static void brief(struct digest_memo *m, struct digest now, struct digest_brief *out)
{
	if (!m->known || m->of.count != now.count || !key32_eq(&m->of.root, &now.root)) {
		uint8_t count[4];
		struct key32 hash;
		struct wr w;

		wr_fixed(&w, count, sizeof(count));
		wr_u32(&w, now.count);
		hash_pieces(&hash, "starling digest 1",
		        (struct hash_piece[]){{now.root.b, sizeof(now.root.b)}, {count, sizeof(count)}}, 2);
		*m = (struct digest_memo){.known = true, .of = now};
		memcpy(m->brief.b, hash.b, sizeof(m->brief.b));
	}
	*out = m->brief;
}

void digests_brief(struct gossip *g, struct digest_brief *durable, struct digest_brief *volatile_)
{
	brief(&g->digests[0], store_digest(g->store, false), durable);
	brief(&g->digests[1], store_digest(g->store, true), volatile_);
}

void ack_put(struct gossip *g, struct wr *w, uint32_t seq)
{
	struct digest_brief durable, volatile_;

	digests_brief(g, &durable, &volatile_);
	wire_put_ack(w, seq, &durable, &volatile_, g->states_sum, g->now.wall);
}

static void on_ping(struct gossip *g, struct peer *p, const struct msg *m, struct wr *reply)
{
	/* It needs to be told who we are now, or it need not. */
	contact_of(g, p)->introduced = m->known == g->incarnation ? INTRODUCTIONS : 0;
	ack_put(g, reply, m->seq);
}

void on_message(struct gossip *g, struct peer *p, const struct msg *m, struct wr *reply, struct stream *stream)
{
	switch (m->type) {
	case MSG_PING:
		on_ping(g, p, m, reply);
		break;
	case MSG_ACK:
		/* An answer in a packet: UDP works both ways. */
		contact_of(g, p)->udp_bad &= stream != NULL;
		clock_on_ack(g, contact_of(g, p), m->wall, probe_on_ack(g, p, m->seq));
		entropy_on_digests(g, p, &m->durable, &m->volatile_);
		states_on_sum(g, p, m->states);
		break;
	case MSG_NACK:
		probe_on_nack(g, p, m->seq);
		break;
	case MSG_PING_REQ:
		relay_on_ping_req(g, p, m->seq, m->target, reply);
		break;
	case MSG_ALIVE:
	case MSG_LEFT:
	case MSG_SUSPECT:
	case MSG_DEAD:
		member_on_statement(g, &m->st, p);
		/* In a packet the answer goes to where the newest of its runs is; a stream leads back to this one. */
		if (stream && m->type == MSG_ALIVE && m->st.subject == peer_id(p) && p->alive &&
		        m->st.incarnation < p->incarnation)
			wire_put_statement(reply, p->alive);
		break;
	case MSG_RECORD:
		record_take(g, m->bytes, m->len, p, stream, false);
		break;
	case MSG_HAVE:
		record_on_have(g, p, &m->have, reply);
		break;
	case MSG_WANT:
		record_on_want(g, p, m->want, m->n_want, stream);
		break;
	case MSG_STATES:
	case MSG_STATES_LIST:
	case MSG_STATES_WANT:
		/* In a packet a small question could have a large answer. */
		if (stream)
			states_on_message(g, stream, m);
		break;
	case MSG_END:
		break;
	}
}

static void on_payload(
        struct gossip *g, struct peer *p, const struct addr *from, const uint8_t *bytes, size_t len)
{
	uint8_t buf[PAYLOAD_BYTES_MAX];
	struct contact *c = contact_of(g, p);
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
	} else if ((c->stale || p->state == MEMBER_DEAD) && g->now.mono - c->told >= g->tune->period / 2) {
		/* It speaks, though we hold it for dead or its word for old: it shall know, and answer that. */
		c->told = g->now.mono;
		packet_send_to(g, p, from, &reply);
	}
}

/* It is where its newest packet came from, once that address has been proved. */
static void follow_address(struct gossip *g, struct peer *p, const struct addr *from, bool newest)
{
	struct addr before = peer_addr(p);

	if (!newest || addr_eq(&before, from))
		return;
	contact_of(g, p)->addr = *from;
	output_member(g, p);
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
	switch (seal_open(&g->seal, peer_seal(g, p), from, &h, bytes, len, now.mono, &opened)) {
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
			contact_of(g, p)->introduced = 0;
		/* fallthrough */
	case OPEN_MESSAGES:
		follow_address(g, p, from, opened.newest);
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
