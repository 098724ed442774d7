/* The UDP half of the peer port. Internal to node/net. */
#ifndef NODE_NET_PEER_UDP_H
#define NODE_NET_PEER_UDP_H

#include "base/limits.h"
#include "node/net/peer_net.h"
#include "node/net/sockaddr.h"

/* Packets per system call, and calls per turn of the loop, so that a flood does not starve timers. */
#define UDP_BATCH  16
#define UDP_ROUNDS 8

struct peer_udp {
	int fd;
	int family;
	struct mmsghdr head[UDP_BATCH];
	struct iovec iov[UDP_BATCH];
	union sockaddr_ip from[UDP_BATCH];
	/* One byte more than a packet may have shows which ones are too long. */
	uint8_t bytes[UDP_BATCH][PACKET_BYTES_MAX + 1];
};

/* Binds a non-blocking socket; u->fd is -1 after a failure. */
int peer_udp_open(struct peer_udp *u, const struct addr *bind_to, struct err *err);
/* Hands each packet that waits to fn, up to UDP_ROUNDS batches. fn may set *stop (it closed everything). */
void peer_udp_read(struct peer_udp *u, struct peer_net_counters *n, const bool *stop,
        void (*fn)(void *ctx, const struct addr *from, const uint8_t *bytes, size_t len), void *ctx);
/* Never waits: what the socket cannot take is lost, as on any network. */
void peer_udp_send(
        struct peer_udp *u, struct peer_net_counters *n, const struct addr *to, const uint8_t *bytes, size_t len);

#endif
