#include "node/runtime/engine_http.h"

#include "base/list.h"
#include "base/text.h"

#include <curl/curl.h>
#include <stdio.h>

/* Idle connections that are kept for the next call. */
#define IDLE_CONNECTIONS 4
/* Of one read; the least memory per call that keeps up with a busy log. */
#define BUFFER_BYTES (8 * 1024)
/* Until the engine accepts the connection: it is on this host. */
#define CONNECT_MS SECONDS(5)

struct ehttp {
	uv_loop_t *loop;
	CURLM *multi;
	uv_timer_t timer;
	int handles; /* open ones; the last close callback frees */
	char *path;
	bool within; /* curl is at work: its lists must not be touched */
	bool closing;
	size_t short_calls;  /* running, not lasting */
	struct list calls;   /* running */
	struct list waiting; /* their turn has not come */
};

struct ehttp_call {
	struct list link;
	struct ehttp *h;
	struct ehttp_request req; /* on_* and numbers; its texts are in the handle */
	CURL *easy;
	char *body;
	bool running, cancelled, opened, too_long;
	char *kept;
	size_t len, cap;
	char error[CURL_ERROR_SIZE];
};

struct socket {
	uv_poll_t poll;
	curl_socket_t fd;
	struct ehttp *h;
};

static void on_handle_closed(struct ehttp *h)
{
	if (--h->handles)
		return;
	free(h->path);
	free(h);
}

static void on_timer_closed(uv_handle_t *t)
{
	on_handle_closed(t->data);
}

static void call_stop(struct ehttp_call *c)
{
	list_remove(&c->link);
	if (!c->running)
		return;
	c->running = false;
	c->h->short_calls -= !c->req.lasting;
	curl_multi_remove_handle(c->h->multi, c->easy);
}

static void call_free(struct ehttp_call *c)
{
	call_stop(c);
	curl_easy_cleanup(c->easy);
	free(c->body);
	free(c->kept);
	free(c);
}

/* ---- what is over, what may begin ---- */

static void begin(struct ehttp *h)
{
	if (h->within || h->closing)
		return;
	list_each (&h->waiting, item) {
		struct ehttp_call *c = list_entry(item, struct ehttp_call, link);

		if (c->cancelled) {
			call_free(c);
			continue;
		}
		if (!c->req.lasting && h->short_calls >= HTTP_CALLS_MAX)
			continue;
		list_remove(&c->link);
		list_push_back(&h->calls, &c->link);
		c->running = true;
		h->short_calls += !c->req.lasting;
		curl_multi_add_handle(h->multi, c->easy);
	}
}

static void say_done(struct ehttp_call *c, CURLcode rc)
{
	struct ehttp_answer a = {.body = c->kept ? c->kept : "", .len = c->len};
	long status = 0;

	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	if (c->too_long)
		snprintf(a.why, sizeof(a.why), "its answer is longer than %zu bytes", c->req.max_bytes);
	else if (rc == CURLE_COULDNT_CONNECT)
		text_copy(a.why, sizeof(a.why), "nobody listens there");
	else if (rc != CURLE_OK)
		text_copy(a.why, sizeof(a.why), c->error[0] ? c->error : curl_easy_strerror(rc));
	else
		a.status = (int)status;
	/* It is no call any more when its owner hears of it, who may close all. */
	call_stop(c);
	if (!c->cancelled)
		c->req.on_done(c->req.ctx, &a);
	call_free(c);
}

static void settle(struct ehttp *h)
{
	CURLMsg *m;
	int left;

	while (!h->closing && (m = curl_multi_info_read(h->multi, &left))) {
		struct ehttp_call *c;
		CURLcode rc = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
		say_done(c, rc);
	}
	list_each (&h->calls, item) {
		struct ehttp_call *c = list_entry(item, struct ehttp_call, link);

		if (c->cancelled)
			call_free(c);
	}
	begin(h);
}

static void drive(struct ehttp *h, curl_socket_t fd, int what)
{
	int running;

	if (h->closing)
		return;
	h->within = true;
	curl_multi_socket_action(h->multi, fd, what, &running);
	h->within = false;
	settle(h);
}

/* ---- curl's sockets and its timer on the loop ---- */

static void on_timer(uv_timer_t *t)
{
	drive(t->data, CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long ms, void *ctx)
{
	struct ehttp *h = ctx;

	(void)multi;
	if (h->closing || ms < 0)
		uv_timer_stop(&h->timer);
	else
		uv_timer_start(&h->timer, on_timer, (uint64_t)ms, 0);
	return 0;
}

static void on_poll(uv_poll_t *p, int status, int events)
{
	struct socket *s = p->data;
	int what = 0;

	if (status < 0)
		what = CURL_CSELECT_ERR;
	if (events & UV_READABLE)
		what |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		what |= CURL_CSELECT_OUT;
	drive(s->h, s->fd, what);
}

static void on_poll_closed(uv_handle_t *p)
{
	struct socket *s = p->data;
	struct ehttp *h = s->h;

	free(s);
	on_handle_closed(h);
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *of_socket)
{
	struct ehttp *h = ctx;
	struct socket *s = of_socket;
	int events = (what != CURL_POLL_OUT ? UV_READABLE : 0) | (what != CURL_POLL_IN ? UV_WRITABLE : 0);

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (!s)
			return 0;
		uv_poll_stop(&s->poll);
		uv_close((uv_handle_t *)&s->poll, on_poll_closed);
		curl_multi_assign(h->multi, fd, NULL);
		return 0;
	}
	if (!s) {
		s = xcalloc(1, sizeof(*s));
		s->fd = fd;
		s->h = h;
		if (uv_poll_init_socket(h->loop, &s->poll, fd) < 0) {
			free(s);
			return -1;
		}
		s->poll.data = s;
		h->handles++;
		curl_multi_assign(h->multi, fd, s);
	}
	uv_poll_start(&s->poll, events, on_poll);
	return 0;
}

