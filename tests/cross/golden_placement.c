/*
 * Prints placements, so that those of other compilers and CPUs can be compared with them byte for byte (tests/cross/run):
 * the fixed clusters, and a hash of what came of random histories.
 *
 *	golden_placement NAME     the golden cluster of that name
 *	golden_placement --names  their names
 *	golden_placement --random HISTORIES
 */
#include "tests/unit/placement/golden.h"
#include "tests/unit/placement/history.h"

#include "base/text.h"

#define STEPS 40

static void print_cluster(const struct golden_cluster *g)
{
	struct placement p;
	struct arena arena;

	arena_init(&arena);
	g->build(&c);
	cluster_sort_claims(&c);
	place(&c.view, &arena, &p);
	fputs(cluster_dump(&c, &p), stdout);
	cluster_free(&c);
	arena_free(&arena);
}

/* The hash of all placements along one history. */
static void print_history(uint64_t seed)
{
	struct key32 hash = {{0}};
	struct placement p;
	struct arena arena;
	struct drbg r;
	bool wild = history_begin(&r, seed);
	char text[65];

	arena_init(&arena);
	place(&c.view, &arena, &p);
	for (int i = 0; i < STEPS; i++) {
		const char *dump;

		history_go_on(seed, i, &p, wild);
		arena_free(&arena);
		place(&c.view, &arena, &p);
		dump = cluster_dump(&c, &p);
		hash_pieces(&hash, "golden placement",
		        (struct hash_piece[]){{hash.b, sizeof(hash.b)}, {dump, strlen(dump)}}, 2);
	}
	hex_encode(text, hash.b, sizeof(hash.b));
	printf("%llu %s\n", (unsigned long long)seed, text);
	arena_free(&arena);
	cluster_free(&c);
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < ARRAY_LEN(golden_clusters); i++) {
		if (!strcmp(argv[1], "--names"))
			puts(golden_clusters[i].name);
		else if (!strcmp(argv[1], golden_clusters[i].name))
			print_cluster(&golden_clusters[i]);
	}
	if (argc == 3 && !strcmp(argv[1], "--random"))
		for (uint64_t seed = 1; seed <= strtoull(argv[2], NULL, 10); seed++)
			print_history(seed);
	return argc < 2;
}
