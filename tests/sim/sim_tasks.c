/*
 * The made-up driver. A task starts, serves, perhaps falls ill for a while, and stops when told to:
 *
 *	STARTING --> RUNNING, healthy <--> RUNNING, unhealthy
 *	   |  ^            |
 *	   |  +- BACKOFF <-+                  any --(stop)--> STOPPING --> DONE         any --(power cut)--> LOST
 *	   +--> refused
 */
#include "tests/sim/sim_work.h"

#include "base/text.h"
#include "tests/sim/sim_core.h"

/* A task that falls ill does so within this, ms, of serving; and is ill for so long. */
#define SICK_WITHIN SECONDS(60)
#define SICK_FOR    SECONDS(5)

static int64_t between(struct sim *s, int64_t from, int64_t to)
{
	return from + (int64_t)drbg_below(&s->rng, (uint64_t)(to - from) + 1);
}

/* Tasks are the host's: no agent's end voids their events. */
static void change_in(struct sim *s, struct sim_task *t, int64_t ms)
{
	t->change = ++s->works->changes;
	sim_at(s, s->now + ms, SIM_WORLD, EV_TASK, t->host, t->change, NULL, 0);
}

bool sim_task_over(const struct sim_task *t)
{
	return t->w.own.state == TASK_DONE || t->w.own.state == TASK_FAILED || t->w.own.state == TASK_LOST;
}

static void become(struct sim *s, struct sim_task *t, enum task_state state, enum task_health health)
{
	bool healthy = state == TASK_RUNNING && health == HEALTH_HEALTHY;
	struct now now = sim_peer_now(s, t->host);

	t->w.own.state = state;
	t->w.own.health = health;
	t->w.own.healthy_at = healthy ? now.mono : 0;
	t->w.healthy_since = healthy ? now.wall : 0;
	sim_count_serving(s, t);
	sim_work_kick(s, t->host);
}

bool sim_task_start(struct sim *s, unsigned host, const struct work_action *a)
{
	struct sim_worker *w = &s->works->worker[host];
	const struct sim_driver *d = &s->works->driver;
	struct sim_task *t;

	if (w->refuses || sim_chance(s, d->refuse)) {
		s->works->refusals++;
		return false;
	}
	t = xcalloc(1, sizeof(*t));
	text_copy(t->stack, sizeof(t->stack), a->stack);
	text_copy(t->service, sizeof(t->service), a->service->name);
	t->host = host;
	t->w.own.stack = t->stack;
	t->w.service = t->service;
	t->w.index = a->index;
	t->w.reason = "the story says so";
	t->w.own.slot = a->slot;
	t->w.own.revision = a->revision;
	t->w.own.content = service_content(a->service);
	drbg_bytes(&s->rng, &t->w.own.task, sizeof(t->w.own.task));
	w->tasks = xrealloc(w->tasks, (w->n_tasks + 1) * sizeof(struct sim_task *));
	w->tasks[w->n_tasks++] = t;
	become(s, t, TASK_STARTING, HEALTH_STARTING);
	t->w.refused = false;
	change_in(s, t, between(s, d->start_min, d->start_max));
	return true;
}

struct sim_task *sim_task(const struct sim *s, unsigned host, id64 task)
{
	const struct sim_worker *w = &s->works->worker[host];

	for (size_t i = 0; i < w->n_tasks; i++)
		if (w->tasks[i]->w.own.task == task)
			return w->tasks[i];
	sim_fail((struct sim *)s, __FILE__, __LINE__, "an action names a task that the host does not have");
}

void sim_task_stop(struct sim *s, unsigned host, id64 task)
{
	struct sim_task *t = sim_task(s, host, task);

	if (t->w.own.stopping || sim_task_over(t))
		return;
	t->w.own.stopping = true;
	become(s, t, TASK_STOPPING, t->w.own.health);
	change_in(s, t, between(s, s->works->driver.stop_min, s->works->driver.stop_max));
}

void sim_task_forget(struct sim *s, unsigned host, id64 task)
{
	struct sim_worker *w = &s->works->worker[host];

	for (size_t i = 0; i < w->n_tasks; i++)
		if (w->tasks[i]->w.own.task == task) {
			w->tasks[i]->w.own.state = TASK_LOST;
			sim_count_serving(s, w->tasks[i]);
			free(w->tasks[i]);
			w->tasks[i] = w->tasks[--w->n_tasks];
			return;
		}
}

void sim_task_lost(struct sim *s, struct sim_task *t)
{
	t->change = 0;
	become(s, t, TASK_LOST, HEALTH_NONE);
}

static void fall_ill_perhaps(struct sim *s, struct sim_task *t)
{
	if (sim_chance(s, s->works->driver.sick))
		change_in(s, t, between(s, 1, SICK_WITHIN));
}

static void change(struct sim *s, struct sim_task *t)
{
	const struct sim_driver *d = &s->works->driver;

	if (t->w.own.stopping) {
		become(s, t, TASK_DONE, HEALTH_NONE);
	} else if (t->w.own.state == TASK_STARTING && sim_chance(s, d->block)) {
		s->works->refusals++;
		t->w.refused = true;
		become(s, t, TASK_BACKOFF, HEALTH_STARTING);
		change_in(s, t, SECONDS(1));
	} else if (t->w.own.state == TASK_RUNNING && t->w.own.health == HEALTH_HEALTHY) {
		/* Ill: half of them exit, the others stay and answer no check. */
		if (drbg_below(&s->rng, 2))
			become(s, t, TASK_BACKOFF, HEALTH_STARTING);
		else
			become(s, t, TASK_RUNNING, HEALTH_UNHEALTHY);
		change_in(s, t, between(s, 1, SICK_FOR));
	} else if (t->w.own.state == TASK_BACKOFF) {
		t->w.refused = false;
		become(s, t, TASK_STARTING, HEALTH_STARTING);
		change_in(s, t, between(s, d->start_min, d->start_max));
	} else {
		become(s, t, TASK_RUNNING, HEALTH_HEALTHY);
		fall_ill_perhaps(s, t);
	}
}

void on_task(struct sim *s, unsigned peer, uint64_t a, uint64_t b, const uint8_t *bytes, size_t len)
{
	const struct sim_worker *w = &s->works->worker[a];

	(void)peer, (void)bytes, (void)len;
	for (size_t i = 0; i < w->n_tasks; i++)
		if (w->tasks[i]->change == b) {
			change(s, w->tasks[i]);
			return;
		}
}

/* The host's power is cut: what ran is gone, its records are found again after the reboot. */
void sim_work_power_cut(struct sim *s, unsigned peer)
{
	struct sim_worker *w;

	if (!s->works)
		return;
	w = &s->works->worker[peer];
	for (size_t i = 0; i < w->n_tasks; i++)
		if (!sim_task_over(w->tasks[i]))
			sim_task_lost(s, w->tasks[i]);
}

void sim_work_disk_lost(struct sim *s, unsigned peer)
{
	while (s->works && s->works->worker[peer].n_tasks)
		sim_task_forget(s, peer, s->works->worker[peer].tasks[0]->w.own.task);
}
