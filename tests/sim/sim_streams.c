/*
 * TCP: streams keep order and lose nothing, but break. What a blocked link swallows is sent again for a while, and
 * comes when the link is back in time; else both ends hear that the stream is gone.
 */
#include "tests/sim/sim_core.h"

/* A packet lost under a stream comes again after about this long (TCP's least retransmission time). */
#define RETRANSMIT_MS 200
/* A connection into silence is given up, and so is a stream whose other side stays silent. */
#define SILENCE_MS SECONDS(5)
/* Loss under a stream: so many packets in a row, at most, are taken for lost. */
#define LOST_IN_A_ROW_MAX 24

#define INBOUND_BIT (UINT64_C(1) << 63)

struct pipe;

/* One side: a peer, and its number for the stream. */
struct pipe_end {
	struct list at; /* in the peer's pipes, while it has not closed it */
	struct pipe *pipe;
	unsigned peer;
	uint64_t id;
	bool open;         /* it may be told that the stream is closed */
	mono_ms last;      /* latest arrival promised towards it: order is kept */
	struct wr waiting; /* frames towards it that did not get through: u32 length, bytes */
	mono_ms since;     /* when that began; 0: nothing waits */
	int64_t retry_ms;
};

struct pipe {
	uint64_t number;
	struct pipe_end end[2]; /* end 0 opened it */
};

struct end_key {
	uint8_t b[12];
};

static struct end_key end_key(unsigned peer, uint64_t id)
{
	struct end_key key;

	memcpy(key.b, &(uint32_t){peer}, 4);
	memcpy(key.b + 4, &id, 8);
	return key;
}

static struct pipe *pipe_by(struct sim *s, uint64_t number)
{
	return map_get(&s->pipes, &number);
}

static struct pipe_end *end_of(struct sim *s, unsigned peer, uint64_t id)
{
	struct end_key key = end_key(peer, id);

	return map_get(&s->ends, &key);
}

static struct pipe_end *other(struct pipe_end *e)
{
	return &e->pipe->end[e == &e->pipe->end[0]];
}

static struct pipe *pipe_new(struct sim *s, unsigned from, uint64_t id, unsigned to)
{
	struct pipe *p = xcalloc(1, sizeof(*p));

	p->number = ++s->pipe_numbers;
	map_put(&s->pipes, &p->number, p);
	for (int i = 0; i < 2; i++) {
		struct pipe_end *e = &p->end[i];
		struct end_key key;

		e->pipe = p;
		e->peer = i ? to : from;
		e->id = i ? p->number | INBOUND_BIT : id;
		e->open = true;
		wr_init(&e->waiting, SIZE_MAX / 2);
		list_push_back(&s->peer[e->peer].pipes, &e->at);
		key = end_key(e->peer, e->id);
		map_put(&s->ends, &key, e);
	}
	return p;
}

static void pipe_free(struct sim *s, struct pipe *p)
{
	for (int i = 0; i < 2; i++) {
		struct end_key key = end_key(p->end[i].peer, p->end[i].id);

		if (map_get(&s->ends, &key) == &p->end[i])
			map_del(&s->ends, &key);
		list_remove(&p->end[i].at);
		wr_free(&p->end[i].waiting);
	}
	map_del(&s->pipes, &p->number);
	free(p);
}

/* This end has no more to do with it; with the second one the pipe goes. */
static void end_gone(struct sim *s, struct pipe_end *e)
{
	struct end_key key = end_key(e->peer, e->id);

	e->open = false;
	list_remove(&e->at);
	if (map_get(&s->ends, &key) == e)
		map_del(&s->ends, &key);
	if (!other(e)->open)
		pipe_free(s, e->pipe);
}

void on_closed(struct sim *s, unsigned peer, uint64_t id, uint64_t refused, const uint8_t *bytes, size_t len)
{
	struct pipe_end *e = end_of(s, peer, id);

	(void)bytes, (void)len;
	if (e)
		end_gone(s, e);
	if (!s->peer[peer].gossip)
		return;
	gossip_on_stream_closed(s->peer[peer].gossip, id, refused, sim_peer_now(s, peer));
	sim_drain(s, peer);
}

