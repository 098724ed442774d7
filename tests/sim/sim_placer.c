/* The placement that a peer keeps from pass to pass is, in every pass of every story, the one that place() makes from nothing. */
#include "tests/sim/sim_work.h"
#include "tests/unit/placement/difference.h"

#include <stdio.h>

void sim_check_placement(struct sim *s, unsigned peer, const struct work *work)
{
	const char *what;
	struct placement p;
	struct arena arena;
	char text[128];

	arena_init(&arena);
	place(work_view(work), &arena, &p);
	what = placement_difference(work_placement(work), &p);
	if (what) {
		snprintf(text, sizeof(text), "peer %u: %s differ from those placed from nothing", peer, what);
		sim_fail(s, __FILE__, __LINE__, text);
	}
	arena_free(&arena);
}
