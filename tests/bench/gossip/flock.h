/*
 * Simulated flocks for benchmarks. The core is the agent's; so that thousands of peers fit one machine, membership
 * is a roster that all share instead of admission records in each store, one copy of each statement serves all, and
 * packets are neither encrypted nor held against replay, in flocks of every size. BENCH_HOW says so beside each table.
 */
#ifndef TESTS_BENCH_GOSSIP_FLOCK_H
#define TESTS_BENCH_GOSSIP_FLOCK_H

#include "gossip/intern.h"
#include "tests/sim/sim.h"

/* To be said beside each table. */
#define BENCH_HOW                                                                                                \
	"Simulated: members come from a roster that all share, one copy of each statement serves all, packets\n" \
	"are not sealed.\n\n"

struct bench_flock {
	struct sim *sim;
	unsigned n;
	const struct tuning *tuning; /* NULL: the lan profile's */
	struct key32 *roster;
	struct intern intern;
};

/* All peers run, and know all others alive, as after a long time up; nothing has been exchanged yet. hooks may be
 * NULL; its config hook is not used, and its ctx will be f itself. */
void bench_flock_start(struct bench_flock *f, unsigned n, const struct tuning *tuning, uint64_t seed,
        const struct sim_hooks *hooks);
/* The same, of which only the first `running` run yet. */
void bench_flock_begin(struct bench_flock *f, unsigned n, unsigned running, const struct tuning *tuning,
        uint64_t seed, const struct sim_hooks *hooks);
void bench_flock_end(struct bench_flock *f);
/* The value below which p (0 to 1) of n values lie; 0 for none. */
double percentile(const double *v, size_t n, double p);

/* Runs job(i, out) for i in [0, n) in as many processes at once as there are processors; each out is `size` bytes. */
void bench_jobs(size_t n, void *out, size_t size, void (*job)(size_t i, void *out));
/* Number after --NAME on the command line. */
uint64_t bench_option(int argc, char **argv, const char *name, uint64_t otherwise);
double bench_cpu_seconds(void);

#endif
