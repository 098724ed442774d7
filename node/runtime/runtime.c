/* The front door: makes, finds, stops and forgets tasks. The tasks themselves live in task.c. */
#include "base/log.h"
#include "base/text.h"
#include "node/runtime/engine.h"
#include "node/runtime/task.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void on_notify(uv_timer_t *timer);

static int open_folder(struct runtime *rt, struct err *err)
{
	char path[4096];

	if ((size_t)snprintf(path, sizeof(path), "%s/tasks", rt->cfg.data_dir) >= sizeof(path))
		return err_set(err, ERR_USAGE, "data folder %s: its path is too long", rt->cfg.data_dir);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "make %s", path);
	rt->tasks_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return rt->tasks_fd < 0 ? err_errno(err, "open %s", path) : 0;
}

struct runtime *runtime_new(
        uv_loop_t *loop, const struct runtime_config *cfg, runtime_changed *changed, void *ctx, struct err *err)
{
	struct runtime *rt = xcalloc(1, sizeof(*rt));
	uint8_t seed[32];

	rt->loop = loop;
	rt->cfg = *cfg;
	rt->cfg.data_dir = xstrdup(cfg->data_dir);
	rt->cfg.self_exe = xstrdup(cfg->self_exe);
	rt->cfg.engine_socket = cfg->engine_socket ? xstrdup(cfg->engine_socket) : NULL;
	rt->changed = changed;
	rt->ctx = ctx;
	if (open_folder(rt, err) < 0 || uv_random(NULL, NULL, seed, sizeof(seed), 0, NULL) < 0) {
		if (rt->tasks_fd > 0)
			err_set(err, ERR_FAILED, "the kernel gives no random numbers");
		free((char *)rt->cfg.data_dir);
		free((char *)rt->cfg.self_exe);
		free((char *)rt->cfg.engine_socket);
		free(rt);
		return NULL;
	}
	drbg_init(&rt->rng, seed);
	boot_id_read(rt->boot_id);
	ports_init(&rt->ports, cfg->port_first, cfg->port_last);
	cgroup_detect(&rt->cgroups, CGROUP_ROOT, geteuid() == 0);
	if (rt->cgroups.why[0])
		log_info("task",
		        "limits of cpu, memory or processes: %s; services that ask for such a limit are refused",
		        rt->cgroups.why);
	rt->cfg.engines = engines_new(loop, &rt->cfg);
	uv_timer_init(loop, &rt->notify);
	rt->notify.data = rt;
	rt->handles = 1;
	return rt;
}

void runtime_set_address(struct runtime *rt, const struct addr *address)
{
	rt->cfg.address = *address;
	rt->cfg.address.port = 0;
	/* Names lead to the new address: a task that answers at the old one alone is to be found out. */
	for (size_t i = 0; i < rt->n_tasks; i++)
		if (rt->tasks[i]->health) {
			task_unwatch(rt->tasks[i]);
			task_watch(rt->tasks[i]);
		}
}

bool runtime_may_exec_as_root(void)
{
	return geteuid() == 0;
}

/* ---- the list ---- */

