#include "node/net/guard.h"

#include "base/hash.h"

/* Seconds' worth of tokens that a source may save up: a peer that starts opens several streams at once. */
#define GUARD_BURST_SECONDS 2

void guard_init(struct guard *g, unsigned per_second, const uint8_t secret[16])
{
	memset(g, 0, sizeof(*g));
	g->per_second = per_second;
	memcpy(g->secret, secret, sizeof(g->secret));
}

static int32_t full(const struct guard *g)
{
	return (int32_t)(MIN(g->per_second, 100000u) * GUARD_BURST_SECONDS * 1000);
}

/* The source's entry, or the quietest of its set made ready for it. */
static struct guard_entry *find(struct guard *g, uint8_t family, const uint8_t ip[16], mono_ms now)
{
	struct guard_entry *set = g->sets[siphash(g->secret, ip, 16) % GUARD_SETS];
	struct guard_entry *quiet = &set[0];

	for (int i = 0; i < GUARD_WAYS; i++) {
		if (set[i].family == family && memcmp(set[i].ip, ip, 16) == 0)
			return &set[i];
		if (!set[i].family || (quiet->family && set[i].at < quiet->at))
			quiet = &set[i];
	}
	*quiet = (struct guard_entry){.family = family, .milli = full(g), .at = now};
	memcpy(quiet->ip, ip, 16);
	return quiet;
}

bool guard_take(struct guard *g, const struct addr *from, mono_ms now)
{
	struct guard_entry *e;
	uint8_t ip[16];
	int64_t milli;

	memcpy(ip, from->ip, sizeof(ip));
	if (from->family == 6)
		memset(ip + 8, 0, 8);
	e = find(g, from->family, ip, now);
	/* Tokens per second are thousandths per millisecond. */
	milli = e->milli + MIN(MAX(now - e->at, 0), SECONDS(GUARD_BURST_SECONDS)) * g->per_second;
	e->milli = (int32_t)MIN(milli, full(g));
	e->at = now;
	if (e->milli < 1000)
		return false;
	e->milli -= 1000;
	return true;
}