/* After what is on its way already. */
static void tell_closed(struct sim *s, const struct pipe_end *e, int64_t in)
{
	if (e->open)
		sim_at(s, MAX(s->now + in, e->last), e->peer, EV_CLOSED, e->id, false, NULL, 0);
}

void on_accept(struct sim *s, unsigned peer, uint64_t number, uint64_t b, const uint8_t *bytes, size_t len)
{
	struct pipe *p = pipe_by(s, number);
	const struct key32 *key;
	struct member m;

	(void)b, (void)bytes, (void)len;
	if (!p || !p->end[1].open || !s->peer[peer].gossip)
		return;
	key = &s->peer[p->end[0].peer].key;
	/* As the agent does with whoever is not admitted. */
	if (gossip_member(s->peer[peer].gossip, key, &m))
		gossip_on_stream(s->peer[peer].gossip, p->end[1].id, key, true, sim_peer_now(s, peer));
	else
		gossip_turn_away(s->peer[peer].gossip, p->end[1].id, key, sim_peer_now(s, peer));
	sim_drain(s, peer);
}

void on_opened(struct sim *s, unsigned peer, uint64_t number, uint64_t b, const uint8_t *bytes, size_t len)
{
	struct pipe *p = pipe_by(s, number);

	(void)b, (void)bytes, (void)len;
	if (!p || !p->end[0].open || !s->peer[peer].gossip)
		return;
	gossip_on_stream(
	        s->peer[peer].gossip, p->end[0].id, &s->peer[p->end[1].peer].key, false, sim_peer_now(s, peer));
	sim_drain(s, peer);
}

static void fail_to_connect(struct sim *s, unsigned from, uint64_t id, int64_t in, bool refused)
{
	sim_at(s, s->now + in, from, EV_CLOSED, id, refused, NULL, 0);
}

void sim_net_connect(struct sim *s, unsigned from, uint64_t id, const struct addr *to, const struct key32 *expect)
{
	int target = sim_net_route(s, from, to);
	const struct sim_peer *t = target < 0 ? NULL : &s->peer[target];
	struct pipe *p;
	mono_ms there;

	if (t && t->nat.on && t->nat.refuses) {
		fail_to_connect(s, from, id, 2 * sim_net_delay(s, from, (unsigned)target), true);
		return;
	}
	/* A handshake takes both directions. */
	if (!t || t->nat.on || sim_net_blocked(s, from, (unsigned)target) ||
	        sim_net_blocked(s, (unsigned)target, from) || t->frozen_until > s->now || sim_liar_mute(t)) {
		fail_to_connect(s, from, id, SILENCE_MS, false);
		return;
	}
	if (!t->gossip || !key32_eq(expect, &t->key)) {
		fail_to_connect(s, from, id, 2 * sim_net_delay(s, from, (unsigned)target), !t->gossip);
		return;
	}
	p = pipe_new(s, from, id, (unsigned)target);
	there = s->now + 3 * sim_net_delay(s, from, (unsigned)target);
	p->end[1].last = there;
	p->end[0].last = there + sim_net_delay(s, (unsigned)target, from);
	sim_at(s, p->end[1].last, p->end[1].peer, EV_ACCEPT, p->number, 0, NULL, 0);
	sim_at(s, p->end[0].last, from, EV_OPENED, p->number, 0, NULL, 0);
}

/* Data and what acknowledges it: either way blocked, the sender goes on sending. */
static bool stalled(const struct sim *s, struct pipe_end *towards)
{
	return sim_net_blocked(s, other(towards)->peer, towards->peer) ||
	       sim_net_blocked(s, towards->peer, other(towards)->peer);
}

static void wait_for_link(struct sim *s, struct pipe_end *e)
{
	e->since = s->now;
	e->retry_ms = RETRANSMIT_MS;
	sim_at(s, s->now + e->retry_ms, SIM_WORLD, EV_RETRY, e->pipe->number, e == &e->pipe->end[1], NULL, 0);
}

