/*
 * An encrypted, authenticated stream: what peers reconcile over and what the CLI speaks from afar. Pure: bytes in,
 * bytes out; the edge owns the socket. (DESIGN section 5, "Streams"; pictured in docs/wire.md.)
 *
 * Handshake, three messages, fresh X25519 keys on both sides, each side's Ed25519 signature over the transcript
 * (the SIGMA pattern); the initiator's identity is sent encrypted. Then frames: u32 length of the
 * ciphertext, crypto_secretstream_xchacha20poly1305 of at most FRAME_BYTES_MAX bytes.
 */
#ifndef GOSSIP_SESSION_H
#define GOSSIP_SESSION_H

#include "base/buf.h"
#include "base/drbg.h"
#include "base/limits.h"

enum session_role {
	SESSION_PEER = 1,     /* initiator signs with a peer's key: sync */
	SESSION_OPERATOR = 2, /* with an operator's key: control RPC */
	SESSION_INVITE = 3,   /* with an invite's key: join */
};

struct session;

enum session_event {
	SESSION_WAIT,  /* needs more bytes */
	SESSION_READY, /* handshake done: session_peer() and session_role() hold; said once */
	SESSION_FRAME, /* a frame is in session_frame() */
	SESSION_ERROR, /* err says why; close the socket */
};

/* expect: the key the other side must show (initiator; NULL: any, the caller checks). secret: 64 bytes. */
struct session *session_connect(const struct key32 *flock, enum session_role role, const uint8_t secret[64],
        const struct key32 *expect, struct drbg *rng);
struct session *session_accept(const struct key32 *flock, const uint8_t secret[64], struct drbg *rng);
void session_free(struct session *s);

/* Feed what the socket read, then call session_next() until SESSION_WAIT. At most one frame is buffered beyond
 * what was fed; feeding more than 2 * FRAME_BYTES_MAX without draining fails. */
int session_feed(struct session *s, const uint8_t *bytes, size_t len, struct err *err);
enum session_event session_next(struct session *s, struct err *err);
/* The frame of the last SESSION_FRAME; valid until the next session_next(). */
const uint8_t *session_frame(const struct session *s, size_t *len);
/* Bytes to be written to the socket: taken by the caller, who then calls session_sent(n). */
const uint8_t *session_output(const struct session *s, size_t *len);
void session_sent(struct session *s, size_t n);
/* Encrypts one frame of at most FRAME_BYTES_MAX bytes into the output. Only after SESSION_READY. */
int session_send(struct session *s, const void *bytes, size_t len, struct err *err);

const struct key32 *session_peer(const struct session *s); /* the other side's key, proved */
enum session_role session_role(const struct session *s);   /* the initiator's role */

/* Bytes an unauthenticated side may send before the handshake fails. */
#define SESSION_HANDSHAKE_BYTES_MAX 512

#endif
