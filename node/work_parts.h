/* Shared by the files of work; internal to node/work*.c. */
#ifndef NODE_WORK_PARTS_H
#define NODE_WORK_PARTS_H

#include "node/work.h"
#include "placement/placer.h"

struct work {
	struct key32 self;
	struct reconcile *reconcile;
	struct viewer *viewer;
	struct placer
	        *placer; /* after each viewer_build(), so that facts and specs at the same address are the same */
	struct pager *pager;
	mono_ms published_at; /* claims */

	/* The last look's results; replaced whole by the next. */
	struct arena arena;
	struct view view;
	struct placement placement;
	bool acted; /* since then */
	bool found; /* reconcile has seen the tasks of the last run */
	mono_ms wake;
	mono_ms stranded_since; /* since when no task of a peer that leaves can go anywhere; 0 not */

	size_t n_refusals;
	struct refusal refusals[REFUSALS_MAX];
};

/* work.c: a new view and placement. */
void work_look(struct work *w, const struct work_input *in);

/* work_tell.c: this peer's claims, one per task and refusal, in the arena. */
struct claim *work_claims(struct work *w, const struct work_input *in, size_t *n);
/* Says what this peer is. Returns when to call again, or MONO_NEVER. */
mono_ms work_publish_facts(const struct work_input *in);

/* work_refusals.c. Notes one, of which slot, content and revision are given; false: there are too many. */
bool work_note_refusal(struct work *w, const struct refusal *what, const char *why, mono_ms now);
/* Ends those whose time is over; when the next one's is, or MONO_NEVER. */
void work_expire_refusals(struct work *w, mono_ms now);
mono_ms work_refusals_due(const struct work *w);
/* Ends those that the view no longer asks for. True: some were. */
bool work_drop_old_refusals(struct work *w);

#endif
