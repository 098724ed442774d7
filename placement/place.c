/*
 * Who must run what. Slots with a live claim stay; for an orphan the peers that pass the filters are scored, and of
 * the PLACE_CHOICES best the one that carries fewest replicas of the service, then the least utilised, comes first
 * (docs/placement.md). What it would carry counts for the slots after it.
 */
#include "placement/slots.h"

struct choice {
	uint32_t member;
	struct score score;
	uint32_t same; /* replicas of the service there */
	uint64_t utilisation;
};

/* One service's placing. */
struct turn {
	struct board *board;
	const struct item *item;
	enum place_reason *fixed; /* per member: the static filters' answer */
	uint32_t *weight;         /* per member that passes them */
	uint32_t *same;           /* per member: replicas of the service, with those placed just now */
};

static enum place_reason may_take(const struct turn *t, size_t member, struct range claims)
{
	const struct peer *peer = &t->board->peers[member];

	if (t->fixed[member] != REASON_OK)
		return t->fixed[member];
	if (slot_refused(t->board->view, claims, t->item->stack, member))
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

static size_t choose(
        const struct turn *t, const struct placed_slot *slot, struct range claims, struct choice *best)
{
	const struct board *b = t->board;
	size_t first = slot->peer_only >= 0 ? (size_t)slot->peer_only : 0;
	size_t end = slot->peer_only >= 0 ? first + 1 : b->view->n_members;
	size_t n = 0;

	for (size_t m = first; m < end; m++) {
		struct choice c = {.member = (uint32_t)m};

		if (t->fixed[m] != REASON_OK)
			continue;
		c.score = (struct score){neg_log2(rank_hash(slot->slot, b->peers[m].key)), t->weight[m]};
		if (n == PLACE_CHOICES && !score_less(c.score, best[n - 1].score))
			continue;
		if (may_take(t, m, claims) != REASON_OK)
			continue;
		insert_choice(best, &n, c);
	}
	for (size_t i = 0; i < n; i++) {
		const struct peer *peer = &b->peers[best[i].member];

		best[i].same = t->same[best[i].member];
		best[i].utilisation = rank_utilisation(peer->facts, &peer->load, &t->item->service->reserve);
	}
	sort_choices(best, n);
	return n;
}

/* Why nobody can: the most common reason. That a peer is away says least, so it counts only if all are; of equally
 * common ones the later filter says more. */
static enum place_reason common_reason(const struct turn *t, const struct placed_slot *slot, struct range claims)
{
	size_t count[REASON_LAST + 1] = {0};
	enum place_reason most = REASON_NOT_ALIVE;

	for (size_t m = 0; m < t->board->view->n_members; m++)
		if (slot->peer_only < 0 || (size_t)slot->peer_only == m)
			count[may_take(t, m, claims)]++;
	count[REASON_NOT_ALIVE] = 0;
	for (enum place_reason r = REASON_NO_FACTS; r <= REASON_LAST; r++)
		if (count[r] && count[r] >= count[most])
			most = r;
	return most;
}

static void place_orphan(struct turn *t, struct placed_slot *slot, struct range claims)
{
	struct choice best[PLACE_CHOICES];
	size_t n = choose(t, slot, claims, best);
	struct peer *peer;

	slot->n_candidates = (uint8_t)n;
	for (size_t i = 0; i < n; i++)
		slot->candidate[i] = best[i].member;
	if (!n) {
		slot->reason = common_reason(t, slot, claims);
		return;
	}
	peer = &t->board->peers[best[0].member];
	load_add(&peer->load, t->item->service, &t->board->scratch);
	t->weight[best[0].member] = rank_weight(peer->facts, &peer->load, &t->item->service->reserve);
	t->same[best[0].member]++;
}

static void place_service(struct turn *t, struct placement *out)
{
	const struct board *b = t->board;
	const struct item *it = t->item;
	size_t n_members = b->view->n_members;
	size_t orphans = 0;

	for (size_t k = it->first; k < it->first + it->n_slots; k++)
		orphans += out->slots[k].owner < 0;
	if (!orphans)
		return;
	for (size_t m = 0; m < n_members; m++) {
		t->fixed[m] = filter_static(b->view, it->stack, it->service, m);
		t->weight[m] = t->fixed[m] == REASON_OK
		                       ? rank_weight(b->peers[m].facts, &b->peers[m].load, &it->service->reserve)
		                       : 1;
	}
	memset(t->same, 0, n_members * sizeof(*t->same));
	board_count(b, out, it, t->same);
	for (size_t k = it->first; k < it->first + it->n_slots; k++)
		if (out->slots[k].owner < 0)
			place_orphan(t, &out->slots[k], b->claims[k]);
}

void place(const struct view *view, struct arena *arena, struct placement *out)
{
	struct board b;
	struct turn t = {.board = &b};

	board_init(&b, view, arena, out);
	t.fixed = arena_array(&b.scratch, view->n_members, sizeof(*t.fixed));
	t.weight = arena_array(&b.scratch, view->n_members, sizeof(*t.weight));
	t.same = arena_array(&b.scratch, view->n_members, sizeof(*t.same));
	for (size_t i = 0; i < b.n_items; i++) {
		t.item = &b.items[i];
		place_service(&t, out);
	}
	board_free(&b);
}
