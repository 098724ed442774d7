/* Which keys of a service a process of the host can have. Internal to the driver `exec`. */
#ifndef NODE_RUNTIME_EXEC_ACCEPT_H
#define NODE_RUNTIME_EXEC_ACCEPT_H

#include "base/err.h"
#include "placement/spec/spec.h"

/* -1: a key that cannot be honoured, by its Compose name, with why and what to do instead. as_root: the agent is root. */
int exec_accept_keys(const struct service *s, bool as_root, struct err *err);
/* Does the service let its programs gain rights that their user has not? Only when it says so. */
bool exec_new_privs(const struct service *s);

#endif
