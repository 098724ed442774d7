/*
 * DNS over TCP (RFC 7766): each message behind its length in two bytes, any number of queries on a connection,
 * answered in order. What could tie us up is bounded: connections in all and per source, the bytes that wait for
 * a reader that does not read (one round of answers; until they are gone nothing more is read), and the time
 * since a connection last completed a query.
 */
#include "node/net/dns_worker.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long the listeners rest when the process is out of file descriptors. */
#define DNS_ACCEPT_REST_MS 100
/* Connections taken in one turn, so that a flood of them does not keep UDP waiting. */
#define DNS_ACCEPT_PER_TURN 16

struct dns_conn {
	struct dns_source source;
	struct list idle; /* in server's conns */
	struct addr from;
	mono_ms active; /* last query completed, or accepted */
	size_t in_len;
	uint8_t *pending; /* answers not yet written, or NULL */
	size_t pending_len, pending_at;
	bool at_end; /* the client has finished sending */
	uint8_t in[2 + DNS_QUERY_MAX];
};

static void close_conn(struct dns_server *s, struct dns_conn *c)
{
	list_remove(&c->idle);
	s->n_conns--;
	close(c->source.fd); /* epoll forgets it with that */
	free(c->pending);
	free(c);
}

/* Something was completed: the list stays sorted by when. */
static void touch(struct dns_server *s, struct dns_conn *c)
{
	c->active = s->now;
	list_remove(&c->idle);
	list_push_back(&s->conns, &c->idle);
}

static void set_events(struct dns_server *s, struct dns_source *source, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = source};

	epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, source->fd, &ev);
}

static void rest_listeners(struct dns_server *s, bool rest)
{
	s->accept_at = rest ? s->now + DNS_ACCEPT_REST_MS : 0;
	for (size_t i = 0; i < s->n; i++)
		set_events(s, &s->listeners[i], rest ? 0 : EPOLLIN);
}

/* Room for a connection from this address: the longest idle one gives way, its own source's first. */
static void make_room(struct dns_server *s, const struct addr *from)
{
	bool count = s->limits.limit_loopback || !addr_is_loopback(from);
	struct dns_conn *oldest = NULL;
	size_t n = 0;

	list_each (&s->conns, at) {
		struct dns_conn *c = list_entry(at, struct dns_conn, idle);

		if (count && addr_ip_eq(&c->from, from) && n++ == 0)
			oldest = c;
	}
	if (oldest && n >= s->limits.connections_per_source)
		close_conn(s, oldest);
	else if (s->n_conns >= s->limits.connections)
		close_conn(s, list_entry(s->conns.next, struct dns_conn, idle));
}

static void add_conn(struct dns_server *s, int fd, const struct addr *from)
{
	struct dns_conn *c;
	struct epoll_event ev = {.events = EPOLLIN};

	make_room(s, from);
	c = xcalloc(1, sizeof(*c));
	c->source = (struct dns_source){DNS_SOURCE_CONN, fd, false};
	c->from = *from;
	c->active = s->now;
	list_push_back(&s->conns, &c->idle);
	s->n_conns++;
	ev.data.ptr = &c->source;
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
		close_conn(s, c);
}

void dns_tcp_accept(struct dns_server *s, const struct dns_source *listener)
{
	for (int i = 0; i < DNS_ACCEPT_PER_TURN; i++) {
		union sockaddr_ip sa;
		socklen_t len = sizeof(sa);
		struct addr from;
		int fd = accept4(listener->fd, &sa.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
				rest_listeners(s, true);
			return;
		}
		sockaddr_to(&from, &sa);
		add_conn(s, fd, &from);
	}
}

