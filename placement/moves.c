/*
 * Forced moves. A slot that runs stays where it is until its peer drains, or is no longer what the service asks for, or its task
 * has failed too often there; then its owner hands it over. A handover under way goes on while its target may still take the
 * slot: asking again each time might name another target each time.
 */
#include "placement/moves.h"

#define MOVES_FIRST 16 /* room for so many moves at first; doubles */

void plan_move(struct plan *plan, struct placed_move m)
{
	struct placement *out = plan->out;

	if (out->n_moves == plan->cap_moves) {
		size_t cap = plan->cap_moves ? plan->cap_moves * 2 : MOVES_FIRST;
		struct placed_move *more = arena_array(plan->arena, cap, sizeof(*more));

		if (out->n_moves)
			memcpy(more, out->moves, out->n_moves * sizeof(*more));
		out->moves = more;
		plan->cap_moves = cap;
	}
	out->moves[out->n_moves++] = m;
}

/* Has the member a claim that says that the slot's task is over there for good? */
static bool ended_there(const struct board *b, size_t slot, size_t member)
{
	for (size_t i = b->claims[slot].from; i < b->claims[slot].to; i++) {
		const struct view_claim *c = &b->view->claims[i];

		if (c->member == member && !claim_takes_room(c) && claim_is_live(b->view, c))
			return true;
	}
	return false;
}

static bool handover_goes_on(
        const struct board *b, const struct item *it, const struct placed_slot *s, size_t slot)
{
	int32_t to = slot_heir(b->view, s);

	if (to < 0 || ended_there(b, slot, (size_t)to) ||
	        slot_refused(b->view, b->claims[slot], it->stack, (size_t)to))
		return false;
	switch (filter_static(b->view, it->stack, it->service, it->pinned, (size_t)to)) {
	case REASON_OK:
		break;
	case REASON_NOT_ALIVE:
		if (b->view->members[to].state != VIEW_SUSPECT)
			return false;
		break;
	case REASON_NO_FACTS:
	case REASON_NOT_READY:
		if (s->successor < 0)
			return false;
		break;
	default:
		return false;
	}
	/* Of handovers that were promised the same room by peers that did not know of each other, the first in order go
	 * on. */
	return slot_promised(b->view, it->service, s, b->claims[slot]) < 0 || !b->peers[to].facts ||
	       !load_exceeds(&b->peers[to].load, b->peers[to].facts);
}

/* Where it is it may not work, for a reason that no filter knows: a disk that is full, a network that is not there. */
static bool keeps_failing(const struct service *s, const struct claim *c)
{
	return c->failures >= service_move_after(s) && !claim_serves(c) && c->state != TASK_STOPPING;
}

enum place_reason must_go(const struct board *b, const struct item *it, const struct placed_slot *s)
{
	const struct view_claim *c = s->owner >= 0 ? &b->view->claims[s->owner] : NULL;
	enum place_reason why;

	/* Who is away cannot hand over: it is no owner, or its slot waits for it (`partition: pause`). */
	if (!c || s->peer_only >= 0 || !claim_takes_room(c) || b->view->members[c->member].state == VIEW_DEAD)
		return REASON_OK;
	why = filter_lost(b->view, it->stack, it->service, it->pinned, c->member);
	return why == REASON_OK && keeps_failing(it->service, &c->c) ? REASON_FAILING : why;
}

static void list_move(struct turn *t, size_t slot, enum place_reason why)
{
	struct board *b = t->plan->board;
	const struct placed_slot *s = &t->plan->out->slots[slot];
	struct placed_move m = {.slot = (uint32_t)slot,
	        .to = -1,
	        .why = why == REASON_DRAINING  ? MOVE_DRAIN
	               : why == REASON_FAILING ? MOVE_FAILING
	                                       : MOVE_FORBIDDEN,
	        .for_slot = (uint32_t)slot,
	        .reason = why};
	int32_t owner = (int32_t)b->view->claims[s->owner].member;
	int32_t promised = slot_promised(b->view, t->item->service, s, b->claims[slot]);
	uint32_t best[PLACE_CHOICES];
	size_t n;

	if (promised >= 0)
		turn_release(t, (size_t)promised);
	n = turn_choose(t, slot, owner, best);
	for (size_t i = 0; i < n && m.to < 0; i++)
		if (!ended_there(b, slot, best[i]))
			m.to = (int32_t)best[i];
	if (m.to < 0) {
		enum place_reason others = turn_common_reason(t, slot, owner);

		if (others != REASON_NOT_ALIVE)
			m.reason = others;
	} else if (!slot_runs_at(b->view, t->item->service, b->claims[slot], (size_t)m.to)) {
		turn_take(t, (size_t)m.to);
		t->plan->target[slot] = m.to;
	}
	plan_move(t->plan, m);
}

void move_if_must(struct turn *t, const struct item *it, size_t slot)
{
	const struct board *b = t->plan->board;
	const struct placed_slot *s = &t->plan->out->slots[slot];
	enum place_reason why = must_go(b, it, s);

	if (why == REASON_OK || handover_goes_on(b, it, s, slot))
		return;
	turn_to(t, it);
	list_move(t, slot, why);
}
