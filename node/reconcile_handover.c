/*
 * R11, R12, R14: a slot goes from one living peer to another, and is served all the while.
 *
 *	owner A                                     target B
 *	names B in its claim (handover_to)   ----->  starts the task, if it may and has room; else says refused
 *	goes on serving                      <-----  its claim serves: B is the owner from now on
 *	is left out of DNS, waits HANDOVER_DRAIN,
 *	stops, forgets
 *
 * A service with a writable volume must not run twice: A stops first, keeps the finished task's claim, and B starts
 * once that says so. Whatever breaks off on the way (B is lost, refuses, keeps failing, does nothing; A's reason
 * ends before B began) leaves the slot with A.
 */
#include "node/reconcile_run.h"

/* Between the moment in which the new task is the one that DNS names and the old one's stop, ms: answers given before
 * are used for their TTL of 1 s, and news of the new task's health takes up to another to be everywhere. */
#define HANDOVER_DRAIN SECONDS(2)
/* How long, ms, a target may be silent before another is asked: news takes well under 1 s both ways. */
#define HANDOVER_SILENCE SECONDS(10)
/* How long, ms, an owner keeps a task after a handover came to nothing. */
#define HANDOVER_REST SECONDS(20)
/* Own slots on their way at once: starting them costs their targets, and one after the other takes long. */
#define HANDOVERS_MAX 10
/* So many failures of the target's task, and the slot stays for now. */
#define HANDOVER_FAILURES 3
/* A task that fails wherever it runs is not sent round for ever: so long, ms, until the next peer is asked, doubled
 * each time. */
#define FAILING_REST_FIRST MINUTES(1)
#define FAILING_REST_MAX   MINUTES(60)
/* A move that makes room waits so long, ms, for the slot that needs it to find another way. */
#define MAKE_ROOM_AFTER SECONDS(3)
/* How long, ms, a target looks for room before it refuses: what it stops may be about to end. */
#define UNFIT_FOR SECONDS(3)

static const char *why_text(enum move_why why)
{
	static const char *const texts[] = {
	        [MOVE_DRAIN] = "handed over to another peer: this one drains",
	        [MOVE_FORBIDDEN] = "handed over to another peer: this one may not run it any more",
	        [MOVE_REPAIR] = "handed over to another peer, to make room for another slot",
	        [MOVE_PREEMPT] = "stopped to make room for a slot of higher priority",
	        [MOVE_REBALANCE] = "handed over to another peer, to even out the load",
	        [MOVE_FAILING] = "handed over to another peer: it keeps failing here",
	};

	return texts[why];
}

static const struct view_member *member_of(const struct view *view, id64 id)
{
	for (size_t i = 0; i < view->n_members; i++)
		if (view->members[i].id == id)
			return &view->members[i];
	return NULL;
}

/* A writable folder of the host: two tasks at once would spoil it. */
static bool stops_first(const struct group *g)
{
	return g->service->n_volumes > 0;
}

static const struct placed_move *move_of(const struct run *x, size_t k)
{
	for (size_t i = 0; i < x->n_moves; i++)
		if (x->moves[i].slot == k)
			return &x->moves[i];
	return NULL;
}

/* The moves of own slots: what placement asks for, then what evens out the load. */
static void gather_moves(struct run *x)
{
	struct placed_move even[HANDOVERS_MAX];
	size_t n;

	rc_rebalance(x, even, &n, ARRAY_LEN(even));
	x->moves = arena_array(x->arena, x->p->n_moves + n, sizeof(*x->moves));
	for (size_t i = 0; i < x->p->n_moves + n; i++) {
		const struct placed_move *m = i < x->p->n_moves ? &x->p->moves[i] : &even[i - x->p->n_moves];
		const struct view_claim *owner = owner_of(x, m->slot);

		if (owner && owner->member == x->view->self)
			x->moves[x->n_moves++] = *m;
	}
}

void rc_observe_handovers(struct run *x)
{
	gather_moves(x);
	for (size_t k = 0; k < x->p->n_slots; k++)
		x->n_handing += x->memory[k]->handover_to != 0;
}

/* ---- the owner ---- */

