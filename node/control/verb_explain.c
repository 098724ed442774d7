/* explain: why a slot is where it is, or cannot be anywhere, peer by peer. */
#include "base/text.h"
#include "node/control/call.h"
#include "node/control/fill.h"
#include "node/control/reason.h"
#include "node/control/row.h"

/* What all slots of an answer are told by. */
struct told {
	struct agent *agent;
	struct arena arena;
	struct fill *fill;   /* of each member, with what is planned */
	const size_t *order; /* members by name */
	size_t more;         /* slots that are left out */
};

static void pack_free(const struct facts *f, const struct fill *fill, struct wr *w)
{
	pk_str(w, "free");
	if (!f) {
		pk_nil(w);
		return;
	}
	pk_map(w, 4);
	pk_kv_u64(w, "cpu_milli", f->cpu_milli - MIN(fill->cpu_milli, f->cpu_milli));
	pk_kv_u64(w, "cpu_milli_of", f->cpu_milli);
	pk_kv_u64(w, "memory_bytes", f->memory - MIN(fill->memory, f->memory));
	pk_kv_u64(w, "memory_bytes_of", f->memory);
}

/* This peer's own refusal says what its host lacks; of others' only the number is known. */
static const char *detail_of(struct told *t, size_t slot, size_t member, enum place_reason reason)
{
	struct agent *a = t->agent;
	const struct refusal *refusal = work_refusal(a->work, a->placement.slots[slot].slot);

	if (reason == REASON_REFUSED && member == a->view.self && refusal)
		return refusal->why;
	return reason_detail(&a->view, &a->placement, slot, member, reason, t->fill, &t->arena);
}

static void pack_peer(struct told *t, size_t slot, size_t member, enum place_reason reason, struct wr *w)
{
	const struct view *v = &t->agent->view;
	const struct placed_slot *s = &t->agent->placement.slots[slot];

	pk_map(w, 8);
	row_id(w, "peer", v->members[member].id);
	pk_kv_str(w, "name", view_member_name(v, member, &t->arena));
	pk_kv_u64(w, "number", reason);
	pk_kv_str(w, "reason", place_reason_text(reason));
	pk_kv_str(w, "detail", detail_of(t, slot, member, reason));
	pk_kv_bool(w, "here", s->owner >= 0 && v->claims[s->owner].member == member);
	pk_kv_u64(w, "tasks", t->fill[member].tasks);
	pack_free(v->members[member].facts, &t->fill[member], w);
}

static void pack_slot(struct told *t, size_t slot, struct wr *w)
{
	const struct view *v = &t->agent->view;
	const struct placement *p = &t->agent->placement;
	const struct placed_slot *s = &p->slots[slot];
	enum place_reason *why = arena_array(&t->arena, v->n_members, sizeof(*why));

	place_explain(v, p, slot, why);
	pk_map(w, 7);
	pk_kv_u64(w, "slot", s->index);
	pk_kv_u64(w, "more", t->more);
	pk_str(w, "owner");
	if (s->owner >= 0)
		pk_str(w, view_member_name(v, v->claims[s->owner].member, &t->arena));
	else
		pk_nil(w);
	pk_kv_str(w, "why", reason_slot(v, p, slot, &t->arena));
	pk_kv_bool(w, "global", s->peer_only >= 0);
	pk_str(w, "candidates");
	pk_array(w, s->n_candidates);
	for (size_t i = 0; i < s->n_candidates; i++)
		pk_str(w, view_member_name(v, s->candidate[i], &t->arena));
	pk_str(w, "peers");
	pk_array(w, s->peer_only >= 0 ? 1 : (uint32_t)v->n_members);
	for (size_t i = 0; i < v->n_members; i++)
		if (s->peer_only < 0 || (size_t)s->peer_only == t->order[i])
			pack_peer(t, slot, t->order[i], why[t->order[i]], w);
}

static const struct service *find_service(
        const struct view *v, const char *stack, const char *service, const struct view_stack **of)
{
	for (size_t i = 0; i < v->n_stacks; i++)
		if (strcmp(v->stacks[i].name, stack) == 0 && v->stacks[i].spec) {
			*of = &v->stacks[i];
			return spec_service(v->stacks[i].spec, service);
		}
	return NULL;
}

