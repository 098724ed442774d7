/* Passes: each peer's node/work over its simulated core, as node/agent_work.c drives it. */
#include "tests/sim/sim_work.h"

#include "base/log.h"
#include "tests/sim/sim_core.h"

#include <string.h>

/* As in node/agent_work.c: passes at least this far apart, in ms. */
#define WORK_GAP 4
/* A peer that leaves looks this often, in ms, whether it is time. */
#define LEAVE_LOOK 100

void sim_work_init(struct sim *s)
{
	struct sim_works *ws;

	if (!s->opt.work)
		return;
	ws = s->works = xcalloc(1, sizeof(*ws));
	ws->driver = (struct sim_driver){
	        .start_min = 50, .start_max = 800, .stop_min = 20, .stop_max = 1000, .adopt_max = 1000};
	arena_init(&ws->arena);
	map_init(&ws->slots, sizeof(id64), NULL);
	ws->worker = xcalloc(s->n, sizeof(*ws->worker));
	for (unsigned i = 0; i < s->n; i++) {
		struct sim_worker *w = &ws->worker[i];

		snprintf(w->name, sizeof(w->name), "p%u", i);
		w->due = MONO_NEVER;
		w->facts = (struct facts){.name = w->name,
		        .version = "0.1.0",
		        .arch = "amd64",
		        .os = "linux",
		        .cpu_milli = 4000,
		        .memory = UINT64_C(8) << 30,
		        .drivers = 1u << DRIVER_EXEC,
		        .n_addrs = 1,
		        .labels = w->labels};
	}
}

void sim_work_free(struct sim *s)
{
	struct sim_works *ws = s->works;

	if (!ws)
		return;
	for (unsigned i = 0; i < s->n; i++) {
		struct sim_worker *w = &ws->worker[i];

		work_free(w->work);
		for (size_t k = 0; k < w->n_tasks; k++)
			free(w->tasks[k]);
		free(w->tasks);
	}
	free(ws->worker);
	map_each (&ws->slots, slot)
		free(slot);
	map_free(&ws->slots);
	arena_free(&ws->arena);
	free(ws);
	s->works = NULL;
}

void sim_host(struct sim *s, unsigned peer, uint64_t cpu_milli, uint64_t memory)
{
	s->works->worker[peer].facts.cpu_milli = cpu_milli;
	s->works->worker[peer].facts.memory = memory;
}

void sim_host_label(struct sim *s, unsigned peer, const char *key, const char *value)
{
	struct facts *f = &s->works->worker[peer].facts;

	if (f->n_labels < SIM_LABELS_MAX)
		f->labels[f->n_labels++] = (struct kv){.key = key, .value = value};
}

/* When. */

static void pass_at(struct sim *s, unsigned peer, mono_ms mono)
{
	struct sim_worker *w = &s->works->worker[peer];
	mono_ms at;

	if (mono == MONO_NEVER)
		return;
	at = sim_moment(s, peer, mono);
	if (at >= w->due)
		return;
	w->due = at;
	sim_at(s, at, peer, EV_WORK, ++w->alarm, 0, NULL, 0);
}

void sim_work_kick(struct sim *s, unsigned peer)
{
	if (s->works && s->works->worker[peer].work)
		pass_at(s, peer, MAX(sim_peer_now(s, peer).mono, s->works->worker[peer].worked_at + WORK_GAP));
}

void sim_work_drained(struct sim *s, unsigned peer)
{
	struct gossip *g = s->peer[peer].gossip;
	struct sim_worker *w;

	if (!s->works || !g)
		return;
	w = &s->works->worker[peer];
	if (gossip_ready(g) != w->was_ready || gossip_isolated(g) != w->was_isolated)
		sim_work_kick(s, peer);
	w->was_ready = gossip_ready(g);
	w->was_isolated = gossip_isolated(g);
}

void sim_work_record(struct sim *s, unsigned peer, const struct key32 *id)
{
	if (!s->works || !s->works->worker[peer].work)
		return;
	work_on_record(s->works->worker[peer].work, s->peer[peer].gossip, id, sim_peer_now(s, peer));
	sim_work_kick(s, peer);
}

void sim_work_started(struct sim *s, unsigned peer)
{
	struct reconcile_config timing = reconcile_defaults();
	struct sim_worker *w;
	mono_ms late = 0;

	if (!s->works)
		return;
	w = &s->works->worker[peer];
	if (s->opt.timing)
		timing = *s->opt.timing;
	w->work = work_new(&s->peer[peer].key, &s->flock, &timing);
	w->facts.addrs[0] = s->peer[peer].addr;
	w->facts.addrs[0].port = 0;
	w->adopted = w->leaving = w->left = w->was_ready = w->was_isolated = false;
	w->started = sim_peer_now(s, peer).wall;
	w->worked_at = 0;
	w->due = MONO_NEVER;
	/* An agent finds its tasks before all else, unless its disk is slow. */
	if (sim_chance(s, 30))
		late = (mono_ms)drbg_below(&s->rng, (uint64_t)s->works->driver.adopt_max + 1);
	sim_at(s, s->now + late, peer, EV_ADOPT, 0, 0, NULL, 0);
	sim_work_kick(s, peer);
}

