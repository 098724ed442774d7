/*
 * Who starts, who stops, and when. The numbers are those of docs/placement.md.
 *
 * Own tasks
 *  R1  A task whose stack is removed stops. One whose slot is no longer wanted, or whose stack is unknown, stops once
 *      this peer is ready. A stack whose body has not arrived changes nothing.
 *  R2  Of two own tasks of one slot, one stays: running, then of the current content, then the lower id.
 *  R3  Conflict: another peer's claim is the better one (placement/slots.c). The task stops after it has been so for
 *      `yield`, and `yield` + REJOIN_GRACE after that peer came into sight; never while that peer is suspect.
 *  R4  Same content, newer revision: confirmed, no restart, if that revision still permits this peer.
 *  R5  Other content, or no longer permitted by a newer revision: replaced at its turn. Of all slots of the service,
 *      those that do not serve come first, then by index; at most `parallelism` are under way at once, and a slot is
 *      under way from its stop until it has served for `monitor`.
 *  R6  A task that was stopped for its replacement, or was lost with its host's reboot, is started again here at
 *      once, ready or not, while no other peer has the slot.
 *
 * Slots that nobody has
 *  R7  A peer that is not ready starts nothing new; an isolated one no orphan; none beyond its own room.
 *  R8  A global service's slot is started by its peer at once.
 *  R9  A fresh slot (its revision arrived live within `fresh`, no claim seen) is started by candidate 0 at once.
 *  R10 An orphan is started by candidate r after settle + r x deputy_delay, counted from the first suspicion of the
 *      lost owner, else from when this peer saw it orphaned, and not before it has been ready for settle. An owner
 *      that left is not waited for. A peer that only now became candidate r waits r x deputy_delay from now.
 *      A candidate that refused is none, so the next moves up and acts at once.
 */
#include "node/reconcile.h"

#include "base/map.h"
#include "placement/filter.h"

/* A peer that comes back brings its claims as they were; what it says now takes a moment more to arrive. */
#define REJOIN_GRACE SECONDS(2)
/* How long a look at a small part of the flock counts against this peer's claims: longer than any conflict takes. */
#define SIGHT_MEMORY SECONDS(60)
/* Between two tries to start a slot, should the first have left no trace. */
#define START_AGAIN SECONDS(1)

/* What this peer remembers of a slot between runs. */
struct memory {
	uint64_t born;        /* of its service: a stack that was removed and deployed again starts afresh */
	uint32_t generation;  /* last run that knew the slot */
	bool claimed;         /* some peer has had it */
	mono_ms orphan_since; /* 0: somebody has it */
	mono_ms beaten_since; /* R3; 0: not */
	mono_ms tried;        /* last DO_START; 0 never */
	int rank;             /* of this peer among its candidates; -1 none */
	mono_ms rank_since;
	id64 serving_task; /* 0: none serves */
	mono_ms serving_since;
};

struct reconcile {
	struct reconcile_config cfg;
	struct map slots; /* id64 -> struct memory */
	uint32_t generation;
	mono_ms ready_since; /* 0: not ready */
	bool was_ready;
	enum claim_sight sight;
	mono_ms sight_at; /* when it was last as bad as that */
};

struct reconcile_config reconcile_defaults(void)
{
	/* docs/placement.md gives the reasons. */
	return (struct reconcile_config){.settle = SECONDS(3),
	        .deputy_delay = SECONDS(2),
	        .fresh = SECONDS(10),
	        .yield = SECONDS(1),
	        .monitor = SECONDS(1)};
}

struct reconcile *reconcile_new(const struct reconcile_config *cfg)
{
	struct reconcile *r = xcalloc(1, sizeof(*r));

	r->cfg = *cfg;
	/* Slot ids are hashes: no secret needed. */
	map_init(&r->slots, sizeof(id64), NULL);
	return r;
}

void reconcile_free(struct reconcile *r)
{
	if (!r)
		return;
	map_each (&r->slots, m)
		free(m);
	map_free(&r->slots);
	free(r);
}

