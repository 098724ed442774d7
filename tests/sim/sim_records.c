/* What peers know, and what stories make them write. */
#include "tests/sim/sim_core.h"

#include "gossip/core.h"

void sim_admit(struct sim *s, unsigned at, unsigned newcomer)
{
	const struct wr *w = &s->trust[2 + newcomer];
	struct err err;

	if (gossip_submit(sim_agent(s, at), w->p, w->len, ++s->tickets, sim_peer_now(s, at), &err) < 0)
		sim_fail(s, __FILE__, __LINE__, err.text);
	sim_drain(s, at);
}

void sim_evict(struct sim *s, unsigned at, unsigned peer)
{
	struct gossip *g = sim_agent(s, at);
	struct key32 admin, prev[RECORD_REFS_MAX];
	struct now now = sim_peer_now(s, at);
	struct err err;
	struct wr w;
	size_t n;

	memcpy(admin.b, s->admin + 32, 32);
	n = store_author_heads(gossip_store(g), &admin, prev);
	wr_init(&w, RECORD_BYTES_MAX);
	trust_make_eviction(
	        &w, &s->flock, &s->peer[peer].key, NULL, 0, gossip_stamp(g, now.wall), prev, n, s->admin);
	if (gossip_submit(g, w.p, w.len, ++s->tickets, now, &err) < 0)
		sim_fail(s, __FILE__, __LINE__, err.text);
	wr_free(&w);
	sim_drain(s, at);
}

bool sim_submit_as(struct sim *s, unsigned peer, struct record *r, const uint8_t secret[64], uint64_t *ticket,
        struct err *err)
{
	struct gossip *g = sim_agent(s, peer);
	struct key32 author, prev[RECORD_REFS_MAX];
	struct wr w;
	bool ok;

	memcpy(author.b, secret + 32, 32);
	r->version = RECORD_VERSION;
	r->name_len = (uint8_t)strlen(r->name);
	if (!r->n_prev) {
		r->n_prev = (uint8_t)store_author_heads(gossip_store(g), &author, prev);
		r->prev = prev;
	}
	if (!r->stamp)
		r->stamp = gossip_stamp(g, sim_peer_now(s, peer).wall);
	record_sign(r, &s->flock, secret);
	wr_init(&w, RECORD_BYTES_MAX);
	record_encode(&w, r);
	*ticket = ++s->tickets;
	ok = gossip_submit(g, w.p, w.len, *ticket, sim_peer_now(s, peer), err) == 0;
	wr_free(&w);
	sim_drain(s, peer);
	return ok;
}

bool sim_submit_body(struct sim *s, unsigned peer, const char *stack, const uint8_t *body, size_t len,
        struct key32 *id, uint64_t *ticket, struct err *err)
{
	struct gossip *g = sim_agent(s, peer);
	struct record r = {.kind = REC_REVISION};
	struct stack_heads heads;
	struct key32 parents[STACK_HEADS_MAX];
	bool ok;

	snprintf(r.name, sizeof(r.name), "%s", stack);
	if (body) {
		r.body = body;
		r.body_len = (uint32_t)len;
	} else {
		r.flags = RECORD_FLAG_REMOVAL;
	}
	store_stack_heads(gossip_store(g), r.name, NULL, NULL, &heads);
	for (size_t i = 0; i < heads.n; i++)
		parents[i] = heads.head[i]->rec.id;
	r.n_parents = (uint8_t)heads.n;
	r.parents = parents;
	ok = sim_submit_as(s, peer, &r, s->admin, ticket, err);
	*id = r.id;
	return ok;
}

bool sim_try_submit(struct sim *s, unsigned peer, const char *stack, const char *body, struct key32 *id,
        uint64_t *ticket, struct err *err)
{
	return sim_submit_body(
	        s, peer, stack, (const uint8_t *)body, body ? strlen(body) + 1 : 0, id, ticket, err);
}

struct key32 sim_submit(struct sim *s, unsigned peer, const char *stack, const char *body, uint64_t *ticket)
{
	struct key32 id;
	struct err err;

	if (!sim_try_submit(s, peer, stack, body, &id, ticket, &err))
		sim_fail(s, __FILE__, __LINE__, err.text);
	return id;
}

struct key32 sim_remove(struct sim *s, unsigned peer, const char *stack, uint64_t *ticket)
{
	return sim_submit(s, peer, stack, NULL, ticket);
}

