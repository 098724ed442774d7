/* history, signed: what was signed, by stack and by key; what of it counts, and why the rest does not. */
#include "base/hash.h"
#include "base/text.h"
#include "gossip/store/rules.h"
#include "gossip/trust/bodies.h"
#include "node/control/history.h"
#include "placement/settings.h"

#include <stdio.h>

/* Headers are kept for ever; a list of this many is more than anyone reads. */
#define HISTORY_SHOWN_MAX 1000
/* Of those that do not count, the newest: anybody can make as many as he likes. */
#define VOID_SHOWN_MAX 100

static bool counts(const struct stored *s, void *ctx)
{
	return trust_valid(ctx, s);
}

void history_heads(struct agent *a, const char *stack, struct stack_heads *heads)
{
	store_stack_heads(gossip_store(a->gossip), stack, counts, (void *)gossip_trust(a->gossip), heads);
}

static void pack_hex(struct wr *w, const char *key, const struct key32 *k)
{
	char text[65];

	hex_encode(text, k->b, sizeof(k->b));
	pk_kv_str(w, key, text);
}

static void pack_hexes(struct wr *w, const char *key, const struct key32 *k, size_t n)
{
	char text[65];

	pk_str(w, key);
	pk_array(w, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		hex_encode(text, k[i].b, sizeof(k[i].b));
		pk_str(w, text);
	}
}

static void pack_time(struct wr *w, uint64_t stamp)
{
	char time[25];

	text_time(time, hlc_wall(stamp));
	pk_kv_u64(w, "stamp", stamp);
	pk_kv_str(w, "time", time);
}

/* "" while it counts. */
static void pack_why(struct wr *w, const struct trust *t, const struct stored *s)
{
	struct err why = {0};

	if (!trust_valid(t, s) && trust_may_write(t, &s->rec, &why) == 0)
		err_set(&why, ERR_UNAUTHORISED, "another record stands in its place");
	pk_kv_str(w, "why", why.text);
}

/* Newest first. */
static int by_age(const void *pa, const void *pb)
{
	const struct record *a = &(*(const struct stored *const *)pa)->rec;
	const struct record *b = &(*(const struct stored *const *)pb)->rec;

	if (a->stamp != b->stamp)
		return a->stamp < b->stamp ? 1 : -1;
	return -key32_cmp(&a->id, &b->id);
}

/* The newest `max` of what is added. */
struct newest {
	const struct stored **all;
	size_t n, cap, max;
};

static void newest_add(struct newest *l, const struct stored *s)
{
	if (l->n == l->cap) {
		if (l->n >= 2 * l->max) { /* so that sorting is rare */
			qsort(l->all, l->n, sizeof(*l->all), by_age);
			l->n = l->max;
		} else {
			l->cap = l->cap ? l->cap * 2 : 64;
			l->all = xrealloc(l->all, l->cap * sizeof(*l->all));
		}
	}
	l->all[l->n++] = s;
}

static void newest_end(struct newest *l)
{
	if (l->n)
		qsort(l->all, l->n, sizeof(*l->all), by_age);
	l->n = MIN(l->n, l->max);
}

static void newest_join(struct newest *l, struct newest *other)
{
	newest_end(l);
	newest_end(other);
	l->max += other->max;
	for (size_t i = 0; i < other->n; i++)
		newest_add(l, other->all[i]);
	newest_end(l);
	free(other->all);
}

/* --- revisions of a stack --- */

void history_pack(struct agent *a, const struct stack_heads *heads, const struct stored *s, struct wr *w)
{
	const struct trust *t = gossip_trust(a->gossip);
	const char *name = trust_key_name(t, &s->rec.author);
	bool head = false;

	for (size_t i = 0; i < heads->n; i++)
		head |= heads->head[i] == s;
	pk_map(w, 13);
	pack_hex(w, "revision", &s->rec.id);
	pack_time(w, s->rec.stamp);
	pack_hex(w, "author", &s->rec.author);
	pk_kv_str(w, "author_name", name ? name : "");
	pk_kv_bool(w, "author_revoked", name && !trust_operator(t, &s->rec.author));
	pack_hexes(w, "parents", s->rec.parents, s->rec.n_parents);
	pk_kv_bool(w, "current", heads->n && heads->head[0] == s);
	pk_kv_bool(w, "conflict", heads->n > 1 && head);
	pk_kv_bool(w, "removed", s->rec.flags & RECORD_FLAG_REMOVAL);
	pk_kv_bool(w, "valid", trust_valid(t, s));
	pack_why(w, t, s);
	pk_kv_bool(w, "body", s->rec.body != NULL);
}

