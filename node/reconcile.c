/*
 * Who starts, who stops, and when. The numbers are those of docs/placement.md.
 *
 * Own tasks
 *  R1  A task whose stack is removed stops. One whose slot is no longer wanted, or whose stack is unknown, stops once
 *      this peer is ready. A stack whose body has not arrived changes nothing.
 *  R2  Of two own tasks of one slot, one stays: running, then of the current content, then the lower id.
 *  R3  Conflict: another peer's claim is the better one (placement/slots.c). The task stops after it has been so for
 *      `yield`, and `yield` + REJOIN_GRACE after that peer came into sight; never while that peer is suspect. One that
 *      has served all along, in sight of most, does not stop for a newcomer that neither replaces nor was handed it:
 *      operators are told (DO_DISPUTE).
 *  R4  Same content, newer revision: confirmed, no restart, if that revision still permits this peer.
 *  R5  Other content: replaced at its turn, where it may run here. Of all slots of the service,
 *      those that do not serve come first, then by index; at most `parallelism` are under way at once, and a slot is
 *      under way from its stop until it has served for `monitor`, and while it is handed over; one that was refused and
 *      that nobody serves stays under way, so an update that no peer can start stops at its first slots.
 *  R6  A task that was stopped for its replacement is started again here at once, ready or not, while no other peer
 *      has the slot. One that was lost with its host's reboot, ended by its watchdog, or ended unseen although it has
 *      one, waits until this peer is ready, and so knows who has the slot.
 *
 * Slots that nobody has
 *  R7  A peer that is not ready starts nothing new; an isolated one no orphan; none beyond its own room.
 *  R8  A global service's slot is started by its peer at once.
 *  R9  A fresh slot (its revision arrived live within `fresh`, no claim seen) is started at once by who was candidate 0 when
 *      it first saw that revision; by who is that now, a second later.
 *  R10 An orphan is started by candidate r after settle + r x deputy_delay, counted from the first suspicion of the
 *      lost owner, else from when this peer saw it orphaned, and not before it has been ready for `newcomer`. An owner
 *      that left is not waited for. A peer that only now became candidate r waits r x deputy_delay from now.
 *      A candidate that refused is none, so the next moves up and acts at once.
 *
 * Slots that move (reconcile_handover.c, reconcile_rebalance.c, reconcile_partition.c)
 *  R11 What placement wants elsewhere (a drain, a permission lost, room for another slot) its owner hands over: names the
 *      target, serves until that serves, then 2 s more, then stops. With a writable volume it stops first.
 *  R12 Who is named starts the slot, or refuses. A handover whose target is lost, refuses, fails or is silent is broken
 *      off and another is named.
 *  R13 A flock that stays uneven is evened out, at most one slot in a hundred per epoch.
 *  R14 A task that was stopped for a slot of higher priority is an orphan like any other.
 *  R16 A slot whose task keeps failing here is offered to another peer; one that fails there as well stays.
 *  R17 A slot that nobody has waits for the services that it depends on.
 *  R15 `partition: majority`: while not over half of the voters are in sight, tasks stop and none starts. A peer that is
 *      not ready starts none and stops none.
 */
#include "node/reconcile_run.h"

/* A peer that comes back brings its claims as they were; what it says now takes a moment more to arrive. */
#define REJOIN_GRACE SECONDS(2)

