/*
 * The edge of a pass: gathers what node/work starts from, carries out what it says, and swaps the zone. Everything
 * is decided in node/work, which is pure.
 */
#include "base/log.h"
#include "base/text.h"
#include "node/agent_parts.h"
#include "node/control/control.h"
#include "node/events.h"

/* A peer that leaves looks this often, in ms, whether it is time: no record announces that. */
#define LEAVE_LOOK 100

/* Passes at least this far apart, in ms: a storm of records costs one pass, not one each. */
#define WORK_GAP 4

static void on_work(uv_timer_t *t)
{
	struct agent *a = t->data;

	a->work_due = MONO_NEVER;
	agent_work(a);
}

static void set_work_timer(struct agent *a, mono_ms at)
{
	mono_ms now = agent_now(a).mono;

	if (a->stopping || at >= a->work_due)
		return;
	a->work_due = at;
	uv_timer_start(&a->work_timer, on_work, (uint64_t)MAX(at - now, 0), 0);
}

void agent_kick(struct agent *a)
{
	set_work_timer(a, MAX(agent_now(a).mono, a->worked_at + WORK_GAP));
}

/* ---- what a pass starts from ---- */

static struct work_task task_of(const struct runtime_task *t)
{
	struct work_task w = {
	        .own = {.task = t->task,
	                .slot = t->slot,
	                .stack = t->stack,
	                .revision = t->revision,
	                .content = t->content,
	                .state = t->state,
	                .health = t->health,
	                .healthy_at = t->healthy_at,
	                .takes = t->spec,
	                .failures = t->failures,
	                .alone = t->alone,
	                .stopping = t->stopping},
	        .service = t->service,
	        .index = t->index,
	        .healthy_since = t->healthy_since,
	        .refused = t->refused,
	        .reason = t->reason,
	        .n_ports = t->n_ports,
	};

	for (size_t i = 0; i < t->n_ports; i++) {
		w.ports[i].index = t->ports[i].index;
		w.ports[i].port = t->ports[i].port;
	}
	return w;
}

static const struct facts *facts_of(struct agent *a)
{
	struct facts *f = arena_alloc(&a->arena, sizeof(*f));

	if (a->volumes_stale)
		agent_look_at_volumes(a);

	*f = (struct facts){
	        .name = a->cfg.name,
	        .version = STARLING_VERSION,
	        .arch = a->host.arch,
	        .os = a->host.os,
	        .cpu_milli = a->host.cpu_milli,
	        .memory = a->host.memory,
	        .n_generic = a->cfg.n_generic,
	        .generic = a->cfg.generic,
	        .n_volumes = a->n_volumes,
	        .volumes = a->volumes,
	        .drivers = a->runtime ? runtime_drivers(runtime_host(a->runtime)) : 0,
	        .n_addrs = 1,
	        .addrs = {a->advertise},
	        .n_labels = a->cfg.n_labels,
	        .labels = a->cfg.labels,
	};
	f->addrs[0].port = 0;
	return f;
}

static struct work_input input_of(struct agent *a)
{
	size_t n = a->runtime ? runtime_tasks(a->runtime, NULL, 0) : 0;
	const struct runtime_task **t = arena_array(&a->arena, n, sizeof(*t));
	struct work_task *tasks = arena_array(&a->arena, n, sizeof(*tasks));

	if (n)
		n = MIN(n, runtime_tasks(a->runtime, t, n));
	for (size_t i = 0; i < n; i++)
		tasks[i] = task_of(t[i]);
	return (struct work_input){
	        .gossip = a->gossip,
	        .now = agent_now(a),
	        .boot = a->boot,
	        .started = a->started,
	        .n_tasks = n,
	        .tasks = tasks,
	        .host = facts_of(a),
	        .adopted = a->adopted,
	        .disk_full = a->disk_full,
	        .held_back = agent_held_back(a) != MONO_NEVER,
	        .leaving = a->leaving,
	        .left = a->left,
	};
}

/* ---- carrying out ---- */

static void start(struct agent *a, const struct work_action *act)
{
	struct runtime_start what = {
	        .slot = act->slot,
	        .revision = act->revision,
	        .stack = act->stack,
	        .service = act->service,
	        .index = act->index,
	};
	struct err err = {0};

	drbg_bytes(&a->rng, what.task_random, sizeof(what.task_random));
	if (runtime_start(a->runtime, &what, &err))
		return;
	work_refuse(a->work, act, err.text, a->worked_at);
	agent_look_at_disk(a);
}

