/* Who keeps each slot, and what every peer carries: owners, tasks that are to stop, handovers under way. */
#include "placement/slots.h"

bool claim_is_live(const struct view *view, const struct view_claim *c)
{
	const struct view_member *m = &view->members[c->member];

	if (m->state != VIEW_ALIVE && m->state != VIEW_SUSPECT)
		return false;
	/* A restarted peer first has to find its tasks again; until it says that it has, what it said before holds. */
	if (c->c.boot >= m->boot)
		return true;
	return !m->overdue && (!m->facts || m->facts_boot < m->boot || !m->facts->adopted);
}

bool claim_keeps(const struct view *view, const struct service *s, const struct view_claim *c)
{
	if (c->c.state == TASK_REFUSED || c->c.state == TASK_LOST)
		return false;
	/* `partition: pause`: death is only an opinion; the slot waits for its owner, unless an operator drains that. */
	if (s->partition == PARTITION_PAUSE && view->members[c->member].state == VIEW_DEAD)
		return !view->members[c->member].draining;
	return claim_is_live(view, c);
}

bool claim_takes_room(const struct view_claim *c)
{
	return c->c.state != TASK_DONE && c->c.state != TASK_FAILED;
}

struct range claims_of(const struct view *view, id64 slot)
{
	struct range r = {0, view->n_claims};

	while (r.from < r.to) {
		size_t mid = r.from + (r.to - r.from) / 2;

		if (view->claims[mid].c.slot < slot)
			r.from = mid + 1;
		else
			r.to = mid;
	}
	while (r.to < view->n_claims && view->claims[r.to].c.slot == slot)
		r.to++;
	return r;
}

bool slot_refused(const struct view *view, struct range claims, const struct view_stack *stack, size_t member)
{
	for (size_t i = claims.from; i < claims.to; i++) {
		const struct view_claim *c = &view->claims[i];

		if (c->member == member && c->c.state == TASK_REFUSED && c->c.revision == stack->revision_id &&
		        c->c.boot >= view->members[member].boot)
			return true;
	}
	return false;
}

/* ---- which of several claims keeps a slot ---- */

/* 0 is best. A task that is finished for good keeps its slot, but only from nobody better. */
static int claim_class(const struct claim *c)
{
	if (claim_serves(c))
		return 0;
	switch (c->state) {
	case TASK_STOPPING:
		return 2;
	case TASK_DONE:
		return 3;
	case TASK_FAILED:
		return 4;
	default:
		return 1;
	}
}

/*
 * The conflict rule. Every peer that sees the same claims names the same winner:
 *  1. serving, then starting and such, then stopping, done, failed
 *  2. the winning revision's content
 *  3. the owner that saw more of the flock of late: a host that comes back stops what moved
 *  4. one that was there before one that was started in its place
 *  5. the peer that the slot's hash prefers (unweighted, so that it does not move with load)
 *  6. the lower peer key
 *  7. of one peer's two tasks, the lower task id
 */
static bool claim_beats(
        const struct board *b, id64 content, const struct view_claim *x, const struct view_claim *y)
{
	int cx = claim_class(&x->c), cy = claim_class(&y->c);
	uint64_t hx, hy;

	if (cx != cy)
		return cx < cy;
	if ((x->c.content == content) != (y->c.content == content))
		return x->c.content == content;
	if (x->c.sight != y->c.sight)
		return x->c.sight < y->c.sight;
	if (x->c.replaces != y->c.replaces)
		return y->c.replaces;
	if (x->member == y->member)
		return x->c.task < y->c.task;
	hx = rank_hash(x->c.slot, b->peers[x->member].key);
	hy = rank_hash(y->c.slot, b->peers[y->member].key);
	if (hx != hy)
		return hx > hy;
	return x->member < y->member; /* members are sorted by key */
}

