/* ps, tasks, stacks: what is wanted, what runs, where. */
#include "base/map.h"
#include "node/control/history.h"
#include "node/control/reason.h"
#include "node/control/row.h"

/* --- ps --- */

struct ps {
	char stack[NAME_MAX_BYTES];
	bool given;
};

static bool shown(const struct ps *ps, const char *stack)
{
	return !ps->given || !strcmp(ps->stack, stack);
}

static const char *why_unplaced(const struct agent *a, const struct placed_slot *s, struct arena *arena)
{
	const struct refusal *refusal = work_refusal(a->work, s->slot);
	const struct view *v = &a->view;
	const char *why = reason_slot(v, &a->placement, (size_t)(s - a->placement.slots), arena);

	if (refusal && !s->n_candidates)
		return arena_printf(arena, "no peer can run it: %s (on %s)", refusal->why, a->cfg.name);
	if (refusal)
		return arena_printf(arena, "refused here: %s; %s is next", refusal->why,
		        view_member_name(v, s->candidate[0], arena));
	/* For another slot that makes room, or for a majority of voters. */
	if (strncmp(why, "waits", strlen("waits")) == 0)
		return why;
	if (!s->n_candidates)
		return arena_printf(arena, "no peer can run it: %s", place_reason_text(s->reason));
	for (size_t i = 0; i < v->n_claims; i++) {
		const struct view_claim *c = &v->claims[i];

		if (c->c.slot != s->slot || c->c.state == TASK_REFUSED)
			continue;
		return arena_printf(arena, "its peer %s is lost; %s is next to start it",
		        view_member_name(v, c->member, arena), view_member_name(v, s->candidate[0], arena));
	}
	return arena_printf(arena, "about to start on %s", view_member_name(v, s->candidate[0], arena));
}

