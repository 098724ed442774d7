/*
 * The signed envelope that every replicated fact travels in (DESIGN section 4 and 6; pictured in docs/wire.md).
 *
 *	 0        1        2        3        4        5        6
 *	+--------+--------+--------+--------+--------+--------+
 *	|version |  kind  | flags  |parents |  prev  |name len|      one byte each
 *	+--------+--------+--------+--------+--------+--------+
 *	| author public key (32) | stamp (8) | body length (4) |
 *	| body hash, BLAKE2b-256 (32)                          |
 *	| name (name len bytes)                                |
 *	| parents (32 each): what this record replaces         |
 *	| prev (32 each): the author's own previous heads      |
 *	+------------------------------------------------------+     <- header; id = BLAKE2b-256 of it
 *	| Ed25519 signature (64) over domain | flock | header   |
 *	| body (body length bytes, or absent: header only)      |
 *	+------------------------------------------------------+
 */
#ifndef GOSSIP_STORE_RECORD_H
#define GOSSIP_STORE_RECORD_H

#include "base/buf.h"
#include "base/limits.h"

#define RECORD_VERSION 1

enum record_kind {
	/* durable, written by operators (admissions by the joining peer) */
	REC_GENESIS = 1,
	REC_GRANT = 2,
	REC_INVITE = 3,
	REC_ADMISSION = 4,
	REC_REVOCATION = 5,
	REC_EVICTION = 6,
	REC_SUCCESSION = 7,
	REC_REVISION = 16, /* name: stack */
	REC_SETTING = 17,  /* name: "drain/PEERID", "labels/PEERID" ... */
	/* volatile, written by peers about themselves; name empty or a page number in decimal */
	REC_FACTS = 32,
	REC_STATUS = 33,
	REC_RUNS = 34,
	REC_VERDICT = 35,
	/* reserved: secret, key wrap, volume, network, voters: 48-63. Unknown kinds are stored and forwarded. */
};

#define RECORD_FLAG_REMOVAL 0x01 /* REC_REVISION: the stack is removed; no body */

struct record {
	uint8_t version;
	uint8_t kind;
	uint8_t flags;
	uint8_t n_parents;
	uint8_t n_prev;
	uint8_t name_len;
	char name[RECORD_NAME_MAX + 1]; /* NUL-terminated; no NUL inside */
	struct key32 author;
	/* Operators: HLC (48 bits of Unix ms, 16 of counter). Peers: boot count << 32 | n. */
	uint64_t stamp;
	uint32_t body_len;
	struct key32 body_hash;
	/* n_parents and n_prev of them, in somebody else's memory: the encoded bytes, or the maker's array. (A store
	 * holds many records; arrays in here would take 1 KiB of each.) */
	const struct key32 *parents;
	const struct key32 *prev;
	uint8_t sig[64];
	const uint8_t
	        *body; /* body_len bytes of somebody else's memory, or NULL for a header alone (or no body) */
	/* Computed by record_decode and record_sign. */
	struct key32 id;  /* BLAKE2b-256 of the header */
	struct key32 key; /* what the record is about: see record_key() */
};

/* Is this kind volatile (status, never synced to disk for others' changes)? */
bool record_is_volatile(uint8_t kind);
/* Key of a record: BLAKE2b(kind, name), with the author mixed in for kinds that each peer writes for itself. */
void record_key(struct key32 *out, uint8_t kind, const struct key32 *author, const char *name);
/* Reads a record from hostile bytes and checks its form, lengths and body hash; not its signature. body points
 * into bytes. len == header + 64 means a header without its body. */
int record_decode(struct record *out, const uint8_t *bytes, size_t len, struct err *err);
/* Appends header, signature and (if present) body. The counts are trusted: RECORD_REFS_MAX at most. */
void record_encode(struct wr *w, const struct record *r);
void record_encode_header(struct wr *w, const struct record *r);
/* Fills body_hash from body, author from secret_key, sig, id and key. secret_key is libsodium's 64-byte form.
 * flock is all zero for the genesis record itself, whose id then is the flock id. */
void record_sign(struct record *r, const struct key32 *flock, const uint8_t secret_key[64]);
bool record_verify(const struct record *r, const struct key32 *flock);

#endif
