/*
 * The replicated store: key -> signed records, each kind with its merge rule (DESIGN section 6). Pure: no disk,
 * no clock. It holds encoded records; what a stack revision's body means it never learns.
 *
 * Laws, checked for every kind by tests/unit/gossip/test_laws.c: putting the same set of records in any order,
 * with any repetition, gives the same contents and the same digests.
 */
#ifndef GOSSIP_STORE_STORE_H
#define GOSSIP_STORE_STORE_H

#include "base/err.h"
#include "gossip/store/hlc.h"
#include "gossip/store/record.h"

struct store;

enum store_verdict {
	STORE_NEW,   /* taken; may have replaced an older one of its key */
	STORE_BODY,  /* the header was known, its body came now */
	STORE_KNOWN, /* nothing new */
	STORE_OLD,   /* a newer one of that key is here */
	STORE_FULL,  /* a limit; err says which */
	STORE_BAD,   /* malformed or signature wrong; err says why */
};

/* A record as the store holds it. Valid until the next put or drop. */
struct stored {
	struct record rec; /* rec.body points into memory of the store; NULL while only the header is here */
	const uint8_t *bytes;
	size_t len;
	bool on_disk; /* durable kinds: in the digest only once this is set */
	bool pulling; /* for the caller: a body fetch is under way */
};

struct digest {
	struct key32 root; /* sum of all record ids as 256-bit numbers, so that it can be kept incrementally */
	uint32_t count;
};

struct store *store_new(const struct key32 *flock, const uint8_t hash_secret[16]);
void store_free(struct store *st);

/* Takes an encoded record: decode, verify the signature (cached), merge. A volatile record enters the digest at
 * once; a durable one when store_on_disk() is called for it (on_disk = true: it came from disk, at start). */
enum store_verdict store_put(
        struct store *st, const uint8_t *bytes, size_t len, bool on_disk, struct key32 *id_out, struct err *err);
void store_on_disk(struct store *st, const struct key32 *id);
const struct stored *store_get(const struct store *st, const struct key32 *id);
/* Removes a record whatever its kind (eviction of a peer's volatile records, pruning). */
void store_drop(struct store *st, const struct key32 *id);
void store_drop_author_volatile(struct store *st, const struct key32 *author);

/* Walks records of a kind in key order, then (stamp, id). kind 0: all. fn returns false to stop. */
void store_each(const struct store *st, uint8_t kind, bool (*fn)(const struct stored *, void *), void *ctx);
/* The single current record of a key for kinds with one (settings, facts, pages), else NULL. */
const struct stored *store_current(const struct store *st, const struct key32 *key);
const struct stored *store_page(
        const struct store *st, uint8_t kind, const struct key32 *author, const char *name);

struct digest store_digest(const struct store *st, bool volatile_kinds);
size_t store_count(const struct store *st);

/* Stack revisions form a graph; heads are headers that no other names as a parent. */
#define STACK_HEADS_MAX 16
struct stack_heads {
	size_t n;
	const struct stored *head[STACK_HEADS_MAX]; /* head[0] is the winner: a removal, else highest (HLC, id) */
};
/* valid says whether a record counts (trust); NULL: all do. Only records on disk count. */
typedef bool store_valid(const struct stored *, void *ctx);
void store_stack_heads(
        const struct store *st, const char *stack, store_valid *valid, void *ctx, struct stack_heads *out);
/* Calls fn once per stack name that has a revision, in name order. */
void store_each_stack(const struct store *st, void (*fn)(const char *stack, void *), void *ctx);
/* The author's own heads, for `prev` of that author's next record. Returns how many (at most RECORD_REFS_MAX). */
size_t store_author_heads(const struct store *st, const struct key32 *author, struct key32 *out);

/*
 * Range-based set reconciliation (Meyer 2022) over ids ordered bytewise within one digest: a range is [lo, hi) of
 * record keys' ids; its fingerprint is the sum of the ids in it. gossip/sync drives it.
 */
struct range_print {
	struct key32 sum;
	uint32_t count;
};
struct range_print store_range(
        const struct store *st, bool volatile_kinds, const struct key32 *lo, const struct key32 *hi);
/* Ids in [lo, hi), ascending, at most max; returns how many there are in all. hi all 0xff is inclusive. */
size_t store_range_ids(const struct store *st, bool volatile_kinds, const struct key32 *lo,
        const struct key32 *hi, struct key32 *out, size_t max);

#endif