enum claim_sight reconcile_sight(const struct reconcile *r)
{
	return r->sight;
}

/* One run. */
struct run {
	struct reconcile *r;
	const struct view *view;
	const struct placement *p;
	size_t n_own;
	const struct own_task **own; /* by slot, then task */
	bool *matched;               /* per entry of own: its slot is in the placement */
	struct memory **memory;      /* per slot of the placement */
	struct load load;            /* of own tasks that are not finished */
	bool ready, isolated;
	mono_ms now;
	struct arena *arena;
	struct reconcile_action *actions;
	size_t n_actions, cap_actions;
	mono_ms wake;
};

/* ---- small helpers ---- */

static void act(struct run *x, struct reconcile_action a)
{
	if (x->n_actions == x->cap_actions) {
		struct reconcile_action *more = arena_array(x->arena, x->cap_actions * 2 + 16, sizeof(*more));

		if (x->n_actions)
			memcpy(more, x->actions, x->n_actions * sizeof(*more));
		x->actions = more;
		x->cap_actions = x->cap_actions * 2 + 16;
	}
	x->actions[x->n_actions++] = a;
}

static void stop(struct run *x, const struct own_task *t, const char *why)
{
	act(x, (struct reconcile_action){.kind = DO_STOP, .task = t->task, .slot = t->slot, .why = why});
}

static void forget(struct run *x, const struct own_task *t, const char *why)
{
	act(x, (struct reconcile_action){.kind = DO_FORGET, .task = t->task, .slot = t->slot, .why = why});
}

static void wake_at(struct run *x, mono_ms at)
{
	x->wake = MIN(x->wake, at);
}

static bool finished(const struct own_task *t)
{
	return t->state == TASK_DONE || t->state == TASK_FAILED || t->state == TASK_LOST;
}

static bool serves(const struct own_task *t)
{
	return t->state == TASK_RUNNING && !t->stopping &&
	       (t->health == HEALTH_NONE || t->health == HEALTH_HEALTHY);
}

static const struct view_stack *stack_of(const struct run *x, size_t k)
{
	return &x->view->stacks[x->p->slots[k].stack];
}

static const struct service *service_of(const struct run *x, size_t k)
{
	return &stack_of(x, k)->spec->services[x->p->slots[k].service];
}

static const struct view_claim *owner_of(const struct run *x, size_t k)
{
	return x->p->slots[k].owner < 0 ? NULL : &x->view->claims[x->p->slots[k].owner];
}

/* Another peer's claim that keeps the slot, or NULL. */
static const struct view_claim *other_owner(const struct run *x, size_t k)
{
	const struct view_claim *c = owner_of(x, k);

	return c && c->member != x->view->self ? c : NULL;
}

/* ---- own tasks by slot ---- */

static int by_slot(const void *pa, const void *pb)
{
	const struct own_task *a = *(const struct own_task *const *)pa, *b = *(const struct own_task *const *)pb;

	if (a->slot != b->slot)
		return a->slot < b->slot ? -1 : 1;
	return a->task < b->task ? -1 : a->task > b->task;
}

static void sort_own(struct run *x, const struct own_task *own)
{
	x->own = arena_array(x->arena, x->n_own, sizeof(*x->own));
	x->matched = arena_array(x->arena, x->n_own, sizeof(*x->matched));
	for (size_t i = 0; i < x->n_own; i++)
		x->own[i] = &own[i];
	if (x->n_own)
		qsort(x->own, x->n_own, sizeof(*x->own), by_slot);
}