static void break_off(struct run *x, struct memory *m, mono_ms rest)
{
	m->handover_to = 0;
	m->handover_task = 0;
	m->heir_since = 0;
	if (m->handover_why == MOVE_FAILING)
		rest = MAX(rest, MIN(FAILING_REST_FIRST << MIN(m->failing_moves, 6), FAILING_REST_MAX));
	m->failing_moves += m->handover_why == MOVE_FAILING && m->failing_moves < UINT8_MAX;
	m->handover_rest = x->now + rest;
	x->n_handing--;
	/* The claim says so after this run. */
	rc_wake_at(x, rest ? m->handover_rest : x->now);
}

/* Does what the handover was begun for still hold? */
static bool still_wanted(const struct run *x, size_t k, const struct memory *m)
{
	if (m->handover_why == MOVE_DRAIN)
		return x->view->members[x->view->self].draining;
	if (m->handover_why == MOVE_FORBIDDEN)
		return !rc_may_go_on(x, k);
	/* It came to itself before the other began. */
	if (m->handover_why == MOVE_FAILING)
		return !owner_of(x, k) || !claim_serves(&owner_of(x, k)->c);
	return true;
}

static bool refused_by(const struct run *x, size_t k, const struct view_member *m)
{
	size_t from, to = place_claims(x->view, x->p->slots[k].slot, &from);

	for (size_t i = from; i < to; i++) {
		const struct view_claim *c = &x->view->claims[i];

		if (&x->view->members[c->member] == m && c->c.state == TASK_REFUSED &&
		        c->c.revision == stack_of(x, k)->revision_id && c->c.boot >= m->boot)
			return true;
	}
	return false;
}

static const struct view_claim *heir_claim(const struct run *x, size_t k)
{
	const struct placed_slot *ps = &x->p->slots[k];

	return ps->successor < 0 ? NULL : &x->view->claims[ps->successor];
}

/* Placement lists it anew: that target may not take it any more, or promised its room to another. */
static bool goes_elsewhere(const struct run *x, size_t k, const struct memory *m)
{
	const struct placed_move *move = move_of(x, k);

	return move && (move->to < 0 || x->view->members[move->to].id != m->handover_to);
}

/* A handover that came this far: does it go on? Breaks it off if not. */
static bool goes_on(struct run *x, size_t k, struct memory *m)
{
	const struct view_member *target = member_of(x->view, m->handover_to);
	const struct view_claim *heir = heir_claim(x, k);

	if (!target || target->state == VIEW_DEAD || target->state == VIEW_LEFT) {
		break_off(x, m, 0);
	} else if (heir) {
		if (heir->c.state != TASK_FAILED && heir->c.state != TASK_DONE &&
		        heir->c.failures < HANDOVER_FAILURES)
			return true;
		break_off(x, m, HANDOVER_REST);
	} else if (refused_by(x, k, target) || !still_wanted(x, k, m) || goes_elsewhere(x, k, m)) {
		break_off(x, m, 0);
	} else if (x->now - m->handover_at >= HANDOVER_SILENCE) {
		break_off(x, m, HANDOVER_REST);
	} else {
		rc_wake_at(x, m->handover_at + HANDOVER_SILENCE);
		return true;
	}
	return false;
}

/* The other's task is the one that counts: this one goes once nobody can be on his way to it. */
static void drain_own(struct run *x, struct memory *m, const struct own_task *mine)
{
	mono_ms due;

	if (!m->heir_since)
		m->heir_since = x->now;
	due = m->heir_since + HANDOVER_DRAIN;
	if (x->now < due)
		rc_wake_at(x, due);
	else
		rc_stop(x, mine, why_text(m->handover_why));
}

static void begin(struct run *x, struct group *g, struct memory *m, const struct own_task *mine,
        const struct placed_move *move)
{
	m->handover_to = x->view->members[move->to].id;
	m->handover_task = mine->task;
	m->handover_why = move->why;
	m->handover_at = x->now;
	m->heir_since = 0;
	x->n_handing++;
	rc_wake_at(x, x->now); /* so that the claim says so */
	if (stops_first(g))
		rc_stop(x, mine, why_text(move->why));
}

/* Repair and preemption touch what runs well for the sake of another slot: that one must need it for a while. */
static bool ripe(struct run *x, struct memory *m, const struct placed_move *move)
{
	mono_ms due;

	if (!m->move_since)
		m->move_since = x->now;
	due = m->move_since + (move->why == MOVE_REPAIR || move->why == MOVE_PREEMPT ? MAKE_ROOM_AFTER : 0);
	due = MAX(due, m->handover_rest);
	if (x->now >= due)
		return true;
	rc_wake_at(x, due);
	return false;
}

