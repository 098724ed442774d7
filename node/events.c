#include "node/events.h"

#include "base/map.h"
#include "base/text.h"
#include "node/runtime/signals.h"
#include "node/runtime/supervise.h"

struct seen_task {
	id64 task;
	enum task_state state;
	enum task_health health;
	uint32_t restarts;
	bool ran, refused;
	id64 handover_to;
};

struct seen_member {
	id64 id;
	enum view_state state;
	bool draining;
	bool met; /* it was alive once, as far as we know */
	uint32_t round;
};

struct seen_stack {
	char name[NAME_MAX_BYTES]; /* the rest is zero */
	id64 revision;
	bool removed;
	uint32_t round;
};

struct events {
	uint64_t seq; /* of the newest */
	struct event *ring;
	struct map tasks, members, stacks;
	uint32_t round;
	bool begun;
};

const char *event_name(enum event_kind k)
{
	static const char *const names[] = {
	        [EVENT_STARTED] = "started",
	        [EVENT_RESTARTED] = "restarted",
	        [EVENT_HEALTHY] = "healthy",
	        [EVENT_UNHEALTHY] = "unhealthy",
	        [EVENT_EXITED] = "exited",
	        [EVENT_OOM] = "oom",
	        [EVENT_REFUSED] = "refused",
	        [EVENT_STOPPING] = "stopping",
	        [EVENT_MOVED] = "moved",
	        [EVENT_DISPUTED] = "disputed",
	        [EVENT_JOINED] = "joined",
	        [EVENT_SUSPECT] = "suspect",
	        [EVENT_DEAD] = "dead",
	        [EVENT_LEFT] = "left",
	        [EVENT_BACK] = "back",
	        [EVENT_EVICTED] = "evicted",
	        [EVENT_DRAINING] = "draining",
	        [EVENT_RESUMED] = "resumed",
	        [EVENT_DEPLOYED] = "deployed",
	        [EVENT_REMOVED] = "removed",
	};

	return names[k];
}

bool event_is_own(enum event_kind k)
{
	return k < EVENT_JOINED;
}

struct events *events_new(void)
{
	struct events *e = xcalloc(1, sizeof(*e));

	e->ring = xcalloc(EVENTS_MAX, sizeof(*e->ring));
	map_init(&e->tasks, sizeof(id64), NULL);
	map_init(&e->members, sizeof(id64), NULL);
	map_init(&e->stacks, NAME_MAX_BYTES, NULL);
	return e;
}

static void map_drop(struct map *m)
{
	map_each (m, v)
		free(v);
	map_free(m);
}

void events_free(struct events *e)
{
	if (!e)
		return;
	map_drop(&e->tasks);
	map_drop(&e->members);
	map_drop(&e->stacks);
	free(e->ring);
	free(e);
}

static struct event *add(struct events *e, enum event_kind kind, wall_ms now)
{
	struct event *ev = &e->ring[e->seq % EVENTS_MAX];

	*ev = (struct event){.seq = ++e->seq, .at = now, .kind = kind};
	return ev;
}

const struct event *events_after(const struct events *e, uint64_t seq)
{
	uint64_t oldest = e->seq > EVENTS_MAX ? e->seq - EVENTS_MAX : 0;

	seq = MAX(seq, oldest);
	return seq < e->seq ? &e->ring[seq % EVENTS_MAX] : NULL;
}

/* ---- tasks ---- */

static void of_task(
        struct events *e, enum event_kind kind, const struct runtime_task *t, const char *text, wall_ms now)
{
	struct event *ev = add(e, kind, now);

	text_copy(ev->stack, sizeof(ev->stack), t->stack);
	text_copy(ev->service, sizeof(ev->service), t->service);
	ev->slot = t->index;
	ev->task = t->task;
	text_copy(ev->text, sizeof(ev->text), text);
}

static bool runs(enum task_state s)
{
	return s == TASK_RUNNING || s == TASK_UNHEALTHY;
}

/* How its last process ended. Its reason may speak of the next one already. */
static void say_exit(struct events *e, const struct runtime_task *t, wall_ms now)
{
	char text[160];

	if (t->state == TASK_BACKOFF || supervise_ended(t->state))
		text_copy(text, sizeof(text), t->reason);
	else if (t->exit_signal)
		snprintf(text, sizeof(text), "killed by %s", signal_name(t->exit_signal));
	else
		snprintf(text, sizeof(text), "exit code %d", t->exit_code);
	of_task(e, t->oom ? EVENT_OOM : EVENT_EXITED, t, text, now);
}

void events_task(struct events *e, const struct runtime_task *t, wall_ms now)
{
	struct seen_task *was = map_get(&e->tasks, &t->task);
	struct seen_task fresh = {.task = t->task, .state = TASK_PENDING};
	bool checked = t->spec && t->spec->check.kind != CHECK_NONE;

	if (!was) {
		was = xmemdup(&fresh, sizeof(fresh));
		map_put(&e->tasks, &was->task, was);
	}
	/* Both may have happened since: it ended, and runs again. */
	if (t->exited && (runs(was->state) || was->state == TASK_STOPPING) && t->state != TASK_STOPPING &&
	        (!runs(t->state) || t->restarts != was->restarts))
		say_exit(e, t, now);
	if (runs(t->state) && (!runs(was->state) || t->restarts != was->restarts)) {
		of_task(e, was->ran ? EVENT_RESTARTED : EVENT_STARTED, t, "", now);
		was->ran = true;
	}
	if (checked && t->health == HEALTH_HEALTHY && was->health != HEALTH_HEALTHY)
		of_task(e, EVENT_HEALTHY, t, "", now);
	if (t->health == HEALTH_UNHEALTHY && was->health != HEALTH_UNHEALTHY)
		of_task(e, EVENT_UNHEALTHY, t, t->reason, now);
	if (t->state == TASK_STOPPING && was->state != TASK_STOPPING)
		of_task(e, EVENT_STOPPING, t, t->reason, now);
	if (t->refused && !was->refused)
		of_task(e, EVENT_REFUSED, t, t->reason, now);
	was->state = t->state;
	was->health = t->health;
	was->restarts = t->restarts;
	was->refused = t->refused;
}

