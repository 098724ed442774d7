/*
 * The two ways in which this peer's work ends while its agent still runs. It was evicted: others start its slots, so
 * its tasks stop and it starts nothing more. It leaves: each task stops once another peer serves its slot.
 */
#include "base/log.h"
#include "node/agent_parts.h"

/* The word that we leave needs this many ms to go around, even when there is no task to wait for. */
#define LEAVE_SAID SECONDS(1)
/* Milliseconds after the end of the patience in which tasks may still end by themselves; then shims see to it. */
#define LEAVE_STOPPING SECONDS(30)

static bool over(const struct runtime_task *t)
{
	return t->state == TASK_DONE || t->state == TASK_FAILED || t->state == TASK_LOST;
}

/* Stops those tasks that done() names, forgets those that are over; returns how many are left. */
static size_t end_tasks(
        struct agent *a, bool (*done)(struct agent *, const struct runtime_task *), const char *why)
{
	size_t n = runtime_tasks(a->runtime, NULL, 0), left = 0;
	const struct runtime_task **t = arena_array(&a->arena, n, sizeof(*t));

	n = MIN(n, runtime_tasks(a->runtime, t, n));
	for (size_t i = 0; i < n; i++) {
		if (over(t[i])) {
			runtime_forget(a->runtime, t[i]->task);
			continue;
		}
		left++;
		if (!t[i]->stopping && done(a, t[i]))
			runtime_stop(a->runtime, t[i]->task, why);
	}
	return left;
}

/* --- evicted --- */

bool agent_check_evicted(struct agent *a)
{
	struct key32 record;
	bool evicted = trust_eviction(gossip_trust(a->gossip), &a->keys.public_key, &record);

	if (evicted && !a->evicted) {
		log_error("trust",
		        "this peer was evicted from flock %s by an operator: it stops its tasks and starts nothing more. To "
		        "bring this host back, stop the agent, remove %s, and join with a new token",
		        trust_flock_name(gossip_trust(a->gossip)), a->cfg.data_dir);
		a->n_refusals = 0;
	}
	a->evicted = evicted;
	return evicted;
}

static bool at_once(struct agent *a, const struct runtime_task *t)
{
	(void)a;
	(void)t;
	return true;
}

void agent_evicted_pass(struct agent *a)
{
	end_tasks(a, at_once, "this peer was evicted");
}

/* --- leaving --- */

void agent_leave(struct agent *a, int64_t patience_ms)
{
	struct now now = agent_now(a);

	a->leave_until = now.mono + patience_ms;
	if (!a->leaving) {
		a->leaving = true;
		a->leave_from = now.mono;
		log_info("agent",
		        "leaving the flock: tasks stop as other peers take over, at the latest in %lld s",
		        (long long)(patience_ms / 1000));
		gossip_leave(a->gossip, now);
		agent_pump(a);
	}
	agent_kick(a);
}

static bool others_alive(const struct agent *a)
{
	for (size_t i = 0; i < a->view.n_members; i++)
		if (i != a->view.self && a->view.members[i].state == VIEW_ALIVE)
			return true;
	return false;
}

/* Does another peer serve its slot, or does nobody want it to be served? */
static bool taken_over(struct agent *a, const struct runtime_task *t)
{
	const struct placed_slot *s = view_slot(&a->placement, t->slot);
	const struct view_claim *c;

	if (!s || a->worked_at >= a->leave_until || !others_alive(a))
		return true;
	if (s->peer_only >= 0 && (size_t)s->peer_only == a->view.self)
		return true;
	if (s->owner < 0)
		return false;
	c = &a->view.claims[s->owner];
	return c->member != a->view.self && claim_serves(&c->c);
}

void agent_leave_pass(struct agent *a)
{
	size_t left = end_tasks(a, taken_over, "this peer leaves the flock");

	if (left ? a->worked_at >= a->leave_until + LEAVE_STOPPING : a->worked_at >= a->leave_from + LEAVE_SAID)
		agent_stop(a, 0, "left the flock, as an operator asked");
}
