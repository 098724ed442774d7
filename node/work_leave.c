/* A peer that leaves drains (its facts say `leaving`); here it is found whether anything can still be handed over. */
#include "node/work_parts.h"

/* With nothing left but tasks that no other peer can take, this many ms pass before they stop: a peer that was about
 * to make room, or to be heard of, may still do so. */
#define STRANDED_FOR SECONDS(3)

static bool others_alive(const struct view *view)
{
	for (size_t i = 0; i < view->n_members; i++)
		if (i != view->self && view->members[i].state == VIEW_ALIVE)
			return true;
	return false;
}

/* A handover under way, or a move that placement lists. */
static bool hands_over(const struct work *w)
{
	const struct view *view = &w->view;

	for (size_t i = 0; i < view->n_claims; i++)
		if (view->claims[i].member == view->self && view->claims[i].c.handover_to)
			return true;
	for (size_t i = 0; i < w->placement.n_moves; i++) {
		const struct placed_move *m = &w->placement.moves[i];

		if (m->to >= 0 && view->claims[w->placement.slots[m->slot].owner].member == view->self)
			return true;
	}
	return false;
}

static bool runs_any(const struct work_input *in)
{
	for (size_t i = 0; i < in->n_tasks; i++) {
		enum task_state s = in->tasks[i].own.state;

		if (s != TASK_DONE && s != TASK_FAILED && s != TASK_LOST)
			return true;
	}
	return false;
}

bool work_may_go(struct work *w, const struct work_input *in)
{
	if (!runs_any(in) || !others_alive(&w->view))
		return true;
	if (hands_over(w)) {
		w->stranded_since = 0;
		return false;
	}
	if (!w->stranded_since)
		w->stranded_since = in->now.mono;
	return in->now.mono - w->stranded_since >= STRANDED_FOR;
}
