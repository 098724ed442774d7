/* The steps between fork and exec of a task's process, and of its health check's. */
#ifndef NODE_RUNTIME_SHIM_CHILD_H
#define NODE_RUNTIME_SHIM_CHILD_H

#include "node/runtime/launch.h"

/* Starts argv as the launch says, in a session and process group of its own, with these two descriptors as its output.
 * with_shim: the kernel kills it when the caller dies. Waits until it runs. Returns its pid, or -1 with the step that
 * failed and its errno. */
int child_start(const struct launch *l, char *const argv[], int out_fd, int err_fd, bool with_shim,
        enum launch_step *step, int *step_errno);

/* Starts argv with the launch's environment but for the task's mark, in its folder, as a child of init: nobody waits for it, nothing hears it. */
void child_detached(const struct launch *l, char *const argv[]);

#endif
