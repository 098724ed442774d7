#include "gossip/core.h"

/*
 * An operator's record: checked, written here, pushed to two more peers, and accepted once their disks have it too
 * (DESIGN promise 2). A ticket stands for the operator who waits.
 */

/* Copies wanted of an operator's record before it counts as accepted without a warning. */
#define COPIES_WANTED 3
/* The operator waits no longer than this for others' disks. */
#define ACCEPT_MS SECONDS(2)
/* A peer that has not confirmed by then (slow or full disk, lost link) is not given up, but one more is asked. */
#define HEDGE_MS 300

static void accept(struct gossip *g, struct ticket *t, const char *text)
{
	struct out *o = output_new(g, GOSSIP_ACCEPTED, 0);

	o->action.ticket = t->ticket;
	o->action.id = t->id;
	o->action.copies = t->copies;
	o->action.wanted = t->wanted;
	o->action.text = text;
	list_remove(&t->at);
	free(t);
}

static bool tried(const struct ticket *t, id64 id)
{
	for (size_t i = 0; i < t->n_tried; i++)
		if (t->tried[i] == id)
			return true;
	return false;
}

/* Whom to ask next: rather one that a stream is open to. */
static struct peer *next_copy(struct gossip *g, const struct ticket *t)
{
	struct peer *best = NULL;
	uint64_t best_rank = 0;

	for (size_t i = 0; i < g->n_contacts; i++) {
		struct peer *p = g->contacts[i]->peer;
		uint64_t rank = drbg_u64(&g->rng) >> 1;

		if (!p->reachable || p->state != MEMBER_ALIVE || tried(t, peer_id(p)))
			continue;
		if (stream_open_to(g, p))
			rank |= UINT64_C(1) << 63;
		if (!best || rank > best_rank) {
			best = p;
			best_rank = rank;
		}
	}
	return best;
}

/* Asks as many others as copies are missing; accepts when all are there or nobody is left to ask. */
static void push_more(struct gossip *g, struct ticket *t)
{
	const struct stored *s = store_get(g->store, &t->id);

	while (s && t->copies + t->n_pushes < t->wanted + t->hedges && t->n_tried < ARRAY_LEN(t->tried)) {
		struct peer *p = next_copy(g, t);
		struct stream *st;

		if (!p)
			break;
		t->tried[t->n_tried++] = peer_id(p);
		st = stream_to(g, p);
		if (!st)
			continue;
		t->pushes[t->n_pushes++] = st->id;
		stream_record(g, st, s->bytes, s->len, true);
	}
	if (!t->n_pushes || t->copies >= t->wanted)
		accept(g, t, t->copies < t->wanted ? "no other peer could be reached" : NULL);
}

void ticket_stored(struct gossip *g, const struct key32 *id)
{
	list_each (&g->tickets, i) {
		struct ticket *t = list_entry(i, struct ticket, at);

		if (t->stored || !key32_eq(&t->id, id))
			continue;
		t->stored = true;
		t->copies = 1;
		t->hedge_at = g->now.mono + HEDGE_MS;
		push_more(g, t);
	}
}

void ticket_failed(struct gossip *g, const struct key32 *id)
{
	list_each (&g->tickets, i) {
		struct ticket *t = list_entry(i, struct ticket, at);

		if (!t->stored && key32_eq(&t->id, id))
			accept(g, t, "this peer could not write it to its disk");
	}
}

void ticket_on_stored(struct gossip *g, const struct stream *s, const struct key32 *id)
{
	list_each (&g->tickets, i) {
		struct ticket *t = list_entry(i, struct ticket, at);

		if (!key32_eq(&t->id, id))
			continue;
		for (size_t k = 0; k < t->n_pushes; k++)
			if (t->pushes[k] == s->id) {
				t->pushes[k] = t->pushes[--t->n_pushes];
				t->copies++;
				push_more(g, t);
				break;
			}
	}
}

void ticket_stream_gone(struct gossip *g, const struct stream *s)
{
	list_each (&g->tickets, i) {
		struct ticket *t = list_entry(i, struct ticket, at);

		for (size_t k = 0; k < t->n_pushes; k++)
			if (t->pushes[k] == s->id) {
				t->pushes[k] = t->pushes[--t->n_pushes];
				push_more(g, t);
				break;
			}
	}
}

void ticket_tick(struct gossip *g)
{
	list_each (&g->tickets, i) {
		struct ticket *t = list_entry(i, struct ticket, at);

		if (!t->stored)
			continue;
		if (g->now.mono >= t->end_at) {
			accept(g, t, "other peers did not confirm in time");
		} else if (g->now.mono >= t->hedge_at) {
			t->hedge_at = g->now.mono + HEDGE_MS;
			t->hedges++;
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

int gossip_submit(
        struct gossip *g, const uint8_t *bytes, size_t len, uint64_t ticket, struct now now, struct err *err)
{
	struct record r;
	struct key32 id;
	struct ticket *t;
	enum store_verdict v;
	size_t others = 0;

	core_enter(g, now);
	if (record_decode(&r, bytes, len, err) < 0 || may_submit(g, &r, err) < 0)
		return err_wrap(err, "record refused");
	v = store_put(g->store, bytes, len, false, &id, err);
	if (v == STORE_BAD || v == STORE_FULL)
		return err_wrap(err, "record refused");
	if (v == STORE_OLD)
		return err_set(err, ERR_FAILED, "record refused: a newer one of its name is here already");
	hlc_seen(&g->hlc, r.stamp, g->now.wall);
	for (size_t i = 0; i < g->n_peers; i++)
		others += g->peers[i]->state != MEMBER_LEFT;
	t = xcalloc(1, sizeof(*t));
	t->ticket = ticket;
	t->id = id;
	t->wanted = (unsigned)MIN(others + 1, (size_t)COPIES_WANTED);
	t->end_at = g->now.mono + ACCEPT_MS;
	list_push_back(&g->tickets, &t->at);
	if (v != STORE_KNOWN)
		record_persist(g, store_get(g->store, &id));
	else if (!map_get(&g->pending, &id))
		ticket_stored(g, &id);
	return 0;
}
