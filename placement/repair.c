/*
 * Repair: a slot that fits nowhere is put where another one is that can go elsewhere. An orphan of the same run, for
 * which nothing runs yet, is simply given to another peer, if need be where a third one is that can go (augmenting
 * paths of bipartite matching, at most REPAIR_DEPTH long); of those that run, one is handed over to a peer that has room
 * now.
 */
#include "placement/room.h"

/* One service twice on a chain would be counted wrongly while the chain is tried. */
static bool on_chain(const struct turn *t, size_t depth, const struct item *item)
{
	const struct room *r = t->plan->room;

	for (size_t d = 1; d <= depth; d++)
		if (r->turn[d].item == item)
			return true;
	return item == r->asks;
}

static bool may_give_way(const struct turn *t, size_t depth, const struct occupant *o, bool live)
{
	const struct placed_slot *s = &t->plan->out->slots[o->slot];
	const struct board *b = t->plan->board;
	const struct view_claim *c;

	if (on_chain(t, depth, o->item) || o->on_way || s->peer_only >= 0 || o->live != live ||
	        occupant_leaves(t->plan, o))
		return false;
	if (!live)
		return true;
	/* What runs is moved for no slot of lower priority; folders of a host stay; what is not well is no use elsewhere. */
	c = &b->view->claims[s->owner];
	return o->item->service->priority <= t->item->service->priority && !o->item->service->n_volumes &&
	       s->successor < 0 && s->predecessor < 0 && c->c.state < TASK_STOPPING &&
	       b->view->members[c->member].state == VIEW_ALIVE && must_go(b, o->item, s) == REASON_OK;
}

/* Would the slot fit on the member without that occupant? */
static bool fits_without(const struct turn *t, size_t slot, const struct occupant *o)
{
	struct peer *peer = &t->plan->board->peers[o->member];
	bool fits;

	load_sub(&peer->load, o->item->service);
	fits = turn_may_take(t, slot, o->member) == REASON_OK;
	load_add(&peer->load, o->item->service, &t->plan->board->scratch);
	return fits;
}

static void forget_turns(struct turn *t)
{
	struct room *r = t->plan->room;

	t->item = NULL;
	for (size_t d = 1; d <= REPAIR_DEPTH; d++)
		r->turn[d].item = NULL;
}

static size_t find_home(struct turn *t, size_t depth, size_t slot, int32_t but, uint32_t *best);

/* The occupant leaves its member to `slot`, whose turn t is, and goes where turn[depth] finds room. Live ones only once
 * there is room. True: its new home counts, its old one does not any more. */
static bool displace(struct turn *t, size_t depth, size_t slot, size_t occupant, uint32_t *best, size_t *n)
{
	struct plan *plan = t->plan;
	struct room *r = plan->room;
	struct occupant o = r->o[occupant];
	struct turn *next = &r->turn[depth];
	struct peer *peer = &plan->board->peers[o.member];

	if (!fits_without(t, slot, &o))
		return false;
	turn_to(next, o.item);
	turn_release(next, o.member);
	load_add(&peer->load, t->item->service, &plan->board->scratch);
	r->o[occupant].on_way = true;
	*n = o.live ? turn_choose(next, o.slot, (int32_t)o.member, best)
	            : find_home(next, depth, o.slot, (int32_t)o.member, best);
	r->o[occupant].on_way = false;
	load_sub(&peer->load, t->item->service);
	if (!*n) {
		turn_take(next, o.member);
		return false;
	}
	turn_take(next, best[0]);
	return true;
}

/* The orphan that gave way has its new home. */
static void settle(struct turn *t, size_t occupant, const uint32_t *best, size_t n)
{
	struct room *r = t->plan->room;
	struct placed_slot *s = &t->plan->out->slots[r->o[occupant].slot];

	memcpy(s->candidate, best, n * sizeof(*best));
	s->n_candidates = (uint8_t)n;
	room_move(r, occupant, best[0]);
	t->plan->out->n_displaced++;
}

