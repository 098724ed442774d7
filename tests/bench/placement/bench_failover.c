/*
 * How soon may a host be taken for lost? Small flocks in which hosts crash, and in which hosts are only slow, for probe
 * periods, suspicions and settles around the defaults: time from the crash until every slot is served again, and how many
 * tasks are started though nobody was lost. Prints a table; asserts nothing.
 *
 *	bench_failover [--seed N] [--crashes N] [--hours N]
 */
#include "tests/bench/gossip/flock.h"
#include "tests/sim/sim_work.h"

/* At most so many crashes are timed for one row. */
#define CRASHES_MAX 512

static const unsigned sizes[] = {3, 5, 10};
static const struct setting {
	int64_t period, unit; /* probe period; the least time to refute is four units in flocks of ten or fewer */
	int64_t settle;
	bool shipped;
} settings[] = {
        {1000, 750, 3000, false},
        {1000, 625, 2500, true},
        {1000, 500, 2000, false},
        {1000, 375, 1500, false},
        {1000, 250, 1000, false},
        {500, 750, 3000, false},
        {500, 625, 2500, false},
        {500, 500, 2000, false},
        {500, 375, 1500, false},
        {500, 250, 1000, false},
        {500, 125, 500, false},
};

struct result {
	size_t n[2];
	double took[2][CRASHES_MAX]; /* without loss; at 20% */
	unsigned forced, started;    /* tasks lost in crashes, and tasks started */
	unsigned unforced;           /* started though nobody was lost */
};

static uint64_t seed;
static unsigned crashes, hours;

static void take_tuning(struct sim *s, unsigned peer, struct gossip_config *cfg, void *ctx)
{
	(void)s;
	(void)peer;
	cfg->tuning = ctx;
}

static struct sim *open_flock(unsigned n, uint64_t of, unsigned loss, const struct setting *set,
        struct tuning *tuning, struct reconcile_config *timing)
{
	struct sim_options opt = {.peers = n, .work = true, .loss = loss, .timing = timing};
	struct service web;
	struct sim *s;

	*tuning = *tuning_of(PROFILE_LAN);
	tuning->period = set->period;
	tuning->suspicion_unit = set->unit;
	*timing = reconcile_defaults();
	timing->settle = set->settle;
	opt.hooks = (struct sim_hooks){.ctx = tuning, .config = take_tuning};
	s = sim_new("failover", of, &opt);
	sim_run(s, SECONDS(30));
	web = sim_service(s, "web", 2 * n, "1");
	sim_deploy(s, 0, "shop", &web, 1);
	sim_run(s, MINUTES(2));
	sim_count_anew(s);
	return s;
}

/* One host after the other is lost and comes back; a flock is used for so many. */
#define CRASHES_EACH 5

static void time_crashes(struct result *r, unsigned n, unsigned loss, const struct setting *set)
{
	size_t *count = &r->n[loss > 0];
	struct reconcile_config timing;
	struct tuning tuning;

	for (uint64_t flock = 0; *count < crashes; flock++) {
		struct sim *s = open_flock(n, seed + flock, loss, set, &tuning, &timing);

		for (unsigned i = 0; i < CRASHES_EACH && *count < crashes; i++) {
			unsigned victim = (unsigned)drbg_below(&s->rng, n), lost = sim_tasks_on(s, victim);
			mono_ms from = s->now;

			sim_count_anew(s);
			sim_crash(s, victim);
			while (sim_serving(s) < 2 * n && s->now - from < MINUTES(2))
				sim_advance(s, from + MINUTES(2));
			r->took[loss > 0][(*count)++] = (double)(s->now - from);
			if (!loss) {
				sim_run(s, SECONDS(20));
				r->forced += lost;
				r->started += s->works->starts;
			}
			sim_start(s, victim);
			/* Back, and evened out. */
			sim_run(s, MINUTES(15));
		}
		sim_free(s);
	}
}

/* At 20% loss, and once a minute a host stands still for two seconds. */
static void look_for_false_starts(struct result *r, unsigned n, const struct setting *set)
{
	struct reconcile_config timing;
	struct tuning tuning;

	for (unsigned hour = 0; hour < hours; hour++) {
		struct sim *s = open_flock(n, seed + 1000 + hour, 20, set, &tuning, &timing);

		for (int minute = 0; minute < 60; minute++) {
			sim_freeze(s, (unsigned)drbg_below(&s->rng, n), 2000);
			sim_run(s, MINUTES(1));
		}
		r->unforced += s->works->starts;
		sim_free(s);
	}
}

static void job(size_t i, void *out)
{
	const struct setting *set = &settings[i % ARRAY_LEN(settings)];
	unsigned n = sizes[i / ARRAY_LEN(settings)];
	struct result *r = out;

	time_crashes(r, n, 0, set);
	time_crashes(r, n, 20, set);
	look_for_false_starts(r, n, set);
}

int main(int argc, char **argv)
{
	static struct result r[ARRAY_LEN(sizes) * ARRAY_LEN(settings)];

	seed = bench_option(argc, argv, "seed", 1);
	crashes = (unsigned)MIN(bench_option(argc, argv, "crashes", 30), (uint64_t)CRASHES_MAX);
	hours = (unsigned)bench_option(argc, argv, "hours", 8);
	printf("### A host lost to all its slots served elsewhere\n\n"
	       "Simulated flocks, two replicas per peer that take 50 to 800 ms to start; seed %llu, %u crashes for each "
	       "figure, seconds (median / worst). False starts: tasks started in %u simulated hours at 20%% loss in which "
	       "one host a minute stands still for 2 s, and nobody is lost.\n\n"
	       "| peers | probe period | least suspicion | settle | no loss | 20%% loss | starts per lost task | "
	       "false starts |\n|---|---|---|---|---|---|---|---|\n",
	        (unsigned long long)seed, crashes, hours);
	bench_jobs(ARRAY_LEN(r), r, sizeof(r[0]), job);
	for (size_t i = 0; i < ARRAY_LEN(r); i++) {
		const struct setting *set = &settings[i % ARRAY_LEN(settings)];

		printf("| %u | %.1f | %.1f | %.1f%s | %.1f / %.1f | %.1f / %.1f | %.2f | %u |\n",
		        sizes[i / ARRAY_LEN(settings)], (double)set->period / 1e3, (double)set->unit * 4 / 1e3,
		        (double)set->settle / 1e3, set->shipped ? " (default)" : "",
		        percentile(r[i].took[0], r[i].n[0], 0.5) / 1e3,
		        percentile(r[i].took[0], r[i].n[0], 1) / 1e3,
		        percentile(r[i].took[1], r[i].n[1], 0.5) / 1e3,
		        percentile(r[i].took[1], r[i].n[1], 1) / 1e3,
		        r[i].forced ? (double)r[i].started / r[i].forced : 0.0, r[i].unforced);
	}
	return 0;
}
