/* stack, history, inspect, explain: a stack's revisions and why its slots are where they are. */
#include "base/hash.h"
#include "base/text.h"
#include "node/control/call.h"
#include "node/control/submit_check.h"

static bool counts(const struct stored *s, void *ctx)
{
	return trust_valid(ctx, s);
}

static void heads_of(struct agent *a, const char *stack, struct stack_heads *heads)
{
	store_stack_heads(gossip_store(a->gossip), stack, counts, (void *)gossip_trust(a->gossip), heads);
}

static void pack_hex(struct wr *w, const char *key, const struct key32 *k)
{
	char text[65];

	hex_encode(text, k->b, sizeof(k->b));
	pk_kv_str(w, key, text);
}

/* Environments are in a spec: it goes only to a request that was signed, by somebody who may read (verb_stack). */
static void pack_spec(const struct call *c, const struct record *rec, struct wr *w)
{
	pk_str(w, "spec");
	if (rec && rec->body && !(rec->flags & RECORD_FLAG_REMOVAL) && c->req.has_auth)
		pk_bin(w, rec->body, rec->body_len);
	else
		pk_nil(w);
	pk_str(w, "spec_hash");
	if (rec && rec->body_len)
		pk_bin(w, rec->body_hash.b, sizeof(rec->body_hash.b));
	else
		pk_nil(w);
}

static void pack_author(const struct trust *t, const struct record *rec, struct wr *w)
{
	const struct grant *g = rec ? trust_operator(t, &rec->author) : NULL;

	pk_str(w, "author");
	if (rec)
		pk_bin(w, rec->author.b, 32);
	else
		pk_nil(w);
	pk_kv_str(w, "author_name", g ? g->name : "");
	pk_kv_u64(w, "author_powers", rec ? trust_powers_for(t, rec) : 0);
}

int call_check_clock(const struct call *c, struct err *err)
{
	struct agent *a = c->agent;
	struct gossip_clock clock;
	bool force = false;

	if (arg_bool(c, "force_clock", &force, err) < 0)
		return -1;
	gossip_clock(a->gossip, agent_now(a), &clock);
	return clock_check(&clock, a->cfg.name, force, err);
}

/* What an author needs to write the next revision. */
void verb_stack(struct call *c)
{
	struct agent *a = c->agent;
	struct key32 own_heads[RECORD_REFS_MAX];
	const struct stored *winner;
	struct stack_heads heads;
	const uint8_t *author;
	size_t author_len;
	size_t n_own = 0;
	char name[NAME_MAX_BYTES];
	struct err err;
	bool given;
	struct wr w;

	if (arg_text(c, "stack", name, sizeof(name), &given, &err) < 0 ||
	        arg_bin(c, "author", &author, &author_len, &given, &err) < 0 ||
	        (given && call_check_clock(c, &err) < 0)) {
		call_fail(c, &err);
		return;
	}
	if (c->req.has_auth && c->role < ROLE_READ) {
		err_set(&err, ERR_UNAUTHORISED,
		        "stack %s: this key has no grant in flock %s; ask an admin for `starling key grant`",
		        name, trust_flock_name(gossip_trust(a->gossip)));
		call_fail(c, &err);
		return;
	}
	heads_of(a, name, &heads);
	winner = heads.n ? heads.head[0] : NULL;
	if (given && author_len == sizeof(struct key32))
		n_own = store_author_heads(gossip_store(a->gossip), (const struct key32 *)author, own_heads);
	wr_init(&w, CONTROL_MESSAGE_MAX);
	pk_map(&w, 11);
	pk_kv_bool(&w, "exists", winner != NULL);
	pk_kv_bool(&w, "removed", winner && (winner->rec.flags & RECORD_FLAG_REMOVAL));
	pk_str(&w, "revision");
	if (winner)
		pk_bin(&w, winner->rec.id.b, 32);
	else
		pk_nil(&w);
	pk_kv_u64(&w, "stamp", gossip_stamp(a->gossip, agent_now(a).wall));
	pk_str(&w, "heads");
	pk_array(&w, (uint32_t)heads.n);
	for (size_t i = 0; i < heads.n; i++)
		pk_bin(&w, heads.head[i]->rec.id.b, 32);
	pk_str(&w, "author_heads");
	pk_array(&w, (uint32_t)n_own);
	for (size_t i = 0; i < n_own; i++)
		pk_bin(&w, own_heads[i].b, 32);
	pack_spec(c, winner ? &winner->rec : NULL, &w);
	pack_author(gossip_trust(a->gossip), winner ? &winner->rec : NULL, &w);
	call_end(c, &w);
	wr_free(&w);
}

