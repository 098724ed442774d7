#include "node/net/peer_conn.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* Reads per turn of the loop, so that one fast sender does not starve the rest: 64 KiB. */
#define READS_PER_TURN 4
/* Milliseconds that written bytes may stay without an acknowledgement before the kernel gives a connection up: a
 * host that vanished is noticed here before TCP's own 15 minutes, and after SWIM has judged it. */
#define UNACKED_MS 30000

static void on_event(uv_poll_t *poll, int status, int events);

struct peer_conn *peer_conn_new(struct peer_net *n, uint64_t id, bool inbound, int fd, const struct addr *addr)
{
	struct peer_conn *c = xcalloc(1, sizeof(*c));
	int yes = 1;
	unsigned unacked = UNACKED_MS;

	list_init(&c->queue);
	c->net = n;
	c->state = inbound ? CONN_SHAKING : CONN_CONNECTING;
	c->id = id;
	c->inbound = inbound;
	c->known = !inbound;
	c->addr = *addr;
	c->fd = fd;
	list_push_back(&n->conns, &c->link);
	map_put(&n->by_id, &c->id, c);
	if (inbound) {
		n->inbound++;
		n->shaking++;
	}
	if (fd >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
		setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked, sizeof(unacked));
		if (uv_poll_init(n->loop, &c->poll, fd) == 0) {
			c->polled = true;
			n->handles++;
		}
	}
	return c;
}

/* Same wait for all, so the queue stays sorted by adding at its end. */
static void set_deadline(struct peer_conn *c)
{
	list_remove(&c->queue);
	c->deadline = peer_net_now() + c->net->limits.handshake_ms;
	list_push_back(&c->net->waiting, &c->queue);
	peer_net_arm(c->net);
}

static bool has_output(const struct peer_conn *c)
{
	size_t len = 0;

	if (c->session)
		session_output(c->session, &len);
	return len > 0;
}

static void watch(struct peer_conn *c)
{
	int events = UV_READABLE;

	if (c->state == CONN_ENDED)
		return;
	/* One that nobody listens to is read until its end, paused or not. */
	if (c->paused && c->state == CONN_OPEN)
		events = 0;
	if (c->state == CONN_CONNECTING)
		events = UV_WRITABLE;
	else if (has_output(c))
		events |= UV_WRITABLE;
	if (events == c->events)
		return;
	c->events = events;
	if (uv_poll_start(&c->poll, events, on_event) < 0)
		peer_conn_end(c, "the loop cannot watch it");
}

static void free_conn(struct peer_conn *c)
{
	session_free(c->session);
	free(c);
}

static void on_closed(uv_handle_t *handle)
{
	struct peer_conn *c = container_of((uv_poll_t *)handle, struct peer_conn, poll);
	struct peer_net *n = c->net;

	c->polled = false;
	if (c->released)
		free_conn(c);
	n->handles--;
	peer_net_arm(n); /* the last handle of a closing net frees it */
}

void peer_conn_let_go(struct peer_conn *c)
{
	c->state = CONN_ENDED;
	/* The session and c stay: the caller may be inside one of their callbacks. The handle goes before the
	 * descriptor: stopped later, it would take a new connection of the same number out of the loop. */
	if (c->polled && !uv_is_closing((uv_handle_t *)&c->poll))
		uv_close((uv_handle_t *)&c->poll, on_closed);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

void peer_conn_release(struct peer_conn *c)
{
	list_remove(&c->queue);
	list_remove(&c->link);
	map_del(&c->net->by_id, &c->id);
	c->released = true;
	if (!c->polled)
		free_conn(c);
}

void peer_conn_end(struct peer_conn *c, const char *fmt, ...)
{
	struct peer_net *n = c->net;
	va_list ap;

	if (c->state == CONN_ENDED)
		return;
	va_start(ap, fmt);
	vsnprintf(c->why, sizeof(c->why), fmt, ap);
	va_end(ap);
	n->counters.handshakes_failed += c->state == CONN_SHAKING;
	if (c->inbound) {
		n->inbound--;
		n->shaking -= c->state == CONN_SHAKING;
	}
	peer_conn_let_go(c);
	list_remove(&c->queue);
	list_push_back(&n->ended, &c->queue);
	peer_net_arm(n);
}

static void end_with_errno(struct peer_conn *c, const char *doing, int code)
{
	char text[ADDR_TEXT_MAX];

	addr_text(text, &c->addr);
	c->refused = c->state == CONN_CONNECTING && code == ECONNREFUSED;
	peer_conn_end(c, "%s %s: %s", doing, text, strerror(code));
}

/* Writes what the session has ready, as far as the socket takes it. */
static void flush(struct peer_conn *c)
{
	size_t len;
	const uint8_t *out;

	while (c->state != CONN_ENDED && (out = session_output(c->session, &len), len > 0)) {
		ssize_t n = send(c->fd, out, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			session_sent(c->session, (size_t)n);
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			break;
		} else if (errno != EINTR) {
			end_with_errno(c, "send to", errno);
			return;
		}
	}
	if (c->state == CONN_FLUSHING && !has_output(c) && !c->half_closed) {
		c->half_closed = true;
		/* Closing outright while bytes of theirs are unread would reset the connection and could take
		 * our last words with it. So: say that we are done, and wait for them to be. */
		shutdown(c->fd, SHUT_WR);
	}
	watch(c);
}

/* Gives the owner what the session made of the bytes it was fed. */
static void drain(struct peer_conn *c)
{
	struct peer_net *n = c->net;

	while (c->state == CONN_SHAKING || c->state == CONN_OPEN) {
		struct err err = {0};
		const uint8_t *bytes;
		size_t len;

		switch (session_next(c->session, &err)) {
		case SESSION_WAIT:
			return;
		case SESSION_READY:
			c->state = CONN_OPEN;
			list_remove(&c->queue);
			n->shaking -= c->inbound;
			c->known = true;
			n->ev.ready(n->ctx, c->id, session_role(c->session), session_peer(c->session), c->inbound,
			        &c->addr);
			break;
		case SESSION_FRAME:
			bytes = session_frame(c->session, &len);
			n->ev.frame(n->ctx, c->id, bytes, len);
			break;
		case SESSION_ERROR:
			peer_conn_end(c, "%s", err.text);
			return;
		}
	}
}

static void take(struct peer_conn *c, const uint8_t *bytes, size_t len)
{
	struct err err = {0};

	if (c->state == CONN_FLUSHING)
		return; /* nobody listens any more */
	if (session_feed(c->session, bytes, len, &err) < 0) {
		peer_conn_end(c, "%s", err.text);
		return;
	}
	drain(c);
	if (c->state != CONN_ENDED)
		flush(c);
}

static void read_some(struct peer_conn *c, int turns)
{
	for (int i = 0; i < turns && c->state != CONN_ENDED && !c->paused; i++) {
		ssize_t n = recv(c->fd, c->net->read_buf, READ_BYTES, MSG_DONTWAIT);

		if (n > 0)
			take(c, c->net->read_buf, (size_t)n);
		else if (n == 0)
			peer_conn_end(c, "closed by the other side");
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		else if (errno != EINTR)
			end_with_errno(c, "read from", errno);
		if (n >= 0 && n < READ_BYTES)
			return;
	}
}

static void start_handshake(struct peer_conn *c)
{
	struct peer_net *n = c->net;

	c->state = CONN_SHAKING;
	if (c->inbound)
		c->session = session_accept(&n->flock, n->secret, &n->rng);
	else
		c->session = session_connect(&n->flock, SESSION_PEER, n->secret, &c->expect, &n->rng);
	set_deadline(c);
	flush(c);
}

/* connect() came to its end, one way or the other. */
static void connected(struct peer_conn *c)
{
	int code = 0;
	socklen_t len = sizeof(code);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &code, &len) < 0)
		code = errno;
	if (code)
		end_with_errno(c, "connect to", code);
	else
		start_handshake(c);
}

