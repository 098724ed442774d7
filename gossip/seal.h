/*
 * Packets between two peers: each is sealed with a key of its own direction (DESIGN section 5, "Packets").
 *
 *	 0         1        2                                10
 *	+---------+--------+---------------------------------+
 *	| version |  type  | sender's id (8)                 |
 *	+---------+--------+---------------------------------+   authenticated, in clear
 *	| start: 16 random bytes, drawn when the sender began |
 *	| counter (8), one more for each packet               |   start | counter is the nonce
 *	+-----------------------------------------------------+
 *	| payload, zero-padded so that the packet has at      |   XChaCha20-Poly1305
 *	| least PACKET_BYTES_MIN bytes; tag (16)              |
 *	+-----------------------------------------------------+
 *
 * Key = BLAKE2b(X25519(own secret, their public) | flock | sender | receiver). A packet from a start or an address
 * that is new for its sender is held (one per sender) until the sender has echoed a challenge from there:
 *
 *	S (new start) ---- gossip ---->  R      R holds it
 *	S <-- challenge c, echo 0 -----  R      never longer than the packet that caused it
 *	S --- challenge c', echo c --->  R      c' only if R's start is new to S as well
 *	S <-- challenge 0, echo c' ----  R      R opens the packet that it held
 *
 * A challenge is a keyed hash of (sender, start, address, time slot), so that it needs no memory and a flood of
 * replayed packets cannot displace a true one's.
 */
#ifndef GOSSIP_SEAL_H
#define GOSSIP_SEAL_H

#include "base/addr.h"
#include "base/limits.h"

#define PACKET_VERSION      1
#define PACKET_HEADER_BYTES 34
#define PACKET_TAG_BYTES    16
#define PAYLOAD_BYTES_MAX   (PACKET_BYTES_MAX - PACKET_HEADER_BYTES - PACKET_TAG_BYTES)

enum packet_type {
	PACKET_GOSSIP = 1,    /* messages of gossip/wire */
	PACKET_CHALLENGE = 2, /* challenge (16) | echo (16); zero where absent */
};

/* Starts of a sender that were replaced and never count again: as many restarts as fit two challenge slots. */
#define SEAL_RETIRED_MAX 8
/* A challenge is good for its slot and the next. */
#define SEAL_SLOT_MS SECONDS(8)

struct packet_header {
	uint8_t version;
	uint8_t type;
	id64 sender;
	uint8_t start[16];
	uint64_t counter;
};

/* Our side: one per agent. */
struct seal {
	struct key32 key; /* own Ed25519 public key */
	id64 id;
	uint8_t x25519[32]; /* own secret */
	struct key32 flock;
	uint8_t start[16];
	uint64_t counter;
	uint8_t token_secret[32];
	bool plain; /* simulator: neither encrypted nor authenticated */
};

/* What we know of one other peer's packets. Zeroed to begin with. */
struct seal_peer {
	struct key32 key;
	struct key32 send_key, recv_key;
	bool keyed;
	bool known; /* start and addr have been echoed */
	uint8_t start[16];
	struct addr addr[2]; /* the latest, and the one before: a host with two ways out uses both */
	uint64_t top;        /* highest counter seen of this start */
	uint64_t window;     /* bit i: top - i was seen */
	uint8_t retired[SEAL_RETIRED_MAX][16];
	unsigned retired_at;
	struct { /* one packet that waits for the echo */
		uint8_t *bytes;
		size_t len;
		uint8_t start[16];
		struct addr addr;
		uint64_t counter;
	} held;
};

enum open_verdict {
	OPEN_MESSAGES,  /* payload is to be processed */
	OPEN_CHALLENGE, /* held: send seal_challenge()'s answer to where it came from */
	OPEN_ANSWER,    /* it asked for an echo: send the answer */
	OPEN_PROVED, /* it echoed: held payload (if len is not 0) is to be processed; answer if answer_len is not 0 */
	OPEN_BAD,    /* malformed, or not from who it says */
	OPEN_REPLAY, /* seen before, or of a start that was replaced */
};

struct opened {
	uint8_t payload[PAYLOAD_BYTES_MAX];
	size_t len;
	uint8_t answer[PACKET_BYTES_MIN]; /* a challenge packet to send back to the source */
	size_t answer_len;
	bool newest; /* OPEN_MESSAGES, OPEN_PROVED: no later packet came yet, so it is where its sender is now */
	bool restarted; /* OPEN_PROVED: the start is new */
};

/* start and token_secret come from a generator seeded by the kernel. secret: 64-byte Ed25519 key. */
void seal_init(struct seal *s, const struct key32 *key, const uint8_t secret[64], const struct key32 *flock,
        const uint8_t start[16], const uint8_t token_secret[32], bool plain);
/* A new start, as after a restart: what another machine with our key has sent may have retired ours at others. */
void seal_renew(struct seal *s, const uint8_t start[16]);
void seal_peer_init(struct seal_peer *p, const struct key32 *key);
void seal_peer_free(struct seal_peer *p);

/* Reads the clear part; false when it is none of ours (length, version, type). */
bool packet_header_get(struct packet_header *h, const uint8_t *bytes, size_t len);
/* Seals payload for p; out has PACKET_BYTES_MAX. Returns the packet's length, 0 if the peer's key is no point. */
size_t seal_packet(struct seal *s, struct seal_peer *p, enum packet_type type, const uint8_t *payload, size_t len,
        uint8_t *out);
/* Opens a packet of p that came from `from`. p is NULL, here and above, where nothing is kept of each sender (plain
 * only): every packet counts. */
enum open_verdict seal_open(struct seal *s, struct seal_peer *p, const struct addr *from,
        const struct packet_header *h, const uint8_t *bytes, size_t len, mono_ms now, struct opened *out);

#endif
