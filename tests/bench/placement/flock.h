/*
 * A made-up flock for the benchmarks of placement, what our placing makes of it, and what other rules would. Peers that
 * are to join later stand in it from the start as left. Every service asks for the same unit of cpu per replica unless its
 * maker changes that; a peer has a number of such units.
 */
#ifndef TESTS_BENCH_PLACEMENT_FLOCK_H
#define TESTS_BENCH_PLACEMENT_FLOCK_H

#include "base/drbg.h"
#include "placement/slots.h"

#define UNIT_CPU_MILLI 100

#define FLOCK_STACKS_MAX 4096

struct flock {
	struct arena arena; /* of its whole life */
	struct drbg rnd;
	struct view view;
	struct facts *facts; /* per member */
	struct view_member *members;
	struct view_stack *stacks; /* one service each, "s" */
	size_t n_claims, cap_claims;
	struct view_claim *claims; /* view.claims */
};

/* n peers of units[i % n_units] units, of which the last n - alive have left. */
void flock_open(struct flock *f, uint64_t seed, size_t n, size_t alive, const uint32_t *units, size_t n_units);
void flock_close(struct flock *f);
/* A stack of one service of so many replicas; it may be changed before the next placing. */
struct service *flock_stack(struct flock *f, uint32_t replicas);
size_t flock_alive(const struct flock *f);
/* A random member that is alive, or is not; SIZE_MAX: there is none. */
size_t flock_pick(struct flock *f, bool alive);
/* Units of a member, and of all that are alive. */
uint32_t flock_units(const struct flock *f, size_t member);
uint64_t flock_room(const struct flock *f);
uint32_t flock_wanted(const struct flock *f); /* slots of all stacks */
void flock_unclaim(struct flock *f, size_t member);

/* Where each slot is, in the order of stacks and indexes; peer -1: nowhere. */
struct where {
	id64 slot;
	int32_t peer;
};
struct spot {
	size_t n;
	struct where *where; /* sorted by slot */
};
void spot_free(struct spot *s);
/* Slots of both that are on another peer in b than in a; those that a has nowhere are not counted. */
size_t spot_moved(const struct spot *a, const struct spot *b);
size_t spot_placed(const struct spot *s);
/* Fullest alive peer / mean, by units used / units there. */
double spot_peak(const struct flock *f, const struct spot *s);

/*
 * Ways to place. Ours starts from the flock's claims and leaves what comes of it as claims: every orphan is started by its
 * first candidate, every move is made, until nothing changes. The others remember nothing. hard: never beyond a peer's
 * units.
 */
typedef void policy(struct flock *f, bool hard, struct spot *out);
policy place_ours;
policy place_rendezvous;   /* weighted: -log2(h) / units, the lowest */
policy place_bounded;      /* the same, passing over peers above 1.25 times their share */
policy place_four_choices; /* of the four lowest the least utilised so far */

struct way {
	const char *name;
	policy *place;
};
#define WAYS 4
extern const struct way ways[WAYS];

/* One epoch of rebalancing at its limit on the claims; returns how many slots moved. */
size_t rebalance_epoch(struct flock *f);

double median(double *values, size_t n);
/* Processor time in ms: other programs may run beside. */
double ms_now(void);

#endif
