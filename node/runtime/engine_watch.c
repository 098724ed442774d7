/*
 * The connection to an engine: its events are followed while there is anything of ours. When they break off, nothing
 * is taken to have ended: the engine is asked again after pauses that double, and once it answers, how each container
 * stands is looked up. Containers that carry our labels and that nobody knows are removed then.
 */
#include "base/log.h"
#include "base/text.h"
#include "node/runtime/engine_parts.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define AGAIN_FIRST_MS 50
#define AGAIN_MAX_MS   SECONDS(5)
/* Bytes of one event. */
#define EVENT_MAX (64 * 1024)
/* Some engines send an answer's head with its first byte only; then this long is waited for it. */
#define HEAD_WAIT_MS 300
/* What was left behind is looked for again, after pauses that double. */
#define SWEEP_FIRST_MS SECONDS(10)
#define SWEEP_MAX_MS   MINUTES(60)

static void connect_now(void *ctx);

static bool has_work(const struct engine *e)
{
	return !list_empty(&e->runs) || !list_empty(&e->works);
}

/* ---- orphans ---- */

struct sweep {
	struct engine *e;
	size_t kept;
};

/* A record of a task that is not known here: it could not be read, or its task has ended and is not forgotten yet. */
static bool has_folder(const struct engine *e, id64 task)
{
	char path[4200], id[17];

	id64_text(id, task);
	snprintf(path, sizeof(path), "%s/tasks/%s/task", e->all->host->data_dir, id);
	return access(path, F_OK) == 0;
}

static bool is_known(const struct engine *e, id64 task)
{
	list_each (&e->runs, item)
		if (list_entry(item, struct driver_run, link)->task == task)
			return true;
	return false;
}

static void sweep_one(void *ctx, const char *id, id64 task, uint32_t run)
{
	struct sweep *s = ctx;

	if (run_find(s->e, task, run) || works_have(s->e, task, run))
		return;
	if (!is_known(s->e, task) && has_folder(s->e, task)) {
		s->kept++;
		return;
	}
	log_info("task", "container %.12s at %s is of a task that is no more: it is removed", id, s->e->socket);
	engine_remove(s->e, id);
}

static void sweep_again(void *ctx);

static void on_list(void *ctx, const struct ehttp_answer *a)
{
	struct sweep s = {.e = ctx};
	struct err err = {0};

	if (a->status != 200)
		return;
	if (answer_list(a->body, a->len, sweep_one, &s, &err) < 0)
		log_warn("task", "%s: %s", s.e->socket, err.text);
	s.e->swept = true;
	if (!s.kept) {
		s.e->sweep_ms = 0;
		return;
	}
	s.e->sweep_ms = s.e->sweep_ms ? MIN(2 * s.e->sweep_ms, SWEEP_MAX_MS) : SWEEP_FIRST_MS;
	engine_sweep_later(s.e, s.e->sweep_ms);
}

static void sweep(struct engine *e)
{
	struct ehttp_request r = {.method = "GET", .timeout_ms = ENGINE_ASK_MS, .on_done = on_list, .ctx = e};
	char filter[128], escaped[400];

	snprintf(filter, sizeof(filter), "{\"label\":[\"" LABEL_PEER "=%s\"]}", e->all->host->peer_id);
	ehttp_escape(escaped, sizeof(escaped), filter);
	engine_ask(e, &r, "/containers/json?all=1&filters=%s", escaped);
}

static void sweep_again(void *ctx)
{
	sweep(ctx);
}

void engine_sweep_later(struct engine *e, int64_t ms)
{
	if (!e->closing && !e->sweep_soon)
		later_start(&e->sweep_soon, e->all->loop, ms, sweep_again, e);
}

/* ---- events ---- */

