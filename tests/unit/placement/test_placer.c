/*
 * The placer's law: after any history of changes its placement is that of place(), in every field. A history comes from a
 * number, and each of its steps from that number and its own, so that a failing one is told again without the steps that it
 * does not need. STARLING_TEST_SEED=N tells that one alone; STARLING_TEST_SECONDS bounds the search (3 s).
 */
#include "placement/placer_parts.h"
#include "tests/unit/placement/difference.h"
#include "tests/unit/placement/history.h"
#include "tests/unit/unit.h"

#include <time.h>

#define STEPS 120

/* ---- the law ---- */

static size_t calls, crowded;

/* Returns the step that differs, or -1. skip: steps in which nothing happens; NULL: none. */
static int history(uint64_t seed, const bool *skip, const char **what)
{
	struct placer *placer = placer_new();
	struct placement p, q;
	struct arena arena[2];
	struct drbg r;
	bool wild;
	int failed = -1;

	arena_init(&arena[0]);
	arena_init(&arena[1]);
	wild = history_begin(&r, seed);
	place(&c.view, &arena[1], &q);
	for (int i = 0; i < STEPS && failed < 0; i++) {
		if (!skip || !skip[i])
			history_go_on(seed, i, &q, wild);
		arena_free(&arena[0]);
		arena_free(&arena[1]);
		placer_place(placer, &c.view, &arena[0], &p);
		place(&c.view, &arena[1], &q);
		calls++;
		crowded += placer->n_crowded > 0;
		*what = placement_difference(&p, &q);
		if (*what)
			failed = i;
	}
	placer_free(placer);
	arena_free(&arena[0]);
	arena_free(&arena[1]);
	cluster_free(&c);
	return failed;
}

static void fail_with(uint64_t seed, int step, const char *what)
{
	bool skip[STEPS] = {false};
	char left[8 * STEPS] = "";
	const char *same;

	for (int i = 0; i < step; i++) {
		skip[i] = true;
		if (history(seed, skip, &same) != step || strcmp(same, what) != 0)
			skip[i] = false;
	}
	for (int i = 0; i <= step; i++)
		if (!skip[i])
			snprintf(left + strlen(left), sizeof(left) - strlen(left), " %d", i);
	fail_msg("seed %llu: %s differ at step %d; steps needed:%s", (unsigned long long)seed, what, step, left);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void after_any_history_the_placement_is_that_from_nothing(void **state)
{
	const char *one = getenv("STARLING_TEST_SEED"), *limit = getenv("STARLING_TEST_SECONDS");
	double end = seconds() + (limit ? atof(limit) : 3.0);
	uint64_t seed = one ? strtoull(one, NULL, 10) : 1, first = seed;

	(void)state;
	do {
		const char *what;
		int failed = history(seed, NULL, &what);

		if (failed >= 0)
			fail_with(seed, failed, what);
		seed++;
	} while (!one && seconds() < end);
	print_message("%llu histories, %zu calls, in %zu of them some peer's tasks came to more than it has\n",
	        (unsigned long long)(seed - first), calls, crowded);
	if (!one)
		assert_true(crowded < calls / 2); /* else little was kept */
}

static void an_empty_view_places_nothing(void **state)
{
	struct placer *placer = placer_new();
	struct view nothing = {0};
	struct placement p;
	struct arena arena;

	(void)state;
	arena_init(&arena);
	for (int i = 0; i < 2; i++) {
		placer_place(placer, &nothing, &arena, &p);
		assert_int_equal(p.n_slots, 0);
		assert_int_equal(p.n_moves, 0);
	}
	placer_free(placer);
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(after_any_history_the_placement_is_that_from_nothing),
	        cmocka_unit_test(an_empty_view_places_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
