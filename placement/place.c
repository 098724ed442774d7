/* Who must run what: slots with a live claim stay, orphans are placed, and what has to move is listed. */
#include "placement/room.h"

static void place_orphan(struct turn *t, size_t slot)
{
	struct placed_slot *s = &t->plan->out->slots[slot];

	s->n_candidates = (uint8_t)turn_choose(t, slot, -1, s->candidate);
	if (s->n_candidates) {
		turn_take(t, s->candidate[0]);
		room_note(t->plan, t->item, slot);
	} else if (!room_make(t, slot)) {
		s->reason = turn_common_reason(t, slot, -1);
	}
}

/* Orphans come before what still runs where it should not; both before any slot of a later service. */
static void place_service(struct turn *t, const struct item *it)
{
	const struct placed_slot *slots = t->plan->out->slots;

	for (size_t k = it->first; k < it->first + it->n_slots; k++)
		if (slots[k].owner < 0) {
			turn_to(t, it);
			place_orphan(t, k);
		}
	for (size_t k = it->first; k < it->first + it->n_slots; k++)
		if (slots[k].owner >= 0)
			move_if_must(t, it, k);
}

static int by_slot(const void *pa, const void *pb)
{
	const struct placed_move *a = pa, *b = pb;

	return a->slot < b->slot ? -1 : a->slot > b->slot;
}

void place_on(struct board *b, struct arena *arena, struct placement *out)
{
	struct plan plan = {.board = b, .out = out, .arena = arena};
	struct turn t;

	plan.target = arena_array(&b->scratch, out->n_slots, sizeof(*plan.target));
	memset(plan.target, -1, out->n_slots * sizeof(*plan.target));
	turn_init(&t, &plan);
	for (size_t i = 0; i < b->n_items; i++)
		if (!b->items[i].quiet)
			place_service(&t, &b->items[i]);
	if (out->n_moves)
		qsort(out->moves, out->n_moves, sizeof(*out->moves), by_slot);
}

void place(const struct view *view, struct arena *arena, struct placement *out)
{
	struct board b;

	board_init(&b, view, arena, out);
	place_on(&b, arena, out);
	board_free(&b);
}
