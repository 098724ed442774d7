/*
 * Runs the stories, each with several seeds.
 *
 *	sim [STORY...]      SEED=n: that seed alone   SEEDS=n: so many (default 3)
 *	                    SECONDS_MAX=n: new seeds for all stories until the time is up
 */
#include "tests/sim/story.h"

#include "base/log.h"

#include <setjmp.h>
#include <sodium.h>
#include <time.h>

static struct sim_story *stories;
static jmp_buf failed_here;

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

static struct sim *current;

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

int main(int argc, char **argv)
{
	uint64_t seed = env("SEED", 0), seeds = env("SEEDS", 3), seconds_max = env("SECONDS_MAX", 0);
	unsigned passed = 0, failed = 0;
	uint64_t rounds = 0;
	double start = seconds();

	if (sodium_init() < 0)
		return 1;
	sim_on_fail(failed_story);
	log_set(seed || getenv("VERBOSE") ? print : NULL, LOG_DEBUG);
	do {
		uint64_t this_seed = seed ? seed : ++rounds;

		for (struct sim_story *story = stories; story; story = story->next) {
			double began = seconds();
			bool ok;

			if (!chosen(story, argc, argv))
				continue;
			if (seconds_max && began - start > (double)seconds_max)
				break;
			ok = run(story, this_seed);
			*(ok ? &passed : &failed) += 1;
			if (this_seed == 1 || seed)
				printf("%s %s (%.2f s)\n", ok ? "ok  " : "FAIL", story->name, seconds() - began);
			fflush(stdout);
		}
	} while (!seed && (seconds_max ? seconds() - start < (double)seconds_max : rounds < seeds));
	printf("%llu seeds, %.1f s\n%u passed, %u failed\n", (unsigned long long)(seed ? 1 : rounds),
	        seconds() - start, passed, failed);
	return failed || !passed;
}
