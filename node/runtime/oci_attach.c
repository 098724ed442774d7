/* A command in a container: by its runtime's own `exec`, which puts it into all that the container is. */
#include "node/runtime/attach.h"
#include "node/runtime/driver.h"
#include "node/runtime/env.h"
#include "node/runtime/files.h"
#include "node/runtime/oci_attach.h"

/* Words of ours, beside the runtime's, the command's, and two for each variable. */
#define WORDS_MAX 16

/* runc and crun take numbers here, and know no names of the image. */
static bool is_numbers(const char *user)
{
	size_t colon = strspn(user, "0123456789");

	if (!colon)
		return false;
	return !user[colon] || (user[colon] == ':' && user[colon + 1] &&
	                               !user[colon + 1 + strspn(user + colon + 1, "0123456789")]);
}

/* What clears the container away names its runtime with its options, and, last, the container:
 * RUNTIME OPTIONS... delete --force ID. */
static char **command(struct arena *arena, char **cleanup, const struct attach_request *q, struct err *err)
{
	size_t n = 0, last = 0, n_argv = 0, n_env = 0;
	char **out;

	while (cleanup[last] && cleanup[last + 1])
		last++;
	if (!last) {
		err_set(err, ERR_FAILED, "it is of an agent that knew no exec; restart the task");
		return NULL;
	}
	if (q->user && !is_numbers(q->user)) {
		err_set(err, ERR_USAGE,
		        "user \"%s\": in a container of driver oci a user is a number, or UID:GID", q->user);
		return NULL;
	}
	while (q->argv[n_argv])
		n_argv++;
	while (q->env[n_env])
		n_env++;
	out = arena_array(arena, WORDS_MAX + last + n_argv + 2 * n_env, sizeof(*out));
	while (n < last && strcmp(cleanup[n], "delete") != 0) {
		out[n] = cleanup[n];
		n++;
	}
	out[n++] = "exec";
	if (q->tty)
		out[n++] = "--tty";
	if (q->dir) {
		out[n++] = "--cwd";
		out[n++] = (char *)q->dir;
	}
	if (q->user) {
		out[n++] = "--user";
		out[n++] = (char *)q->user;
	}
	for (size_t i = 0; i < n_env; i++) {
		out[n++] = "--env";
		out[n++] = q->env[i];
	}
	out[n++] = cleanup[last];
	for (size_t i = 0; i <= n_argv; i++)
		out[n++] = q->argv[i];
	return out;
}

struct attach *oci_attach(uv_loop_t *loop, const struct driver_task *t, const struct attach_request *q,
        const struct attach_events *ev, void *ctx, struct err *err)
{
	char *env[] = {"PATH=" ENV_PATH_DEFAULT, NULL};
	struct launch l = {.env = env, .cwd = "/"}, task = {0};
	struct attach_spawn what = {.launch = &l};
	struct attach *a = NULL;
	struct arena arena;
	uint8_t *bytes;
	size_t len;

	arena_init(&arena);
	bytes = file_read(t->dir_fd, "launch", LAUNCH_BYTES_MAX, &arena, &len, err);
	if (bytes && launch_get(&task, &arena, bytes, len, err) == 0 &&
	        (l.argv = command(&arena, task.cleanup, q, err)) != NULL) {
		char *none[] = {NULL};

		l.check = l.cleanup = none;
		l.stop_signal = task.stop_signal;
		/* What a runtime may do, not what the container may. */
		l.new_privs = true;
		a = attach_spawn(loop, t->host->self_exe, &what, q, ev, ctx, err);
	}
	arena_free(&arena);
	return a;
}
