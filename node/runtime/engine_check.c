/*
 * A health command in a running container: made, started with its output, asked for its exit code. An engine cannot
 * kill what runs there when it takes too long; its process is killed from here if it is still the container's.
 */
#include "base/text.h"
#include "node/runtime/engine_parts.h"
#include "node/runtime/files.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>

#define CGROUP_FILE_MAX (64 * 1024)

static void tell_checked(struct driver_run *r, enum check_outcome outcome, int code, const char *text)
{
	struct driver_event ev = {.kind = DRIVER_CHECKED, .seq = r->check.seq, .outcome = outcome, .code = code};

	text_copy(ev.text, sizeof(ev.text), text);
	check_end(r);
	r->fn(r->ctx, &ev);
}

void check_end(struct driver_run *r)
{
	if (r->check.call)
		ehttp_cancel(r->check.call);
	r->check.call = NULL;
	later_stop(&r->check.deadline);
	frames_end(&r->check.frames, NULL, NULL);
	r->check.waits = false;
}

/* An engine that is away says nothing about the task. */
static void wait_for_engine(struct driver_run *r)
{
	check_end(r);
	r->check.waits = true;
	engine_wake(r->e);
}

static void fail(struct driver_run *r, const struct ehttp_answer *a)
{
	char why[ENGINE_TEXT_MAX + 1];

	if (!a->status) {
		wait_for_engine(r);
		return;
	}
	answer_message(why, a->status, a->body, a->len);
	tell_checked(r, CHECK_NOT_RUN, 0, why);
}

/* The last line that is not empty is the one told. */
static void on_frame(void *ctx, bool is_stderr, const char *text, size_t len)
{
	struct driver_run *r = ctx;
	const char *at;

	(void)is_stderr;
	while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	if (!len)
		return;
	at = memrchr(text, '\n', len);
	if (at) {
		len -= (size_t)(at + 1 - text);
		text = at + 1;
	}
	len = MIN(len, CHECK_TEXT_MAX);
	memcpy(r->check.text, text, len);
	r->check.text[len] = '\0';
	while (len && !text_is_utf8(r->check.text, len))
		r->check.text[--len] = '\0';
}

static bool on_output(void *ctx, const char *bytes, size_t len)
{
	struct driver_run *r = ctx;

	return frames_feed(&r->check.frames, bytes, len, on_frame, r);
}

static void on_result(void *ctx, const struct ehttp_answer *a)
{
	struct driver_run *r = ctx;
	struct engine_exec x;

	r->check.call = NULL;
	if (a->status != 200 || answer_exec(&x, a->body, a->len, NULL) < 0)
		fail(r, a);
	else
		tell_checked(r, x.exit_code ? CHECK_FAILED : CHECK_PASSED, x.exit_code, r->check.text);
}

static void ask_result(struct driver_run *r, void (*fn)(void *, const struct ehttp_answer *))
{
	struct ehttp_request req = {.method = "GET", .timeout_ms = ENGINE_ASK_MS, .on_done = fn, .ctx = r};

	r->check.call = engine_ask(r->e, &req, "/exec/%s/json", r->check.exec);
}

static void on_run_over(void *ctx, const struct ehttp_answer *a)
{
	struct driver_run *r = ctx;

	r->check.call = NULL;
	if (a->status != 200)
		fail(r, a);
	else
		ask_result(r, on_result);
}

static void on_made(void *ctx, const struct ehttp_answer *a)
{
	struct driver_run *r = ctx;
	struct ehttp_request req = {.method = "POST",
	        .body = "{\"Detach\":false,\"Tty\":false}",
	        .lasting = true,
	        .on_bytes = on_output,
	        .on_done = on_run_over,
	        .ctx = r};

	r->check.call = NULL;
	if (a->status != 201 || answer_id(r->check.exec, a->body, a->len, NULL) < 0)
		fail(r, a);
	else
		r->check.call = engine_ask(r->e, &req, "/exec/%s/start", r->check.exec);
}

/* Only a process that the kernel shows in this container's control group: the number may be another's by now. */
static bool is_containers(const struct driver_run *r, int64_t pid)
{
	struct arena arena;
	char path[64];
	size_t len;
	char *text;
	bool is;

	arena_init(&arena);
	snprintf(path, sizeof(path), "/proc/%lld/cgroup", (long long)pid);
	text = (char *)file_read(AT_FDCWD, path, CGROUP_FILE_MAX, &arena, &len, NULL);
	is = text && r->id[0] && strstr(text, r->id);
	arena_free(&arena);
	return is;
}

static void on_late(void *ctx, const struct ehttp_answer *a)
{
	struct driver_run *r = ctx;
	struct engine_exec x;

	r->check.call = NULL;
	if (!a->status) {
		wait_for_engine(r);
		return;
	}
	if (a->status == 200 && answer_exec(&x, a->body, a->len, NULL) == 0 && x.running && x.pid > 1 &&
	        is_containers(r, x.pid))
		kill((pid_t)x.pid, SIGKILL);
	tell_checked(r, CHECK_TIMED_OUT, 0, r->check.text);
}

static void on_deadline(void *ctx)
{
	struct driver_run *r = ctx;

	if (r->check.call)
		ehttp_cancel(r->check.call);
	r->check.call = NULL;
	if (!r->e->up)
		wait_for_engine(r);
	else if (r->check.exec[0])
		ask_result(r, on_late);
	else
		tell_checked(r, CHECK_TIMED_OUT, 0, "");
}

static void begin(struct driver_run *r)
{
	const struct spec_check *c = &r->spec->check;
	struct ehttp_request req = {.method = "POST", .timeout_ms = ENGINE_ASK_MS, .on_done = on_made, .ctx = r};
	json_t *argv = json_array();
	json_t *body;
	char *text;

	r->check.text[0] = r->check.exec[0] = '\0';
	for (size_t i = 0; i < c->n_argv; i++)
		json_array_append_new(argv, json_string(c->argv[i]));
	body = json_pack("{s:o,s:b,s:b}", "Cmd", argv, "AttachStdout", 1, "AttachStderr", 1);
	text = json_dumps(body, JSON_COMPACT);
	req.body = text;
	r->check.call = engine_ask(r->e, &req, "/containers/%s/exec", r->name);
	later_start(&r->check.deadline, r->e->all->loop, MAX(r->check.timeout_ms, 1), on_deadline, r);
	free(text);
	json_decref(body);
}

void engine_check(struct driver_run *r, uint32_t seq, int64_t timeout_ms)
{
	check_end(r);
	r->check.seq = seq;
	r->check.timeout_ms = timeout_ms;
	begin(r);
}

void check_go_on(struct driver_run *r)
{
	if (!r->check.waits)
		return;
	r->check.waits = false;
	begin(r);
}
