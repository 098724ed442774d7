/*
 * Which peers may take a slot, and in what order: the same for an orphan, for a slot that has to move, and for one
 * that makes room. Internal to placement.
 */
#ifndef PLACEMENT_CHOOSE_H
#define PLACEMENT_CHOOSE_H

#include "placement/slots.h"
#include "placement/spread.h"

struct room;

/* A slot that waits for room on a member. */
struct wait {
	const struct item *item;
	uint32_t member;
	/* Of what is free there now, what is kept for it beside what leaves: it is part of the member's load. */
	struct service *kept;
};

/* What is decided so far in one run of place(). */
struct plan {
	struct board *board;
	struct placement *out;
	struct arena *arena; /* of out */
	size_t cap_moves;
	struct room *room; /* room.c; NULL until a slot fits nowhere */
	size_t n_waits;
	struct wait *waits;
	int32_t *target; /* per slot: the member that a move decided in this run goes to; -1 */
};

/* One service's turn. */
struct turn {
	struct plan *plan;
	const struct item *item;  /* NULL before the first */
	enum place_reason *fixed; /* per member: the static filters' answer */
	uint32_t *weight;         /* per member that passes them */
	uint32_t *same;           /* per member: replicas of the service, with those decided on so far */
	int32_t *wishes;          /* per member: filter_wishes(), if the service has any */
	struct spread spread;     /* those replicas by zone and the like */
};

void turn_init(struct turn *t, struct plan *plan);
/* Begins the turn of a service, unless it has begun: asks every peer what it is, counts replicas. */
void turn_to(struct turn *t, const struct item *item);

enum place_reason turn_may_take(const struct turn *t, size_t slot, size_t member);
/* The best members that pass every filter, in order, at most PLACE_CHOICES. but: one that is left out, or -1. */
size_t turn_choose(const struct turn *t, size_t slot, int32_t but, uint32_t *best);
/* Why nobody can: the most common reason. */
enum place_reason turn_common_reason(const struct turn *t, size_t slot, int32_t but);
/* What the member would carry counts for the slots that come after. */
void turn_take(struct turn *t, size_t member);
/* Takes back what counted. */
void turn_release(struct turn *t, size_t member);

#endif
