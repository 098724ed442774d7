/* One task: does what the table in supervise.c says, and feeds it with what the driver and health checks tell. */
#include "node/runtime/task.h"

#include "base/log.h"
#include "base/text.h"
#include "node/runtime/shipped.h"
#include "node/runtime/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

/* Starts blocked in a row, spread over 1.5 s by the default delay, after which another peer is the better place. */
#define BLOCKED_MAX 3

mono_ms task_mono(const struct task *t)
{
	return (mono_ms)uv_now(t->rt->loop);
}

wall_ms task_wall(void)
{
	struct timeval tv;

	gettimeofday(&tv, NULL);
	return (wall_ms)tv.tv_sec * 1000 + tv.tv_usec / 1000;
}

void task_reason(struct task *t, const char *fmt, ...)
{
	char cut[sizeof(t->pub.reason) * 2];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cut, sizeof(cut), fmt, ap);
	va_end(ap);
	text_copy(t->pub.reason, sizeof(t->pub.reason), cut);
	/* A text cut within a character would be refused by every reader. */
	for (size_t len = strlen(t->pub.reason); len && !text_is_utf8(t->pub.reason, len); len--)
		t->pub.reason[len - 1] = '\0';
}

const struct spec_restart_policy *task_policy(const struct task *t)
{
	return &t->pub.spec->restart;
}

/* Of the task's folder, from the root: what is bound elsewhere cannot be told from a working directory. */
static const char *whole_path(struct task *t)
{
	char path[PATH_MAX];

	return realpath(t->dir, path) ? arena_strdup(&t->arena, path) : t->dir;
}

struct driver_task task_for_driver(struct task *t)
{
	if (t->pub.spec->n_files) {
		if (!t->mounted)
			t->mounted = shipped_mounted(&t->arena, whole_path(t), t->pub.spec);
		t->seen = t->pub;
		t->seen.spec = t->mounted;
	}
	return (struct driver_task){
	        .host = &t->rt->cfg,
	        .cgroups = &t->rt->cgroups,
	        .task = t->mounted ? &t->seen : &t->pub,
	        .dir = t->dir,
	        .dir_fd = t->dir_fd,
	        .run = t->run_number,
	};
}

/* ---- making and freeing ---- */

struct task *task_open(struct runtime *rt, id64 id, struct err *err)
{
	struct task *t;
	char name[17];
	int fd;

