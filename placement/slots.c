/* Services in the order in which they are placed, and their slots. */
#include "placement/slots.h"

static int by_order(const void *pa, const void *pb)
{
	const struct item *a = pa, *b = pb;

	if (a->service->priority != b->service->priority)
		return a->service->priority > b->service->priority ? -1 : 1;
	if (a->service->born != b->service->born)
		return a->service->born < b->service->born ? -1 : 1;
	return key32_cmp(&a->hash, &b->hash);
}

static void list_items(struct board *b)
{
	const struct view *view = b->view;
	size_t n = 0;

	for (size_t i = 0; i < view->n_stacks; i++)
		if (view->stacks[i].spec && !view->stacks[i].removed)
			n += view->stacks[i].spec->n_services;
	b->items = arena_array(&b->scratch, n, sizeof(*b->items));
	for (size_t i = 0; i < view->n_stacks; i++) {
		const struct view_stack *st = &view->stacks[i];

		for (size_t k = 0; st->spec && !st->removed && k < st->spec->n_services; k++) {
			struct item *it = &b->items[b->n_items++];

			*it = (struct item){.stack = st,
			        .service = &st->spec->services[k],
			        .stack_index = (uint32_t)i,
			        .service_index = (uint32_t)k,
			        .content = service_content(&st->spec->services[k]),
			        .pinned = filter_pinned(view, st->spec, &st->spec->services[k])};
			service_hash(&it->hash, st->spec->name, it->service->name);
		}
	}
	if (b->n_items)
		qsort(b->items, b->n_items, sizeof(*b->items), by_order);
}

/* A global service has a slot on each permitted peer. A peer that only may not be given new slots now keeps what it
 * runs, unless it drains; without the author's power, or voters, every live peer's slot shows that. */
static bool global_wanted(const struct board *b, const struct item *it, size_t member, struct range claims)
{
	enum place_reason r = filter_static(b->view, it->stack, it->service, it->pinned, member);
	enum view_state state = b->view->members[member].state;

	if (r == REASON_OK)
		return true;
	if (r == REASON_POWER || r == REASON_VOTERS)
		return state == VIEW_ALIVE;
	if ((r != REASON_NOT_ALIVE && r != REASON_NO_FACTS && r != REASON_NOT_READY) ||
	        filter_lost(b->view, it->stack, it->service, it->pinned, member) != REASON_OK)
		return false;
	for (size_t i = claims.from; i < claims.to; i++)
		if (claim_keeps(b->view, it->service, &b->view->claims[i]))
			return true;
	return false;
}

static void add_slot(struct board *b, const struct item *it, struct placement *out, id64 slot, uint32_t index,
        int32_t peer_only, struct range claims)
{
	out->slots[out->n_slots] = (struct placed_slot){.slot = slot,
	        .stack = it->stack_index,
	        .service = it->service_index,
	        .index = index,
	        .peer_only = peer_only,
	        .owner = -1,
	        .successor = -1,
	        .predecessor = -1};
	b->claims[out->n_slots++] = claims;
}

static void list_slots(struct board *b, struct arena *arena, struct placement *out)
{
	const struct view *view = b->view;
	size_t most = 0, n;

	for (size_t i = 0; i < b->n_items; i++)
		most += b->items[i].service->mode == MODE_GLOBAL ? view->n_members
		                                                 : b->items[i].service->replicas;
	n = MIN(most, (size_t)PLACE_SLOTS_MAX);
	out->slots = arena_array(arena, n, sizeof(*out->slots));
	b->claims = arena_array(&b->scratch, n, sizeof(*b->claims));
	for (size_t i = 0; i < b->n_items; i++) {
		struct item *it = &b->items[i];
		bool global = it->service->mode == MODE_GLOBAL;
		size_t want = global ? view->n_members : it->service->replicas;

		it->first = out->n_slots;
		for (size_t k = 0; k < want; k++) {
			id64 slot = global ? slot_id_global(&view->flock, it->stack->spec->name,
			                             it->service->name, &view->members[k].key)
			                   : slot_id_in(&view->flock, &it->hash, (uint32_t)k);
			struct range claims = claims_of(view, slot);

			if (global && !global_wanted(b, it, k, claims))
				continue;
			if (out->n_slots == n)
				out->n_left_out++;
			else
				add_slot(b, it, out, slot, global ? 0 : (uint32_t)k, global ? (int32_t)k : -1,
				        claims);
		}
		it->n_slots = out->n_slots - it->first;
	}
}

void board_init(struct board *b, const struct view *view, struct arena *arena, struct placement *out)
{
	*b = (struct board){.view = view};
	*out = (struct placement){0};
	arena_init(&b->scratch);
	b->peers = arena_array(&b->scratch, view->n_members, sizeof(*b->peers));
	for (size_t i = 0; i < view->n_members; i++) {
		b->peers[i].facts = view->members[i].facts;
		b->peers[i].key = rank_peer_key(&view->flock, &view->members[i].key);
	}
	list_items(b);
	list_slots(b, arena, out);
	board_find_owners(b, out);
}

void board_free(struct board *b)
{
	arena_free(&b->scratch);
}