static void transmit(struct sim *s, struct pipe_end *to, const uint8_t *bytes, size_t len)
{
	unsigned from = other(to)->peer, loss = sim_net_loss(s, from, to->peer);
	mono_ms at = s->now + sim_net_delay(s, from, to->peer);

	for (unsigned i = 0; i < LOST_IN_A_ROW_MAX && sim_chance(s, loss); i++)
		at += RETRANSMIT_MS;
	to->last = MAX(to->last, at);
	sim_at(s, to->last, to->peer, EV_FRAME, to->pipe->number, to == &to->pipe->end[1], bytes, len);
}

void on_retry(struct sim *s, unsigned peer, uint64_t number, uint64_t end, const uint8_t *bytes, size_t len)
{
	struct pipe *p = pipe_by(s, number);
	struct pipe_end *e;
	struct rd r;

	(void)peer, (void)bytes, (void)len;
	if (!p)
		return;
	e = &p->end[end];
	if (stalled(s, e)) {
		if (s->now - e->since >= SILENCE_MS) {
			tell_closed(s, e, 0);
			tell_closed(s, other(e), 0);
			return;
		}
		e->retry_ms *= 2;
		sim_at(s, s->now + e->retry_ms, SIM_WORLD, EV_RETRY, number, end, NULL, 0);
		return;
	}
	if (!e->open) {
		/* A host that is up again knows nothing of it: reset. */
		tell_closed(s, other(e), sim_net_delay(s, e->peer, other(e)->peer));
		return;
	}
	e->since = 0;
	rd_init(&r, e->waiting.p, e->waiting.len);
	while (rd_left(&r)) {
		uint32_t n = rd_u32(&r);

		transmit(s, e, rd_bytes(&r, n), n);
	}
	wr_reset(&e->waiting);
}

void on_frame(struct sim *s, unsigned peer, uint64_t number, uint64_t end, const uint8_t *bytes, size_t len)
{
	struct pipe *p = pipe_by(s, number);

	if (!p || !p->end[end].open || !s->peer[peer].gossip)
		return;
	s->peer[peer].got_bytes += len;
	gossip_on_frame(s->peer[peer].gossip, p->end[end].id, bytes, len, sim_peer_now(s, peer));
	sim_drain(s, peer);
}

static void pass(struct sim *s, struct pipe_end *to, const uint8_t *bytes, size_t len)
{
	if (!to->since && !stalled(s, to) && to->open) {
		transmit(s, to, bytes, len);
		return;
	}
	if (!to->since)
		wait_for_link(s, to);
	wr_u32(&to->waiting, (uint32_t)len);
	wr_bytes(&to->waiting, bytes, len);
}

void sim_net_frame(struct sim *s, unsigned from, uint64_t id, const uint8_t *bytes, size_t len)
{
	struct pipe_end *e = end_of(s, from, id);
	uint8_t newer[FRAME_BYTES_MAX];

	if (!e)
		return;
	if (s->peer[from].newer) {
		pass(s, other(e), newer, sim_newer_own_frame(newer));
		len = sim_newer_frame(s, bytes, len, newer, sizeof(newer));
		bytes = newer;
	}
	s->peer[from].sent_bytes += len;
	pass(s, other(e), bytes, len);
}

void sim_net_close(struct sim *s, unsigned from, uint64_t id)
{
	struct pipe_end *e = end_of(s, from, id), *to;

	if (!e)
		return;
	to = other(e);
	/* Who does not hear of it finds out when it writes. */
	if (!stalled(s, to))
		tell_closed(s, to, sim_net_delay(s, from, to->peer));
	end_gone(s, e);
}

/* The agent died: its kernel closes what it had, if the host still stands and is heard. */
void sim_net_agent_gone(struct sim *s, unsigned peer)
{
	struct list *pipes = &s->peer[peer].pipes;

	while (!list_empty(pipes)) {
		struct pipe_end *e = list_entry(pipes->next, struct pipe_end, at), *to = other(e);

		if (!stalled(s, to))
			tell_closed(s, to, sim_net_delay(s, peer, to->peer));
		end_gone(s, e);
	}
}

void sim_net_free(struct sim *s)
{
	/* All agents have ended, and so have all ends. */
	map_free(&s->pipes);
	map_free(&s->ends);
}
