/*
 * One pass of the agent: store -> view -> placement -> what this peer must do -> claims, facts, zone. Everything
 * decided here is decided by pure code; this file carries it out.
 */
#include "base/log.h"
#include "base/text.h"
#include "node/agent_parts.h"
#include "node/control/control.h"

#include <stdio.h>

/* Claims that change in a burst (a deployment starting its tasks) go out together, at most this late. */
#define PUBLISH_GAP 20

/* A peer that leaves looks this often, in ms, whether it is time: no record announces that. */
#define LEAVE_LOOK 100

/* How long, in ms, a new host's first facts wait for it to be ready. */
#define FIRST_FACTS_MS 2000

/* Passes at least this far apart, in ms: a storm of records costs one pass, not one each. */
#define WORK_GAP 4

static void set_work_timer(struct agent *a, mono_ms at);

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

/* --- own tasks and claims --- */

static struct claim claim_of(const struct agent *a, const struct runtime_task *t)
{
	struct claim c = {
	        .task = t->task,
	        .slot = t->slot,
	        .revision = t->revision,
	        .content = t->content,
	        .boot = a->boot,
	        .state = t->state,
	        .health = t->health,
	        .sight = reconcile_sight(a->reconcile),
	        .healthy_since = t->healthy_since,
	        .failures = t->failures,
	        .n_ports = (uint8_t)t->n_ports,
	};

	for (size_t i = 0; i < t->n_ports; i++) {
		c.ports[i].index = t->ports[i].index;
		c.ports[i].port = t->ports[i].port;
	}
	return c;
}

static struct own_task own_of(const struct runtime_task *t)
{
	return (struct own_task){
	        .task = t->task,
	        .slot = t->slot,
	        .stack = t->stack,
	        .revision = t->revision,
	        .content = t->content,
	        .state = t->state,
	        .health = t->health,
	        .healthy_at = t->healthy_at,
	        .stopping = t->stopping,
	};
}

struct own {
	size_t n;        /* tasks */
	size_t n_claims; /* tasks and refusals */
	struct own_task *tasks;
	struct claim *claims;
};

static void gather_own(struct agent *a, struct arena *arena, struct own *own)
{
	size_t n = runtime_tasks(a->runtime, NULL, 0);
	const struct runtime_task **t = arena_array(arena, n, sizeof(*t));

	own->n = MIN(n, runtime_tasks(a->runtime, t, n));
	own->tasks = arena_array(arena, own->n, sizeof(*own->tasks));
	own->claims = arena_array(arena, own->n + a->n_refusals, sizeof(*own->claims));
	for (size_t i = 0; i < own->n; i++) {
		own->tasks[i] = own_of(t[i]);
		own->claims[i] = claim_of(a, t[i]);
	}
	own->n_claims = own->n;
	for (size_t i = 0; i < a->n_refusals; i++)
		own->claims[own->n_claims++] = (struct claim){
		        .task = a->refusals[i].slot,
		        .slot = a->refusals[i].slot,
		        .revision = a->refusals[i].revision,
		        .content = a->refusals[i].content,
		        .boot = a->boot,
		        .state = TASK_REFUSED,
		};
}

/* --- carrying out --- */

static void refuse(struct agent *a, const struct placed_slot *slot, const struct service *s, const char *why)
{
	const struct view_stack *st = &a->view.stacks[slot->stack];

	log_warn("agent", "%s/%s/%u cannot start here: %s; another peer is asked", st->name, s->name, slot->index,
	        why);
	agent_refuse(a,
	        &(struct refusal){.slot = slot->slot, .content = service_content(s), .revision = st->revision_id},
	        why);
}

static void start(struct agent *a, const struct placed_slot *slot)
{
	const struct view_stack *st = &a->view.stacks[slot->stack];
	const struct service *s = &st->spec->services[slot->service];
	struct runtime_start what = {
	        .slot = slot->slot,
	        .revision = st->revision_id,
	        .stack = st->name,
	        .service = s,
	        .index = slot->index,
	};
	struct err err = {0};

	drbg_bytes(&a->rng, what.task_random, sizeof(what.task_random));
	if (!runtime_start(a->runtime, &what, &err))
		refuse(a, slot, s, err.text);
}

static void carry_out(struct agent *a, const struct reconcile_action *act)
{
	const struct placed_slot *slot;

	switch (act->kind) {
	case DO_START:
		start(a, &a->placement.slots[act->placed]);
		break;
	case DO_STOP:
		runtime_stop(a->runtime, act->task, act->why);
		break;
	case DO_CONFIRM:
		slot = &a->placement.slots[act->placed];
		runtime_confirm(a->runtime, act->task, a->view.stacks[slot->stack].revision_id);
		break;
	case DO_FORGET:
		runtime_forget(a->runtime, act->task);
		break;
	}
}

/* --- telling others --- */

/* Pages of an earlier boot that this one does not fill stay with others until they are published empty. */
struct stale_pages {
	const struct agent *agent;
	size_t n;
	char name[16][RECORD_NAME_MAX + 1]; /* the rest follows at the next pass */
};

static bool find_stale(const struct stored *s, void *ctx)
{
	struct stale_pages *p = ctx;

	if (key32_eq(&s->rec.author, &p->agent->keys.public_key) && s->rec.stamp >> 32 != p->agent->boot &&
	        s->rec.body_len > 1)
		text_copy(p->name[p->n++], sizeof(p->name[0]), s->rec.name);
	return p->n < ARRAY_LEN(p->name);
}

