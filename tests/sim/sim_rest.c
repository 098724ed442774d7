/*
 * What must hold once all is quiet: each slot that some peer can run has exactly one task, which serves the winning
 * content; nothing else runs; and all peers name the same owners.
 */
#include "tests/sim/sim_work.h"

#include "tests/sim/sim_core.h"

#include <stdarg.h>

/* A flock at rest stays so; longer than any timer of reconcile but that of refusals. */
#define STAYS_MS MINUTES(1)
/* What is told reaches all, at 20% loss. */
#define NEWS_MS SECONDS(5)
/* One slot a minute moves; stories have few. */
#define EVEN_MS MINUTES(20)

static PRINTF_LIKE(2, 3) void fault(struct sim_rest *r, const char *fmt, ...)
{
	va_list args;

	if (r->text[0])
		return;
	va_start(args, fmt);
	vsnprintf(r->text, sizeof(r->text), fmt, args);
	va_end(args);
}

static const struct work *work_of(const struct sim *s, unsigned peer)
{
	const struct sim_peer *p = &s->peer[peer];

	return p->gossip && gossip_ready(p->gossip) ? s->works->worker[peer].work : NULL;
}

/* All other peers must say the same of each slot. */
static void compare(const struct sim *s, unsigned a, unsigned b, struct sim_rest *r)
{
	const struct placement *p = work_placement(work_of(s, a)), *q = work_placement(work_of(s, b));
	const struct view *v = work_view(work_of(s, a)), *u = work_view(work_of(s, b));

	if (p->n_slots != q->n_slots) {
		r->disputes++;
		fault(r, "peer %u sees %zu slots, peer %u %zu", a, p->n_slots, b, q->n_slots);
		return;
	}
	for (size_t k = 0; k < p->n_slots; k++) {
		const struct placed_slot *x = &p->slots[k], *y = &q->slots[k];
		id64 here = x->owner < 0 ? 0 : v->claims[x->owner].c.task;
		id64 there = y->owner < 0 ? 0 : u->claims[y->owner].c.task;

		if (x->slot == y->slot && here == there)
			continue;
		r->disputes++;
		fault(r, "peers %u and %u name different owners of slot %zu", a, b, k);
	}
}

/* Of a task that is over, and whose host has no agent to forget it. */
static bool is_record(const struct sim *s, const struct sim_task *t)
{
	return sim_task_over(t) && !s->peer[t->host].gossip;
}

struct slot_tasks {
	unsigned serving, others;
};

static struct slot_tasks tasks_of(const struct sim *s, id64 slot, id64 content, id64 revision)
{
	struct slot_tasks n = {0};

	for (unsigned i = 0; i < s->n; i++)
		for (size_t k = 0; k < s->works->worker[i].n_tasks; k++) {
			const struct sim_task *t = s->works->worker[i].tasks[k];

			if (t->w.own.slot != slot || is_record(s, t))
				continue;
			if (t->serving && t->w.own.content == content && t->w.own.revision == revision)
				n.serving++;
			else
				n.others++;
		}
	return n;
}

static void check_slot(
        const struct sim *s, const struct view *v, const struct placed_slot *slot, struct sim_rest *r)
{
	const struct view_stack *st = &v->stacks[slot->stack];
	const struct service *service = &st->spec->services[slot->service];
	struct slot_tasks n = tasks_of(s, slot->slot, service_content(service), st->revision_id);
	bool placeable = slot->owner >= 0 || slot->n_candidates;

	r->unplaced += !placeable;
	if (placeable && !n.serving) {
		r->missing++;
		fault(r, "%s/%s/%u: nobody serves it", st->name, service->name, slot->index);
	}
	if (n.serving + n.others > placeable) {
		r->surplus += n.serving + n.others - placeable;
		fault(r, "%s/%s/%u: %u tasks serve it, %u others are there", st->name, service->name, slot->index,
		        n.serving, n.others);
	}
}

static void check_strays(const struct sim *s, const struct placement *p, struct sim_rest *r)
{
	for (unsigned i = 0; i < s->n; i++)
		for (size_t k = 0; k < s->works->worker[i].n_tasks; k++) {
			const struct sim_task *t = s->works->worker[i].tasks[k];

			if (is_record(s, t) || view_slot(p, t->w.own.slot))
				continue;
			r->surplus++;
			fault(r, "%s/%s/%u is on peer %u, and nobody wants it", t->stack, t->service, t->w.index,
			        i);
		}
}

static size_t slots_of_specs(const struct view *v)
{
	size_t n = 0;

	for (size_t i = 0; i < v->n_stacks; i++)
		for (size_t k = 0; v->stacks[i].spec && k < v->stacks[i].spec->n_services; k++)
			if (v->stacks[i].spec->services[k].mode == MODE_REPLICATED)
				n += v->stacks[i].spec->services[k].replicas;
	return n;
}

