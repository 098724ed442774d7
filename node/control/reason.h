/* Placement's numbered reasons told to people: which constraint, how much is free of what was asked, who has the port. Pure. */
#ifndef NODE_CONTROL_REASON_H
#define NODE_CONTROL_REASON_H

#include "node/control/fill.h"
#include "node/view.h"

/* Why the member cannot take that slot, in figures and names; "" where the reason says it all. fill: of all members, with
 * what is planned. Memory is arena's. */
const char *reason_detail(const struct view *v, const struct placement *p, size_t slot, size_t member,
        enum place_reason reason, const struct fill *fill, struct arena *arena);
/* What is so with a slot, and why, in one sentence without its end: who has it, who takes it over, who is next. */
const char *reason_slot(const struct view *v, const struct placement *p, size_t slot, struct arena *arena);
/* "shop/web/0" */
const char *reason_slot_name(const struct view *v, const struct placed_slot *s, struct arena *arena);

#endif
