/*
 * libmicrohttpd in external mode: it keeps its sockets in an epoll set of its own, whose descriptor we watch like
 * any other, and it says by when it wants to run again for its timeouts.
 */
#include "node/http/http.h"

#include "base/log.h"
#include "node/net/sockaddr.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <unistd.h>

/* Connections that wait in the kernel while the loop does other things. */
#define HTTP_BACKLOG 64

struct http_server {
	struct MHD_Daemon *daemon;
	const struct http_callbacks *cb;
	void *ctx;
	struct addr bound;
	uv_poll_t poll;
	uv_timer_t timer;
	int n_handles; /* not yet closed */
};

#define TYPE_TEXT    "text/plain; charset=utf-8"
#define TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_JSON    "application/json"

/* The library owns body from here on. */
static enum MHD_Result respond(
        struct MHD_Connection *c, unsigned status, const char *type, uint8_t *body, size_t len)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result ok;

	if (!r) {
		free(body);
		return MHD_NO; /* closes the connection */
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	ok = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result respond_error(struct MHD_Connection *c, unsigned status, const char *text)
{
	char body[256];
	int n = snprintf(body, sizeof(body), "{\"error\": {\"status\": %u, \"text\": \"%s\"}}\n", status, text);

	return respond(c, status, TYPE_JSON, xmemdup(body, (size_t)n), (size_t)n);
}

static enum MHD_Result respond_body(struct MHD_Connection *c, unsigned status, const char *type, struct wr *w)
{
	if (!wr_ok(w)) {
		wr_free(w);
		return respond_error(
		        c, MHD_HTTP_INTERNAL_SERVER_ERROR, "the answer is longer than this agent sends");
	}
	return respond(c, status, type, w->p, w->len);
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *c, const char *url, const char *method,
        const char *version, const char *upload, size_t *upload_len, void **state)
{
	struct http_server *s = arg;
	struct wr w;

	(void)version;
	(void)upload;
	(void)upload_len;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return respond_error(c, MHD_HTTP_METHOD_NOT_ALLOWED, "everything here is read-only: use GET");
	/* The library calls once for the headers and once when the request is complete; answering the first closes
	 * the connection, which is right above, where a body may follow. */
	if (!*state) {
		*state = s;
		return MHD_YES;
	}
	wr_init(&w, HTTP_BODY_MAX);
	if (strcmp(url, "/healthz") == 0) {
		wr_bytes(&w, "ok\n", 3);
		return respond_body(c, MHD_HTTP_OK, TYPE_TEXT, &w);
	}
	if (strcmp(url, "/readyz") == 0) {
		bool ready = s->cb->ready(s->ctx, &w);

		wr_u8(&w, '\n');
		return respond_body(c, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, TYPE_TEXT, &w);
	}
	if (strcmp(url, "/metrics") == 0) {
		struct metrics m = {.w = &w};

		s->cb->metrics(s->ctx, &m);
		return respond_body(c, MHD_HTTP_OK, TYPE_METRICS, &w);
	}
	wr_free(&w);
	return respond_error(c, MHD_HTTP_NOT_FOUND, "no such path; there are /healthz, /readyz and /metrics");
}

static void on_timer(uv_timer_t *t);

static void run(struct http_server *s)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms;

	MHD_run(s->daemon);
	if (MHD_get_timeout(s->daemon, &timeout_ms) == MHD_YES)
		uv_timer_start(&s->timer, on_timer, timeout_ms, 0);
	else
		uv_timer_stop(&s->timer);
}

static void on_timer(uv_timer_t *t)
{
	run(t->data);
}

static void on_poll(uv_poll_t *p, int status, int events)
{
	(void)status;
	(void)events;
	run(p->data);
}

/* What the library has to say is about clients that misbehave: ours to look at, not the operator's. */
static void PRINTF_LIKE(2, 0) on_log(void *ctx, const char *fmt, va_list ap)
{
	char text[256];
	size_t len;

	(void)ctx;
	vsnprintf(text, sizeof(text), fmt, ap);
	for (len = strlen(text); len && text[len - 1] == '\n';)
		text[--len] = '\0';
	log_debug("http", "%s", text);
}

static const char *advice(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "; another program (another agent?) answers there: stop it, or give --http another address "
		       "or port";
	case EACCES:
		return "; ports below 1024 need root or CAP_NET_BIND_SERVICE: give --http a higher port";
	case EADDRNOTAVAIL:
		return "; this host has no such address: give --http one of its own";
	default:
		return "";
	}
}

/* Our own socket, so that an address in use can be told from other failures. */
static int listen_on(const struct addr *a, struct addr *bound, struct err *err)
{
	union sockaddr_ip sa;
	int family = sockaddr_family(a), on = 1;
	socklen_t len = sockaddr_from(&sa, a, family);
	char text[ADDR_TEXT_MAX];
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	addr_text(text, a);
	if (fd < 0)
		return err_errno(err, "listen for HTTP on %s", text);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, &sa.sa, len) < 0 || listen(fd, HTTP_BACKLOG) < 0) {
		err_set(err, ERR_FAILED, "listen for HTTP on %s: %s%s", text, strerror(errno), advice(errno));
		close(fd);
		return -1;
	}
	len = sizeof(sa);
	getsockname(fd, &sa.sa, &len);
	sockaddr_to(bound, &sa);
	return fd;
}

static struct MHD_Daemon *start(struct http_server *s, int fd)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle, s,
	        /* first, so that nothing goes to stderr */
	        MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd,
	        MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
	        (unsigned)HTTP_CONNECTIONS_PER_IP, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	        (size_t)HTTP_CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_S,
	        MHD_OPTION_END);
}

struct http_server *http_open(
        uv_loop_t *loop, const struct addr *bind, const struct http_callbacks *cb, void *ctx, struct err *err)
{
	struct http_server *s = xcalloc(1, sizeof(*s));
	const union MHD_DaemonInfo *info;
	int fd = listen_on(bind, &s->bound, err);

	if (fd < 0) {
		free(s);
		return NULL;
	}
	s->cb = cb;
	s->ctx = ctx;
	s->daemon = start(s, fd); /* owns fd now */
	if (!s->daemon) {
		err_set(err, ERR_FAILED, "listen for HTTP: the HTTP library does not start");
		free(s);
		return NULL;
	}
	info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	uv_poll_init(loop, &s->poll, info->epoll_fd);
	uv_timer_init(loop, &s->timer);
	s->poll.data = s->timer.data = s;
	s->n_handles = 2;
	uv_poll_start(&s->poll, UV_READABLE, on_poll);
	return s;
}

void http_bound(const struct http_server *s, struct addr *out)
{
	*out = s->bound;
}

static void on_closed(uv_handle_t *h)
{
	struct http_server *s = h->data;

	if (--s->n_handles == 0)
		free(s);
}

void http_close(struct http_server *s)
{
	/* The descriptor must leave libuv's set before the library closes it. */
	uv_poll_stop(&s->poll);
	uv_timer_stop(&s->timer);
	MHD_stop_daemon(s->daemon);
	uv_close((uv_handle_t *)&s->poll, on_closed);
	uv_close((uv_handle_t *)&s->timer, on_closed);
}
