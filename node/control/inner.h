/*
 * A client that speaks with this agent through another one (verb_relay.c there): its own session, end to end, inside the
 * session of the peer that relays. That peer can neither read nor change nor add to what passes; what the client may do
 * is decided by the key that its own session proved, as if it had come directly.
 */
#ifndef NODE_CONTROL_INNER_H
#define NODE_CONTROL_INNER_H

#include "node/control/control.h"

struct inner;

/* outer: how bytes travel to the peer that relays. */
struct inner *inner_new(struct agent *a, const struct control_transport *outer);
/* What the relaying peer sent: at most FRAME_BYTES_MAX bytes. */
void inner_feed(struct inner *in, const uint8_t *bytes, size_t len);
void inner_drained(struct inner *in);
/* The outer connection is gone. */
void inner_free(struct inner *in);

#endif
