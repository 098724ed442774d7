/*
 * One container from its start to its end.
 *
 *	launch --start--> look <--- an event, the end of its output, the engine is back, a question without an answer
 *	                   |
 *	   created         '-> it is started (again); one that is to stop is not
 *	   running         '-> STARTED, once; its output is followed; a stop that was not said is said
 *	   exited          '-> its output is read to the end, then EXITED
 *	   no such one     '-> LOST
 */
#include "base/log.h"
#include "base/text.h"
#include "node/runtime/engine_parts.h"

#include <signal.h>
#include <stdio.h>
#include <sys/time.h>

/* A question without an answer is asked again after pauses that double. */
#define LOOK_FIRST_MS 100
#define LOOK_MAX_MS   SECONDS(5)
/* Of what a container said last, that the engine still has to hand out once it has ended. */
#define LOG_END_MS SECONDS(5)
/* For the word of a kill for memory, behind that of the end. */
#define OOM_WORD_MS 300
#define START_MS    MINUTES(3)
/* Beyond the grace, until the engine says that it has stopped one. */
#define STOP_SLACK_MS MINUTES(1)

static void tell(struct driver_run *r, struct driver_event *ev)
{
	if (r->over)
		return;
	if (ev->kind == DRIVER_EXITED || ev->kind == DRIVER_LOST)
		r->over = true;
	r->fn(r->ctx, ev);
}

struct driver_run *run_find(const struct engine *e, id64 task, uint32_t run)
{
	list_each (&e->runs, item) {
		struct driver_run *r = list_entry(item, struct driver_run, link);

		if (r->task == task && r->run == run)
			return r;
	}
	return NULL;
}

static wall_ms wall_now(void)
{
	struct timeval tv;

	gettimeofday(&tv, NULL);
	return (wall_ms)tv.tv_sec * 1000 + tv.tv_usec / 1000;
}

static mono_ms mono_now(const struct driver_run *r)
{
	return (mono_ms)uv_now(r->e->all->loop);
}

static void look_again(void *ctx)
{
	run_look(ctx);
}

static void look_later(struct driver_run *r)
{
	r->look_pause_ms = r->look_pause_ms ? MIN(2 * r->look_pause_ms, LOOK_MAX_MS) : LOOK_FIRST_MS;
	later_start(&r->look_later, r->e->all->loop, r->look_pause_ms, look_again, r);
	engine_wake(r->e);
}

/* ---- it ended ---- */

static void tell_started(struct driver_run *r, const struct engine_state *s)
{
	struct driver_event ev = {.kind = DRIVER_STARTED};

	if (r->started)
		return;
	r->started = true;
	ev.run = (struct run_record){
	        .run = r->run, .pid = (uint32_t)s->pid, .started = s->started ? s->started : wall_now()};
	tell(r, &ev);
}

/* An engine has one number for both: 128 and the signal stands for an end by that signal, as in a shell. */
static void set_code(struct exit_record *x, int code)
{
	x->signalled = code > 128 && code <= 128 + 64;
	x->code = (uint8_t)(x->signalled ? code - 128 : code);
}

static void tell_exited(struct driver_run *r)
{
	struct driver_event ev = {.kind = DRIVER_EXITED};

	ev.exit = (struct exit_record){.run = r->run,
	        .oom = r->end.oom || (r->oom && r->end.exit_code),
	        .started = r->end.started,
	        .ended = r->end.ended};
	set_code(&ev.exit, r->end.exit_code);
	tell(r, &ev);
}

static void tell_exited_late(void *ctx)
{
	tell_exited(ctx);
}

/* Docker's word of a kill for memory may come after that of the end, and its state does not have it then. */
static void conclude(struct driver_run *r)
{
	bool maybe = r->end.exit_code == 128 + SIGKILL && r->spec->limit.memory && !r->stop_signal;

	if (maybe && !r->end.oom && !r->oom)
		later_start(&r->end_later, r->e->all->loop, OOM_WORD_MS, tell_exited_late, r);
	else
		tell_exited(r);
}

void run_oom(struct driver_run *r)
{
	r->oom = true;
}

void run_log_over(struct driver_run *r)
{
	later_stop(&r->end_later);
	if (r->ending)
		conclude(r);
}

static void on_log_late(void *ctx)
{
	struct driver_run *r = ctx;

	log_stop(r);
	conclude(r);
}

