#include "gossip/core.h"

/*
 * When to reconcile, and with whom (DESIGN section 6). Acks carry both digests. A difference that lasts 2 s, or
 * the first contact with a peer in this boot, opens a reconciliation; at most one per pair per 10 s, backing off
 * while it changes nothing. Equal digests are equal sets, so a quiet flock opens no stream at all. In a large flock a
 * peer acks us once in minutes, so before a stream is opened on its word of 2 s ago it is pinged once more.
 */
#define DIFFERS_MS SECONDS(2)
/* A difference seen this lately needs no second look; a look not answered for so long is given up. */
#define FRESH_MS     SECONDS(1)
#define FORGOTTEN_MS SECONDS(10)
/* Of two that both see the difference, the higher id waits this much longer. */
#define TURN_MS SECONDS(1)
/* How often to look whether one is due, while any digest differs or this peer is not ready. */
#define LOOK_MS         250
#define SYNC_SPACE_MS   SECONDS(10)
#define SYNC_BACKOFF_MS MINUTES(1)
/* Once more, so soon, after records of peers not known yet were turned away: their admissions came along with them. So
 * often within so long, whoever it is with; more is a peer that passes on the records of strangers. */
#define RESYNC_MS   200
#define RESYNCS_MAX 3
#define RESYNCS_PER MINUTES(1)
/* Neighbours to reconcile with before this peer is ready, and how long to look for one. */
#define READY_SYNCS 3
/* So few members are told of whole to whoever appears: 7 KiB, and no round trip. */
#define STATES_PUSH_MAX 64
/* One that has not answered for so long does not keep another from being asked. */
#define READY_HEDGE_MS 500
#define READY_ALONE_MS SECONDS(3)
/* Reachable over UDP, yet no reconciliation came about: go on without. */
#define READY_GIVE_UP_MS SECONDS(15)

/* Work that one peer's questions may cost at once (some 0.3 s of a core), and per millisecond after that. Two stores of
 * 60,000 records with none in common take an eighth of it; more, again and again, is a peer that wants to keep us busy. */
#define WORK_MAX    (1024 * 1024)
#define WORK_PER_MS 100

static void deliver(void *ctx, const uint8_t *bytes, size_t len)
{
	struct stream *s = ctx;
	enum store_verdict v = record_take(s->gossip, bytes, len, s->peer, s, false);

	s->sync_news |= v == STORE_NEW || v == STORE_BODY;
}

static void pump(struct gossip *g, struct stream *s, struct sync *sync, uint8_t type)
{
	struct wr w;

	wr_init(&w, SYNC_FRAME_MAX);
	while (sync_next_frame(sync, &w)) {
		stream_frame(g, s, type, w.p, w.len);
		wr_reset(&w);
	}
	wr_free(&w);
}

static bool may_resync(struct gossip *g)
{
	if (!g->resyncs || g->now.mono - g->resyncs_since >= RESYNCS_PER) {
		g->resyncs = 0;
		g->resyncs_since = g->now.mono;
	}
	return g->resyncs++ < RESYNCS_MAX;
}

static void finish(struct gossip *g, struct stream *s)
{
	const struct sync_stats *stats = sync_stats(s->ask);
	struct contact *p = s->peer->contact;
	/* What a limit here turns away comes every time: it is no progress. */
	bool moved = s->sync_news || (stats->records_out && !stats->records_in);

	g->count.syncs++;
	p->syncs++;
	p->sync_backoff = moved ? SYNC_SPACE_MS : MIN(MAX(p->sync_backoff, SYNC_SPACE_MS) * 2, SYNC_BACKOFF_MS);
	p->sync_after = g->now.mono + p->sync_backoff;
	p->differs_since = 0;
	if (g->refused_volatile) {
		g->refused_volatile = false;
		if (may_resync(g)) {
			p->sync_after = g->now.mono + RESYNC_MS;
			p->differs_since = g->now.mono - DIFFERS_MS;
			sync_free(s->ask);
			s->ask = NULL;
			return;
		}
	}
	g->syncs_done++;
	sync_free(s->ask);
	s->ask = NULL;
	if (!g->ready)
		g->entropy_at = g->now.mono;
}

