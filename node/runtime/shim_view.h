/*
 * A task's own view of the file system: a mount namespace, in which its mounts are made, paths are made read-only or
 * hidden, and its root folder becomes the root. Called between fork and exec, single-threaded.
 *
 * It ends with its processes: nothing of it is ever to be cleared away.
 *
 * A shim that is not root does it in a user namespace of its own in which only its user exists, where the host allows that.
 */
#ifndef NODE_RUNTIME_SHIM_VIEW_H
#define NODE_RUNTIME_SHIM_VIEW_H

#include "node/runtime/shim_fault.h"

bool view_wanted(const struct launch *l);
/* Makes it for the calling process. -1: f says what failed. */
int view_make(const struct launch *l, struct child_fault *f);
/* Enters that of the task's first process, for a health command. */
int view_enter(int pid, struct child_fault *f);

#endif