/* ---- an answer's bytes ---- */

static bool keep(struct ehttp_call *c, const char *bytes, size_t len)
{
	if (len > c->req.max_bytes - c->len) {
		c->too_long = true;
		return false;
	}
	if (c->len + len + 1 > c->cap) {
		c->cap = MIN(MAX(c->cap * 2, c->len + len + 1024), c->req.max_bytes + 1);
		c->kept = xrealloc(c->kept, c->cap);
	}
	memcpy(c->kept + c->len, bytes, len);
	c->len += len;
	c->kept[c->len] = '\0';
	return true;
}

static bool is_good(struct ehttp_call *c)
{
	long status = 0;

	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	return status >= 200 && status < 300;
}

static size_t on_header(char *bytes, size_t size, size_t n, void *ctx)
{
	struct ehttp_call *c = ctx;

	/* The empty line behind the last header. */
	if (size * n <= 2 && bytes[0] != ' ' && !c->opened && !c->cancelled && is_good(c)) {
		c->opened = true;
		if (c->req.on_open)
			c->req.on_open(c->req.ctx);
	}
	return size * n;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *ctx)
{
	struct ehttp_call *c = ctx;
	size_t len = size * n;
	bool more;

	if (c->cancelled)
		return 0;
	more = c->req.on_bytes && is_good(c) ? c->req.on_bytes(c->req.ctx, bytes, len) : keep(c, bytes, len);
	/* Any other number than len ends the call, 0 too unless len is 0. */
	return more && !c->cancelled ? len : 0;
}

/* ---- requests ---- */

static void describe(struct ehttp_call *c, const struct ehttp_request *r)
{
	static struct curl_slist json = {.data = (char *)"Content-Type: application/json", .next = NULL};
	static struct curl_slist plain = {.data = (char *)"Expect:", .next = NULL};
	char url[2048];

	snprintf(url, sizeof(url), "http://engine%s", r->path);
	curl_easy_setopt(c->easy, CURLOPT_UNIX_SOCKET_PATH, c->h->path);
	curl_easy_setopt(c->easy, CURLOPT_URL, url);
	curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(c->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(c->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c->easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
	curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(c->easy, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
	curl_easy_setopt(c->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
	if (r->quiet_ms) {
		curl_easy_setopt(c->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(c->easy, CURLOPT_LOW_SPEED_TIME, (long)MAX(r->quiet_ms / 1000, 1));
	}
	curl_easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c->easy, CURLOPT_HEADERDATA, c);
	curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
	if (strcmp(r->method, "GET") != 0) {
		/* A POST without a body is one of length 0. */
		curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, c->body ? c->body : "");
		curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE, (long)(c->body ? strlen(c->body) : 0));
		curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, r->method);
		curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->body ? &json : &plain);
	}
}

struct ehttp_call *ehttp_ask(struct ehttp *h, const struct ehttp_request *r)
{
	struct ehttp_call *c = xcalloc(1, sizeof(*c));

	c->h = h;
	c->req = *r;
	c->req.path = c->req.body = NULL;
	if (!c->req.max_bytes)
		c->req.max_bytes = HTTP_BODY_MAX;
	c->body = r->body ? xstrdup(r->body) : NULL;
	c->easy = curl_easy_init();
	if (!c->easy)
		abort(); /* as when memory ends anywhere else */
	describe(c, r);
	list_push_back(&h->waiting, &c->link);
	begin(h);
	return c;
}

void ehttp_cancel(struct ehttp_call *c)
{
	c->cancelled = true;
	if (!c->h->within)
		call_free(c);
}

struct ehttp *ehttp_new(uv_loop_t *loop, const char *socket_path, struct err *err)
{
	struct ehttp *h = xcalloc(1, sizeof(*h));

	/* Without TLS, which nothing here uses. */
	if (curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK || !(h->multi = curl_multi_init())) {
		err_set(err, ERR_FAILED, "libcurl does not start");
		free(h);
		return NULL;
	}
	h->loop = loop;
	h->path = xstrdup(socket_path);
	list_init(&h->calls);
	list_init(&h->waiting);
	uv_timer_init(loop, &h->timer);
	h->timer.data = h;
	h->handles = 1;
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS);
	return h;
}

void ehttp_close(struct ehttp *h)
{
	if (h->closing)
		return;
	h->closing = true;
	list_each (&h->waiting, item)
		call_free(list_entry(item, struct ehttp_call, link));
	list_each (&h->calls, item)
		call_free(list_entry(item, struct ehttp_call, link));
	curl_multi_cleanup(h->multi);
	uv_close((uv_handle_t *)&h->timer, on_timer_closed);
}

void ehttp_escape(char *out, size_t cap, const char *text)
{
	size_t at = 0;

	for (; *text && at + 4 <= cap; text++) {
		char c = *text;
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		             strchr("-._~/", c);

		if (plain)
			out[at++] = c;
		else
			at += (size_t)snprintf(out + at, cap - at, "%%%02X", (unsigned char)c);
	}
	if (cap)
		out[at] = '\0';
}