/* Writes what waits. Returns -1 when the connection is gone. */
static int write_pending(struct dns_server *s, struct dns_conn *c)
{
	ssize_t n = send(c->source.fd, c->pending + c->pending_at, c->pending_len - c->pending_at, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	c->pending_at += (size_t)n;
	if (c->pending_at < c->pending_len)
		return 0;
	free(c->pending);
	c->pending = NULL;
	touch(s, c);
	return 0;
}

/* Writes a round of answers; what the kernel does not take is kept for later. */
static int write_gathered(struct dns_server *s, struct dns_conn *c, size_t len)
{
	ssize_t n = send(c->source.fd, s->gather, len, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -1;
	n = MAX(n, 0);
	if ((size_t)n < len) {
		c->pending = xmemdup(s->gather + n, len - (size_t)n);
		c->pending_len = len - (size_t)n;
		c->pending_at = 0;
		set_events(s, &c->source, EPOLLOUT);
	}
	return 0;
}

/* Answers the whole queries that have arrived, as far as a round of answers has room. Returns the bytes gathered,
 * or -1 for a connection that cannot go on: a length that no query of ours has, or a source over its rate. */
static ssize_t answer_round(struct dns_server *s, struct dns_conn *c)
{
	size_t at = 0, len = 0;

	while (c->in_len - at >= 2 && DNS_GATHER_BYTES - len >= 2 + DNS_TCP_MAX) {
		size_t query = (size_t)c->in[at] << 8 | c->in[at + 1];
		size_t n;

		if (query > DNS_QUERY_MAX)
			return -1;
		if (c->in_len - at - 2 < query)
			break;
		if (!dns_allowed(s, &c->from)) {
			s->counters.queries++;
			s->counters.dropped++;
			return -1;
		}
		n = dns_respond(s, c->in + at + 2, query, true, s->gather + len + 2, DNS_TCP_MAX);
		if (n == 0) /* over TCP there is no reason to guess: whatever that was, it was not DNS */
			return -1;
		s->gather[len] = (uint8_t)(n >> 8);
		s->gather[len + 1] = (uint8_t)n;
		len += 2 + n;
		at += 2 + query;
	}
	if (at) {
		memmove(c->in, c->in + at, c->in_len - at);
		c->in_len -= at;
		touch(s, c);
	}
	return (ssize_t)len;
}

/* Answers until nothing whole is left or the reader falls behind. Returns -1 when the connection is done. */
static int answer_all(struct dns_server *s, struct dns_conn *c)
{
	while (!c->pending) {
		ssize_t len = answer_round(s, c);

		if (len < 0)
			return -1;
		if (len == 0)
			return c->at_end ? -1 : 0;
		if (write_gathered(s, c, (size_t)len) < 0)
			return -1;
	}
	return 0;
}

static int conn_readable(struct dns_server *s, struct dns_conn *c)
{
	ssize_t n = recv(c->source.fd, c->in + c->in_len, sizeof(c->in) - c->in_len, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	c->at_end = n == 0;
	c->in_len += (size_t)n;
	dns_take_zone(s);
	return answer_all(s, c);
}

static int conn_writable(struct dns_server *s, struct dns_conn *c)
{
	if (write_pending(s, c) < 0)
		return -1;
	if (c->pending)
		return 0;
	set_events(s, &c->source, EPOLLIN);
	return answer_all(s, c);
}

void dns_conn_event(struct dns_server *s, struct dns_source *source, uint32_t events)
{
	struct dns_conn *c = container_of(source, struct dns_conn, source);
	int done = c->pending ? (events & (EPOLLERR | EPOLLHUP) ? -1 : conn_writable(s, c)) : conn_readable(s, c);

	if (done < 0)
		close_conn(s, c);
}

int dns_tcp_tick(struct dns_server *s)
{
	mono_ms next = s->accept_at ? s->accept_at : MONO_NEVER;

	if (s->accept_at && s->now >= s->accept_at) {
		rest_listeners(s, false);
		next = MONO_NEVER;
	}
	list_each (&s->conns, at) {
		struct dns_conn *c = list_entry(at, struct dns_conn, idle);

		if (c->active + s->limits.idle > s->now) {
			next = MIN(next, c->active + s->limits.idle);
			break; /* those behind it were active later */
		}
		close_conn(s, c);
	}
	return next == MONO_NEVER ? -1 : (int)MIN(next - s->now, SECONDS(60));
}

void dns_tcp_close_all(struct dns_server *s)
{
	list_each (&s->conns, at)
		close_conn(s, list_entry(at, struct dns_conn, idle));
}
