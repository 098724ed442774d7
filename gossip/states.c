#include "gossip/core.h"

/*
 * Who is there, reconciled. Statements travel by gossip, which may pass somebody by: in a burst (hundreds of hosts that
 * start together), under heavy loss, or because a peer was away. Acks carry a sum over (member, incarnation); one that
 * differs for long opens a stream, on which the two compare 64 parts of the flock and then the members of those that
 * differ:
 *
 *	A                                                  B
 *	| STATES     64 sums                               |
 *	|------------------------------------------------->|
 *	|            STATES_LIST  part, (member, incarnation) ...    for each part whose sum differs
 *	|<-------------------------------------------------|
 *	| ALIVE, LEFT         what B lacks, or holds older |
 *	| STATES_WANT  ids    what A lacks, or holds older |
 *	|------------------------------------------------->|
 *	|                                     ALIVE, LEFT  |
 *	|<-------------------------------------------------|
 *
 * 16 bytes for each member of a part that differs, instead of its statement's 110. Suspicions and deaths are not part of
 * it: they answer themselves, or come true again.
 */

/* A difference is looked into after so long: gossip is to have had its chance. The higher id waits longer. */
#define STATES_DIFFER_MS SECONDS(2)
#define STATES_TURN_MS   SECONDS(1)
/* Between two with the same peer, and between any two that we begin. */
#define STATES_SPACE_MS SECONDS(10)
#define STATES_ANY_MS   SECONDS(1)

/* What one peer may ask of us at once, and per second. Sums cost a walk over all members, and an answer that names them; a
 * list or want costs 1 and 1 for each so many entries, of which each may cost a statement of 110 bytes. So a whole
 * comparison of a flock of 10,000 that differs in each part costs 64 + 64 + 625; what it lacks of a larger one, or of
 * several at once, the next comparison brings. */
#define STATES_COST_MAX     1024
#define STATES_COST_PER_S   64
#define STATES_COST_SUMS    64
#define STATES_COST_ENTRIES 16

/* The same at all peers. Who searches for incarnations of its own can make up for a difference in somebody else's, for
 * those that hold just what it foresaw. That only delays: gossip tells of it too, and any next change undoes it. */
static uint64_t fingerprint(id64 id, uint64_t incarnation)
{
	static const uint8_t key[16] = "starling states";
	uint8_t both[16];
	struct wr w;

	if (!incarnation)
		return 0;
	wr_fixed(&w, both, sizeof(both));
	wr_u64(&w, id);
	wr_u64(&w, incarnation);
	return siphash(key, both, sizeof(both));
}

static size_t part_of(id64 id)
{
	return id >> 58;
}

static void move(struct gossip *g, id64 id, uint64_t from, uint64_t to)
{
	uint64_t by = fingerprint(id, to) - fingerprint(id, from);

	g->states[part_of(id)] += by;
	g->states_sum += by;
}

void states_incarnation(struct gossip *g, struct peer *p, uint64_t incarnation)
{
	move(g, peer_id(p), p->incarnation, incarnation);
	p->incarnation = incarnation;
}

void states_own_incarnation(struct gossip *g, uint64_t incarnation)
{
	move(g, g->id, g->states_own, incarnation);
	g->states_own = incarnation;
}

void states_on_sum(struct gossip *g, struct peer *p, uint64_t sum)
{
	struct contact *c = contact_of(g, p);
	int64_t wait = STATES_DIFFER_MS + (g->id > peer_id(p) ? STATES_TURN_MS : 0);

	if (sum == g->states_sum) {
		c->states_differ = 0;
		return;
	}
	if (!c->states_differ)
		c->states_differ = g->now.mono;
	c->differs_at = g->now.mono;
	entropy_look(g);
	if (g->now.mono - c->states_differ < wait || g->now.mono < c->states_after ||
	        g->now.mono < g->states_after)
		return;
	states_ask(g, p);
}