struct walk {
	const struct trust *trust;
	struct newest valid, voids;
};

static bool add_revision(const struct stored *s, void *ctx)
{
	struct walk *h = ctx;

	if (s->on_disk)
		newest_add(trust_valid(h->trust, s) ? &h->valid : &h->voids, s);
	return true;
}

static void each_revision(struct agent *a, const char *stack, store_visit *fn, void *ctx)
{
	static const struct key32 nobody;
	struct key32 key;

	record_key(&key, REC_REVISION, &nobody, stack);
	store_each_of_key(gossip_store(a->gossip), REC_REVISION, &key, fn, ctx);
}

void verb_history(struct call *c)
{
	struct agent *a = c->agent;
	struct walk h = {
	        .trust = gossip_trust(a->gossip), .valid.max = HISTORY_SHOWN_MAX, .voids.max = VOID_SHOWN_MAX};
	struct stack_heads heads;
	char name[NAME_MAX_BYTES];
	struct rows r;
	struct err err;
	bool given;

	if (arg_text(c, "stack", name, sizeof(name), &given, &err) < 0) {
		call_fail(c, &err);
		return;
	}
	history_heads(a, name, &heads);
	each_revision(a, name, add_revision, &h);
	newest_join(&h.valid, &h.voids);
	rows_init(&r);
	for (size_t i = 0; i < h.valid.n; i++) {
		history_pack(a, &heads, h.valid.all[i], &r.w);
		rows_end(&r);
	}
	free(h.valid.all);
	call_rows(c, &r);
	rows_free(&r);
}

struct search {
	const char *prefix;
	const struct stored *found;
	size_t n;
};

static bool match(const struct stored *s, void *ctx)
{
	struct search *f = ctx;
	char hex[65];

	hex_encode(hex, s->rec.id.b, sizeof(s->rec.id.b));
	if (s->on_disk && strncmp(hex, f->prefix, strlen(f->prefix)) == 0) {
		f->found = s;
		f->n++;
	}
	return true;
}

int history_find(
        struct agent *a, const char *stack, const char *prefix, const struct stored **out, struct err *err)
{
	struct search f = {.prefix = prefix};

	each_revision(a, stack, match, &f);
	if (f.n > 1)
		return err_set(err, ERR_USAGE, "stack %s: %zu revisions begin with %s; give more digits", stack,
		        f.n, prefix);
	if (!f.n)
		return err_set(err, ERR_FAILED, "stack %s: no revision %s here; see starling history %s", stack,
		        prefix, stack);
	*out = f.found;
	return 0;
}

struct quarantine {
	const struct trust *trust;
	uint64_t after; /* stamp of what runs */
	struct newest voids;
	struct map named; /* parents of those that count */
};

static bool sort_out(const struct stored *s, void *ctx)
{
	struct quarantine *q = ctx;

	if (!s->on_disk)
		return true;
	if (trust_valid(q->trust, s)) {
		for (size_t i = 0; i < s->rec.n_parents; i++)
			map_put(&q->named, &s->rec.parents[i], q);
	} else if (s->rec.stamp > q->after && trust_key_name(q->trust, &s->rec.author)) {
		newest_add(&q->voids, s);
	}
	return true;
}

size_t history_quarantined(struct agent *a, const char *stack)
{
	struct quarantine q = {.trust = gossip_trust(a->gossip), .voids.max = VOID_SHOWN_MAX};
	struct stack_heads heads;
	size_t n = 0;

	history_heads(a, stack, &heads);
	q.after = heads.n ? heads.head[0]->rec.stamp : 0;
	map_init(&q.named, sizeof(struct key32), NULL);
	each_revision(a, stack, sort_out, &q);
	newest_end(&q.voids);
	for (size_t i = 0; i < q.voids.n; i++)
		n += !map_get(&q.named, &q.voids.all[i]->rec.id);
	free(q.voids.all);
	map_free(&q.named);
	return n;
}

/* --- records of a key --- */

static const char *named(const struct trust *t, const struct key32 *key, char id[17])
{
	const char *name = trust_key_name(t, key);

	if (name)
		return name;
	id64_text(id, key32_id(key));
	return id;
}

