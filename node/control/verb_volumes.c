/*
 * volumes: which peer has which folder, as the peers' facts say, and which services of the stack name it. volume_rm: deletes
 * one of this peer; the request is signed by an operator that may deploy the stack.
 */
#include "base/log.h"
#include "base/text.h"
#include "node/control/row.h"
#include "node/runtime/volumes.h"

static bool names_volume(const struct service *s, const char *name)
{
	for (size_t i = 0; i < s->n_volumes; i++)
		if (strcmp(s->volumes[i], name) == 0)
			return true;
	return false;
}

static const struct spec *wanted(const struct view *v, const char *stack)
{
	for (size_t i = 0; i < v->n_stacks; i++)
		if (strcmp(v->stacks[i].name, stack) == 0)
			return v->stacks[i].removed ? NULL : v->stacks[i].spec;
	return NULL;
}

/* The services that name it; NULL spec: none. */
static void pack_users(struct wr *w, const struct spec *spec, const char *name)
{
	uint32_t n = 0;

	for (size_t i = 0; spec && i < spec->n_services; i++)
		n += names_volume(&spec->services[i], name);
	pk_str(w, "services");
	pk_array(w, n);
	for (size_t i = 0; spec && i < spec->n_services; i++)
		if (names_volume(&spec->services[i], name))
			pk_str(w, spec->services[i].name);
}

static void pack_volume(struct rows *r, struct agent *a, struct arena *arena, size_t member, const char *full)
{
	const struct view_member *m = &a->view.members[member];
	const char *name = strchr(full, '/');
	const char *stack;

	if (!name)
		return;
	stack = arena_printf(arena, "%.*s", (int)(name - full), full);
	pk_map(&r->w, 7);
	pk_kv_str(&r->w, "volume", full);
	pk_kv_str(&r->w, "stack", stack);
	pk_kv_str(&r->w, "name", name + 1);
	row_id(&r->w, "peer", m->id);
	pk_kv_str(&r->w, "peer_name", view_member_name(&a->view, member, arena));
	pk_kv_bool(&r->w, "reachable", member == a->view.self || m->state != VIEW_DEAD);
	pack_users(&r->w, wanted(&a->view, stack), name + 1);
	rows_end(r);
}

void verb_volumes(struct call *c)
{
	const struct view *v = &c->agent->view;
	struct arena arena;
	struct rows r;

	arena_init(&arena);
	rows_init(&r);
	for (size_t i = 0; i < v->n_members; i++) {
		const struct facts *f = v->members[i].facts;

		for (size_t k = 0; f && k < f->n_volumes; k++)
			pack_volume(&r, c->agent, &arena, i, f->volumes[k]);
	}
	call_rows(c, &r);
	rows_free(&r);
	arena_free(&arena);
}

/* Refused while something of the stack counts on it. */
static int check_unused(struct agent *a, const char *stack, const char *name, struct err *err)
{
	size_t n = runtime_tasks(a->runtime, NULL, 0);
	const struct runtime_task **tasks = xcalloc(n + 1, sizeof(*tasks));
	const struct spec *spec = wanted(&a->view, stack);
	int rc = 0;

	runtime_tasks(a->runtime, tasks, n);
	for (size_t i = 0; i < n && rc == 0; i++)
		if (!tasks[i]->exited && strcmp(tasks[i]->stack, stack) == 0 &&
		        names_volume(tasks[i]->spec, name))
			rc = err_set(err, ERR_FAILED,
			        "volume %s/%s: a task of %s/%s uses it on peer %s; stop that first, or say --force",
			        stack, name, stack, tasks[i]->service, a->cfg.name);
	for (size_t i = 0; spec && i < spec->n_services && rc == 0; i++)
		if (names_volume(&spec->services[i], name))
			rc = err_set(err, ERR_FAILED,
			        "volume %s/%s: service %s of the stack wants it, and would start without its data; remove the "
			        "stack first, or say --force",
			        stack, name, spec->services[i].name);
	free(tasks);
	return rc;
}

void verb_volume_rm(struct call *c)
{
	struct agent *a = c->agent;
	char stack[NAME_MAX_BYTES], name[NAME_MAX_BYTES];
	bool given, named, force;
	struct err err = {0};
	struct wr w;

	if (arg_text(c, "stack", stack, sizeof(stack), &given, &err) < 0 ||
	        arg_text(c, "name", name, sizeof(name), &named, &err) < 0 ||
	        arg_bool(c, "force", &force, &err) < 0) {
		call_fail(c, &err);
		return;
	}
	if (!given || !named)
		err_set(&err, ERR_USAGE, "volume rm: a stack and a name are needed");
	else if (!call_may_deploy(gossip_trust(a->gossip), &c->key, stack, 0))
		err_set(&err, ERR_UNAUTHORISED,
		        "volume rm: this key may not deploy stack %s; ask an admin for `starling key grant`",
		        stack);
	else if (force || check_unused(a, stack, name, &err) == 0)
		volume_discard(a->cfg.data_dir, stack, name, &err);
	if (err.code) {
		call_fail(c, &err);
		return;
	}
	log_info("volumes", "%s/%s is removed, as an operator asked", stack, name);
	agent_sweep_volumes(a);
	a->volumes_stale = true;
	agent_kick(a);
	wr_init(&w, 16);
	pk_map(&w, 0);
	call_end(c, &w);
	wr_free(&w);
}
