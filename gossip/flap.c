#include "gossip/core.h"

/*
 * What this peer says of itself: changes within a moment travel together, and a page that goes on changing is told
 * less and less often (DESIGN section 6: 50 ms, up to 2 s for a flapping task). Others need its last state soon, not
 * each of them.
 *
 *	change      told at once; the next not before 50 ms
 *	... 8 times so, then 8 times not before 100 ms, 200, 400, 800, 1,600, and then every 2,000 ms
 *	quiet       for twice the time that it had to wait: half of it
 *
 * A deployment, which changes a page a dozen times within a second, is told as it goes; a task that restarts for minutes
 * is told every two seconds.
 */
#define HOLD_MIN_MS 50
#define HOLD_MAX_MS SECONDS(2)
/* Tellings before the time between them doubles. */
#define HOLD_STEPS 8
/* Keys of this peer that change at all: its pages, its facts, its runs. Beyond it they are told at once. */
#define FLAPS_MAX (2 * PAGES_MAX)

struct flap {
	struct key32 key;
	int64_t hold;    /* least time between two tellings; 0: calm */
	unsigned steps;  /* tellings at that time */
	mono_ms told;    /* last */
	mono_ms changed; /* last */
	bool waits;      /* for told + hold */
};

static void calm_down(struct flap *f, mono_ms now)
{
	int64_t quiet = now - f->changed;

	while (f->hold && quiet >= 2 * f->hold) {
		quiet -= 2 * f->hold;
		f->hold = f->hold > HOLD_MIN_MS ? f->hold / 2 : 0;
		f->steps = 0;
	}
}

/* Room for one more: the calm are forgotten. */
static bool make_room(struct gossip *g)
{
	struct key32 calm[FLAPS_MAX];
	size_t n = 0;

	map_each (&g->flaps, value) {
		struct flap *f = value;

		if (f->waits)
			continue;
		calm_down(f, g->now.mono);
		if (!f->hold)
			calm[n++] = f->key;
	}
	for (size_t i = 0; i < n; i++)
		free(map_del(&g->flaps, &calm[i]));
	return g->flaps.len < FLAPS_MAX;
}

static void told(struct gossip *g, struct flap *f)
{
	f->told = g->now.mono;
	f->waits = false;
	if (!f->hold)
		f->hold = HOLD_MIN_MS;
	if (++f->steps < HOLD_STEPS)
		return;
	f->steps = 0;
	f->hold = MIN(f->hold * 2, (int64_t)HOLD_MAX_MS);
}

bool flap_may_tell(struct gossip *g, const struct key32 *key)
{
	struct flap *f = map_get(&g->flaps, key);

	if (!f) {
		if (g->flaps.len >= FLAPS_MAX && !make_room(g))
			return true;
		f = xcalloc(1, sizeof(*f));
		f->key = *key;
		map_put(&g->flaps, &f->key, f);
	} else {
		calm_down(f, g->now.mono);
	}
	f->changed = g->now.mono;
	if (f->waits)
		return false;
	if (f->hold && g->now.mono < f->told + f->hold) {
		f->waits = true;
		g->flap_at = MIN(g->flap_at, f->told + f->hold);
		return false;
	}
	told(g, f);
	return true;
}

void flap_tick(struct gossip *g)
{
	if (g->now.mono < g->flap_at)
		return;
	g->flap_at = MONO_NEVER;
	map_each (&g->flaps, value) {
		struct flap *f = value;

		if (f->waits && g->now.mono >= f->told + f->hold) {
			told(g, f);
			record_tell(g, &f->key);
		}
		if (f->waits)
			g->flap_at = MIN(g->flap_at, f->told + f->hold);
	}
}

mono_ms flap_wake(const struct gossip *g)
{
	return g->flap_at;
}

void flap_free(struct gossip *g)
{
	map_each (&g->flaps, flap)
		free(flap);
	map_free(&g->flaps);
}