/* More than the peer has: what it says it runs beyond its size counts for nothing. */
static bool claim_is_void(const struct board *b, const struct service *s, const struct view_claim *c)
{
	const struct peer *peer = &b->peers[c->member];

	return claim_takes_room(c) && peer->facts &&
	       (s->reserve.cpu_milli > room_left(peer->facts->cpu_milli, peer->load.cpu_milli) ||
	               s->reserve.memory > room_left(peer->facts->memory, peer->load.memory));
}

/* The claim of the peer that c hands its slot over to, or -1. */
static int32_t heir_of(
        const struct board *b, const struct item *it, struct range claims, const struct view_claim *c)
{
	for (size_t i = claims.from; c->c.handover_to && i < claims.to; i++) {
		const struct view_claim *to = &b->view->claims[i];

		if (to != c && to->member != c->member && b->view->members[to->member].id == c->c.handover_to &&
		        claim_keeps(b->view, it->service, to))
			return (int32_t)i;
	}
	return -1;
}

/* A handover binds two claims: who hands over stays the owner until the other serves. Of c, is its counterpart the
 * owner? *other: that counterpart, -1 none. */
static bool stands_back(const struct board *b, const struct item *it, struct range claims,
        const struct view_claim *c, int32_t *other)
{
	int32_t heir = heir_of(b, it, claims, c);

	*other = heir;
	if (heir >= 0)
		return claim_serves(&b->view->claims[heir].c);
	for (size_t i = claims.from; i < claims.to; i++) {
		const struct view_claim *from = &b->view->claims[i];

		if (from == c || !claim_keeps(b->view, it->service, from) ||
		        heir_of(b, it, claims, from) != (int32_t)(c - b->view->claims))
			continue;
		*other = (int32_t)i;
		return !claim_serves(&c->c);
	}
	return false;
}

/* linked: whether handovers count; two that hand over to each other would else leave the slot to nobody. */
static const struct view_claim *best_claim(
        const struct board *b, const struct item *it, struct range claims, bool linked, int32_t *counterpart)
{
	const struct view_claim *best = NULL;
	int32_t other = -1;

	*counterpart = -1;
	for (size_t i = claims.from; i < claims.to; i++) {
		const struct view_claim *c = &b->view->claims[i];

		if (!claim_keeps(b->view, it->service, c) || claim_is_void(b, it->service, c) ||
		        (linked && stands_back(b, it, claims, c, &other)) ||
		        (best && !claim_beats(b, it->content, c, best)))
			continue;
		best = c;
		*counterpart = other;
	}
	return best;
}

void slot_find_owner(const struct board *b, const struct item *it, struct placed_slot *slot, struct range claims)
{
	int32_t counterpart;
	const struct view_claim *best = best_claim(b, it, claims, true, &counterpart);

	if (!best)
		best = best_claim(b, it, claims, false, &counterpart);
	if (!best)
		return;
	slot->owner = (int32_t)(best - b->view->claims);
	if (counterpart >= 0 && heir_of(b, it, claims, best) == counterpart)
		slot->successor = counterpart;
	else
		slot->predecessor = counterpart;
}

/* ---- what else takes room ---- */

/* A claim that lost, or is void, still stands for a task that takes room until it has stopped. One per peer. */
static bool is_surplus(const struct board *b, const struct item *it, const struct placed_slot *slot,
        struct range claims, size_t i)
{
	const struct view_claim *c = &b->view->claims[i];

	if (!claim_keeps(b->view, it->service, c) || !claim_takes_room(c))
		return false;
	if (slot->owner >= 0 && b->view->claims[slot->owner].member == c->member)
		return false;
	for (size_t k = claims.from; k < i; k++)
		if (b->view->claims[k].member == c->member &&
		        claim_keeps(b->view, it->service, &b->view->claims[k]) &&
		        claim_takes_room(&b->view->claims[k]))
			return false;
	return true;
}

