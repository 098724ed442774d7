/*
 * From single check results to healthy and unhealthy, with Compose's timing. Pure.
 *
 *	failures count  |  no: early or start_period   |  yes: `retries` in a row -> unhealthy
 *	next check      |  soon, ever later            |  every `interval`
 *	----------------+------------------------------+-------------------------------------
 *	            started       max(interval, start_period)
 *
 * A success at any time makes it healthy, and from then on failures count. Compose makes the first check after a
 * whole interval; checks before that are ours, cost nothing when they fail, and make a quick service healthy quickly.
 */
#ifndef NODE_HEALTH_THRESHOLDS_H
#define NODE_HEALTH_THRESHOLDS_H

#include "placement/claim.h"
#include "placement/spec/spec.h"

/* The first check after the start, and the doubling from there; never slower than Compose's own interval. */
#define HEALTH_FIRST_MS 50
/* After an agent found the task again, its first check comes this soon, to notice what was missed. */
#define HEALTH_ADOPTED_MS 1000

struct thresholds {
	enum task_health health;
	uint32_t streak;  /* counted failures in a row */
	mono_ms started;  /* when the process started */
	mono_ms next;     /* when the next check is due */
	int64_t early_ms; /* next step of the early checks */
};

/* before: HEALTH_STARTING for a new process; what it was for one that is found again. */
void thresholds_init(struct thresholds *t, const struct spec_check *check, enum task_health before, mono_ms now);
/* A check ended. Returns true when health changed by it. */
bool thresholds_result(struct thresholds *t, const struct spec_check *check, bool passed, mono_ms now);

#endif
