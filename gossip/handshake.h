/* Inside gossip/session: the three messages that open a session, and the keys that come of them. */
#ifndef GOSSIP_HANDSHAKE_H
#define GOSSIP_HANDSHAKE_H

#include "gossip/session.h"

#define HELLO_BYTES  53
#define ANSWER_BYTES 144
#define PROOF_BYTES  113

struct handshake {
	struct key32 flock;
	uint8_t secret[64]; /* own identity */
	uint8_t own_e[32];  /* own fresh secret; erased once used */
	uint8_t k[32];
	struct key32 transcript;
	uint8_t hello[HELLO_BYTES];
};

void handshake_init(struct handshake *h, const struct key32 *flock, const uint8_t secret[64], struct drbg *rng);
void handshake_wipe(struct handshake *h);

/* Each takes one whole message and makes the next; NULL, or why the message is refused. */
void handshake_hello(struct handshake *h, uint8_t hello[HELLO_BYTES]);
const char *handshake_on_hello(struct handshake *h, const uint8_t *hello, uint8_t answer[ANSWER_BYTES]);
/* expect: the key that the responder must have; NULL: any. */
const char *handshake_on_answer(struct handshake *h, const uint8_t *answer, enum session_role role,
        const struct key32 *expect, struct key32 *peer, uint8_t proof[PROOF_BYTES]);
const char *handshake_on_proof(
        struct handshake *h, const uint8_t *proof, enum session_role *role, struct key32 *peer);
/* Keys of what the initiator and the responder send, once the proof is made or taken. */
void handshake_keys(struct handshake *h, uint8_t initiator[32], uint8_t responder[32]);

#endif
