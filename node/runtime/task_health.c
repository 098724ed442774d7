/* A task's health: what checks tell, and since when it serves. */
#include "node/runtime/task.h"

#include "base/text.h"

void task_set_health(struct task *t, enum task_health health)
{
	bool serves = t->life.state == TASK_RUNNING && (health == HEALTH_HEALTHY || health == HEALTH_NONE);

	t->pub.health = health;
	if (serves && !t->pub.healthy_at) {
		t->pub.healthy_at = MAX(task_mono(t), 1);
		t->pub.healthy_since = task_wall();
	} else if (!serves) {
		t->pub.healthy_at = 0;
		t->pub.healthy_since = 0;
	}
}

/* A task that served for so long, ms, works here: what it fails of then is something else. */
#define SOUND_MS MINUTES(1)

void task_count_failure(struct task *t)
{
	int64_t window = task_policy(t)->window_ms;

	if (t->pub.healthy_at && task_mono(t) - t->pub.healthy_at >= MAX(SOUND_MS, window))
		t->pub.failures = 0;
	t->pub.failures += t->pub.failures < UINT8_MAX;
}

static void on_health(void *ctx, enum task_health health, const char *why)
{
	struct task *t = ctx;

	t->pub.health = health;
	if (health == HEALTH_UNHEALTHY) {
		task_count_failure(t);
		task_reason(t, "%s", why);
		task_event(t, supervise_sick(task_policy(t)));
	} else {
		if (t->life.state == TASK_UNHEALTHY)
			task_event(t, EV_HEALTHY);
		t->pub.reason[0] = '\0';
	}
	task_set_health(t, health);
	record_save(t);
	runtime_note(t);
}

static void on_command(void *ctx, uint32_t seq, int64_t timeout_ms)
{
	struct task *t = ctx;

	if (t->run)
		t->driver->check(t->run, seq, timeout_ms);
}

/* The port that a check names, by name or target number; a number that is no port of the service is taken as it is. */
static uint16_t check_port(const struct task *t)
{
	const char *name = t->pub.spec->check.port;
	uint64_t number = 0;

	if (!name)
		return t->pub.n_ports ? t->pub.ports[0].port : 0;
	if (!text_u64(name, 1, UINT16_MAX, &number))
		number = 0;
	for (size_t i = 0; i < t->pub.n_ports; i++) {
		const struct spec_port *p = &t->pub.spec->ports[t->pub.ports[i].index];

		if (strcmp(p->name, name) == 0 || p->target == number)
			return t->pub.ports[i].port;
	}
	return (uint16_t)number;
}

void task_watch(struct task *t)
{
	static const struct health_events events = {.changed = on_health, .command = on_command};
	struct addr to = t->rt->cfg.address;

	if (t->pub.spec->check.kind == CHECK_NONE) {
		task_set_health(t, HEALTH_NONE);
		return;
	}
	if (t->pub.health == HEALTH_NONE)
		t->pub.health = HEALTH_STARTING;
	task_set_health(t, t->pub.health);
	if (addr_is_any(&to)) {
		memset(to.ip, 0, sizeof(to.ip));
		if (to.family == 4)
			memcpy(to.ip, (uint8_t[]){127, 0, 0, 1}, 4);
		else
			to.ip[15] = 1;
	}
	to.port = check_port(t);
	t->health = health_start(t->rt->loop, &t->pub.spec->check, &to, t->pub.health, &events, t);
}

void task_unwatch(struct task *t)
{
	health_stop(t->health);
	t->health = NULL;
}