static void states_batch(struct gossip *g, const struct wr *w, void *ctx)
{
	stream_frame(g, ctx, FRAME_MSGS, w->p, w->len);
}

/* Who is there, before what there is: once to each that has just appeared. */
static void send_states(struct gossip *g, struct stream *s)
{
	struct contact *c = contact_of(g, s->peer);

	if (c->states_sent)
		return;
	c->states_sent = true;
	/* Of a large flock it is told what it asks for. */
	if (g->n_peers > STATES_PUSH_MAX) {
		states_ask(g, s->peer);
		return;
	}
	member_states(g, FRAME_BYTES_MAX / 2, states_batch, s);
}

void entropy_want(struct gossip *g, struct peer *p)
{
	struct stream *s = stream_to(g, p);
	struct contact *c = contact_of(g, p);
	struct sync_start start = {.equal = {c->equal[0], c->equal[1]}};

	c->sync_after = g->now.mono + SYNC_SPACE_MS;
	if (!s || s->ask)
		return;
	send_states(g, s);
	s->gossip = g;
	drbg_bytes(&g->rng, start.salt, sizeof(start.salt));
	s->ask = sync_begin(g->store, &start, deliver, s);
	g->bodies_missing = false;
	s->sync_heard = g->now.mono;
	s->sync_news = false;
	pump(g, s, s->ask, FRAME_SYNC_ASK);
}

static bool may_cost(struct gossip *g, struct contact *c, unsigned work)
{
	c->work -= (unsigned)MIN((g->now.mono - c->work_at) * WORK_PER_MS, (int64_t)c->work);
	c->work_at = g->now.mono;
	c->work += work;
	return c->work <= WORK_MAX;
}

int entropy_on_frame(struct gossip *g, struct stream *s, bool ask, const uint8_t *bytes, size_t len)
{
	struct err err;
	struct sync **which = ask ? &s->answer : &s->ask;
	unsigned work;

	if (!*which) {
		if (!ask)
			return 0; /* of one that we have given up */
		s->gossip = g;
		*which = sync_respond(g->store, deliver, s);
		send_states(g, s);
	}
	s->sync_heard = g->now.mono;
	work = sync_stats(*which)->work;
	if (sync_on_frame(*which, bytes, len, &err) < 0) {
		log_warn("gossip", "reconciliation with peer %016llx: %s", (unsigned long long)peer_id(s->peer),
		        err.text);
		return -1;
	}
	if (ask && !may_cost(g, contact_of(g, s->peer), sync_stats(*which)->work - work)) {
		log_warn("gossip",
		        "peer %016llx asks for more reconciliation than it could need; its stream is closed",
		        (unsigned long long)peer_id(s->peer));
		return -1;
	}
	pump(g, s, *which, ask ? FRAME_SYNC_REPLY : FRAME_SYNC_ASK);
	if (!sync_done(*which))
		return 0;
	if (!ask) {
		finish(g, s);
		return 0;
	}
	sync_free(s->answer);
	s->answer = NULL;
	return 0;
}

/* Before this peer is ready: does it want one more neighbour to reconcile with, beside those that are done and those
 * whose answers are on their way? In a large flock all are heard of at once, and three are enough. The first alone brings
 * what there is, and the others are asked once that is on disk and so in our digest: else all of it would come thrice. */
static bool wants_first(const struct gossip *g)
{
	size_t n = g->syncs_done;

	if (g->ready || (g->syncs_done && g->pending.len))
		return false;
	map_each (&g->streams, value) {
		const struct stream *s = value;

		n += s->ask && g->now.mono - s->sync_heard < READY_HEDGE_MS;
	}
	return n < (g->syncs_done ? READY_SYNCS : 1);
}

void entropy_look(struct gossip *g)
{
	g->entropy_at = MIN(g->entropy_at, g->now.mono + LOOK_MS);
}

