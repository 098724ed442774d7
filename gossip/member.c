#include "gossip/core.h"

/*
 * The order of what is said of a member: (incarnation, severity), severity alive < suspect < dead < left. A
 * member alone raises its incarnation, so an accusation is void as soon as its subject has answered it.
 *
 *	          accused                two accusers, time is up
 *	 alive ------------> suspect --------------------------> dead
 *	   ^                    |                                 |
 *	   +--------------------+---------------------------------+
 *	         alive with a higher incarnation; left: from any state, signed by the member itself
 */

void member_set_state(struct gossip *g, struct peer *p, enum member_state state)
{
	static const char *const names[] = {"alive", "suspect", "dead", "left"};
	enum member_state before = p->state;

	if (before == state)
		return;
	log_info("gossip", "peer %016llx is %s (was %s, incarnation %u.%u)", (unsigned long long)peer_id(p),
	        names[state], names[before], (unsigned)(p->incarnation >> 32), (unsigned)p->incarnation);
	peer_set_state(g, p, state);
	if (state == MEMBER_SUSPECT)
		g->count.suspicions++;
	if (state == MEMBER_DEAD) {
		struct contact *c = contact_of(g, p);

		g->count.deaths++;
		p->reachable = false;
		c->retry_ms = RETRY_MIN_MS;
		c->retry_at = g->now.mono + c->retry_ms;
		g->retry_at = MIN(g->retry_at, c->retry_at);
		stream_close_peer(g, p);
	}
	output_member(g, p);
}

static struct topic topic_of(const struct statement *st)
{
	struct topic t = {{1}};

	memcpy(t.b + 1, &st->subject, 8);
	memcpy(t.b + 9, &st->accuser, 8);
	t.b[17] = (uint8_t)st->type;
	return t;
}

void member_broadcast(struct gossip *g, enum broadcast_class c, const struct statement *st)
{
	uint8_t buf[STATEMENT_BYTES_MAX];
	struct topic t = topic_of(st);
	struct wr w;

	wr_fixed(&w, buf, sizeof(buf));
	wire_put_statement(&w, st);
	broadcast_put(&g->bc, c, &t, st->subject, w.p, w.len, NULL, 0, 0);
	/* Our own word goes out at once. Others' too, when it is quiet; in a storm they travel together. */
	if (st->subject == g->id || st->accuser == g->id)
		spread_soon(g, 0);
	else
		spread_soon(g, MAX(g->spread_last + g->tune->spread - g->now.mono, INT64_C(0)));
}

void member_heard_again(
        struct gossip *g, const struct statement *st, const struct statement *held, const struct peer *from)
{
	struct topic t = topic_of(st);

	if (from && memcmp(st->sig, held->sig, sizeof(st->sig)) == 0)
		broadcast_heard(&g->bc, &t, HEARD_WEIGHT, peer_id(from));
}

bool member_signed(struct gossip *g, const struct statement *st, const struct key32 *signer, struct peer *from)
{
	struct contact *c = from ? contact_of(g, from) : NULL;
	int64_t passed;

	if (c) {
		passed = g->now.mono - c->forged_at;
		if (passed >= FORGED_FORGIVEN_MS)
			c->forged = 0;
		if (c->forged >= FORGED_MAX)
			return false;
	}
	if (statement_verify(st, &g->cfg.flock, signer))
		return true;
	if (c) {
		c->forged++;
		c->forged_at = g->now.mono;
		if (c->forged == FORGED_MAX)
			log_warn("gossip",
			        "peer %016llx passes on statements with wrong signatures: what it says of others is "
			        "not heard for a while",
			        (unsigned long long)peer_id(from));
	}
	return false;
}

static void on_alive(struct gossip *g, struct peer *p, const struct statement *st, struct peer *from)
{
	struct contact *c = p->contact;
	bool moved;

	if (st->incarnation <= p->incarnation && p->alive) {
		if (from == p && c)
			c->stale = st->incarnation < p->incarnation ||
			           memcmp(st->boot_id, p->alive->boot_id, sizeof(st->boot_id)) != 0;
		member_heard_again(g, st, p->alive, from);
		return;
	}
	/* Of one incarnation left is the last word, also where no alive of it has come yet. */
	if (st->incarnation < p->incarnation || (p->state == MEMBER_LEFT && st->incarnation == p->incarnation) ||
	        !member_signed(g, st, &p->key, from))
		return;
	if (st->incarnation >> 32 == p->incarnation >> 32)
		suspicion_refuted(g, p);
	if (c) {
		if (st->incarnation >> 32 != p->incarnation >> 32) {
			c->introduced = 0;
			c->syncs = 0;
			c->states_sent = false;
		}
		c->stale = false;
		contact_set_left(g, c, NULL);
	}
	moved = st->addr.family && (!p->alive || !addr_eq(&p->alive->addr, &st->addr));
	states_incarnation(g, p, st->incarnation);
	peer_set_alive(g, p, st);
	if (moved) {
		/* An address that it proves by using it beats one that it states. */
		if (c && (!c->seal || !c->seal->known || g->now.mono - c->heard > SECONDS(3)))
			c->addr = (struct addr){0};
		output_member(g, p);
	}
	broadcast_drop_subject(&g->bc, peer_id(p));
	member_broadcast(g, BROADCAST_ALIVE, st);
	member_set_state(g, p, MEMBER_ALIVE);
	suspicion_clear(p);
	/* Some say hello at once; in a large flock all would, to each that appears, and each to all. */
	if (!p->reachable && drbg_below(&g->rng, g->n_up) < GREETINGS)
		probe_greet(g, p);
}

