/* Tells when this host's addresses or routes change, by what the kernel says over netlink (rtnetlink(7)). */
#ifndef NODE_ADDRWATCH_H
#define NODE_ADDRWATCH_H

#include "base/err.h"

#include <uv.h>

/* One change of a host's network is many messages: they are told together, this many ms after the first. */
#define ADDRWATCH_GATHER_MS 200

struct addrwatch;

/* changed is called from the loop after each burst of changes; what changed is to be looked up. NULL with err where
 * the kernel offers no such socket. */
struct addrwatch *addrwatch_open(uv_loop_t *loop, void (*changed)(void *ctx), void *ctx, struct err *err);
/* Frees it once the loop has run. w may be NULL. */
void addrwatch_close(struct addrwatch *w);

#endif
