/*
 * Detection: one host after the other crashes; time to the first peer that takes it for dead, and to all.
 *
 *	bench_detect [--seed N] [--crashes N] [--smallest N] [--largest N]
 */
#include "tests/bench/gossip/flock.h"

#include <math.h>
#include <sodium.h>

static const unsigned sizes[] = {10, 32, 100, 128, 316, 1000, 3162, 10000};

struct run {
	struct bench_flock flock;
	unsigned subject;
	mono_ms suspected, first;
};

struct result {
	size_t n;
	double suspect[128], first[128], all[128];
	unsigned false_deaths;
	double real_s;
};

static uint64_t seed;
static unsigned crashes, largest, smallest;

static void on_member(
        struct sim *s, unsigned viewer, unsigned subject, enum member_state was, enum member_state is, void *ctx)
{
	struct run *run = ctx;

	(void)viewer;
	(void)was;
	if (subject != run->subject)
		return;
	if (is == MEMBER_SUSPECT && !run->suspected)
		run->suspected = s->now;
	if (is == MEMBER_DEAD && !run->first)
		run->first = s->now;
}

/* Up to a tenth of a flock is lost, then a new one begins. */
static void job(size_t i, void *out)
{
	struct sim_hooks hooks = {.member = on_member};
	unsigned n = sizes[i];
	struct result *r = out;
	double began = bench_cpu_seconds();

	if (n > largest || n < smallest)
		return;
	for (unsigned flock = 0; r->n < crashes; flock++) {
		struct run run = {.suspected = 0};
		struct sim *s;

		bench_flock_start(&run.flock, n, NULL, seed + flock, &hooks);
		s = run.flock.sim;
		sim_run(s, SECONDS(15));
		for (unsigned k = 0; k < MAX(n / 10, 1U) && r->n < crashes; k++) {
			mono_ms at;

			sim_run(s, (int64_t)drbg_below(&s->rng, 3000));
			at = s->now;
			run.subject = k;
			run.suspected = run.first = 0;
			sim_crash(s, k);
			WAIT(s, MINUTES(2), sim_all_say(s, k, MEMBER_DEAD));
			r->suspect[r->n] = (double)(run.suspected - at) / 1000;
			r->first[r->n] = (double)(run.first - at) / 1000;
			r->all[r->n++] = (double)(s->now - at) / 1000;
		}
		/* Everybody takes each of the crashed for dead once, and nobody else. */
		for (unsigned k = 0; k < n; k++)
			for (unsigned v = 0; v < n; v++)
				r->false_deaths += s->peer[k].gossip && s->peer[v].gossip && k != v &&
				                   sim_says(s, v, k) == MEMBER_DEAD;
		bench_flock_end(&run.flock);
	}
	r->real_s = bench_cpu_seconds() - began;
}

int main(int argc, char **argv)
{
	static struct result r[ARRAY_LEN(sizes)];
	unsigned wrong = 0;

	if (sodium_init() < 0)
		return 1;
	seed = bench_option(argc, argv, "seed", 1);
	crashes = (unsigned)MIN(bench_option(argc, argv, "crashes", 30), (uint64_t)ARRAY_LEN(r[0].all));
	largest = (unsigned)bench_option(argc, argv, "largest", 10000);
	smallest = (unsigned)bench_option(argc, argv, "smallest", 0);
	bench_jobs(ARRAY_LEN(sizes), r, sizeof(r[0]), job);
	printf("### Detection of a crash (seconds)\n\n" BENCH_HOW
	       "lan profile, no loss, %u crashes per size, seed %llu; memberlist: its least suspicion timeout,\n"
	       "4 x max(1, log10 N) x 1 s, to which finding the dead one and telling all come on top.\n\n"
	       "| N | suspected by the first | dead for the first, median | 99th | dead for all, median | 99th | "
	       "memberlist's least | false deaths |\n|---|---|---|---|---|---|---|---|\n",
	        crashes, (unsigned long long)seed);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		if (sizes[i] <= largest && sizes[i] >= smallest)
			printf("| %u | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f | %u |\n", sizes[i],
			        percentile(r[i].suspect, r[i].n, .5), percentile(r[i].first, r[i].n, .5),
			        percentile(r[i].first, r[i].n, .99), percentile(r[i].all, r[i].n, .5),
			        percentile(r[i].all, r[i].n, .99), 4 * fmax(1, log10(sizes[i])),
			        r[i].false_deaths);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		wrong += r[i].false_deaths;
	return wrong != 0;
}
