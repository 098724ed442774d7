/*
 * Slots that this peer was told to start and cannot: no such command, user or folder here, a host port that another
 * program holds, a full disk. Each is said in a claim `refused`, so that the next candidate acts at once. A refusal
 * ends with its revision, or after a while: what was in the way may be gone.
 */
#include "base/log.h"
#include "base/text.h"
#include "node/work_parts.h"

/* Rarer would leave a slot without a peer for long once its cause is mended, more often would fill the log. */
#define REFUSAL_MS SECONDS(60)

bool work_note_refusal(struct work *w, const struct refusal *what, const char *why, mono_ms now)
{
	struct refusal *r;

	if (w->n_refusals == REFUSALS_MAX)
		return false;
	r = &w->refusals[w->n_refusals++];
	*r = *what;
	r->until = now + REFUSAL_MS;
	text_copy(r->why, sizeof(r->why), why);
	return true;
}

void work_refuse(struct work *w, const struct work_action *start, const char *why, mono_ms now)
{
	const struct refusal r = {
	        .slot = start->slot, .content = service_content(start->service), .revision = start->revision};

	log_warn("agent", "%s/%s/%u cannot start here: %s; another peer is asked", start->stack,
	        start->service->name, start->index, why);
	work_note_refusal(w, &r, why, now);
}

void work_expire_refusals(struct work *w, mono_ms now)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->n_refusals; i++)
		if (w->refusals[i].until > now)
			w->refusals[kept++] = w->refusals[i];
	w->n_refusals = kept;
}

mono_ms work_refusals_due(const struct work *w)
{
	mono_ms due = MONO_NEVER;

	for (size_t i = 0; i < w->n_refusals; i++)
		due = MIN(due, w->refusals[i].until);
	return due;
}

bool work_drop_old_refusals(struct work *w)
{
	size_t kept = 0, had = w->n_refusals;

	for (size_t i = 0; i < w->n_refusals; i++) {
		const struct placed_slot *s = view_slot(&w->placement, w->refusals[i].slot);

		if (s && w->view.stacks[s->stack].revision_id == w->refusals[i].revision)
			w->refusals[kept++] = w->refusals[i];
	}
	w->n_refusals = kept;
	return kept < had;
}

const struct refusal *work_refusal(const struct work *w, id64 slot)
{
	for (size_t i = 0; i < w->n_refusals; i++)
		if (w->refusals[i].slot == slot)
			return &w->refusals[i];
	return NULL;
}
