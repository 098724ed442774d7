#include "gossip/core.h"

/*
 * Records that others announce (HAVE) and that are not here. One that fits a packet is asked for at once. A larger one
 * is pulled over a stream, from one announcer at a time:
 *
 *	HAVE from A ----> wanted ----> asked of A ----> here
 *	HAVE from B        |             |   ^
 *	   notes B         |             |   |  A's stream ended, or nothing of it came for PULL_MS: asked of B
 *	                   |             v   |
 *	                   +------- nobody left: forgotten; the next announcement or reconciliation brings it
 *
 * So a body crosses to each peer once, whoever announces it, and nobody gets one that it has.
 */

/* An id asked for by packet is not asked for again within this time: announcements come in bursts, answers get lost. */
#define ASKED_MS 150
/* Without another piece of it, the next announcer is asked: a few round trips of any network, and a stream's opening. */
#define PULL_MS SECONDS(2)

static bool asked_already(struct gossip *g, const struct key32 *id)
{
	for (size_t i = 0; i < ARRAY_LEN(g->asked); i++)
		if (key32_eq(&g->asked[i].id, id) && g->now.mono < g->asked[i].until)
			return true;
	g->asked[g->asked_at].id = *id;
	g->asked[g->asked_at].until = g->now.mono + ASKED_MS;
	g->asked_at = (g->asked_at + 1) % ARRAY_LEN(g->asked);
	return false;
}

static void pull_end(struct gossip *g, struct pull *p)
{
	*p = g->pulls[--g->n_pulls];
	g->pull_at = g->now.mono; /* another may begin */
}

/* Asks the next of those who announced it; false: there is none left. */
static bool ask_next(struct gossip *g, struct pull *p)
{
	p->stream = 0;
	while (p->next < p->n_from) {
		struct peer *from = member_by_id(g, p->from[p->next++]);
		struct stream *s = from && member_up(from) ? stream_to(g, from) : NULL;
		uint8_t buf[64];
		struct wr w;

		if (!s)
			continue;
		wr_fixed(&w, buf, sizeof(buf));
		wire_put_want(&w, &p->id, 1);
		p->stream = s->id;
		p->until = g->now.mono + PULL_MS;
		stream_frame(g, s, FRAME_MSGS, w.p, w.len);
		return true;
	}
	return false;
}

static size_t under_way_of(const struct gossip *g, id64 source)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n_pulls; i++)
		n += g->pulls[i].stream && g->pulls[i].from[0] == source;
	return n;
}

static size_t under_way(const struct gossip *g)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n_pulls; i++)
		n += g->pulls[i].stream != 0;
	return n;
}

void pull_tick(struct gossip *g)
{
	size_t busy;

	if (g->now.mono < g->pull_at)
		return;
	busy = under_way(g);
	g->pull_at = MONO_NEVER;
	for (size_t i = g->n_pulls; i-- > 0;) {
		struct pull *p = &g->pulls[i];

		if (p->stream && g->now.mono >= p->until) {
			p->stream = 0;
			busy--;
		}
		if (!p->stream && busy < PULLS_AT_ONCE &&
		        under_way_of(g, p->from[0]) < PULLS_AT_ONCE_PER_SOURCE) {
			if (!ask_next(g, p)) {
				pull_end(g, p);
				continue;
			}
			busy++;
		}
		if (p->stream)
			g->pull_at = MIN(g->pull_at, p->until);
	}
}

mono_ms pull_wake(const struct gossip *g)
{
	return g->pull_at;
}

static struct pull *find(struct gossip *g, const struct key32 *id)
{
	for (size_t i = 0; i < g->n_pulls; i++)
		if (key32_eq(&g->pulls[i].id, id))
			return &g->pulls[i];
	return NULL;
}

/* Pulls that this peer was the first to announce. */
static size_t first_of(const struct gossip *g, id64 source)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n_pulls; i++)
		n += g->pulls[i].from[0] == source;
	return n;
}

/* Room for one more that `from` is the first to announce? Whoever takes more than its share gives way. */
static bool room_for(struct gossip *g, const struct peer *from)
{
	struct pull *most = NULL;
	size_t n_most = PULLS_PER_SOURCE;

	if (g->n_pulls < PULLS_MAX)
		return true;
	if (first_of(g, peer_id(from)) >= PULLS_PER_SOURCE)
		return false;
	for (size_t i = 0; i < g->n_pulls; i++) {
		size_t n = g->pulls[i].stream ? 0 : first_of(g, g->pulls[i].from[0]);

		if (n > n_most) {
			most = &g->pulls[i];
			n_most = n;
		}
	}
	if (most)
		pull_end(g, most);
	return most;
}

static void pull_from(struct gossip *g, const struct key32 *id, struct peer *from)
{
	struct pull *p = find(g, id);

	if (!p) {
		if (!room_for(g, from))
			return;
		p = &g->pulls[g->n_pulls++];
		*p = (struct pull){.id = *id};
	}
	for (size_t i = p->n_from; i-- > 0;)
		if (p->from[i] == peer_id(from))
			return;
	if (p->n_from == PULL_SOURCES)
		return;
	p->from[p->n_from++] = peer_id(from);
	if (!p->stream)
		g->pull_at = g->now.mono;
	pull_tick(g);
}

void pull_done(struct gossip *g, const struct key32 *id)
{
	struct pull *p = find(g, id);

	if (p)
		pull_end(g, p);
}

void pull_failed(struct gossip *g, const struct key32 *id)
{
	struct pull *p = find(g, id);

	if (!p)
		return;
	p->stream = 0;
	g->pull_at = g->now.mono;
}

void pull_progress(struct gossip *g, const struct stream *s)
{
	for (size_t i = 0; i < g->n_pulls; i++)
		if (g->pulls[i].stream == s->id)
			g->pulls[i].until = g->now.mono + PULL_MS;
}

void pull_stream_gone(struct gossip *g, const struct stream *s)
{
	for (size_t i = 0; i < g->n_pulls; i++)
		if (g->pulls[i].stream == s->id) {
			g->pulls[i].stream = 0;
			g->pull_at = g->now.mono;
		}
}

void record_on_have(struct gossip *g, struct peer *from, const struct have *h, struct wr *reply)
{
	const struct stored *now = record_is_volatile(h->kind) ? store_current(g->store, &h->key) : NULL;

	if (store_get(g->store, &h->id) || (now && now->rec.stamp >= h->stamp) || h->len > RECORD_BYTES_MAX)
		return;
	if (h->len > RECORD_PACKET_MAX)
		pull_from(g, &h->id, from);
	else if (!asked_already(g, &h->id))
		wire_put_want(reply, &h->id, 1);
}
