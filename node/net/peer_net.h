/*
 * The peer port: UDP packets and encrypted TCP streams, on the loop. Bytes only: what they mean is gossip's and
 * control's business. Inbound sessions are handed over by the initiator's role.
 *
 * Everybody on the network can reach this port. What that costs us at most: one read per packet; per connection
 * one descriptor and one session, for handshake_ms without a proved key; per source address a bounded
 * number of handshakes per second. Unproved connections never take the places of proved ones.
 *
 * Events come from the loop, never from inside one of these functions.
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
	/* Said once per id that connect() or ready() named: also when connecting failed and after
	 * peer_net_close_conn(). refused: ECONNREFUSED. why is for the log. */
	void (*closed)(void *ctx, uint64_t id, bool refused, const char *why);
	/* All that was queued for id and had to wait is written now: there is room for more. NULL: nobody asks. */
	void (*drained)(void *ctx, uint64_t id);
};

struct peer_net_limits {
	unsigned inbound_max;           /* connections at once */
	unsigned handshakes_per_second; /* per source address, before any asymmetric work; bursts of twice that */
	unsigned handshake_ms;          /* see PEER_NET_HANDSHAKE_MS */
};
/* A connection must be up within this, and its handshake done within this again; closing may take as long to
 * hand over what is queued. Milliseconds: a few round trips to the other side of the earth, with a loss. */
#define PEER_NET_HANDSHAKE_MS 5000
/* A peer of 10,000 is visited by a few others a second, for well under a second each. */
#define PEER_NET_LIMITS_DEFAULT                                                                                  \
	((struct peer_net_limits){                                                                               \
	        .inbound_max = 256, .handshakes_per_second = 32, .handshake_ms = PEER_NET_HANDSHAKE_MS})
/* Bytes that may wait for one reader: the largest answer, 8 MiB of rows, comes in parts as it reads. */
#define PEER_NET_QUEUE_MAX (4 * 1024 * 1024)

struct peer_net_counters {
	uint64_t packets_in, packets_out, packets_oversize, packets_unsent;
	uint64_t accepted, refused_rate, refused_full;
	uint64_t handshakes_failed; /* ended without a proved key, whatever the reason */
	uint64_t handshakes_late;   /* those of them that ran out of time */
	uint64_t slow_readers;
};

struct peer_net *peer_net_open(uv_loop_t *loop, const struct addr *bind, const struct key32 *flock,
        const uint8_t secret[64], const uint8_t seed[32], const struct peer_net_events *ev, void *ctx,
        struct err *err);
/* Before the first connection; PEER_NET_LIMITS_DEFAULT otherwise. */
void peer_net_limit(struct peer_net *n, const struct peer_net_limits *limits);
void peer_net_bound(const struct peer_net *n, struct addr *out); /* port 0 resolved */
void peer_net_send_packet(struct peer_net *n, const struct addr *to, const uint8_t *bytes, size_t len);
/* Reads what waits on the UDP socket now, giving packet events: for a loop that ran late and must hear before it
 * judges (DESIGN section 5, the stall rule). The one function that gives events from inside. */
void peer_net_read_packets(struct peer_net *n);
/* id: the caller's, top bit clear, not in use. The role is SESSION_PEER. */
void peer_net_connect(struct peer_net *n, uint64_t id, const struct addr *to, const struct key32 *expect);
/* Queues a frame; false when the id is not up, or more than PEER_NET_QUEUE_MAX wait (a reader that does not read:
 * the connection is closed). */
bool peer_net_send_frame(struct peer_net *n, uint64_t id, const uint8_t *bytes, size_t len);
/* What is queued is still handed over, for handshake_ms; no frame of it is heard any more. */
void peer_net_close_conn(struct peer_net *n, uint64_t id);
/* Reads no more from it until it is resumed; what was read already is still heard: 64 KiB at most. The other side is
 * held up by TCP. */
void peer_net_pause(struct peer_net *n, uint64_t id, bool pause);
size_t peer_net_queued(const struct peer_net *n, uint64_t id); /* bytes not yet written */
const struct peer_net_counters *peer_net_counters(const struct peer_net *n);
/* No event comes after this. */
void peer_net_close(struct peer_net *n); /* frees itself when the loop has closed its handles */

#endif
