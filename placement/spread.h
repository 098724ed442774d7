/*
 * `placement.preferences`: over which zones, racks, hosts a service's replicas stand, level by level. A level's groups
 * are the values of its attribute within a group of the level above; peers without the label are one group of their
 * own, as with Swarm. Internal to placement.
 */
#ifndef PLACEMENT_SPREAD_H
#define PLACEMENT_SPREAD_H

#include "placement/view.h"

struct spread {
	size_t levels;                       /* 0: the service wishes none */
	uint32_t *group[SPEC_SPREAD_MAX];    /* per member: its group of that level */
	uint32_t *replicas[SPEC_SPREAD_MAX]; /* per group */
	struct spread_entry *sorting;
};

/* Forms the groups for a service, same[] being its replicas per member. Lists are in the arena, made once. */
void spread_begin(struct spread *s, const struct view *view, const struct service *service, const uint32_t *same,
        struct arena *arena);
/* One replica more or less (by: 1, -1) on the member. */
void spread_count(struct spread *s, size_t member, int by);
/* Which of two members stands where there are fewer replicas: negative a, positive b, 0 alike. */
int spread_compare(const struct spread *s, size_t a, size_t b);

#endif
