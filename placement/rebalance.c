/*
 * Evening out. What a peer carries is told by its fullest resource; peers that nothing new may be given to do not
 * count. The fullest one above 1.25 times the mean sheds, and one below 0.6 times attracts, a slot each time; never so
 * that zones, replicas or wishes come out worse, and never so that the target ends as full as the source began.
 */
#include "placement/choose.h"

/* In hundredths of the mean of what peers carry: above and below which something is done. Nearer to the mean every leave
 * and join would be followed by moves; at 75 a peer that joins attracts so much that there are 0.8 such moves for each
 * forced one (bench_moves), at 60 some 0.65, and the fullest peer carries no more. */
#define HOT_PERCENT  125
#define COLD_PERCENT 60

struct evening {
	struct board board;
	struct placement p;
	struct plan plan;
	struct turn turn;
	bool *counts;   /* per member: may be given something new */
	uint64_t *full; /* per member: rank_full() */
	bool *stuck;    /* per member: has nothing that may move */
	bool *moved;    /* per slot */
	uint64_t mean;
};

static void measure_all(struct evening *e)
{
	uint64_t sum = 0, n = 0;

	for (size_t m = 0; m < e->board.view->n_members; m++) {
		e->full[m] = 0;
		if (!e->counts[m])
			continue;
		e->full[m] = MIN(rank_full(e->board.peers[m].facts, &e->board.peers[m].load), UINT32_MAX);
		sum += e->full[m];
		n++;
	}
	e->mean = n ? sum / n : 0;
}

static void open_evening(struct evening *e, const struct view *view, struct arena *arena)
{
	struct board *b = &e->board;

	board_init(b, view, arena, &e->p);
	place_on(b, arena, &e->p);
	e->plan = (struct plan){.board = b, .out = &e->p, .arena = arena};
	e->plan.target = arena_array(&b->scratch, e->p.n_slots, sizeof(*e->plan.target));
	memset(e->plan.target, -1, e->p.n_slots * sizeof(*e->plan.target));
	e->moved = arena_array(&b->scratch, e->p.n_slots, sizeof(*e->moved));
	for (size_t i = 0; i < e->p.n_moves; i++) {
		e->plan.target[e->p.moves[i].slot] = e->p.moves[i].to;
		e->moved[e->p.moves[i].slot] = true;
	}
	e->counts = arena_array(&b->scratch, view->n_members, sizeof(*e->counts));
	e->full = arena_array(&b->scratch, view->n_members, sizeof(*e->full));
	e->stuck = arena_array(&b->scratch, view->n_members, sizeof(*e->stuck));
	for (size_t m = 0; m < view->n_members; m++) {
		const struct view_member *vm = &view->members[m];

		e->counts[m] = vm->state == VIEW_ALIVE && vm->facts && vm->facts->ready && !vm->draining;
	}
	/* What is being handed over weighs where it goes to. */
	for (size_t i = 0; i < b->n_items; i++)
		for (size_t k = b->items[i].first; k < b->items[i].first + b->items[i].n_slots; k++) {
			const struct placed_slot *s = &e->p.slots[k];

			if (s->owner >= 0 && slot_heir(view, s) >= 0 && claim_takes_room(&view->claims[s->owner]))
				load_sub(&b->peers[view->claims[s->owner].member].load, b->items[i].service);
		}
	turn_init(&e->turn, &e->plan);
	measure_all(e);
}

static bool may_move(const struct evening *e, const struct item *it, size_t slot, size_t from)
{
	const struct placed_slot *s = &e->p.slots[slot];
	const struct view_claim *c = s->owner >= 0 ? &e->board.view->claims[s->owner] : NULL;

	return c && c->member == from && s->peer_only < 0 && !e->moved[slot] && claim_serves(&c->c) &&
	       !c->c.handover_to && s->successor < 0 && s->predecessor < 0 && !it->service->n_volumes;
}

/* Would the service stand as well with one of its replicas there instead? */
static bool stands_as_well(const struct turn *t, size_t from, size_t to)
{
	for (size_t level = 0; level < t->spread.levels; level++) {
		uint32_t a = t->spread.group[level][from], b = t->spread.group[level][to];

		if (a != b && t->spread.replicas[level][b] >= t->spread.replicas[level][a])
			return false;
	}
	return t->same[to] < t->same[from] && (!t->item->service->n_prefer || t->wishes[to] >= t->wishes[from]);
}

/* The emptiest member that the slot may go to and that is then less full than `from` was; -1. */
static int32_t emptiest(struct evening *e, const struct item *it, size_t slot, size_t from)
{
	int32_t best = -1;
	uint64_t below = e->full[from] * 100 > e->mean * HOT_PERCENT ? e->mean * 100 : e->mean * COLD_PERCENT;

	for (size_t m = 0; m < e->board.view->n_members; m++) {
		const struct peer *peer = &e->board.peers[m];

		if (!e->counts[m] || m == from || e->full[m] * 100 >= below ||
		        (best >= 0 && e->full[m] >= e->full[best]))
			continue;
		turn_to(&e->turn, it);
		if (turn_may_take(&e->turn, slot, m) == REASON_OK && stands_as_well(&e->turn, from, m) &&
		        rank_utilisation(peer->facts, &peer->load, &it->service->reserve) < e->full[from])
			best = (int32_t)m;
	}
	return best;
}

/* The youngest slot of `from` that may move, and where to. */
static bool shed(struct evening *e, size_t from, struct placed_move *out)
{
	for (size_t i = e->board.n_items; i-- > 0;) {
		const struct item *it = &e->board.items[i];

		for (size_t k = it->first + it->n_slots; k-- > it->first;) {
			int32_t to = may_move(e, it, k, from) ? emptiest(e, it, k, from) : -1;

			if (to < 0)
				continue;
			*out = (struct placed_move){
			        .slot = (uint32_t)k, .to = to, .why = MOVE_REBALANCE, .for_slot = (uint32_t)k};
			turn_release(&e->turn, from);
			turn_take(&e->turn, (size_t)to);
			e->moved[k] = true;
			return true;
		}
	}
	return false;
}

/* The fullest that has not been found stuck, if anything is to be done for it or with what it has; -1. */
static int32_t fullest(const struct evening *e)
{
	int32_t best = -1;
	bool cold = false;

	for (size_t m = 0; m < e->board.view->n_members; m++) {
		if (!e->counts[m])
			continue;
		cold |= e->full[m] * 100 < e->mean * COLD_PERCENT;
		if (!e->stuck[m] && (best < 0 || e->full[m] > e->full[best]))
			best = (int32_t)m;
	}
	if (best >= 0 && e->full[best] * 100 <= e->mean * (cold ? 100 : HOT_PERCENT))
		best = -1;
	return best;
}

size_t place_rebalance(const struct view *view, const struct placement *p, struct arena *arena,
        struct placed_move *out, size_t most)
{
	struct evening e = {.mean = 0};
	size_t n = 0;
	int32_t from;

	if (!p->n_slots)
		return 0;
	open_evening(&e, view, arena);
	while (n < most && (from = fullest(&e)) >= 0) {
		if (shed(&e, (size_t)from, &out[n]))
			n++;
		else
			e.stuck[from] = true;
		measure_all(&e);
	}
	board_free(&e.board);
	return n;
}
