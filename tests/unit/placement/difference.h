/* Are two placements of one view the same, in every field? */
#ifndef TESTS_UNIT_PLACEMENT_DIFFERENCE_H
#define TESTS_UNIT_PLACEMENT_DIFFERENCE_H

#include "placement/place.h"

/* What differs first, or NULL. */
static UNUSED const char *placement_difference(const struct placement *a, const struct placement *b)
{
	if (a->n_slots != b->n_slots || a->n_left_out != b->n_left_out)
		return "number of slots";
	for (size_t i = 0; i < a->n_slots; i++) {
		const struct placed_slot *x = &a->slots[i], *y = &b->slots[i];

		if (x->slot != y->slot || x->stack != y->stack || x->service != y->service ||
		        x->index != y->index || x->peer_only != y->peer_only)
			return "slots";
		if (x->owner != y->owner || x->successor != y->successor || x->predecessor != y->predecessor)
			return "owners";
		if (x->n_candidates != y->n_candidates || x->reason != y->reason ||
		        memcmp(x->candidate, y->candidate, sizeof(x->candidate)) != 0)
			return "candidates";
	}
	if (a->n_moves != b->n_moves)
		return "number of moves";
	for (size_t i = 0; i < a->n_moves; i++)
		if (a->moves[i].slot != b->moves[i].slot || a->moves[i].to != b->moves[i].to ||
		        a->moves[i].why != b->moves[i].why || a->moves[i].for_slot != b->moves[i].for_slot ||
		        a->moves[i].reason != b->moves[i].reason)
			return "moves";
	return NULL;
}

#endif
