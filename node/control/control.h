/*
 * The agent's side of the control protocol (see proto.h): connections, who may ask what, verbs. A connection is
 * bytes in and bytes out; where they travel (local socket, operator's session, another agent) is the caller's
 * business.
 */
#ifndef NODE_CONTROL_CONTROL_H
#define NODE_CONTROL_CONTROL_H

#include "node/agent.h"
#include "node/control/proto.h"

struct control;
struct control_conn;

enum control_origin {
	ORIGIN_SOCKET = 1,   /* DATA/control.sock: file permissions said yes */
	ORIGIN_OPERATOR = 2, /* a session proved an operator's key */
	ORIGIN_PEER = 4,     /* a session proved a peer's key */
	ORIGIN_INVITE = 8,   /* a session proved an invite's key */
};

/* write sends bytes, false when the other side does not read; close ends the transport, which then calls
 * control_gone(); queued says how many bytes wait to be written: once there are some, control_drained() is called when
 * there are none any more; pause stops reading, and goes on with it. */
struct control_transport {
	bool (*write)(void *ctx, const uint8_t *bytes, size_t len);
	void (*close)(void *ctx);
	size_t (*queued)(void *ctx);
	void (*pause)(void *ctx, bool pause);
	void *ctx;
};

/* Connections at once, of all origins. An agent has few clients; more means somebody is not closing. */
#define CONTROL_CONNS_MAX 64

struct control *control_new(struct agent *a);
void control_free(struct control *c);
/* Opens DATA/control.sock. */
int control_listen(struct control *c, struct err *err);
/* A new connection; greets it. When there are too many, one that has been idle for ten seconds is closed for it; if
 * none is, the new one is told so and the answer is NULL: the caller closes it. */
struct control_conn *control_accept(struct control *c, enum control_origin origin, const struct key32 *key,
        const struct control_transport *t);
void control_feed(struct control_conn *conn, const uint8_t *bytes, size_t len);
void control_gone(struct control_conn *conn);
void control_drained(struct control_conn *conn);

/* A pass of the agent is over: watchers may have something to say. */
void control_changed(struct control *c);
/* GOSSIP_ACCEPTED. */
void control_accepted(struct control *c, const struct gossip_action *accepted);
/* The disk failed for good: whoever waits for a record to be written is told. */
void control_disk_failed(struct control *c, const char *why);
/* Frames and ends of the peer sessions that ask.c and verb_relay.c opened. True when id is one of them. */
bool control_ask_ready(struct control *c, uint64_t id);
bool control_ask_frame(struct control *c, uint64_t id, const uint8_t *bytes, size_t len);
bool control_ask_closed(struct control *c, uint64_t id, bool refused, const char *why);
bool control_ask_drained(struct control *c, uint64_t id);

#endif
