/* How full peers are: what their tasks have reserved. */
#ifndef NODE_CONTROL_FILL_H
#define NODE_CONTROL_FILL_H

#include "placement/place.h"

struct fill {
	uint64_t cpu_milli, memory; /* reserved by tasks that run there or are about to stop */
	uint32_t tasks;
};

/* out has an entry for each member. */
void fill_members(const struct view *v, const struct placement *p, struct fill *out);
/* Is there a task behind this claim now? */
bool fill_counts(const struct view *v, const struct view_claim *c);

#endif
