/* How full peers are: what their tasks have reserved, and what is about to come. Pure. */
#ifndef NODE_CONTROL_FILL_H
#define NODE_CONTROL_FILL_H

#include "placement/place.h"

struct fill {
	uint64_t cpu_milli, memory;           /* reserved by tasks that run there or are about to stop */
	uint64_t felt_cpu_milli, felt_memory; /* the same, as placement compares peers (placement/filter.h) */
	uint32_t tasks;
};

/* Of the fuller of the two resources, in per cent, as placement compares peers; 0 of a peer that has not said what it has. */
uint64_t fill_percent(const struct fill *fill, const struct facts *facts);

/* out has an entry for each member. */
void fill_members(const struct view *v, const struct placement *p, struct fill *out);
/* Adds to it what slots will take where they are about to be: orphans at their first candidate, moves at their target. */
void fill_planned(const struct view *v, const struct placement *p, struct fill *out);
/* Is there a task behind this claim now? */
bool fill_counts(const struct view *v, const struct view_claim *c);
/* The move of a slot, or NULL. */
const struct placed_move *fill_move(const struct placement *p, size_t slot);
/* Another member than its owner that serves the slot too, and is not bound to it by a handover; -1. */
int32_t fill_rival(const struct view *v, const struct placement *p, size_t slot);
/* The member where a slot is about to be besides those that claim it, or -1. */
int32_t fill_bound_for(const struct view *v, const struct placement *p, size_t slot);
/* Does the slot take room on the member, now or soon? */
bool fill_is_at(const struct view *v, const struct placement *p, size_t slot, size_t member);

#endif
