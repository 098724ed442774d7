/* The driver `engine`: containers of Docker or Podman, through the HTTP API on its Unix socket. */
#include "base/text.h"
#include "node/runtime/engine_parts.h"
#include "node/runtime/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* An answer of available() is good for this long; it is asked in every pass of placement. */
#define LOOK_AGAIN_MS SECONDS(1)
/* An engine that is being restarted or upgraded stays "there", so that placement does not move what waits for it. */
#define GONE_AFTER_MS MINUTES(1)

/* ---- later ---- */

struct later {
	uv_timer_t timer;
	struct later **slot;
	void (*fn)(void *ctx);
	void *ctx;
};

static void on_later_closed(uv_handle_t *h)
{
	free(h->data);
}

void later_stop(struct later **slot)
{
	if (!*slot)
		return;
	uv_close((uv_handle_t *)&(*slot)->timer, on_later_closed);
	*slot = NULL;
}

static void on_later(uv_timer_t *t)
{
	struct later *l = t->data;
	void (*fn)(void *) = l->fn;
	void *ctx = l->ctx;

	later_stop(l->slot);
	fn(ctx);
}

void later_start(struct later **slot, uv_loop_t *loop, int64_t ms, void (*fn)(void *ctx), void *ctx)
{
	struct later *l = xcalloc(1, sizeof(*l));

	later_stop(slot);
	*l = (struct later){.slot = slot, .fn = fn, .ctx = ctx};
	uv_timer_init(loop, &l->timer);
	l->timer.data = l;
	uv_timer_start(&l->timer, on_later, (uint64_t)MAX(ms, 0), 0);
	*slot = l;
}

/* ---- which engine ---- */

bool engine_answers(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd, saved;
	bool ok;

	if (strlen(path) >= sizeof(sa.sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	text_copy(sa.sun_path, sizeof(sa.sun_path), path);
	/* A full queue of connections is that of an engine which is there. */
	ok = connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 || errno == EAGAIN;
	saved = errno;
	close(fd);
	errno = saved;
	return ok;
}

static size_t candidates(const struct engines *all, char out[3][ENGINE_SOCKET_MAX])
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	size_t n = 0;

	if (all->host->engine_socket) {
		text_copy(out[0], ENGINE_SOCKET_MAX, all->host->engine_socket);
		return 1;
	}
	text_copy(out[n++], ENGINE_SOCKET_MAX, "/var/run/docker.sock");
	text_copy(out[n++], ENGINE_SOCKET_MAX, "/run/podman/podman.sock");
	if (run && strlen(run) + sizeof("/podman/podman.sock") <= ENGINE_SOCKET_MAX)
		snprintf(out[n++], ENGINE_SOCKET_MAX, "%s/podman/podman.sock", run);
	return n;
}

static void look_for_engine(struct engines *all, mono_ms now)
{
	char paths[3][ENGINE_SOCKET_MAX];
	size_t n = candidates(all, paths);

	for (size_t i = 0; i < n; i++)
		if (engine_answers(paths[i])) {
			text_copy(all->chosen, sizeof(all->chosen), paths[i]);
			all->seen = now;
			all->there = true;
			return;
		}
	all->there = all->chosen[0] && now - all->seen < GONE_AFTER_MS;
	snprintf(all->why, sizeof(all->why), "no container engine answers at %s: %s", paths[0],
	        engine_answers(paths[0]) ? "" : strerror(errno));
}

static bool engine_available(const struct runtime_config *host, char *why, size_t cap)
{
	struct engines *all = host->engines;
	mono_ms now = (mono_ms)(uv_hrtime() / 1000000);

	if (!all || (host->engine_socket && strcmp(host->engine_socket, "none") == 0)) {
		text_copy(why, cap, "this agent uses no container engine (--engine-socket none)");
		return false;
	}
	if (!all->looked || now - all->looked >= LOOK_AGAIN_MS) {
		all->looked = now;
		look_for_engine(all, now);
	}
	if (!all->there)
		text_copy(why, cap, all->why);
	return all->there;
}

struct engine *engine_at(struct engines *all, const char *socket)
{
	struct engine *e;

	list_each (&all->list, item) {
		e = list_entry(item, struct engine, link);
		if (strcmp(e->socket, socket) == 0)
			return e;
	}
	e = xcalloc(1, sizeof(*e));
	e->all = all;
	e->http = ehttp_new(all->loop, socket, NULL);
	if (!e->http) {
		free(e);
		return NULL;
	}
	text_copy(e->socket, sizeof(e->socket), socket);
	list_init(&e->runs);
	list_init(&e->works);
	list_push_back(&all->list, &e->link);
	return e;
}

struct engine *engine_of_task(const struct driver_task *t)
{
	struct arena arena;
	struct engine *e = NULL;
	size_t len;
	char *path;

	arena_init(&arena);
	path = (char *)file_read(t->dir_fd, ENGINE_FILE, ENGINE_SOCKET_MAX - 1, &arena, &len, NULL);
	if (path && len && path[0] == '/' && t->host->engines)
		e = engine_at(t->host->engines, path);
	arena_free(&arena);
	return e;
}

struct engines *engines_new(uv_loop_t *loop, const struct runtime_config *host)
{
	struct engines *all = xcalloc(1, sizeof(*all));

	all->loop = loop;
	all->host = host;
	list_init(&all->list);
	return all;
}

void engines_close(struct engines *all)
{
	list_each (&all->list, item) {
		struct engine *e = list_entry(item, struct engine, link);

		e->closing = true;
		engine_watch_close(e);
		works_free(e);
		log_writer_close(e);
		ehttp_close(e->http);
		free(e->writer);
		free(e->streams);
		free(e->line);
		free(e);
	}
	free(all);
}

/* ---- requests ---- */

struct ehttp_call *engine_ask(struct engine *e, struct ehttp_request *r, const char *fmt, ...)
{
	char path[1536];
	size_t at = (size_t)snprintf(path, sizeof(path), "%s", e->prefix);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path + at, sizeof(path) - at, fmt, ap);
	va_end(ap);
	r->path = path;
	return ehttp_ask(e->http, r);
}

