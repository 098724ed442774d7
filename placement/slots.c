/* Services in the order in which they are placed, and their slots. */
#include "placement/slots.h"

#include "base/map.h"

static int by_order(const void *pa, const void *pb)
{
	const struct item *a = pa, *b = pb;

	if (a->service->priority != b->service->priority)
		return a->service->priority > b->service->priority ? -1 : 1;
	if (a->service->born != b->service->born)
		return a->service->born < b->service->born ? -1 : 1;
	return key32_cmp(&a->hash, &b->hash);
}

/* Of the board before, by the service's address. */
static void map_before(const struct board *b, struct map *map)
{
	map_init(map, sizeof(const struct service *), NULL);
	for (size_t i = 0; b->before && i < b->before->n_items; i++)
		map_put(map, &b->before->items[i].service, &b->before->items[i]);
}

static void hash_item(struct item *it, const struct spec *spec)
{
	if (it->before) {
		it->content = it->before->content;
		it->hash = it->before->hash;
		return;
	}
	it->content = service_content(it->service);
	service_hash(&it->hash, spec->name, it->service->name);
}

static void list_items(struct board *b)
{
	const struct view *view = b->view;
	struct map before;
	size_t n = 0;

	map_before(b, &before);

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
			        .pinned = filter_pinned(view, st->spec, &st->spec->services[k])};
			it->before = map_get(&before, &it->service);
			hash_item(it, st->spec);
		}
	}
	map_free(&before);
	if (b->n_items)
		qsort(b->items, b->n_items, sizeof(*b->items), by_order);
}

/* A global service has a slot on each permitted peer. A peer that only may not be given new slots now keeps what it
 * runs, unless it drains; without the author's power, or voters, every live peer's slot shows that. */
bool global_wanted(const struct board *b, const struct item *it, size_t member, struct range claims)
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

static id64 slot_at(const struct board *b, const struct item *it, size_t k)
{
	if (it->service->mode == MODE_GLOBAL)
		return slot_id_global(
		        &b->view->flock, it->stack->spec->name, it->service->name, &b->view->members[k].key);
	if (it->before && k < it->before->n_slots)
		return b->before_slots[it->before->first + k].slot;
	return slot_id_in(&b->view->flock, &it->hash, (uint32_t)k);
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
			id64 slot = slot_at(b, it, k);
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

/* Members of both are sorted by key, so most stand at the same index. */
static uint64_t peer_key(const struct board *b, size_t member)
{
	const struct key32 *key = &b->view->members[member].key;

	if (b->before && member < b->before->n_peers && key32_eq(&b->before->peers[member].id, key))
		return b->before->peers[member].key;
	return rank_peer_key(&b->view->flock, key);
}

void board_list(struct board *b, const struct view *view, const struct board *before,
        const struct placed_slot *before_slots, struct arena *arena, struct placement *out)
{
	*b = (struct board){.view = view, .before = before, .before_slots = before_slots};
	*out = (struct placement){0};
	arena_init(&b->scratch);
	b->n_peers = view->n_members;
	b->peers = arena_array(&b->scratch, b->n_peers, sizeof(*b->peers));
	for (size_t i = 0; i < b->n_peers; i++) {
		b->peers[i].facts = view->members[i].facts;
		b->peers[i].id = view->members[i].key;
		b->peers[i].key = peer_key(b, i);
	}
	list_items(b);
	list_slots(b, arena, out);
	b->before = NULL;
	b->before_slots = NULL;
}

void board_init(struct board *b, const struct view *view, struct arena *arena, struct placement *out)
{
	board_list(b, view, NULL, NULL, arena, out);
	board_find_owners(b, out);
}

void board_free(struct board *b)
{
	arena_free(&b->scratch);
}
