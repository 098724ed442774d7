#include "node/net/peer_udp.h"

#include <errno.h>
#include <unistd.h>

/* Bytes of the kernel's queue: some hundred full packets, so that a short stall of the loop loses none. The kernel
 * may give less. */
#define UDP_QUEUE_BYTES (1024 * 1024)

int peer_udp_open(struct peer_udp *u, const struct addr *bind_to, struct err *err)
{
	int size = UDP_QUEUE_BYTES, off = 0;
	union sockaddr_ip sa;
	socklen_t len;

	u->family = sockaddr_family(bind_to);
	u->fd = socket(u->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (u->fd < 0)
		return err_errno(err, "UDP socket");
	len = sockaddr_from(&sa, bind_to, u->family);
	if (u->family == AF_INET6)
		setsockopt(u->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	setsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(u->fd, &sa.sa, len) < 0) {
		err_errno(err, "bind UDP");
		close(u->fd);
		u->fd = -1;
		return -1;
	}
	for (int i = 0; i < UDP_BATCH; i++) {
		u->iov[i] = (struct iovec){.iov_base = u->bytes[i], .iov_len = sizeof(u->bytes[i])};
		u->head[i].msg_hdr =
		        (struct msghdr){.msg_name = &u->from[i], .msg_iov = &u->iov[i], .msg_iovlen = 1};
	}
	return 0;
}

void peer_udp_read(struct peer_udp *u, struct peer_net_counters *n, const bool *stop,
        void (*fn)(void *ctx, const struct addr *from, const uint8_t *bytes, size_t len), void *ctx)
{
	for (int round = 0; round < UDP_ROUNDS; round++) {
		int got;

		for (int i = 0; i < UDP_BATCH; i++)
			u->head[i].msg_hdr.msg_namelen = sizeof(u->from[i]);
		got = recvmmsg(u->fd, u->head, UDP_BATCH, 0, NULL);
		/* An ICMP message about something that we sent (ECONNREFUSED and the like) says nothing here. */
		if (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
			continue;
		for (int i = 0; i < got && !*stop; i++) {
			struct addr from;

			n->packets_in++;
			sockaddr_to(&from, &u->from[i]);
			if (u->head[i].msg_len > PACKET_BYTES_MAX)
				n->packets_oversize++;
			else
				fn(ctx, &from, u->bytes[i], u->head[i].msg_len);
		}
		if (got < UDP_BATCH || *stop)
			return;
	}
}

void peer_udp_send(
        struct peer_udp *u, struct peer_net_counters *n, const struct addr *to, const uint8_t *bytes, size_t len)
{
	union sockaddr_ip sa;
	socklen_t sa_len = sockaddr_from(&sa, to, u->family);

	if (sa_len && sendto(u->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL, &sa.sa, sa_len) == (ssize_t)len)
		n->packets_out++;
	else
		n->packets_unsent++;
}
