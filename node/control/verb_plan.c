/* plan, rebalance: what would go where, if a stack were deployed, or if the load were evened out. Nothing is written. */
#include "gossip/trust/trust.h"
#include "node/control/call.h"
#include "node/control/reason.h"
#include "node/control/row.h"
#include "placement/filter.h"

#include <stdio.h>

/* A revision that nobody has signed: no peer has refused it yet. */
#define PLANNED_REVISION 0

/* --- plan --- */

struct plan_ask {
	struct agent *agent;
	const char *name; /* of the stack */
	struct view view; /* the agent's, with the stack as asked */
	struct placement placement;
	struct arena arena;
	struct rows rows;
};

static bool is_stack(const struct plan_ask *q, const struct placed_slot *s)
{
	return strcmp(q->view.stacks[s->stack].name, q->name) == 0;
}

/* The view with that spec in the place of the stack's own, or beside the others in order of name. */
static void put_stack(struct plan_ask *q, const struct spec *spec, uint32_t powers)
{
	const struct view *now = &q->agent->view;
	struct view_stack *stacks = arena_array(&q->arena, now->n_stacks + 1, sizeof(*stacks));
	struct view_stack *st;
	size_t at = 0;
	bool replaces;

	while (at < now->n_stacks && strcmp(now->stacks[at].name, spec->name) < 0)
		at++;
	replaces = at < now->n_stacks && strcmp(now->stacks[at].name, spec->name) == 0;
	memcpy(stacks, now->stacks, at * sizeof(*stacks));
	memcpy(stacks + at + 1, now->stacks + at + replaces, (now->n_stacks - at - replaces) * sizeof(*stacks));
	st = &stacks[at];
	*st = replaces ? now->stacks[at] : (struct view_stack){.name = spec->name};
	st->spec = spec;
	st->have_body = true;
	st->removed = false;
	st->conflict = false;
	st->powers = powers;
	st->revision_id = PLANNED_REVISION;
	q->view = *now;
	q->view.stacks = stacks;
	q->view.n_stacks = now->n_stacks + !replaces;
	q->name = st->name;
}

struct step {
	const char *action;
	int32_t from, to; /* members; -1 */
	enum place_reason number;
	const char *why;
};

static void pack_step(
        struct plan_ask *q, const struct view *v, const struct placed_slot *s, const struct step *step)
{
	struct wr *w = &q->rows.w;

	pk_map(w, 8);
	pk_kv_str(w, "stack", v->stacks[s->stack].name);
	pk_kv_str(w, "service", v->stacks[s->stack].spec->services[s->service].name);
	pk_kv_u64(w, "slot", s->index);
	pk_kv_str(w, "action", step->action);
	if (step->from >= 0)
		pk_kv_str(w, "from", view_member_name(v, (size_t)step->from, &q->arena));
	else
		pk_kv_nil(w, "from");
	if (step->to >= 0)
		pk_kv_str(w, "to", view_member_name(v, (size_t)step->to, &q->arena));
	else
		pk_kv_nil(w, "to");
	pk_kv_u64(w, "number", step->number);
	pk_kv_str(w, "why", step->why);
	rows_end(&q->rows);
}

/* A slot that somebody has: it stays, is replaced there, or has to move. */
static struct step owned(struct plan_ask *q, size_t k, bool changed)
{
	const struct placed_slot *s = &q->placement.slots[k];
	const struct placed_move *m = fill_move(&q->placement, k);
	int32_t owner = (int32_t)q->view.claims[s->owner].member;
	bool waits = q->view.members[owner].state == VIEW_DEAD;
	const char *why = m || waits ? reason_slot(&q->view, &q->placement, k, &q->arena) : "";

	if (m && m->to >= 0)
		return (struct step){"move", owner, m->to, m->reason, why};
	if (m && m->why == MOVE_PREEMPT)
		return (struct step){"stop", owner, -1, m->reason, why};
	if (m)
		return (struct step){"nowhere", owner, -1, m->reason, why};
	return (struct step){changed && !waits ? "replace" : "keep", owner, owner, REASON_OK, why};
}

