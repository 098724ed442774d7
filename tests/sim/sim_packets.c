/*
 * UDP: packets that get lost, late, twice or in another order. Each packet that a peer emits while it takes another
 * is looked at: nobody unknown gets an answer, a challenge is never longer than what it answers, and an address that
 * was never a peer's is sent no more than came from there.
 */
#include "tests/sim/sim_core.h"

#include "gossip/seal.h"

/* One that is held back comes after whatever was sent within so long behind it. */
#define REORDER_MS 50

static bool is_member(const struct sim *s, unsigned viewer, id64 sender)
{
	uintptr_t i = (uintptr_t)map_get(&s->by_id, &sender);
	struct member m;

	return i && gossip_member(s->peer[viewer].gossip, &s->peer[i - 1].key, &m);
}

/* Bytes that come from an address count in its favour; what it gets must not exceed them. */
static void take(struct sim *s, unsigned peer, const struct addr *from, const uint8_t *bytes, size_t len)
{
	struct sim_peer *p = &s->peer[peer];
	struct sim_stranger *stranger = sim_stranger(s, from);
	struct packet_header h;
	bool ours = packet_header_get(&h, bytes, len);

	if (stranger)
		stranger->in += len;
	p->got_packets++;
	p->got_bytes += len;
	s->answering.peer = (int)peer;
	s->answering.from = *from;
	s->answering.unknown = !ours || !is_member(s, peer, h.sender);
	s->answering.len = len;
	gossip_on_packet(p->gossip, from, bytes, len, sim_peer_now(s, peer));
	sim_drain(s, peer);
	s->answering.peer = -1;
}

void on_packet(struct sim *s, unsigned peer, uint64_t a, uint64_t b, const uint8_t *bytes, size_t len)
{
	struct addr from;
	struct rd r;

	(void)b;
	rd_init(&r, bytes, len);
	addr_get(&r, &from);
	if (!s->peer[peer].gossip || (a != SIM_WORLD && sim_net_blocked(s, (unsigned)a, peer)))
		return;
	take(s, peer, &from, r.p, rd_left(&r));
}

static void check_answer(struct sim *s, unsigned from, const struct addr *to, const uint8_t *bytes, size_t len)
{
	struct sim_stranger *stranger = sim_stranger(s, to);

	if (s->answering.peer == (int)from && addr_eq(to, &s->answering.from)) {
		EXPECT(s, !s->answering.unknown);
		EXPECT(s, bytes[1] != PACKET_CHALLENGE || len <= s->answering.len);
	}
	if (stranger) {
		stranger->out += len;
		EXPECT(s, stranger->out <= stranger->in);
	}
}

static void deliver(
        struct sim *s, unsigned from, unsigned to, const struct addr *source, const uint8_t *bytes, size_t len)
{
	const struct sim_link *link = sim_net_link(s, from, to);
	uint8_t buf[PACKET_BYTES_MAX + SIM_ADDR_KEY];
	struct wr w;

	wr_fixed(&w, buf, sizeof(buf));
	addr_put(&w, source);
	wr_bytes(&w, bytes, len);
	for (int copies = sim_chance(s, link->duplicate) ? 2 : 1; copies > 0; copies--) {
		int64_t ms = sim_net_delay(s, from, to);

		if (sim_chance(s, link->reorder))
			ms += 1 + (int64_t)drbg_below(&s->rng, REORDER_MS);
		sim_at(s, s->now + ms, to, EV_PACKET, from, 0, w.p, w.len);
	}
}

void sim_net_packet(struct sim *s, unsigned from, const struct addr *to, const uint8_t *bytes, size_t len)
{
	struct sim_peer *p = &s->peer[from];
	uint8_t newer[PACKET_BYTES_MAX];
	struct addr source = sim_net_source(s, from, to);
	int target = sim_net_route(s, from, to);
	bool lost;

	if (p->newer) {
		len = sim_newer_packet(s, bytes, len, newer, sizeof(newer));
		bytes = newer;
	}
	p->sent_packets++;
	p->sent_bytes += len;
	if (s->opt.hooks.packet)
		s->opt.hooks.packet(s, from, to, len, s->opt.hooks.ctx);
	check_answer(s, from, to, bytes, len);
	if (target < 0 || sim_net_blocked(s, from, (unsigned)target) ||
	        sim_net_link(s, from, (unsigned)target)->cut_udp ||
	        !sim_nat_lets_in(s, (unsigned)target, &source))
		return;
	lost = sim_chance(s, sim_net_loss(s, from, (unsigned)target));
	sim_liar_taps(s, (unsigned)target, &source, bytes, len, lost);
	if (lost)
		return;
	deliver(s, from, (unsigned)target, &source, bytes, len);
}

void sim_inject(struct sim *s, unsigned to, const struct addr *from, const uint8_t *bytes, size_t len)
{
	uint8_t buf[PACKET_BYTES_MAX + SIM_ADDR_KEY];
	struct wr w;

	wr_fixed(&w, buf, sizeof(buf));
	addr_put(&w, from);
	wr_bytes(&w, bytes, MIN(len, (size_t)PACKET_BYTES_MAX));
	sim_at(s, s->now + 1, to, EV_PACKET, SIM_WORLD, 0, w.p, w.len);
}
