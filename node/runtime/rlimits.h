/* Compose's `ulimits` as setrlimit(2) has them. */
#ifndef NODE_RUNTIME_RLIMITS_H
#define NODE_RUNTIME_RLIMITS_H

#include "node/runtime/launch.h"
#include "placement/spec/spec.h"

/* Fills the launch's limits. -1: one that is none, or that this host's agent may not set: its own hard limit is lower and
 * it may not raise it (may_raise: it has CAP_SYS_RESOURCE). */
int rlimits_of(struct launch *out, const struct service *s, bool may_raise, struct err *err);

#endif