/* Why a slot that has a candidate does not start all the same: `partition: majority` without one. */
static const char *held_up(struct plan_ask *q, size_t k)
{
	const char *why = reason_slot(&q->view, &q->placement, k, &q->arena);

	return strncmp(why, "waits", strlen("waits")) == 0 ? why : "";
}

static void plan_slot(struct plan_ask *q, size_t k)
{
	const struct placed_slot *s = &q->placement.slots[k];
	const struct service *service = &q->view.stacks[s->stack].spec->services[s->service];
	struct step step = {"nowhere", -1, -1, s->reason, ""};

	if (s->owner >= 0)
		step = owned(q, k, q->view.claims[s->owner].c.content != service_content(service));
	else if (s->n_candidates)
		step = (struct step){"start", -1, (int32_t)s->candidate[0], REASON_OK, held_up(q, k)};
	else
		step.why = reason_slot(&q->view, &q->placement, k, &q->arena);
	/* Where another slot makes room for it. */
	for (size_t i = 0; s->owner < 0 && !s->n_candidates && i < q->placement.n_moves; i++) {
		const struct placed_move *m = &q->placement.moves[i];

		if (m->for_slot == k && m->slot != k) {
			step.action = "start";
			step.to = (int32_t)q->view.claims[q->placement.slots[m->slot].owner].member;
		}
	}
	pack_step(q, &q->view, s, &step);
}

/* Slots of other stacks that this one would push aside. */
static void plan_other(struct plan_ask *q, size_t k)
{
	const struct placed_move *m = fill_move(&q->placement, k);
	struct step step;

	if (!m || (m->why != MOVE_REPAIR && m->why != MOVE_PREEMPT) ||
	        !is_stack(q, &q->placement.slots[m->for_slot]))
		return;
	step = owned(q, k, false);
	pack_step(q, &q->view, &q->placement.slots[k], &step);
}

/* Slots that the stack has now and would have no more. */
static void plan_stops(struct plan_ask *q)
{
	const struct view *v = &q->agent->view;
	const struct placement *p = &q->agent->placement;
	struct map wanted;

	map_init(&wanted, sizeof(id64), NULL);
	for (size_t k = 0; k < q->placement.n_slots; k++)
		if (is_stack(q, &q->placement.slots[k]))
			map_put(&wanted, &q->placement.slots[k].slot, q);
	for (size_t k = 0; k < p->n_slots; k++) {
		const struct placed_slot *s = &p->slots[k];
		struct step step = {"stop", -1, -1, REASON_OK, ""};

		if (strcmp(v->stacks[s->stack].name, q->name) != 0 || map_get(&wanted, &s->slot) || s->owner < 0)
			continue;
		step.from = (int32_t)v->claims[s->owner].member;
		pack_step(q, v, s, &step);
	}
	map_free(&wanted);
}

static uint32_t powers_of(const struct call *c, const char *stack)
{
	struct record rec = {.kind = REC_REVISION, .author = c->key};

	snprintf(rec.name, sizeof(rec.name), "%s", stack);
	return trust_powers_for(gossip_trust(c->agent->gossip), &rec);
}

void verb_plan(struct call *c)
{
	struct plan_ask q = {.agent = c->agent};
	const uint8_t *bytes;
	struct spec spec;
	struct err err;
	bool given;
	size_t len;

	arena_init(&q.arena);
	if (arg_bin(c, "spec", &bytes, &len, &given, &err) < 0 ||
	        spec_decode(&spec, &q.arena, bytes, len, &err) < 0) {
		err.code = ERR_USAGE;
		call_fail(c, &err);
		arena_free(&q.arena);
		return;
	}
	rows_init(&q.rows);
	put_stack(&q, &spec, powers_of(c, spec.name));
	place(&q.view, &q.arena, &q.placement);
	for (size_t k = 0; k < q.placement.n_slots; k++) {
		if (is_stack(&q, &q.placement.slots[k]))
			plan_slot(&q, k);
		else
			plan_other(&q, k);
	}
	plan_stops(&q);
	call_rows(c, &q.rows);
	rows_free(&q.rows);
	arena_free(&q.arena);
}

/* --- rebalance --- */

/* Moves that are shown; whoever has more of them to make will look again. */
#define MOVES_SHOWN_MAX 200

