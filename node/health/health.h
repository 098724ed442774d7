/* Watches one running task: makes its checks when they are due and tells when its health changes. */
#ifndef NODE_HEALTH_HEALTH_H
#define NODE_HEALTH_HEALTH_H

#include "base/addr.h"
#include "placement/claim.h"
#include "placement/spec/spec.h"

#include <uv.h>

struct health;

struct health_events {
	/* why is a sentence for people, with the failed check's cause. */
	void (*changed)(void *ctx, enum task_health health, const char *why);
	/* Run the check's command as the task would, and answer with health_checked() and the same seq. */
	void (*command)(void *ctx, uint32_t seq, int64_t timeout_ms);
};

/* check must outlive the watch. to: where http and tcp checks connect. before: HEALTH_STARTING for a new process. */
struct health *health_start(uv_loop_t *loop, const struct spec_check *check, const struct addr *to,
        enum task_health before, const struct health_events *ev, void *ctx);
/* The answer to a command check; another seq than the last one's is ignored. */
void health_checked(struct health *h, uint32_t seq, bool passed, const char *why);
/* No event any more; frees itself when its handles are closed. NULL is nothing. */
void health_stop(struct health *h);

#endif
