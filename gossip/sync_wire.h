/*
 * Items of a sync frame: a version byte and, from the initiator, a salt; then items one after the other. Drawn in
 * docs/wire.md.
 *
 *	a span      | set << 7 | depth in nibbles (1) | prefix, (depth + 1) / 2 bytes |        set: 0 durable, 1 volatile
 *	a part      | count (1), 255: so many or more | print (8) |
 *	a short id  6 bytes
 *	a bound     | n (1) | the first n bytes of an id, the others are zero |
 *
 *	PRINTS      | 1 | span | levels (1) | 16^levels parts: of the ranges so many nibbles deeper |   either side
 *	MINE        | 2 | span | from, a bound | n (1) | n short ids: all of mine from there on |       question
 *	GET         | 3 | span | n (1) | n short ids: send me these |                                  question
 *	REST        | 4 | id (32) | offset (4): send me this record from there on |                     question
 *	RECORD      | 5 | n (4) | n bytes, a whole record |                                             either side
 *	PIECE       | 6 | id (32) | length in all (4) | offset (4) | n (4) | n bytes of a record |      either side
 *	END         | 7 |                                                                              initiator
 *	IDS         | 8 | span | n (1) | n short ids: all of mine there |                               answer
 *	WANT        | 9 | span | n (1) | n short ids of yours that I lack |                             answer
 *	WANT_ID     | 10 | id (32): send me this one if you have it |                                   answer
 *	MISSING     | 11 | id (32): of a REST; it is not here |                                         answer
 *	MORE        | 12 | span | from, a bound | n (4): so many that I have from there on found no room | answer, to MINE
 *	GET_MORE    | 13 | span | n (1) | n short ids: these found no room |                            answer, to GET
 *	PRINTS_MORE | 14 | span | levels (1): the answer to these PRINTS found no room |                answer
 *	any other   | 128 and above | n (2) | n bytes |                                                 stepped over
 *
 * Prints and short ids are keyed with the salt, which is new for each reconciliation: nobody can make two records, or
 * two sets, that look alike in it, and what looks alike by accident differs in the next.
 */
#ifndef GOSSIP_SYNC_WIRE_H
#define GOSSIP_SYNC_WIRE_H

#include "gossip/sync.h"

#define SYNC_VERSION 2

enum sync_item_kind {
	SYNC_PRINTS = 1,
	SYNC_MINE = 2,
	SYNC_GET = 3,
	SYNC_REST = 4,
	SYNC_RECORD = 5,
	SYNC_PIECE = 6,
	SYNC_END = 7,
	SYNC_IDS = 8,
	SYNC_WANT = 9,
	SYNC_WANT_ID = 10,
	SYNC_MISSING = 11,
	SYNC_MORE = 12,
	SYNC_GET_MORE = 13,
	SYNC_PRINTS_MORE = 14,
	SYNC_UNKNOWN = 128, /* this and all above */
};

/* Parts into which one level divides a range: one nibble of the id. Two levels at most are told at once. */
#define SYNC_FANOUT     16
#define SYNC_LEVELS_MAX 2
#define SYNC_PARTS_MAX  (SYNC_FANOUT * SYNC_FANOUT)
#define SPAN_DEPTH_MAX  64
/* Short ids in one item. */
#define SYNC_LIST_MAX 64

#define SYNC_SHORT_BYTES 6
#define SYNC_PART_BYTES  9
#define SPAN_BYTES_MAX   (1 + 32)
#define BOUND_BYTES_MAX  (1 + 32)
/* Bytes around a PIECE's own, and a RECORD's. */
#define SYNC_PIECE_OVERHEAD  (1 + 32 + 4 + 4 + 4)
#define SYNC_RECORD_OVERHEAD (1 + 4)

/* All ids that begin with the first depth nibbles of prefix. */
struct span {
	bool volatile_kinds;
	uint8_t depth;
	struct key32 prefix; /* nibbles past depth are zero, so this is the lowest id too */
};

/* The salt as a key of SipHash. */
struct sync_salt {
	uint8_t key[16];
};

/* What is told of one part of a range. */
struct sync_part {
	uint8_t count; /* 255: so many or more */
	uint64_t print;
};

struct sync_item {
	enum sync_item_kind kind;
	struct span span;
	uint8_t levels;
	struct key32 id; /* or from */
	uint32_t total, offset;
	uint32_t n;           /* parts, short ids, or bytes */
	const uint8_t *bytes; /* of them, inside the frame */
};

void span_root(struct span *out, bool volatile_kinds);
/* Part i of the 16^levels that lie so many nibbles deeper. */
void span_part(struct span *out, const struct span *s, unsigned levels, unsigned i);
/* The id right behind the span, or all 0xff (inclusive) at the end of everything. */
void span_end(struct key32 *out, const struct span *s);
bool span_has(const struct span *s, const struct key32 *id);
bool span_eq(const struct span *a, const struct span *b);
/* Adds one; false (and all 0xff) at the top. */
bool key32_increment(struct key32 *k);
/* Sum and count of each of the 16^levels parts. */
void span_prints(const struct store *st, const struct span *s, unsigned levels, struct range_print *out);
unsigned span_parts(unsigned levels);

void sync_salt_init(struct sync_salt *s, const uint8_t bytes[SYNC_SALT_BYTES]);
uint64_t sync_short(const struct sync_salt *s, const struct key32 *id);
struct sync_part sync_part_of(const struct sync_salt *s, const struct range_print *p);
static inline bool sync_part_eq(const struct sync_part *a, const struct sync_part *b)
{
	return a->count == b->count && a->print == b->print;
}
/* Of PRINTS, of items with short ids. */
struct sync_part sync_item_part(const struct sync_item *item, unsigned i);
uint64_t sync_item_short(const struct sync_item *item, unsigned i);

/* kind and span, with which an item begins. */
void sync_put_span(struct wr *w, enum sync_item_kind kind, const struct span *s);
void sync_put_part(struct wr *w, const struct sync_part *p);
void sync_put_prints(struct wr *w, const struct store *st, const struct sync_salt *salt, const struct span *s,
        unsigned levels);
void sync_put_bound(struct wr *w, const struct key32 *from);
/* n (1) and the ids, at most SYNC_LIST_MAX. */
void sync_put_shorts(struct wr *w, const uint64_t *ids, size_t n);
void sync_put_id(struct wr *w, enum sync_item_kind kind, const struct key32 *id);
/* A whole record as RECORD, if it fits below limit; false: it does not. */
bool sync_put_record(struct wr *w, const struct stored *s, size_t limit);
/* Bytes of a stored record from offset on, as many as fit below limit; returns the offset reached, or offset
 * itself when there is no room worth using. */
uint32_t sync_put_piece(struct wr *w, const struct stored *s, uint32_t offset, size_t limit);

/* Reads and checks one item; the reader fails on anything malformed. */
void sync_get_item(struct rd *r, struct sync_item *out);
/* Bytes of the answer that asks for a question again. */
size_t sync_again_bytes(const struct sync_item *question);

#endif
