#include "gossip/core.h"

/*
 * An operator's record: checked, written here, pushed to two more peers, and accepted once their disks have it too
 * (DESIGN promise 2). A ticket stands for the operator who waits.
 */

/* Copies wanted of an operator's record before it counts as accepted without a warning. */
#define COPIES_WANTED 3
/* The operator waits no longer than this for others' disks, unless told to. */
#define ACCEPT_MS SECONDS(2)
/* A peer that has not confirmed by then (slow or full disk, lost link) is not given up, but one more is asked. */
#define HEDGE_MS 300
/* Peers asked so beyond the copies wanted: by then the trouble is not theirs. */
#define HEDGES_MAX 6
/* A peer whose stream broke, or whose disk refused, is asked again after this long while copies are missing. */
#define ASK_AGAIN_MS SECONDS(1)

/* Has it ever run? A peer that joined and was never started has no address that anybody knows; one that is down has. */
static bool has_run(const struct peer *p)
{
	return p->incarnation || peer_addr(p).family;
}

/* Others that can be expected to keep a copy. */
static size_t keepers(const struct gossip *g)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n_peers; i++)
		n += g->peers[i]->state != MEMBER_LEFT && has_run(g->peers[i]);
	return n;
}

static struct copy *copy_of(struct ticket *t, id64 peer)
{
	for (size_t i = 0; i < t->n_copies; i++)
		if (t->copy[i].peer == peer)
			return &t->copy[i];
	return NULL;
}

static unsigned count(const struct ticket *t, enum copy_state state)
{
	unsigned n = 0;

	for (size_t i = 0; i < t->n_copies; i++)
		n += t->copy[i].state == state;
	return n;
}

/* This peer's own, and one for each other that has confirmed: whoever confirms twice is one entry. */
static unsigned copies(const struct ticket *t)
{
	return t->stored ? 1 + count(t, COPY_STORED) : 0;
}

static enum gossip_missing_why why_missing(const struct copy *c)
{
	if (!c || c->state == COPY_GONE)
		return MISSING_UNREACHABLE;
	return c->state == COPY_REFUSED ? MISSING_REFUSED : MISSING_SILENT;
}

/* Who was to keep a copy and has not confirmed: those that were asked first, then those that could not be. */
static size_t list_missing(struct gossip *g, struct ticket *t, struct gossip_missing out[GOSSIP_MISSING_MAX])
{
	size_t n = 0;

	for (int asked = 1; asked >= 0; asked--)
		for (size_t i = 0; i < g->n_peers; i++) {
			const struct peer *p = g->peers[i];
			const struct copy *c = copy_of(t, peer_id(p));

			if (p->state == MEMBER_LEFT || !has_run(p) || (c != NULL) != asked ||
			        (c && c->state == COPY_STORED))
				continue;
			if (n < GOSSIP_MISSING_MAX)
				out[n] = (struct gossip_missing){.peer = p->key, .why = (uint8_t)why_missing(c)};
			n++;
		}
	return n;
}

static void accept(struct gossip *g, struct ticket *t)
{
	struct gossip_missing missing[GOSSIP_MISSING_MAX];
	bool enough = !t->stored || copies(t) >= t->wanted;
	size_t n = enough ? 0 : list_missing(g, t, missing);
	size_t told = MIN(n, ARRAY_LEN(missing));
	struct out *o = output_new(g, GOSSIP_ACCEPTED, told * sizeof(missing[0]));

	if (told)
		memcpy(o->bytes, missing, told * sizeof(missing[0]));
	o->action.missing = (const struct gossip_missing *)o->bytes;
	o->action.n_missing = told;
	o->action.more_missing = (unsigned)(n - told);
	o->action.ticket = t->ticket;
	o->action.id = t->id;
	o->action.copies = copies(t);
	o->action.wanted = t->wanted;
	list_remove(&t->at);
	free(t);
}

/* May this peer be asked for a copy now? */
static bool may_ask(struct gossip *g, struct ticket *t, const struct peer *p)
{
	const struct copy *c = copy_of(t, peer_id(p));

	/* A mere suspect will do: others accuse it, but it spoke when we last probed it. */
	if (!p->reachable || !member_up(p) || p->silent)
		return false;
	if (!c)
		return t->n_copies < ARRAY_LEN(t->copy);
	return (c->state == COPY_GONE || c->state == COPY_REFUSED) && g->now.mono >= c->again_at;
}

