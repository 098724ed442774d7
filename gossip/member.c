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

struct peer *member_by_id(const struct gossip *g, id64 id)
{
	return map_get(&g->by_id, &id);
}

size_t members_up(const struct gossip *g)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n_peers; i++)
		n += member_up(g->peers[i]);
	return n;
}

size_t member_pick(struct gossip *g, struct peer **out, size_t k, const struct peer *except, bool reachable_only)
{
	size_t seen = 0;

	/* Reservoir sampling (Vitter's algorithm R). */
	for (size_t i = 0; i < g->n_peers; i++) {
		struct peer *p = g->peers[i];
		size_t at;

		if (p == except || !member_up(p) || (reachable_only && !p->reachable))
			continue;
		at = seen < k ? seen : drbg_below(&g->rng, seen + 1);
		if (at < k)
			out[at] = p;
		seen++;
	}
	return MIN(seen, k);
}

void member_set_state(struct gossip *g, struct peer *p, enum member_state state)
{
	static const char *const names[] = {"alive", "suspect", "dead", "left"};
	enum member_state before = p->state;

	if (before == state)
		return;
	log_info("gossip", "peer %016llx is %s (was %s, incarnation %u.%u)", (unsigned long long)p->id,
	        names[state], names[before], (unsigned)(p->incarnation >> 32), (unsigned)p->incarnation);
	p->state = state;
	p->since = g->now.mono;
	if (state == MEMBER_ALIVE) {
		p->suspected = 0;
		p->silent = false;
	} else if (!p->suspected) {
		p->suspected = g->now.mono;
	}
	if (state == MEMBER_SUSPECT)
		g->count.suspicions++;
	if (state == MEMBER_DEAD) {
		g->count.deaths++;
		p->reachable = false;
		p->retry_ms = RETRY_MIN_MS;
		p->retry_at = g->now.mono + p->retry_ms;
		g->retry_at = MIN(g->retry_at, p->retry_at);
		stream_close_peer(g, p);
	}
	output_member(g, &p->key);
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
	spread_soon(g, 0);
}

void member_sign_self(struct gossip *g, enum msg_type type)
{
	g->self = (struct statement){
	        .type = type, .subject = g->id, .incarnation = g->incarnation, .addr = g->cfg.advertise};
	memcpy(g->self.boot_id, g->cfg.boot_id, sizeof(g->self.boot_id));
	statement_sign(&g->self, &g->cfg.flock, g->cfg.secret);
}

void member_announce_self(struct gossip *g, enum broadcast_class c)
{
	broadcast_drop_subject(&g->bc, g->id);
	member_broadcast(g, c, &g->self);
	output_member(g, &g->key);
}

void member_own_newer(struct gossip *g, uint32_t boot, const uint8_t boot_id[16])
{
	/* A restored disk is overtaken once. If the other goes on, two machines run: the lower boot id gives way. */
	if (boot_id && g->adopted_newer && memcmp(g->cfg.boot_id, boot_id, sizeof(g->cfg.boot_id)) < 0) {
		if (!g->fenced)
			output_new(g, GOSSIP_FENCED, 0)->action.text =
			        "another machine runs with this peer's key: stop one of them, erase its data folder "
			        "and join it again with a token";
		g->fenced = true;
		return;
	}
	g->adopted_newer = true;
	g->cfg.boot = boot + 1;
	g->incarnation = (uint64_t)g->cfg.boot << 32 | 1;
	g->record_n = 0;
	log_warn("gossip", "a newer run of this peer is known to others (restored disk?): boot count is now %u",
	        g->cfg.boot);
	output_new(g, GOSSIP_BOOT, 0)->action.ticket = g->cfg.boot;
	member_sign_self(g, MSG_ALIVE);
	member_announce_self(g, BROADCAST_REFUTE);
}

