/* Who is where, and slots that wait for room which others leave. */
#include "placement/room.h"

#define OCCUPANTS_FIRST 64 /* room for so many at first; doubles */

static void link_in(struct room *r, size_t i)
{
	int32_t *at = &r->head[r->o[i].member];

	while (*at >= 0 && r->o[*at].slot > r->o[i].slot)
		at = &r->o[*at].next;
	r->o[i].next = *at;
	*at = (int32_t)i;
}

void room_add(struct room *r, struct plan *plan, struct occupant o)
{
	if (r->n == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : OCCUPANTS_FIRST;
		struct occupant *more = arena_array(&plan->board->scratch, cap, sizeof(*more));

		if (r->n)
			memcpy(more, r->o, r->n * sizeof(*more));
		r->o = more;
		r->cap = cap;
	}
	r->o[r->n] = o;
	link_in(r, r->n++);
}

void room_move(struct room *r, size_t i, uint32_t to)
{
	int32_t *at = &r->head[r->o[i].member];

	while (*at != (int32_t)i)
		at = &r->o[*at].next;
	*at = r->o[i].next;
	r->o[i].member = to;
	link_in(r, i);
}

struct listing {
	struct plan *plan;
	struct room *room;
	const struct item *item;
	uint32_t slot;
	int32_t owner;
};

static void see_carrier(void *ctx, size_t member, bool promised)
{
	struct listing *l = ctx;

	if (!promised)
		room_add(l->room, l->plan,
		        (struct occupant){.slot = l->slot,
		                .item = l->item,
		                .member = (uint32_t)member,
		                .live = (int32_t)member == l->owner,
		                .surplus = (int32_t)member != l->owner});
}

static struct room *room_of(struct plan *plan)
{
	struct board *b = plan->board;
	struct room *r = plan->room;

	if (r)
		return r;
	r = plan->room = arena_alloc(&b->scratch, sizeof(*r));
	memset(r, 0, sizeof(*r));
	r->head = arena_array(&b->scratch, b->view->n_members, sizeof(*r->head));
	memset(r->head, -1, b->view->n_members * sizeof(*r->head));
	for (size_t d = 1; d <= REPAIR_DEPTH; d++)
		turn_init(&r->turn[d], plan);
	for (size_t i = 0; i < b->n_items; i++)
		for (size_t k = b->items[i].first; k < b->items[i].first + b->items[i].n_slots; k++) {
			const struct placed_slot *s = &plan->out->slots[k];
			struct listing l = {plan, r, &b->items[i], (uint32_t)k, -1};

			if (s->owner >= 0) {
				l.owner = (int32_t)b->view->claims[s->owner].member;
				slot_each_carrier(b, l.item, s, b->claims[k], see_carrier, &l);
			} else if (s->n_candidates) {
				room_add(r, plan,
				        (struct occupant){
				                .slot = l.slot, .item = l.item, .member = s->candidate[0]});
			}
		}
	return r;
}

void room_note(struct plan *plan, const struct item *item, size_t slot)
{
	if (plan->room)
		room_add(plan->room, plan,
		        (struct occupant){.slot = (uint32_t)slot,
		                .item = item,
		                .member = plan->out->slots[slot].candidate[0]});
}

bool occupant_leaves(const struct plan *plan, const struct occupant *o)
{
	const struct placed_slot *s = &plan->out->slots[o->slot];

	if (o->surplus || o->goes)
		return true;
	return o->live && (plan->target[o->slot] >= 0 || slot_heir(plan->board->view, s) >= 0 ||
	                          plan->board->view->claims[s->owner].c.state == TASK_STOPPING);
}

bool room_permits(const struct turn *t, size_t slot, size_t member)
{
	const struct board *b = t->plan->board;

	return t->fixed[member] == REASON_OK && !slot_refused(b->view, b->claims[slot], t->item->stack, member);
}

/* Slots that wait for room on this member have it before any other. */
static bool fits_later(struct turn *t, size_t member)
{
	struct plan *plan = t->plan;
	struct peer *peer = &plan->board->peers[member];
	struct room *r = plan->room;
	uint32_t same = t->same[member];
	bool any = false, fits;

	for (int32_t i = r->head[member]; i >= 0; i = r->o[i].next)
		if (occupant_leaves(plan, &r->o[i])) {
			load_sub(&peer->load, r->o[i].item->service);
			same -= r->o[i].item == t->item && same > 0;
			any = true;
		}
	for (size_t i = 0; i < plan->n_waits; i++)
		if (plan->waits[i].member == member) {
			load_sub(&peer->load, plan->waits[i].kept);
			load_add(&peer->load, plan->waits[i].item->service, &plan->board->scratch);
			same += plan->waits[i].item == t->item;
		}
	fits = any && filter_dynamic(peer->facts, &peer->load, t->item->service, same) == REASON_OK;
	for (size_t i = 0; i < plan->n_waits; i++)
		if (plan->waits[i].member == member) {
			load_sub(&peer->load, plan->waits[i].item->service);
			load_add(&peer->load, plan->waits[i].kept, &plan->board->scratch);
		}
	for (int32_t i = r->head[member]; i >= 0; i = r->o[i].next)
		if (occupant_leaves(plan, &r->o[i]))
			load_add(&peer->load, r->o[i].item->service, &plan->board->scratch);
	return fits;
}