void states_ask(struct gossip *g, struct peer *p)
{
	struct contact *c = contact_of(g, p);
	struct stream *s = stream_to(g, p);
	uint8_t buf[MSG_HEADER_BYTES + sizeof(g->states)];
	struct wr w;

	c->states_after = g->now.mono + STATES_SPACE_MS;
	g->states_after = g->now.mono + STATES_ANY_MS;
	c->states_differ = 0;
	if (!s)
		return;
	wr_fixed(&w, buf, sizeof(buf));
	wire_put_states(&w, g->states);
	stream_frame(g, s, FRAME_MSGS, w.p, w.len);
	g->count.states++;
}

/* Sends what is in w, and goes on with an empty one. */
static void flush(struct gossip *g, struct stream *s, struct wr *w)
{
	if (w->len)
		stream_frame(g, s, FRAME_MSGS, w->p, w->len);
	wr_reset(w);
}

static int by_state_id(const void *a, const void *b)
{
	const struct wire_state *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

#define ALL_PARTS SIZE_MAX

static bool wanted(size_t part, id64 id)
{
	return part == ALL_PARTS || part_of(id) == part;
}

/* Members of a part, or of ALL_PARTS, this peer included, by id, and so part by part; the caller frees. */
static struct wire_state *gather(const struct gossip *g, size_t part, size_t *n)
{
	struct wire_state *list;
	size_t most = 1;

	for (size_t i = 0; i < g->n_peers; i++)
		most += wanted(part, peer_id(g->peers[i]));
	list = xcalloc(most, sizeof(*list));
	*n = 0;
	if (wanted(part, g->id))
		list[(*n)++] = (struct wire_state){g->id, g->incarnation};
	for (size_t i = 0; i < g->n_peers; i++)
		if (g->peers[i]->incarnation && wanted(part, peer_id(g->peers[i])))
			list[(*n)++] = (struct wire_state){peer_id(g->peers[i]), g->peers[i]->incarnation};
	qsort(list, *n, sizeof(*list), by_state_id);
	return list;
}

/* Members of the part that begins at list[from]. */
static size_t run_of(const struct wire_state *list, size_t from, size_t n, size_t part)
{
	size_t end = from;

	while (end < n && part_of(list[end].id) == part && end - from < WIRE_STATES_MAX)
		end++;
	return end - from;
}

static void on_sums(struct gossip *g, struct stream *s, const uint64_t sums[WIRE_STATES_PARTS])
{
	size_t n, at = 0;
	cleanup_free struct wire_state *list = gather(g, ALL_PARTS, &n);
	struct wr w;

	wr_init(&w, FRAME_BYTES_MAX - 1);
	for (size_t part = 0; part < WIRE_STATES_PARTS; part++) {
		size_t run;

		while (at < n && part_of(list[at].id) < part)
			at++;
		run = run_of(list, at, n, part);
		if (sums[part] == g->states[part])
			continue;
		if (w.len + WIRE_STATES_LIST_BYTES(run) > FRAME_BYTES_MAX - 1)
			flush(g, s, &w);
		wire_put_states_list(&w, (uint8_t)part, list + at, run);
	}
	flush(g, s, &w);
	wr_free(&w);
}

/* What is known of a member; of this peer itself too. */
static void put_known(struct gossip *g, struct stream *s, struct wr *w, id64 id)
{
	const struct peer *p = member_by_id(g, id);

	if (w->len + 2 * STATEMENT_BYTES_MAX > FRAME_BYTES_MAX - 1)
		flush(g, s, w);
	if (id == g->id)
		wire_put_statement(w, &g->self);
	if (p && p->alive)
		wire_put_statement(w, p->alive);
	if (p && p->contact && p->contact->left)
		wire_put_statement(w, p->contact->left);
}

static void on_list(
        struct gossip *g, struct stream *s, uint8_t part, const struct wire_state *theirs, size_t n_theirs)
{
	struct wire_state *sorted = xmemdup(theirs, n_theirs * sizeof(*theirs)), *own;
	id64 *want = xcalloc(WIRE_STATES_MAX, sizeof(*want));
	size_t n_own, n_want = 0;
	struct wr w;

	if (n_theirs)
		qsort(sorted, n_theirs, sizeof(*sorted), by_state_id);
	own = gather(g, part, &n_own);
	n_own = MIN(n_own, (size_t)WIRE_STATES_MAX);
	wr_init(&w, FRAME_BYTES_MAX - 1);
	for (size_t i = 0; i < n_own; i++) {
		const struct wire_state *t = bsearch(&own[i], sorted, n_theirs, sizeof(*sorted), by_state_id);

		if (!t || t->incarnation < own[i].incarnation)
			put_known(g, s, &w, own[i].id);
	}
	for (size_t i = 0; i < n_theirs; i++) {
		const struct peer *p = member_by_id(g, theirs[i].id);

		/* Who is no member here yet is asked for when its admission is: the sums go on differing. */
		if (p ? p->incarnation < theirs[i].incarnation
		      : theirs[i].id == g->id && g->incarnation < theirs[i].incarnation)
			want[n_want++] = theirs[i].id;
	}
	if (w.len + WIRE_STATES_WANT_BYTES(n_want) > FRAME_BYTES_MAX - 1)
		flush(g, s, &w);
	if (n_want)
		wire_put_states_want(&w, want, n_want);
	flush(g, s, &w);
	wr_free(&w);
	free(own);
	free(want);
	free(sorted);
}

static void on_want(struct gossip *g, struct stream *s, const id64 *ids, size_t n)
{
	struct wr w;

	wr_init(&w, FRAME_BYTES_MAX - 1);
	for (size_t i = 0; i < n; i++)
		put_known(g, s, &w, ids[i]);
	flush(g, s, &w);
	wr_free(&w);
}

/* May p ask for this now? A hostile one could ask without end, and 500 bytes cost us a walk over all members. */
static bool afford(struct gossip *g, struct contact *c, unsigned cost)
{
	int64_t passed = g->now.mono - c->states_asked_at;

	c->states_asked_at = g->now.mono;
	c->states_debt -= (unsigned)MIN(passed * STATES_COST_PER_S / 1000, (int64_t)c->states_debt);
	if (c->states_debt + cost > STATES_COST_MAX)
		return false;
	c->states_debt += cost;
	return true;
}

/* A list that names nobody is answered with all of its part. */
static unsigned cost_of(const struct gossip *g, const struct msg *m)
{
	size_t n = m->len / sizeof(id64);

	if (m->type == MSG_STATES)
		return STATES_COST_SUMS;
	if (m->type == MSG_STATES_LIST)
		n = MAX(m->len / sizeof(struct wire_state), g->n_peers / WIRE_STATES_PARTS);
	return 1 + (unsigned)(n / STATES_COST_ENTRIES);
}

void states_on_message(struct gossip *g, struct stream *s, const struct msg *m)
{
	uint64_t sums[WIRE_STATES_PARTS];
	struct wire_state *list;
	id64 *ids;

	if (!afford(g, contact_of(g, s->peer), cost_of(g, m)))
		return;
	switch (m->type) {
	case MSG_STATES:
		wire_get_states(m, sums);
		on_sums(g, s, sums);
		break;
	case MSG_STATES_LIST:
		list = xcalloc(WIRE_STATES_MAX, sizeof(*list));
		on_list(g, s, m->part, list, wire_get_states_list(m, list));
		free(list);
		break;
	case MSG_STATES_WANT:
		ids = xcalloc(WIRE_STATES_MAX, sizeof(*ids));
		on_want(g, s, ids, wire_get_states_want(m, ids));
		free(ids);
		break;
	default:
		break;
	}
}
