/* What a task's process may use and do: resource limits, priorities, capabilities. Called between fork and exec. */
#ifndef NODE_RUNTIME_SHIM_RIGHTS_H
#define NODE_RUNTIME_SHIM_RIGHTS_H

#include "node/runtime/shim_fault.h"

/* Limits and priorities, while the process is still what the shim is. */
int rights_limits(const struct launch *l, struct child_fault *f);
/* Before the user is changed: takes what is not granted out of the bounding set, keeps the rest over the change. */
int rights_before_user(const struct launch *l, struct child_fault *f);
/* After it: exactly the granted ones, ambient too, so that they outlive exec. */
int rights_after_user(const struct launch *l, struct child_fault *f);

#endif
