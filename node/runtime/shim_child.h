/* The steps between fork and exec of a task's process, and of its health check's. */
#ifndef NODE_RUNTIME_SHIM_CHILD_H
#define NODE_RUNTIME_SHIM_CHILD_H

#include "node/runtime/shim_fault.h"

struct child_start {
	char *const *argv;
	int out_fd, err_fd;
	bool with_shim; /* the kernel kills it when the caller dies */
	int view_of;    /* it shares the file system's view of this process of the task; 0: it gets its own */
};

/* Starts a process as the launch says, in a session and process group of its own. Waits until it runs. Returns its pid, or
 * -1 with what failed. */
int child_start(const struct launch *l, const struct child_start *s, struct child_fault *fault);

/* Between fork and exec, for whatever is to run as the task does. The control groups; -1 with errno. */
int child_join_cgroups(const struct launch *l);
/* Limits, user and groups, capabilities, no_new_privs: the last things before exec, in the one order that works. */
int child_take_rights(const struct launch *l, struct child_fault *f);

/* Starts argv with the launch's environment but for the task's mark, in its folder, as a child of init: nobody waits for it,
 * nothing hears it. */
void child_detached(const struct launch *l, char *const argv[]);

#endif
