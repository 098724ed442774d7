/* R5: updates, one slot after the other. */
#include "node/reconcile_run.h"

enum progress { UP_TO_DATE, UNDER_WAY, OUTDATED, OUTDATED_UNSETTLED };

static bool settled(struct run *x, size_t k)
{
	const struct memory *m = x->memory[k];

	if (!m->serving_task)
		return false;
	if (x->now - m->serving_since >= x->r->cfg.monitor)
		return true;
	rc_wake_at(x, m->serving_since + x->r->cfg.monitor);
	return false;
}

static enum progress progress_of_own(struct run *x, const struct group *g, size_t k, const struct own_task *mine)
{
	if (mine->stopping)
		return UNDER_WAY;
	if (mine->content != g->content)
		return settled(x, k) ? OUTDATED : OUTDATED_UNSETTLED;
	return settled(x, k) || mine->state == TASK_DONE ? UP_TO_DATE : UNDER_WAY;
}

static enum progress progress_of(struct run *x, const struct group *g, size_t k)
{
	const struct own_task *mine = rc_keeper_of(x, k, g->content);
	const struct view_claim *c = owner_of(x, k);
	const struct memory *m = x->memory[k];
	mono_ms gap = x->r->cfg.settle + 2 * x->r->cfg.deputy_delay;
	mono_ms since;

	if (x->p->slots[k].successor >= 0 || x->p->slots[k].predecessor >= 0)
		return UNDER_WAY;
	if (mine && !other_owner(x, k))
		return progress_of_own(x, g, k, mine);
	/* `partition: pause` keeps a dead owner's slot; nobody can move it, so nobody waits for it. */
	if (c && x->view->members[c->member].state == VIEW_DEAD)
		return UP_TO_DATE;
	if (c && c->c.content != g->content)
		return settled(x, k) ? OUTDATED : OUTDATED_UNSETTLED;
	if (c)
		return settled(x, k) || c->c.state == TASK_DONE ? UP_TO_DATE : UNDER_WAY;
	/* Refused, and nobody serves it: what the service still has is its old content elsewhere. The gap bridges the
	 * moments in which a peer that refused tries again. */
	if (m->refused_at && x->now - m->refused_at < gap) {
		rc_wake_at(x, m->refused_at + gap);
		return UNDER_WAY;
	}
	/* Between its stop and its start nobody claims it; and who just started does not know what was before. A slot
	 * that nobody takes for long does not hold up the rest. */
	since = MAX(m->orphan_since, x->r->ready_since);
	if ((m->claimed || !g->stack->arrived) && m->orphan_since && x->now - since < gap &&
	        x->p->slots[k].n_candidates) {
		rc_wake_at(x, since + gap);
		return UNDER_WAY;
	}
	return UP_TO_DATE;
}

static void work_out_turns(struct run *x, struct group *g)
{
	enum progress *at = arena_array(x->arena, g->n, sizeof(*at));
	size_t under_way = 0, turns;

	g->may_move = arena_array(x->arena, g->n, sizeof(*g->may_move));
	for (size_t i = 0; i < g->n; i++) {
		at[i] = progress_of(x, g, g->first + i);
		under_way += at[i] == UNDER_WAY;
	}
	turns = service_parallelism(g->service) > under_way ? service_parallelism(g->service) - under_way : 0;
	for (size_t i = 0; i < g->n && turns; i++)
		if (at[i] == OUTDATED_UNSETTLED) {
			g->may_move[i] = true;
			turns--;
		}
	for (size_t i = 0; i < g->n && turns; i++)
		if (at[i] == OUTDATED) {
			g->may_move[i] = true;
			turns--;
		}
}

bool rc_my_turn(struct run *x, struct group *g, size_t k)
{
	/* Without the author's power the new revision may not run: the old one goes on. */
	if (!x->ready || (service_powers(g->service) & ~g->stack->powers))
		return false;
	if (!g->may_move)
		work_out_turns(x, g);
	return g->may_move[k - g->first];
}
