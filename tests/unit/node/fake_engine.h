/*
 * A container engine that is no engine: it answers on a Unix socket, on the test's own loop, from a small table of
 * containers, and can fail in the ways that real ones do. What real ones answer is held by tests/e2e/test_engine.py.
 */
#ifndef TESTS_UNIT_NODE_FAKE_ENGINE_H
#define TESTS_UNIT_NODE_FAKE_ENGINE_H

#include "tests/unit/unit.h"

#include "base/types.h"

#include <stdlib.h>
#include <uv.h>

#define FAKE_CONTAINERS 16
#define FAKE_CLIENTS    64

struct fake_container {
	char name[64];
	char id[65];
	char labels[400]; /* of the body that made it, as JSON members */
	char body[8192];
	int state; /* 0 none, 1 created, 2 running, 3 exited */
	int code;
	bool oom;
	char log[4096]; /* frames, timestamps included */
	size_t log_len;
};

struct fake_client {
	uv_pipe_t pipe;
	struct fake *f;
	bool open;
	char in[32768];
	size_t len;
	char follows[64]; /* name of the container whose log it follows, "events", or "" */
};

struct fake {
	uv_loop_t *loop;
	uv_pipe_t listener;
	bool listening;
	char path[108];
	struct fake_container c[FAKE_CONTAINERS];
	struct fake_client *clients[FAKE_CLIENTS];
	int closing;
	char asked[65536]; /* "METHOD PATH\n" of each request */
	size_t asked_len;
	/* faults */
	bool no_image;          /* until it is pulled */
	const char *pull_says;  /* lines of a pull; NULL: it works */
	const char *start_says; /* message of a start that fails with 500 */
	const char *garbage;    /* sent instead of any answer to GET /containers/NAME/json */
	bool cut_start;         /* the connection ends before the answer, but the container runs */
	bool silent;            /* requests are read and not answered */
	int stops_ignored;      /* signals that a container shrugs off */
	const char *says;       /* what a container says when it starts: one frame's text with stamp */
};

static inline void fake_written(uv_write_t *req, int status)
{
	(void)status;
	free(req->data);
	free(req);
}

static inline void fake_send(struct fake_client *k, const char *bytes, size_t len)
{
	uv_write_t *req = xcalloc(1, sizeof(*req));
	uv_buf_t buf;

	if (!k->open) {
		free(req);
		return;
	}
	req->data = xmemdup(bytes, len);
	buf = uv_buf_init(req->data, (unsigned)len);
	if (uv_write(req, (uv_stream_t *)&k->pipe, &buf, 1, fake_written) < 0) {
		free(req->data);
		free(req);
	}
}

static inline void fake_answer(struct fake_client *k, int status, const char *body)
{
	char head[256];

	snprintf(head, sizeof(head),
	        "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", status,
	        strlen(body));
	fake_send(k, head, strlen(head));
	fake_send(k, body, strlen(body));
}

static inline void fake_gone(uv_handle_t *h)
{
	struct fake_client *k = h->data;

	for (int i = 0; i < FAKE_CLIENTS; i++)
		if (k->f->clients[i] == k)
			k->f->clients[i] = NULL;
	k->f->closing--;
	free(k);
}

static inline void fake_hang_up(struct fake_client *k)
{
	if (!k->open)
		return;
	k->open = false;
	k->f->closing++;
	uv_close((uv_handle_t *)&k->pipe, fake_gone);
}

static inline void fake_chunk(struct fake_client *k, const char *bytes, size_t len)
{
	char head[32];

	snprintf(head, sizeof(head), "%zx\r\n", len);
	fake_send(k, head, strlen(head));
	fake_send(k, bytes, len);
	fake_send(k, "\r\n", 2);
}

static inline void fake_stream(struct fake_client *k, const char *what)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

	snprintf(k->follows, sizeof(k->follows), "%s", what);
	fake_send(k, head, strlen(head));
}

