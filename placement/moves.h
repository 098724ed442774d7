/* Slots that run where they should not: their owners move them. Internal to placement. */
#ifndef PLACEMENT_MOVES_H
#define PLACEMENT_MOVES_H

#include "placement/choose.h"

/* Adds one move to the plan; `to` is only counted there by who calls. */
void plan_move(struct plan *plan, struct placed_move m);
/* Lists the move of a slot of item `it` if its owner drains or lost a permission. */
void move_if_must(struct turn *t, const struct item *it, size_t slot);

#endif
