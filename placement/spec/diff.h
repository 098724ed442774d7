/* What changes between two revisions of a stack, in service terms: for `deploy`, `plan` and `history`. */
#ifndef PLACEMENT_SPEC_DIFF_H
#define PLACEMENT_SPEC_DIFF_H

#include "placement/spec/spec.h"

enum diff_kind { DIFF_SAME, DIFF_ADDED, DIFF_REMOVED, DIFF_CHANGED };

struct service_diff {
	const char *name;
	enum diff_kind kind;
	/* DIFF_CHANGED: its tasks are replaced; false when only replicas, placement and such differ. */
	bool replaces_tasks;
	/* DIFF_CHANGED: the changed keys as Compose paths ("deploy.replicas"), sorted. Static texts. */
	size_t n_keys;
	const char **keys;
};

struct spec_diff {
	size_t n_services;
	struct service_diff *services; /* of either side, by name */
	size_t added, removed, changed, same;
};

/* "same", "added", "removed", "changed". */
const char *diff_kind_name(enum diff_kind k);
/* from or to may be NULL: no such revision. Memory belongs to arena; names point into the specs. Only `born`, which
 * no user writes, is not compared. */
void spec_diff(const struct spec *from, const struct spec *to, struct arena *arena, struct spec_diff *out);

#endif
