/*
 * R15: `partition: majority`. A peer runs such a service only while over half of the flock's voters, itself among
 * them if it is one, are in its sight. This narrows the time in which two sides of a split run one slot to what
 * detection takes; it is no lease (docs/placement.md).
 */
#include "node/reconcile_run.h"

/* A voter that is suspect this long, ms, is out of sight. Shorter, and each suspicion that is refuted counts; longer,
 * and the other side has started what this one still runs. */
#define VOTER_SUSPECT SECONDS(3)
/* Out of sight of the majority this long, ms, before tasks stop. */
#define MINORITY_GRACE SECONDS(1)

static bool in_sight(const struct run *x, const struct view_member *m)
{
	if (m->state == VIEW_ALIVE)
		return true;
	if (m->state != VIEW_SUSPECT || x->now - m->seen >= VOTER_SUSPECT)
		return false;
	rc_wake_at((struct run *)x, m->seen + VOTER_SUSPECT);
	return true;
}

static bool is_voter(const struct view *view, const struct key32 *key)
{
	size_t lo = 0, hi = view->n_voters;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int order = key32_cmp(&view->voters[mid], key);

		if (!order)
			return true;
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

void rc_observe_voters(struct run *x)
{
	struct reconcile *r = x->r;
	size_t seen = 0;

	/* Whom an isolated peer sees alive it merely has not accused yet: only its own vote is sure. */
	for (size_t i = 0; x->view->n_voters && i < x->view->n_members; i++)
		seen += is_voter(x->view, &x->view->members[i].key) &&
		        (i == x->view->self || (!x->isolated && in_sight(x, &x->view->members[i])));
	if (seen * 2 > x->view->n_voters) {
		r->minority_since = 0;
		r->majority = true;
		return;
	}
	if (!r->minority_since)
		r->minority_since = x->now;
	if (x->now - r->minority_since >= MINORITY_GRACE)
		r->majority = false;
	else if (r->majority)
		rc_wake_at(x, r->minority_since + MINORITY_GRACE);
}

bool rc_permitted_by_sight(const struct run *x, const struct group *g)
{
	return g->service->partition != PARTITION_MAJORITY || x->r->majority;
}
