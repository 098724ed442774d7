/* The network: packets that get lost, late or twice; streams that do not, but break. */
#include "tests/sim/sim.h"

/* A packet lost under a stream comes again after about this long (TCP's least retransmission time). */
#define RETRANSMIT_MS 200
/* A connection into silence is given up, and so is a stream whose other side stays silent. */
#define SILENCE_MS SECONDS(5)

#define INBOUND_BIT (UINT64_C(1) << 63)

/* One stream: end 0 opened it. Each end has its own number for it. */
struct pipe {
	unsigned peer[2];
	uint64_t id[2];
	mono_ms last[2]; /* latest arrival promised towards each end: order is kept */
	bool up[2];      /* that end knows it as open */
	bool broken;
};

int64_t sim_net_delay(struct sim *s)
{
	return s->delay_min + (int64_t)drbg_below(&s->rng, (uint64_t)(s->delay_max - s->delay_min) + 1);
}

static bool chance(struct sim *s, unsigned percent)
{
	return percent && drbg_below(&s->rng, 100) < percent;
}

bool sim_net_blocked(const struct sim *s, unsigned a, unsigned b)
{
	return s->peer[a].host_down || s->peer[b].host_down || (s->split && s->peer[a].group != s->peer[b].group);
}

static int owner(const struct sim *s, const struct addr *a)
{
	unsigned i = (unsigned)a->ip[2] << 8 | a->ip[3];

	return a->family == 4 && i < s->n && addr_eq(&s->peer[i].addr, a) ? (int)i : -1;
}

static void on_packet(struct sim *s, unsigned peer, uint64_t a, uint64_t b, const uint8_t *bytes, size_t len)
{
	struct addr from;
	struct rd r;

	(void)b;
	rd_init(&r, bytes, len);
	addr_get(&r, &from);
	if (!s->peer[peer].gossip || sim_net_blocked(s, (unsigned)a, peer))
		return;
	gossip_on_packet(s->peer[peer].gossip, &from, r.p, rd_left(&r), sim_peer_now(s, peer));
	sim_drain(s, peer);
}

static bool udp_dropped(const struct sim *s, int a, int b)
{
	return (s->no_udp[0] == a && s->no_udp[1] == b) || (s->no_udp[0] == b && s->no_udp[1] == a);
}

void sim_net_packet(struct sim *s, unsigned from, const struct addr *to, const uint8_t *bytes, size_t len)
{
	int target = owner(s, to);
	uint8_t buf[PACKET_BYTES_MAX + 32];
	struct wr w;

	s->peer[from].sent_packets++;
	if (target < 0 || sim_net_blocked(s, from, (unsigned)target) || udp_dropped(s, (int)from, target) ||
	        chance(s, s->loss))
		return;
	wr_fixed(&w, buf, sizeof(buf));
	addr_put(&w, &s->peer[from].addr);
	wr_bytes(&w, bytes, len);
	for (int copies = chance(s, s->duplicate) ? 2 : 1; copies > 0; copies--)
		sim_at(s, s->now + sim_net_delay(s), (unsigned)target, on_packet, from, 0, w.p, w.len);
}

static struct pipe *pipe_of(struct sim *s, unsigned peer, uint64_t id, int *end)
{
	map_each (&s->streams, value) {
		struct pipe *p = value;

		for (*end = 0; *end < 2; (*end)++)
			if (p->peer[*end] == peer && p->id[*end] == id)
				return p;
	}
	return NULL;
}

static struct pipe *pipe_by(struct sim *s, uint64_t number)
{
	return map_get(&s->streams, &number);
}

static uint64_t number_of(const struct pipe *p)
{
	return p->id[1] & ~INBOUND_BIT;
}

static void pipe_drop(struct sim *s, struct pipe *p)
{
	uint64_t number = number_of(p);

	map_del(&s->streams, &number);
	free(p);
}

static void on_closed(
        struct sim *s, unsigned peer, uint64_t id, uint64_t refused, const uint8_t *bytes, size_t len)
{
	(void)bytes;
	(void)len;
	if (!s->peer[peer].gossip)
		return;
	gossip_on_stream_closed(s->peer[peer].gossip, id, refused, sim_peer_now(s, peer));
	sim_drain(s, peer);
}

static void tell_closed(struct sim *s, const struct pipe *p, int end, int64_t in, bool refused)
{
	sim_at(s, MAX(s->now + in, p->last[end]), p->peer[end], on_closed, p->id[end], refused, NULL, 0);
}

static void on_accept(struct sim *s, unsigned peer, uint64_t number, uint64_t b, const uint8_t *bytes, size_t len)
{
	struct pipe *p = pipe_by(s, number);

	(void)b;
	(void)bytes;
	(void)len;
	if (!p || !s->peer[peer].gossip)
		return;
	p->up[1] = true;
	gossip_on_stream(s->peer[peer].gossip, p->id[1], &s->peer[p->peer[0]].key, true, sim_peer_now(s, peer));
	sim_drain(s, peer);
}

