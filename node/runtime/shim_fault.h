/* What a process that is being started says before it goes, when it never got to run its program. */
#ifndef NODE_RUNTIME_SHIM_FAULT_H
#define NODE_RUNTIME_SHIM_FAULT_H

#include "node/runtime/launch.h"

/* Goes through a pipe from the child to the shim, of one build: less than PIPE_BUF, so whole. */
struct child_fault {
	uint32_t step; /* enum launch_step */
	int32_t error; /* errno */
	char text[FAULT_TEXT_MAX + 1];
};

/* Fills f from errno: "WHAT: cause". Returns -1. */
int child_fault(struct child_fault *f, enum launch_step step, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
