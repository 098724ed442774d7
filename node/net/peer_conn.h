/*
 * One TCP connection of the peer port, from connect or accept to its end. Internal to node/net.
 *
 *	  connect()                    up                proof
 *	 ----------> CONN_CONNECTING -----> CONN_SHAKING -----> CONN_OPEN
 *	 accept()                            ^   |                 |  peer_net_close_conn()
 *	 ------------------------------------'   |                 v
 *	                  late, bad, refused ----+  <------- CONN_FLUSHING   (late, or the other side is done)
 *	                                         v
 *	                                     CONN_ENDED -- next turn of the loop --> closed event, freed
 */
#ifndef NODE_NET_PEER_CONN_H
#define NODE_NET_PEER_CONN_H

#include "base/list.h"
#include "base/map.h"
#include "node/net/guard.h"
#include "node/net/peer_net.h"
#include "node/net/peer_udp.h"

/* Set in the ids of connections that others opened. */
#define INBOUND_ID (UINT64_C(1) << 63)
/* Bytes of one read; the session copies what it must keep. */
#define READ_BYTES (16 * 1024)

enum conn_state { CONN_CONNECTING, CONN_SHAKING, CONN_OPEN, CONN_FLUSHING, CONN_ENDED };

struct peer_conn {
	struct list link;  /* in peer_net.conns */
	struct list queue; /* in peer_net.waiting or .ended, or in none */
	struct peer_net *net;
	uint64_t id;
	enum conn_state state;
	bool inbound;
	bool known; /* the owner has heard of id, so it hears of its end */
	bool refused;
	bool half_closed; /* FLUSHING: all is written and shut down */
	bool paused;      /* its owner takes no more for now */
	struct addr addr; /* of the other side */
	struct key32 expect;
	mono_ms deadline; /* while in peer_net.waiting */
	int fd;           /* -1 none */
	bool polled;      /* the loop has poll */
	bool released;    /* nobody knows it any more: free it with poll's last callback */
	uv_poll_t poll;
	int events; /* what poll looks for now */
	struct session *session;
	char why[192];
};

struct peer_net {
	uv_loop_t *loop;
	struct key32 flock;
	uint8_t secret[64];
	struct drbg rng;
	struct peer_net_events ev;
	void *ctx;
	struct peer_net_limits limits;
	struct peer_net_counters counters;
	struct addr bound;
	struct peer_udp udp;
	uv_poll_t udp_poll;
	uv_poll_t listen_poll;
	int listen_fd;
	int spare_fd; /* given up for a moment when descriptors run out, so that accept() can say no */
	uv_timer_t timer;
	struct guard guard;
	struct map by_id;    /* id -> struct peer_conn */
	struct list conns;   /* all */
	struct list waiting; /* for their deadline, which comes first stands first */
	struct list ended;   /* to be reported */
	unsigned inbound;    /* not ended */
	unsigned shaking;    /* inbound among them without a proved key */
	uint64_t next_inbound;
	unsigned handles; /* given to the loop and not yet given back */
	bool closing;
	uint8_t read_buf[READ_BYTES];
};

/* Milliseconds that do not stand still while the loop works. */
mono_ms peer_net_now(void);
/* Sets the timer for the first deadline, or for the ended. */
void peer_net_arm(struct peer_net *n);

/* Binds n->listen_fd and sets n->bound. */
int peer_listen_open(struct peer_net *n, const struct addr *bind_to, struct err *err);
/* uv_poll_cb of n->listen_poll. */
void peer_listen_ready(uv_poll_t *poll, int status, int events);

/* Both take the descriptor. id is not yet in use. */
struct peer_conn *peer_conn_new(struct peer_net *n, uint64_t id, bool inbound, int fd, const struct addr *addr);
/* Starts the handshake of an accepted connection. */
void peer_conn_accepted(struct peer_conn *c);
/* Waits for connect() to finish. */
void peer_conn_connecting(struct peer_conn *c);
/* Ends it; the closed event comes in the next turn of the loop. Safe to repeat: the first reason stays. */
void peer_conn_end(struct peer_conn *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool peer_conn_send(struct peer_conn *c, const uint8_t *bytes, size_t len);
void peer_conn_close(struct peer_conn *c);
void peer_conn_pause(struct peer_conn *c, bool pause);
/* Its deadline passed. */
void peer_conn_late(struct peer_conn *c);
/* Gives socket and handle back. The object stays until peer_conn_release(). */
void peer_conn_let_go(struct peer_conn *c);
/* Forgets an ended connection; freed as soon as the loop has given its handle back. */
void peer_conn_release(struct peer_conn *c);

#endif
