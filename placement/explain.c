/* Why a slot is where it is, or cannot be anywhere: the filters' answers for every peer, all other slots in place. */
#include "placement/slots.h"

/* Where another orphan will start, or -1. */
static int32_t starts_at(const struct placement *p, size_t slot)
{
	const struct placed_slot *s = &p->slots[slot];

	return s->owner < 0 && s->n_candidates ? (int32_t)s->candidate[0] : -1;
}

/* What peers carry besides this slot: owners, surplus and handovers are on the board; candidates of other orphans and
 * targets of other moves are not. */
static void add_decided(struct board *b, const struct placement *p, size_t but)
{
	size_t move = 0;

	for (size_t i = 0; i < b->n_items; i++)
		for (size_t k = b->items[i].first; k < b->items[i].first + b->items[i].n_slots; k++) {
			const struct placed_move *m = move < p->n_moves ? &p->moves[move] : NULL;
			int32_t to = starts_at(p, k);

			if (m && m->slot == k) {
				to = m->to;
				move++;
			}
			if (k != but && to >= 0)
				load_add(&b->peers[to].load, b->items[i].service, &b->scratch);
		}
}

enum place_reason place_permits(const struct view *view, const struct placement *p, size_t slot, size_t member)
{
	const struct placed_slot *ps = &p->slots[slot];
	const struct view_stack *stack = &view->stacks[ps->stack];
	enum place_reason r = filter_static(view, stack, &stack->spec->services[ps->service], member);

	if (r == REASON_OK && slot_refused(view, claims_of(view, ps->slot), stack, member))
		r = REASON_REFUSED;
	return r;
}

size_t place_claims(const struct view *view, id64 slot, size_t *from)
{
	struct range r = claims_of(view, slot);

	*from = r.from;
	return r.to;
}

void place_explain(const struct view *view, const struct placement *p, size_t slot, enum place_reason *out)
{
	const struct placed_slot *ps = &p->slots[slot];
	const struct item *it;
	struct placement again;
	struct arena result;
	struct board b;
	uint32_t *same;
	size_t i = 0;

	arena_init(&result);
	board_init(&b, view, &result, &again);
	add_decided(&b, p, slot);
	while (slot >= b.items[i].first + b.items[i].n_slots)
		i++;
	it = &b.items[i];
	same = arena_array(&b.scratch, view->n_members, sizeof(*same));
	board_count(&b, p, it, same);
	for (size_t k = it->first; k < it->first + it->n_slots; k++)
		if (k != slot && starts_at(p, k) >= 0)
			same[starts_at(p, k)]++;
	for (size_t k = 0; k < p->n_moves; k++)
		if (p->moves[k].slot >= it->first && p->moves[k].slot < it->first + it->n_slots &&
		        p->moves[k].slot != slot && p->moves[k].to >= 0)
			same[p->moves[k].to]++;
	for (size_t m = 0; m < view->n_members; m++) {
		bool here = (ps->owner >= 0 && view->claims[ps->owner].member == m) ||
		            (int32_t)m == slot_heir(view, ps);

		out[m] = place_permits(view, p, slot, m);
		/* The room, port and count of the owner, and of whom it hands over to, are taken by this very slot. */
		if (out[m] == REASON_OK && !here)
			out[m] = filter_dynamic(b.peers[m].facts, &b.peers[m].load, it->service, same[m]);
	}
	board_free(&b);
	arena_free(&result);
}
