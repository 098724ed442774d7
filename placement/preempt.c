/*
 * Preemption: a slot that fits nowhere, whatever is moved, takes the place of slots of strictly lower priority. On each
 * peer the fewest that suffice are named, those of lowest priority and the youngest first; the peer is taken where
 * that are fewest, then of lowest priority.
 */
#include "placement/room.h"

/* More slots than this stop for no other. */
#define VICTIMS_MAX 16

struct offer {
	uint32_t member;
	size_t n;
	int32_t victim[VICTIMS_MAX]; /* occupants */
	int32_t priority;            /* the highest among them */
};

static bool may_stop(const struct turn *t, const struct occupant *o)
{
	return o->live && !occupant_leaves(t->plan, o) &&
	       o->item->service->priority < t->item->service->priority &&
	       claim_takes_room(&t->plan->board->view->claims[t->plan->out->slots[o->slot].owner]);
}

static int32_t priority_of(const struct turn *t, int32_t occupant)
{
	return t->plan->room->o[occupant].item->service->priority;
}

/* Lowest priority first; the lists have the younger before the older. */
static size_t list_victims(const struct turn *t, size_t member, int32_t *victim)
{
	const struct room *r = t->plan->room;
	size_t n = 0;

	for (int32_t i = r->head[member]; i >= 0; i = r->o[i].next) {
		size_t at;

		if (!may_stop(t, &r->o[i]))
			continue;
		if (n == VICTIMS_MAX && priority_of(t, i) >= priority_of(t, victim[n - 1]))
			continue;
		at = n < VICTIMS_MAX ? n++ : n - 1;
		for (; at > 0 && priority_of(t, victim[at - 1]) > priority_of(t, i); at--)
			victim[at] = victim[at - 1];
		victim[at] = i;
	}
	return n;
}

static void put_off(struct turn *t, const struct offer *o, int32_t victim, bool off)
{
	struct load *load = &t->plan->board->peers[o->member].load;
	const struct service *s = t->plan->room->o[victim].item->service;

	if (off)
		load_sub(load, s);
	else
		load_add(load, s, &t->plan->board->scratch);
}

static bool fits(const struct turn *t, size_t slot, size_t member)
{
	return turn_may_take(t, slot, member) == REASON_OK;
}

/* One that suffices alone, or as many as are needed without those that do not help. False: all together are not enough. */
static bool make_offer(struct turn *t, size_t slot, size_t member, struct offer *o)
{
	size_t all, taken = 0, kept = 0;

	*o = (struct offer){.member = (uint32_t)member};
	all = list_victims(t, member, o->victim);
	for (size_t i = 0; i < all; i++) {
		bool enough;

		put_off(t, o, o->victim[i], true);
		enough = fits(t, slot, member);
		put_off(t, o, o->victim[i], false);
		if (!enough)
			continue;
		o->victim[0] = o->victim[i];
		o->n = 1;
		o->priority = priority_of(t, o->victim[0]);
		return true;
	}
	while (taken < all && !fits(t, slot, member))
		put_off(t, o, o->victim[taken++], true);
	if (!taken || !fits(t, slot, member)) {
		while (taken > 0)
			put_off(t, o, o->victim[--taken], false);
		return false;
	}
	/* The highest first: who need not stop does not. */
	for (size_t i = taken; i-- > 0;) {
		put_off(t, o, o->victim[i], false);
		if (fits(t, slot, member))
			o->victim[i] = -1;
		else
			put_off(t, o, o->victim[i], true);
	}
	o->priority = INT32_MIN;
	for (size_t i = 0; i < taken; i++)
		if (o->victim[i] >= 0) {
			put_off(t, o, o->victim[i], false);
			o->priority = MAX(o->priority, priority_of(t, o->victim[i]));
			o->victim[kept++] = o->victim[i];
		}
	o->n = kept;
	return true;
}

static bool better(const struct offer *a, const struct offer *b)
{
	if (a->n != b->n)
		return a->n < b->n;
	return a->priority < b->priority;
}

bool room_preempt(struct turn *t, size_t slot)
{
	struct plan *plan = t->plan;
	size_t first = room_first(t, slot), n = room_count(t, slot);
	struct offer best = {0}, o;

	for (size_t m = first; m < first + n; m++)
		if (room_permits(t, slot, m) && make_offer(t, slot, m, &o) && (!best.n || better(&o, &best)))
			best = o;
	if (!best.n)
		return false;
	for (size_t i = 0; i < best.n; i++) {
		struct occupant *v = &plan->room->o[best.victim[i]];

		v->goes = true;
		plan_move(plan, (struct placed_move){.slot = v->slot,
		                        .to = -1,
		                        .why = MOVE_PREEMPT,
		                        .for_slot = (uint32_t)slot,
		                        .reason = REASON_MAKING_ROOM});
	}
	room_wait(t, slot, best.member);
	return true;
}
