/* R7 to R10: slots that nobody has. */
#include "node/reconcile_run.h"

#include "placement/depends.h"

/* Between two tries to start a slot, should the first have left no trace. */
#define START_AGAIN SECONDS(1)
/* R9: claims of a deployment shift the candidates of its slots that are not claimed yet. The first look is the one that
 * all peers share; who comes to the front later waits this long, in ms: claims take well under a second. */
#define SHIFTED_WAIT SECONDS(1)

/* R7: into what room there is here, whatever was computed for the flock. */
static bool fits_here(const struct run *x, const struct group *g)
{
	const struct facts *f = x->view->members[x->view->self].facts;

	return f && filter_dynamic(f, &x->load, g->service, g->same) == REASON_OK;
}

bool rc_start(struct run *x, struct group *g, size_t k, const struct own_task *replaces, const char *why)
{
	struct memory *m = x->memory[k];

	if (!fits_here(x, g))
		return false;
	if (!replaces && m->tried && x->now - m->tried < START_AGAIN) {
		rc_wake_at(x, m->tried + START_AGAIN);
		return false;
	}
	rc_act(x, (struct reconcile_action){.kind = DO_START,
	                  .slot = x->p->slots[k].slot,
	                  .placed = (uint32_t)k,
	                  .replaces = replaces ? replaces->task : 0,
	                  .why = why});
	m->tried = x->now;
	m->replaces &= replaces != NULL;
	m->preempted = false;
	load_add(&x->load, g->service, x->arena);
	g->same++;
	return true;
}

bool rc_may_go_on(const struct run *x, size_t k)
{
	switch (place_permits(x->view, x->p, k, x->view->self)) {
	case REASON_OK:
	case REASON_NOT_ALIVE:
	case REASON_NOT_READY:
	case REASON_DRAINING:
		return true;
	default:
		return false;
	}
}

/* R10: when the wait for the lost owner began; *wait: whether to wait for settle at all. Nobody is lost when a
 * candidate refused: the next is asked at once. */
static mono_ms orphaned_at(const struct run *x, size_t k, bool *wait)
{
	size_t from, to = place_claims(x->view, x->p->slots[k].slot, &from);
	mono_ms dead = 0;
	bool left = false;

	for (size_t i = from; i < to; i++) {
		const struct view_member *m = &x->view->members[x->view->claims[i].member];

		if (x->view->claims[i].c.state == TASK_REFUSED)
			continue;
		if (m->state == VIEW_DEAD)
			dead = MAX(dead, m->suspected ? m->suspected : m->seen);
		left |= m->state == VIEW_LEFT;
	}
	*wait = dead || !(left || rc_refused(x, k));
	return dead ? dead : x->memory[k]->orphan_since;
}

static bool is_fresh(const struct run *x, const struct group *g, const struct memory *m)
{
	return g->stack->arrived && x->now - g->stack->arrived <= x->r->cfg.fresh && !m->claimed;
}

/* R17. What has to change for it is in the view, so its next change makes another run. */
bool rc_waits(struct run *x, struct group *g, size_t k)
{
	struct memory *m = x->memory[k];

	if (!g->looked)
		g->waits = place_waits_for(x->view, x->p, k) != NULL;
	g->looked = true;
	if (m->waits && !g->waits)
		m->met_at = x->now;
	m->waits = g->waits;
	return g->waits;
}

void rc_consider_orphan(struct run *x, struct group *g, size_t k)
{
	const struct reconcile_config *cfg = &x->r->cfg;
	const struct placed_slot *ps = &x->p->slots[k];
	struct memory *m = x->memory[k];
	mono_ms settle = g->service->failover_after_ms ? g->service->failover_after_ms : cfg->settle;
	mono_ms due;
	bool wait;

	if (!x->ready || rc_waits(x, g, k) || m->rank < 0)
		return;
	if (ps->peer_only >= 0) {
		rc_start(x, g, k, NULL, "runs on every permitted peer"); /* R8 */
		return;
	}
	if (is_fresh(x, g, m) && (m->rank == 0 || m->first_rank == 0)) {
		/* Who shifted to the front waits for the claim of whom all saw there. */
		due = m->first_rank == 0 ? x->now : m->first_since + SHIFTED_WAIT;
		if (x->now >= due) {
			rc_start(x, g, k, NULL, "new"); /* R9 */
			return;
		}
		rc_wake_at(x, due);
	}
	if (x->isolated)
		return;
	due = orphaned_at(x, k, &wait);
	/* Of what was only held up by another service nobody was lost. */
	if (wait && (!m->met_at || due < m->orphan_since))
		due = MAX(due + settle, x->r->ready_since + MAX(settle, cfg->newcomer));
	due = MAX(due, m->met_at);
	due = MAX(due + m->rank * cfg->deputy_delay, m->rank_since + m->rank * cfg->deputy_delay);
	if (x->now >= due)
		m->replaces |= rc_start(x, g, k, NULL, m->claimed ? "its peer was lost" : "nobody has it");
	else
		rc_wake_at(x, due);
}
