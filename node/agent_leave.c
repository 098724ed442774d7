/*
 * The ways in which this peer's work ends while its agent still runs. It is out: an eviction counts, or its admission does
 * not any more; others start its slots, so its tasks stop and it starts nothing. It leaves: it says so in its facts, which
 * makes it drain (node/reconcile_handover.c); once nothing is left to hand over it tells the flock, stops what still
 * runs, and ends.
 */
#include "base/log.h"

#include "base/text.h"
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

/* --- out --- */

/* Milliseconds from when this peer's admission does not count until its tasks stop. A revocation may come before records
 * that it lists as good; the next reconciliation brings those. An eviction needs no such time. */
#define UNADMITTED_GRACE SECONDS(30)

/* Why this peer's own admission does not count; that of several that is best explained. */
struct own_admission {
	const struct agent *agent;
	bool found;
	struct err why;
};

static bool explain_admission(const struct stored *s, void *ctx)
{
	struct own_admission *own = ctx;

	if (!key32_eq(&s->rec.author, &own->agent->keys.public_key))
		return true;
	own->found = true;
	return trust_may_write(gossip_trust(own->agent->gossip), &s->rec, &own->why) < 0;
}

static void explain_unadmitted(struct agent *a)
{
	struct own_admission own = {.agent = a};

	store_each(gossip_store(a->gossip), REC_ADMISSION, explain_admission, &own);
	text_copy(a->out_why, sizeof(a->out_why),
	        !own.found     ? "there is no admission of it here"
	        : own.why.code ? own.why.text
	                       : "more hosts joined with its token than that allows, on two sides of a split");
}

static void say_out(const struct agent *a)
{
	const char *flock = trust_flock_name(gossip_trust(a->gossip));

	if (a->out == OUT_EVICTED)
		log_error("trust",
		        "this peer was evicted from flock %s by an operator: it stops its tasks and starts nothing more. To "
		        "bring this host back, stop the agent, remove %s, and join with a new token",
		        flock, a->cfg.data_dir);
	else
		log_error("trust",
		        "this peer's admission to flock %s does not count any more (%s): it starts nothing more, and stops its "
		        "tasks in %d s unless that changes. To bring this host back, stop the agent, remove %s, and join with a "
		        "new token",
		        flock, a->out_why, (int)(UNADMITTED_GRACE / 1000), a->cfg.data_dir);
}

bool agent_check_out(struct agent *a)
{
	const struct trust *t = gossip_trust(a->gossip);
	struct key32 record;
	int was = a->out;

	a->out = OUT_NOT;
	if (trust_eviction(t, &a->keys.public_key, &record)) {
		a->out = OUT_EVICTED;
		text_copy(a->out_why, sizeof(a->out_why), "an operator evicted it");
	} else if (!trust_peer(t, &a->keys.public_key)) {
		a->out = OUT_UNADMITTED;
		explain_unadmitted(a);
	}
	if (a->out && a->out != (unsigned)was) {
		a->out_since = a->worked_at;
		say_out(a);
	} else if (!a->out && was) {
		log_info("trust", "this peer's admission to flock %s counts again", trust_flock_name(t));
	}
	return a->out != OUT_NOT;
}

static bool at_once(struct agent *a, const struct runtime_task *t)
{
	(void)a;
	(void)t;
	return true;
}

mono_ms agent_out_pass(struct agent *a)
{
	if (a->out == OUT_UNADMITTED && a->worked_at < a->out_since + UNADMITTED_GRACE)
		return a->out_since + UNADMITTED_GRACE;
	end_tasks(a, at_once,
	        a->out == OUT_EVICTED ? "this peer was evicted" : "this peer is not admitted any more");
	return MONO_NEVER;
}

/* --- leaving --- */

void agent_leave(struct agent *a, int64_t patience_ms)
{
	struct now now = agent_now(a);

	a->leave_until = now.mono + patience_ms;
	if (!a->leaving) {
		a->leaving = true;
		log_info("agent", "leaving the flock: tasks are handed over to other peers, for at most %lld s",
		        (long long)(patience_ms / 1000));
	}
	agent_kick(a);
}

void agent_leave_look(struct agent *a, const struct work_input *in)
{
	size_t left = 0;

	if (!work_may_go(a->work, in) && a->worked_at < a->leave_until)
		return;
	for (size_t i = 0; i < in->n_tasks; i++)
		left += in->tasks[i].own.state < TASK_DONE;
	if (left)
		log_warn("agent", "leaving the flock with %zu task%s that no other peer has taken: %s", left,
		        left == 1 ? "" : "s", left == 1 ? "it stops" : "they stop");
	a->left = true;
	a->leave_until = MIN(a->leave_until, a->worked_at);
	a->leave_from = a->worked_at;
	gossip_leave(a->gossip, agent_now(a));
	agent_pump(a);
	agent_kick(a);
}

void agent_leave_pass(struct agent *a)
{
	size_t left = end_tasks(a, at_once, "this peer leaves the flock");

	if (left ? a->worked_at >= a->leave_until + LEAVE_STOPPING : a->worked_at >= a->leave_from + LEAVE_SAID)
		agent_stop(a, 0, "left the flock, as an operator asked");
}
