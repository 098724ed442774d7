/* One check of a port: a TCP connection, and for http a GET that must answer 2xx or 3xx. On the loop. */
#ifndef NODE_HEALTH_PROBE_H
#define NODE_HEALTH_PROBE_H

#include "base/addr.h"

#include <uv.h>

struct probe;

/* Called once, unless cancelled. why is "" when it passed. */
typedef void health_probe_done(void *ctx, bool passed, const char *why);

/* path NULL: connecting is enough. The answer must have begun within timeout_ms. */
struct probe *health_probe_start(uv_loop_t *loop, const struct addr *to, const char *path, int64_t timeout_ms,
        health_probe_done *done, void *ctx);
/* No call of done any more. A probe that has called done is gone already. */
void health_probe_cancel(struct probe *p);

/* Reads the status of an HTTP/1.x answer's first bytes: 0 when more are needed, -1 when it is none. */
int http_status(const char *bytes, size_t len);

#endif