/* The member with this id, or -1. An id is the first bytes of the key, by which members are sorted. */
static int32_t member_of(const struct view *view, id64 id)
{
	size_t from = 0, to = view->n_members;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (view->members[mid].id < id)
			from = mid + 1;
		else
			to = mid;
	}
	return from < view->n_members && view->members[from].id == id ? (int32_t)from : -1;
}

int32_t slot_heir(const struct view *view, const struct placed_slot *slot)
{
	const struct view_claim *c = slot->owner >= 0 ? &view->claims[slot->owner] : NULL;
	int32_t to = c && c->c.handover_to ? member_of(view, c->c.handover_to) : -1;

	return c && to == (int32_t)c->member ? -1 : to;
}

bool slot_runs_at(const struct view *view, const struct service *s, struct range claims, size_t member)
{
	for (size_t i = claims.from; i < claims.to; i++)
		if (view->claims[i].member == member && claim_keeps(view, s, &view->claims[i]) &&
		        claim_takes_room(&view->claims[i]))
			return true;
	return false;
}

int32_t slot_promised(
        const struct view *view, const struct service *s, const struct placed_slot *slot, struct range claims)
{
	int32_t to = slot_heir(view, slot);

	return to < 0 || slot_runs_at(view, s, claims, (size_t)to) ? -1 : to;
}

static void each_surplus(const struct board *b, const struct item *it, const struct placed_slot *slot,
        struct range claims, slot_carrier *fn, void *ctx)
{
	int32_t promised = slot_promised(b->view, it->service, slot, claims);

	for (size_t c = claims.from; c < claims.to; c++)
		if (is_surplus(b, it, slot, claims, c))
			fn(ctx, b->view->claims[c].member, false);
	if (promised >= 0)
		fn(ctx, (size_t)promised, true);
}

void slot_each_carrier(const struct board *b, const struct item *it, const struct placed_slot *slot,
        struct range claims, slot_carrier *fn, void *ctx)
{
	if (slot->owner >= 0 && claim_takes_room(&b->view->claims[slot->owner]))
		fn(ctx, b->view->claims[slot->owner].member, false);
	each_surplus(b, it, slot, claims, fn, ctx);
}

static void count_one(void *ctx, size_t member, bool promised)
{
	(void)promised;
	((uint32_t *)ctx)[member]++;
}

void board_count(const struct board *b, const struct placement *p, const struct item *it, uint32_t *same)
{
	for (size_t k = it->first; k < it->first + it->n_slots; k++) {
		if (p->slots[k].owner >= 0)
			same[b->view->claims[p->slots[k].owner].member]++;
		each_surplus(b, it, &p->slots[k], b->claims[k], count_one, same);
	}
}

struct carrying {
	struct board *b;
	const struct service *service;
};

static void carry(void *ctx, size_t member, bool promised)
{
	struct carrying *c = ctx;

	(void)promised;
	load_add(&c->b->peers[member].load, c->service, &c->b->scratch);
}

static void find_owners(struct board *b, const struct item *it, const struct placement *out)
{
	for (size_t k = it->first; k < it->first + it->n_slots; k++) {
		struct placed_slot *slot = &out->slots[k];
		const struct view_claim *c;

		slot_find_owner(b, it, slot, b->claims[k]);
		c = slot->owner >= 0 ? &b->view->claims[slot->owner] : NULL;
		if (c && claim_takes_room(
		                 c)) /* before the next: claims beyond a peer's size are void in this order */
			load_add(&b->peers[c->member].load, it->service, &b->scratch);
	}
}

void board_find_owners(struct board *b, const struct placement *out)
{
	for (size_t i = 0; i < b->n_items; i++)
		find_owners(b, &b->items[i], out);
	for (size_t i = 0; i < b->n_items; i++) {
		const struct item *it = &b->items[i];
		struct carrying c = {b, it->service};

		for (size_t k = it->first; k < it->first + it->n_slots; k++)
			each_surplus(b, it, &out->slots[k], b->claims[k], carry, &c);
	}
}