/* Who lives and who does not. */
static bool all_know(const struct sim *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (!s->peer[i].gossip && (s->seen[i][MEMBER_ALIVE] || s->seen[i][MEMBER_SUSPECT]))
			return false;
	return sim_all_alive(s);
}

static void check_moves(const struct view *v, const struct placement *p, struct sim_rest *r)
{
	for (size_t i = 0; i < p->n_moves; i++) {
		const struct placed_slot *slot = &p->slots[p->moves[i].slot];

		if (p->moves[i].to >= 0)
			fault(r, "%s/%s/%u has to move", v->stacks[slot->stack].name,
			        v->stacks[slot->stack].spec->services[slot->service].name, slot->index);
	}
}

static bool is_uneven(const struct view *v, const struct placement *p)
{
	struct placed_move move;
	struct arena arena;
	bool uneven;

	arena_init(&arena);
	uneven = place_rebalance(v, p, &arena, &move, 1) > 0;
	arena_free(&arena);
	return uneven;
}

struct sim_rest sim_rest(const struct sim *s)
{
	struct sim_rest r = {0};
	const struct placement *p;
	const struct view *v;
	unsigned first = 0;

	if (!all_know(s) || !sim_all_quiet(s) || !sim_digests_equal(s)) {
		r.disputes = 1;
		fault(&r, "not all have heard of everything");
		return r;
	}
	while (first < s->n && !work_of(s, first))
		first++;
	if (first == s->n) {
		r.disputes = 1;
		fault(&r, "no peer is ready");
		return r;
	}
	for (unsigned i = first + 1; i < s->n; i++)
		if (work_of(s, i))
			compare(s, first, i, &r);
	p = work_placement(work_of(s, first));
	v = work_view(work_of(s, first));
	r.wanted = (unsigned)p->n_slots;
	if (p->n_slots < slots_of_specs(v)) {
		r.missing++;
		fault(&r, "%zu slots are wanted, %zu are placed", slots_of_specs(v), p->n_slots);
	}
	for (size_t k = 0; k < p->n_slots; k++)
		check_slot(s, v, &p->slots[k], &r);
	check_strays(s, p, &r);
	check_moves(v, p, &r);
	r.uneven = is_uneven(v, p);
	return r;
}

bool sim_at_rest(const struct sim *s)
{
	struct sim_rest r = sim_rest(s);

	return !r.text[0] && !r.unplaced;
}

void sim_expect_rest(struct sim *s, int64_t ms, unsigned unplaced)
{
	mono_ms until = s->now + ms;
	struct sim_rest r;
	unsigned starts, stops;
	char text[320];

	/* Looking is dear; what is right for a moment only will be seen to be wrong again. */
	while ((r = sim_rest(s)).text[0] || r.unplaced != unplaced) {
		if (s->now >= until) {
			snprintf(text, sizeof(text), "at rest: %s",
			        r.text[0] ? r.text : "more or fewer slots than expected have no peer");
			sim_fail(s, __FILE__, __LINE__, text);
		}
		sim_run(s, 50);
	}
	/* Then the load is evened out, a slot a minute. */
	for (until = s->now + EVEN_MS; (r = sim_rest(s)).text[0] || r.uneven; sim_run(s, 100))
		if (s->now >= until)
			sim_fail(s, __FILE__, __LINE__, r.text[0] ? r.text : "the load stays uneven");
	starts = s->works->starts + s->works->evened;
	stops = s->works->stops + s->works->evened;
	sim_run(s, STAYS_MS);
	/* A page may be on its way, as when what its peer saw of the flock a minute ago counts no more. */
	for (until = s->now + NEWS_MS; (r = sim_rest(s)).text[0]; sim_run(s, 50))
		if (s->now >= until)
			sim_fail(s, __FILE__, __LINE__, r.text);
	if (s->works->starts + s->works->evened != starts || s->works->stops + s->works->evened != stops)
		sim_fail(s, __FILE__, __LINE__, "a flock at rest starts or stops tasks");
}

void sim_print_work(const struct sim *s, FILE *out)
{
	for (unsigned i = 0; s->works && i < s->n; i++) {
		const struct sim_worker *w = &s->works->worker[i];

		fprintf(out, "tasks of peer %u:", i);
		for (size_t k = 0; k < w->n_tasks; k++) {
			const struct sim_task *t = w->tasks[k];

			fprintf(out, " %s/%s/%u %s%s", t->stack, t->service, t->w.index,
			        task_state_name(t->w.own.state), t->w.own.stopping ? " (stopping)" : "");
		}
		fputc('\n', out);
	}
}
