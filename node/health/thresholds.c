#include "node/health/thresholds.h"

#define INTERVAL_DEFAULT_MS       SECONDS(30)
#define START_INTERVAL_DEFAULT_MS SECONDS(5)
#define RETRIES_DEFAULT           3

static int64_t interval(const struct spec_check *c)
{
	return c->interval_ms > 0 ? c->interval_ms : INTERVAL_DEFAULT_MS;
}

static int64_t start_interval(const struct spec_check *c)
{
	return c->start_interval_ms > 0 ? c->start_interval_ms : START_INTERVAL_DEFAULT_MS;
}

/* When failures begin to count. */
static mono_ms counts_from(const struct thresholds *t, const struct spec_check *c)
{
	return t->started + MAX(interval(c), c->start_period_ms);
}

void thresholds_init(struct thresholds *t, const struct spec_check *check, enum task_health before, mono_ms now)
{
	*t = (struct thresholds){.health = before, .started = now, .early_ms = HEALTH_FIRST_MS};
	if (before == HEALTH_NONE)
		t->health = HEALTH_STARTING;
	t->next = now + MIN(t->health == HEALTH_STARTING ? HEALTH_FIRST_MS : HEALTH_ADOPTED_MS, interval(check));
}

static void schedule_early(struct thresholds *t, const struct spec_check *c, mono_ms now)
{
	mono_ms until = counts_from(t, c);

	t->early_ms = MIN(t->early_ms * 2, MIN(start_interval(c), interval(c)));
	t->next = MIN(now + t->early_ms, until);
}

bool thresholds_result(struct thresholds *t, const struct spec_check *check, bool passed, mono_ms now)
{
	enum task_health was = t->health;

	t->next = now + interval(check);
	if (passed) {
		t->streak = 0;
		t->health = HEALTH_HEALTHY;
	} else if (was == HEALTH_STARTING && now < counts_from(t, check)) {
		schedule_early(t, check, now);
	} else {
		t->streak++;
		if (t->streak >= (check->retries ? check->retries : RETRIES_DEFAULT))
			t->health = HEALTH_UNHEALTHY;
	}
	return t->health != was;
}