/* Rows of peers in one answer: each slot looks at every peer, and all of it in one go of the agent's loop. */
#define EXPLAIN_ROWS_MAX  20000
#define EXPLAIN_SLOTS_MAX 64

struct wanted {
	size_t n; /* in all */
	size_t n_slots;
	size_t slot[EXPLAIN_SLOTS_MAX]; /* those that nobody has first */
};

static bool is_wanted(const struct agent *a, const struct placed_slot *s, const char *stack, const char *service)
{
	const struct view_stack *st = &a->view.stacks[s->stack];

	return strcmp(st->name, stack) == 0 && strcmp(st->spec->services[s->service].name, service) == 0;
}

/* index: of the slot; -1 all of the service. */
static void gather(
        const struct agent *a, const char *stack, const char *service, int64_t index, struct wanted *out)
{
	size_t most = EXPLAIN_ROWS_MAX / MAX(a->view.n_members, (size_t)1);

	most = MAX(MIN(most, (size_t)EXPLAIN_SLOTS_MAX), (size_t)1);
	out->n = out->n_slots = 0;
	for (int owned = 0; owned <= 1; owned++)
		for (size_t i = 0; i < a->placement.n_slots; i++) {
			const struct placed_slot *s = &a->placement.slots[i];

			if ((s->owner >= 0) != owned || (index >= 0 && s->index != index) ||
			        !is_wanted(a, s, stack, service))
				continue;
			out->n++;
			if (out->n_slots < most)
				out->slot[out->n_slots++] = i;
		}
}

/* index: of the slot that was asked for; -1 all of the service. */
static void say_none(
        const struct agent *a, const char *stack, const char *service, int64_t index, struct err *err)
{
	const struct view_stack *of = NULL;
	const struct service *s = find_service(&a->view, stack, service, &of);

	if (s && s->mode == MODE_GLOBAL && index > 0)
		err_set(err, ERR_FAILED,
		        "explain %s/%s/%lld: slots of a global service are numbered 0 on every peer; ask for %s/%s",
		        stack, service, (long long)index, stack, service);
	else if (s && s->mode == MODE_GLOBAL)
		err_set(err, ERR_UNPLACEABLE,
		        "explain %s/%s: a global service that no peer may run: see its constraints", stack,
		        service);
	else if (s)
		err_set(err, ERR_FAILED, "explain %s/%s: it has %u replicas, so no such slot", stack, service,
		        s->replicas);
	else
		err_set(err, ERR_FAILED,
		        "explain %s/%s: no such %s here; `starling ls` and `starling ps` list what there is",
		        stack, service, of ? "service" : "stack");
}

static int by_number(const void *pa, const void *pb)
{
	size_t a = *(const size_t *)pa, b = *(const size_t *)pb;

	return a < b ? -1 : a > b;
}

void verb_explain(struct call *c)
{
	struct agent *a = c->agent;
	char stack[NAME_MAX_BYTES], service[NAME_MAX_BYTES];
	struct wanted wanted;
	struct told t = {.agent = a};
	uint64_t index = 0;
	int64_t asked;
	struct rows r;
	struct err err;
	bool given;

	if (arg_text(c, "stack", stack, sizeof(stack), &given, &err) < 0 ||
	        arg_text(c, "service", service, sizeof(service), &given, &err) < 0 ||
	        arg_u64(c, "slot", &index, &given, &err) < 0) {
		call_fail(c, &err);
		return;
	}
	asked = given ? (int64_t)MIN(index, (uint64_t)INT32_MAX) : -1;
	gather(a, stack, service, asked, &wanted);
	if (!wanted.n) {
		say_none(a, stack, service, asked, &err);
		call_fail(c, &err);
		return;
	}
	qsort(wanted.slot, wanted.n_slots, sizeof(wanted.slot[0]), by_number);
	t.more = wanted.n - wanted.n_slots;
	arena_init(&t.arena);
	rows_init(&r);
	t.order = row_members_by_name(&a->view, &t.arena);
	t.fill = arena_array(&t.arena, a->view.n_members, sizeof(*t.fill));
	fill_members(&a->view, &a->placement, t.fill);
	fill_planned(&a->view, &a->placement, t.fill);
	for (size_t i = 0; i < wanted.n_slots; i++) {
		pack_slot(&t, wanted.slot[i], &r.w);
		rows_end(&r);
	}
	call_rows(c, &r);
	rows_free(&r);
	arena_free(&t.arena);
}
