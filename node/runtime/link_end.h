/* Whether a shim is gone, and how its run ended: what the task's folder tells when nobody answers at its socket. */
#ifndef NODE_RUNTIME_LINK_END_H
#define NODE_RUNTIME_LINK_END_H

#include "node/runtime/driver.h"

/* A dying shim's socket closes a moment before its lock is free. Milliseconds; on the loop, so it must be short. */
#define LINK_LOCK_WAIT_MS 20

/* The lock of the folder, waited for at most wait_ms (blocking). Returns its descriptor; -1 with errno EWOULDBLOCK
 * while a shim holds it, or with that of open(2). */
int link_lock(int dir_fd, int wait_ms);
/* Is the shim gone, its lock free? Then true: *ev is EXITED or LOST, and what a killed shim left was killed. False: it
 * lives, or this cannot be told now; nothing was touched. */
bool link_end(
        int dir_fd, uint32_t run, id64 task, const struct cgroups *cgroups, int wait_ms, struct driver_event *ev);
/* What the shim could say, beyond the step, of a start of this run that failed; nothing is written where it said none. */
void link_fault(int dir_fd, uint32_t run, char *out, size_t cap);
/* What this run cost; all 0 where nothing tells. */
void link_usage(int dir_fd, uint32_t run, struct usage_record *out);

#endif
