/*
 * The peer port: UDP packets and encrypted TCP streams, on the loop. Bytes only: what they mean is gossip's and
 * control's business. Inbound sessions are handed over by the initiator's role.
 */
#ifndef NODE_NET_PEER_NET_H
#define NODE_NET_PEER_NET_H

#include "base/addr.h"
#include "base/err.h"
#include "gossip/session.h"

#include <uv.h>

struct peer_net;
struct peer_conn; /* one TCP connection with its session */

struct peer_net_events {
	void (*packet)(void *ctx, const struct addr *from, const uint8_t *bytes, size_t len);
	/* A handshake completed. id: ours from peer_net_connect(), or a fresh one with the top bit set. */
	void (*ready)(void *ctx, uint64_t id, enum session_role role, const struct key32 *key, bool inbound,
	        const struct addr *from);
	void (*frame)(void *ctx, uint64_t id, const uint8_t *bytes, size_t len);
	/* Said once per id, also when connecting failed. refused: ECONNREFUSED. why is for the log. */
	void (*closed)(void *ctx, uint64_t id, bool refused, const char *why);
};

struct peer_net_limits {
	unsigned inbound_max;           /* connections at once */
	unsigned handshakes_per_second; /* per source address, before any asymmetric work */
};

struct peer_net *peer_net_open(uv_loop_t *loop, const struct addr *bind, const struct key32 *flock,
        const uint8_t secret[64], const uint8_t seed[32], const struct peer_net_events *ev, void *ctx,
        struct err *err);
void peer_net_bound(const struct peer_net *n, struct addr *out); /* port 0 resolved */
void peer_net_send_packet(struct peer_net *n, const struct addr *to, const uint8_t *bytes, size_t len);
void peer_net_connect(struct peer_net *n, uint64_t id, const struct addr *to, const struct key32 *expect);
/* Queues a frame; false when more than 4 MiB wait (a reader that does not read: the connection is closed). */
bool peer_net_send_frame(struct peer_net *n, uint64_t id, const uint8_t *bytes, size_t len);
void peer_net_close_conn(struct peer_net *n, uint64_t id);
size_t peer_net_queued(const struct peer_net *n, uint64_t id); /* bytes not yet written */
void peer_net_close(struct peer_net *n); /* frees itself when the loop has closed its handles */

#endif
