/*
 * The store's ordered indexes: a treap (Seidel and Aragon, 1996) whose nodes live inside the entries. Priorities
 * come from a keyed hash of the record's id, so that nobody can choose records that unbalance it.
 *
 * Two orders are kept: by (kind, key, stamp, id), to walk and to find the current record of a key; and by id with
 * a running sum per subtree, one tree per digest, which makes a digest O(1) and the fingerprint of a range
 * O(log n).
 */
#ifndef GOSSIP_STORE_INDEX_H
#define GOSSIP_STORE_INDEX_H

#include "gossip/store/store.h"

struct tree_node {
	struct tree_node *left, *right;
	uint32_t priority;
};

/* A 256-bit number, least significant word first. Sums wrap. */
struct sum256 {
	uint64_t w[4];
};

struct entry {
	struct stored s;
	struct tree_node by_order;
	struct tree_node by_id;
	/* Of the subtree below by_id, this entry included. */
	struct sum256 sum;
	uint32_t count;
	bool in_digest;
};

struct tree {
	struct tree_node *root;
	int (*cmp)(const struct tree_node *a, const struct tree_node *b);
	void (*refresh)(struct tree_node *n); /* recomputes what n sums up over its children; may be NULL */
};

void tree_init_by_order(struct tree *t);
void tree_init_by_id(struct tree *t);
/* The node must not be in the tree yet, its priority must be set. */
void tree_insert(struct tree *t, struct tree_node *n);
void tree_remove(struct tree *t, struct tree_node *n);

static inline struct entry *entry_by_order(const struct tree_node *n)
{
	return n ? container_of(n, struct entry, by_order) : NULL;
}

static inline struct entry *entry_by_id(const struct tree_node *n)
{
	return n ? container_of(n, struct entry, by_id) : NULL;
}

/* The first entry at or after (kind, key), in order; NULL: none. */
struct entry *order_first(const struct tree *t, uint8_t kind, const struct key32 *key);
/* The entry that follows e in order. */
struct entry *order_next(const struct tree *t, const struct entry *e);
int order_cmp(const struct record *a, const struct record *b);

/* Sum and count of all entries, of those with an id below hi. */
void digest_total(const struct tree *t, struct sum256 *sum, uint32_t *count);
void digest_below(const struct tree *t, const struct key32 *hi, struct sum256 *sum, uint32_t *count);
/* The first entry whose id is lo or above; the one after e. */
struct entry *digest_first(const struct tree *t, const struct key32 *lo);
struct entry *digest_next(const struct tree *t, const struct entry *e);

/* For tables whose keys others choose. */
const uint8_t *store_hash_secret(const struct store *st);
/* Does it count, for whoever store_judge() named? */
bool store_counts(const struct store *st, const struct stored *s);

void sum_of_key(struct sum256 *out, const struct key32 *k);
void sum_sub(struct sum256 *a, const struct sum256 *b);
void sum_to_key(struct key32 *out, const struct sum256 *s);

#endif
