/* setting, drain: what admins set for the flock and its peers, and how far a drain has come. */
#include "base/text.h"
#include "gossip/trust/trust.h"
#include "node/control/fill.h"
#include "node/control/row.h"
#include "placement/settings.h"

/* --- setting --- */

static bool counts(const struct stored *s, void *ctx)
{
	return trust_valid(ctx, s);
}

void verb_setting(struct call *c)
{
	const struct trust *t = gossip_trust(c->agent->gossip);
	char name[RECORD_NAME_MAX + 1];
	const struct stored *now;
	const char *author;
	struct stack_heads heads;
	struct err err;
	bool given;
	struct wr w;

	if (arg_text(c, "name", name, sizeof(name), &given, &err) < 0) {
		call_fail(c, &err);
		return;
	}
	store_setting_heads(gossip_store(c->agent->gossip), name, counts, (void *)t, &heads);
	now = heads.n ? heads.head[0] : NULL;
	author = now ? trust_key_name(t, &now->rec.author) : NULL;
	wr_init(&w, CONTROL_MESSAGE_MAX);
	pk_map(&w, 3);
	pk_str(&w, "heads");
	pk_array(&w, (uint32_t)heads.n);
	for (size_t i = 0; i < heads.n; i++)
		pk_bin(&w, heads.head[i]->rec.id.b, 32);
	pk_str(&w, "body");
	if (now)
		pk_bin(&w, now->rec.body, now->rec.body_len);
	else
		pk_nil(&w);
	pk_kv_str(&w, "author_name", author ? author : "");
	call_end(c, &w);
	wr_free(&w);
}

/* --- drain --- */

/* What holds a task on the peer that is to be empty. */
struct held {
	const char *phase;
	int32_t to; /* member, or -1 */
	enum place_reason number;
};

static int32_t member_of(const struct view *v, id64 id)
{
	for (size_t i = 0; id && i < v->n_members; i++)
		if (v->members[i].id == id)
			return (int32_t)i;
	return -1;
}

static struct held held_by(const struct agent *a, const struct placed_slot *s, size_t claim)
{
	const struct view *v = &a->view;
	const struct placed_move *m;
	struct held h = {.phase = "stopping", .to = -1};

	if (!s)
		return h;
	if (s->predecessor == (int32_t)claim)
		return (struct held){"serving", (int32_t)v->claims[s->owner].member, REASON_OK};
	if (s->owner != (int32_t)claim)
		return h;
	m = fill_move(&a->placement, (size_t)(s - a->placement.slots));
	if (m && m->to < 0)
		return (struct held){"stays", -1, m->reason};
	h.to = m ? m->to : member_of(v, v->claims[claim].c.handover_to);
	h.phase = s->successor >= 0 ? "starting" : "waiting";
	return h;
}

/* A global service has no slot on a peer that drains: its task there is about to stop. Which is it? */
static bool pack_global(const struct view *v, const struct view_claim *c, struct wr *w)
{
	for (size_t i = 0; i < v->n_stacks; i++) {
		const struct view_stack *st = &v->stacks[i];

		for (size_t k = 0; st->spec && k < st->spec->n_services; k++) {
			const struct service *s = &st->spec->services[k];

			if (s->mode != MODE_GLOBAL || slot_id_global(&v->flock, st->spec->name, s->name,
			                                      &v->members[c->member].key) != c->c.slot)
				continue;
			pk_kv_str(w, "stack", st->name);
			pk_kv_str(w, "service", s->name);
			pk_kv_u64(w, "slot", 0);
			return true;
		}
	}
	return false;
}

static void pack_held(struct agent *a, size_t claim, struct arena *arena, struct rows *r)
{
	const struct view *v = &a->view;
	const struct placed_slot *s = view_slot(&a->placement, v->claims[claim].c.slot);
	struct held h = held_by(a, s, claim);
	struct wr *w = &r->w;

	pk_map(w, 8);
	if (s) {
		const struct view_stack *st = &v->stacks[s->stack];

		pk_kv_str(w, "stack", st->name);
		pk_kv_str(w, "service", st->spec->services[s->service].name);
		pk_kv_u64(w, "slot", s->index);
	} else if (!pack_global(v, &v->claims[claim], w)) {
		pk_kv_nil(w, "stack");
		pk_kv_nil(w, "service");
		pk_kv_nil(w, "slot");
	}
	row_id(w, "task", v->claims[claim].c.task);
	pk_kv_str(w, "phase", h.phase);
	if (h.to >= 0)
		pk_kv_str(w, "to", view_member_name(v, (size_t)h.to, arena));
	else
		pk_kv_nil(w, "to");
	pk_kv_u64(w, "number", h.number);
	pk_kv_str(w, "reason", h.number ? place_reason_text(h.number) : "");
	rows_end(r);
}

void verb_drain(struct call *c)
{
	static const char *const states[] = {"alive", "suspect", "dead", "left"};
	const struct view *v = &c->agent->view;
	struct arena arena;
	struct rows r;
	struct err err;
	char text[32];
	int32_t member;
	id64 id = 0;
	bool given;

	if (arg_text(c, "peer", text, sizeof(text), &given, &err) < 0) {
		call_fail(c, &err);
		return;
	}
	member = id64_parse(&id, text) ? member_of(v, id) : -1;
	if (member < 0) {
		err_set(&err, ERR_FAILED, "no peer %s is in sight; see starling node ls", text);
		call_fail(c, &err);
		return;
	}
	arena_init(&arena);
	rows_init(&r);
	pk_map(&r.w, 4);
	row_id(&r.w, "peer", id);
	pk_kv_str(&r.w, "name", view_member_name(v, (size_t)member, &arena));
	pk_kv_str(&r.w, "state", states[v->members[member].state]);
	pk_kv_bool(&r.w, "draining", v->members[member].draining);
	rows_end(&r);
	for (size_t i = 0; i < v->n_claims; i++)
		if (v->claims[i].member == (size_t)member && v->claims[i].c.state < TASK_DONE &&
		        claim_is_live(v, &v->claims[i]))
			pack_held(c->agent, i, &arena, &r);
	call_rows(c, &r);
	rows_free(&r);
	arena_free(&arena);
}
