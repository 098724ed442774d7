/* From a service to what its shim is told. Internal to the driver `exec`. */
#ifndef NODE_RUNTIME_EXEC_PLAN_H
#define NODE_RUNTIME_EXEC_PLAN_H

#include "node/runtime/driver.h"

/* Fills in what the task may use and do: limits, priorities, capabilities. as_root: it runs as root. */
int exec_plan_rights(struct launch *l, const struct service *s, bool as_root, struct err *err);
/* Fills in its view of the file system; nothing where it asks for none. */
void exec_plan_view(struct launch *l, const struct driver_task *t, struct arena *arena);

#endif