/* --- history --- */

/* Headers are kept for ever; a list of this many is more than anyone reads. */
#define HISTORY_SHOWN_MAX 1000

struct history {
	const char *stack;
	const struct stored *rev[HISTORY_SHOWN_MAX];
	size_t n;
};

static int newest_first(const void *pa, const void *pb)
{
	const struct record *a = &(*(const struct stored *const *)pa)->rec;
	const struct record *b = &(*(const struct stored *const *)pb)->rec;

	if (a->stamp != b->stamp)
		return a->stamp < b->stamp ? 1 : -1;
	return -key32_cmp(&a->id, &b->id);
}

static bool add_revision(const struct stored *s, void *ctx)
{
	struct history *h = ctx;

	if (!strcmp(s->rec.name, h->stack) && s->on_disk) {
		if (h->n == HISTORY_SHOWN_MAX) { /* keep the newest */
			qsort(h->rev, h->n, sizeof(*h->rev), newest_first);
			h->n--;
		}
		h->rev[h->n++] = s;
	}
	return true;
}

static bool is_head(const struct stack_heads *heads, const struct stored *s)
{
	for (size_t i = 0; i < heads->n; i++)
		if (heads->head[i] == s)
			return true;
	return false;
}

static void pack_revision(struct agent *a, const struct stack_heads *heads, const struct stored *s, struct wr *w)
{
	const struct trust *t = gossip_trust(a->gossip);
	const struct grant *g = trust_operator(t, &s->rec.author);
	char time[25];

	text_time(time, hlc_wall(s->rec.stamp));
	pk_map(w, 11);
	pack_hex(w, "revision", &s->rec.id);
	pk_kv_u64(w, "stamp", s->rec.stamp);
	pk_kv_str(w, "time", time);
	pack_hex(w, "author", &s->rec.author);
	pk_kv_str(w, "author_name", g ? g->name : "");
	pk_str(w, "parents");
	pk_array(w, s->rec.n_parents);
	for (size_t i = 0; i < s->rec.n_parents; i++) {
		char text[65];

		hex_encode(text, s->rec.parents[i].b, 32);
		pk_str(w, text);
	}
	pk_kv_bool(w, "current", heads->n && heads->head[0] == s);
	pk_kv_bool(w, "conflict", heads->n > 1 && is_head(heads, s));
	pk_kv_bool(w, "removed", s->rec.flags & RECORD_FLAG_REMOVAL);
	pk_kv_bool(w, "valid", trust_valid(t, s));
	pk_kv_bool(w, "body", s->rec.body != NULL);
}

void verb_history(struct call *c)
{
	struct agent *a = c->agent;
	struct history *h = xcalloc(1, sizeof(*h));
	struct stack_heads heads;
	char name[NAME_MAX_BYTES];
	struct rows r;
	struct err err;
	bool given;

	h->stack = name;
	if (arg_text(c, "stack", name, sizeof(name), &given, &err) < 0) {
		call_fail(c, &err);
		free(h);
		return;
	}
	heads_of(a, name, &heads);
	store_each(gossip_store(a->gossip), REC_REVISION, add_revision, h);
	qsort(h->rev, h->n, sizeof(*h->rev), newest_first);
	rows_init(&r);
	for (size_t i = 0; i < h->n; i++) {
		pack_revision(a, &heads, h->rev[i], &r.w);
		rows_end(&r);
	}
	call_rows(c, &r);
	rows_free(&r);
	free(h);
}

/* --- explain --- */

