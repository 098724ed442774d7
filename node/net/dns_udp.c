#include "node/net/dns_worker.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Batches of one socket before the others have their turn. */
#define DNS_BATCHES_PER_TURN 8

/* Buffers of one batch. The answer of message i goes to out[i]; replies lists those that have one. */
struct dns_udp {
	struct mmsghdr in[DNS_BATCH];
	struct mmsghdr replies[DNS_BATCH];
	struct iovec in_iov[DNS_BATCH];
	struct iovec out_iov[DNS_BATCH];
	union sockaddr_ip from[DNS_BATCH];
	union {
		char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		struct cmsghdr align;
	} control[DNS_BATCH];
	uint8_t query[DNS_BATCH][DNS_QUERY_MAX];
	uint8_t out[DNS_BATCH][DNS_UDP_MAX];
};

struct dns_udp *dns_udp_new(void)
{
	return xcalloc(1, sizeof(struct dns_udp));
}

void dns_udp_free(struct dns_udp *u)
{
	free(u);
}

static void prepare(struct dns_udp *u, bool any)
{
	for (int i = 0; i < DNS_BATCH; i++) {
		struct msghdr *m = &u->in[i].msg_hdr;

		u->in_iov[i] = (struct iovec){u->query[i], sizeof(u->query[i])};
		m->msg_iov = &u->in_iov[i];
		m->msg_iovlen = 1;
		m->msg_name = &u->from[i];
		m->msg_namelen = sizeof(u->from[i]);
		m->msg_control = any ? u->control[i].bytes : NULL;
		m->msg_controllen = any ? sizeof(u->control[i].bytes) : 0;
	}
}

/* Turns "arrived at" into "send from": the same control message, apart from the interface, which routing finds (a
 * link-local address is nothing without it, so there it stays). */
static void answer_from_there(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			info.ipi_ifindex = 0;
			memcpy(CMSG_DATA(c), &info, sizeof(info));
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
				info.ipi6_ifindex = 0;
			memcpy(CMSG_DATA(c), &info, sizeof(info));
		}
	}
}

/* An answer that the kernel does not take is lost, as any datagram may be; the asker asks again. */
static void send_replies(struct dns_server *s, int fd, unsigned n)
{
	unsigned sent = 0;

	while (sent < n) {
		/* The system call itself: musl's function of that name makes a call for each message, because its
		 * msghdr has padding that the kernel takes for the upper half of a length. Here it is zero. */
		long k = syscall(SYS_sendmmsg, fd, s->batch->replies + sent, n - sent, 0);

		if (k > 0) {
			sent += (unsigned)k;
		} else if (errno != EINTR) {
			s->counters.dropped++; /* this one cannot go; those behind it may */
			sent++;
		}
	}
}

void dns_udp_readable(struct dns_server *s, const struct dns_source *socket)
{
	struct dns_udp *u = s->batch;

	for (int turn = 0; turn < DNS_BATCHES_PER_TURN; turn++) {
		unsigned n_replies = 0;
		int n;

		prepare(u, socket->any);
		n = recvmmsg(socket->fd, u->in, DNS_BATCH, MSG_DONTWAIT, NULL);
		if (n <= 0)
			return;
		dns_take_zone(s);
		for (int i = 0; i < n; i++) {
			struct addr from;
			size_t len;

			sockaddr_to(&from, &u->from[i]);
			if (u->in[i].msg_hdr.msg_flags & MSG_TRUNC || !dns_allowed(s, &from)) {
				s->counters.queries++;
				s->counters.dropped++;
				continue;
			}
			len = dns_respond(s, u->query[i], u->in[i].msg_len, false, u->out[i], sizeof(u->out[i]));
			if (len == 0)
				continue;
			u->out_iov[i] = (struct iovec){u->out[i], len};
			u->replies[n_replies].msg_hdr = u->in[i].msg_hdr;
			u->replies[n_replies].msg_hdr.msg_iov = &u->out_iov[i];
			u->replies[n_replies].msg_hdr.msg_flags = 0;
			if (socket->any)
				answer_from_there(&u->replies[n_replies].msg_hdr);
			n_replies++;
		}
		send_replies(s, socket->fd, n_replies);
		if (n < DNS_BATCH) /* all taken; the next readiness will say more */
			return;
	}
}
