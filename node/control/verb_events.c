/* events: what happened, oldest first, and what happens from then on. Each peer tells of its own tasks; of peers and stacks
 * the one tells that the CLI speaks to (own: false), as it sees them. */
#include "base/text.h"
#include "node/control/row.h"
#include "node/events.h"

struct told {
	uint64_t seq; /* of the last one */
	wall_ms since;
	bool own;
	bool live;
	bool follow;
};

static const char *name_of(const struct agent *a, id64 id, struct arena *arena)
{
	for (size_t i = 0; i < a->view.n_members; i++)
		if (a->view.members[i].id == id)
			return view_member_name(&a->view, i, arena);
	return "";
}

static void say(struct call *c, const struct event *ev)
{
	const struct agent *a = c->agent;
	const struct runtime_task *t = ev->task && !ev->stack[0] ? runtime_get(a->runtime, ev->task) : NULL;
	const char *stack = t ? t->stack : ev->stack;
	bool of_task = ev->task && stack[0];
	struct arena arena;
	char time[25];
	struct wr w;

	arena_init(&arena);
	text_time(time, ev->at);
	wr_init(&w, 2048);
	pk_map(&w, 9);
	pk_kv_str(&w, "time", time);
	pk_kv_str(&w, "event", event_name(ev->kind));
	pk_str(&w, "stack");
	stack[0] ? pk_str(&w, stack) : pk_nil(&w);
	pk_str(&w, "service");
	of_task ? pk_str(&w, t ? t->service : ev->service) : pk_nil(&w);
	pk_str(&w, "slot");
	of_task ? pk_u64(&w, t ? t->index : ev->slot) : pk_nil(&w);
	if (ev->task)
		row_id(&w, "task", ev->task);
	else
		pk_kv_nil(&w, "task");
	pk_str(&w, "peer");
	ev->peer ? pk_str(&w, name_of(a, ev->peer, &arena)) : pk_nil(&w);
	pk_kv_str(&w, "text", ev->text);
	pk_kv_str(&w, "told_by",
	        a->view.n_members ? view_member_name(&a->view, a->view.self, &arena) : a->cfg.name);
	call_item(c, &w);
	wr_free(&w);
	arena_free(&arena);
}

static void tell(struct call *c)
{
	struct told *told = c->state;
	const struct event *ev;
	struct wr w;

	while (!call_is_closing(c) && call_queued(c) <= CALL_QUEUE_HIGH &&
	        (ev = events_after(c->agent->events, told->seq))) {
		told->seq = ev->seq;
		if (ev->at >= told->since && (!told->own || event_is_own(ev->kind)))
			say(c, ev);
	}
	if (call_is_closing(c) || call_queued(c) > CALL_QUEUE_HIGH || (told->follow && told->live))
		return;
	told->live = true;
	wr_init(&w, 64);
	pk_map(&w, 1);
	pk_kv_bool(&w, "live", true);
	if (told->follow)
		call_item(c, &w);
	else
		call_end(c, &w);
	wr_free(&w);
}

void verb_events(struct call *c)
{
	struct told *told = c->state;
	struct err err;
	uint64_t since;
	bool given;

	if (!told) {
		told = xcalloc(1, sizeof(*told));
		c->state = told;
		c->free_state = free;
		told->follow = c->watch;
		if (arg_u64(c, "since", &since, &given, &err) < 0 || arg_bool(c, "own", &told->own, &err) < 0) {
			call_fail(c, &err);
			return;
		}
		told->since = (wall_ms)since;
		c->drained = tell;
	}
	tell(c);
}