static int by_slot(const void *pa, const void *pb)
{
	const struct view_claim *a = pa, *b = pb;

	if (a->c.slot != b->c.slot)
		return a->c.slot < b->c.slot ? -1 : 1;
	if (a->member != b->member)
		return a->member < b->member ? -1 : 1;
	return a->c.task < b->c.task ? -1 : a->c.task > b->c.task;
}

static void pack_full(
        struct agent *a, size_t m, const struct fill *fill, const char *kind, struct arena *arena, struct rows *r)
{
	const struct view_member *member = &a->view.members[m];
	const struct facts *f = member->facts;
	struct wr *w = &r->w;

	pk_map(w, 7);
	pk_kv_str(w, "kind", kind);
	row_id(w, "peer", member->id);
	pk_kv_str(w, "name", view_member_name(&a->view, m, arena));
	pk_kv_u64(w, "tasks", fill->tasks);
	pk_kv_u64(w, "full_percent", fill_percent(fill, f));
	pk_kv_u64(w, "cpu_milli", fill->cpu_milli);
	pk_kv_u64(w, "memory_bytes", fill->memory);
	rows_end(r);
}

static void pack_move(const struct view *v, const struct placement *p, const struct placed_move *m,
        struct arena *arena, struct rows *r)
{
	const struct placed_slot *s = &p->slots[m->slot];
	struct wr *w = &r->w;

	pk_map(w, 6);
	pk_kv_str(w, "kind", "move");
	pk_kv_str(w, "stack", v->stacks[s->stack].name);
	pk_kv_str(w, "service", v->stacks[s->stack].spec->services[s->service].name);
	pk_kv_u64(w, "slot", s->index);
	pk_kv_str(w, "from", view_member_name(v, v->claims[s->owner].member, arena));
	pk_kv_str(w, "to", view_member_name(v, (size_t)m->to, arena));
	rows_end(r);
}

/* Round after round, as the owners do it, each as if the one before were done. Returns how many moves. */
static size_t play_rounds(struct view *v, struct placement *p, struct arena *arena, struct rows *r)
{
	size_t shown = 0;

	while (shown < MOVES_SHOWN_MAX) {
		size_t most = MIN(MAX((size_t)1, p->n_slots / REBALANCE_SHARE), MOVES_SHOWN_MAX - shown);
		struct placed_move *moves = arena_array(arena, most, sizeof(*moves));
		size_t n = place_rebalance(v, p, arena, moves, most);

		if (!n)
			break;
		for (size_t i = 0; i < n; i++)
			pack_move(v, p, &moves[i], arena, r);
		for (size_t i = 0; i < n; i++) {
			struct view_claim *c = &v->claims[p->slots[moves[i].slot].owner];

			c->member = (size_t)moves[i].to;
			c->c.boot = v->members[c->member].boot;
			c->c.handover_to = 0;
		}
		qsort(v->claims, v->n_claims, sizeof(*v->claims), by_slot);
		place(v, arena, p);
		shown += n;
	}
	return shown;
}

void verb_rebalance(struct call *c)
{
	struct agent *a = c->agent;
	struct view v = a->view;
	struct placement p = a->placement;
	struct fill *now, *then;
	const size_t *order;
	struct arena arena;
	struct rows r;

	arena_init(&arena);
	rows_init(&r);
	now = arena_array(&arena, v.n_members, sizeof(*now));
	then = arena_array(&arena, v.n_members, sizeof(*then));
	fill_members(&v, &p, now);
	v.claims = arena_memdup(&arena, v.claims, v.n_claims * sizeof(*v.claims));
	play_rounds(&v, &p, &arena, &r);
	fill_members(&v, &p, then);
	order = row_members_by_name(&a->view, &arena);
	for (size_t i = 0; i < v.n_members; i++) {
		if (v.members[order[i]].state != VIEW_ALIVE)
			continue;
		pack_full(a, order[i], &now[order[i]], "now", &arena, &r);
		pack_full(a, order[i], &then[order[i]], "then", &arena, &r);
	}
	call_rows(c, &r);
	rows_free(&r);
	arena_free(&arena);
}
