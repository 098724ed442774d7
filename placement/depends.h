/* depends_on: when a slot that nobody has may be started. Pure. */
#ifndef PLACEMENT_DEPENDS_H
#define PLACEMENT_DEPENDS_H

#include "placement/place.h"

/*
 * What service `slot` is of still waits for, or NULL: the first of its dependencies, by name, whose condition does not
 * hold in this view (Compose Specification, depends_on). One is enough of several replicas to be started or healthy, so
 * that a slot without a place does not hold up the rest of a stack; completed means all of them. A service that wants no
 * replicas, or is not in the stack (`required: false`), is waited for by nobody.
 */
const struct spec_depends_on *place_waits_for(const struct view *view, const struct placement *p, size_t slot);
/* "until SERVICE is healthy"; static text of the condition. */
const char *depends_text(enum spec_depends condition);

#endif