	id64_text(name, id);
	if (mkdirat(rt->tasks_fd, name, 0700) < 0 && errno != EEXIST) {
		err_errno(err, "make the task's folder %s/tasks/%s", rt->cfg.data_dir, name);
		return NULL;
	}
	fd = openat(rt->tasks_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || (mkdirat(fd, "log", 0700) < 0 && errno != EEXIST)) {
		err_errno(err, "open the task's folder %s/tasks/%s", rt->cfg.data_dir, name);
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	t = xcalloc(1, sizeof(*t));
	t->rt = rt;
	t->dir_fd = fd;
	t->pub.task = id;
	arena_init(&t->arena);
	t->dir = arena_printf(&t->arena, "%s/tasks/%s", rt->cfg.data_dir, name);
	supervise_init(&t->life);
	list_init(&t->followers);
	uv_timer_init(rt->loop, &t->timer);
	t->timer.data = t;
	return t;
}

int task_set_spec(struct task *t, const char *stack, const struct service *s, struct err *err)
{
	struct spec one = {.name = stack, .n_services = 1, .services = (struct service *)s};
	struct spec copy;
	struct wr w;
	int rc;

	/* Its laws alone: what it says of other services was checked with the whole stack. */
	if (service_check(s, err) < 0)
		return -1;
	wr_init(&w, BODY_BYTES_MAX);
	spec_encode(&w, &one);
	rc = wr_ok(&w) ? spec_decode_kept(&copy, &t->arena, w.p, w.len, err)
	               : err_set(err, ERR_USAGE, "%s/%s: the service is too large", stack, s->name);
	wr_free(&w);
	if (rc < 0)
		return -1;
	t->pub.stack = copy.name;
	t->pub.spec = copy.services;
	t->pub.service = copy.services->name;
	t->pub.content = service_content(copy.services);
	return 0;
}

static void on_timer_closed(uv_handle_t *h)
{
	struct task *t = h->data;

	arena_free(&t->arena);
	close(t->dir_fd);
	free(t);
}

static void end_work(struct task *t)
{
	if (t->work)
		t->driver->cancel(t->work);
	t->work = NULL;
}

void task_free(struct task *t)
{
	health_stop(t->health);
	t->health = NULL;
	end_work(t);
	if (t->run)
		t->driver->release(t->run);
	t->run = NULL;
	uv_close((uv_handle_t *)&t->timer, on_timer_closed);
}

/* ---- actions of the table ---- */

void task_note_refusal(struct task *t)
{
	const struct supervise *l = &t->life;
	bool never_ran = !l->runs && !t->pub.exited && !t->pub.stopping;

	t->pub.refused =
	        never_ran && (l->state == TASK_FAILED || (l->state == TASK_BACKOFF && l->blocked >= BLOCKED_MAX));
}

static void prepared(struct task *t, enum driver_answer answer, const char *why)
{
	if (answer == DRIVER_OK) {
		task_event(t, EV_PREPARED);
		return;
	}
	task_reason(t, "%s", why);
	task_count_failure(t);
	task_event(t, answer == DRIVER_BLOCKED ? EV_BLOCKED : EV_REFUSED);
}

static void prepare(struct task *t)
{
	struct err err = {0};
	struct driver_task d;
	enum driver_answer answer;

	t->run_number++;
	if (task_choose_ports(t, &err) < 0 || shipped_make(t->dir_fd, t->pub.spec, &err) < 0) {
		task_reason(t, "%s", err.text);
		task_event(t, EV_BLOCKED);
		return;
	}
	d = task_for_driver(t);
	answer = t->driver->prepare(t->rt->loop, &d, task_driver_event, t, &t->work, &err);
	if (answer != DRIVER_LATER)
		prepared(t, answer, err.text);
}

static void launch(struct task *t)
{
	struct driver_task d = task_for_driver(t);
	struct err err = {0};

	/* Before the shim exists: whoever restarts now must look for it. */
	if (record_save(t) < 0)
		err_set(&err, ERR_FAILED, "its record cannot be written to %s", t->dir);
	else
		t->run = t->driver->launch(t->rt->loop, &d, task_driver_event, t, &err);
	if (t->run)
		return;
	task_reason(t, "%s: %s", t->pub.service, err.text);
	task_event(t, EV_BLOCKED);
}

void task_stop_process(struct task *t)
{
	int sig = signal_number(t->pub.spec->stop_signal ? t->pub.spec->stop_signal : "SIGTERM");

	if (t->run)
		t->driver->stop(t->run, sig ? sig : SIGTERM, t->pub.spec->stop_grace_ms);
}

static void on_backoff(uv_timer_t *timer)
{
	task_event(timer->data, EV_TIMER);
}

static void end(struct task *t)
{
	struct driver_task d = task_for_driver(t);
	char id[17];

	task_release_ports(t);
	id64_text(id, t->pub.task);
	cgroup_remove(&t->rt->cgroups, id);
	if (t->driver->ended)
		t->driver->ended(t->rt->loop, &d);
}

static void perform(struct task *t, enum supervise_action action)
{
	switch (action) {
	case ACT_NONE:
		break;
	case ACT_PREPARE:
		t->pub.retry_at = 0;
		prepare(t);
		break;
	case ACT_LAUNCH:
		launch(t);
		break;
	case ACT_WATCH:
		task_watch(t);
		break;
	case ACT_STOP:
		task_unwatch(t);
		task_stop_process(t);
		break;
	case ACT_WAIT:
		t->pub.retry_at = task_wall() + t->life.retry_in_ms;
		uv_timer_start(&t->timer, on_backoff, (uint64_t)t->life.retry_in_ms, 0);
		break;
	case ACT_END:
		t->pub.retry_at = 0;
		end(t);
		break;
	}
}

/* Health as it stands in a state without checks: unknown again, but shown to the end of a task that stops. */
static void rest_health(struct task *t)
{
	task_unwatch(t);
	if (t->life.state == TASK_STOPPING)
		task_set_health(t, t->pub.health);
	else
		task_set_health(t, t->pub.spec->check.kind == CHECK_NONE ? HEALTH_NONE : HEALTH_STARTING);
}

void task_event(struct task *t, enum supervise_event ev)
{
	enum task_state was = t->life.state;
	enum supervise_action action = supervise_on(&t->life, ev, task_policy(t), task_mono(t), &t->rt->rng);
	enum task_state is = t->life.state;

	if (is == was && action == ACT_NONE)
		return;
	t->pub.state = is;
	t->pub.restarts = t->life.runs ? t->life.runs - 1 : 0;
	task_note_refusal(t);
	if (is != TASK_BACKOFF)
		uv_timer_stop(&t->timer);
	if (was == TASK_PREPARING)
		end_work(t);
	if (is != TASK_RUNNING && is != TASK_UNHEALTHY)
		rest_health(t);
	perform(t, action);
	/* What the action did may have moved the task on; then the rest was done there. */
	if (t->life.state != is)
		return;
	if (action != ACT_LAUNCH)
		record_save(t);
	runtime_note(t);
	if (supervise_ended(is))
		followers_end(t);
}

/* ---- what the driver tells ---- */

static void run_over(struct task *t)
{
	if (t->run)
		t->driver->release(t->run);
	t->run = NULL;
	t->pub.pid = 0;
}

static void on_started(struct task *t, const struct run_record *run)
{
	/* It runs and has an agent. A shim that is about to end takes a connection, too, but says nothing any more. */
	if (!t->barked)
		t->pub.alone = false;
	t->pub.pid = run->pid;
	t->pub.started_at = run->started;
	if (t->life.state == TASK_STARTING)
		t->pub.reason[0] = '\0';
	task_event(t, EV_STARTED);
}

/* What a container's runtime says when the host has too little of something just now. */
static bool passes(const char *why)
{
	static const char *const texts[] = {"no space left", "temporarily unavailable", "cannot allocate memory",
	        "too many open files", "resource busy", "killed: it had not started"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (strcasestr(why, texts[i]))
			return true;
	return false;
}

/* The process never ran. why: what is known beyond the step, or "". */
static void on_refused(struct task *t, const struct exit_record *e, const char *why)
{
	const struct service *s = t->pub.spec;
	const char *command = s->n_entrypoint ? s->entrypoint[0] : s->n_command ? s->command[0] : "";
	const char *cause = strerror((int)e->step_errno);

	bool blocked = e->step == STEP_FORK || e->step == STEP_STDIO || (e->step == STEP_RUNTIME && passes(why));

	if (*why)
		task_reason(t, "%s: %s", s->name, why);
	else if (e->step == STEP_NOT_FOUND)
		task_reason(t, "%s: command \"%s\": %s", s->name, command,
		        strchr(command, '/') ? "no such file on this host" : "not found in PATH");
	else if (e->step == STEP_EXEC)
		task_reason(t, "%s: command \"%s\": %s", s->name, command, cause);
	else if (e->step == STEP_CWD)
		task_reason(t, "%s: working directory \"%s\": %s", s->name, s->working_dir ? s->working_dir : "/",
		        cause);
	else
		task_reason(t, "%s: %s: %s", s->name, launch_step_text(e->step), cause);
	task_count_failure(t);
	log_warn("task", "%s/%s/%u did not start: %s", t->pub.stack, t->pub.service, t->pub.index, t->pub.reason);
	/* No process or descriptor left is no fault of the task. */
	task_event(t, blocked ? EV_BLOCKED : EV_REFUSED);
}

static void describe_exit(struct task *t, const struct exit_record *e)
{
	if (e->oom)
		task_reason(t, "killed: it used more than its memory limit of %llu bytes",
		        (unsigned long long)t->pub.spec->limit.memory);
	else if (e->signalled)
		task_reason(t, "killed by %s", signal_name(e->code));
	else
		task_reason(t, "exited with code %u", e->code);
}

static void note_watchdog(struct task *t)
{
	if (t->barked)
		return;
	t->barked = t->pub.alone = true;
	task_reason(t, "no agent was there for %.10g s: its watchdog stopped it",
	        (double)t->pub.spec->watchdog_ms / 1000);
	log_warn("task", "%s/%s/%u: %s", t->pub.stack, t->pub.service, t->pub.index, t->pub.reason);
}

/* why: what is known beyond the exit itself; NULL nothing. */
static void on_exited(struct task *t, const struct exit_record *e, const char *why)
{
	bool unhealthy = t->life.state == TASK_UNHEALTHY;
	bool failed = e->signalled || e->code || unhealthy;
	enum supervise_event ev;

	t->pub.exited = true;
	t->pub.exit_code = e->signalled ? 0 : e->code;
	t->pub.exit_signal = e->signalled ? e->code : 0;
	t->pub.oom = e->oom;
	if (t->barked) {
		task_event(t, EV_GONE);
		return;
	}
	/* A task that was told to stop has its reason, and a failed check was counted, when that happened. */
	if (t->life.state != TASK_STOPPING && !unhealthy) {
		describe_exit(t, e);
		if (why)
			task_reason(t, "%s", why);
		if (failed)
			task_count_failure(t);
	}
	ev = supervise_exit(&t->life, task_policy(t), failed, task_mono(t));
	if (ev == EV_EXIT_AGAIN && t->pub.alone && t->life.state != TASK_STOPPING)
		ev = EV_GONE;
	task_event(t, ev);
}

void task_driver_event(void *ctx, const struct driver_event *ev)
{
	struct task *t = ctx;

	switch (ev->kind) {
	case DRIVER_PROGRESS:
		task_reason(t, "%s", ev->text);
		runtime_note(t);
		break;
	case DRIVER_PREPARED:
		t->work = NULL;
		prepared(t, ev->answer, ev->text);
		break;
	case DRIVER_STARTED:
		on_started(t, &ev->run);
		break;
	case DRIVER_WATCHDOG:
		note_watchdog(t);
		task_event(t, EV_STOP);
		break;
	case DRIVER_EXITED:
		run_over(t);
		t->pub.user_ms = ev->usage.user_ms;
		t->pub.system_ms = ev->usage.system_ms;
		t->pub.max_rss = ev->usage.max_rss;
		if (ev->watchdog)
			note_watchdog(t);
		if (ev->exit.step != STEP_NONE)
			on_refused(t, &ev->exit, ev->text);
		else
			on_exited(t, &ev->exit, NULL);
		break;
	case DRIVER_LOST: {
		static const struct exit_record killed = {.signalled = true, .code = SIGKILL};

		run_over(t);
		if (ev->watchdog)
			note_watchdog(t);
		log_warn("task", "%s/%s/%u: %s", t->pub.stack, t->pub.service, t->pub.index, ev->text);
		on_exited(t, &killed, ev->text);
		break;
	}
	case DRIVER_CHECKED: {
		char why[200];

		snprintf(why, sizeof(why), "%s%s%.160s",
		        ev->outcome == CHECK_TIMED_OUT ? "took too long"
		        : ev->outcome == CHECK_NOT_RUN ? "could not be run"
		                                       : "ended with an error",
		        ev->text[0] ? ": " : "", ev->text);
		if (t->health)
			health_checked(t->health, ev->seq, ev->outcome == CHECK_PASSED, why);
		break;
	}
	}
}