/* First claim of a slot among claims sorted by slot. */
static size_t first_claim(const struct view *v, id64 slot)
{
	size_t lo = 0;
	size_t hi = v->n_claims;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (v->claims[mid].c.slot < slot)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* What runs a service: where its file leaves it open, one without an image is a process. */
static enum spec_driver driver_of(const struct service *s)
{
	return service_driver_fits(s, DRIVER_EXEC) ? DRIVER_EXEC : s->driver;
}

static const char *handed_over(const struct view *v, id64 to, struct arena *arena)
{
	for (size_t i = 0; i < v->n_members; i++)
		if (v->members[i].id == to)
			return arena_printf(arena, "hands over to %s", view_member_name(v, i, arena));
	return NULL;
}

static void slot_rows(struct agent *a, const struct placed_slot *s, struct arena *arena, struct rows *r)
{
	const struct view *v = &a->view;
	const struct view_stack *st = &v->stacks[s->stack];
	const struct service *spec = &st->spec->services[s->service];
	id64 content = service_content(spec);
	bool any = false;

	for (size_t i = first_claim(v, s->slot); i < v->n_claims && v->claims[i].c.slot == s->slot; i++) {
		const struct view_claim *c = &v->claims[i];
		struct task_row t = {
		        .stack = st->name,
		        .service = spec->name,
		        .slot = s->index,
		        .claim = &c->c,
		        .spec = spec,
		        .member = (ssize_t)c->member,
		        .current = c->c.content == content,
		        .driver = driver_of(spec),
		        .revision = c->c.revision,
		};

		if (c->c.state == TASK_REFUSED || !claim_is_live(v, c))
			continue;
		row_known(a, &t);
		if (!t.reason && c->c.handover_to)
			t.reason = handed_over(v, c->c.handover_to, arena);
		row_pack(a, &t, arena, r);
		any = true;
	}
	if (!any)
		row_pack(a,
		        &(struct task_row){
		                .stack = st->name,
		                .service = spec->name,
		                .slot = s->index,
		                .spec = spec,
		                .member = -1,
		                .driver = driver_of(spec),
		                .revision = st->revision_id,
		                .reason = why_unplaced(a, s, arena),
		        },
		        arena, r);
}

static int by_place(const void *pa, const void *pb)
{
	const struct placed_slot *a = *(const struct placed_slot *const *)pa;
	const struct placed_slot *b = *(const struct placed_slot *const *)pb;

	if (a->stack != b->stack)
		return a->stack < b->stack ? -1 : 1;
	if (a->service != b->service)
		return a->service < b->service ? -1 : 1;
	if (a->index != b->index)
		return a->index < b->index ? -1 : 1;
	return a->peer_only < b->peer_only ? -1 : a->peer_only > b->peer_only;
}

/* Tasks that nothing wants any more but that still run (stopping): shown until they are gone. */
static void surplus_rows(struct agent *a, const struct ps *ps, struct arena *arena, struct rows *r)
{
	const struct view *v = &a->view;
	struct map wanted;

	map_init(&wanted, sizeof(id64), NULL);
	for (size_t i = 0; i < a->placement.n_slots; i++)
		map_put(&wanted, &a->placement.slots[i].slot, &a->placement.slots[i]);
	for (size_t i = 0; i < v->n_claims; i++) {
		const struct view_claim *c = &v->claims[i];
		struct task_row t = {.claim = &c->c, .member = (ssize_t)c->member, .revision = c->c.revision};

		if (map_get(&wanted, &c->c.slot) || c->c.state == TASK_REFUSED || !claim_is_live(v, c))
			continue;
		if (c->member == v->self) {
			const struct runtime_task *rt = runtime_get(a->runtime, c->c.task);

			if (!rt)
				continue;
			t.stack = rt->stack;
			t.service = rt->service;
			t.slot = rt->index;
			t.driver = rt->driver;
		} else {
			const struct detail *d = ask_detail(control_asker(a->control), c->c.task);

			if (!d)
				continue;
			t.stack = d->stack;
			t.service = d->service;
			t.slot = d->slot;
			t.driver = d->driver;
		}
		if (!shown(ps, t.stack))
			continue;
		row_known(a, &t);
		row_pack(a, &t, arena, r);
	}
	map_free(&wanted);
}

static void ps_send(void *ctx)
{
	struct call *c = ctx;
	struct agent *a = c->agent;
	const struct ps *ps = c->state;
	const struct placed_slot **order = xcalloc(a->placement.n_slots, sizeof(*order));
	struct arena arena;
	struct rows r;

	c->waiting = false;
	arena_init(&arena);
	rows_init(&r);
	for (size_t i = 0; i < a->placement.n_slots; i++)
		order[i] = &a->placement.slots[i];
	qsort(order, a->placement.n_slots, sizeof(*order), by_place);
	for (size_t i = 0; i < a->placement.n_slots; i++)
		if (shown(ps, a->view.stacks[order[i]->stack].name))
			slot_rows(a, order[i], &arena, &r);
	surplus_rows(a, ps, &arena, &r);
	call_rows(c, &r);
	rows_free(&r);
	arena_free(&arena);
	free(order);
}

/* Pid, restarts, exit and start time are known to the owner alone: ask those peers that hold a claim. */
void verb_ps(struct call *c)
{
	const struct view *v = &c->agent->view;
	struct ps *ps = c->state;
	struct key32 *peers;
	size_t n = 0;
	struct err err;

	if (!ps) {
		ps = xcalloc(1, sizeof(*ps));
		c->state = ps;
		c->free_state = free;
		if (arg_text(c, "stack", ps->stack, sizeof(ps->stack), &ps->given, &err) < 0) {
			call_fail(c, &err);
			return;
		}
	}
	peers = xcalloc(v->n_members, sizeof(*peers));
	for (size_t m = 0; m < v->n_members; m++) {
		bool holds = false;

		for (size_t i = 0; i < v->n_claims && !holds; i++)
			holds = v->claims[i].member == m;
		if (holds && m != v->self && v->members[m].state == VIEW_ALIVE)
			peers[n++] = v->members[m].key;
	}
	c->waiting = n && ask_refresh(control_asker(c->control), peers, n, ps_send, c);
	free(peers);
	if (!c->waiting)
		ps_send(c);
}

/* This peer's own tasks, for other peers and for --peer. */
void verb_tasks(struct call *c)
{
	struct agent *a = c->agent;
	const struct view *v = &a->view;
	struct arena arena;
	struct rows r;

	arena_init(&arena);
	rows_init(&r);
	for (size_t i = 0; i < v->n_claims; i++) {
		const struct view_claim *vc = &v->claims[i];
		const struct runtime_task *rt;
		struct task_row t;

		if (vc->member != v->self)
			continue;
		rt = runtime_get(a->runtime, vc->c.task);
		if (!rt)
			continue;
		t = (struct task_row){.stack = rt->stack,
		        .service = rt->service,
		        .slot = rt->index,
		        .claim = &vc->c,
		        .spec = rt->spec,
		        .member = (ssize_t)v->self,
		        .driver = rt->driver,
		        .revision = rt->revision};
		row_from_runtime(&t, rt);
		row_pack(a, &t, &arena, &r);
	}
	call_rows(c, &r);
	rows_free(&r);
	arena_free(&arena);
}

/* --- stacks --- */

struct stack_sum {
	uint32_t desired, running, healthy, stale;
};

static struct stack_sum sum_stack(const struct agent *a, size_t stack)
{
	const struct view *v = &a->view;
	struct stack_sum sum = {0};

	for (size_t i = 0; i < a->placement.n_slots; i++) {
		const struct placed_slot *s = &a->placement.slots[i];
		id64 content;
		bool running = false;
		bool healthy = false;

		if (s->stack != stack)
			continue;
		content = service_content(&v->stacks[stack].spec->services[s->service]);
		sum.desired++;
		for (size_t k = first_claim(v, s->slot); k < v->n_claims && v->claims[k].c.slot == s->slot; k++) {
			const struct view_claim *c = &v->claims[k];

			if (!claim_is_live(v, c) || c->c.state == TASK_REFUSED)
				continue;
			if (c->c.state == TASK_RUNNING || c->c.state == TASK_UNHEALTHY)
				running = true;
			if (claim_serves(&c->c))
				healthy = true;
			sum.stale += c->c.content != content;
		}
		sum.running += running;
		sum.healthy += healthy;
	}
	return sum;
}

struct stack_rows {
	struct agent *agent;
	struct rows r;
};

static void stack_row(struct stack_rows *l, const char *name, const struct view_stack *st)
{
	size_t quarantined = history_quarantined(l->agent, name);
	bool gone = !st || st->removed; /* nothing of it runs */
	struct stack_sum sum = {0};
	struct wr *w = &l->r.w;

	if (gone && !quarantined)
		return;
	if (!gone)
		sum = sum_stack(l->agent, (size_t)(st - l->agent->view.stacks));
	pk_map(w, 9);
	pk_kv_str(w, "stack", name);
	if (gone)
		pk_kv_nil(w, "revision");
	else
		row_id(w, "revision", st->revision_id);
	pk_kv_u64(w, "services", !gone && st->spec ? st->spec->n_services : 0);
	pk_kv_u64(w, "desired", sum.desired);
	pk_kv_u64(w, "running", sum.running);
	pk_kv_u64(w, "healthy", sum.healthy);
	pk_kv_bool(w, "conflict", !gone && st->conflict);
	pk_kv_u64(w, "quarantined", quarantined);
	pk_kv_str(w, "update",
	        gone                        ? "nothing that counts"
	        : !st->have_body            ? "waiting for the revision's body"
	        : sum.stale                 ? "updating"
	        : sum.healthy < sum.desired ? "starting"
	                                    : "settled");
	rows_end(&l->r);
}

/* A stack of the view, or one that is only quarantined. */
static void any_stack(const char *name, void *ctx)
{
	struct stack_rows *l = ctx;
	const struct view *v = &l->agent->view;
	size_t lo = 0, hi = v->n_stacks; /* sorted by name */

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(v->stacks[mid].name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	stack_row(l, name, lo < v->n_stacks && strcmp(v->stacks[lo].name, name) == 0 ? &v->stacks[lo] : NULL);
}

void verb_stacks(struct call *c)
{
	struct stack_rows l = {.agent = c->agent};

	rows_init(&l.r);
	store_each_stack(gossip_store(c->agent->gossip), any_stack, &l);
	call_rows(c, &l.r);
	rows_free(&l.r);
}
