/*
 * R13: evening out. Whatever moved when peers were lost stays where it is, and a peer that joins is given nothing
 * at once; what is uneven then is put right a little at a time: the owner of a slot that place_rebalance() names
 * hands it over.
 */
#include "node/reconcile_run.h"

/* From one round to the next, and from the first sight of unevenness to the first round, ms: what is uneven because
 * peers restart, or are about to leave, evens out by itself. */
#define REBALANCE_EPOCH MINUTES(1)
/* The same while an operator's order is carried out: what one round changed has to be known everywhere. */
#define ORDERED_EPOCH SECONDS(5)

/* Handovers under way anywhere in the flock, which count against what may move at a time. */
static size_t under_way(const struct view *view)
{
	size_t n = 0;

	for (size_t i = 0; i < view->n_claims; i++)
		n += view->claims[i].c.handover_to != 0;
	return n;
}

void rc_note_handover(struct run *x)
{
	struct reconcile *r = x->r;

	/* Who saw the last epoch begin a little earlier begins the next one a little earlier. */
	if (!r->moving_since || x->now - r->moving_since >= REBALANCE_EPOCH - ORDERED_EPOCH) {
		r->moving_since = x->now;
		r->n_moving = 0;
	}
	r->n_moving++;
}

/* Peers look at different moments, so each has to count what the others moved in this epoch. An order's rounds end with
 * their handovers. */
static size_t used_up(struct run *x, bool ordered)
{
	const struct reconcile *r = x->r;
	size_t busy = under_way(x->view);

	if (ordered || !r->moving_since || x->now - r->moving_since >= REBALANCE_EPOCH)
		return busy;
	rc_wake_at(x, r->moving_since + REBALANCE_EPOCH);
	return MAX(busy, r->n_moving);
}

/* While a slot waits for a peer, peers have room to lose. */
static bool quiet(const struct run *x)
{
	if (!x->ready || x->isolated)
		return false;
	for (size_t i = 0; i < x->p->n_moves; i++)
		if (x->p->moves[i].to >= 0)
			return false;
	for (size_t k = 0; k < x->p->n_slots; k++)
		if (x->p->slots[k].owner < 0 && x->p->slots[k].n_candidates)
			return false;
	for (size_t i = 0; i < x->view->n_members; i++)
		if (x->view->members[i].state == VIEW_SUSPECT)
			return false;
	return true;
}

/* When to look next; 0: now. Looking costs a little, and a storm of news brings many passes. */
static mono_ms not_before(const struct reconcile *r, bool ordered)
{
	if (ordered)
		return r->rebalanced_at + ORDERED_EPOCH;
	if (r->uneven_since)
		return MAX(r->uneven_since, r->rebalanced_at) + REBALANCE_EPOCH;
	return r->looked_at + ORDERED_EPOCH;
}

void rc_rebalance(struct run *x, struct placed_move *out, size_t *n, size_t max)
{
	size_t most = MAX((size_t)1, x->p->n_slots / REBALANCE_SHARE), used, listed;
	struct reconcile *r = x->r;
	bool ordered;

	*n = 0;
	if (!r->ready_since)
		return;
	/* What was ordered before this agent started has been carried out, or the flock is uneven still. */
	if (!r->ordered)
		r->ordered = MAX(x->view->rebalance, (uint64_t)1);
	ordered = x->view->rebalance > r->ordered;
	if (x->now < not_before(r, ordered)) {
		rc_wake_at(x, not_before(r, ordered));
		return;
	}
	r->looked_at = x->now;
	used = used_up(x, ordered);
	if (!quiet(x) || used >= most)
		return; /* a pass follows whatever ends it */
	listed = place_rebalance(x->view, x->p, x->arena, out, MIN(max, most - used));
	if (!listed) {
		r->uneven_since = 0;
		r->ordered = MAX(r->ordered, x->view->rebalance);
	} else if (!r->uneven_since && !ordered) {
		r->uneven_since = x->now;
		rc_wake_at(x, not_before(r, false));
	} else {
		r->uneven_since = r->rebalanced_at = x->now;
		rc_wake_at(x, not_before(r, ordered));
		*n = listed;
	}
}