static inline struct fake_container *fake_find(struct fake *f, const char *name)
{
	for (int i = 0; i < FAKE_CONTAINERS; i++)
		if (f->c[i].state && (strcmp(f->c[i].name, name) == 0 || strcmp(f->c[i].id, name) == 0))
			return &f->c[i];
	return NULL;
}

static inline int fake_count(struct fake *f)
{
	int n = 0;

	for (int i = 0; i < FAKE_CONTAINERS; i++)
		n += f->c[i].state != 0;
	return n;
}

/* A line of the container's output, at that second of 2026. */
static inline void fake_says(
        struct fake *f, struct fake_container *c, int stream, const char *stamp, const char *line)
{
	char frame[600] = {(char)stream};
	size_t len = (size_t)snprintf(frame + 8, sizeof(frame) - 8, "%s %s\n", stamp, line);

	frame[6] = (char)(len >> 8);
	frame[7] = (char)len;
	assert_true(c->log_len + len + 8 <= sizeof(c->log));
	memcpy(c->log + c->log_len, frame, len + 8);
	c->log_len += len + 8;
	for (int i = 0; i < FAKE_CLIENTS; i++)
		if (f->clients[i] && strcmp(f->clients[i]->follows, c->name) == 0)
			fake_chunk(f->clients[i], frame, len + 8);
}

static inline void fake_event(struct fake *f, struct fake_container *c, const char *action)
{
	char line[800];

	snprintf(line, sizeof(line),
	        "{\"Type\":\"container\",\"Action\":\"%s\",\"Actor\":{\"ID\":\"%s\",\"Attributes\":%s}}\n",
	        action, c->id, c->labels);
	for (int i = 0; i < FAKE_CLIENTS; i++)
		if (f->clients[i] && strcmp(f->clients[i]->follows, "events") == 0)
			fake_chunk(f->clients[i], line, strlen(line));
}

static inline void fake_exits(struct fake *f, struct fake_container *c, int code)
{
	c->state = 3;
	c->code = code;
	for (int i = 0; i < FAKE_CLIENTS; i++)
		if (f->clients[i] && strcmp(f->clients[i]->follows, c->name) == 0) {
			fake_send(f->clients[i], "0\r\n\r\n", 5);
			f->clients[i]->follows[0] = '\0';
		}
	fake_event(f, c, "die");
}

static inline void fake_inspect(struct fake_client *k, const struct fake_container *c)
{
	static const char *const names[] = {"", "created", "running", "exited"};
	char body[1200];

	if (k->f->garbage) {
		fake_answer(k, 200, k->f->garbage);
		return;
	}
	snprintf(body, sizeof(body),
	        "{\"Id\":\"%s\",\"State\":{\"Status\":\"%s\",\"Pid\":%d,\"ExitCode\":%d,\"OOMKilled\":%s,\"Error\":\"\","
	        "\"StartedAt\":\"2026-01-01T00:00:00.5Z\",\"FinishedAt\":\"2026-01-01T00:00:09Z\"}}",
	        c->id, names[c->state], c->state == 2 ? 4242 : 0, c->code, c->oom ? "true" : "false");
	fake_answer(k, 200, body);
}

static inline void fake_create(struct fake_client *k, const char *name, const char *body)
{
	struct fake *f = k->f;
	const char *at = strstr(body, "\"Labels\":{"), *end = at ? strchr(at, '}') : NULL;
	struct fake_container *c = NULL;
	char answer[128];

	if (fake_find(f, name)) {
		fake_answer(k, 409, "{\"message\":\"the name is in use\"}");
		return;
	}
	for (int i = 0; i < FAKE_CONTAINERS && !c; i++)
		if (!f->c[i].state)
			c = &f->c[i];
	assert_non_null(c);
	assert_non_null(end);
	memset(c, 0, sizeof(*c));
	c->state = 1;
	snprintf(c->name, sizeof(c->name), "%s", name);
	snprintf(c->id, sizeof(c->id), "%032x%032x", rand(), rand());
	snprintf(c->labels, sizeof(c->labels), "%.*s", (int)(end + 1 - (at + 9)), at + 9);
	snprintf(c->body, sizeof(c->body), "%s", body);
	snprintf(answer, sizeof(answer), "{\"Id\":\"%s\"}", c->id);
	fake_answer(k, 201, answer);
}

