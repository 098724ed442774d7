/*
 * HTTP on the agent's loop, without a thread of its own. For now it answers what watches an agent:
 *
 *	GET /healthz   200 "ok" while the agent's loop turns
 *	GET /readyz    200 when the peer takes part in the flock, 503 with the reason until then
 *	GET /metrics   Prometheus text
 *
 * Anything else is 404, other methods are 405, both with a JSON body. Everything is read-only.
 */
#ifndef NODE_HTTP_HTTP_H
#define NODE_HTTP_HTTP_H

#include "base/addr.h"
#include "node/http/metrics.h"

#include <uv.h>

struct http_server;

struct http_callbacks {
	/* Is this peer ready? Writes one line of text that says what it is ready for or waits for. */
	bool (*ready)(void *ctx, struct wr *body);
	void (*metrics)(void *ctx, struct metrics *m);
};

/* Connections in all; scrapers and probes keep one or two each. */
#define HTTP_CONNECTIONS_MAX 64
/* From one address: nobody takes them all. Loopback is one address too, hence not fewer. */
#define HTTP_CONNECTIONS_PER_IP 32
/* Bytes of memory per connection: request line and headers must fit, else 431. */
#define HTTP_CONNECTION_BYTES 8192
/* Seconds without traffic until a connection is closed; also how long a request may take to arrive. */
#define HTTP_IDLE_S 30
/* Bytes of a body that we answer with: metrics of 500 tasks are about 200 KiB. */
#define HTTP_BODY_MAX (1024 * 1024)

/* cb is not copied; its functions are called on the loop. A port in use is an error that names it. */
struct http_server *http_open(
        uv_loop_t *loop, const struct addr *bind, const struct http_callbacks *cb, void *ctx, struct err *err);
/* The address really bound (port 0 resolved). */
void http_bound(const struct http_server *s, struct addr *out);
/* Closes all connections at once; frees itself when the loop has closed its handles. */
void http_close(struct http_server *s);

#endif
