/*
 * Dissemination: a record that fits a packet, and a revision of 10 KiB, from one peer to all, under loss.
 *
 *	bench_spread [--seed N] [--runs N] [--smallest N] [--largest N]
 */
#include "tests/bench/gossip/flock.h"

#include <sodium.h>

static const unsigned sizes[] = {10, 100, 1000, 10000};
static const unsigned losses[] = {0, 10, 30, 50};

#define REVISION_BYTES 10240
#define RUNS_MAX       64

struct result {
	size_t n;
	double small[RUNS_MAX], large[RUNS_MAX];
	double small_most[RUNS_MAX], large_most[RUNS_MAX]; /* all but one in a hundred */
	unsigned uninformed;
};

static uint64_t seed;
static unsigned runs, smallest, largest;

static bool has_page(const struct sim *s, unsigned peer, const void *what)
{
	return sim_page_is(s, peer, 0, "0", what);
}

static bool has_record(const struct sim *s, unsigned peer, const void *what)
{
	return sim_has(s, peer, what);
}

static size_t informed(
        const struct sim *s, bool (*has)(const struct sim *, unsigned, const void *), const void *what)
{
	size_t n = 0;

	for (unsigned i = 0; i < s->n; i++)
		n += has(s, i, what);
	return n;
}

/* Seconds until 99 of 100, and until all have it. */
static bool until_all(struct sim *s, bool (*has)(const struct sim *, unsigned, const void *), const void *what,
        double *most, double *all)
{
	mono_ms began = s->now, end = s->now + MINUTES(2);
	int64_t look = s->n > 1000 ? 50 : 10; /* counting takes long */

	*most = 0;
	while (s->now < end) {
		size_t n = informed(s, has, what);

		if (!*most && n * 100 >= (size_t)s->n * 99)
			*most = (double)(s->now - began) / 1000;
		*all = (double)(s->now - began) / 1000;
		if (n == s->n)
			return true;
		sim_run(s, look);
	}
	return false;
}

/* One size at one loss. */
static void job(size_t i, void *out)
{
	unsigned n = sizes[i / ARRAY_LEN(losses)], loss = losses[i % ARRAY_LEN(losses)];
	struct result *r = out;
	struct bench_flock flock;
	char page[600], body[REVISION_BYTES + 1];
	struct sim *s;

	/* At 30% and more, 10,000 peers take hours: their suspicions of each other alone are 400 per second. */
	if (n < smallest || n > largest || (n >= 10000 && loss > 10))
		return;
	bench_flock_start(&flock, n, NULL, seed, NULL);
	s = flock.sim;
	sim_run(s, SECONDS(15));
	s->net.loss = loss;
	sim_run(s, SECONDS(10));
	memset(page, 'p', sizeof(page));
	page[sizeof(page) - 1] = '\0';
	memset(body, 'b', sizeof(body));
	body[REVISION_BYTES] = '\0';
	for (; r->n < MIN(runs, n >= 10000 || (n >= 1000 && loss > 10) ? 2U : n >= 1000 ? 4U : runs); r->n++) {
		uint64_t ticket;
		struct key32 id;

		snprintf(page, 16, "%zu", r->n);
		page[strlen(page)] = 'p';
		sim_publish(s, 0, "0", page);
		r->uninformed += !until_all(s, has_page, page, &r->small_most[r->n], &r->small[r->n]);
		sim_run(s, SECONDS(15));
		body[0] = (char)('a' + r->n % 26);
		body[1] = (char)('a' + r->n / 26);
		id = sim_submit(s, 1, "web", body, &ticket);
		r->uninformed += !until_all(s, has_record, &id, &r->large_most[r->n], &r->large[r->n]);
		sim_run(s, SECONDS(15));
	}
	bench_flock_end(&flock);
}

int main(int argc, char **argv)
{
	static struct result r[ARRAY_LEN(sizes) * ARRAY_LEN(losses)];
	unsigned uninformed = 0;

	if (sodium_init() < 0)
		return 1;
	seed = bench_option(argc, argv, "seed", 1);
	runs = (unsigned)MIN(bench_option(argc, argv, "runs", 20), (uint64_t)RUNS_MAX);
	smallest = (unsigned)bench_option(argc, argv, "smallest", 0);
	largest = (unsigned)bench_option(argc, argv, "largest", 10000);
	bench_jobs(ARRAY_LEN(r), r, sizeof(r[0]), job);
	printf("### Dissemination (seconds until peers have it)\n\n" BENCH_HOW
	       "lan profile; a status page of 600 bytes, and a revision of 10 KiB with disk writes of up to 2 ms;\n"
	       "%u runs each (4 at 1,000; 2 there at 30%% and more, and at 10,000, where those losses are left\n"
	       "out), seed %llu. memberlist's gossip channel alone leaves somebody out in\n"
	       "27-37%% of runs at 50%% loss.\n\n"
	       "| N | loss | page: 99%% have it, median | all, median | all, worst | revision: 99%%, median | "
	       "all, median | all, worst | uninformed |\n|---|---|---|---|---|---|---|---|---|\n",
	        runs, (unsigned long long)seed);
	for (size_t i = 0; i < ARRAY_LEN(r); i++) {
		if (!r[i].n)
			continue;
		printf("| %u | %u%% | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %u |\n",
		        sizes[i / ARRAY_LEN(losses)], losses[i % ARRAY_LEN(losses)],
		        percentile(r[i].small_most, r[i].n, .5), percentile(r[i].small, r[i].n, .5),
		        percentile(r[i].small, r[i].n, 1), percentile(r[i].large_most, r[i].n, .5),
		        percentile(r[i].large, r[i].n, .5), percentile(r[i].large, r[i].n, 1), r[i].uninformed);
		uninformed += r[i].uninformed;
	}
	return uninformed != 0;
}