static inline void fake_start(struct fake_client *k, struct fake_container *c)
{
	struct fake *f = k->f;
	char message[400];

	if (f->start_says) {
		snprintf(message, sizeof(message), "{\"message\":\"%s\"}", f->start_says);
		fake_answer(k, 500, message);
		return;
	}
	c->state = 2;
	if (f->says)
		fake_says(f, c, 1, "2026-01-01T00:00:01.000000001Z", f->says);
	if (f->cut_start) {
		f->cut_start = false;
		fake_hang_up(k);
		return;
	}
	fake_answer(k, 204, "");
}

static inline void fake_list(struct fake_client *k)
{
	char body[16384] = "[";
	size_t at = 1;

	for (int i = 0; i < FAKE_CONTAINERS; i++)
		if (k->f->c[i].state)
			at += (size_t)snprintf(body + at, sizeof(body) - at, "%s{\"Id\":\"%s\",\"Labels\":%s}",
			        at > 1 ? "," : "", k->f->c[i].id, k->f->c[i].labels);
	snprintf(body + at, sizeof(body) - at, "]");
	fake_answer(k, 200, body);
}

static inline void fake_logs(struct fake_client *k, struct fake_container *c)
{
	fake_stream(k, c->name);
	if (c->log_len)
		fake_chunk(k, c->log, c->log_len);
	if (c->state != 2) {
		fake_send(k, "0\r\n\r\n", 5);
		k->follows[0] = '\0';
	}
}

static inline void fake_container_request(
        struct fake_client *k, const char *method, char *name, const char *verb, const char *query)
{
	struct fake *f = k->f;
	struct fake_container *c = fake_find(f, name);

	if (!c) {
		fake_answer(k, 404, "{\"message\":\"No such container\"}");
	} else if (strcmp(method, "DELETE") == 0) {
		if (c->state == 2)
			fake_exits(f, c, 137);
		c->state = 0;
		fake_answer(k, 204, "");
	} else if (strcmp(verb, "json") == 0) {
		fake_inspect(k, c);
	} else if (strcmp(verb, "start") == 0) {
		fake_start(k, c);
	} else if (strcmp(verb, "logs") == 0) {
		fake_logs(k, c);
	} else if (strcmp(verb, "stop") == 0 || strcmp(verb, "kill") == 0) {
		bool ignored = f->stops_ignored > 0 && !strstr(query, "signal=9");

		if (!ignored && c->state == 2)
			fake_exits(f, c, strstr(query, "signal=9") ? 137 : 143);
		if (!ignored || verb[0] == 'k')
			fake_answer(k, 204, "");
	} else {
		fake_answer(k, 404, "{\"message\":\"page not found\"}");
	}
}

