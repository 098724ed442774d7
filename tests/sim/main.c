/*
 * Runs the stories, each with several seeds.
 *
 *	sim [STORY...]      SEED=n: that seed alone, telling all that is logged
 *	                    SEEDS=n: so many (default 3)     SECONDS_MAX=n: as many as there is time for
 *	                    FIRST=n STEP=n: which (default 1, 1), so that several processes share the work
 *	                    BEGIN=n: percent of the list of stories before the one that each round begins with
 *	                    TRACE=1: says the hash over each run's events
 *	                    VERBOSE=1: tells what is logged
 */
#include "tests/sim/story.h"

#include "base/log.h"

#include <setjmp.h>
#include <sodium.h>
#include <time.h>

/* What takes long is told in one round of so many. */
#define LARGE        20
#define LARGE_EVERY  4
#define LARGER       50
#define LARGER_EVERY 20

static struct sim_story *stories;
static jmp_buf failed_here;
static struct sim *current;

void sim_register(struct sim_story *story)
{
	struct sim_story **at = &stories;

	while (*at)
		at = &(*at)->next;
	*at = story;
}

static void failed_story(struct sim *s, const char *text)
{
	(void)s, (void)text;
	longjmp(failed_here, 1);
}

static void print(enum log_level level, const char *area, const char *text)
{
	fprintf(stderr, "%8lld.%03lld %s %s: %s\n", current ? (long long)current->now / 1000 : 0,
	        current ? (long long)current->now % 1000 : 0, log_level_name(level), area, text);
}

static bool run(struct sim_story *story, uint64_t seed)
{
	bool ok;

	if (setjmp(failed_here) == 0) {
		current = NULL;
		current = sim_new(story->name, seed, &story->opt);
		story->run(current);
		sim_view_check(current);
		if (getenv("TRACE"))
			printf("trace %s %llu %016llx\n", story->name, (unsigned long long)seed,
			        (unsigned long long)sim_trace(current));
		ok = true;
	} else {
		ok = false;
	}
	if (current)
		sim_free(current);
	current = NULL;
	return ok;
}

static bool chosen(const struct sim_story *story, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], story->name) == 0)
			return true;
	return argc == 1;
}

static bool its_turn(const struct sim_story *story, uint64_t round)
{
	const struct sim_options *opt = &story->opt;

	if (opt->slow || opt->peers >= LARGER)
		return round % LARGER_EVERY == 0;
	return opt->peers < LARGE || round % LARGE_EVERY == 0;
}

static uint64_t env(const char *name, uint64_t otherwise)
{
	const char *v = getenv(name);

	return v && *v ? strtoull(v, NULL, 10) : otherwise;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* So that two processes that begin elsewhere have told all between them, even if there is time for half a round. */
static void rotate(unsigned percent)
{
	unsigned n = 0;

	for (struct sim_story *story = stories; story; story = story->next)
		n++;
	for (n = n * MIN(percent, 100u) / 100; n > 0; n--) {
		struct sim_story *first = stories;

		stories = first->next;
		first->next = NULL;
		sim_register(first);
	}
}

/* One seed's round; false when time was up before its end. */
static bool told(uint64_t round, uint64_t seed, double until, int argc, char **argv, bool *any)
{
	for (struct sim_story *story = stories; story; story = story->next) {
		double began = seconds();
		bool ok;

		if (!chosen(story, argc, argv) || !its_turn(story, round))
			continue;
		if (until > 0 && began > until)
			return false;
		ok = run(story, seed);
		story->runs++;
		story->failures += !ok;
		*any = true;
		if (!round)
			printf("%s %s (%.2f s)\n", ok ? "ok  " : "FAIL", story->name, seconds() - began);
		fflush(stdout);
	}
	return true;
}

int main(int argc, char **argv)
{
	uint64_t seed = env("SEED", 0), seeds = seed ? 1 : env("SEEDS", 3), limit = env("SECONDS_MAX", 0);
	uint64_t first = seed ? seed : env("FIRST", 1), step = env("STEP", 1), round = 0;
	unsigned passed = 0, failed = 0, runs = 0;
	double start = seconds();
	bool any = false;

	if (sodium_init() < 0)
		return 1;
	sim_on_fail(failed_story);
	rotate((unsigned)env("BEGIN", 0));
	log_set(seed || getenv("VERBOSE") ? print : NULL, LOG_DEBUG);
	while ((limit && !seed) || round < seeds) {
		if (!told(round, first + round * step, limit ? start + (double)limit : 0, argc, argv, &any) ||
		        !any)
			break;
		round++;
	}
	for (struct sim_story *story = stories; story; story = story->next) {
		runs += story->runs;
		passed += story->runs && !story->failures;
		failed += story->failures != 0;
		if (!story->runs && argc == 1)
			printf("not told: %s\n", story->name);
		if (story->failures)
			printf("FAILED %s: %u of %u seeds\n", story->name, story->failures, story->runs);
	}
	printf("%llu seeds, %u runs of %u stories, %.1f s\n%u passed, %u failed\n", (unsigned long long)round,
	        runs, passed + failed, seconds() - start, passed, failed);
	return failed || !passed;
}
