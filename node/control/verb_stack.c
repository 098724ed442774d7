/* stack, inspect: what stands at a stack's head, and all that is known of it. */
#include "base/hash.h"
#include "base/text.h"
#include "node/control/history.h"
#include "node/control/submit_check.h"

static void pack_key(struct wr *w, const char *name, const struct key32 *key)
{
	pk_str(w, name);
	if (key)
		pk_bin(w, key->b, sizeof(key->b));
	else
		pk_nil(w);
}

/* Environments are in a spec: it goes only to a request that was signed, by somebody who may read that stack. The whole
 * record goes, so that who signs it again can check whose it is. */
static void pack_record(const struct call *c, const struct stored *s, struct wr *w)
{
	const struct trust *t = gossip_trust(c->agent->gossip);
	const char *name = s ? trust_key_name(t, &s->rec.author) : NULL;

	pk_str(w, "record");
	if (s && s->rec.body && c->req.has_auth && trust_may_read(t, &c->key, s->rec.name))
		pk_bin(w, s->bytes, s->len);
	else
		pk_nil(w);
	pack_key(w, "author", s ? &s->rec.author : NULL);
	pk_kv_str(w, "author_name", name ? name : "");
	pk_kv_u64(w, "author_powers", s ? trust_powers_for(t, &s->rec) : 0);
	pk_kv_bool(w, "counts", s && trust_valid(t, s));
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

/* Peers out of reach that said last that they run tasks of this stack: they may, and stop them only when they are back. */
static void pack_lost(const struct agent *a, const char *stack, struct wr *w)
{
	const struct view *v = &a->view;
	bool *lost = xcalloc(v->n_members + 1, sizeof(*lost));
	struct arena arena;
	uint32_t n = 0;

	for (size_t i = 0; i < v->n_claims; i++) {
		const struct view_claim *c = &v->claims[i];
		const struct placed_slot *s = view_slot(&a->placement, c->c.slot);

		if (!s || strcmp(v->stacks[s->stack].name, stack) != 0 || c->c.state >= TASK_DONE ||
		        v->members[c->member].state != VIEW_DEAD) /* a suspect's are listed by ps still */
			continue;
		n += !lost[c->member];
		lost[c->member] = true;
	}
	arena_init(&arena);
	pk_str(w, "lost");
	pk_array(w, n);
	for (size_t i = 0; i < v->n_members; i++)
		if (lost[i])
			pk_str(w, view_member_name(v, i, &arena));
	arena_free(&arena);
	free(lost);
}

/* What an author needs to write the next revision, and the winner's record, or that of another revision. */
void verb_stack(struct call *c)
{
	struct agent *a = c->agent;
	struct key32 own_heads[RECORD_REFS_MAX];
	const struct stored *winner, *asked;
	struct stack_heads heads;
	const uint8_t *author;
	size_t author_len;
	size_t n_own = 0;
	char name[NAME_MAX_BYTES], revision[65];
	struct err err;
	bool has_author, has_revision, given;
	struct wr w;

	if (arg_text(c, "stack", name, sizeof(name), &given, &err) < 0 ||
	        arg_bin(c, "author", &author, &author_len, &has_author, &err) < 0 ||
	        arg_text(c, "revision", revision, sizeof(revision), &has_revision, &err) < 0 ||
	        (has_author && call_check_clock(c, &err) < 0)) {
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
	history_heads(a, name, &heads);
	winner = heads.n ? heads.head[0] : NULL;
	asked = winner;
	if (has_revision && history_find(a, name, revision, &asked, &err) < 0) {
		call_fail(c, &err);
		return;
	}
	if (has_author && author_len == sizeof(struct key32))
		n_own = store_author_heads(gossip_store(a->gossip), (const struct key32 *)author, own_heads);
	wr_init(&w, CONTROL_MESSAGE_MAX);
	pk_map(&w, 14);
	pk_kv_bool(&w, "exists", winner != NULL);
	pk_kv_bool(&w, "removed", winner && (winner->rec.flags & RECORD_FLAG_REMOVAL));
	pack_key(&w, "revision", winner ? &winner->rec.id : NULL);
	pk_kv_u64(&w, "stamp", gossip_stamp(a->gossip, agent_now(a).wall));
	pk_str(&w, "heads");
	pk_array(&w, (uint32_t)heads.n);
	for (size_t i = 0; i < heads.n; i++)
		pk_bin(&w, heads.head[i]->rec.id.b, 32);
	pk_str(&w, "author_heads");
	pk_array(&w, (uint32_t)n_own);
	for (size_t i = 0; i < n_own; i++)
		pk_bin(&w, own_heads[i].b, 32);
	pack_key(&w, "spec_hash", winner && winner->rec.body_len ? &winner->rec.body_hash : NULL);
	pack_key(&w, "asked", asked ? &asked->rec.id : NULL);
	pack_lost(a, name, &w);
	pack_record(c, asked, &w);
	call_end(c, &w);
	wr_free(&w);
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
	if (!trust_may_read(gossip_trust(a->gossip), &c->key, name)) {
		err_set(&err, ERR_UNAUTHORISED,
		        "inspect %s: this key's grants cover other stacks; ask an admin for `starling key grant`",
		        name);
		call_fail(c, &err);
		return;
	}
	history_heads(a, name, &heads);
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
	history_pack(a, &heads, heads.head[0], &w);
	pk_str(&w, "spec");
	if (heads.head[0]->rec.body)
		pk_bin(&w, heads.head[0]->rec.body, heads.head[0]->rec.body_len);
	else
		pk_nil(&w);
	pk_str(&w, "heads");
	pk_array(&w, (uint32_t)heads.n);
	for (size_t i = 0; i < heads.n; i++)
		history_pack(a, &heads, heads.head[i], &w);
	call_end(c, &w);
	wr_free(&w);
}