/* Index of the first own task of a slot, or of the first after it. */
static size_t own_from(const struct run *x, id64 slot)
{
	size_t lo = 0, hi = x->n_own;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (x->own[mid]->slot < slot)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* R2: the one to keep. */
static bool keeps_before(const struct own_task *a, const struct own_task *b, id64 content)
{
	if (finished(a) != finished(b))
		return !finished(a);
	if (a->stopping != b->stopping)
		return !a->stopping;
	if ((a->content == content) != (b->content == content))
		return a->content == content;
	return a->task < b->task;
}

static const struct own_task *keeper_of(const struct run *x, size_t k, id64 content)
{
	id64 slot = x->p->slots[k].slot;
	const struct own_task *best = NULL;

	for (size_t i = own_from(x, slot); i < x->n_own && x->own[i]->slot == slot; i++)
		if (!best || keeps_before(x->own[i], best, content))
			best = x->own[i];
	return best;
}

/* ---- what is remembered ---- */

static struct memory *remember(struct run *x, size_t k)
{
	id64 slot = x->p->slots[k].slot;
	struct memory *m = map_get(&x->r->slots, &slot);
	uint64_t born = service_of(x, k)->born;

	if (!m || m->born != born) {
		if (!m)
			map_put(&x->r->slots, &slot, m = xcalloc(1, sizeof(*m)));
		*m = (struct memory){.born = born, .rank = -1};
	}
	m->generation = x->r->generation;
	return m;
}

/* Has any peer had this slot, as far as claims in view tell? */
static bool any_claim(const struct run *x, size_t k)
{
	size_t from, to = place_claims(x->view, x->p->slots[k].slot, &from);

	for (size_t i = from; i < to; i++)
		if (x->view->claims[i].c.state != TASK_REFUSED)
			return true;
	return false;
}

static void note_serving(struct memory *m, bool serving, id64 task, mono_ms since)
{
	if (!serving) {
		m->serving_task = 0;
	} else if (m->serving_task != task) {
		m->serving_task = task;
		m->serving_since = since;
	}
}

static void note_rank(struct run *x, const struct placed_slot *ps, struct memory *m)
{
	int rank = -1;

	for (int i = 0; i < ps->n_candidates; i++)
		if (ps->candidate[i] == x->view->self)
			rank = i;
	if (rank >= 0 && m->rank < 0)
		m->rank_since = x->now;
	m->rank = rank;
}

static void observe_slot(struct run *x, size_t k, const struct own_task *mine)
{
	struct memory *m = x->memory[k];
	const struct view_claim *owner = owner_of(x, k);

	if (mine && !other_owner(x, k)) {
		note_serving(m, serves(mine), mine->task, mine->healthy_at ? mine->healthy_at : x->now);
		m->orphan_since = finished(mine) && mine->state == TASK_LOST ? x->now : 0;
		m->claimed = true;
	} else if (owner) {
		note_serving(m, claim_serves(&owner->c), owner->c.task, x->now);
		m->orphan_since = 0;
		m->claimed = true;
	} else {
		m->serving_task = 0;
		m->claimed = m->claimed || any_claim(x, k);
		if (!m->orphan_since)
			m->orphan_since = x->now;
	}
	note_rank(x, &x->p->slots[k], m);
}

static void purge(struct reconcile *r)
{
	/* The map may not change while it is walked: one pass per doomed slot would be slow, so gather them first. */
	size_t n = 0;
	cleanup_free id64 *gone = xmalloc((r->slots.len + 1) * sizeof(*gone));
	const void *key;
	struct memory *m;

	for (size_t at = 0; (m = map_next(&r->slots, &at, &key));)
		if (m->generation != r->generation)
			memcpy(&gone[n++], key, sizeof(*gone));
	for (size_t i = 0; i < n; i++)
		free(map_del(&r->slots, &gone[i]));
}

/* How much of the flock is in sight now. Whom an isolated peer sees alive it merely has not accused yet. Before it was ever ready, a peer has not looked yet; but what it already runs
 * then was found again after a restart, and others may have taken it over meanwhile. */
static enum claim_sight look_around(const struct run *x)
{
	size_t all = 0, alive = 0;

	if (!x->r->was_ready)
		return x->n_own ? SIGHT_FEW : SIGHT_MOST;
	if (x->isolated)
		return SIGHT_FEW;
	for (size_t i = 0; i < x->view->n_members; i++) {
		all += x->view->members[i].state != VIEW_LEFT;
		alive += x->view->members[i].state == VIEW_ALIVE;
	}
	return alive * 2 > all ? SIGHT_MOST : alive * 2 == all ? SIGHT_HALF : SIGHT_FEW;
}

static void observe_flock(struct run *x)
{
	struct reconcile *r = x->r;
	enum claim_sight sight;

	if (!x->ready)
		r->ready_since = 0;
	else if (!r->ready_since)
		r->ready_since = x->now;
	r->was_ready |= x->ready;
	sight = look_around(x);
	if (sight < r->sight && x->now - r->sight_at < SIGHT_MEMORY) {
		wake_at(x, r->sight_at + SIGHT_MEMORY);
		return;
	}
	/* Claims that go out after this run still say the old one: another run at once. */
	if (sight != r->sight)
		wake_at(x, x->now);
	r->sight = sight;
	r->sight_at = x->now;
}

/* ---- starting ---- */

static uint32_t own_replicas(const struct run *x, size_t first, size_t n)
{
	uint32_t same = 0;

	for (size_t k = first; k < first + n; k++) {
		id64 slot = x->p->slots[k].slot;

		for (size_t i = own_from(x, slot); i < x->n_own && x->own[i]->slot == slot; i++)
			same += !finished(x->own[i]);
	}
	return same;
}

/* Slots of one service, which stand together in the placement. */
struct group {
	size_t first, n;
	const struct service *service;
	const struct view_stack *stack;
	id64 content;
	uint32_t same;  /* own replicas, with those started in this run */
	bool *may_move; /* per slot, R5; NULL: not worked out yet */
};

/* R7: into what room there is here, whatever was computed for the flock. */
static bool fits_here(const struct run *x, const struct group *g)
{
	const struct facts *f = x->view->members[x->view->self].facts;

	return f && filter_dynamic(f, &x->load, g->service, g->same) == REASON_OK;
}

static bool start(struct run *x, struct group *g, size_t k, const struct own_task *replaces, const char *why)
{
	struct memory *m = x->memory[k];

	if (!fits_here(x, g))
		return false;
	if (!replaces && m->tried && x->now - m->tried < START_AGAIN) {
		wake_at(x, m->tried + START_AGAIN);
		return false;
	}
	act(x, (struct reconcile_action){.kind = DO_START,
	               .slot = x->p->slots[k].slot,
	               .placed = (uint32_t)k,
	               .replaces = replaces ? replaces->task : 0,
	               .why = why});
	m->tried = x->now;
	load_add(&x->load, g->service, x->arena);
	g->same++;
	return true;
}

/* May this peer go on with a slot that it had? What gates only new work does not count. */
static bool may_go_on(const struct run *x, size_t k)
{
	switch (place_permits(x->view, x->p, k, x->view->self)) {
	case REASON_OK:
	case REASON_NOT_ALIVE:
	case REASON_NOT_READY:
	case REASON_DRAINING:
		return true;
	default:
		return false;
	}
}

/* R10: when the wait for the lost owner began; *wait: whether to wait for settle at all. */
static mono_ms orphaned_at(const struct run *x, size_t k, bool *wait)
{
	size_t from, to = place_claims(x->view, x->p->slots[k].slot, &from);
	mono_ms dead = 0;
	bool left = false;

	for (size_t i = from; i < to; i++) {
		const struct view_member *m = &x->view->members[x->view->claims[i].member];

		if (x->view->claims[i].c.state == TASK_REFUSED)
			continue;
		if (m->state == VIEW_DEAD)
			dead = MAX(dead, m->suspected ? m->suspected : m->seen);
		left |= m->state == VIEW_LEFT;
	}
	*wait = dead || !left;
	return dead ? dead : x->memory[k]->orphan_since;
}

static void consider_orphan(struct run *x, struct group *g, size_t k)
{
	const struct reconcile_config *cfg = &x->r->cfg;
	const struct placed_slot *ps = &x->p->slots[k];
	struct memory *m = x->memory[k];
	mono_ms settle = g->service->failover_after_ms ? g->service->failover_after_ms : cfg->settle;
	mono_ms due;
	bool wait;

	if (!x->ready || m->rank < 0)
		return;
	if (ps->peer_only >= 0) {
		start(x, g, k, NULL, "runs on every permitted peer"); /* R8 */
		return;
	}
	if (g->stack->arrived && x->now - g->stack->arrived <= cfg->fresh && !m->claimed && m->rank == 0) {
		start(x, g, k, NULL, "new"); /* R9 */
		return;
	}
	if (x->isolated)
		return;
	due = orphaned_at(x, k, &wait);
	if (wait)
		due = MAX(due, x->r->ready_since) + settle;
	due = MAX(due + m->rank * cfg->deputy_delay, m->rank_since + m->rank * cfg->deputy_delay);
	if (x->now >= due)
		start(x, g, k, NULL, m->claimed ? "its peer was lost" : "nobody has it");
	else
		wake_at(x, due);
}

/* ---- updates, one slot after the other ---- */

enum progress { UP_TO_DATE, UNDER_WAY, OUTDATED, OUTDATED_UNSETTLED };

static bool settled(struct run *x, size_t k)
{
	const struct memory *m = x->memory[k];

	if (!m->serving_task)
		return false;
	if (x->now - m->serving_since >= x->r->cfg.monitor)
		return true;
	wake_at(x, m->serving_since + x->r->cfg.monitor);
	return false;
}

/* Does a newer revision, not yet confirmed, forbid this peer? */
static bool outlawed(const struct run *x, const struct group *g, size_t k, const struct own_task *mine)
{
	return mine->revision != g->stack->revision_id && !may_go_on(x, k);
}

static enum progress progress_of_own(struct run *x, const struct group *g, size_t k, const struct own_task *mine)
{
	if (mine->stopping)
		return UNDER_WAY;
	if (mine->content != g->content || outlawed(x, g, k, mine))
		return settled(x, k) ? OUTDATED : OUTDATED_UNSETTLED;
	return settled(x, k) || mine->state == TASK_DONE ? UP_TO_DATE : UNDER_WAY;
}

static enum progress progress_of(struct run *x, const struct group *g, size_t k)
{
	const struct own_task *mine = keeper_of(x, k, g->content);
	const struct view_claim *c = owner_of(x, k);
	const struct memory *m = x->memory[k];
	mono_ms gap = x->r->cfg.settle + 2 * x->r->cfg.deputy_delay;

	if (mine && !other_owner(x, k))
		return progress_of_own(x, g, k, mine);
	/* `partition: pause` keeps a dead owner's slot; nobody can move it, so nobody waits for it. */
	if (c && x->view->members[c->member].state == VIEW_DEAD)
		return UP_TO_DATE;
	if (c && c->c.state == TASK_STOPPING)
		return UNDER_WAY;
	if (c && c->c.content != g->content)
		return settled(x, k) ? OUTDATED : OUTDATED_UNSETTLED;
	if (c)
		return settled(x, k) || c->c.state == TASK_DONE ? UP_TO_DATE : UNDER_WAY;
	/* Between its stop and its start nobody claims it. A slot that nobody takes for long does not hold up the rest. */
	if (m->claimed && m->orphan_since && x->now - m->orphan_since < gap && x->p->slots[k].n_candidates) {
		wake_at(x, m->orphan_since + gap);
		return UNDER_WAY;
	}
	return UP_TO_DATE;
}

static void work_out_turns(struct run *x, struct group *g)
{
	enum progress *at = arena_array(x->arena, g->n, sizeof(*at));
	size_t under_way = 0, turns;

	g->may_move = arena_array(x->arena, g->n, sizeof(*g->may_move));
	for (size_t i = 0; i < g->n; i++) {
		at[i] = progress_of(x, g, g->first + i);
		under_way += at[i] == UNDER_WAY;
	}
	turns = service_parallelism(g->service) > under_way ? service_parallelism(g->service) - under_way : 0;
	for (size_t i = 0; i < g->n && turns; i++)
		if (at[i] == OUTDATED_UNSETTLED) {
			g->may_move[i] = true;
			turns--;
		}
	for (size_t i = 0; i < g->n && turns; i++)
		if (at[i] == OUTDATED) {
			g->may_move[i] = true;
			turns--;
		}
}

static bool my_turn(struct run *x, struct group *g, size_t k)
{
	/* Without the author's power the new revision may not run: the old one goes on. */
	if (!x->ready || (service_powers(g->service) & ~g->stack->powers))
		return false;
	if (!g->may_move)
		work_out_turns(x, g);
	return g->may_move[k - g->first];
}

/* ---- one slot ---- */

/* R6, R5: in place of a finished task. */
static void start_again(struct run *x, struct group *g, size_t k, const struct own_task *old, const char *why)
{
	forget(x, old, why);
	if (may_go_on(x, k))
		start(x, g, k, old, why);
}

static void tend_finished(struct run *x, struct group *g, size_t k, const struct own_task *mine)
{
	if (other_owner(x, k))
		forget(x, mine, "another peer has its slot");
	else if (mine->stopping)
		start_again(x, g, k, mine, "replaces the task that was stopped");
	else if (mine->state == TASK_LOST)
		start_again(x, g, k, mine, "replaces the task that was lost");
	else if (mine->content == g->content && mine->revision != g->stack->revision_id)
		act(x, (struct reconcile_action){.kind = DO_CONFIRM,
		               .task = mine->task,
		               .slot = mine->slot,
		               .placed = (uint32_t)k,
		               .why = "unchanged by the new revision"});
	else if (mine->content != g->content && my_turn(x, g, k))
		start_again(x, g, k, mine, "changed by a new revision");
}

/* R3. True when another peer has the better claim, whether or not it is time to stop. */
static bool yields(struct run *x, size_t k, const struct own_task *mine)
{
	const struct view_claim *c = other_owner(x, k);
	struct memory *m = x->memory[k];
	const struct view_member *owner;
	mono_ms due;

	if (!c || x->view->members[c->member].state != VIEW_ALIVE || !x->ready) {
		m->beaten_since = 0;
		return c != NULL;
	}
	if (!m->beaten_since)
		m->beaten_since = x->now;
	owner = &x->view->members[c->member];
	due = MAX(m->beaten_since, owner->seen + REJOIN_GRACE) + x->r->cfg.yield;
	if (x->now >= due)
		stop(x, mine, "another peer has the better claim to this slot");
	else
		wake_at(x, due);
	return true;
}

static void tend_running(struct run *x, struct group *g, size_t k, const struct own_task *mine)
{
	if (mine->stopping || yields(x, k, mine))
		return;
	if (mine->content == g->content && !outlawed(x, g, k, mine)) {
		if (mine->revision != g->stack->revision_id)
			act(x, (struct reconcile_action){.kind = DO_CONFIRM,
			               .task = mine->task,
			               .slot = mine->slot,
			               .placed = (uint32_t)k,
			               .why = "unchanged by the new revision"});
		return;
	}
	if (my_turn(x, g, k))
		stop(x, mine,
		        mine->content == g->content ? "the new revision does not permit this peer"
		                                    : "changed by a new revision");
}

static void tend_slot(struct run *x, struct group *g, size_t k)
{
	id64 slot = x->p->slots[k].slot;
	const struct own_task *mine = keeper_of(x, k, g->content);

	for (size_t i = own_from(x, slot); i < x->n_own && x->own[i]->slot == slot; i++) {
		const struct own_task *t = x->own[i];

		if (t == mine)
			continue;
		if (finished(t))
			forget(x, t, "a newer task has its slot");
		else if (!t->stopping)
			stop(x, t, "a second task of this slot on this peer"); /* R2 */
	}
	if (!mine && !owner_of(x, k))
		consider_orphan(x, g, k);
	else if (mine && finished(mine))
		tend_finished(x, g, k, mine);
	else if (mine)
		tend_running(x, g, k, mine);
}

/* ---- slots that nobody wants (R1) ---- */

static const struct view_stack *find_stack(const struct view *view, const char *name)
{
	for (size_t i = 0; name && i < view->n_stacks; i++)
		if (!strcmp(view->stacks[i].name, name))
			return &view->stacks[i];
	return NULL;
}

static void tend_unwanted(struct run *x, const struct own_task *t)
{
	const struct view_stack *st = find_stack(x->view, t->stack);
	bool removed = st && st->removed;

	if (st && !removed && !st->spec)
		return;
	/* Too many slots were wanted to list them all: this may be one of them. */
	if (!removed && (!x->ready || x->p->n_left_out))
		return;
	if (finished(t))
		forget(x, t, "nobody wants its slot");
	else if (!t->stopping)
		stop(x, t, removed ? "stack removed" : st ? "slot is no longer wanted" : "stack is unknown here");
}

/* ---- the run ---- */

static size_t group_len(const struct placement *p, size_t first)
{
	size_t n = 1;

	while (first + n < p->n_slots && p->slots[first + n].stack == p->slots[first].stack &&
	        p->slots[first + n].service == p->slots[first].service)
		n++;
	return n;
}

static struct group group_at(const struct run *x, size_t first)
{
	struct group g = {.first = first,
	        .n = group_len(x->p, first),
	        .service = service_of(x, first),
	        .stack = stack_of(x, first)};

	g.content = service_content(g.service);
	g.same = own_replicas(x, g.first, g.n);
	return g;
}

/* First look at everything, then decide: room and turns depend on all slots. */
static void observe_group(struct run *x, const struct group *g)
{
	for (size_t k = g->first; k < g->first + g->n; k++) {
		id64 slot = x->p->slots[k].slot;

		x->memory[k] = remember(x, k);
		observe_slot(x, k, keeper_of(x, k, g->content));
		for (size_t i = own_from(x, slot); i < x->n_own && x->own[i]->slot == slot; i++) {
			x->matched[i] = true;
			if (!finished(x->own[i]))
				load_add(&x->load, g->service, x->arena);
		}
	}
}

void reconcile_run(struct reconcile *r, const struct view *view, const struct placement *p,
        const struct own_task *own, size_t n_own, bool ready, bool isolated, mono_ms now, struct arena *arena,
        struct reconcile_action **actions, size_t *n_actions, mono_ms *wake)
{
	struct run x = {.r = r,
	        .view = view,
	        .p = p,
	        .n_own = n_own,
	        .ready = ready,
	        .isolated = isolated,
	        .now = now,
	        .arena = arena,
	        .wake = MONO_NEVER};
	size_t n_groups = 0;
	struct group *groups;

	r->generation++;
	sort_own(&x, own);
	x.memory = arena_array(arena, p->n_slots, sizeof(*x.memory));
	groups = arena_array(arena, p->n_slots, sizeof(*groups));
	observe_flock(&x);
	for (size_t k = 0; k < p->n_slots; k += groups[n_groups++].n) {
		groups[n_groups] = group_at(&x, k);
		observe_group(&x, &groups[n_groups]);
	}
	for (size_t i = 0; i < n_own; i++)
		if (!x.matched[i])
			tend_unwanted(&x, x.own[i]);
	for (size_t i = 0; i < n_groups; i++)
		for (size_t k = groups[i].first; k < groups[i].first + groups[i].n; k++)
			tend_slot(&x, &groups[i], k);
	purge(r);
	*actions = x.actions;
	*n_actions = x.n_actions;
	*wake = x.wake;
}
