#include "node/net/dns_worker.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* Pending connections that the kernel holds for us. */
#define DNS_BACKLOG 64
/* Bytes of queries that may wait while the thread is busy: some 2,000 of them. */
#define DNS_RECEIVE_BYTES (1024 * 1024)
/* Tries to find a port that both UDP and TCP have free. */
#define DNS_PORT_TRIES 16

static const char *advice(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "; another resolver or agent answers there: stop it, or give --dns another address or port";
	case EACCES:
		return "; ports below 1024 need root or CAP_NET_BIND_SERVICE: give --dns a higher port";
	case EADDRNOTAVAIL:
		return "; this host has no such address: give --dns one of its own";
	default:
		return "";
	}
}

static int open_socket(const struct addr *a, int type, struct err *err)
{
	union sockaddr_ip sa;
	int family = sockaddr_family(a);
	socklen_t len = sockaddr_from(&sa, a, family);
	const char *proto = type == SOCK_DGRAM ? "UDP" : "TCP";
	char text[ADDR_TEXT_MAX];
	int on = 1, bytes = DNS_RECEIVE_BYTES, error;
	int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	addr_text(text, a);
	if (fd < 0)
		return err_errno(err, "listen for DNS on %s: %s socket", text, proto);
	/* TCP only: a restarted agent must get its port back from connections in TIME_WAIT; on a UDP socket the
	 * option would let two agents share the port and each lose half of the queries. */
	if (type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	else if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) <
	         0) /* beyond the limit: root */
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (type == SOCK_DGRAM && addr_is_any(a)) {
		if (family == AF_INET6)
			setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
		else
			setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	}
	if (bind(fd, &sa.sa, len) < 0 || (type == SOCK_STREAM && listen(fd, DNS_BACKLOG) < 0)) {
		error = errno;
		close(fd);
		err_set(err, ERR_FAILED, "listen for DNS on %s (%s): %s%s", text, proto, strerror(error),
		        advice(error));
		errno = error;
		return -1;
	}
	return fd;
}

int dns_listen(const struct addr *want, struct addr *bound, struct dns_source *udp, struct dns_source *tcp,
        struct err *err)
{
	struct err last = {0};

	for (int i = 0; i < DNS_PORT_TRIES; i++) {
		union sockaddr_ip sa;
		socklen_t len = sizeof(sa);
		int udp_fd = open_socket(want, SOCK_DGRAM, err), tcp_fd;

		if (udp_fd < 0)
			return -1;
		if (getsockname(udp_fd, &sa.sa, &len) < 0) {
			close(udp_fd);
			return err_errno(err, "listen for DNS: getsockname");
		}
		sockaddr_to(bound, &sa);
		tcp_fd = open_socket(bound, SOCK_STREAM, &last);
		if (tcp_fd >= 0) {
			*udp = (struct dns_source){DNS_SOURCE_UDP, udp_fd, addr_is_any(want)};
			*tcp = (struct dns_source){DNS_SOURCE_LISTENER, tcp_fd, false};
			return 0;
		}
		close(udp_fd);
		if (want->port != 0)
			break;
	}
	return err_set(err, last.code, "%s", last.text);
}
