#include "gossip/store/hlc.h"

#define COUNTER_BITS 16

uint64_t hlc_now(struct hlc *h, wall_ms wall)
{
	uint64_t at = (uint64_t)MAX(wall, 0) << COUNTER_BITS;

	h->last = MAX(at, h->last + 1); /* a full counter carries into the milliseconds, which is still greater */
	return h->last;
}

void hlc_seen(struct hlc *h, uint64_t stamp, wall_ms wall)
{
	uint64_t ahead = (uint64_t)MAX(wall + HLC_AHEAD_MAX, 0) << COUNTER_BITS;

	h->last = MAX(h->last, MIN(stamp, ahead));
}