/* Whom to ask next: rather one that was not asked yet, and rather one that a stream is open to. */
static struct peer *next_copy(struct gossip *g, struct ticket *t)
{
	struct peer *best = NULL;
	uint64_t best_rank = 0;

	for (size_t i = 0; i < g->n_contacts; i++) {
		struct peer *p = g->contacts[i]->peer;
		uint64_t rank = drbg_u64(&g->rng) >> 2;

		if (!may_ask(g, t, p))
			continue;
		if (!copy_of(t, peer_id(p)))
			rank |= UINT64_C(1) << 63;
		if (stream_open_to(g, p))
			rank |= UINT64_C(1) << 62;
		if (!best || rank > best_rank) {
			best = p;
			best_rank = rank;
		}
	}
	return best;
}

/* Hands p a copy to keep; false: no stream can be had now. */
static void ask(struct gossip *g, struct ticket *t, struct peer *p, const struct stored *s)
{
	struct stream *st = stream_to(g, p);
	struct copy *c = copy_of(t, peer_id(p)); /* after it: opening one may close another */

	if (!c) {
		c = &t->copy[t->n_copies++];
		c->peer = peer_id(p);
	}
	c->again_at = g->now.mono + ASK_AGAIN_MS;
	c->state = st ? COPY_ASKED : COPY_GONE;
	c->stream = st ? st->id : 0;
	if (st)
		stream_record(g, st, s->bytes, s->len, true);
}

/* Asks as many others as copies are missing; accepts when all are there, or nobody is left to ask. */
static void push_more(struct gossip *g, struct ticket *t)
{
	const struct stored *s = store_get(g->store, &t->id);

	while (s && copies(t) + count(t, COPY_ASKED) < t->wanted + t->hedges) {
		struct peer *p = next_copy(g, t);

		if (!p)
			break;
		ask(g, t, p, s);
	}
	if (copies(t) >= t->wanted || (!t->patient && !count(t, COPY_ASKED)))
		accept(g, t);
}

bool ticket_waits(const struct gossip *g, const struct key32 *id)
{
	list_each (&g->tickets, i)
		if (key32_eq(&list_entry(i, struct ticket, at)->id, id))
			return true;
	return false;
}

void ticket_stored(struct gossip *g, const struct key32 *id)
{
	list_each (&g->tickets, i) {
		struct ticket *t = list_entry(i, struct ticket, at);

		if (t->stored || !key32_eq(&t->id, id))
			continue;
		t->stored = true;
		t->hedge_at = g->now.mono + HEDGE_MS;
		push_more(g, t);
	}
}

void ticket_failed(struct gossip *g, const struct key32 *id)
{
	list_each (&g->tickets, i) {
		struct ticket *t = list_entry(i, struct ticket, at);

		if (!t->stored && key32_eq(&t->id, id))
			accept(g, t);
	}
}

/* What a peer that was asked says of its copy. Only the first word on an asking counts. */
static void answered(struct gossip *g, const struct stream *s, const struct key32 *id, enum copy_state state)
{
	list_each (&g->tickets, i) {
		struct ticket *t = list_entry(i, struct ticket, at);
		struct copy *c = key32_eq(&t->id, id) ? copy_of(t, peer_id(s->peer)) : NULL;

		if (!c || c->state == COPY_STORED)
			continue;
		c->state = state;
		c->again_at = g->now.mono + ASK_AGAIN_MS;
		push_more(g, t);
	}
}

void ticket_on_stored(struct gossip *g, const struct stream *s, const struct key32 *id)
{
	answered(g, s, id, COPY_STORED);
}

void ticket_on_refused(struct gossip *g, const struct stream *s, const struct key32 *id)
{
	answered(g, s, id, COPY_REFUSED);
}

bool ticket_asked_over(const struct gossip *g, const struct stream *s)
{
	list_each (&g->tickets, i) {
		struct copy *c = copy_of(list_entry(i, struct ticket, at), peer_id(s->peer));

		if (c && c->state == COPY_ASKED && c->stream == s->id)
			return true;
	}
	return false;
}

