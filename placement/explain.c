/* Why a slot is where it is, or cannot be anywhere: the filters' answers for every peer, all other slots in place. */
#include "placement/slots.h"

/* Where an orphan will start, or a slot that moves, as far as the board does not know it; -1. *move goes along the
 * moves, which are in the order of slots. */
static int32_t goes_to(
        const struct board *b, const struct placement *p, const struct item *it, size_t slot, size_t *move)
{
	const struct placed_slot *s = &p->slots[slot];
	int32_t to = s->owner < 0 && s->n_candidates ? (int32_t)s->candidate[0] : -1;

	while (*move < p->n_moves && p->moves[*move].slot < slot)
		(*move)++;
	if (*move < p->n_moves && p->moves[*move].slot == slot)
		to = p->moves[*move].to;
	return to >= 0 && slot_runs_at(b->view, it->service, b->claims[slot], (size_t)to) ? -1 : to;
}

/* What peers carry besides this slot: owners, surplus and handovers are on the board; candidates of other orphans and
 * targets of other moves are not. of: the item whose replicas are counted. */
static void add_decided(
        struct board *b, const struct placement *p, size_t but, const struct item *of, uint32_t *same)
{
	size_t move = 0;

	for (size_t i = 0; i < b->n_items; i++)
		for (size_t k = b->items[i].first; k < b->items[i].first + b->items[i].n_slots; k++) {
			int32_t to = goes_to(b, p, &b->items[i], k, &move);

			if (k == but || to < 0)
				continue;
			load_add(&b->peers[to].load, b->items[i].service, &b->scratch);
			same[to] += &b->items[i] == of;
		}
}

static enum place_reason permits(
        const struct view *view, const struct placement *p, size_t slot, uint32_t pinned, size_t member)
{
	const struct placed_slot *ps = &p->slots[slot];
	const struct view_stack *stack = &view->stacks[ps->stack];
	enum place_reason r = filter_static(view, stack, &stack->spec->services[ps->service], pinned, member);

	if (r == REASON_OK && slot_refused(view, claims_of(view, ps->slot), stack, member))
		r = REASON_REFUSED;
	return r;
}

enum place_reason place_permits(const struct view *view, const struct placement *p, size_t slot, size_t member)
{
	const struct spec *spec = view->stacks[p->slots[slot].stack].spec;

	return permits(view, p, slot, filter_pinned(view, spec, &spec->services[p->slots[slot].service]), member);
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
	while (slot >= b.items[i].first + b.items[i].n_slots)
		i++;
	it = &b.items[i];
	same = arena_array(&b.scratch, view->n_members, sizeof(*same));
	board_count(&b, p, it, same);
	add_decided(&b, p, slot, it, same);
	for (size_t m = 0; m < view->n_members; m++) {
		bool here = (ps->owner >= 0 && view->claims[ps->owner].member == m) ||
		            (int32_t)m == slot_heir(view, ps);

		out[m] = permits(view, p, slot, it->pinned, m);
		/* The room, port and count of the owner, and of whom it hands over to, are taken by this very slot. */
		if (out[m] == REASON_OK && !here)
			out[m] = filter_dynamic(b.peers[m].facts, &b.peers[m].load, it->service, same[m]);
		/* What looks free is kept for a slot that waits for more. */
		if (out[m] == REASON_OK && ps->owner < 0 && !ps->n_candidates)
			out[m] = REASON_ROOM;
	}
	board_free(&b);
	arena_free(&result);
}
