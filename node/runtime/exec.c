/* The `exec` driver: a task is a process of this host, under a shim. */
#include "base/text.h"
#include "node/runtime/env.h"
#include "node/runtime/exec_accept.h"
#include "node/runtime/exec_plan.h"
#include "node/runtime/files.h"
#include "node/runtime/link.h"
#include "node/runtime/signals.h"
#include "node/runtime/volumes.h"

#include <unistd.h>

static int exec_accept(const struct runtime_config *host, const struct cgroups *cgroups,
        const struct service *service, struct err *err)
{
	struct launch rights = {0};

	(void)host;
	if (!service->n_entrypoint && !service->n_command)
		return err_set(err, ERR_UNPLACEABLE, "%s: no command to run", service->name);
	if (cgroup_accept(cgroups, &service->limit, err) < 0 ||
	        exec_accept_keys(service, geteuid() == 0, err) < 0 ||
	        exec_plan_rights(&rights, service, geteuid() == 0, err) < 0)
		return err_wrap(err, "%s", service->name);
	return 0;
}

static char **join(struct arena *arena, const char **a, size_t n_a, const char **b, size_t n_b)
{
	char **out = arena_array(arena, n_a + n_b + 1, sizeof(*out));

	for (size_t i = 0; i < n_a; i++)
		out[i] = (char *)a[i];
	for (size_t i = 0; i < n_b; i++)
		out[n_a + i] = (char *)b[i];
	return out;
}

static int describe(struct launch *l, struct arena *arena, const struct driver_task *t, struct err *err)
{
	const struct service *s = t->task->spec;
	struct user_files files = user_files_system;
	struct user user;
	char id[17];

	/* Names mean what they mean inside. */
	if (s->process.rootfs) {
		files.passwd = arena_printf(arena, "%s%s", s->process.rootfs, files.passwd);
		files.group = arena_printf(arena, "%s%s", s->process.rootfs, files.group);
	}
	if (user_find(&user, arena, s->user, geteuid(), &files, err) < 0 ||
	        user_add_groups(&user, arena, s->group_add, s->n_group_add, geteuid(), &files, err) < 0 ||
	        exec_plan_rights(l, s, user.uid == 0, err) < 0)
		return -1;
	id64_text(id, t->task->task);
	if (cgroup_make(t->cgroups, id, &s->limit, arena, l, err) < 0)
		return -1;
	l->run = t->run;
	l->argv = join(arena, s->entrypoint, s->n_entrypoint, s->command, s->n_command);
	l->env = env_build(arena, t->host, t->task, &user);
	if (s->check.kind == CHECK_COMMAND)
		l->check = join(arena, s->check.argv, s->check.n_argv, NULL, 0);
	l->cwd = s->working_dir ? s->working_dir : "/";
	exec_plan_view(l, t, arena);
	l->set_user = geteuid() == 0;
	l->uid = user.uid;
	l->gid = user.gid;
	l->n_groups = user.n_groups;
	memcpy(l->groups, user.groups, sizeof(l->groups));
	l->stop_signal = (uint8_t)signal_number(s->stop_signal ? s->stop_signal : "SIGTERM");
	if (!l->stop_signal)
		return err_set(err, ERR_USAGE, "stop_signal \"%s\": no such signal", s->stop_signal);
	l->stop_grace_ms = (uint32_t)MIN(s->stop_grace_ms, INT32_MAX);
	l->watchdog_ms = (uint32_t)MIN(s->watchdog_ms, INT32_MAX);
	return 0;
}

/* What the task finds there is its user's; a disk that is full may have room later. */
static enum driver_answer make_volumes(const struct driver_task *t, const struct launch *l, struct err *err)
{
	uint32_t uid = l->set_user ? l->uid : geteuid();

	if (volumes_make(t->host->data_dir, t->task->stack, t->task->spec, uid, l->gid, err) == 0)
		return DRIVER_OK;
	return err->code == ERR_UNPLACEABLE ? DRIVER_REFUSES : DRIVER_BLOCKED;
}

static enum driver_answer exec_prepare(uv_loop_t *loop, const struct driver_task *t, driver_event_fn *fn,
        void *ctx, struct driver_work **work, struct err *err)
{
	enum driver_answer answer = DRIVER_OK;
	struct launch l = {0};
	struct arena arena;
	struct wr w;

	(void)loop;
	(void)fn;
	(void)ctx;
	(void)work;
	arena_init(&arena);
	wr_init(&w, LAUNCH_BYTES_MAX);
	if (describe(&l, &arena, t, err) < 0) {
		answer = DRIVER_REFUSES;
	} else {
		answer = make_volumes(t, &l, err);
		launch_put(&w, &l);
		if (answer != DRIVER_OK) {
			err_wrap(err, "volumes");
		} else if (!wr_ok(&w)) {
			err_set(err, ERR_USAGE, "its command and environment are too large");
			answer = DRIVER_REFUSES;
		} else if (file_replace(t->dir_fd, "launch", w.p, w.len, err) < 0) {
			answer = DRIVER_BLOCKED;
		}
	}
	wr_free(&w);
	arena_free(&arena);
	if (answer != DRIVER_OK)
		err_wrap(err, "%s", t->task->service);
	return answer;
}

static bool exec_available(const struct runtime_config *host, char *why, size_t cap)
{
	(void)host;
	(void)why;
	(void)cap;
	return true;
}

const struct driver driver_exec = {
        .name = "exec",
        .kind = DRIVER_EXEC,
        .available = exec_available,
        .accept = exec_accept,
        .prepare = exec_prepare,
        .launch = link_launch,
        .adopt = link_adopt,
        .stop = link_stop,
        .check = link_check,
        .attach = attach_exec,
        .release = link_release,
};
