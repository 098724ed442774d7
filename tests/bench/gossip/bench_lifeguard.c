/*
 * Lifeguard's interval experiment (Dadgar, Phillips, Currey 2018, section V): of 128 members C are blocked for D ms
 * and released for I ms, again and again for two minutes; none ever fails. A member that takes a healthy one for
 * dead is a false positive (FP); FP- are those of healthy members.
 *
 *	bench_lifeguard [--seed N] [--quick 1]
 */
#include "tests/bench/gossip/flock.h"

#include <sodium.h>

#define MEMBERS  128
#define WARM_MS  SECONDS(15)
#define TEST_MS  SECONDS(120)
#define AFTER_MS SECONDS(30)

/* The paper's: probe interval 1 s, timeout 500 ms, alpha 5, beta 6, K 3; gossip every 200 ms as memberlist has it. */
#define PAPER                                                                                                    \
	.period = 1000, .ping_min = 500, .ping_max = 500, .indirect = 500, .suspicion_unit = 1000,               \
	.spread = 200, .alpha = 5, .beta = 6

static const struct row {
	const char *name;
	struct tuning tuning;
	bool shipped;
} rows[] = {
        {"SWIM", {PAPER, .parts = 0}, false},
        {"SWIM + LHA-Probe", {PAPER, .parts = PART_LHA_PROBE}, false},
        {"SWIM + LHA-Suspicion", {PAPER, .parts = PART_LHA_SUSPICION}, false},
        {"SWIM + Buddy System", {PAPER, .parts = PART_BUDDY}, false},
        {"Lifeguard (all three)", {PAPER, .parts = PARTS_LIFEGUARD}, false},
        {"Starling, the paper's constants", {PAPER, .parts = PARTS_ALL}, false},
        {"Starling as shipped (lan)", {.parts = PARTS_ALL}, true},
};

static const unsigned blocked[] = {1, 4, 8, 12, 16, 20, 24, 28, 32};
static const int64_t lasts[] = {2048, 8192, 32768};
static const int64_t pauses[] = {4, 256};
/* A blocked member has the CPU for I ms, and handling one packet or timer takes 0.1 ms of it. */
#define EVENTS_PER_MS 10

struct result {
	uint64_t fp, fp_healthy, packets, bytes, suspicions;
};

struct run {
	struct bench_flock flock;
	bool anomalous[MEMBERS];
	struct result r;
};

static uint64_t seed;
static bool quick;

static void on_member(
        struct sim *s, unsigned viewer, unsigned subject, enum member_state was, enum member_state is, void *ctx)
{
	struct run *run = ctx;

	(void)s;
	if (run->anomalous[subject] || was == is)
		return;
	run->r.suspicions += is == MEMBER_SUSPECT;
	if (is != MEMBER_DEAD)
		return;
	run->r.fp++;
	run->r.fp_healthy += !run->anomalous[viewer];
}

static void traffic(const struct sim *s, uint64_t *packets, uint64_t *bytes)
{
	*packets = *bytes = 0;
	for (unsigned i = 0; i < s->n; i++) {
		*packets += s->peer[i].sent_packets;
		*bytes += s->peer[i].sent_bytes;
	}
}

static void one(const struct row *row, unsigned c, int64_t d, int64_t pause, uint64_t number, struct result *sum)
{
	struct sim_hooks hooks = {.member = on_member};
	struct run run = {.r = {0}};
	uint64_t packets, bytes, packets_end, bytes_end;
	struct sim *s;
	mono_ms end;

	bench_flock_start(&run.flock, MEMBERS, row->shipped ? NULL : &row->tuning, seed + number, &hooks);
	s = run.flock.sim;
	sim_run(s, WARM_MS);
	run.r = (struct result){0};
	for (unsigned i = 0; i < c; i++)
		run.anomalous[i] = true; /* keys are random, so the first are any */
	traffic(s, &packets, &bytes);
	for (end = s->now + TEST_MS; s->now < end;) {
		for (unsigned i = 0; i < c; i++)
			sim_starve(s, i, d, (unsigned)pause * EVENTS_PER_MS, d + pause + d);
		sim_run(s, d + pause);
	}
	for (unsigned i = 0; i < c; i++)
		s->peer[i].budget = 0;
	sim_run(s, AFTER_MS);
	traffic(s, &packets_end, &bytes_end);
	bench_flock_end(&run.flock);
	sum->fp += run.r.fp;
	sum->fp_healthy += run.r.fp_healthy;
	sum->suspicions += run.r.suspicions;
	sum->packets += packets_end - packets;
	sum->bytes += bytes_end - bytes;
}

/* A job is one row with one C: the sums over all D and I. */
static void job(size_t i, void *out)
{
	const struct row *row = &rows[i / ARRAY_LEN(blocked)];
	size_t c = i % ARRAY_LEN(blocked), number = c << 16;

	if (quick && c % 4 != 3)
		return;

	for (size_t d = quick ? 2 : 0; d < ARRAY_LEN(lasts); d++)
		for (size_t p = 0; p < ARRAY_LEN(pauses); p++)
			one(row, blocked[c], lasts[d], pauses[p], ++number, out);
}

static double percent(uint64_t a, uint64_t b)
{
	return b ? 100.0 * (double)a / (double)b : 0;
}

int main(int argc, char **argv)
{
	static struct result results[ARRAY_LEN(rows) * ARRAY_LEN(blocked)], sums[ARRAY_LEN(rows)];

	if (sodium_init() < 0)
		return 1;
	seed = bench_option(argc, argv, "seed", 1);
	quick = bench_option(argc, argv, "quick", 0);
	bench_jobs(ARRAY_LEN(results), results, sizeof(results[0]), job);
	for (size_t i = 0; i < ARRAY_LEN(results); i++) {
		struct result *sum = &sums[i / ARRAY_LEN(blocked)];

		sum->fp += results[i].fp;
		sum->fp_healthy += results[i].fp_healthy;
		sum->packets += results[i].packets;
		sum->bytes += results[i].bytes;
		sum->suspicions += results[i].suspicions;
	}
	printf("### Lifeguard's experiment\n\n" BENCH_HOW
	       "128 members, C in {1, 4, 8, 12, ..., 32} blocked for D in {2, 8, 33 s} and released for I in\n"
	       "{4, 256 ms} over 120 s; sums over all C, D and I%s; seed %llu.\n\n"
	       "| | FP | %% of SWIM | FP- | %% of SWIM | packets, %% of SWIM | bytes, %% of SWIM |\n"
	       "|---|---|---|---|---|---|---|\n",
	        quick ? " (quick: fewer D and I)" : "", (unsigned long long)seed);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		printf("| %s | %llu | %.2f | %llu | %.2f | %.1f | %.1f |\n", rows[i].name,
		        (unsigned long long)sums[i].fp, percent(sums[i].fp, sums[0].fp),
		        (unsigned long long)sums[i].fp_healthy, percent(sums[i].fp_healthy, sums[0].fp_healthy),
		        percent(sums[i].packets, sums[0].packets), percent(sums[i].bytes, sums[0].bytes));
	printf("| the paper's Lifeguard | | 1.53 | | 1.89 | 110.6 | |\n\n| C |");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		printf(" FP, %s |", rows[i].name);
	printf("\n|---|");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		printf("---|");
	for (size_t c = 0; c < ARRAY_LEN(blocked); c++) {
		printf("\n| %u |", blocked[c]);
		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			printf(" %llu |", (unsigned long long)results[i * ARRAY_LEN(blocked) + c].fp);
	}
	printf("\n");
	return 0;
}
