/*
 * Of the peers that pass the filters the PLACE_CHOICES with the lowest scores are looked at; of these the one that
 * carries fewest replicas of the service, then the least utilised, comes first (docs/placement.md).
 */
#include "placement/choose.h"

struct choice {
	uint32_t member;
	struct score score;
	uint32_t same; /* replicas of the service there */
	uint64_t utilisation;
};

void turn_init(struct turn *t, struct plan *plan)
{
	struct board *b = plan->board;

	*t = (struct turn){.plan = plan};
	t->fixed = arena_array(&b->scratch, b->view->n_members, sizeof(*t->fixed));
	t->weight = arena_array(&b->scratch, b->view->n_members, sizeof(*t->weight));
	t->same = arena_array(&b->scratch, b->view->n_members, sizeof(*t->same));
}

void turn_to(struct turn *t, const struct item *it)
{
	const struct board *b = t->plan->board;
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

/* Keeps best[0..*n) the lowest scores in order; equal scores stay in order of peer key, as members come. */
static void insert_choice(struct choice *best, size_t *n, struct choice c)
{
	size_t at = *n < PLACE_CHOICES ? (*n)++ : PLACE_CHOICES - 1;

	for (; at > 0 && score_less(c.score, best[at - 1].score); at--)
		best[at] = best[at - 1];
	best[at] = c;
}

static int by_preference(const struct choice *a, const struct choice *b)
{
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

static void sort_choices(struct choice *c, size_t n)
{
	for (size_t i = 1; i < n; i++)
		for (size_t k = i; k > 0 && by_preference(&c[k], &c[k - 1]) < 0; k--) {
			struct choice swap = c[k];

			c[k] = c[k - 1];
			c[k - 1] = swap;
		}
}

size_t turn_choose(const struct turn *t, size_t slot, int32_t but, uint32_t *best)
{
	const struct board *b = t->plan->board;
	const struct placed_slot *s = &t->plan->out->slots[slot];
	size_t first = s->peer_only >= 0 ? (size_t)s->peer_only : 0;
	size_t end = s->peer_only >= 0 ? first + 1 : b->view->n_members;
	struct choice choice[PLACE_CHOICES];
	size_t n = 0;

	for (size_t m = first; m < end; m++) {
		struct choice c = {.member = (uint32_t)m};

		if (t->fixed[m] != REASON_OK || (int32_t)m == but)
			continue;
		c.score = (struct score){neg_log2(rank_hash(s->slot, b->peers[m].key)), t->weight[m]};
		if (n == PLACE_CHOICES && !score_less(c.score, choice[n - 1].score))
			continue;
		if (turn_may_take(t, slot, m) != REASON_OK)
			continue;
		insert_choice(choice, &n, c);
	}
	for (size_t i = 0; i < n; i++) {
		const struct peer *peer = &b->peers[choice[i].member];

		choice[i].same = t->same[choice[i].member];
		choice[i].utilisation = rank_utilisation(peer->facts, &peer->load, &t->item->service->reserve);
	}
	sort_choices(choice, n);
	for (size_t i = 0; i < n; i++)
		best[i] = choice[i].member;
	return n;
}

/* That a peer is away says least, so it counts only if all are; of equally common ones the later filter says more. */
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
		if (count[r] && count[r] >= count[most])
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
}

void turn_release(struct turn *t, size_t member)
{
	struct peer *peer = &t->plan->board->peers[member];

	load_sub(&peer->load, t->item->service);
	if (t->fixed[member] == REASON_OK)
		t->weight[member] = rank_weight(peer->facts, &peer->load, &t->item->service->reserve);
	t->same[member]--;
}