static void sync_now(void *ctx)
{
	struct engine *e = ctx;

	later_stop(&e->sync_soon);
	e->pause_ms = 0;
	if (e->told)
		log_info("task", "the container engine at %s answers again", e->socket);
	e->told = false;
	e->up = true;
	list_each (&e->runs, item)
		run_look(list_entry(item, struct driver_run, link));
	sweep(e);
}

static void on_open(void *ctx)
{
	struct engine *e = ctx;

	later_start(&e->sync_soon, e->all->loop, 0, sync_now, e);
}

static void take_line(struct engine *e, const char *line, size_t len)
{
	struct driver_run *r;
	struct engine_event ev;

	if (!len || answer_event(&ev, line, len, NULL) < 0 || !ev.task)
		return;
	r = run_find(e, ev.task, ev.run);
	if (r && ev.oom)
		run_oom(r);
	if (r && ev.ended)
		run_look(r);
}

static bool on_bytes(void *ctx, const char *bytes, size_t len)
{
	struct engine *e = ctx;

	while (len) {
		const char *newline = memchr(bytes, '\n', len);
		size_t take = newline ? (size_t)(newline - bytes) : len;

		if (e->line_len + take > EVENT_MAX)
			return false;
		e->line = xrealloc(e->line, e->line_len + take + 1);
		memcpy(e->line + e->line_len, bytes, take);
		e->line_len += take;
		if (newline) {
			take_line(e, e->line, e->line_len);
			e->line_len = 0;
		}
		bytes += take + (newline != NULL);
		len -= take + (newline != NULL);
	}
	return true;
}

static void on_events_end(void *ctx, const struct ehttp_answer *a)
{
	struct engine *e = ctx;

	e->events = NULL;
	e->up = false;
	e->line_len = 0;
	/* A newer engine may come up there. */
	e->known = false;
	e->prefix[0] = '\0';
	later_stop(&e->sync_soon);
	if (!has_work(e) && e->swept)
		return;
	if (!e->told && e->pause_ms >= SECONDS(1)) {
		e->told = true;
		log_warn("task",
		        "the container engine at %s does not answer (%s); its tasks are left alone, and it is asked "
		        "again every %d s",
		        e->socket, a->status ? "it ends its events at once" : a->why, (int)(AGAIN_MAX_MS / 1000));
	}
	e->pause_ms = e->pause_ms ? MIN(2 * e->pause_ms, AGAIN_MAX_MS) : AGAIN_FIRST_MS;
	later_start(&e->again, e->all->loop, e->pause_ms, connect_now, e);
}

static void on_version(void *ctx, const struct ehttp_answer *a)
{
	engine_take_version(ctx, a);
}

static void connect_now(void *ctx)
{
	struct engine *e = ctx;
	struct ehttp_request version = {
	        .method = "GET", .timeout_ms = ENGINE_ASK_MS, .on_done = on_version, .ctx = e};
	struct ehttp_request r = {.method = "GET",
	        .lasting = true,
	        .on_open = on_open,
	        .on_bytes = on_bytes,
	        .on_done = on_events_end,
	        .ctx = e};
	char filter[160], escaped[480];

	engine_ask(e, &version, "/version");
	snprintf(filter, sizeof(filter), "{\"type\":[\"container\"],\"label\":[\"" LABEL_PEER "=%s\"]}",
	        e->all->host->peer_id);
	ehttp_escape(escaped, sizeof(escaped), filter);
	/* From a second ago: what happens between this and the look at each container is not missed. */
	e->events = engine_ask(e, &r, "/events?since=%lld&filters=%s", (long long)time(NULL) - 1, escaped);
	if (engine_answers(e->socket))
		later_start(&e->sync_soon, e->all->loop, HEAD_WAIT_MS, sync_now, e);
}

void engine_wake(struct engine *e)
{
	if (!e->events && !e->again && !e->closing)
		connect_now(e);
}

void engine_watch_close(struct engine *e)
{
	later_stop(&e->again);
	later_stop(&e->sync_soon);
	later_stop(&e->sweep_soon);
}
