/*
 * Of the peers that pass the filters those come first in whose zone, rack and so on stand fewest replicas. Of these the
 * PLACE_CHOICES with the lowest scores are looked at, and the one that carries fewest replicas of the service, then
 * the least utilised, comes first. A service with wishes looks at all peers instead, and compares points
 * (docs/placement.md).
 */
#include "placement/choose.h"

/* In points, of which a peer that is full has 100, as many as the largest wish: what one replica of the service that is
 * there already weighs. So a wish of 50 draws four or five more replicas to a peer than to others. */
#define REPLICA_POINTS 10

struct choice {
	uint32_t member;
	struct score score;
	uint32_t same; /* replicas of the service there */
	uint64_t utilisation;
	int64_t points; /* with wishes: utilisation + REPLICA_POINTS for each replica - wishes; in 2^-20 points */
};

void turn_init(struct turn *t, struct plan *plan)
{
	struct board *b = plan->board;

	*t = (struct turn){.plan = plan};
	t->fixed = arena_array(&b->scratch, b->view->n_members, sizeof(*t->fixed));
	t->weight = arena_array(&b->scratch, b->view->n_members, sizeof(*t->weight));
	t->same = arena_array(&b->scratch, b->view->n_members, sizeof(*t->same));
	t->wishes = arena_array(&b->scratch, b->view->n_members, sizeof(*t->wishes));
}

void turn_to(struct turn *t, const struct item *it)
{
	struct board *b = t->plan->board;
	const struct placement *p = t->plan->out;

	if (t->item == it)
		return;
	t->item = it;
	for (size_t m = 0; m < b->view->n_members; m++) {
		t->fixed[m] = filter_static(b->view, it->stack, it->service, it->pinned, m);
		t->weight[m] = t->fixed[m] == REASON_OK
		                       ? rank_weight(b->peers[m].facts, &b->peers[m].load, &it->service->reserve)
		                       : 1;
	}
	memset(t->same, 0, b->view->n_members * sizeof(*t->same));
	board_count(b, p, it, t->same);
	for (size_t k = it->first; k < it->first + it->n_slots; k++) {
		if (p->slots[k].owner < 0 && p->slots[k].n_candidates)
			t->same[p->slots[k].candidate[0]]++;
		if (t->plan->target[k] >= 0)
			t->same[t->plan->target[k]]++;
	}
	spread_begin(&t->spread, b->view, it->service, t->same, &b->scratch);
	for (size_t m = 0; it->service->n_prefer && m < b->view->n_members; m++)
		t->wishes[m] = filter_wishes(&b->view->members[m], it->service);
}

enum place_reason turn_may_take(const struct turn *t, size_t slot, size_t member)
{
	const struct board *b = t->plan->board;
	const struct peer *peer = &b->peers[member];

	if (t->fixed[member] != REASON_OK)
		return t->fixed[member];
	if (slot_refused(b->view, b->claims[slot], t->item->stack, member))
		return REASON_REFUSED;
	return filter_dynamic(peer->facts, &peer->load, t->item->service, t->same[member]);
}

/* Which is looked at; equal ones stay in order of peer key, as members come. */
static bool looked_at_before(const struct turn *t, const struct choice *a, const struct choice *b)
{
	int spread = spread_compare(&t->spread, a->member, b->member);

	if (spread)
		return spread < 0;
	if (a->points != b->points)
		return a->points < b->points;
	return score_less(a->score, b->score);
}

/* Keeps best[0..*n) the first in order. */
static void insert_choice(const struct turn *t, struct choice *best, size_t *n, struct choice c)
{
	size_t at = *n < PLACE_CHOICES ? (*n)++ : PLACE_CHOICES - 1;

	for (; at > 0 && looked_at_before(t, &c, &best[at - 1]); at--)
		best[at] = best[at - 1];
	best[at] = c;
}

/* Which of those that are looked at comes first. */
static int by_preference(const struct turn *t, const struct choice *a, const struct choice *b)
{
	int spread = spread_compare(&t->spread, a->member, b->member);

	if (spread)
		return spread;
	if (a->points != b->points)
		return a->points < b->points ? -1 : 1;
	if (a->same != b->same)
		return a->same < b->same ? -1 : 1;
	if (a->utilisation != b->utilisation)
		return a->utilisation < b->utilisation ? -1 : 1;
	if (score_less(a->score, b->score))
		return -1;
	if (score_less(b->score, a->score))
		return 1;
	return a->member < b->member ? -1 : 1;
}

