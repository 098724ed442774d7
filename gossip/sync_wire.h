/*
 * Items of a sync frame: a version byte, then items one after the other. Drawn in docs/wire.md.
 *
 *	a span    | set (1): 0 durable, 1 volatile | depth in nibbles (1) | prefix, (depth + 1) / 2 bytes |
 *	PRINTS    | 1 | span | 16 x (count (4), sum (32)): the parts one nibble deeper |
 *	LIST      | 2 | span | from (32): tell your ids from this one on |
 *	IDS       | 3 | span | from (32) | more (1) | n (2) | n x id (32), ascending |
 *	GET       | 4 | id (32) | offset (4) |
 *	RECORD    | 5 | id (32) | length in all (4) | offset (4) | n (4) | n bytes |
 *	MISSING   | 6 | id (32): what you asked for is not here |
 *	WANT      | 7 | id (32): send me this one if you have it |
 *	END       | 8 |
 *	again     | 9 | span                   PRINTS of that span found no room in the answer: ask again
 *	again     | 10 | span | from (32)      the same for LIST
 *
 * The initiator sends PRINTS and LIST (questions), GET, RECORD, END; the responder the rest, PRINTS, RECORD and END.
 */
#ifndef GOSSIP_SYNC_WIRE_H
#define GOSSIP_SYNC_WIRE_H

#include "gossip/store/store.h"

#define SYNC_VERSION 1

enum sync_item_kind {
	SYNC_PRINTS = 1,
	SYNC_LIST = 2,
	SYNC_IDS = 3,
	SYNC_GET = 4,
	SYNC_RECORD = 5,
	SYNC_MISSING = 6,
	SYNC_WANT = 7,
	SYNC_END = 8,
	SYNC_PRINTS_AGAIN = 9,
	SYNC_LIST_AGAIN = 10,
};

/* Parts into which a range is divided at once: one nibble of the id. */
#define SYNC_FANOUT    16
#define SPAN_DEPTH_MAX 64

/* All ids that begin with the first depth nibbles of prefix. */
struct span {
	bool volatile_kinds;
	uint8_t depth;
	struct key32 prefix; /* nibbles past depth are zero, so this is the lowest id too */
};

struct sync_item {
	enum sync_item_kind kind;
	struct span span;
	struct range_print prints[SYNC_FANOUT];
	struct key32 id; /* or from */
	bool more;
	uint32_t total, offset;
	uint32_t n;           /* ids, or bytes */
	const uint8_t *bytes; /* n ids of 32 bytes, or n bytes of a record: inside the frame */
};

/* Bytes around a RECORD's own. */
#define SYNC_RECORD_OVERHEAD (1 + 32 + 4 + 4 + 4)
/* Bytes of the longest PRINTS, of IDS with n ids, of either "again". */
#define SYNC_PRINTS_BYTES_MAX (1 + 34 + SYNC_FANOUT * 36)
#define SYNC_IDS_BYTES_MAX(n) (1 + 34 + 32 + 1 + 2 + 32 * (n))
#define SYNC_AGAIN_BYTES_MAX  (1 + 34 + 32)

void span_root(struct span *out, bool volatile_kinds);
void span_child(struct span *out, const struct span *s, unsigned nibble);
/* The id right behind the span, or all 0xff (inclusive) at the end of everything. */
void span_end(struct key32 *out, const struct span *s);
bool span_has(const struct span *s, const struct key32 *id);
struct range_print span_print(const struct store *st, const struct span *s);
/* Adds one; false (and all 0xff) at the top. */
bool key32_increment(struct key32 *k);

void sync_put_prints(struct wr *w, const struct store *st, const struct span *s);
/* kind: SYNC_LIST or SYNC_LIST_AGAIN. */
void sync_put_list(struct wr *w, enum sync_item_kind kind, const struct span *s, const struct key32 *from);
/* The head of an item that begins with a span; all of SYNC_PRINTS_AGAIN. */
void sync_put_span(struct wr *w, enum sync_item_kind kind, const struct span *s);
/* Own ids from `from` on, at most page of them (at most SYNC_PAGE_MAX). */
#define SYNC_PAGE_MAX 512
void sync_put_ids(
        struct wr *w, const struct store *st, const struct span *s, const struct key32 *from, size_t page);
void sync_put_get(struct wr *w, const struct key32 *id, uint32_t offset);
/* Bytes of a stored record from offset on, as many as fit below limit; returns the offset reached, or offset
 * itself when there is no room worth using. */
uint32_t sync_put_record(struct wr *w, const struct stored *s, uint32_t offset, size_t limit);
void sync_put_id(struct wr *w, enum sync_item_kind kind, const struct key32 *id);

/* Reads and checks one item; the reader fails on anything malformed. */
void sync_get_item(struct rd *r, struct sync_item *out);

#endif
