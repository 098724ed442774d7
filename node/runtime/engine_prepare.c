/*
 * What a start needs at the engine: the image, by pull_policy, and a container that is made but not started.
 *
 *	version -> image there? -> [pull] -> [the last run's container is removed] -> create -> PREPARED
 */
#include "base/text.h"
#include "node/runtime/engine_parts.h"
#include "node/runtime/env.h"
#include "node/runtime/files.h"
#include "node/runtime/volumes.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* A pull in which nothing comes for so long has failed. */
#define PULL_QUIET_MS MINUTES(3)
/* Progress is told at most so often. */
#define PROGRESS_MS SECONDS(1)
/* Bytes of one line of a pull. */
#define PULL_LINE_MAX (64 * 1024)
#define BUSY_TRIES    2

struct driver_work {
	struct list link;
	struct engine *e;
	driver_event_fn *fn;
	void *ctx;
	struct ehttp_call *call;
	bool cancelled; /* the container is being made: it is removed once it is there */
	id64 task;
	uint32_t run;
	char name[ENGINE_NAME_MAX];
	char *service;
	char *image;        /* as it was asked for */
	char *ref;          /* as the engine takes it: NAME:TAG or NAME@DIGEST */
	char *repo, *tag;   /* the parts of ref for a pull */
	char *body;         /* of the container, to be made with the version known */
	struct arena arena; /* of the copies */
	enum spec_pull pull;
	bool pulled;
	int tries;
	mono_ms told;
	char *line;
	size_t line_len;
	char pull_error[ENGINE_TEXT_MAX + 1];
	struct driver_task t; /* only for the body; its texts are the owner's and outlive this */
	struct runtime_task task_copy;
};

static void work_free(struct driver_work *w)
{
	list_remove(&w->link);
	if (w->call)
		ehttp_cancel(w->call);
	free(w->body);
	free(w->line);
	arena_free(&w->arena);
	free(w);
}

bool works_have(const struct engine *e, id64 task, uint32_t run)
{
	list_each (&e->works, item) {
		const struct driver_work *w = list_entry(item, struct driver_work, link);

		if (w->task == task && w->run == run)
			return true;
	}
	return false;
}

void works_free(struct engine *e)
{
	list_each (&e->works, item)
		work_free(list_entry(item, struct driver_work, link));
}

static void done(struct driver_work *w, enum driver_answer answer, const char *why)
{
	struct driver_event ev = {.kind = DRIVER_PREPARED, .answer = answer};
	driver_event_fn *fn = w->fn;
	void *ctx = w->ctx;

	if (answer != DRIVER_OK)
		snprintf(ev.text, sizeof(ev.text), "%.60s: %s", w->service, why);
	work_free(w);
	fn(ctx, &ev);
}

/* No answer is the engine's trouble, which passes. */
static void no_answer(struct driver_work *w, const struct ehttp_answer *a)
{
	char why[sizeof(a->why) + ENGINE_SOCKET_MAX + 64];

	snprintf(why, sizeof(why), "the container engine at %s does not answer: %s", w->e->socket, a->why);
	done(w, DRIVER_BLOCKED, why);
}