static void pack_reasons(struct agent *a, size_t slot, struct arena *arena, struct wr *w)
{
	const struct view *v = &a->view;
	const struct placed_slot *s = &a->placement.slots[slot];
	enum place_reason *why = arena_array(arena, v->n_members, sizeof(*why));

	place_explain(v, &a->placement, slot, why);
	pk_map(w, 4);
	pk_kv_u64(w, "slot", s->index);
	pk_str(w, "owner");
	if (s->owner >= 0)
		pk_str(w, view_member_name(v, v->claims[s->owner].member, arena));
	else
		pk_nil(w);
	pk_str(w, "candidates");
	pk_array(w, s->n_candidates);
	for (size_t i = 0; i < s->n_candidates; i++)
		pk_str(w, view_member_name(v, s->candidate[i], arena));
	pk_str(w, "peers");
	pk_array(w, (uint32_t)v->n_members);
	for (size_t i = 0; i < v->n_members; i++) {
		char id[17];

		id64_text(id, v->members[i].id);
		pk_map(w, 4);
		pk_kv_str(w, "peer", id);
		pk_kv_str(w, "name", view_member_name(v, i, arena));
		pk_kv_u64(w, "number", why[i]);
		pk_kv_str(w, "reason", place_reason_text(why[i]));
	}
}

void verb_explain(struct call *c)
{
	struct agent *a = c->agent;
	char stack[NAME_MAX_BYTES];
	char service[NAME_MAX_BYTES];
	struct arena arena;
	bool given, all;
	uint64_t index;
	struct rows r;
	struct err err;

	if (arg_text(c, "stack", stack, sizeof(stack), &given, &err) < 0 ||
	        arg_text(c, "service", service, sizeof(service), &given, &err) < 0 ||
	        arg_u64(c, "slot", &index, &given, &err) < 0) {
		call_fail(c, &err);
		return;
	}
	all = !given;
	arena_init(&arena);
	rows_init(&r);
	for (size_t i = 0; i < a->placement.n_slots; i++) {
		const struct placed_slot *s = &a->placement.slots[i];
		const struct view_stack *st = &a->view.stacks[s->stack];

		if (strcmp(st->name, stack) || strcmp(st->spec->services[s->service].name, service) ||
		        (!all && s->index != index))
			continue;
		pack_reasons(a, i, &arena, &r.w);
		rows_end(&r);
	}
	if (r.n) {
		call_rows(c, &r);
	} else {
		err_set(&err, ERR_FAILED,
		        "explain %s/%s: no such slot here; `starling ls` and `starling ps` list what there is",
		        stack, service);
		call_fail(c, &err);
	}
	rows_free(&r);
	arena_free(&arena);
}

/* --- inspect --- */

/* Everything about one stack in one map; the canonical spec goes as its bytes, which the CLI decodes and shows. */
void verb_inspect(struct call *c)
{
	struct agent *a = c->agent;
	struct stack_heads heads;
	char name[NAME_MAX_BYTES];
	struct err err;
	bool given;
	struct wr w;

	if (arg_text(c, "stack", name, sizeof(name), &given, &err) < 0) {
		call_fail(c, &err);
		return;
	}
	heads_of(a, name, &heads);
	if (!heads.n) {
		err_set(&err, ERR_FAILED, "inspect %s: no such stack here; `starling ls` lists what there is",
		        name);
		call_fail(c, &err);
		return;
	}
	wr_init(&w, CONTROL_MESSAGE_MAX);
	pk_map(&w, 4);
	pk_kv_str(&w, "stack", name);
	pk_str(&w, "revision");
	pack_revision(a, &heads, heads.head[0], &w);
	pk_str(&w, "spec");
	if (heads.head[0]->rec.body)
		pk_bin(&w, heads.head[0]->rec.body, heads.head[0]->rec.body_len);
	else
		pk_nil(&w);
	pk_str(&w, "heads");
	pk_array(&w, (uint32_t)heads.n);
	for (size_t i = 0; i < heads.n; i++)
		pack_revision(a, &heads, heads.head[i], &w);
	call_end(c, &w);
	wr_free(&w);
}