static void blank_stale_pages(struct agent *a)
{
	static const uint8_t no_claims;
	struct stale_pages p = {.agent = a};

	store_each(gossip_store(a->gossip), REC_STATUS, find_stale, &p);
	for (size_t i = 0; i < p.n; i++)
		gossip_publish(a->gossip, REC_STATUS, p.name[i], &no_claims, 1, agent_now(a));
}

static void publish_claims(struct agent *a, const struct own *own)
{
	struct now now = agent_now(a);
	char name[24];

	pager_set(a->pager, own->claims, own->n_claims);
	if (now.mono - a->published_at < PUBLISH_GAP) {
		set_work_timer(a, a->published_at + PUBLISH_GAP);
		return;
	}
	for (size_t i = 0; i < pager_pages(a->pager); i++) {
		bool changed;
		size_t len;
		const uint8_t *bytes = pager_page(a->pager, i, &len, &changed);

		if (!changed)
			continue;
		a->published_at = now.mono;
		snprintf(name, sizeof(name), "%zu", i);
		gossip_publish(a->gossip, REC_STATUS, name, bytes, len, now);
	}
	blank_stale_pages(a);
	agent_pump(a);
}

/* A host that was never here before says nothing of itself until it is ready, or has waited for long: others hold
 * who has said nothing for not ready anyway, and each signs and checks one record less. */
static bool facts_can_wait(struct agent *a)
{
	return a->boot == 1 && !gossip_ready(a->gossip) && agent_now(a).wall - a->started < FIRST_FACTS_MS;
}

void agent_publish_facts(struct agent *a)
{
	struct facts f = {
	        .name = a->cfg.name,
	        .version = STARLING_VERSION,
	        .arch = a->host.arch,
	        .os = a->host.os,
	        .cpu_milli = a->host.cpu_milli,
	        .memory = a->host.memory,
	        .drivers = 1u << DRIVER_EXEC,
	        .algorithm = PLACE_ALGORITHM,
	        .ready = gossip_ready(a->gossip) && !a->disk_full,
	        .adopted = a->adopted,
	        .started = a->started,
	        .n_addrs = 1,
	        .addrs = {a->advertise},
	        .n_labels = a->cfg.n_labels,
	        .labels = a->cfg.labels,
	};
	struct wr w;

	if (facts_can_wait(a)) {
		set_work_timer(a, agent_now(a).mono + FIRST_FACTS_MS);
		return;
	}
	f.addrs[0].port = 0;
	wr_init(&w, BODY_BYTES_MAX);
	facts_encode(&w, &f);
	/* A body equal to the last is not sent again. */
	gossip_publish(a->gossip, REC_FACTS, "", w.p, w.len, agent_now(a));
	wr_free(&w);
	agent_pump(a);
}

static void swap_zone(struct agent *a)
{
	struct addr ns = a->advertise;
	struct zone *z;

	if (!a->dns)
		return;
	ns.port = 0;
	z = view_zone(&a->view, &a->placement, ZONE_DEFAULT, &ns, a->zone_serial + 1);
	if (a->zone && zone_equal(a->zone, z)) {
		zone_unref(z);
		return;
	}
	a->zone_serial++;
	if (a->zone)
		zone_unref(a->zone);
	a->zone = z;
	dns_server_swap(a->dns, z);
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

/* --- the pass --- */

static void look(struct agent *a, struct own *own)
{
	arena_free(&a->arena);
	agent_take_refused(a);
	gather_own(a, &a->arena, own);
	viewer_build(a->viewer, a->gossip, &a->keys.public_key, own->claims, own->n_claims, &a->arena, &a->view);
	place(&a->view, &a->arena, &a->placement);
}

void agent_work(struct agent *a)
{
	bool ready = gossip_ready(a->gossip) && a->adopted;
	struct reconcile_action *actions;
	mono_ms wake = MONO_NEVER;
	struct own own;
	size_t n;

	a->worked_at = agent_now(a).mono;
	agent_watch_disk(a);
	if (agent_check_out(a)) {
		arena_free(&a->arena);
		viewer_build(a->viewer, a->gossip, &a->keys.public_key, NULL, 0, &a->arena, &a->view);
		a->view.self = SIZE_MAX; /* no member any more */
		place(&a->view, &a->arena, &a->placement);
		wake = agent_out_pass(a);
		drop_zone(a);
		control_changed(a->control);
		if (wake != MONO_NEVER)
			set_work_timer(a, wake);
		return;
	}
	agent_publish_facts(a);
	agent_expire_refusals(a);
	look(a, &own);
	if (a->leaving) {
		agent_leave_pass(a);
		publish_claims(a, &own);
		swap_zone(a);
		control_changed(a->control);
		if (!a->stopping)
			set_work_timer(a, a->worked_at + LEAVE_LOOK);
		return;
	}
	reconcile_run(a->reconcile, &a->view, &a->placement, own.tasks, own.n, ready, gossip_isolated(a->gossip),
	        a->worked_at, &a->arena, &actions, &n, &wake);
	for (size_t i = 0; i < n; i++)
		carry_out(a, &actions[i]);
	if (n) /* claims, answers and names must show what was just started and stopped */
		look(a, &own);
	if (agent_drop_old_refusals(a))
		agent_kick(a);
	publish_claims(a, &own);
	swap_zone(a);
	control_changed(a->control);
	wake = MIN(wake, MIN(agent_refusals_due(a), agent_watch_disk(a)));
	if (wake != MONO_NEVER)
		set_work_timer(a, MAX(wake, a->worked_at + WORK_GAP));
	if (ready && !a->said_ready) {
		a->said_ready = true;
		log_info("agent", "ready: peer %s of flock %s, %zu peers known", a->cfg.name,
		        trust_flock_name(gossip_trust(a->gossip)), a->view.n_members);
		a->ready(a->ready_ctx);
	}
}