static bool passes(int status, const char *why)
{
	static const char *const texts[] = {"no space left", "timeout", "timed out", "connection refused",
	        "no such host", "temporary failure", "unreachable", "connection reset", "eof",
	        "too many requests", "toomanyrequests", "cannot allocate memory", "in progress",
	        "deadline exceeded", "containerd"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (strcasestr(why, texts[i]))
			return true;
	return status == 503 || status == 429;
}

static void refused(struct driver_work *w, const struct ehttp_answer *a, const char *what)
{
	char text[ENGINE_TEXT_MAX + 1], why[ENGINE_TEXT_MAX + 200];

	answer_message(text, a->status, a->body, a->len);
	snprintf(why, sizeof(why), "%s: %s", what, text);
	done(w, passes(a->status, text) ? DRIVER_BLOCKED : DRIVER_REFUSES, why);
}

/* ---- the container ---- */

static void create(struct driver_work *w);
static void pull(struct driver_work *w);

static void on_in_way_removed(void *ctx, const struct ehttp_answer *a)
{
	struct driver_work *w = ctx;

	w->call = NULL;
	if (!a->status)
		no_answer(w, a);
	else
		create(w);
}

static void remove_named(struct driver_work *w, const char *name)
{
	struct ehttp_request r = {
	        .method = "DELETE", .timeout_ms = ENGINE_CREATE_MS, .on_done = on_in_way_removed, .ctx = w};

	w->call = engine_ask(w->e, &r, "/containers/%s?force=1&v=1", name);
}

static void on_created(void *ctx, const struct ehttp_answer *a)
{
	struct driver_work *w = ctx;

	w->call = NULL;
	if (w->cancelled) {
		if (a->status != 404)
			engine_remove(w->e, w->name);
		work_free(w);
	} else if (!a->status) {
		no_answer(w, a);
	} else if (a->status == 201) {
		done(w, DRIVER_OK, "");
	} else if (a->status == 409 && w->tries++ < BUSY_TRIES) {
		/* An earlier agent made it and died. */
		remove_named(w, w->name);
	} else if (a->status == 404 && !w->pulled && w->pull != PULL_NEVER) {
		pull(w);
	} else {
		refused(w, a, "its container cannot be made");
	}
}

static void create(struct driver_work *w)
{
	struct ehttp_request r = {
	        .method = "POST", .timeout_ms = ENGINE_CREATE_MS, .on_done = on_created, .ctx = w};
	struct err err = {0};

	if (!w->body) {
		w->t.task = &w->task_copy;
		w->body = engine_create_body(w->e, &w->t, w->ref, &err);
		if (!w->body) {
			done(w, DRIVER_REFUSES, err.text);
			return;
		}
	}
	r.body = w->body;
	w->call = engine_ask(w->e, &r, "/containers/create?name=%s", w->name);
}

/* The last run's container is gone, unless the engine was away when it was to be removed. */
static void clear_way(struct driver_work *w)
{
	char name[ENGINE_NAME_MAX];

	if (w->run > 1) {
		engine_name(name, w->task, w->run - 1);
		remove_named(w, name);
	} else {
		create(w);
	}
}

/* ---- the image ---- */

static void tell_progress(struct driver_work *w, const struct engine_pull *p)
{
	struct driver_event ev = {.kind = DRIVER_PROGRESS};
	mono_ms now = (mono_ms)uv_now(w->e->all->loop);

	if (now - w->told < PROGRESS_MS)
		return;
	w->told = now;
	if (p->total)
		snprintf(ev.text, sizeof(ev.text), "pulling %.120s: %.16s %u%%", w->image, p->layer,
		        (unsigned)MIN(p->done / MAX(p->total / 100, 1), 100));
	else
		snprintf(ev.text, sizeof(ev.text), "pulling %.120s: %.60s", w->image, p->status);
	w->fn(w->ctx, &ev);
}

static void take_line(struct driver_work *w)
{
	struct engine_pull p;

	if (answer_pull(&p, w->line, w->line_len, NULL) < 0)
		return;
	if (p.error[0])
		text_copy(w->pull_error, sizeof(w->pull_error), p.error);
	else
		tell_progress(w, &p);
}

static bool on_pull_bytes(void *ctx, const char *bytes, size_t len)
{
	struct driver_work *w = ctx;

	while (len) {
		const char *newline = memchr(bytes, '\n', len);
		size_t take = newline ? (size_t)(newline - bytes) : len;

		if (w->line_len + take > PULL_LINE_MAX)
			return false;
		w->line = xrealloc(w->line, w->line_len + take + 1);
		memcpy(w->line + w->line_len, bytes, take);
		w->line_len += take;
		if (newline) {
			take_line(w);
			w->line_len = 0;
		}
		bytes += take + (newline != NULL);
		len -= take + (newline != NULL);
	}
	return true;
}

static void on_pulled(void *ctx, const struct ehttp_answer *a)
{
	struct driver_work *w = ctx;
	char why[ENGINE_TEXT_MAX + 204], what[200];

	w->call = NULL;
	if (w->line_len)
		take_line(w);
	w->line_len = 0;
	w->pulled = true;
	snprintf(what, sizeof(what), "image %.140s cannot be pulled", w->image);
	if (!a->status) {
		no_answer(w, a);
	} else if (w->pull_error[0]) {
		snprintf(why, sizeof(why), "%s: %s", what, w->pull_error);
		done(w, passes(0, w->pull_error) ? DRIVER_BLOCKED : DRIVER_REFUSES, why);
	} else if (a->status != 200) {
		refused(w, a, what);
	} else {
		clear_way(w);
	}
}

static void pull(struct driver_work *w)
{
	struct ehttp_request r = {.method = "POST",
	        .quiet_ms = PULL_QUIET_MS,
	        .lasting = true,
	        .on_bytes = on_pull_bytes,
	        .on_done = on_pulled,
	        .ctx = w};
	char repo[700], tag[300];

	ehttp_escape(repo, sizeof(repo), w->repo);
	ehttp_escape(tag, sizeof(tag), w->tag);
	w->call = engine_ask(w->e, &r, "/images/create?fromImage=%s&tag=%s", repo, tag);
}

static void on_image(void *ctx, const struct ehttp_answer *a)
{
	struct driver_work *w = ctx;
	char why[400];

	w->call = NULL;
	if (!a->status) {
		no_answer(w, a);
	} else if (a->status == 200) {
		clear_way(w);
	} else if (a->status != 404) {
		refused(w, a, "its image cannot be looked up");
	} else if (w->pull == PULL_NEVER) {
		snprintf(why, sizeof(why),
		        "image %.200s is not at this host's container engine, and pull_policy is never: load it there, or "
		        "set another policy",
		        w->image);
		done(w, DRIVER_REFUSES, why);
	} else {
		pull(w);
	}
}

static void find_image(struct driver_work *w)
{
	struct ehttp_request r = {.method = "GET", .timeout_ms = ENGINE_ASK_MS, .on_done = on_image, .ctx = w};

	if (w->pull == PULL_ALWAYS)
		pull(w);
	else
		w->call = engine_ask(w->e, &r, "/images/%s/json", w->ref);
}

static void on_version(void *ctx, const struct ehttp_answer *a)
{
	struct driver_work *w = ctx;

	w->call = NULL;
	engine_take_version(w->e, a);
	if (!a->status)
		no_answer(w, a);
	else
		find_image(w);
}

/* "host:5000/a/b:1.2@sha256:..." -> repository, and tag or digest. A digest says more than the tag beside it. */
static void split_image(struct driver_work *w)
{
	char *at = strchr(w->image, '@');
	char *repo = arena_strndup(&w->arena, w->image, at ? (size_t)(at - w->image) : strlen(w->image));
	char *slash = strrchr(repo, '/');
	char *colon = strchr(slash ? slash : repo, ':');

	if (colon)
		*colon = '\0';
	w->repo = repo;
	w->tag = at ? arena_strdup(&w->arena, at + 1) : arena_strdup(&w->arena, colon ? colon + 1 : "latest");
	w->ref = arena_printf(&w->arena, "%s%s%s", repo, at ? "@" : ":", w->tag);
}

/* ---- folders of the host ---- */

/* As Docker does for a bind whose source is not there: it is made, with those above it. */
static int make_path(const char *path, struct err *err)
{
	char part[4096];

	if (access(path, F_OK) == 0)
		return 0;
	text_copy(part, sizeof(part), path);
	for (char *p = part + 1;; p++) {
		char was = *p;

		if (was != '/' && was)
			continue;
		*p = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return err_errno(err, "make folder %s for a bind mount", part);
		*p = was;
		if (!was)
			return 0;
	}
}

/* "1000", "1000:100": whose a fresh volume is. A name is the image's, and not known here: then root's. */
static void owner_of(const char *user, uint32_t *uid, uint32_t *gid)
{
	unsigned long u = user ? strtoul(user, NULL, 10) : 0;
	const char *colon = user ? strchr(user, ':') : NULL;

	*uid = geteuid() == 0 ? (uint32_t)u : geteuid();
	*gid = geteuid() == 0 ? (uint32_t)(colon ? strtoul(colon + 1, NULL, 10) : u) : getegid();
}

static enum driver_answer make_folders(const struct driver_task *t, struct err *err)
{
	const struct service *s = t->task->spec;
	enum driver_answer answer = DRIVER_OK;
	struct arena arena;
	uint32_t uid, gid;

	arena_init(&arena);
	owner_of(s->user, &uid, &gid);
	if (volumes_make(t->host->data_dir, t->task->stack, s, uid, gid, err) < 0)
		answer = err->code == ERR_UNPLACEABLE ? DRIVER_REFUSES : DRIVER_BLOCKED;
	for (size_t i = 0; i < s->n_mounts && answer == DRIVER_OK; i++) {
		const struct spec_mount *m = &s->mounts[i];
		const char *source;

		if (m->kind != MOUNT_BIND)
			continue;
		source = task_template(&arena, t->host, t->task, m->source);
		if (m->no_create && access(source, F_OK) < 0)
			answer = err_errno(err, "bind mount of %s", source) < 0 ? DRIVER_REFUSES : answer;
		else if (make_path(source, err) < 0)
			answer = DRIVER_REFUSES;
	}
	arena_free(&arena);
	return answer;
}

/* ---- the driver's functions ---- */

enum driver_answer engine_prepare(uv_loop_t *loop, const struct driver_task *t, driver_event_fn *fn, void *ctx,
        struct driver_work **out, struct err *err)
{
	struct engines *all = t->host->engines;
	char text[256] = "its client does not start";
	bool there = driver_engine.available(t->host, text, sizeof(text));
	struct engine *e = there ? engine_at(all, all->chosen) : NULL;
	struct ehttp_request r = {.method = "GET", .timeout_ms = ENGINE_ASK_MS, .on_done = on_version};
	struct driver_work *w;
	enum driver_answer answer;

	(void)loop;
	if (!e) {
		err_set(err, ERR_FAILED, "%s: %s", t->task->service, text);
		return DRIVER_BLOCKED;
	}
	answer = make_folders(t, err);
	if (answer == DRIVER_OK && file_replace(t->dir_fd, ENGINE_FILE, e->socket, strlen(e->socket), err) < 0)
		answer = DRIVER_BLOCKED;
	if (answer != DRIVER_OK) {
		err_wrap(err, "%s", t->task->service);
		return answer;
	}
	w = xcalloc(1, sizeof(*w));
	arena_init(&w->arena);
	w->e = e;
	w->fn = fn;
	w->ctx = ctx;
	w->task = t->task->task;
	w->run = t->run;
	w->pull = t->task->spec->pull;
	engine_name(w->name, w->task, w->run);
	w->service = arena_strdup(&w->arena, t->task->service);
	w->image = arena_strdup(&w->arena, t->task->spec->image);
	w->t = *t;
	w->task_copy = *t->task;
	split_image(w);
	list_push_back(&e->works, &w->link);
	engine_wake(e);
	r.ctx = w;
	if (e->known)
		find_image(w);
	else
		w->call = engine_ask(e, &r, "/version");
	*out = w;
	return DRIVER_LATER;
}

void engine_cancel(struct driver_work *w)
{
	/* Once it was asked for, the container may be made whether or not the answer is waited for. */
	if (w->body && w->call)
		w->cancelled = true;
	else
		work_free(w);
}
