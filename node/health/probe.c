#include "node/health/probe.h"

#include <stdio.h>

/* Bytes of the request: the path's bound in a spec is 4096. */
#define REQUEST_BYTES_MAX 4352
/* "HTTP/1.1 200" */
#define STATUS_BYTES 12
/* Once the status is known, the rest of the answer is read so that the server does not see its connection reset in the
 * middle of it; a server that sends more than this, or does not close after it, is not waited for. */
#define REST_BYTES_MAX (64 * 1024)
#define REST_MS        250

struct probe {
	uv_tcp_t tcp;
	uv_timer_t timer;
	uv_connect_t connect;
	uv_write_t write;
	int handles;
	int fault;               /* connecting failed at once, with this libuv error */
	health_probe_done *done; /* NULL once it was called, or cancelled */
	void *ctx;
	int status; /* of the answer; 0 not known yet */
	size_t len;
	size_t rest; /* bytes read behind the status */
	char in[2048];
	char request[];
};

int http_status(const char *bytes, size_t len)
{
	static const char start[] = "HTTP/1.";
	int status = 0;

	if (memcmp(bytes, start, MIN(len, sizeof(start) - 1)) != 0)
		return -1;
	if (len < STATUS_BYTES)
		return 0;
	if (bytes[8] != ' ')
		return -1;
	for (int i = 9; i < STATUS_BYTES; i++) {
		if (bytes[i] < '0' || bytes[i] > '9')
			return -1;
		status = status * 10 + (bytes[i] - '0');
	}
	return status < 100 ? -1 : status;
}

static void on_closed(uv_handle_t *h)
{
	struct probe *p = h->data;

	if (--p->handles == 0)
		free(p);
}

static void close_all(struct probe *p)
{
	uv_close((uv_handle_t *)&p->tcp, on_closed);
	uv_close((uv_handle_t *)&p->timer, on_closed);
}

static void finish(struct probe *p, bool passed, const char *why)
{
	health_probe_done *done = p->done;

	if (!done)
		return;
	p->done = NULL;
	close_all(p);
	done(p->ctx, passed, why);
}

static void finish_uv(struct probe *p, const char *what, int rc)
{
	char why[128];

	snprintf(why, sizeof(why), "%s: %s", what, uv_strerror(rc));
	finish(p, false, why);
}

static void finish_status(struct probe *p)
{
	bool passed = p->status >= 200 && p->status < 400;
	char why[64];

	snprintf(why, sizeof(why), "HTTP status %d", p->status);
	finish(p, passed, passed ? "" : why);
}

static void on_timeout(uv_timer_t *t)
{
	struct probe *p = t->data;

	if (p->status)
		finish_status(p);
	else if (p->fault)
		finish_uv(p, "connect", p->fault);
	else
		finish(p, false, p->request[0] ? "no answer in time" : "no connection in time");
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct probe *p = h->data;

	(void)suggested;
	*buf = uv_buf_init(p->in + p->len, (unsigned)(sizeof(p->in) - p->len));
}

static void on_answer(struct probe *p)
{
	int status = http_status(p->in, p->len);

	if (status < 0)
		finish(p, false, "the answer is not HTTP");
	if (status <= 0)
		return;
	p->status = status;
	p->len = 0;
	uv_timer_start(&p->timer, on_timeout, REST_MS, 0);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct probe *p = s->data;

	(void)buf;
	if (n < 0 && p->status) {
		finish_status(p);
	} else if (n < 0) {
		finish(p, false,
		        n == UV_EOF ? "the connection was closed without an answer" : uv_strerror((int)n));
	} else if (p->status) {
		p->rest += (size_t)n;
		if (p->rest > REST_BYTES_MAX)
			finish_status(p);
	} else {
		p->len += (size_t)n;
		on_answer(p);
	}
}

static void on_written(uv_write_t *req, int rc)
{
	struct probe *p = req->data;

	if (rc < 0)
		finish_uv(p, "send", rc);
}

static void on_connected(uv_connect_t *req, int rc)
{
	struct probe *p = req->data;
	uv_buf_t buf = uv_buf_init(p->request, (unsigned)strlen(p->request));

	if (!p->done)
		return;
	if (rc < 0) {
		finish_uv(p, "connect", rc);
		return;
	}
	if (!p->request[0]) {
		finish(p, true, "");
		return;
	}
	p->write.data = p;
	rc = uv_write(&p->write, (uv_stream_t *)&p->tcp, &buf, 1, on_written);
	if (rc == 0)
		rc = uv_read_start((uv_stream_t *)&p->tcp, on_alloc, on_read);
	if (rc < 0)
		finish_uv(p, "send", rc);
}

static int to_sockaddr(struct sockaddr_storage *out, const struct addr *to)
{
	char ip[ADDR_TEXT_MAX];

	addr_ip_text(ip, to);
	return to->family == 6 ? uv_ip6_addr(ip, to->port, (struct sockaddr_in6 *)out)
	                       : uv_ip4_addr(ip, to->port, (struct sockaddr_in *)out);
}

struct probe *health_probe_start(uv_loop_t *loop, const struct addr *to, const char *path, int64_t timeout_ms,
        health_probe_done *done, void *ctx)
{
	struct probe *p = xcalloc(1, sizeof(*p) + (path ? REQUEST_BYTES_MAX : 1));
	struct sockaddr_storage sa;
	char host[ADDR_TEXT_MAX];

	p->done = done;
	p->ctx = ctx;
	p->handles = 2;
	addr_text(host, to);
	if (path)
		snprintf(p->request, REQUEST_BYTES_MAX,
		        "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: starling/" STARLING_VERSION
		        "\r\nAccept: */*\r\nConnection: close\r\n\r\n",
		        path, host);
	uv_tcp_init(loop, &p->tcp);
	uv_timer_init(loop, &p->timer);
	p->tcp.data = p->timer.data = p->connect.data = p;
	/* What cannot even be tried is told by the same road, on a later turn of the loop. */
	p->fault = to_sockaddr(&sa, to);
	if (!p->fault)
		p->fault = uv_tcp_connect(&p->connect, &p->tcp, (struct sockaddr *)&sa, on_connected);
	if (p->fault)
		timeout_ms = 0;
	uv_timer_start(&p->timer, on_timeout, (uint64_t)MAX(timeout_ms, 0), 0);
	return p;
}

void health_probe_cancel(struct probe *p)
{
	if (!p->done)
		return;
	p->done = NULL;
	close_all(p);
}
