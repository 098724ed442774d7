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

/* Bytes of all encoded records together: RECORDS_MAX of ordinary size, or 1,000 of the largest bodies. Beyond
 * it new records are refused loudly. */
#define STORE_BYTES_MAX (256 * 1024 * 1024)
/* Bytes of records of unknown kinds, and verdicts, that one author may have here: a newer version's new kinds
 * travel through this one, but nobody can fill the store with what no one understands. */
#define UNKNOWN_BYTES_PER_AUTHOR_MAX 65536
#define VERDICTS_PER_AUTHOR_MAX      1024

enum store_verdict {
	STORE_NEW,   /* taken; may have replaced an older one of its key */
	STORE_BODY,  /* the header was known, its body came now */
	STORE_KNOWN, /* nothing new */
	STORE_OLD,   /* a newer one of that key is here (the signature was not looked at) */
	STORE_FULL,  /* a limit; err says which */
	STORE_BAD,   /* malformed or signature wrong; err says why */
};

/* A record as the store holds it. Valid until the next put, drop or trim. */
struct stored {
	struct record rec; /* rec.body points into memory of the store; NULL while only the header is here */
	const uint8_t *bytes;
	size_t len;
	bool on_disk; /* durable kinds: in the digest only once this is set */
};

struct digest {
	struct key32 root; /* sum of all record ids as 256-bit numbers, so that it can be kept incrementally */
	uint32_t count;
};

struct store *store_new(const struct key32 *flock, const uint8_t hash_secret[16]);
void store_free(struct store *st);

/* Says whether a record counts (trust). */
typedef bool store_valid(const struct stored *, void *ctx);
/* Who says so where the store itself has to know: which bodies are wanted. Unless called, all records count. */
void store_judge(struct store *st, store_valid *valid, void *ctx);

/* Takes an encoded record: decode, verify the signature (cached), merge. A volatile record enters the digest at
 * once; a durable one when store_on_disk() is called for it (on_disk = true: it came from disk, at start). */
enum store_verdict store_put(
        struct store *st, const uint8_t *bytes, size_t len, bool on_disk, struct key32 *id_out, struct err *err);
/* The same for bytes whose signature this peer has checked already: it is not checked again. Form and hashes are. */
enum store_verdict store_put_verified(
        struct store *st, const uint8_t *bytes, size_t len, bool on_disk, struct key32 *id_out, struct err *err);
/* Is the signature good, in that flock? What store_put() asks of a record that is new to it. */
bool store_signed(const struct key32 *flock, const struct record *rec);
void store_on_disk(struct store *st, const struct key32 *id);
const struct stored *store_get(const struct store *st, const struct key32 *id);
/* Removes a record whatever its kind (eviction of a peer's volatile records, pruning). */
void store_drop(struct store *st, const struct key32 *id);
/* Frees the body of a stack revision; its header stays. */
void store_drop_body(struct store *st, const struct key32 *id);
void store_drop_author_volatile(struct store *st, const struct key32 *author);

/* Walks records of a kind in key order, then (stamp, id). kind 0: all. fn returns false to stop. Of settings this
 * also shows those that were replaced; store_each_setting() shows what holds. */
typedef bool store_visit(const struct stored *s, void *ctx);
void store_each(const struct store *st, uint8_t kind, store_visit *fn, void *ctx);
void store_each_of_key(const struct store *st, uint8_t kind, const struct key32 *key, store_visit *fn, void *ctx);
/* The single current record of a key for kinds with one (settings, facts, pages), else NULL. Whether a setting's
 * author may make it is not asked here: see store_setting(). */
const struct stored *store_current(const struct store *st, const struct key32 *key);
const struct stored *store_page(
        const struct store *st, uint8_t kind, const struct key32 *author, const char *name);

struct digest store_digest(const struct store *st, bool volatile_kinds);
size_t store_count(const struct store *st);

/*
 * Stack revisions form a graph, and so do the settings of one name; heads are records that no other of the same
 * key names as a parent. At most STACK_HEADS_MAX of them are told, the best first.
 */
#define STACK_HEADS_MAX 16
struct stack_heads {
	size_t n;
	const struct stored *head[STACK_HEADS_MAX]; /* head[0] is the winner: a removal, else highest (HLC, id) */
};
/* valid: NULL: all count. Only records on disk do. */
void store_stack_heads(
        const struct store *st, const char *stack, store_valid *valid, void *ctx, struct stack_heads *out);
/* The setting of that name that holds: among its heads the highest (HLC, id); NULL: none. */
const struct stored *store_setting(const struct store *st, const char *name, store_valid *valid, void *ctx);
/* All that stand for that name: those who change a setting name them as replaced; which of several holds may depend on
 * what it says. */
void store_setting_heads(
        const struct store *st, const char *name, store_valid *valid, void *ctx, struct stack_heads *out);
/* Calls fn with the setting that holds, once per name, in no particular order of names. */
void store_each_setting(const struct store *st, store_valid *valid, void *valid_ctx, store_visit *fn, void *ctx);
/* Calls fn once per stack name that has a revision, in name order. */
void store_each_stack(const struct store *st, void (*fn)(const char *stack, void *), void *ctx);
/* The author's own heads, for `prev` of that author's next record. Returns how many (at most RECORD_REFS_MAX). */
size_t store_author_heads(const struct store *st, const struct key32 *author, struct key32 *out);

/* Bodies are kept apart from headers; headers stay for ever. A revision's body is wanted while it is a head or among
 * the newest STACK_BODIES_KEPT of its stack that count. Of those that do not count the newest as many are wanted too, to
 * be looked at and perhaps signed again; they never take the place of one that counts. */
#define STACK_BODIES_KEPT 20
/* Ids of wanted bodies that are not here; returns how many were put into out. */
size_t store_missing_bodies(const struct store *st, struct key32 *out, size_t max);
/* The same of one stack. */
size_t store_missing_bodies_of(const struct store *st, const char *stack, struct key32 *out, size_t max);
/* Frees the bodies of a stack that are no longer wanted and for which keep (may be NULL) is false. gone (may be
 * NULL) is told of each, for the disk. */
void store_trim_bodies(struct store *st, const char *stack, store_valid *keep, void *keep_ctx,
        void (*gone)(const struct stored *header, void *ctx), void *ctx);

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
/* Of all ids below hi; hi all 0xff: of all. Two neighbours' difference is the range between them. */
struct range_print store_below(const struct store *st, bool volatile_kinds, const struct key32 *hi);
struct range_print range_print_sub(const struct range_print *a, const struct range_print *b);
/* Ids in [lo, hi), ascending, at most max; returns how many there are in all. hi all 0xff is inclusive. */
size_t store_range_ids(const struct store *st, bool volatile_kinds, const struct key32 *lo,
        const struct key32 *hi, struct key32 *out, size_t max);

#endif