bool sim_has(const struct sim *s, unsigned peer, const struct key32 *id)
{
	const struct stored *r = store_get(gossip_store(sim_agent(s, peer)), id);

	return r && r->on_disk;
}

bool sim_all_have(const struct sim *s, const struct key32 *id)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->peer[i].gossip && !sim_has(s, i, id))
			return false;
	return true;
}

static bool counts(const struct stored *st, void *trust)
{
	return trust_valid(trust, st);
}

const char *sim_stack(const struct sim *s, unsigned peer, const char *stack)
{
	struct gossip *g = sim_agent(s, peer);
	struct stack_heads heads;

	store_stack_heads(g->store, stack, counts, g->trust, &heads);
	if (!heads.n || heads.head[0]->rec.flags & RECORD_FLAG_REMOVAL)
		return NULL;
	return (const char *)heads.head[0]->rec.body;
}

bool sim_accepted(const struct sim *s, uint64_t ticket, unsigned *copies, unsigned *wanted)
{
	uintptr_t v = (uintptr_t)map_get(&s->accepted, &ticket);

	*copies = v >> 8 & 0xff;
	*wanted = v & 0xff;
	return v != 0;
}

void sim_publish(struct sim *s, unsigned peer, const char *page, const char *body)
{
	gossip_publish(sim_agent(s, peer), REC_STATUS, page, (const uint8_t *)body, strlen(body) + 1,
	        sim_peer_now(s, peer));
	sim_drain(s, peer);
}

bool sim_page_is(const struct sim *s, unsigned viewer, unsigned owner, const char *page, const char *body)
{
	const struct stored *r =
	        store_page(gossip_store(sim_agent(s, viewer)), REC_STATUS, &s->peer[owner].key, page);

	return r && r->rec.body && strcmp((const char *)r->rec.body, body) == 0;
}

bool sim_all_see_page(const struct sim *s, unsigned owner, const char *page, const char *body)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->peer[i].gossip && !sim_page_is(s, i, owner, page, body))
			return false;
	return true;
}

bool sim_digests_equal(const struct sim *s)
{
	struct digest first[2] = {{.count = 0}};
	bool any = false;

	for (unsigned i = 0; i < s->n; i++) {
		struct digest d[2];

		if (!s->peer[i].gossip)
			continue;
		for (int v = 0; v < 2; v++)
			d[v] = store_digest(gossip_store(s->peer[i].gossip), v);
		if (any && (!key32_eq(&d[0].root, &first[0].root) || !key32_eq(&d[1].root, &first[1].root)))
			return false;
		first[0] = d[0];
		first[1] = d[1];
		any = true;
	}
	return true;
}

bool sim_all_quiet(const struct sim *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		const struct gossip *g = s->peer[i].gossip;

		if (g && (broadcast_pending(&g->bc) || g->pending.len || !list_empty(&g->tickets)))
			return false;
	}
	return true;
}

bool sim_converged(const struct sim *s)
{
	return sim_all_alive(s) && sim_all_ready(s) && sim_all_quiet(s) && sim_digests_equal(s);
}

void sim_print(const struct sim *s, FILE *out)
{
	static const char *const states[] = {"alive", "suspect", "dead", "left"};

	for (unsigned i = 0; i < s->n; i++) {
		const struct gossip *g = s->peer[i].gossip;
		struct digest d[2];

		fprintf(out, "peer %u:", i);
		if (!g) {
			fprintf(out, " does not run%s\n", s->peer[i].fenced ? ", fenced" : "");
			continue;
		}
		for (int v = 0; v < 2; v++)
			d[v] = store_digest(gossip_store(g), v);
		fprintf(out, " boot %u%s%s%s, %u records %02x%02x, %u volatile %02x%02x, says:", s->peer[i].boot,
		        gossip_ready(g) ? "" : ", not ready", gossip_isolated(g) ? ", isolated" : "",
		        broadcast_pending(&g->bc) ? ", has news" : "", d[0].count, d[0].root.b[0], d[0].root.b[1],
		        d[1].count, d[1].root.b[0], d[1].root.b[1]);
		for (unsigned k = 0; k < s->n; k++)
			if (k != i)
				fprintf(out, " %s", states[sim_says(s, i, k)]);
		fputc('\n', out);
	}
}
