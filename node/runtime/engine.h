/* Container engines of this host, as the runtime owns them: one object for all their sockets. See driver.h. */
#ifndef NODE_RUNTIME_ENGINE_H
#define NODE_RUNTIME_ENGINE_H

#include "node/runtime/runtime.h"

struct engines;

/* host must outlive it; its engine_socket says where: a path, "none", or NULL for the usual ones. */
struct engines *engines_new(uv_loop_t *loop, const struct runtime_config *host);
/* Lets go of all containers, which go on; frees itself when its handles are closed. */
void engines_close(struct engines *all);

#endif
