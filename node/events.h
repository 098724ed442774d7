/*
 * What happened, as `starling events` tells it: of this peer's own tasks, and of peers, stacks and drains as this peer sees
 * them. Found by comparing what is with what was; kept in memory, the last EVENTS_MAX of them. Pure: time is passed in.
 */
#ifndef NODE_EVENTS_H
#define NODE_EVENTS_H

#include "node/runtime/runtime.h"
#include "placement/view.h"

/* Events kept, 0.4 KiB each: hours of a quiet peer, minutes of a crash-loop. */
#define EVENTS_MAX 512

enum event_kind {
	/* of a task of this peer */
	EVENT_STARTED,
	EVENT_RESTARTED,
	EVENT_HEALTHY,
	EVENT_UNHEALTHY,
	EVENT_EXITED,
	EVENT_OOM,
	EVENT_REFUSED,
	EVENT_STOPPING,
	EVENT_MOVED, /* another peer takes its slot over */
	EVENT_DISPUTED,
	/* of the flock, as this peer sees it */
	EVENT_JOINED,
	EVENT_SUSPECT,
	EVENT_DEAD,
	EVENT_LEFT,
	EVENT_BACK,
	EVENT_EVICTED,
	EVENT_DRAINING,
	EVENT_RESUMED,
	EVENT_DEPLOYED,
	EVENT_REMOVED,
};
const char *event_name(enum event_kind k);
/* Of a task of this peer: each peer tells its own. */
bool event_is_own(enum event_kind k);

struct event {
	uint64_t seq; /* counts from 1 */
	wall_ms at;
	enum event_kind kind;
	char stack[NAME_MAX_BYTES]; /* empty: not of a stack */
	char service[NAME_MAX_BYTES];
	uint32_t slot;
	id64 task; /* 0: of no task */
	id64 peer; /* which peer joined, takes over; 0 none */
	char text[160];
};

struct events;
struct events *events_new(void);
void events_free(struct events *e);
/* A task of this peer changed. */
void events_task(struct events *e, const struct runtime_task *t, wall_ms now);
void events_task_gone(struct events *e, id64 task);
/* This peer keeps a task that another peer claims as well. */
void events_disputed(struct events *e, const struct runtime_task *t, const char *why, wall_ms now);
/* After each pass. The first one that is ready tells what there is, which has not happened now. */
void events_look(struct events *e, const struct view *v, bool ready, wall_ms now);
/* The first event after that number, NULL: none. */
const struct event *events_after(const struct events *e, uint64_t seq);

#endif