static void on_self(struct gossip *g, const struct statement *st, struct peer *from)
{
	const struct peer *accuser;

	if (g->leaving || st->type == MSG_LEFT)
		return;
	if (st->type == MSG_ALIVE) {
		if (st->incarnation > g->incarnation && statement_verify(st, &g->cfg.flock, &g->key))
			member_own_newer(g, (uint32_t)(st->incarnation >> 32), st->boot_id);
		return;
	}
	if (st->incarnation < g->incarnation && from) {
		/* Refuted already, and it has not heard: it shall hear now. */
		from->introduced = 0;
		return;
	}
	accuser = member_by_id(g, st->accuser);
	if (st->incarnation != g->incarnation || !accuser || !statement_verify(st, &g->cfg.flock, &accuser->key))
		return;
	g->incarnation++;
	g->count.refutes++;
	log_info("gossip", "refuted a suspicion by peer %016llx", (unsigned long long)st->accuser);
	member_sign_self(g, MSG_ALIVE);
	member_announce_self(g, BROADCAST_REFUTE);
	health_bad(g);
	if (from)
		from->introduced = 0;
}

static void on_alive(struct gossip *g, struct peer *p, const struct statement *st, const struct peer *from)
{
	if (st->incarnation <= p->incarnation) {
		p->stale = from == p && st->incarnation < p->incarnation;
		return;
	}
	if (!statement_verify(st, &g->cfg.flock, &p->key))
		return;
	if (st->incarnation >> 32 != p->incarnation >> 32) {
		p->introduced = 0;
		p->syncs = 0;
		p->states_sent = false;
	}
	p->incarnation = st->incarnation;
	p->alive = *st;
	p->has_alive = true;
	p->has_left = p->stale = false;
	if (st->addr.family && !addr_eq(&p->advertised, &st->addr)) {
		p->advertised = st->addr;
		/* An address that it proves by using it beats one that it states. */
		if (!p->seal.known || g->now.mono - p->heard > SECONDS(3))
			p->addr = st->addr;
		output_member(g, &p->key);
	}
	suspicion_clear(p);
	broadcast_drop_subject(&g->bc, p->id);
	member_broadcast(g, BROADCAST_ALIVE, st);
	member_set_state(g, p, MEMBER_ALIVE);
	if (!p->reachable)
		probe_greet(g, p);
}

static void on_left(struct gossip *g, struct peer *p, const struct statement *st)
{
	if (st->incarnation < p->incarnation || p->state == MEMBER_LEFT)
		return;
	if (!statement_verify(st, &g->cfg.flock, &p->key))
		return;
	p->incarnation = st->incarnation;
	p->left = *st;
	p->has_left = true;
	suspicion_clear(p);
	broadcast_drop_subject(&g->bc, p->id);
	member_broadcast(g, BROADCAST_LEAVE, st);
	p->reachable = false;
	member_set_state(g, p, MEMBER_LEFT);
}

void member_on_statement(struct gossip *g, const struct statement *st, struct peer *from)
{
	struct peer *p;

	if (st->subject == g->id) {
		on_self(g, st, from);
		return;
	}
	p = member_by_id(g, st->subject);
	if (!p)
		return;
	switch (st->type) {
	case MSG_ALIVE:
		on_alive(g, p, st, from);
		break;
	case MSG_LEFT:
		on_left(g, p, st);
		break;
	default:
		/* A higher incarnation than its subject ever signed cannot be refuted, so it is not believed. */
		if (p->incarnation && st->incarnation == p->incarnation && member_up(p))
			suspicion_on_statement(g, p, st);
		break;
	}
}

void member_heard(struct gossip *g, struct peer *p)
{
	p->heard = g->heard = g->now.mono;
	p->silent = false;
	if (p->reachable)
		return;
	p->reachable = true;
	p->introduced = 0;
	output_member(g, &p->key);
	entropy_first_contact(g, p);
}

bool member_has_news(const struct peer *p)
{
	return p->state == MEMBER_SUSPECT || p->state == MEMBER_DEAD || p->stale || p->introduced < INTRODUCTIONS;
}

void member_tell(struct gossip *g, struct peer *p, struct wr *w)
{
	if (p->state == MEMBER_SUSPECT || p->state == MEMBER_DEAD)
		for (size_t i = 0; i < MIN(p->sus.n, (size_t)2); i++) {
			const struct accusation *a = &p->sus.by[i];

			wire_put_statement(w, a->has_dead ? &a->dead : &a->suspect);
		}
	if (p->stale && p->has_alive) {
		wire_put_statement(w, &p->alive);
		p->stale = false;
	}
	if (p->introduced < INTRODUCTIONS && g->started) {
		wire_put_statement(w, &g->self);
		p->introduced++;
	}
}

