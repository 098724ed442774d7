#include "gossip/core.h"

/* Pings made for others (ping-req): an ack is passed on, silence is said with a nack. */

void relay_tick(struct gossip *g)
{
	for (size_t i = 0; i < RELAYS_MAX; i++) {
		struct relay *r = &g->relays[i];

		if (!r->used)
			continue;
		if (!r->nacked && g->now.mono >= r->nack_at) {
			struct peer *origin = member_by_id(g, r->origin);
			uint8_t buf[PAYLOAD_BYTES_MAX];
			struct wr w;

			r->nacked = true;
			wr_fixed(&w, buf, sizeof(buf));
			wire_put_nack(&w, r->origin_seq);
			if (origin)
				packet_send(g, origin, &w);
		}
		if (g->now.mono >= r->end_at)
			r->used = false;
	}
}

mono_ms relay_wake(const struct gossip *g)
{
	mono_ms at = MONO_NEVER;

	for (size_t i = 0; i < RELAYS_MAX; i++)
		if (g->relays[i].used)
			at = MIN(at, g->relays[i].nacked ? g->relays[i].end_at : g->relays[i].nack_at);
	return at;
}

static void pass_on(struct gossip *g, const struct relay *r)
{
	struct peer *origin = member_by_id(g, r->origin);
	uint8_t buf[PAYLOAD_BYTES_MAX];
	struct wr w;

	if (!origin)
		return;
	wr_fixed(&w, buf, sizeof(buf));
	ack_put(g, &w, r->origin_seq);
	packet_send(g, origin, &w);
}

void relay_on_ack(struct gossip *g, const struct peer *from, uint32_t seq)
{
	for (size_t i = 0; i < RELAYS_MAX; i++) {
		struct relay *r = &g->relays[i];

		if (r->used && r->seq == seq && r->target == peer_id(from)) {
			pass_on(g, r);
			r->used = false;
			return;
		}
	}
}

/* The first ping or its answer may have been lost. */
static void repeat(struct gossip *g, struct relay *r, struct peer *p)
{
	if (r->repeated)
		return;
	r->repeated = true;
	r->nacked = false;
	r->nack_at = g->now.mono + g->tune->indirect / 2;
	ping_send(g, p, r->seq);
}

void relay_on_ping_req(struct gossip *g, struct peer *from, uint32_t seq, id64 target, struct wr *reply)
{
	struct peer *p = member_by_id(g, target);
	struct relay *r = NULL;
	unsigned of_origin = 0;

	if (!p || !peer_addr(p).family || p == from)
		return;
	for (size_t i = 0; i < RELAYS_MAX; i++) {
		struct relay *at = &g->relays[i];

		if (at->used && at->origin == peer_id(from)) {
			of_origin++;
			if (at->origin_seq == seq) {
				if (at->target == target)
					repeat(g, at, p);
				return;
			}
		}
		if (!at->used && !r)
			r = at;
	}
	if (!r || of_origin == RELAYS_PER_ORIGIN) {
		wire_put_nack(reply, seq);
		return;
	}
	*r = (struct relay){.used = true,
	        .seq = seq_draw(g),
	        .origin_seq = seq,
	        .origin = peer_id(from),
	        .target = target,
	        .nack_at = g->now.mono + g->tune->indirect * 3 / 5,
	        .end_at = g->now.mono + 2 * g->tune->period};
	ping_send(g, p, r->seq);
}