static inline void fake_request(struct fake_client *k, char *head, const char *body)
{
	struct fake *f = k->f;
	char method[16], path[4096], name[256], verb[64] = "";
	char *p = path, *query;

	assert_int_equal(sscanf(head, "%15s %4095s", method, path), 2);
	f->asked_len += (size_t)snprintf(
	        f->asked + f->asked_len, sizeof(f->asked) - f->asked_len, "%s %.300s\n", method, path);
	assert_true(f->asked_len < sizeof(f->asked));
	if (f->silent)
		return;
	if (strncmp(p, "/v1.", 4) == 0)
		p = strchr(p + 1, '/');
	query = strchr(p, '?');
	if (query)
		*query++ = '\0';
	if (strcmp(p, "/version") == 0) {
		fake_answer(k, 200, "{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\"}");
	} else if (strcmp(p, "/events") == 0) {
		fake_stream(k, "events");
	} else if (strncmp(p, "/images/create", 14) == 0) {
		if (!f->pull_says)
			f->no_image = false;
		fake_answer(k, 200, f->pull_says ? f->pull_says : "{\"status\":\"Pull complete\"}\n");
	} else if (strncmp(p, "/images/", 8) == 0) {
		fake_answer(k, f->no_image ? 404 : 200, f->no_image ? "{\"message\":\"No such image\"}" : "{}");
	} else if (strcmp(p, "/containers/json") == 0) {
		fake_list(k);
	} else if (strcmp(p, "/containers/create") == 0) {
		fake_create(k, query + strlen("name="), body);
	} else if (sscanf(p, "/containers/%255[^/]/%63s", name, verb) >= 1) {
		fake_container_request(k, method, name, verb, query ? query : "");
	} else {
		fake_answer(k, 404, "{\"message\":\"page not found\"}");
	}
}

static inline void fake_alloc(uv_handle_t *h, size_t n, uv_buf_t *buf)
{
	struct fake_client *k = h->data;

	(void)n;
	*buf = uv_buf_init(k->in + k->len, (unsigned)(sizeof(k->in) - 1 - k->len));
}

static inline void fake_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct fake_client *k = s->data;

	(void)buf;
	if (n < 0) {
		fake_hang_up(k);
		return;
	}
	k->len += (size_t)n;
	for (;;) {
		char *end, *length;
		size_t body = 0, all;
		char was;

		k->in[k->len] = '\0';
		end = strstr(k->in, "\r\n\r\n");
		if (!end)
			return;
		length = strcasestr(k->in, "Content-Length:");
		if (length && length < end)
			body = strtoul(length + 15, NULL, 10);
		all = (size_t)(end + 4 - k->in) + body;
		if (k->len < all)
			return;
		*end = '\0';
		was = k->in[all];
		k->in[all] = '\0';
		fake_request(k, k->in, end + 4);
		k->in[all] = was;
		if (!k->open)
			return;
		memmove(k->in, k->in + all, k->len - all);
		k->len -= all;
	}
}

static inline void fake_connect(uv_stream_t *s, int status)
{
	struct fake *f = s->data;
	struct fake_client *k = xcalloc(1, sizeof(*k));
	int i = 0;

	assert_int_equal(status, 0);
	while (i < FAKE_CLIENTS && f->clients[i])
		i++;
	assert_true(i < FAKE_CLIENTS);
	f->clients[i] = k;
	k->f = f;
	k->open = true;
	uv_pipe_init(f->loop, &k->pipe, 0);
	k->pipe.data = k;
	uv_accept(s, (uv_stream_t *)&k->pipe);
	uv_read_start((uv_stream_t *)&k->pipe, fake_alloc, fake_read);
}

static inline void fake_opens(struct fake *f, uv_loop_t *loop)
{
	f->loop = loop;
	uv_pipe_init(loop, &f->listener, 0);
	f->listener.data = f;
	assert_int_equal(uv_pipe_bind(&f->listener, f->path), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&f->listener, 32, fake_connect), 0);
	f->listening = true;
}

static inline void fake_listener_closed(uv_handle_t *h)
{
	((struct fake *)h->data)->closing--;
}

/* As when the engine is killed: containers go on. */
static inline void fake_dies(struct fake *f)
{
	if (!f->listening)
		return;
	f->listening = false;
	f->closing++;
	uv_close((uv_handle_t *)&f->listener, fake_listener_closed);
	for (int i = 0; i < FAKE_CLIENTS; i++)
		if (f->clients[i])
			fake_hang_up(f->clients[i]);
	while (f->closing)
		uv_run(f->loop, UV_RUN_ONCE);
}

#endif
