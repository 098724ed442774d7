/* peer, tokens, revocable, leave: what operators need to know before they evict and revoke, and the way out. */
#include "base/hash.h"
#include "base/text.h"
#include "gossip/trust/bodies.h"
#include "node/control/call.h"

#include <stdio.h>

static void pack_keys(struct wr *w, const char *name, const struct key32 *keys, size_t n)
{
	pk_str(w, name);
	pk_array(w, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		pk_bin(w, keys[i].b, sizeof(keys[i].b));
}

/* --- peer --- */

/* The admitted peer of that short id, dead or alive. */
static bool find_peer(const struct trust *t, id64 id, struct key32 *out)
{
	size_t n = trust_peers(t, NULL, 0);
	cleanup_free struct key32 *keys = xcalloc(MAX(n, (size_t)1), sizeof(*keys));

	n = MIN(n, trust_peers(t, keys, n));
	for (size_t i = 0; i < n; i++)
		if (key32_id(&keys[i]) == id) {
			*out = keys[i];
			return true;
		}
	return false;
}

void verb_peer(struct call *c)
{
	const struct trust *t = gossip_trust(c->agent->gossip);
	char text[32];
	struct key32 key;
	id64 id = 0;
	struct err err;
	bool given;
	size_t n;

	if (arg_text(c, "peer", text, sizeof(text), &given, &err) < 0) {
		call_fail(c, &err);
		return;
	}
	if (!id64_parse(&id, text) || !find_peer(t, id, &key)) {
		err_set(&err, ERR_FAILED, "no peer %s is admitted to this flock; see starling node ls", text);
		call_fail(c, &err);
		return;
	}
	n = trust_resting_on(t, &key, NULL, 0);
	cleanup_free struct key32 *resting = xcalloc(MAX(n, (size_t)1), sizeof(*resting));
	struct wr w;

	n = MIN(n, trust_resting_on(t, &key, resting, n));
	wr_init(&w, CONTROL_MESSAGE_MAX);
	pk_map(&w, 2);
	pk_kv_bin(&w, "key", key.b, sizeof(key.b));
	pack_keys(&w, "resting", resting, n);
	call_end(c, &w);
	wr_free(&w);
}

/* --- tokens --- */

/* Invites shown; far more than a flock has open at once. */
#define TOKENS_SHOWN_MAX 4096

struct use {
	struct key32 invite, peer;
};

struct uses {
	const struct trust *trust;
	struct use *use;
	size_t n, cap;
};

static bool add_use(const struct stored *s, void *ctx)
{
	struct uses *u = ctx;
	struct admission a;

	if (body_get_admission(&a, &s->rec, NULL) < 0 || key32_is_zero(&a.invite) || !trust_valid(u->trust, s))
		return true;
	if (u->n == u->cap) {
		u->cap = u->cap ? u->cap * 2 : 64;
		u->use = xrealloc(u->use, u->cap * sizeof(*u->use));
	}
	u->use[u->n++] = (struct use){a.invite, a.peer};
	return true;
}

static int by_invite(const void *a, const void *b)
{
	const struct use *x = a, *y = b;
	int c = key32_cmp(&x->invite, &y->invite);

	return c ? c : key32_cmp(&x->peer, &y->peer);
}

static const struct use *uses_of(const struct uses *u, const struct key32 *invite, size_t *n)
{
	size_t lo = 0, hi = u->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (key32_cmp(&u->use[mid].invite, invite) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (*n = 0; lo + *n < u->n && key32_eq(&u->use[lo + *n].invite, invite);)
		++*n;
	return u->use + lo;
}

struct tokens {
	struct agent *agent;
	struct uses uses;
	struct rows rows;
	struct arena arena;
};

static const char *peer_name(struct tokens *t, const struct key32 *peer)
{
	const struct view *v = &t->agent->view;
	char id[17];

	for (size_t i = 0; i < v->n_members; i++)
		if (key32_eq(&v->members[i].key, peer))
			return view_member_name(v, i, &t->arena);
	id64_text(id, key32_id(peer));
	return arena_strdup(&t->arena, id);
}

static const char *state_text(struct tokens *t, const struct stored *s, const struct invite *inv)
{
	enum invite_state state = trust_invite_state(t->uses.trust, &inv->id);

	if (!trust_valid(t->uses.trust, s))
		return "void";
	if (state == INVITE_OPEN && agent_now(t->agent).wall >= inv->expires)
		return "expired";
	return (const char *[]){"void", "open", "used", "revoked", "evicted"}[state];
}

static void pack_hex(struct wr *w, const char *key, const struct key32 *k)
{
	char text[65];

	hex_encode(text, k->b, sizeof(k->b));
	pk_kv_str(w, key, text);
}

static bool pack_token(const struct stored *s, void *ctx)
{
	struct tokens *t = ctx;
	const char *by = trust_key_name(t->uses.trust, &s->rec.author);
	struct wr *w = &t->rows.w;
	const struct use *use;
	struct invite inv;
	char time[25], id[17];
	size_t n;

	if (body_get_invite(&inv, &s->rec, NULL) < 0)
		return true;
	use = uses_of(&t->uses, &inv.id, &n);
	id64_text(id, key32_id(&inv.id));
	pk_map(w, 10);
	pk_kv_str(w, "id", id);
	pack_hex(w, "key", &inv.id);
	pack_hex(w, "created_by", &s->rec.author);
	pk_kv_str(w, "created_by_name", by ? by : "");
	text_time(time, hlc_wall(s->rec.stamp));
	pk_kv_str(w, "created_at", time);
	pk_kv_u64(w, "uses", inv.uses);
	pk_kv_u64(w, "used", n);
	pk_str(w, "peers");
	pk_array(w, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		pk_str(w, peer_name(t, &use[i].peer));
	text_time(time, inv.expires);
	pk_kv_str(w, "expires_at", time);
	pk_kv_str(w, "state", state_text(t, s, &inv));
	rows_end(&t->rows);
	return t->rows.n < TOKENS_SHOWN_MAX;
}

void verb_tokens(struct call *c)
{
	const struct store *st = gossip_store(c->agent->gossip);
	struct tokens t = {.agent = c->agent, .uses.trust = gossip_trust(c->agent->gossip)};

	arena_init(&t.arena);
	rows_init(&t.rows);
	store_each(st, REC_ADMISSION, add_use, &t.uses);
	if (t.uses.n)
		qsort(t.uses.use, t.uses.n, sizeof(*t.uses.use), by_invite);
	store_each(st, REC_INVITE, pack_token, &t);
	call_rows(c, &t.rows);
	rows_free(&t.rows);
	arena_free(&t.arena);
	free(t.uses.use);
}

/* --- revocable --- */

struct resting {
	const struct trust *trust;
	struct key32 key;
	struct key32 *record;
	size_t n, cap;
};

/* An admission that counts because of this key: made with the invite, or a first peer that the operator admitted. */
static bool add_resting(const struct stored *s, void *ctx)
{
	struct resting *r = ctx;
	struct admission a;

	if (body_get_admission(&a, &s->rec, NULL) < 0 || !trust_valid(r->trust, s))
		return true;
	if (!key32_eq(&a.invite, &r->key) && !(key32_is_zero(&a.invite) && key32_eq(&a.voucher, &r->key)))
		return true;
	if (r->n == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 16;
		r->record = xrealloc(r->record, r->cap * sizeof(*r->record));
	}
	r->record[r->n++] = s->rec.id;
	return true;
}

void verb_revocable(struct call *c)
{
	const struct store *st = gossip_store(c->agent->gossip);
	struct resting r = {.trust = gossip_trust(c->agent->gossip)};
	struct key32 heads[RECORD_REFS_MAX];
	const uint8_t *key;
	struct err err;
	struct wr w;
	bool given;
	size_t len;

	if (arg_bin(c, "key", &key, &len, &given, &err) < 0 ||
	        (len != sizeof(r.key) && err_set(&err, ERR_USAGE, "revocable: a key has 32 bytes") < 0)) {
		call_fail(c, &err);
		return;
	}
	memcpy(r.key.b, key, sizeof(r.key.b));
	store_each(st, REC_ADMISSION, add_resting, &r);
	wr_init(&w, CONTROL_MESSAGE_MAX);
	pk_map(&w, 2);
	pack_keys(&w, "heads", heads, store_author_heads(st, &r.key, heads));
	pack_keys(&w, "admissions", r.record, r.n);
	free(r.record);
	call_end(c, &w);
	wr_free(&w);
}

/* --- leave --- */

/* The longest that a leaving peer waits for others, in ms. */
#define PATIENCE_MAX MINUTES(60)

void verb_leave(struct call *c)
{
	uint64_t patience;
	struct err err = {0};
	bool given;
	struct wr w;

	if (c->origin != ORIGIN_SOCKET)
		err_set(&err, ERR_UNAUTHORISED, "leave: ask on the host that is to leave, not from afar");
	else if (arg_u64(c, "patience", &patience, &given, &err) == 0 && patience > PATIENCE_MAX)
		err_set(&err, ERR_USAGE, "leave: waits an hour at most");
	if (err.code) {
		call_fail(c, &err);
		return;
	}
	wr_init(&w, 64);
	pk_map(&w, 1);
	pk_kv_u64(&w, "tasks", runtime_tasks(c->agent->runtime, NULL, 0));
	agent_leave(c->agent, (int64_t)patience);
	call_end(c, &w);
	wr_free(&w);
}