static void on_opened(struct sim *s, unsigned peer, uint64_t number, uint64_t b, const uint8_t *bytes, size_t len)
{
	struct pipe *p = pipe_by(s, number);

	(void)b;
	(void)bytes;
	(void)len;
	if (!p || !s->peer[peer].gossip)
		return;
	p->up[0] = true;
	gossip_on_stream(s->peer[peer].gossip, p->id[0], &s->peer[p->peer[1]].key, false, sim_peer_now(s, peer));
	sim_drain(s, peer);
}

void sim_net_connect(struct sim *s, unsigned from, uint64_t id, const struct addr *to, const struct key32 *expect)
{
	int target = owner(s, to);
	struct pipe *p;
	uint64_t number;
	mono_ms there;

	if (target < 0 || sim_net_blocked(s, from, (unsigned)target) || s->peer[target].frozen_until > s->now) {
		sim_at(s, s->now + SILENCE_MS, from, on_closed, id, false, NULL, 0);
		return;
	}
	if (!s->peer[target].gossip || !key32_eq(expect, &s->peer[target].key)) {
		sim_at(s, s->now + 2 * sim_net_delay(s), from, on_closed, id, !s->peer[target].gossip, NULL, 0);
		return;
	}
	number = ++s->stream_ids;
	p = xcalloc(1, sizeof(*p));
	*p = (struct pipe){.peer = {from, (unsigned)target}, .id = {id, number | INBOUND_BIT}};
	map_put(&s->streams, &number, p);
	there = s->now + 3 * sim_net_delay(s);
	p->last[1] = there;
	p->last[0] = there + sim_net_delay(s);
	sim_at(s, p->last[1], p->peer[1], on_accept, number, 0, NULL, 0);
	sim_at(s, p->last[0], from, on_opened, number, 0, NULL, 0);
}

static void on_frame(
        struct sim *s, unsigned peer, uint64_t number, uint64_t end, const uint8_t *bytes, size_t len)
{
	const struct pipe *p = pipe_by(s, number);

	if (!p || !s->peer[peer].gossip)
		return;
	gossip_on_frame(s->peer[peer].gossip, p->id[end], bytes, len, sim_peer_now(s, peer));
	sim_drain(s, peer);
}

static void on_broken(struct sim *s, unsigned peer, uint64_t number, uint64_t b, const uint8_t *bytes, size_t len)
{
	struct pipe *p = pipe_by(s, number);

	(void)peer;
	(void)b;
	(void)bytes;
	(void)len;
	if (!p)
		return;
	tell_closed(s, p, 0, 0, false);
	tell_closed(s, p, 1, 0, false);
	pipe_drop(s, p);
}

void sim_net_frame(struct sim *s, unsigned from, uint64_t id, const uint8_t *bytes, size_t len)
{
	int end;
	struct pipe *p = pipe_of(s, from, id, &end);
	mono_ms at = s->now + sim_net_delay(s);

	if (!p || p->broken)
		return;
	if (sim_net_blocked(s, from, p->peer[!end])) {
		p->broken = true;
		sim_at(s, s->now + SILENCE_MS, from, on_broken, number_of(p), 0, NULL, 0);
		return;
	}
	while (chance(s, s->loss))
		at += RETRANSMIT_MS;
	p->last[!end] = MAX(p->last[!end], at);
	sim_at(s, p->last[!end], p->peer[!end], on_frame, number_of(p), (uint64_t)!end, bytes, len);
}

void sim_net_close(struct sim *s, unsigned from, uint64_t id)
{
	int end;
	struct pipe *p = pipe_of(s, from, id, &end);

	if (!p)
		return;
	if (!sim_net_blocked(s, from, p->peer[!end]))
		tell_closed(s, p, !end, sim_net_delay(s), false);
	pipe_drop(s, p);
}

/* The agent died: its kernel closes what it had, if the host still stands and is heard. */
void sim_net_agent_gone(struct sim *s, unsigned peer)
{
	struct pipe *mine[1024];
	size_t n = 0;

	map_each (&s->streams, value) {
		struct pipe *p = value;

		if ((p->peer[0] == peer || p->peer[1] == peer) && n < ARRAY_LEN(mine))
			mine[n++] = p;
	}
	for (size_t i = 0; i < n; i++) {
		struct pipe *p = mine[i];
		int other = p->peer[0] == peer;

		if (!sim_net_blocked(s, peer, p->peer[other]))
			tell_closed(s, p, other, sim_net_delay(s), false);
		pipe_drop(s, p);
	}
}