void entropy_first_contact(struct gossip *g, struct peer *peer)
{
	struct contact *p = contact_of(g, peer);

	p->differs_since = 0;
	p->sync_backoff = 0;
	if (p->syncs) {
		/* It is back from the dead: what it says of itself now is wanted before its old claims are judged. */
		p->returned = true;
		p->sync_after = g->now.mono;
	}
	if (!g->started || p->syncs)
		return;
	/* Before we are ready we ask; later whoever starts asks us, and a difference shows in the acks. */
	if (wants_first(g))
		entropy_want(g, peer);
}

void entropy_on_digests(struct gossip *g, struct peer *peer, const struct digest_brief *durable,
        const struct digest_brief *volatile_)
{
	struct contact *p = contact_of(g, peer);
	struct digest_brief own[2];

	digests_brief(g, &own[0], &own[1]);
	p->equal[0] = memcmp(&own[0], durable, sizeof(own[0])) == 0;
	p->equal[1] = memcmp(&own[1], volatile_, sizeof(own[1])) == 0;
	if (p->equal[0] && p->equal[1]) {
		p->differs_since = 0;
		p->sync_backoff = 0;
		p->returned = false;
		return;
	}
	if (p->returned) /* as if it had lasted; the other side does not know that it was gone, so no turns are taken */
		p->differs_since = g->now.mono - DIFFERS_MS - TURN_MS;
	else if (!p->differs_since)
		p->differs_since = g->now.mono;
	p->returned = false;
	p->differs_at = g->now.mono;
	entropy_look(g);
}

static size_t reachable(const struct gossip *g)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n_contacts; i++)
		n += g->contacts[i]->peer->reachable;
	return n;
}

static void check_ready(struct gossip *g)
{
	mono_ms age = g->now.mono - g->started_at;
	size_t there;

	if (g->ready || !g->started)
		return;
	there = reachable(g);
	if (there ? g->syncs_done >= MIN(there, (size_t)READY_SYNCS) && !g->pending.len && !g->trust_changed
	          : !g->n_peers || age >= READY_ALONE_MS)
		g->ready = true;
	else if (age >= READY_GIVE_UP_MS)
		g->ready = true;
	if (g->ready)
		output_self(g);
}

static bool lasts(const struct gossip *g, const struct contact *p, mono_ms since)
{
	return since && g->now.mono - since >= DIFFERS_MS + (g->id > peer_id(p->peer) ? TURN_MS : 0);
}

/* Is a reconciliation with p due? Of two that both see the difference, the lower id asks first. */
static bool due(const struct gossip *g, const struct contact *p)
{
	if (!p->peer->reachable || !member_up(p->peer) || g->now.mono < p->sync_after)
		return false;
	if (!p->syncs && wants_first(g))
		return true;
	if (g->bodies_missing)
		return true;
	return lasts(g, p, p->differs_since) && g->now.mono - p->differs_at <= FRESH_MS;
}

/* Its word of a difference is old: is it still so? */
static void look_again(struct gossip *g, struct contact *c)
{
	mono_ms since = MAX(c->differs_since, c->states_differ);

	if (since && g->now.mono - since > FORGOTTEN_MS && g->now.mono - c->differs_at > FORGOTTEN_MS)
		c->differs_since = c->states_differ = 0;
	if (!member_up(c->peer) || g->now.mono < c->look_at)
		return;
	if (!(lasts(g, c, c->differs_since) && g->now.mono >= c->sync_after) &&
	        !(lasts(g, c, c->states_differ) && g->now.mono >= c->states_after))
		return;
	c->look_at = g->now.mono + FRESH_MS;
	probe_greet(g, c->peer);
}

void entropy_tick(struct gossip *g)
{
	bool differs = false;

	if (g->now.mono < g->entropy_at)
		return;
	for (size_t i = 0; i < g->n_contacts; i++) {
		struct contact *c = g->contacts[i];

		if (due(g, c))
			entropy_want(g, c->peer);
		else
			look_again(g, c);
		differs |= c->differs_since || c->states_differ;
	}
	check_ready(g);
	g->entropy_at = differs || !g->ready || g->bodies_missing ? g->now.mono + LOOK_MS : MONO_NEVER;
}

mono_ms entropy_wake(const struct gossip *g)
{
	return g->entropy_at;
}