/* What an engine says of a start for which the host has too little of something, or a port in use, just now. */
static bool passes(const char *why)
{
	static const char *const texts[] = {"no space left", "temporarily unavailable", "cannot allocate memory",
	        "too many open files", "resource busy", "address already in use", "port is already allocated",
	        "cannot assign requested address", "timed out", "timeout", "deadline exceeded",
	        "connection refused", "is marked for removal", "shutting down", "transport is closing",
	        "containerd"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (strcasestr(why, texts[i]))
			return true;
	return false;
}

static void tell_not_started(struct driver_run *r, const char *why)
{
	struct driver_event ev = {.kind = DRIVER_EXITED};

	/* STEP_FORK stands for what passes: tried again, here, and after a few times elsewhere. */
	ev.exit = (struct exit_record){.run = r->run, .step = passes(why) ? STEP_FORK : STEP_RUNTIME};
	text_copy(ev.text, sizeof(ev.text), why);
	tell(r, &ev);
}

static void ended(struct driver_run *r, const struct engine_state *s)
{
	/* A start that failed leaves a container that "exited" with 126, 127 or 128 and never ran. */
	if (!r->started && s->error[0] && s->exit_code >= 126 && s->exit_code <= 128) {
		tell_not_started(r, s->error);
		return;
	}
	if (r->ending)
		return;
	r->ending = true;
	r->end = *s;
	tell_started(r, s);
	check_end(r);
	later_stop(&r->kill_later);
	later_start(&r->end_later, r->e->all->loop, LOG_END_MS, on_log_late, r);
	log_follow(r);
}

static void gone(struct driver_run *r)
{
	struct driver_event ev = {.kind = DRIVER_LOST};

	text_copy(ev.text, sizeof(ev.text), "its container is gone: somebody removed it from the engine");
	tell(r, &ev);
}

/* ---- starting ---- */

static void on_start(void *ctx, const struct ehttp_answer *a)
{
	struct driver_run *r = ctx;
	char why[ENGINE_TEXT_MAX + 1];

	r->start = NULL;
	if (!a->status) {
		look_later(r);
	} else if (a->status < 400 || a->status == 404) {
		run_look(r);
	} else {
		answer_message(why, a->status, a->body, a->len);
		tell_not_started(r, why);
	}
}

static void start(struct driver_run *r)
{
	struct ehttp_request req = {.method = "POST", .timeout_ms = START_MS, .on_done = on_start, .ctx = r};

	if (!r->start)
		r->start = engine_ask(r->e, &req, "/containers/%s/start", r->name);
}

/* ---- stopping ---- */

static void on_kill(void *ctx, const struct ehttp_answer *a)
{
	struct driver_run *r = ctx;

	r->kill_call = NULL;
	if (a->status)
		run_look(r);
	else
		look_later(r);
}

static void send_signal(struct driver_run *r, int signal)
{
	struct ehttp_request req = {
	        .method = "POST", .timeout_ms = ENGINE_ASK_MS, .lasting = true, .on_done = on_kill, .ctx = r};

	if (r->kill_call)
		ehttp_cancel(r->kill_call);
	r->kill_call = engine_ask(r->e, &req, "/containers/%s/kill?signal=%d", r->name, signal);
}

static void on_grace_over(void *ctx)
{
	struct driver_run *r = ctx;

	send_signal(r, SIGKILL);
	/* Until it has ended: the engine may have been away just now. */
	later_start(&r->kill_later, r->e->all->loop, SECONDS(5), on_grace_over, r);
}

static void on_stop(void *ctx, const struct ehttp_answer *a)
{
	struct driver_run *r = ctx;

	r->stop_call = NULL;
	if (!a->status) {
		r->stop_said = false;
		look_later(r);
	} else {
		run_look(r);
	}
}

static void say_stop(struct driver_run *r)
{
	int64_t left = MAX(r->stop_at - mono_now(r), 0);
	struct ehttp_request req = {.method = "POST",
	        .timeout_ms = left + STOP_SLACK_MS,
	        .lasting = true,
	        .on_done = on_stop,
	        .ctx = r};

	r->stop_said = true;
	later_start(&r->kill_later, r->e->all->loop, left, on_grace_over, r);
	/* Docker goes on with a stop by itself when this agent dies meanwhile. Podman would hold the container locked
	 * for so long, against the SIGKILL too. */
	if (r->e->podman)
		send_signal(r, r->stop_signal);
	else
		r->stop_call = engine_ask(r->e, &req, "/containers/%s/stop?t=%lld&signal=%d", r->name,
		        (long long)((left + 999) / 1000), r->stop_signal);
}

void engine_stop(struct driver_run *r, int signal, int64_t grace_ms)
{
	r->stop_signal = signal;
	r->stop_at = mono_now(r) + MIN(MAX(grace_ms, 0), INT32_MAX);
	check_end(r);
	if (r->ending || r->over)
		return;
	if (r->stop_said)
		later_start(&r->kill_later, r->e->all->loop, MAX(grace_ms, 0), on_grace_over, r);
	else if (r->started)
		say_stop(r);
}

/* It was to be stopped before it ever ran. */
static void drop_unstarted(struct driver_run *r)
{
	struct driver_event ev = {.kind = DRIVER_EXITED};

	ev.exit = (struct exit_record){
	        .run = r->run, .signalled = true, .code = (uint8_t)r->stop_signal, .ended = wall_now()};
	tell(r, &ev);
}

/* ---- looking ---- */

static void take_state(struct driver_run *r, const struct engine_state *s)
{
	text_copy(r->id, sizeof(r->id), s->id);
	switch (s->status) {
	case ENGINE_CREATED:
		if (r->start)
			break;
		if (r->started)
			gone(r);
		else if (r->stop_signal)
			drop_unstarted(r);
		else
			start(r);
		break;
	case ENGINE_RUNNING:
		tell_started(r, s);
		if (r->over)
			break;
		log_follow(r);
		if (r->stop_signal && !r->stop_said)
			say_stop(r);
		else
			check_go_on(r);
		break;
	case ENGINE_EXITED:
		if (!r->start)
			ended(r, s);
		break;
	}
}

static void on_look(void *ctx, const struct ehttp_answer *a)
{
	struct driver_run *r = ctx;
	struct engine_state s;
	struct err err = {0};

	r->look = NULL;
	if (r->over)
		return;
	if (a->status == 404) {
		gone(r);
	} else if (a->status != 200) {
		look_later(r);
	} else if (answer_state(&s, a->body, a->len, &err) < 0) {
		log_warn("task", "container %s at %s: %s; it is left alone and asked again", r->name,
		        r->e->socket, err.text);
		look_later(r);
	} else {
		r->look_pause_ms = 0;
		take_state(r, &s);
	}
}

void run_look(struct driver_run *r)
{
	struct ehttp_request req = {.method = "GET", .timeout_ms = ENGINE_ASK_MS, .on_done = on_look, .ctx = r};

	if (r->over || r->ending)
		return;
	later_stop(&r->look_later);
	/* An answer on its way may be older than what is asked for now. */
	if (r->look)
		ehttp_cancel(r->look);
	r->look = engine_ask(r->e, &req, "/containers/%s/json", r->name);
}

/* ---- the driver's functions ---- */

static struct driver_run *run_new(struct engine *e, const struct driver_task *t, driver_event_fn *fn, void *ctx)
{
	struct driver_run *r = xcalloc(1, sizeof(*r));

	r->e = e;
	r->fn = fn;
	r->ctx = ctx;
	r->task = t->task->task;
	r->run = t->run;
	r->dir_fd = t->dir_fd;
	r->spec = t->task->spec;
	engine_name(r->name, r->task, r->run);
	r->log.frames.terminal = r->spec->tty;
	list_push_back(&e->runs, &r->link);
	return r;
}

struct driver_run *engine_launch(
        uv_loop_t *loop, const struct driver_task *t, driver_event_fn *fn, void *ctx, struct err *err)
{
	struct engine *e = engine_of_task(t);
	struct driver_run *r;

	(void)loop;
	if (!e) {
		err_set(err, ERR_FAILED, "its folder does not say which container engine it was prepared for");
		return NULL;
	}
	r = run_new(e, t, fn, ctx);
	start(r);
	engine_wake(e);
	return r;
}

struct driver_run *engine_adopt(uv_loop_t *loop, const struct driver_task *t, mono_ms deadline,
        driver_event_fn *fn, void *ctx, struct driver_event *ended_ev)
{
	struct engine *e = engine_of_task(t);
	struct driver_run *r;

	(void)loop;
	(void)deadline;
	if (!e) {
		*ended_ev = (struct driver_event){.kind = DRIVER_LOST};
		text_copy(ended_ev->text, sizeof(ended_ev->text),
		        "its folder does not say which container engine has it");
		return NULL;
	}
	r = run_new(e, t, fn, ctx);
	log_resume(r);
	run_look(r);
	engine_wake(e);
	return r;
}

void engine_release(struct driver_run *r)
{
	struct ehttp_call **calls[] = {&r->start, &r->look, &r->stop_call, &r->kill_call};

	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		if (*calls[i])
			ehttp_cancel(*calls[i]);
	later_stop(&r->look_later);
	later_stop(&r->kill_later);
	later_stop(&r->end_later);
	check_end(r);
	log_stop(r);
	list_remove(&r->link);
	if (r->over)
		engine_remove(r->e, r->name);
	free(r);
}
