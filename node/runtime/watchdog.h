/*
 * When a shim whose agent is gone stops its task. Pure: the shim passes its monotonic time in.
 *
 *	            agent connects              limit is over
 *	 CONNECTED <-------------- ALONE ----------------------> fires, once
 *	     |                     ^  |  '--- ... but this turn came late: ALONE for one excuse more
 *	     '--- last one goes ---'  '- nothing at all while an agent is connected: no timer, no wake-up
 */
#ifndef NODE_RUNTIME_WATCHDOG_H
#define NODE_RUNTIME_WATCHDOG_H

#include "base/types.h"

/* A turn this much after it was due, ms: the shim was stopped, or its host stood still, and then an agent that went
 * down just before stood still as well. It gets the least watchdog's time once more; only once, so that a host that stalls
 * again and again puts nothing off. */
#define WATCHDOG_LATE_MS SECONDS(1)

struct watchdog {
	int64_t limit_ms; /* 0: never fires */
	mono_ms due;      /* MONO_NEVER: an agent is connected, or it has fired */
	bool excused;     /* a late turn was, since the last agent went */
	bool fired;
};

/* An agent is connected, or about to be. */
void watchdog_init(struct watchdog *w, int64_t limit_ms);
/* After each turn of the loop, when those that wait to connect have been let in. True: stop the task now. */
bool watchdog_turn(struct watchdog *w, bool connected, mono_ms now);

#endif
