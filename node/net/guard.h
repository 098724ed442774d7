/*
 * How often one source address may do something that costs us: a token bucket per address in a table of fixed
 * size. Pure: time is passed in. IPv6 sources count by their /64, which is what one host can choose from.
 */
#ifndef NODE_NET_GUARD_H
#define NODE_NET_GUARD_H

#include "base/addr.h"

/* Addresses remembered; beyond it the one of its set that was quiet longest is forgotten. */
#define GUARD_SETS 64
#define GUARD_WAYS 4

struct guard {
	unsigned per_second;
	uint8_t secret[16]; /* so that nobody can aim at another's set */
	struct guard_entry {
		uint8_t ip[16]; /* family 0: free */
		uint8_t family;
		int32_t milli; /* tokens left, in thousandths */
		mono_ms at;    /* when that was so */
	} sets[GUARD_SETS][GUARD_WAYS];
};

void guard_init(struct guard *g, unsigned per_second, const uint8_t secret[16]);
/* Takes one token of this source; false when it has none. A source starts with, and keeps at most, two seconds'
 * worth. */
bool guard_take(struct guard *g, const struct addr *from, mono_ms now);

#endif