static void on_left(struct gossip *g, struct peer *p, const struct statement *st, struct peer *from)
{
	struct contact *c;

	/* A newer one is taken over an older: all must come to hold the same incarnation (states.c). */
	if (st->incarnation < p->incarnation || (p->state == MEMBER_LEFT && st->incarnation == p->incarnation))
		return;
	if (!member_signed(g, st, &p->key, from))
		return;
	c = contact_of(g, p);
	states_incarnation(g, p, st->incarnation);
	contact_set_left(g, c, st);
	broadcast_drop_subject(&g->bc, peer_id(p));
	member_broadcast(g, BROADCAST_LEAVE, st);
	p->reachable = false;
	member_set_state(g, p, MEMBER_LEFT);
	c->retry_ms = RETRY_MIN_MS;
	c->retry_at = g->now.mono + c->retry_ms;
	g->retry_at = MIN(g->retry_at, c->retry_at);
	suspicion_clear(p);
}

void member_on_statement(struct gossip *g, const struct statement *st, struct peer *from)
{
	struct peer *p;

	if (st->subject == g->id) {
		self_on_statement(g, st, from);
		return;
	}
	p = member_by_id(g, st->subject);
	if (!p) {
		early_keep(g, st, from);
		return;
	}
	switch (st->type) {
	case MSG_ALIVE:
		on_alive(g, p, st, from);
		break;
	case MSG_LEFT:
		on_left(g, p, st, from);
		break;
	default:
		/* A higher incarnation than its subject ever signed cannot be refuted, so it is not believed. */
		if (!p->incarnation || st->incarnation != p->incarnation)
			break;
		if (member_up(p))
			suspicion_on_statement(g, p, st, from);
		else if (p->state == MEMBER_DEAD && from && st->type == MSG_DEAD && st->accuser == peer_id(from))
			suspicion_confirm(g, p, from);
		break;
	}
}

void member_heard(struct gossip *g, struct peer *p)
{
	struct contact *c = contact_of(g, p);

	c->heard = g->heard = g->now.mono;
	peer_set_silent(g, p, false);
	if (p->reachable)
		return;
	p->reachable = true;
	c->introduced = MIN(c->introduced, INTRODUCTIONS - 1U);
	output_member(g, p);
	entropy_first_contact(g, p);
}

/* What it should know of itself before it says anything else: Lifeguard's buddy system, and our own for the dead. */
static bool tell_accusations(const struct gossip *g, const struct peer *p)
{
	return p->sus && (p->state == MEMBER_DEAD || (p->state == MEMBER_SUSPECT && part(g, PART_BUDDY)));
}

bool member_has_news(const struct gossip *g, const struct peer *p)
{
	const struct contact *c = p->contact;

	return tell_accusations(g, p) || !c || c->stale || c->introduced < INTRODUCTIONS;
}

void member_tell(struct gossip *g, struct peer *p, struct wr *w)
{
	struct contact *c = contact_of(g, p);

	if (tell_accusations(g, p))
		for (size_t i = 0; i < MIN(p->sus->n, (size_t)2); i++)
			wire_put_statement(w, &p->sus->by[i]);
	if (c->stale && p->alive) {
		wire_put_statement(w, p->alive);
		if (c->left)
			wire_put_statement(w, c->left);
		c->stale = false;
	}
	if (c->introduced < INTRODUCTIONS && g->started) {
		wire_put_statement(w, &g->self);
		c->introduced++;
	}
}

static void put_states(struct wr *w, const struct peer *p)
{
	if (p->alive)
		wire_put_statement(w, p->alive);
	if (p->contact && p->contact->left)
		wire_put_statement(w, p->contact->left);
	for (size_t i = 0; p->sus && i < p->sus->n; i++)
		wire_put_statement(w, &p->sus->by[i]);
}

void member_states(
        struct gossip *g, size_t batch, void (*fn)(struct gossip *, const struct wr *, void *), void *ctx)
{
	struct wr w;

	wr_init(&w, batch);
	wire_put_statement(&w, &g->self);
	for (size_t i = 0; i < g->n_peers; i++) {
		if (w.len + (2 + ACCUSERS_MAX) * STATEMENT_BYTES_MAX > batch) {
			fn(g, &w, ctx);
			wr_reset(&w);
		}
		put_states(&w, g->peers[i]);
	}
	fn(g, &w, ctx);
	wr_free(&w);
}
