/* Hybrid logical clock (Kulkarni et al., 2014): 48 bits of Unix milliseconds, 16 of counter. */
#ifndef GOSSIP_STORE_HLC_H
#define GOSSIP_STORE_HLC_H

#include "base/types.h"

/* A stamp from further ahead than this moves the local clock by this much only (it is still stored). */
#define HLC_AHEAD_MAX MINUTES(5)

struct hlc {
	uint64_t last;
};

/* A stamp greater than every one given or seen before. */
uint64_t hlc_now(struct hlc *h, wall_ms wall);
void hlc_seen(struct hlc *h, uint64_t stamp, wall_ms wall);
static inline wall_ms hlc_wall(uint64_t stamp)
{
	return (wall_ms)(stamp >> 16);
}

#endif