struct reconcile_config reconcile_defaults(void)
{
	/* docs/placement.md gives the reasons. */
	return (struct reconcile_config){.settle = 2500,
	        .newcomer = SECONDS(5),
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

void reconcile_claim(const struct reconcile *r, struct claim *c)
{
	const struct memory *m = map_get(&r->slots, &c->slot);

	c->sight = r->sight;
	if (!m || c->state == TASK_REFUSED)
		return;
	c->replaces = m->replaces;
	c->handover_to = m->handover_task == c->task ? m->handover_to : 0;
}

/* ---- actions ---- */

void rc_act(struct run *x, struct reconcile_action a)
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

void rc_stop(struct run *x, const struct own_task *t, const char *why)
{
	rc_act(x, (struct reconcile_action){.kind = DO_STOP, .task = t->task, .slot = t->slot, .why = why});
}

void rc_forget(struct run *x, const struct own_task *t, const char *why)
{
	rc_act(x, (struct reconcile_action){.kind = DO_FORGET, .task = t->task, .slot = t->slot, .why = why});
}

void rc_wake_at(struct run *x, mono_ms at)
{
	x->wake = MIN(x->wake, at);
}

/* ---- one slot ---- */

/* R6, R5: in place of a finished task. */
static void start_again(struct run *x, struct group *g, size_t k, const struct own_task *old, const char *why)
{
	struct memory *m = x->memory[k];

	rc_forget(x, old, why);
	if (m->preempted)
		m->preempted = false; /* R14 */
	else if (rc_may_go_on(x, k))
		rc_start(x, g, k, old, why);
}

static void tend_finished(struct run *x, struct group *g, size_t k, const struct own_task *mine)
{
	if (rc_handed_over(x, k, mine))
		return;
	if (other_owner(x, k))
		rc_forget(x, mine, "another peer has its slot");
	else if ((mine->alone || mine->state == TASK_LOST) && !x->ready)
		return; /* readiness makes another run */
	else if (mine->stopping)
		start_again(x, g, k, mine, "replaces the task that was stopped");
	else if (mine->state == TASK_LOST && rc_waits(x, g, k))
		return; /* R17 */
	else if (mine->state == TASK_LOST)
		start_again(x, g, k, mine, "replaces the task that was lost");
	else if (mine->content == g->content && mine->revision != g->stack->revision_id && rc_may_go_on(x, k))
		rc_act(x, (struct reconcile_action){.kind = DO_CONFIRM,
		                  .task = mine->task,
		                  .slot = mine->slot,
		                  .placed = (uint32_t)k,
		                  .why = "unchanged by the new revision"});
	else if (mine->content != g->content && rc_my_turn(x, g, k))
		start_again(x, g, k, mine, "changed by a new revision");
}

/* R3: a claim out of nowhere by a peer that was there all the while. Whoever has a reason to start a slot that is
 * served says so in its claim (handover_to, replaces), or has seen little of the flock of late. */
static bool is_disputed(
        const struct run *x, size_t k, const struct own_task *mine, const struct view_claim *rival)
{
	const struct memory *m = x->memory[k];

	return serves(mine) && mine->healthy_at && x->r->sight == SIGHT_MOST && !m->replaces &&
	       !rival->c.replaces && m->beaten_since - mine->healthy_at >= RC_SIGHT_MEMORY &&
	       m->beaten_since - x->view->members[rival->member].seen >= RC_SIGHT_MEMORY;
}

static void dispute(struct run *x, size_t k, const struct view_claim *rival)
{
	struct memory *m = x->memory[k];

	if (m->disputed == rival->c.task)
		return;
	m->disputed = rival->c.task;
	rc_act(x, (struct reconcile_action){.kind = DO_DISPUTE,
	                  .slot = rival->c.slot,
	                  .placed = (uint32_t)k,
	                  .peer = x->view->members[rival->member].id,
	                  .why = "another peer claims a slot that this one has served all along"});
}

/* R3. True when another peer has the better claim, whether or not it is time to stop. */
static bool yields(struct run *x, size_t k, const struct own_task *mine)
{
	const struct view_claim *c = other_owner(x, k);
	struct memory *m = x->memory[k];
	const struct view_member *owner;
	mono_ms due;

	if (!c || x->view->members[c->member].state != VIEW_ALIVE || !x->ready || bound(x, k)) {
		m->beaten_since = 0;
		return c != NULL;
	}
	if (!m->beaten_since || m->rival != c->c.task) {
		m->beaten_since = x->now;
		m->rival = c->c.task;
	}
	owner = &x->view->members[c->member];
	if (is_disputed(x, k, mine, c)) {
		dispute(x, k, c);
		return true;
	}
	due = MAX(m->beaten_since, owner->seen + REJOIN_GRACE) + x->r->cfg.yield;
	/* Nobody misses what does not serve yet, and the other serves: as when an owner took its word back. */
	if (mine->state < TASK_RUNNING && claim_serves(&c->c) && x->now >= owner->seen + REJOIN_GRACE)
		due = x->now;
	if (x->now >= due)
		rc_stop(x, mine, "another peer has the better claim to this slot");
	else
		rc_wake_at(x, due);
	return true;
}

static void tend_running(struct run *x, struct group *g, size_t k, const struct own_task *mine)
{
	if (mine->stopping || rc_hand_over(x, g, k, mine) || rc_gives_up(x, k, mine) || yields(x, k, mine))
		return;
	if (mine->content == g->content) {
		if (mine->revision != g->stack->revision_id && rc_may_go_on(x, k))
			rc_act(x, (struct reconcile_action){.kind = DO_CONFIRM,
			                  .task = mine->task,
			                  .slot = mine->slot,
			                  .placed = (uint32_t)k,
			                  .why = "unchanged by the new revision"});
		return;
	}
	/* Where it may not run any more it waits for its handover. */
	if (rc_may_go_on(x, k) && rc_my_turn(x, g, k))
		rc_stop(x, mine, "changed by a new revision");
}

/* R15. */
static void tend_minority(struct run *x, const struct own_task *mine)
{
	if (!mine || !x->ready)
		return;
	if (finished(mine))
		rc_forget(x, mine, "partition: majority: it goes on where over half of the voters are");
	else if (!mine->stopping)
		rc_stop(x, mine, "partition: majority: not over half of the voters are in sight");
}

static void tend_slot(struct run *x, struct group *g, size_t k)
{
	id64 slot = x->p->slots[k].slot;
	const struct own_task *mine = rc_keeper_of(x, k, g->content);

	for (size_t i = rc_own_from(x, slot); i < x->n_own && x->own[i]->slot == slot; i++) {
		const struct own_task *t = x->own[i];

		if (t == mine)
			continue;
		if (finished(t))
			rc_forget(x, t, "a newer task has its slot");
		else if (!t->stopping)
			rc_stop(x, t, "a second task of this slot on this peer"); /* R2 */
	}
	if (!rc_permitted_by_sight(x, g))
		tend_minority(x, mine);
	else if (!mine && !owner_of(x, k))
		rc_consider_orphan(x, g, k);
	else if (!mine)
		rc_take_over(x, g, k);
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
		rc_forget(x, t, "nobody wants its slot");
	else if (!t->stopping)
		rc_stop(x, t,
		        removed ? "stack removed"
		        : st    ? "slot is no longer wanted"
		                : "stack is unknown here");
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

static uint32_t own_replicas(const struct run *x, size_t first, size_t n)
{
	uint32_t same = 0;

	for (size_t k = first; k < first + n; k++) {
		id64 slot = x->p->slots[k].slot;

		for (size_t i = rc_own_from(x, slot); i < x->n_own && x->own[i]->slot == slot; i++)
			same += !finished(x->own[i]);
	}
	return same;
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
	rc_sort_own(&x, own);
	x.memory = arena_array(arena, p->n_slots, sizeof(*x.memory));
	groups = arena_array(arena, p->n_slots, sizeof(*groups));
	rc_observe_flock(&x);
	for (size_t k = 0; k < p->n_slots; k += groups[n_groups++].n) {
		groups[n_groups] = group_at(&x, k);
		rc_observe_group(&x, &groups[n_groups]);
	}
	rc_observe_unwanted(&x);
	rc_observe_handovers(&x);
	for (size_t i = 0; i < n_own; i++)
		if (!x.matched[i])
			tend_unwanted(&x, x.own[i]);
	for (size_t i = 0; i < n_groups; i++)
		for (size_t k = groups[i].first; k < groups[i].first + groups[i].n; k++)
			tend_slot(&x, &groups[i], k);
	rc_purge(r);
	*actions = x.actions;
	*n_actions = x.n_actions;
	*wake = x.wake;
}
