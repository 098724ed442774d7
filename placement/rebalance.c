#include "placement/place.h"

size_t place_rebalance(const struct view *view, const struct placement *p, struct arena *arena,
        struct placed_move *out, size_t most)
{
	(void)view;
	(void)p;
	(void)arena;
	(void)out;
	(void)most;
	return 0;
}
