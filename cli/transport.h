/*
 * How a client's bytes travel: the local socket as they are, or inside an encrypted session over TCP; and through the peer
 * at the other end to a further one, inside a session of its own with that.
 */
#ifndef CLI_TRANSPORT_H
#define CLI_TRANSPORT_H

#include "base/addr.h"
#include "gossip/session.h"
#include "node/control/proto.h"

struct transport {
	int fd;
	struct session *session; /* NULL: bytes as they are */
	struct session *inner;   /* with a peer that the other end relays to; NULL: none */
	struct drbg rng;
	char to[160]; /* for messages: "the agent at /var/lib/starling", "peer 192.0.2.1:7827" */
};

/* Each connects within ms. */
int transport_unix(struct transport *t, const char *data_dir, struct err *err);
/* role and secret: whose key the session proves, an operator's or an invite's. A handshake that the far side breaks
 * off is ERR_UNAUTHORISED. */
int transport_tcp(struct transport *t, const struct addr *addr, const struct key32 *flock, enum session_role role,
        const uint8_t secret[64], int64_t ms, struct err *err);
/* The other end relays to another peer from now on: proves secret's key to that one. name: for messages. */
int transport_inner(struct transport *t, const char *name, const struct key32 *flock, enum session_role role,
        const uint8_t secret[64], int64_t ms, struct err *err);
void transport_close(struct transport *t);
/* The far side's proved key, NULL over the local socket. */
const struct key32 *transport_peer(const struct transport *t);
/* All of it, within ms. */
int transport_write(struct transport *t, const uint8_t *bytes, size_t len, int64_t ms, struct err *err);
/* Waits up to ms for bytes and feeds them to in. 1 some came, 0 none, -1 the connection is gone. */
int transport_read(struct transport *t, struct proto_in *in, int64_t ms, struct err *err);

#endif