void engine_take_version(struct engine *e, const struct ehttp_answer *a)
{
	struct engine_version v;

	if (a->status != 200 || answer_version(&v, a->body, a->len, NULL) < 0)
		return;
	e->known = true;
	e->podman = v.podman;
	e->api_minor = MAX(MIN(ENGINE_API_MINOR, v.api_minor), v.api_least);
	snprintf(e->prefix, sizeof(e->prefix), "/v1.%u", e->api_minor);
}

void engine_name(char out[ENGINE_NAME_MAX], id64 task, uint32_t run)
{
	char id[17];

	id64_text(id, task);
	snprintf(out, ENGINE_NAME_MAX, "starling-%s-%u", id, run);
}

static void on_removed(void *ctx, const struct ehttp_answer *a)
{
	struct engine *e = ctx;

	/* 409: it is being removed already. */
	if (!(a->status >= 200 && a->status < 300) && a->status != 404 && a->status != 409)
		engine_sweep_later(e, SECONDS(10));
}

void engine_remove(struct engine *e, const char *name)
{
	struct ehttp_request r = {
	        .method = "DELETE", .timeout_ms = ENGINE_CREATE_MS, .on_done = on_removed, .ctx = e};

	if (!e->closing)
		engine_ask(e, &r, "/containers/%s?force=1&v=1", name);
}

const struct driver driver_engine = {
        .name = "engine",
        .kind = DRIVER_ENGINE,
        .available = engine_available,
        .accept = engine_accept,
        .prepare = engine_prepare,
        .cancel = engine_cancel,
        .launch = engine_launch,
        .adopt = engine_adopt,
        .stop = engine_stop,
        .check = engine_check,
        .release = engine_release,
};