static void sort_choices(const struct turn *t, struct choice *c, size_t n)
{
	for (size_t i = 1; i < n; i++)
		for (size_t k = i; k > 0 && by_preference(t, &c[k], &c[k - 1]) < 0; k--) {
			struct choice swap = c[k];

			c[k] = c[k - 1];
			c[k - 1] = swap;
		}
}

static void measure(const struct turn *t, struct choice *c)
{
	const struct peer *peer = &t->plan->board->peers[c->member];

	c->same = t->same[c->member];
	c->utilisation = rank_utilisation(peer->facts, &peer->load, &t->item->service->reserve);
}

static int64_t points_of(const struct turn *t, const struct choice *c)
{
	/* Fuller than ten times full is full enough. */
	int64_t full = (int64_t)MIN(c->utilisation, 10ULL << 20) * 100;

	return full +
	       ((int64_t)MIN(c->same, SERVICE_REPLICAS_MAX) * REPLICA_POINTS - t->wishes[c->member]) * (1 << 20);
}

size_t turn_choose(const struct turn *t, size_t slot, int32_t but, uint32_t *best)
{
	const struct board *b = t->plan->board;
	const struct placed_slot *s = &t->plan->out->slots[slot];
	size_t first = s->peer_only >= 0 ? (size_t)s->peer_only : 0;
	size_t end = s->peer_only >= 0 ? first + 1 : b->view->n_members;
	struct choice choice[PLACE_CHOICES];
	struct rank_state state = rank_begin(s->slot);
	size_t n = 0;

	for (size_t m = first; m < end; m++) {
		struct choice c = {.member = (uint32_t)m};

		if (t->fixed[m] != REASON_OK || (int32_t)m == but)
			continue;
		c.score = (struct score){neg_log2(rank_end(state, b->peers[m].key)), t->weight[m]};
		if (t->item->service->n_prefer) {
			measure(t, &c);
			c.points = points_of(t, &c);
		}
		if (n == PLACE_CHOICES && !looked_at_before(t, &c, &choice[n - 1]))
			continue;
		if (turn_may_take(t, slot, m) != REASON_OK)
			continue;
		insert_choice(t, choice, &n, c);
	}
	for (size_t i = 0; i < n; i++)
		measure(t, &choice[i]);
	sort_choices(t, choice, n);
	for (size_t i = 0; i < n; i++)
		best[i] = choice[i].member;
	return n;
}

/* That a peer is away, not ready or draining says least, so it counts only if all are; of equally common ones the later
 * filter says more. */
enum place_reason turn_common_reason(const struct turn *t, size_t slot, int32_t but)
{
	const struct placed_slot *s = &t->plan->out->slots[slot];
	size_t count[REASON_LAST + 1] = {0};
	enum place_reason most = REASON_NOT_ALIVE;

	for (size_t m = 0; m < t->plan->board->view->n_members; m++)
		if ((s->peer_only < 0 || (size_t)s->peer_only == m) && (int32_t)m != but)
			count[turn_may_take(t, slot, m)]++;
	count[REASON_NOT_ALIVE] = 0;
	for (enum place_reason r = REASON_NO_FACTS; r <= REASON_LAST; r++)
		if (count[r] && (count[r] >= count[most] || (most <= REASON_DRAINING && r > REASON_DRAINING)))
			most = r;
	return most;
}

void turn_take(struct turn *t, size_t member)
{
	struct board *b = t->plan->board;
	struct peer *peer = &b->peers[member];

	load_add(&peer->load, t->item->service, &b->scratch);
	t->weight[member] = rank_weight(peer->facts, &peer->load, &t->item->service->reserve);
	t->same[member]++;
	spread_count(&t->spread, member, 1);
}

void turn_release(struct turn *t, size_t member)
{
	struct peer *peer = &t->plan->board->peers[member];

	load_sub(&peer->load, t->item->service);
	if (t->fixed[member] == REASON_OK)
		t->weight[member] = rank_weight(peer->facts, &peer->load, &t->item->service->reserve);
	t->same[member]--;
	spread_count(&t->spread, member, -1);
}
