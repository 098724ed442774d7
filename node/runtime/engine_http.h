/*
 * HTTP over a Unix socket, on the loop: what the driver `engine` speaks with Docker and Podman. libcurl's multi
 * interface does the protocol; here are its sockets and timers, a queue, and bounds.
 *
 * A call ends with exactly one on_done, unless it is cancelled. No callback comes from within ehttp_ask().
 */
#ifndef NODE_RUNTIME_ENGINE_HTTP_H
#define NODE_RUNTIME_ENGINE_HTTP_H

#include "base/err.h"
#include "base/types.h"

#include <uv.h>

/* Calls at once that are not lasting; more wait their turn. An engine works on few things at a time anyway, and each
 * call has a connection of its own. */
#define HTTP_CALLS_MAX 16
/* Bytes of an answer that is kept whole, unless the request says less: what is known of one container takes 10 KiB, a
 * list of 1000 of them 2 MiB. */
#define HTTP_BODY_MAX (4 * 1024 * 1024)

struct ehttp;
struct ehttp_call;

struct ehttp_answer {
	int status;       /* 0: none came, why says why not */
	const char *body; /* NUL behind it; what on_bytes took is not in it */
	size_t len;
	char why[160];
};

struct ehttp_request {
	const char *method; /* a static text */
	const char *path;   /* with its query, escaped */
	const char *body;   /* JSON, or NULL */
	int64_t timeout_ms; /* of the whole call; 0: none */
	int64_t quiet_ms;   /* ended when nothing comes for so long; 0: never */
	size_t max_bytes;   /* of the answer that is kept; 0: HTTP_BODY_MAX */
	bool lasting;       /* waits for what happens: takes no place of HTTP_CALLS_MAX */
	/* An answer of 2xx comes here in pieces instead of being kept; false ends the call. */
	bool (*on_bytes)(void *ctx, const char *bytes, size_t len);
	/* An answer of 2xx has begun; may be NULL. */
	void (*on_open)(void *ctx);
	void (*on_done)(void *ctx, const struct ehttp_answer *answer);
	void *ctx;
};

/* path: of the socket, copied. */
struct ehttp *ehttp_new(uv_loop_t *loop, const char *socket_path, struct err *err);
/* Texts are copied. The call is the caller's to cancel until on_done. */
struct ehttp_call *ehttp_ask(struct ehttp *h, const struct ehttp_request *request);
/* No callback of it any more; its connection is closed. */
void ehttp_cancel(struct ehttp_call *call);
/* Cancels all calls; frees itself when its handles are closed. */
void ehttp_close(struct ehttp *h);

/* Appends text to out, escaped for a path or a query (RFC 3986: all but unreserved characters). Cut at cap. */
void ehttp_escape(char *out, size_t cap, const char *text);

#endif