static void writable(struct peer_conn *c)
{
	struct peer_net *n = c->net;

	flush(c);
	if (c->state == CONN_OPEN && !has_output(c) && n->ev.drained)
		n->ev.drained(n->ctx, c->id);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
	struct peer_conn *c = container_of(poll, struct peer_conn, poll);

	if (c->state == CONN_CONNECTING) {
		connected(c);
	} else if (status < 0) {
		/* libuv has stopped watching. What came before the error can still be read, then the error. */
		c->paused = false;
		while (c->state != CONN_ENDED) {
			c->events = 0;
			read_some(c, READS_PER_TURN);
			if (c->state != CONN_ENDED && recv(c->fd, &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT) < 0)
				end_with_errno(c, "read from", errno);
		}
	} else {
		if (events & UV_READABLE)
			read_some(c, READS_PER_TURN);
		if (events & UV_WRITABLE && c->state != CONN_ENDED)
			writable(c);
	}
}

void peer_conn_accepted(struct peer_conn *c)
{
	if (!c->polled)
		peer_conn_end(c, "the loop cannot watch it");
	else
		start_handshake(c);
}

void peer_conn_connecting(struct peer_conn *c)
{
	if (!c->polled) {
		peer_conn_end(c, "the loop cannot watch it");
		return;
	}
	set_deadline(c);
	watch(c);
}

bool peer_conn_send(struct peer_conn *c, const uint8_t *bytes, size_t len)
{
	struct err err = {0};
	size_t queued = 0;

	if (c->state != CONN_OPEN)
		return false;
	session_output(c->session, &queued);
	if (queued + len > PEER_NET_QUEUE_MAX) {
		c->net->counters.slow_readers++;
		peer_conn_end(c, "the other side does not read: %zu KiB wait for it", queued / 1024);
		return false;
	}
	if (session_send(c->session, bytes, len, &err) < 0) {
		peer_conn_end(c, "%s", err.text);
		return false;
	}
	if (!queued)
		flush(c);
	return c->state != CONN_ENDED;
}

void peer_conn_close(struct peer_conn *c)
{
	if (c->state == CONN_ENDED || c->state == CONN_FLUSHING)
		return;
	if (c->state != CONN_OPEN) {
		peer_conn_end(c, "closed by this side");
		return;
	}
	c->state = CONN_FLUSHING;
	set_deadline(c);
	flush(c);
}

void peer_conn_pause(struct peer_conn *c, bool pause)
{
	c->paused = pause;
	if (c->polled && c->state == CONN_OPEN)
		watch(c);
}

void peer_conn_late(struct peer_conn *c)
{
	char text[ADDR_TEXT_MAX];

	addr_text(text, &c->addr);
	if (c->state == CONN_SHAKING)
		c->net->counters.handshakes_late++;
	if (c->state == CONN_FLUSHING)
		peer_conn_end(c, "closed by this side");
	else
		peer_conn_end(c, "%s %s: no answer within %u ms",
		        c->state == CONN_CONNECTING ? "connect to" : "handshake with", text,
		        c->net->limits.handshake_ms);
}