void events_task_gone(struct events *e, id64 task)
{
	free(map_del(&e->tasks, &task));
}

void events_disputed(struct events *e, const struct runtime_task *t, const char *why, wall_ms now)
{
	of_task(e, EVENT_DISPUTED, t, why, now);
}

/* ---- the flock ---- */

static void of_member(struct events *e, enum event_kind kind, id64 id, wall_ms now)
{
	add(e, kind, now)->peer = id;
}

static void look_at_member(struct events *e, const struct view_member *m, bool tell, wall_ms now)
{
	static const enum event_kind to[] = {
	        [VIEW_ALIVE] = EVENT_BACK,
	        [VIEW_SUSPECT] = EVENT_SUSPECT,
	        [VIEW_DEAD] = EVENT_DEAD,
	        [VIEW_LEFT] = EVENT_LEFT,
	};
	struct seen_member *was = map_get(&e->members, &m->id);

	if (!was) {
		/* One that is admitted and not heard of yet counts as dead. */
		struct seen_member fresh = {.id = m->id, .state = VIEW_DEAD, .draining = m->draining};

		was = xmemdup(&fresh, sizeof(fresh));
		map_put(&e->members, &was->id, was);
	}
	if (tell && m->state != was->state && (was->met || m->state == VIEW_ALIVE))
		of_member(e, was->met ? to[m->state] : EVENT_JOINED, m->id, now);
	was->met |= m->state == VIEW_ALIVE || !e->begun;
	if (tell && m->draining != was->draining)
		of_member(e, m->draining ? EVENT_DRAINING : EVENT_RESUMED, m->id, now);
	was->state = m->state;
	was->draining = m->draining;
	was->round = e->round;
}

static void of_stack(struct events *e, enum event_kind kind, const char *name, id64 revision, wall_ms now)
{
	struct event *ev = add(e, kind, now);
	char id[17];

	text_copy(ev->stack, sizeof(ev->stack), name);
	id64_text(id, revision);
	if (revision)
		snprintf(ev->text, sizeof(ev->text), "revision %s", id);
}

static void look_at_stack(struct events *e, const struct view_stack *s, bool tell, wall_ms now)
{
	char key[NAME_MAX_BYTES] = {0};
	struct seen_stack *was;

	text_copy(key, sizeof(key), s->name);
	was = map_get(&e->stacks, key);
	if (!was) {
		was = xcalloc(1, sizeof(*was));
		memcpy(was->name, key, sizeof(key));
		was->removed = true;
		map_put(&e->stacks, was->name, was);
	}
	if (tell && s->removed && !was->removed)
		of_stack(e, EVENT_REMOVED, s->name, s->revision_id, now);
	else if (tell && !s->removed && (was->removed || s->revision_id != was->revision))
		of_stack(e, EVENT_DEPLOYED, s->name, s->revision_id, now);
	was->revision = s->revision_id;
	was->removed = s->removed;
	was->round = e->round;
}

/* Members and stacks that the view no longer has. */
static void look_for_gone(struct events *e, bool tell, wall_ms now)
{
	struct seen_member *member;
	struct seen_stack *stack;

	do {
		member = NULL;
		map_each (&e->members, v)
			if (((struct seen_member *)v)->round != e->round)
				member = v;
		if (member) {
			if (tell)
				of_member(e, EVENT_EVICTED, member->id, now);
			free(map_del(&e->members, &member->id));
		}
	} while (member);
	do {
		stack = NULL;
		map_each (&e->stacks, v)
			if (((struct seen_stack *)v)->round != e->round)
				stack = v;
		if (stack) {
			if (tell && !stack->removed)
				of_stack(e, EVENT_REMOVED, stack->name, 0, now);
			free(map_del(&e->stacks, stack->name));
		}
	} while (stack);
}

static void look_at_claims(struct events *e, const struct view *v, wall_ms now)
{
	for (size_t i = 0; i < v->n_claims; i++) {
		const struct claim *c = &v->claims[i].c;
		struct seen_task *was = v->claims[i].member == v->self ? map_get(&e->tasks, &c->task) : NULL;
		struct event *ev;

		if (!was || c->handover_to == was->handover_to)
			continue;
		was->handover_to = c->handover_to;
		if (!c->handover_to)
			continue;
		ev = add(e, EVENT_MOVED, now);
		ev->task = c->task;
		ev->peer = c->handover_to;
	}
}

void events_look(struct events *e, const struct view *v, bool ready, wall_ms now)
{
	bool tell = e->begun;

	e->round++;
	for (size_t i = 0; i < v->n_members; i++)
		if (i != v->self)
			look_at_member(e, &v->members[i], tell, now);
		else
			look_at_member(e, &v->members[i], tell && v->members[i].state == VIEW_ALIVE, now);
	for (size_t i = 0; i < v->n_stacks; i++)
		look_at_stack(e, &v->stacks[i], tell, now);
	look_for_gone(e, tell, now);
	look_at_claims(e, v, now);
	e->begun |= ready;
}
