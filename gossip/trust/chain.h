/* Inside trust: the state that evaluation leaves, shared by operators.c, peers.c and trust.c. */
#ifndef GOSSIP_TRUST_CHAIN_H
#define GOSSIP_TRUST_CHAIN_H

#include "base/map.h"
#include "gossip/trust/bodies.h"

/* One grant that hangs on the tree. The first n_roots are the roots' own, ops[0] that of the youngest, whose parent is
 * itself; each root's parent is its successor. */
struct op {
	struct grant grant;
	struct key32 record; /* the grant's id; a root's: of the genesis, or of the succession that names it */
	size_t parent;       /* index of the granter's op */
	size_t *against;     /* indexes of the revocations that count against it */
	size_t n_against, against_cap;
	size_t next; /* next op of the same key, 0 at the end (0 is root, which is never a next) */
};

struct revoked {
	struct key32 author, key, record;
	struct map allowed; /* ids of the key's records that stay valid */
};

struct evicted {
	struct key32 peer;
	struct key32 record; /* the eviction's id */
	struct map good;     /* peers whose admissions rest on it that stay */
	struct map invites;  /* those that it joined with, or tried to */
};

struct known_invite {
	struct invite invite;
	struct key32 record, author;
	uint8_t taken[]; /* a bit per use */
};

static inline bool invite_use_taken(const struct known_invite *k, uint32_t use)
{
	return k->taken[use / 8] & 1 << use % 8;
}

struct candidate {
	struct admission a;
	struct key32 record;
	bool admitted;
};

/* Admissions remembered as well signed: twice as many as there can be members. */
#define VERIFIED_MAX (2 * MEMBERS_MAX)

struct trust {
	struct key32 flock;
	uint64_t version; /* evaluations */
	struct map *
	        verified; /* ids of admissions whose inner signatures are right: a cache, it outlives evaluations */

	bool rooted; /* the genesis is here */
	char name[NAME_MAX_BYTES];
	size_t n_roots; /* the genesis' root and its successors */
	struct op *ops;
	size_t n_ops, ops_cap;
	struct map op_of; /* key -> (index of its first op) + 1 */
	struct revoked *revoked;
	size_t n_revoked, revoked_cap;

	struct map invites; /* public key -> struct known_invite */
	struct candidate *candidates;
	size_t n_candidates, candidates_cap;
	struct map peers; /* key -> struct candidate that admits it */
	struct evicted *evicted;
	size_t n_evicted, evicted_cap;
	struct map counts; /* ids of grants, invites, admissions that count */
};

/* Grows an array of *cap elements so that index n fits; returns the array. */
void *trust_grown(void *array, size_t n, size_t *cap, size_t size);
/* A set of 32-byte keys is a map to any pointer. */
void trust_set_add(struct map *set, const struct key32 *k);

/* Fills ops with the roots, youngest first. False: the genesis is not here. */
bool roots_evaluate(struct trust *t, const struct store *st);
void op_add(struct trust *t, const struct grant *g, const struct key32 *record, size_t parent);
void operators_evaluate(struct trust *t, const struct store *st);
void operators_clear(struct trust *t);
/* The first op of a key, NULL: it has none. Then op_next(). */
const struct op *op_first(const struct trust *t, const struct key32 *key);
const struct op *op_next(const struct trust *t, const struct op *op);
/* Does the op stand behind this record of its key? No, when a key above it, which stands behind that revocation, revoked
 * it and does not list the record as one that stays. record NULL: any future record. */
bool op_holds(const struct trust *t, const struct op *op, const struct key32 *record);
/* May this author make, as admin or root, the record of that id? */
bool trust_is_admin(const struct trust *t, const struct key32 *author, const struct key32 *record);
/* Is key above op in the tree? */
bool op_below(const struct trust *t, const struct op *op, const struct key32 *key);
/* May this author revoke that key: an operator's below it in the tree, or an invite of its own or of one below? */
bool trust_may_revoke(const struct trust *t, const struct key32 *author, const struct key32 *key);
bool op_covers(const struct op *op, const char *stack);
/* Does a granter's op allow that grant? Says why not in err. */
int op_permits(const struct op *op, const struct grant *g, struct err *err);

void peers_evaluate(struct trust *t, const struct store *st);
void peers_clear(struct trust *t);
/* Is this admission's chain complete now, apart from competition for its use number? */
int trust_admission_check(
        const struct trust *t, const struct admission *a, const struct key32 *record, struct err *err);

#endif
