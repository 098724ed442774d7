/* The TCP listener of the peer port: who gets in, and who gives way. */
#include "node/net/peer_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Connections accepted per turn of the loop. */
#define ACCEPTS_PER_TURN 16
/* Connections that the kernel completes for us while we are busy. */
#define LISTEN_BACKLOG 128

int peer_listen_open(struct peer_net *n, const struct addr *bind_to, struct err *err)
{
	int yes = 1, no = 0, family = sockaddr_family(bind_to);
	union sockaddr_ip sa;
	socklen_t len = sockaddr_from(&sa, bind_to, family);

	n->listen_fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (n->listen_fd < 0)
		return err_errno(err, "TCP socket");
	/* A restarted agent takes its port again while the kernel still remembers old connections. */
	setsockopt(n->listen_fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (family == AF_INET6)
		setsockopt(n->listen_fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
	if (bind(n->listen_fd, &sa.sa, len) < 0 || listen(n->listen_fd, LISTEN_BACKLOG) < 0 ||
	        getsockname(n->listen_fd, &sa.sa, &len) < 0) {
		err_errno(err, "bind TCP");
		close(n->listen_fd);
		n->listen_fd = -1;
		return -1;
	}
	sockaddr_to(&n->bound, &sa);
	return 0;
}

/* The connection without a proved key that has had the longest time to give one. */
static struct peer_conn *oldest_shaking(struct peer_net *n)
{
	list_each (&n->waiting, item) {
		struct peer_conn *c = list_entry(item, struct peer_conn, queue);

		if (c->inbound && c->state == CONN_SHAKING)
			return c;
	}
	return NULL;
}

/* Room for one more inbound connection. Those without a proved key may hold half of the places, and give way to
 * newcomers, oldest first: so neither they nor a flood of them keeps peers out. */
static bool make_room(struct peer_net *n)
{
	struct peer_conn *oldest;

	if (n->inbound < n->limits.inbound_max && n->shaking < MAX(n->limits.inbound_max / 2, 1u))
		return true;
	oldest = oldest_shaking(n);
	if (!oldest)
		return false;
	peer_conn_end(oldest, "no key proved, and others wait");
	return true;
}

static void take_inbound(struct peer_net *n, int fd, const struct addr *from)
{
	struct peer_conn *c;

	if (!guard_take(&n->guard, from, peer_net_now())) {
		n->counters.refused_rate++;
		close(fd);
		return;
	}
	if (!make_room(n)) {
		n->counters.refused_full++;
		close(fd);
		return;
	}
	n->counters.accepted++;
	c = peer_conn_new(n, INBOUND_ID | n->next_inbound++, true, fd, from);
	peer_conn_accepted(c);
}

/* Out of descriptors: a connection that nobody accepts would wake the loop for ever, so accept it and say no. */
static void refuse_one(struct peer_net *n)
{
	int fd;

	if (n->spare_fd < 0)
		return;
	close(n->spare_fd);
	fd = accept4(n->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	n->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	n->counters.refused_full++;
}

void peer_listen_ready(uv_poll_t *poll, int status UNUSED, int events UNUSED)
{
	struct peer_net *n = container_of(poll, struct peer_net, listen_poll);

	for (int i = 0; i < ACCEPTS_PER_TURN && !n->closing; i++) {
		union sockaddr_ip sa;
		socklen_t len = sizeof(sa);
		struct addr from;
		int fd = accept4(n->listen_fd, &sa.sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE))
			refuse_one(n);
		if (fd < 0)
			break;
		sockaddr_to(&from, &sa);
		take_inbound(n, fd, &from);
	}
	if (status < 0 && !n->closing)
		uv_poll_start(poll, UV_READABLE, peer_listen_ready);
}
