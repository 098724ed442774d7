/*
 * Slots that this peer was told to start and cannot: no such command, user or folder here, a host port that another
 * program holds, a full disk. Each is said in a claim `refused`, so that the next candidate acts at once. A refusal
 * ends with its revision, or after a while: what was in the way may be gone.
 */
#include "base/log.h"
#include "base/text.h"
#include "node/agent.h"

/* Rarer would leave a slot without a peer for long once its cause is mended, more often would fill the log. */
#define REFUSAL_MS SECONDS(60)

bool agent_refuse(struct agent *a, const struct refusal *what, const char *why)
{
	struct refusal *r;

	if (a->n_refusals == REFUSALS_MAX)
		return false;
	r = &a->refusals[a->n_refusals++];
	*r = *what;
	r->until = agent_now(a).mono + REFUSAL_MS;
	text_copy(r->why, sizeof(r->why), why);
	agent_look_at_disk(a);
	return true;
}

void agent_take_refused(struct agent *a)
{
	size_t n = runtime_tasks(a->runtime, NULL, 0);
	const struct runtime_task **t = xcalloc(n, sizeof(*t));

	n = MIN(n, runtime_tasks(a->runtime, t, n));
	for (size_t i = 0; i < n; i++) {
		const struct refusal r = {
		        .slot = t[i]->slot, .content = t[i]->content, .revision = t[i]->revision};

		if (!t[i]->refused || !agent_refuse(a, &r, t[i]->reason))
			continue;
		log_warn("agent", "%s/%s/%u cannot start here: %s; another peer is asked", t[i]->stack,
		        t[i]->service, t[i]->index, t[i]->reason);
		runtime_stop(a->runtime, t[i]->task, "another peer is asked");
		runtime_forget(a->runtime, t[i]->task);
	}
	free(t);
}

void agent_expire_refusals(struct agent *a)
{
	mono_ms now = agent_now(a).mono;
	size_t kept = 0;

	for (size_t i = 0; i < a->n_refusals; i++)
		if (a->refusals[i].until > now)
			a->refusals[kept++] = a->refusals[i];
	a->n_refusals = kept;
}

mono_ms agent_refusals_due(const struct agent *a)
{
	mono_ms due = MONO_NEVER;

	for (size_t i = 0; i < a->n_refusals; i++)
		due = MIN(due, a->refusals[i].until);
	return due;
}

bool agent_drop_old_refusals(struct agent *a)
{
	size_t kept = 0, had = a->n_refusals;

	for (size_t i = 0; i < a->n_refusals; i++) {
		const struct placed_slot *s = view_slot(&a->placement, a->refusals[i].slot);

		if (s && a->view.stacks[s->stack].revision_id == a->refusals[i].revision)
			a->refusals[kept++] = a->refusals[i];
	}
	a->n_refusals = kept;
	return kept < had;
}

const struct refusal *agent_refusal(const struct agent *a, id64 slot)
{
	for (size_t i = 0; i < a->n_refusals; i++)
		if (a->refusals[i].slot == slot)
			return &a->refusals[i];
	return NULL;
}