static uint64_t generic_of(const struct service *s, const char *kind)
{
	for (size_t i = 0; i < s->n_generic; i++)
		if (!strcmp(s->generic[i].kind, kind))
			return s->generic[i].value;
	return 0;
}

static bool has_port(const struct service *s, const struct spec_port *p)
{
	for (size_t i = 0; i < s->n_ports; i++)
		if (s->ports[i].mode == PORT_HOST && s->ports[i].proto == p->proto &&
		        s->ports[i].published == p->published)
			return true;
	return false;
}

/* What one that leaves gives back need not be kept. */
static void count_leaver(struct service *need, const struct service *leaver)
{
	size_t ports = 0;

	need->reserve.cpu_milli = room_left(need->reserve.cpu_milli, leaver->reserve.cpu_milli);
	need->reserve.memory = room_left(need->reserve.memory, leaver->reserve.memory);
	for (size_t i = 0; i < need->n_generic; i++)
		need->generic[i].value =
		        room_left(need->generic[i].value, generic_of(leaver, need->generic[i].kind));
	for (size_t i = 0; i < need->n_ports; i++)
		if (!has_port(leaver, &need->ports[i]))
			need->ports[ports++] = need->ports[i];
	need->n_ports = ports;
}

/* What a slot that waits needs beyond what leaves has to come from what is free now: nobody else may take it, or what
 * stopped for it would come back into it. If another waits there already, that one counts on what leaves; for the next
 * all of its need is kept, as far as there is room. */
static struct service *keep_for(struct plan *plan, const struct item *item, size_t member)
{
	struct room *r = plan->room;
	struct arena *arena = &plan->board->scratch;
	struct peer *peer = &plan->board->peers[member];
	struct service *need = arena_memdup(arena, item->service, sizeof(*need));
	bool first = true;

	need->ports = arena_memdup(arena, need->ports, need->n_ports * sizeof(*need->ports));
	need->generic = arena_memdup(arena, need->generic, need->n_generic * sizeof(*need->generic));
	for (size_t i = 0; i < plan->n_waits; i++)
		first &= plan->waits[i].member != member;
	for (int32_t i = r->head[member]; i >= 0 && first; i = r->o[i].next)
		if (occupant_leaves(plan, &r->o[i]))
			count_leaver(need, r->o[i].item->service);
	need->reserve.cpu_milli =
	        MIN(need->reserve.cpu_milli, room_left(peer->facts->cpu_milli, peer->load.cpu_milli));
	need->reserve.memory = MIN(need->reserve.memory, room_left(peer->facts->memory, peer->load.memory));
	load_add(&peer->load, need, arena);
	return need;
}

void room_wait(struct turn *t, size_t slot, size_t member)
{
	struct plan *plan = t->plan;
	struct placed_slot *s = &plan->out->slots[slot];

	if (!plan->waits)
		plan->waits = arena_array(&plan->board->scratch, ROOM_TRIES, sizeof(*plan->waits));
	plan->waits[plan->n_waits] = (struct wait){t->item, (uint32_t)member, keep_for(plan, t->item, member)};
	plan->n_waits++;
	s->candidate[0] = (uint32_t)member;
	s->reason = REASON_MAKING_ROOM;
}

/* What leaves anyway may be enough. */
static bool wait_for_room(struct turn *t, size_t slot)
{
	size_t first = room_first(t, slot), n = room_count(t, slot);

	for (size_t m = first; m < first + n; m++)
		if (room_permits(t, slot, m) && fits_later(t, m)) {
			room_wait(t, slot, m);
			return true;
		}
	return false;
}

static bool any_permits(const struct turn *t, size_t slot)
{
	size_t first = room_first(t, slot), n = room_count(t, slot);

	for (size_t m = first; m < first + n; m++)
		if (room_permits(t, slot, m))
			return true;
	return false;
}

bool room_make(struct turn *t, size_t slot)
{
	struct room *r;

	if (!any_permits(t, slot))
		return false;
	r = room_of(t->plan);
	if (r->hopeless == t->item || r->tries == ROOM_TRIES)
		return false;
	r->tries++;
	r->visits = 0;
	r->asks = t->item;
	if (room_repair(t, slot, false) || wait_for_room(t, slot) || room_repair(t, slot, true) ||
	        room_preempt(t, slot))
		return true;
	/* Each slot of a global service has a peer of its own. */
	if (t->plan->out->slots[slot].peer_only < 0)
		r->hopeless = t->item;
	return false;
}
