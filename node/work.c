/* One pass: what is so, and what to do about it. */
#include "node/work.h"

#include "base/log.h"
#include "base/text.h"
#include "node/work_parts.h"

/* A revision older than this by its own stamp is not news, whenever it arrives: its slots wait like orphans. */
#define REVISION_NEWS SECONDS(60)

struct work *work_new(const struct key32 *self, const struct key32 *flock, const struct reconcile_config *timing)
{
	struct work *w = xcalloc(1, sizeof(*w));

	w->self = *self;
	w->viewer = viewer_new(flock);
	w->placer = placer_new();
	w->pager = pager_new();
	w->reconcile = reconcile_new(timing);
	w->wake = MONO_NEVER;
	arena_init(&w->arena);
	return w;
}

void work_free(struct work *w)
{
	if (!w)
		return;
	reconcile_free(w->reconcile);
	placer_free(w->placer);
	viewer_free(w->viewer);
	pager_free(w->pager);
	arena_free(&w->arena);
	free(w);
}

void work_on_record(struct work *w, const struct gossip *g, const struct key32 *id, struct now now)
{
	const struct stored *s = store_get(gossip_store(g), id);

	if (s && s->rec.kind == REC_REVISION)
		viewer_on_revision(w->viewer, id,
		        gossip_ready(g) && hlc_wall(s->rec.stamp) > now.wall - REVISION_NEWS, now.mono);
}

/* ---- looking ---- */

void work_look(struct work *w, const struct work_input *in)
{
	const struct claim *own;
	size_t n;

	arena_free(&w->arena);
	own = work_claims(w, in, &n);
	viewer_build(w->viewer, in->gossip, &w->self, own, n, in->now.mono, &w->arena, &w->view);
	w->wake = MIN(w->wake, viewer_due(w->viewer));
	placer_place(w->placer, &w->view, &w->arena, &w->placement);
	w->acted = false;
}

void work_look_on(struct work *w, const struct gossip *g, mono_ms now)
{
	w->n_refusals = 0;
	arena_free(&w->arena);
	viewer_build(w->viewer, g, &w->self, NULL, 0, now, &w->arena, &w->view);
	w->view.self = SIZE_MAX;
	placer_place(w->placer, &w->view, &w->arena, &w->placement);
}

const struct view *work_view(const struct work *w)
{
	return &w->view;
}

const struct placement *work_placement(const struct work *w)
{
	return &w->placement;
}

/* ---- deciding ---- */

/* Tasks that cannot start on this host become refusals; the others stay in *in. Returns how many became one. */
static size_t take_refused(struct work *w, struct work_input *in, struct work_task *kept, id64 *dropped)
{
	size_t n = 0, n_kept = 0;

	for (size_t i = 0; i < in->n_tasks; i++) {
		const struct work_task *t = &in->tasks[i];
		const struct refusal r = {
		        .slot = t->own.slot, .content = t->own.content, .revision = t->own.revision};

		if (!t->refused || !work_note_refusal(w, &r, t->reason, in->now.mono)) {
			kept[n_kept++] = *t;
			continue;
		}
		log_warn("agent", "%s/%s/%u cannot start here: %s; another peer is asked", t->own.stack,
		        t->service, t->index, t->reason);
		dropped[n++] = t->own.task;
	}
	in->tasks = kept;
	in->n_tasks = n_kept;
	return n;
}

/* Nothing here can say which of the two is right: an operator has to look. */
static void say_disputed(const struct work_action *a, id64 peer)
{
	char id[17];

	id64_text(id, peer);
	log_warn("agent",
	        "disputed: peer %s claims %s/%s/%u, which this peer has served all along; both go on. Look at that peer "
	        "(`starling ps`, its log), and evict it if it is not to be trusted",
	        id, a->stack, a->service->name, a->index);
}

static struct work_action action_of(const struct work *w, const struct reconcile_action *r)
{
	struct work_action a = {.kind = r->kind, .task = r->task, .slot = r->slot, .why = r->why};

	if (r->kind != DO_STOP && r->kind != DO_FORGET) {
		const struct placed_slot *slot = &w->placement.slots[r->placed];
		const struct view_stack *st = &w->view.stacks[slot->stack];

		a.slot = slot->slot;
		a.revision = st->revision_id;
		a.stack = st->name;
		a.service = &st->spec->services[slot->service];
		a.index = slot->index;
	}
	return a;
}

static void decide(struct work *w, const struct work_input *in, struct reconcile_action **acts, size_t *n)
{
	struct own_task *own = arena_array(&w->arena, in->n_tasks, sizeof(*own));
	bool ready = gossip_ready(in->gossip) && w->found;
	mono_ms wake;

	/* Tasks that are found again are seen before this peer is ready, however late that is: it has not seen what
	 * others did meanwhile, and its claims have to say so. */
	if (in->adopted && !w->found) {
		w->found = true;
		w->wake = in->now.mono;
	}
	for (size_t i = 0; i < in->n_tasks; i++)
		own[i] = in->tasks[i].own;
	reconcile_run(w->reconcile, &w->view, &w->placement, own, in->n_tasks, ready, gossip_isolated(in->gossip),
	        in->now.mono, &w->arena, acts, n, &wake);
	w->wake = MIN(w->wake, wake);
}

void work_decide(
        struct work *w, const struct work_input *input, const struct work_action **actions, size_t *n_actions)
{
	cleanup_free struct work_task *kept = xcalloc(input->n_tasks, sizeof(*kept));
	cleanup_free id64 *dropped = xcalloc(input->n_tasks, sizeof(*dropped));
	struct work_input in = *input;
	struct reconcile_action *acts = NULL;
	struct work_action *out;
	size_t n_dropped, n = 0, k = 0;

	w->wake = work_publish_facts(&in);
	work_expire_refusals(w, in.now.mono);
	n_dropped = take_refused(w, &in, kept, dropped);
	work_look(w, &in);
	if (!in.left)
		decide(w, &in, &acts, &n);
	out = arena_array(&w->arena, 2 * n_dropped + n, sizeof(*out));
	for (size_t i = 0; i < n_dropped; i++) {
		out[k++] =
		        (struct work_action){.kind = DO_STOP, .task = dropped[i], .why = "another peer is asked"};
		out[k++] = (struct work_action){.kind = DO_FORGET, .task = dropped[i]};
	}
	for (size_t i = 0; i < n; i++) {
		out[k] = action_of(w, &acts[i]);
		if (acts[i].kind == DO_REFUSE)
			work_refuse(w, &out[k], acts[i].why, in.now.mono);
		else if (acts[i].kind == DO_DISPUTE)
			say_disputed(&out[k], acts[i].peer);
		else
			k++;
	}
	w->acted = k > 0;
	*actions = out;
	*n_actions = k;
}