bool rc_hand_over(struct run *x, struct group *g, size_t k, const struct own_task *mine)
{
	const struct placed_slot *ps = &x->p->slots[k];
	struct memory *m = x->memory[k];
	const struct placed_move *move;

	if (m->handover_to && m->handover_task != mine->task)
		break_off(x, m, 0);
	if (other_owner(x, k)) {
		/* Bound to the owner as who gave: else it is a conflict, or this peer is who takes. */
		if (!m->handover_to || ps->predecessor < 0 ||
		        x->view->claims[ps->predecessor].member != x->view->self)
			return false;
		drain_own(x, m, mine);
		return true;
	}
	m->heir_since = 0;
	if (m->handover_to && goes_on(x, k, m))
		return true;
	move = move_of(x, k);
	if (!move) {
		m->move_since = 0;
		if (serves(mine))
			m->failing_moves = 0;
		return false;
	}
	/* What was just taken over stays until who gave it is done. */
	if (!x->ready || x->isolated || m->handover_to || ps->predecessor >= 0 || !ripe(x, m, move))
		return false;
	if (move->why == MOVE_PREEMPT) {
		m->preempted = true;
		rc_stop(x, mine, why_text(move->why));
		return true;
	}
	if (move->to < 0 || x->n_handing >= HANDOVERS_MAX)
		return false;
	begin(x, g, m, mine, move);
	return true;
}

bool rc_handed_over(struct run *x, size_t k, const struct own_task *mine)
{
	struct memory *m = x->memory[k];

	/* As who takes: the owner has to see that it failed. */
	if (other_owner(x, k) && !m->handover_to && bound(x, k))
		return true;
	if (!m->handover_to)
		return false;
	if (m->handover_task == mine->task && !other_owner(x, k) && mine->stopping && goes_on(x, k, m)) {
		/* Stop-first: its claim is what lets the other start. */
		if (!heir_claim(x, k))
			return true;
		rc_forget(x, mine, why_text(m->handover_why));
		break_off(x, m, 0);
		return true;
	}
	if (m->handover_to)
		break_off(x, m, 0);
	return false;
}

/* ---- the target ---- */

bool rc_gives_up(struct run *x, size_t k, const struct own_task *mine)
{
	const struct view_claim *owner = other_owner(x, k);

	if (!owner || !bound(x, k) || owner->c.handover_to != x->view->members[x->view->self].id ||
	        mine->failures < HANDOVER_FAILURES || serves(mine))
		return false;
	rc_stop(x, mine, "it keeps failing here too; the peer that handed it over keeps it");
	rc_act(x, (struct reconcile_action){.kind = DO_REFUSE,
	                  .slot = mine->slot,
	                  .placed = (uint32_t)k,
	                  .why = "it was to take this slot over, and its task kept failing"});
	return true;
}

static bool can_take(const struct run *x, size_t k)
{
	return place_permits(x->view, x->p, k, x->view->self) == REASON_OK;
}

void rc_take_over(struct run *x, struct group *g, size_t k)
{
	const struct view_claim *owner = owner_of(x, k);
	const struct view_member *self = &x->view->members[x->view->self];
	struct memory *m = x->memory[k];

	if (owner->c.handover_to != self->id || x->view->members[owner->member].state != VIEW_ALIVE ||
	        !x->ready) {
		m->unfit_at = 0;
		return;
	}
	if (rc_refused_here(x, k))
		return;
	if (stops_first(g) && owner->c.state != TASK_DONE && owner->c.state != TASK_FAILED)
		return;
	if (can_take(x, k) && rc_start(x, g, k, NULL, "handed over by another peer")) {
		m->unfit_at = 0;
		/* Whom the owner did not see may have the slot, too: the new task has no better right than the old one. */
		m->replaces = owner->c.replaces || owner->c.sight != SIGHT_MOST;
		return;
	}
	if (!m->unfit_at)
		m->unfit_at = x->now;
	if (x->now - m->unfit_at < UNFIT_FOR) {
		rc_wake_at(x, m->unfit_at + UNFIT_FOR);
		return;
	}
	rc_act(x, (struct reconcile_action){.kind = DO_REFUSE,
	                  .slot = x->p->slots[k].slot,
	                  .placed = (uint32_t)k,
	                  .why = "it was to take this slot over, and has no room for it or may not run it"});
}