static void carry_out(struct agent *a, const struct work_action *act)
{
	switch (act->kind) {
	case DO_START:
		start(a, act);
		break;
	case DO_STOP:
		runtime_stop(a->runtime, act->task, act->why);
		break;
	case DO_CONFIRM:
		runtime_confirm(a->runtime, act->task, act->revision);
		break;
	case DO_FORGET:
		runtime_forget(a->runtime, act->task);
		events_task_gone(a->events, act->task);
		break;
	case DO_DISPUTE:
		if (runtime_get(a->runtime, act->task))
			events_disputed(
			        a->events, runtime_get(a->runtime, act->task), act->why, agent_now(a).wall);
		break; /* node/work has seen to the rest */
	case DO_REFUSE:
		break;
	}
}

/* Tasks that could not start may have met a full disk. */
static void look_at_disk_if_refused(struct agent *a, const struct work_input *in)
{
	for (size_t i = 0; i < in->n_tasks; i++)
		if (in->tasks[i].refused) {
			agent_look_at_disk(a);
			return;
		}
}

/* ---- telling others ---- */

static void swap_zone(struct agent *a)
{
	struct addr ns = a->advertise;
	struct key32 hash;

	if (!a->dns)
		return;
	ns.port = 0;
	view_zone_hash(&a->view, &a->placement, &ns, &hash);
	if (a->zone && key32_eq(&hash, &a->zone_hash))
		return;
	if (a->zone)
		zone_unref(a->zone);
	a->zone = view_zone(&a->view, &a->placement, ZONE_DEFAULT, &ns, ++a->zone_serial);
	a->zone_hash = hash;
	dns_server_swap(a->dns, a->zone);
}

/* What a peer that is out knows grows old: SERVFAIL sends resolvers to another server. */
static void drop_zone(struct agent *a)
{
	if (!a->zone)
		return;
	zone_unref(a->zone);
	a->zone = NULL;
	dns_server_swap(a->dns, NULL);
}

/* ---- the pass ---- */

static void show(struct agent *a)
{
	a->view = *work_view(a->work);
	a->placement = *work_placement(a->work);
}

static void pass_of_outsider(struct agent *a)
{
	mono_ms wake;

	work_look_on(a->work, a->gossip, agent_now(a).mono);
	show(a);
	wake = agent_out_pass(a);
	drop_zone(a);
	control_changed(a->control);
	if (wake != MONO_NEVER)
		set_work_timer(a, wake);
}

static void say_ready(struct agent *a)
{
	if (!gossip_ready(a->gossip) || !a->adopted || a->said_ready)
		return;
	a->said_ready = true;
	log_info("agent", "ready: peer %s of flock %s, %zu peers known", a->cfg.name,
	        trust_flock_name(gossip_trust(a->gossip)), a->view.n_members);
	a->ready(a->ready_ctx);
}

void agent_work(struct agent *a)
{
	const struct work_action *actions;
	struct work_input in;
	mono_ms wake;
	size_t n;

	a->worked_at = agent_now(a).mono;
	arena_free(&a->arena);
	agent_watch_disk(a);
	if (agent_check_out(a)) {
		pass_of_outsider(a);
		return;
	}
	in = input_of(a);
	look_at_disk_if_refused(a, &in);
	work_decide(a->work, &in, &actions, &n);
	show(a);
	for (size_t i = 0; i < n; i++)
		carry_out(a, &actions[i]);
	if (a->left)
		agent_leave_pass(a);
	in = input_of(a);
	wake = work_tell(a->work, &in);
	show(a);
	events_look(a->events, &a->view, a->said_ready, agent_now(a).wall);
	if (a->leaving && !a->left)
		agent_leave_look(a, &in);
	agent_pump(a);
	swap_zone(a);
	control_changed(a->control);
	if (a->leaving)
		wake = MIN(wake, a->worked_at + LEAVE_LOOK);
	wake = MIN(wake, MIN(agent_watch_disk(a), agent_held_back(a)));
	if (wake != MONO_NEVER && !a->stopping)
		set_work_timer(a, MAX(wake, a->worked_at + WORK_GAP));
	if (!a->leaving)
		say_ready(a);
}