static void put_states(struct wr *w, const struct peer *p)
{
	if (p->has_alive)
		wire_put_statement(w, &p->alive);
	if (p->has_left)
		wire_put_statement(w, &p->left);
	for (size_t i = 0; i < p->sus.n; i++) {
		const struct accusation *a = &p->sus.by[i];

		if (a->has_dead)
			wire_put_statement(w, &a->dead);
		else if (a->has_suspect)
			wire_put_statement(w, &a->suspect);
	}
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

static void add(struct gossip *g, const struct key32 *key)
{
	struct peer *p = xcalloc(1, sizeof(*p));

	p->key = *key;
	p->id = key32_id(key);
	p->index = g->n_peers;
	p->admitted = true;
	/* Nothing is known of it yet: it is not counted on until it is heard. */
	p->state = MEMBER_DEAD;
	p->since = p->suspected = g->now.mono;
	p->retry_ms = RETRY_MIN_MS / 2;
	p->retry_at = g->now.mono;
	g->retry_at = MIN(g->retry_at, p->retry_at);
	seal_peer_init(&p->seal, key);
	for (size_t i = 0; i < g->n_hints; i++)
		if (key32_eq(&g->hints[i].key, key))
			p->addr = g->hints[i].addr;
	if (g->n_peers == g->cap_peers) {
		g->cap_peers = MAX(g->cap_peers * 2, (size_t)16);
		g->peers = xrealloc(g->peers, g->cap_peers * sizeof(*g->peers));
	}
	g->peers[g->n_peers++] = p;
	map_put(&g->by_id, &p->id, p);
	output_member(g, key);
}

void member_free(struct peer *p)
{
	seal_peer_free(&p->seal);
	free(p);
}

/* Our last word to it: the record that put it out, so that it learns of it and stops. */
static void tell_evicted(struct gossip *g, struct peer *p)
{
	struct stream *st = stream_open_to(g, p);
	struct key32 id;
	const struct stored *s = trust_eviction(g->trust, &p->key, &id) ? store_get(g->store, &id) : NULL;
	uint8_t buf[PAYLOAD_BYTES_MAX];
	struct wr w;

	if (!s)
		return;
	if (st)
		stream_record(g, st, s->bytes, s->len, false);
	wr_fixed(&w, buf, sizeof(buf));
	wire_put_record(&w, s->bytes, s->len);
	/* A long one it hears of when it opens a stream: gossip_turn_away(). */
	if (wr_ok(&w) && p->addr.family)
		packet_send(g, p, &w);
}

static void evict(struct gossip *g, struct peer *p)
{
	struct peer *last = g->peers[--g->n_peers];

	log_info("gossip", "peer %016llx is no longer admitted", (unsigned long long)p->id);
	tell_evicted(g, p);
	stream_close_peer(g, p);
	probe_forget(g, p);
	broadcast_drop_subject(&g->bc, p->id);
	store_drop_author_volatile(g->store, &p->key);
	map_del(&g->by_id, &p->id);
	g->peers[p->index] = last;
	last->index = p->index;
	output_member(g, &p->key);
	member_free(p);
}

void member_refresh(struct gossip *g)
{
	size_t n = trust_peers(g->trust, NULL, 0);
	cleanup_free struct key32 *keys = xcalloc(MAX(n, (size_t)1), sizeof(*keys));

	n = MIN(n, trust_peers(g->trust, keys, n));
	for (size_t i = 0; i < g->n_peers; i++)
		g->peers[i]->admitted = false;
	for (size_t i = 0; i < n; i++) {
		struct peer *p = member_by_id(g, key32_id(&keys[i]));

		if (p)
			p->admitted = key32_eq(&p->key, &keys[i]);
		else if (!key32_eq(&keys[i], &g->key) && g->n_peers < MEMBERS_MAX)
			add(g, &keys[i]);
	}
	for (size_t i = g->n_peers; i-- > 0;)
		if (!g->peers[i]->admitted)
			evict(g, g->peers[i]);
}
