#include "gossip/core.h"

/*
 * Others' wall clocks, as their acks told them (DESIGN section 6: authoring is refused where the clock is far from
 * its peers'). Kept against our monotonic clock, beside our own. When our own has jumped against it since, our clock
 * was set or the machine slept: which of the two cannot be told, so what others said before counts no more. They are
 * asked once a period each in turn, so a few seconds later it is known.
 */

/* A jump beyond this: more than a clock that is set right gradually moves in hours. */
#define CLOCK_JUMP_MS SECONDS(30)
/* An answer that took longer says too little of when it was given: a queue that waited while we stood still, say. */
#define CLOCK_RTT_MAX_US (2 * INT64_C(1000000))

void clock_on_ack(struct gossip *g, struct contact *c, wall_ms wall, int64_t rtt_us)
{
	if (rtt_us < 0 || rtt_us > CLOCK_RTT_MAX_US)
		return;
	c->clock = wall + rtt_us / 2000 - g->now.mono;
	c->clock_own = g->now.wall - g->now.mono;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* Of n in ascending order; of two in the middle the one nearer to zero. */
static int64_t median(const int64_t *v, size_t n)
{
	int64_t low = v[(n - 1) / 2], high = v[n / 2];

	return llabs(low) <= llabs(high) ? low : high;
}

void gossip_clock(const struct gossip *g, struct now now, struct gossip_clock *out)
{
	cleanup_free int64_t *theirs = xcalloc(g->n_contacts + 1, sizeof(*theirs));
	size_t n = 1; /* our own: 0 */

	*out = (struct gossip_clock){0};
	for (size_t i = 0; i < g->n_contacts; i++) {
		const struct contact *c = g->contacts[i];
		int64_t ahead = c->clock + now.mono - now.wall; /* of ours */

		if (!c->clock || llabs(now.wall - now.mono - c->clock_own) > CLOCK_JUMP_MS || !c->peer->reachable)
			continue;
		theirs[n++] = ahead;
		if (n == 2 || llabs(ahead) > llabs(out->apart_ms)) {
			out->apart_ms = -ahead;
			out->peer = c->peer->key;
		}
	}
	qsort(theirs, n, sizeof(*theirs), by_value);
	out->others = (unsigned)(n - 1);
	out->offset_ms = -median(theirs, n);
	out->doubted = llabs(out->offset_ms) > CLOCK_APART_MAX_MS;
}
