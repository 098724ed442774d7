/* Slots that run where they should not: their owners move them. Internal to placement. */
#ifndef PLACEMENT_MOVES_H
#define PLACEMENT_MOVES_H

#include "placement/choose.h"

/* Adds one move to the plan; `to` is only counted there by who calls. */
void plan_move(struct plan *plan, struct placed_move m);
/* Why the slot has to go from where it runs; REASON_OK: it may stay. */
enum place_reason must_go(const struct board *b, const struct item *it, const struct placed_slot *s);
/* Lists the move of a slot of item `it` if its owner drains or lost a permission. */
void move_if_must(struct turn *t, const struct item *it, size_t slot);

#endif
