/* Own tasks by slot, and what reconcile remembers between runs. */
#include "node/reconcile_run.h"
#include "placement/slots.h"

static int by_slot(const void *pa, const void *pb)
{
	const struct own_task *a = *(const struct own_task *const *)pa, *b = *(const struct own_task *const *)pb;

	if (a->slot != b->slot)
		return a->slot < b->slot ? -1 : 1;
	return a->task < b->task ? -1 : a->task > b->task;
}

void rc_sort_own(struct run *x, const struct own_task *own)
{
	x->own = arena_array(x->arena, x->n_own, sizeof(*x->own));
	x->matched = arena_array(x->arena, x->n_own, sizeof(*x->matched));
	for (size_t i = 0; i < x->n_own; i++)
		x->own[i] = &own[i];
	if (x->n_own)
		qsort(x->own, x->n_own, sizeof(*x->own), by_slot);
}

size_t rc_own_from(const struct run *x, id64 slot)
{
	size_t lo = 0, hi = x->n_own;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (x->own[mid]->slot < slot)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* R2: the one to keep. */
static bool keeps_before(const struct own_task *a, const struct own_task *b, id64 content)
{
	if (finished(a) != finished(b))
		return !finished(a);
	if (a->stopping != b->stopping)
		return !a->stopping;
	if ((a->content == content) != (b->content == content))
		return a->content == content;
	return a->task < b->task;
}

const struct own_task *rc_keeper_of(const struct run *x, size_t k, id64 content)
{
	id64 slot = x->p->slots[k].slot;
	const struct own_task *best = NULL;

	for (size_t i = rc_own_from(x, slot); i < x->n_own && x->own[i]->slot == slot; i++)
		if (!best || keeps_before(x->own[i], best, content))
			best = x->own[i];
	return best;
}

static struct memory *remember(struct run *x, size_t k)
{
	id64 slot = x->p->slots[k].slot;
	struct memory *m = map_get(&x->r->slots, &slot);
	uint64_t born = service_of(x, k)->born;

	if (!m || m->born != born) {
		if (!m)
			map_put(&x->r->slots, &slot, m = xcalloc(1, sizeof(*m)));
		*m = (struct memory){.born = born, .rank = -1};
	}
	m->generation = x->r->generation;
	return m;
}

/* Has any peer had this slot, as far as claims in view tell? */
static bool any_claim(const struct run *x, size_t k)
{
	size_t from, to = place_claims(x->view, x->p->slots[k].slot, &from);

	for (size_t i = from; i < to; i++)
		if (x->view->claims[i].c.state != TASK_REFUSED)
			return true;
	return false;
}

bool rc_refused(const struct run *x, size_t k)
{
	size_t from, to = place_claims(x->view, x->p->slots[k].slot, &from);

	for (size_t i = from; i < to; i++) {
		const struct view_claim *c = &x->view->claims[i];

		if (c->c.state == TASK_REFUSED && c->c.revision == stack_of(x, k)->revision_id &&
		        claim_is_live(x->view, c))
			return true;
	}
	return false;
}

bool rc_refused_here(const struct run *x, size_t k)
{
	size_t from, to = place_claims(x->view, x->p->slots[k].slot, &from);

	for (size_t i = from; i < to; i++)
		if (x->view->claims[i].member == x->view->self && x->view->claims[i].c.state == TASK_REFUSED &&
		        x->view->claims[i].c.revision == stack_of(x, k)->revision_id)
			return true;
	return false;
}

static void note_serving(struct memory *m, bool serving, id64 task, mono_ms since)
{
	if (!serving) {
		m->serving_task = 0;
	} else if (m->serving_task != task) {
		m->serving_task = task;
		m->serving_since = since;
	}
}

static void note_rank(struct run *x, const struct placed_slot *ps, struct memory *m)
{
	int rank = -1;

	for (int i = 0; i < ps->n_candidates; i++)
		if (ps->candidate[i] == x->view->self)
			rank = i;
	if (m->revision != x->view->stacks[ps->stack].revision_id) {
		m->revision = x->view->stacks[ps->stack].revision_id;
		m->first_rank = rank;
	}
	if (rank >= 0 && m->rank < 0)
		m->rank_since = x->now;
	if (rank != 0)
		m->first_since = 0;
	else if (!m->first_since)
		m->first_since = x->now;
	m->rank = rank;
}

static void observe_slot(struct run *x, size_t k, const struct own_task *mine)
{
	struct memory *m = x->memory[k];
	const struct view_claim *owner = owner_of(x, k);

	if (mine && !other_owner(x, k)) {
		note_serving(m, serves(mine), mine->task, mine->healthy_at ? mine->healthy_at : x->now);
		m->orphan_since = 0;
		m->waits = false;
		m->met_at = 0;
		m->claimed = true;
	} else if (owner) {
		note_serving(m, claim_serves(&owner->c), owner->c.task, x->now);
		m->orphan_since = 0;
		m->waits = false;
		m->met_at = 0;
		m->claimed = true;
	} else {
		m->serving_task = 0;
		m->claimed = m->claimed || any_claim(x, k);
		if (!m->orphan_since)
			m->orphan_since = x->now;
	}
	if (owner && owner->c.handover_to && !m->handing)
		rc_note_handover(x);
	m->handing = owner && owner->c.handover_to;
	if (rc_refused(x, k))
		m->refused_at = x->now;
	note_rank(x, &x->p->slots[k], m);
}

void rc_purge(struct reconcile *r)
{
	/* The map may not change while it is walked: one pass per doomed slot would be slow, so gather them first. */
	size_t n = 0;
	cleanup_free id64 *gone = xmalloc((r->slots.len + 1) * sizeof(*gone));
	const void *key;
	struct memory *m;

	for (size_t at = 0; (m = map_next(&r->slots, &at, &key));)
		if (m->generation != r->generation)
			memcpy(&gone[n++], key, sizeof(*gone));
	for (size_t i = 0; i < n; i++)
		free(map_del(&r->slots, &gone[i]));
}

/* How much of the flock is in sight now. Before it was ever ready, a peer has not looked yet; but what it already runs
 * then was found again after a restart, and others may have taken it over meanwhile. Whom an isolated peer sees alive
 * it merely has not accused yet: it sees itself, which in a flock of two is half. */
static enum claim_sight look_around(const struct run *x)
{
	size_t all = 0, alive = 0;

	if (!x->r->was_ready)
		return x->n_own ? SIGHT_FEW : SIGHT_MOST;
	for (size_t i = 0; i < x->view->n_members; i++) {
		all += x->view->members[i].state != VIEW_LEFT;
		alive += x->view->members[i].state == VIEW_ALIVE && (!x->isolated || i == x->view->self);
	}
	return alive * 2 > all ? SIGHT_MOST : alive * 2 == all ? SIGHT_HALF : SIGHT_FEW;
}

void rc_observe_flock(struct run *x)
{
	struct reconcile *r = x->r;
	enum claim_sight sight;

	if (!x->ready)
		r->ready_since = 0;
	else if (!r->ready_since)
		r->ready_since = x->now;
	r->was_ready |= x->ready;
	rc_observe_voters(x);
	sight = look_around(x);
	if (sight < r->sight && x->now - r->sight_at < RC_SIGHT_MEMORY) {
		rc_wake_at(x, r->sight_at + RC_SIGHT_MEMORY);
		return;
	}
	/* Claims that go out after this run still say the old one: another run at once. */
	if (sight != r->sight)
		rc_wake_at(x, x->now);
	r->sight = sight;
	r->sight_at = x->now;
}

/* A task of the old content holds what that asked for until it has ended. */
static const struct service *taken_by(const struct own_task *t, const struct group *g)
{
	return t->takes && t->content != g->content ? t->takes : g->service;
}

void rc_observe_group(struct run *x, const struct group *g)
{
	for (size_t k = g->first; k < g->first + g->n; k++) {
		id64 slot = x->p->slots[k].slot;

		x->memory[k] = remember(x, k);
		observe_slot(x, k, rc_keeper_of(x, k, g->content));
		for (size_t i = rc_own_from(x, slot); i < x->n_own && x->own[i]->slot == slot; i++) {
			x->matched[i] = true;
			if (!finished(x->own[i]))
				load_add(&x->load, taken_by(x->own[i], g), x->arena);
		}
	}
}

void rc_observe_unwanted(struct run *x)
{
	for (size_t i = 0; i < x->n_own; i++)
		if (!x->matched[i] && !finished(x->own[i]) && x->own[i]->takes)
			load_add(&x->load, x->own[i]->takes, x->arena);
}