/* A member for the slot, whose turn t is, other than `but`: with room, or made to have it. Returns how many are in
 * best. */
static size_t find_home(struct turn *t, size_t depth, size_t slot, int32_t but, uint32_t *best)
{
	struct room *r = t->plan->room;
	size_t members = t->plan->board->view->n_members;
	size_t n = depth ? turn_choose(t, slot, but, best) : 0;
	uint32_t theirs[PLACE_CHOICES];
	size_t n_theirs;

	if (n || depth == REPAIR_DEPTH)
		return n;
	for (size_t i = 0; i < members; i++) {
		size_t m = (i + (size_t)t->plan->out->slots[slot].slot) % members;

		if ((int32_t)m == but || !room_permits(t, slot, m))
			continue;
		for (int32_t k = r->head[m], next; k >= 0; k = next) {
			next = r->o[k].next;
			if (++r->visits > REPAIR_VISITS)
				return 0;
			if (!may_give_way(t, depth, &r->o[k], false) ||
			        !displace(t, depth + 1, slot, (size_t)k, theirs, &n_theirs))
				continue;
			settle(t, (size_t)k, theirs, n_theirs);
			best[0] = (uint32_t)m;
			return 1;
		}
	}
	return 0;
}

static bool move_orphans(struct turn *t, size_t slot)
{
	struct placed_slot *s = &t->plan->out->slots[slot];
	const struct item *item = t->item;
	uint32_t best[PLACE_CHOICES];

	if (s->peer_only >= 0 || !find_home(t, 0, slot, -1, best))
		return false;
	forget_turns(t);
	turn_to(t, item);
	s->n_candidates = 1;
	s->candidate[0] = best[0];
	turn_take(t, best[0]);
	room_note(t->plan, item, slot);
	return true;
}

static void list_repair(struct turn *t, size_t slot, size_t occupant, uint32_t to)
{
	struct plan *plan = t->plan;
	struct board *b = plan->board;
	struct occupant *o = &plan->room->o[occupant];
	const struct item *item = t->item;

	/* It still runs where it is, until it has been handed over. */
	load_add(&b->peers[o->member].load, o->item->service, &b->scratch);
	o->goes = true;
	/* A copy that runs there counts already. */
	if (slot_runs_at(b->view, o->item->service, b->claims[o->slot], to))
		load_sub(&b->peers[to].load, o->item->service);
	else
		plan->target[o->slot] = (int32_t)to;
	plan_move(plan, (struct placed_move){.slot = o->slot,
	                        .to = (int32_t)to,
	                        .why = MOVE_REPAIR,
	                        .for_slot = (uint32_t)slot,
	                        .reason = REASON_MAKING_ROOM});
	room_wait(t, slot, o->member);
	forget_turns(t);
	turn_to(t, item);
}

static bool move_running(struct turn *t, size_t slot)
{
	struct room *r = t->plan->room;
	size_t first = room_first(t, slot), n = room_count(t, slot), n_theirs;
	uint32_t theirs[PLACE_CHOICES];

	for (size_t i = 0; i < n; i++) {
		size_t m = first + (n == 1 ? 0 : (i + (size_t)t->plan->out->slots[slot].slot) % n);

		if (!room_permits(t, slot, m))
			continue;
		for (int32_t k = r->head[m]; k >= 0; k = r->o[k].next) {
			if (++r->visits > REPAIR_VISITS)
				return false;
			if (!may_give_way(t, 0, &r->o[k], true) ||
			        !displace(t, 1, slot, (size_t)k, theirs, &n_theirs))
				continue;
			list_repair(t, slot, (size_t)k, theirs[0]);
			return true;
		}
	}
	return false;
}

bool room_repair(struct turn *t, size_t slot, bool live)
{
	return live ? move_running(t, slot) : move_orphans(t, slot);
}
