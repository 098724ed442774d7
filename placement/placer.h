/*
 * place() for who calls it again and again: keeps the board between calls, so that a call costs what changed since the
 * last one, and what there is to decide. The result is that of place(), byte for byte.
 */
#ifndef PLACEMENT_PLACER_H
#define PLACEMENT_PLACER_H

#include "placement/place.h"

struct placer;

struct placer *placer_new(void);
void placer_free(struct placer *p);
/* As place(). Facts and specs at the same address as in the view of the call before are taken for the same: whoever replaces
 * one allots the new before the old is freed, as the viewer does. Everything else is compared. */
void placer_place(struct placer *p, const struct view *view, struct arena *arena, struct placement *out);

#endif
