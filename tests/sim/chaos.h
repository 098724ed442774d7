/*
 * Trouble of every kind, by chance: what the seed says goes wrong goes wrong. Between two calm times a flock is
 * crashed, frozen, split, moved, hidden behind NATs, given bad links, bad clocks and bad disks, while operators go
 * on changing stacks and peers go on telling of themselves. Then all of it ends, and all must agree.
 */
#ifndef TESTS_SIM_CHAOS_H
#define TESTS_SIM_CHAOS_H

#include "tests/sim/sim.h"

/* Records that operators were told are safe, in one run. */
#define CHAOS_RECORDS_MAX 512

struct chaos {
	struct {
		struct key32 id;
		uint64_t ticket;
		unsigned disks_lost; /* of the flock, when it was accepted; UINT32_MAX: not yet */
		unsigned copies;
	} record[CHAOS_RECORDS_MAX];
	size_t n;
	unsigned disks_lost;     /* so far: lost whole, or set back */
	struct sim_image *image; /* of one peer's disk, some time ago */
	unsigned image_of;
	unsigned refused; /* submissions that a peer refused, for a reason that it gave */
	unsigned did[24]; /* how often each kind of trouble came */
};

/* One thing goes wrong, or is mended, or is written. */
void chaos_strike(struct sim *s, struct chaos *c);
/* So many of them, with time between: up to gap_ms_max. */
void chaos_phase(struct sim *s, struct chaos *c, unsigned strikes, int64_t gap_ms_max);
/* All trouble ends, whoever is down starts; in bounded time all must agree, and all that was accepted must be there. */
void chaos_heal(struct sim *s, struct chaos *c);
void chaos_free(struct chaos *c);

#endif