static void say_setting(char *out, size_t cap, const struct record *r)
{
	bool drain = true;
	id64 peer;

	if (setting_peer(r->name, SETTING_DRAIN, &peer)) {
		drain_decode(&drain, r->body, r->body_len, NULL);
		snprintf(out, cap, "%s peer %s", drain ? "drain" : "resume", r->name + strlen(SETTING_DRAIN));
	} else if (setting_peer(r->name, SETTING_LABELS, &peer)) {
		snprintf(out, cap, "label peer %s", r->name + strlen(SETTING_LABELS));
	} else if (strcmp(r->name, SETTING_VOTERS) == 0) {
		snprintf(out, cap, "name the voters");
	} else {
		snprintf(out, cap, "set %s", r->name);
	}
}

/* What it does, for people. */
static void pack_what(struct agent *a, const struct record *r, struct wr *w)
{
	static const char *const roles[] = {"no role", "read", "deploy", "admin", "root"};
	const struct trust *t = gossip_trust(a->gossip);
	char text[RECORD_NAME_MAX + 160], id[17];
	struct revocation revocation;
	struct eviction eviction;
	struct invite invite;
	struct grant grant;
	struct key32 key;

	snprintf(text, sizeof(text), "%s %s", record_kind_name(r->kind), r->name);
	if (r->kind == REC_GENESIS)
		snprintf(text, sizeof(text), "found the flock");
	else if (r->kind == REC_GRANT && body_get_grant(&grant, r, NULL) == 0)
		snprintf(text, sizeof(text), "grant %s to %s", roles[grant.role], grant.name);
	else if (r->kind == REC_INVITE && body_get_invite(&invite, r, NULL) == 0)
		snprintf(text, sizeof(text), "make token %s", named(t, &invite.id, id));
	else if (r->kind == REC_REVOCATION && body_get_revocation(&revocation, r, NULL) == 0)
		snprintf(text, sizeof(text), "revoke %s", named(t, &revocation.key, id));
	else if (r->kind == REC_EVICTION && body_get_eviction(&eviction, r, NULL) == 0)
		snprintf(text, sizeof(text), "evict peer %s", named(t, &eviction.peer, id));
	else if (r->kind == REC_SUCCESSION && body_get_succession(&key, r, NULL) == 0)
		snprintf(text, sizeof(text), "name %s its successor", named(t, &key, id));
	else if (r->kind == REC_REVISION)
		snprintf(text, sizeof(text), "%s %s", r->flags & RECORD_FLAG_REMOVAL ? "remove" : "deploy",
		        r->name);
	else if (r->kind == REC_SETTING)
		say_setting(text, sizeof(text), r);
	pk_kv_str(w, "what", text);
}

struct by_key {
	const struct trust *trust;
	struct key32 key;
	struct newest valid, voids;
};

static bool add_signed(const struct stored *s, void *ctx)
{
	struct by_key *k = ctx;

	if (!record_is_volatile(s->rec.kind) && s->rec.kind != REC_ADMISSION && s->on_disk &&
	        key32_eq(&s->rec.author, &k->key))
		newest_add(trust_valid(k->trust, s) ? &k->valid : &k->voids, s);
	return true;
}

void verb_signed(struct call *c)
{
	struct agent *a = c->agent;
	struct by_key k = {
	        .trust = gossip_trust(a->gossip), .valid.max = HISTORY_SHOWN_MAX, .voids.max = VOID_SHOWN_MAX};
	const uint8_t *key;
	struct err err;
	struct rows r;
	bool given;
	size_t len;

	if (arg_bin(c, "key", &key, &len, &given, &err) < 0 ||
	        (len != sizeof(k.key) && err_set(&err, ERR_USAGE, "signed: a key has 32 bytes") < 0)) {
		call_fail(c, &err);
		return;
	}
	memcpy(k.key.b, key, sizeof(k.key.b));
	store_each(gossip_store(a->gossip), 0, add_signed, &k);
	newest_join(&k.valid, &k.voids);
	rows_init(&r);
	for (size_t i = 0; i < k.valid.n; i++) {
		const struct stored *s = k.valid.all[i];

		pk_map(&r.w, 8);
		pack_hex(&r.w, "record", &s->rec.id);
		pack_time(&r.w, s->rec.stamp);
		pk_kv_str(&r.w, "kind", record_kind_name(s->rec.kind));
		pack_what(a, &s->rec, &r.w);
		pack_hexes(&r.w, "previous", s->rec.prev, s->rec.n_prev);
		pk_kv_bool(&r.w, "valid", trust_valid(k.trust, s));
		pack_why(&r.w, k.trust, s);
		rows_end(&r);
	}
	free(k.valid.all);
	call_rows(c, &r);
	rows_free(&r);
}
