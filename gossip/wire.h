/*
 * Messages inside a packet or inside a stream's message frame (DESIGN section 5; pictured in docs/wire.md):
 *
 *	+------+--------+------------------+------+--------+------ ...
 *	| type | length | body             | type | length | body
 *	|  1   |   2    | (length bytes)   |  1   |   2    |
 *	+------+--------+------------------+------+--------+------ ...
 *
 * Type 0 ends the packet: what follows is padding. A newer peer may say more than an older one understands: unknown
 * types are stepped over, and so are fields behind those that are known, in all but statements (whose bytes are
 * signed), records and wants. What a peer says of another is a signed statement; the signature covers
 * domain | flock | type | fields.
 */
#ifndef GOSSIP_WIRE_H
#define GOSSIP_WIRE_H

#include "base/addr.h"
#include "base/limits.h"

enum msg_type {
	MSG_END = 0,
	MSG_PING =
	        1, /* seq, known: the incarnation of yours that I hold; 0: none, or I think you dead. Say who you are. */
	MSG_ACK =
	        2, /* seq, digests, wall clock: the answer to a ping, or to a ping-req when the target answered */
	MSG_NACK = 3,     /* seq: the target of your ping-req did not answer me (yet) */
	MSG_PING_REQ = 4, /* seq, peer id: ping that peer for me. Never an address: no one can be aimed at */
	MSG_ALIVE = 5,    /* statement, signed by its subject */
	MSG_LEFT = 6,     /* statement, signed by its subject */
	MSG_SUSPECT = 7,  /* statement, signed by its accuser: did not answer me */
	MSG_DEAD = 8,     /* statement, signed by its accuser: and did not refute in time */
	MSG_RECORD = 9,   /* an encoded record with its body */
	MSG_HAVE = 10,    /* a record that the sender holds */
	MSG_WANT = 11,    /* ids of records, asked of who announced them */
	/* On streams only: */
	MSG_STATES = 12,      /* sums over the members of each part of the flock */
	MSG_STATES_LIST = 13, /* part, (member, incarnation) of all its members */
	MSG_STATES_WANT = 14, /* ids of members whose statements are asked for */
};

/* Bytes of type and length before each body. */
#define MSG_HEADER_BYTES 3

/* Signed by its subject (alive, left) or by its accuser (suspect, dead). */
struct statement {
	enum msg_type type;
	id64 subject;
	uint64_t incarnation;
	id64 accuser;        /* suspect and dead */
	struct addr addr;    /* alive: where the subject is reached */
	uint8_t boot_id[16]; /* alive: tells two machines with one key apart */
	uint8_t sig[64];
};

/* Set fingerprint of one kind of records, enough to see that two peers differ: a hash of store_digest(). The plain sum
 * would not do in so few bytes: with some records of one's own one could make two sets of the same. */
struct digest_brief {
	uint8_t b[12];
};

/* A record announced: key and stamp let a receiver see that it holds a newer one. */
struct have {
	uint8_t kind;
	struct key32 id;
	struct key32 key;
	uint64_t stamp;
	uint32_t len; /* bytes of the encoded record */
};

/* Ids in one want: what fits the smallest packet's payload many times over, and bounds the answer. */
#define WANT_IDS_MAX 32

/* Parts into which members fall, by the first bits of their ids; members named in one message: four times what a part of
 * the largest flock holds on average. */
#define WIRE_STATES_PARTS 64
#define WIRE_STATES_MAX   (4 * MEMBERS_MAX / WIRE_STATES_PARTS)

struct wire_state {
	id64 id;
	uint64_t incarnation;
};

struct msg {
	enum msg_type type;
	uint32_t seq;                           /* ping, ack, nack, ping-req */
	uint64_t known;                         /* ping: the incarnation of the receiver that the sender holds */
	id64 target;                            /* ping-req */
	struct digest_brief durable, volatile_; /* ack */
	uint64_t states;                        /* ack: sum over the members that the sender knows */
	wall_ms wall;                           /* ack: the sender's clock */
	struct statement st;
	struct have have;
	size_t n_want;
	struct key32 want[WANT_IDS_MAX];
	const uint8_t *bytes; /* record, states: points into the packet or frame */
	size_t len;
	uint8_t part; /* states list */
};

/* Reads the next message of known type; false at the end or when malformed (rd_ok() tells which). */
bool wire_next(struct rd *r, struct msg *m);

/* Each appends one whole message, header included. */
void wire_put_ping(struct wr *w, uint32_t seq, uint64_t known);
void wire_put_ack(struct wr *w, uint32_t seq, const struct digest_brief *durable,
        const struct digest_brief *volatile_, uint64_t states, wall_ms wall);
void wire_put_nack(struct wr *w, uint32_t seq);
void wire_put_ping_req(struct wr *w, uint32_t seq, id64 target);
void wire_put_statement(struct wr *w, const struct statement *st);
void wire_put_record(struct wr *w, const uint8_t *bytes, size_t len);
void wire_put_have(struct wr *w, const struct have *h);
void wire_put_want(struct wr *w, const struct key32 *ids, size_t n);
void wire_put_states(struct wr *w, const uint64_t sums[WIRE_STATES_PARTS]);
/* At most WIRE_STATES_MAX of them. */
void wire_put_states_list(struct wr *w, uint8_t part, const struct wire_state *list, size_t n);
void wire_put_states_want(struct wr *w, const id64 *ids, size_t n);
#define WIRE_STATES_LIST_BYTES(n) (MSG_HEADER_BYTES + 1 + 16 * (n))
#define WIRE_STATES_WANT_BYTES(n) (MSG_HEADER_BYTES + 8 * (n))
/* Read what such a message holds. */
void wire_get_states(const struct msg *m, uint64_t sums[WIRE_STATES_PARTS]);
/* out has room for WIRE_STATES_MAX; returns how many. */
size_t wire_get_states_list(const struct msg *m, struct wire_state *out);
size_t wire_get_states_want(const struct msg *m, id64 *out);

/* Bytes of the longest statement message: alive over IPv6. */
#define STATEMENT_BYTES_MAX (MSG_HEADER_BYTES + 8 + 8 + 19 + 16 + 64)

/* secret: libsodium's 64-byte Ed25519 key of the subject (alive, left) or the accuser. */
void statement_sign(struct statement *st, const struct key32 *flock, const uint8_t secret[64]);
bool statement_verify(const struct statement *st, const struct key32 *flock, const struct key32 *signer);

#endif
