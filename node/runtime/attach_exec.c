/* A command in a task of the `exec` driver: as the task's user, in its environment, namespaces and control groups. */
#include "node/runtime/attach.h"
#include "node/runtime/driver.h"
#include "node/runtime/files.h"
#include "node/runtime/procs.h"
#include "node/runtime/user.h"

#include <unistd.h>

static size_t count(char **list)
{
	size_t n = 0;

	while (list[n])
		n++;
	return n;
}

/* The task's, with `more` in place of what has the same names. */
static char **merge_env(struct arena *arena, char **env, char **more)
{
	char **out = arena_array(arena, count(env) + count(more) + 1, sizeof(*out));
	size_t n = 0;

	for (char **kv = env; *kv; kv++) {
		size_t len = strcspn(*kv, "=") + 1;
		bool given = false;

		for (char **m = more; *m && !given; m++)
			given = strncmp(*m, *kv, len) == 0;
		if (!given)
			out[n++] = *kv;
	}
	for (char **m = more; *m; m++)
		out[n++] = *m;
	return out;
}

static int set_user(struct launch *l, struct arena *arena, const struct attach_request *q, struct err *err)
{
	struct user user;

	if (q->user) {
		if (user_find(&user, arena, q->user, geteuid(), &user_files_system, err) < 0)
			return -1;
		l->uid = user.uid;
		l->gid = user.gid;
		l->n_groups = user.n_groups;
		memcpy(l->groups, user.groups, sizeof(l->groups));
	}
	if (l->set_user && l->uid == 0 && !q->may_root)
		return err_set(err, ERR_UNAUTHORISED,
		        "this key has not the power exec-as-root on that stack; name another user with -u, or ask an admin "
		        "for `starling key grant --power exec-as-root`");
	return 0;
}

struct attach *attach_exec(uv_loop_t *loop, const struct driver_task *t, const struct attach_request *q,
        const struct attach_events *ev, void *ctx, struct err *err)
{
	struct attach_spawn what = {.pid = (uint32_t)t->task->pid};
	struct attach *a = NULL;
	struct launch l = {0};
	struct arena arena;
	struct proc p;
	uint8_t *bytes;
	size_t len;

	arena_init(&arena);
	bytes = file_read(t->dir_fd, "launch", LAUNCH_BYTES_MAX, &arena, &len, err);
	if (bytes && launch_get(&l, &arena, bytes, len, err) == 0 && set_user(&l, &arena, q, err) == 0) {
		if (proc_read((int)what.pid, &p)) {
			what.ticks = p.ticks;
			what.launch = &l;
			l.argv = q->argv;
			l.env = merge_env(&arena, l.env, q->env);
			l.cwd = q->dir ? q->dir : l.cwd;
			a = attach_spawn(loop, t->host->self_exe, &what, q, ev, ctx, err);
		} else {
			err_set(err, ERR_FAILED, "its process has just ended; try again");
		}
	}
	arena_free(&arena);
	return a;
}