/* Where id stands, or would. */
static size_t position(const struct runtime *rt, id64 id)
{
	size_t lo = 0, hi = rt->n_tasks;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (rt->tasks[mid]->pub.task < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct task *runtime_find(const struct runtime *rt, id64 id)
{
	size_t at = position(rt, id);

	return at < rt->n_tasks && rt->tasks[at]->pub.task == id ? rt->tasks[at] : NULL;
}

int runtime_add(struct runtime *rt, struct task *t, struct err *err)
{
	size_t at = position(rt, t->pub.task);

	if (rt->n_tasks == TASKS_MAX)
		return err_set(err, ERR_UNPLACEABLE, "this peer holds %d tasks already, the most that it can",
		        TASKS_MAX);
	memmove(rt->tasks + at + 1, rt->tasks + at, (rt->n_tasks - at) * sizeof(rt->tasks[0]));
	rt->tasks[at] = t;
	rt->n_tasks++;
	return 0;
}

static void remove_task(struct runtime *rt, struct task *t)
{
	size_t at = position(rt, t->pub.task);

	memmove(rt->tasks + at, rt->tasks + at + 1, (rt->n_tasks - at - 1) * sizeof(rt->tasks[0]));
	rt->n_tasks--;
}

const struct runtime_task *runtime_get(const struct runtime *rt, id64 id)
{
	struct task *t = runtime_find(rt, id);

	return t ? &t->pub : NULL;
}

size_t runtime_tasks(const struct runtime *rt, const struct runtime_task **out, size_t max)
{
	for (size_t i = 0; i < rt->n_tasks && i < max; i++)
		out[i] = &rt->tasks[i]->pub;
	return rt->n_tasks;
}

/* ---- telling the agent ---- */

void runtime_note(struct task *t)
{
	t->changed = true;
	if (!t->rt->detached)
		uv_timer_start(&t->rt->notify, on_notify, 0, 0);
}

/* From the loop and never from within a call of the agent's, which may be in the middle of reading tasks. The agent
 * may start, stop and forget tasks in the callback, so each round looks for the next one afresh. */
static void on_notify(uv_timer_t *timer)
{
	struct runtime *rt = timer->data;
	id64 ids[TASKS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < rt->n_tasks; i++)
		if (rt->tasks[i]->changed) {
			rt->tasks[i]->changed = false;
			ids[n++] = rt->tasks[i]->pub.task;
		}
	for (size_t i = 0; i < n && !rt->detached; i++)
		rt->changed(rt->ctx, ids[i]);
}

/* ---- requests ---- */

static id64 read_id(const uint8_t bytes[8])
{
	id64 id = 0;

	for (int i = 0; i < 8; i++)
		id = id << 8 | bytes[i];
	return id;
}

static int may_start(
        struct runtime *rt, const struct runtime_start *s, const struct driver **driver, struct err *err)
{
	id64 id = read_id(s->task_random);

	if (!id || runtime_find(rt, id))
		return err_set(err, ERR_FAILED, "%s/%s: the task's id is taken", s->stack, s->service->name);
	if (rt->n_tasks == TASKS_MAX)
		return err_set(err, ERR_UNPLACEABLE, "this peer holds %d tasks already, the most that it can",
		        TASKS_MAX);
	*driver = driver_for(&rt->cfg, s->service, err);
	return *driver ? (*driver)->accept(&rt->cfg, &rt->cgroups, s->service, err) : -1;
}

id64 runtime_start(struct runtime *rt, const struct runtime_start *s, struct err *err)
{
	const struct driver *driver = NULL;
	struct task *t;

	if (rt->detached) {
		err_set(err, ERR_FAILED, "%s/%s: the agent is going down", s->stack, s->service->name);
		return 0;
	}
	if (may_start(rt, s, &driver, err) < 0)
		return 0;
	t = task_open(rt, read_id(s->task_random), err);
	if (!t)
		return 0;
	t->driver = driver;
	t->pub.driver = driver->kind;
	t->pub.slot = s->slot;
	t->pub.revision = s->revision;
	t->pub.index = s->index;
	if (task_set_spec(t, s->stack, s->service, err) < 0 || runtime_add(rt, t, err) < 0) {
		task_free(t);
		return 0;
	}
	task_event(t, EV_START);
	return t->pub.task;
}

void runtime_stop(struct runtime *rt, id64 id, const char *why)
{
	struct task *t = runtime_find(rt, id);

	if (!t || t->pub.stopping || supervise_ended(t->life.state))
		return;
	t->pub.stopping = true;
	task_reason(t, "%s", why);
	task_event(t, EV_STOP);
}

void runtime_confirm(struct runtime *rt, id64 id, id64 revision)
{
	struct task *t = runtime_find(rt, id);

	if (!t || t->pub.revision == revision)
		return;
	t->pub.revision = revision;
	t->pub.failures = 0;
	record_save(t);
	runtime_note(t);
}

void runtime_forget(struct runtime *rt, id64 id)
{
	struct task *t = runtime_find(rt, id);
	struct err err = {0};
	char name[17];

	if (!t || !supervise_ended(t->life.state))
		return;
	followers_end(t);
	remove_task(rt, t);
	id64_text(name, id);
	if (folder_remove(rt->tasks_fd, name, &err) < 0)
		log_warn("task", "%s/%s/%u: %s", t->pub.stack, t->pub.service, t->pub.index, err.text);
	task_free(t);
}

void runtime_detach(struct runtime *rt)
{
	if (rt->detached)
		return;
	rt->detached = true;
	uv_timer_stop(&rt->notify);
	while (rt->n_tasks) {
		struct task *t = rt->tasks[rt->n_tasks - 1];

		followers_end(t);
		remove_task(rt, t);
		task_free(t);
	}
}

static void on_closed(uv_handle_t *h)
{
	struct runtime *rt = h->data;

	if (--rt->handles)
		return;
	close(rt->tasks_fd);
	free((char *)rt->cfg.data_dir);
	free((char *)rt->cfg.self_exe);
	free((char *)rt->cfg.engine_socket);
	free(rt);
}

void runtime_close(struct runtime *rt)
{
	if (rt->closing)
		return;
	runtime_detach(rt);
	cgroup_leave(&rt->cgroups);
	engines_close(rt->cfg.engines);
	rt->cfg.engines = NULL;
	rt->closing = true;
	uv_close((uv_handle_t *)&rt->notify, on_closed);
}

const struct runtime_config *runtime_host(const struct runtime *rt)
{
	return &rt->cfg;
}

struct attach *runtime_attach(struct runtime *rt, id64 id, const struct attach_request *request,
        const struct attach_events *ev, void *ctx, struct err *err)
{
	struct task *t = runtime_find(rt, id);
	struct driver_task d;

	if (!t || !t->pub.pid || (t->pub.state != TASK_RUNNING && t->pub.state != TASK_UNHEALTHY)) {
		err_set(err, ERR_FAILED, "it does not run now; `starling ps` says why");
		return NULL;
	}
	if (!t->driver->attach) {
		err_set(err, ERR_FAILED, "tasks of driver %s take no further command", t->driver->name);
		return NULL;
	}
	d = task_for_driver(t);
	return t->driver->attach(rt->loop, &d, request, ev, ctx, err);
}