void sim_work_ended(struct sim *s, unsigned peer)
{
	if (!s->works)
		return;
	work_free(s->works->worker[peer].work);
	s->works->worker[peer].work = NULL;
	sim_count_gone(s, peer);
}

void on_adopt(struct sim *s, unsigned peer, uint64_t a, uint64_t b, const uint8_t *bytes, size_t len)
{
	(void)a, (void)b, (void)bytes, (void)len;
	s->works->worker[peer].adopted = true;
	sim_work_kick(s, peer);
}

/* The pass. */

static struct work_input input_of(struct sim *s, unsigned peer, struct work_task *tasks)
{
	struct sim_worker *w = &s->works->worker[peer];
	size_t n = w->adopted ? w->n_tasks : 0;

	for (size_t i = 0; i < n; i++)
		tasks[i] = w->tasks[i]->w;
	return (struct work_input){.gossip = s->peer[peer].gossip,
	        .now = sim_peer_now(s, peer),
	        .boot = s->peer[peer].boot,
	        .started = w->started,
	        .n_tasks = n,
	        .tasks = tasks,
	        .host = &w->facts,
	        .adopted = w->adopted,
	        .disk_full = s->peer[peer].disk.full,
	        .leaving = w->leaving,
	        .left = w->left};
}

static void carry_out(struct sim *s, unsigned peer, const struct work_action *a)
{
	struct sim_worker *w = &s->works->worker[peer];
	struct sim_task *t;

	switch (a->kind) {
	case DO_START:
		log_debug("work", "peer %u starts %s/%s/%u: %s", peer, a->stack, a->service->name, a->index,
		        a->why);
		w->starts++;
		s->works->starts++;
		if (!sim_task_start(s, peer, a))
			work_refuse(w->work, a, "the story says so", sim_peer_now(s, peer).mono);
		break;
	case DO_STOP:
		t = sim_task(s, peer, a->task);
		log_debug("work", "peer %u stops %s/%s/%u: %s", peer, t->stack, t->service, t->w.index, a->why);
		sim_count_stop(s, t, a->why);
		/* What could not start has not run. */
		w->stops += !t->w.refused;
		s->works->stops += !t->w.refused;
		if (strstr(a->why, "even out the load")) {
			s->works->evened++;
			s->works->starts--;
			s->works->stops--;
		}
		sim_task_stop(s, peer, a->task);
		break;
	case DO_CONFIRM:
		sim_task(s, peer, a->task)->w.own.revision = a->revision;
		break;
	case DO_FORGET:
		sim_task_forget(s, peer, a->task);
		break;
	case DO_REFUSE:
	case DO_DISPUTE:
		break; /* node/work has seen to it */
	}
}

static void end_tasks(struct sim *s, unsigned peer)
{
	struct sim_worker *w = &s->works->worker[peer];

	for (size_t i = w->n_tasks; i-- > 0;) {
		if (sim_task_over(w->tasks[i]))
			sim_task_forget(s, peer, w->tasks[i]->w.own.task);
		else if (!w->tasks[i]->w.own.stopping)
			sim_task_stop(s, peer, w->tasks[i]->w.own.task);
	}
}

void sim_retire(struct sim *s, unsigned peer)
{
	sim_agent(s, peer);
	s->works->worker[peer].leaving = true;
	sim_work_kick(s, peer);
}

static void leave(struct sim *s, unsigned peer)
{
	s->works->worker[peer].left = true;
	end_tasks(s, peer);
	sim_leave(s, peer);
}

static void pass(struct sim *s, unsigned peer)
{
	struct sim_worker *w = &s->works->worker[peer];
	struct work_task *tasks = xcalloc(w->n_tasks, sizeof(*tasks));
	struct work_input in = input_of(s, peer, tasks);
	const struct work_action *actions;
	size_t n;
	mono_ms wake;

	w->worked_at = in.now.mono;
	work_decide(w->work, &in, &actions, &n);
	sim_check_placement(s, peer, w->work);
	for (size_t i = 0; i < n; i++)
		carry_out(s, peer, &actions[i]);
	free(tasks);
	tasks = xcalloc(w->n_tasks, sizeof(*tasks));
	in = input_of(s, peer, tasks);
	wake = work_tell(w->work, &in);
	sim_count_named(s, peer);
	if (w->leaving && !w->left && work_may_go(w->work, &in))
		leave(s, peer);
	free(tasks);
	if (w->leaving)
		wake = MIN(wake, w->worked_at + LEAVE_LOOK);
	pass_at(s, peer, wake == MONO_NEVER ? wake : MAX(wake, w->worked_at + WORK_GAP));
	sim_drain(s, peer);
}

void on_work(struct sim *s, unsigned peer, uint64_t a, uint64_t b, const uint8_t *bytes, size_t len)
{
	struct sim_worker *w = &s->works->worker[peer];

	(void)b, (void)bytes, (void)len;
	if (a != w->alarm || !w->work)
		return; /* another, earlier one has been armed since */
	w->due = MONO_NEVER;
	if (trust_peer(gossip_trust(s->peer[peer].gossip), &s->peer[peer].key)) {
		pass(s, peer);
		return;
	}
	/* Evicted: others start its slots. */
	work_look_on(w->work, s->peer[peer].gossip, sim_peer_now(s, peer).mono);
	end_tasks(s, peer);
}