void ticket_stream_gone(struct gossip *g, const struct stream *s)
{
	list_each (&g->tickets, i) {
		struct ticket *t = list_entry(i, struct ticket, at);
		struct copy *c = copy_of(t, peer_id(s->peer));

		if (!c || c->state != COPY_ASKED || c->stream != s->id)
			continue;
		c->state = COPY_GONE;
		/* Streams break for small reasons (both sides closed it as idle): at once again, but only once. */
		c->again_at = g->now.mono + (c->broke ? ASK_AGAIN_MS : 0);
		c->broke = true;
		push_more(g, t);
	}
}

void ticket_tick(struct gossip *g)
{
	list_each (&g->tickets, i) {
		struct ticket *t = list_entry(i, struct ticket, at);

		if (!t->stored)
			continue;
		if (g->now.mono >= t->end_at) {
			accept(g, t);
		} else if (g->now.mono >= t->hedge_at) {
			t->hedge_at = g->now.mono + HEDGE_MS;
			t->hedges = MIN(t->hedges + 1, (unsigned)HEDGES_MAX);
			push_more(g, t);
		}
	}
}

mono_ms ticket_wake(const struct gossip *g)
{
	mono_ms at = MONO_NEVER;

	list_each (&g->tickets, i) {
		const struct ticket *t = list_entry(i, struct ticket, at);

		if (t->stored)
			at = MIN(at, MIN(t->end_at, t->hedge_at));
	}
	return at;
}

static int may_submit(struct gossip *g, const struct record *r, struct err *err)
{
	if (record_is_volatile(r->kind))
		return err_set(err, ERR_USAGE, "kind %u is written by peers about themselves, not by operators",
		        r->kind);
	if (!record_verify(r, &g->cfg.flock))
		return err_set(err, ERR_UNAUTHORISED, "its signature is wrong, or made for another flock");
	if (trust_may_write(g->trust, r, err) < 0)
		return -1;
	if (r->kind != REC_REVISION)
		return 0;
	for (size_t i = 0; i < r->n_parents; i++) {
		const struct stored *s = store_get(g->store, &r->parents[i]);

		if (!s)
			return err_set(err, ERR_FAILED,
			        "stack %s: this peer does not know the revision that it replaces yet; try again",
			        r->name);
		if (s->rec.kind != REC_REVISION || strcmp(s->rec.name, r->name) != 0)
			return err_set(
			        err, ERR_USAGE, "stack %s: it replaces a revision of another stack", r->name);
	}
	return 0;
}

int gossip_submit_wanting(struct gossip *g, const uint8_t *bytes, size_t len, uint64_t ticket, unsigned wanted,
        int64_t wait_ms, struct now now, struct err *err)
{
	size_t there = keepers(g) + 1;
	struct record r;
	struct key32 id;
	struct ticket *t;
	enum store_verdict v;

	core_enter(g, now);
	if (record_decode(&r, bytes, len, err) < 0 || may_submit(g, &r, err) < 0)
		return err_wrap(err, "record refused");
	if (wanted > GOSSIP_COPIES_MAX || wanted > there)
		return err_set(err, ERR_USAGE,
		        "%u copies cannot be had: %zu of the flock's peers have ever run, and at most %d can be waited for; "
		        "nothing was written",
		        wanted, there, GOSSIP_COPIES_MAX);
	v = store_put_verified(g->store, bytes, len, false, &id, err); /* by may_submit() */
	if (v == STORE_BAD || v == STORE_FULL)
		return err_wrap(err, "record refused");
	if (v == STORE_OLD)
		return err_set(err, ERR_FAILED, "record refused: a newer one of its name is here already");
	hlc_seen(&g->hlc, r.stamp, g->now.wall);
	t = xcalloc(1, sizeof(*t));
	t->ticket = ticket;
	t->id = id;
	t->patient = wanted > 0;
	t->wanted = wanted ? wanted : (unsigned)MIN(there, (size_t)COPIES_WANTED);
	t->end_at = g->now.mono + (wanted ? wait_ms : ACCEPT_MS);
	list_push_back(&g->tickets, &t->at);
	if (v != STORE_KNOWN)
		record_persist(g, store_get(g->store, &id));
	else if (!map_get(&g->pending, &id))
		ticket_stored(g, &id);
	return 0;
}

int gossip_submit(
        struct gossip *g, const uint8_t *bytes, size_t len, uint64_t ticket, struct now now, struct err *err)
{
	return gossip_submit_wanting(g, bytes, len, ticket, 0, 0, now, err);
}
