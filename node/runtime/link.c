#include "node/runtime/link.h"

#include "base/log.h"
#include "base/text.h"
#include "node/runtime/link_end.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* A shim that lives but does not talk is asked again after pauses that double. A connection that lasted for the
 * longest of them begins with the shortest again. */
#define AGAIN_FIRST_MS 5
#define AGAIN_MAX_MS   SECONDS(5)

struct driver_run {
	uv_pipe_t pipe;
	uv_process_t process; /* the shim's first process, which ends at once */
	int handles;          /* open ones; the last one's close callback frees */
	bool process_open;
	bool pipe_open;
	bool pipe_closing; /* its close callback is still to come */
	bool again_open;
	uv_timer_t again; /* to connect again */
	int64_t pause_ms; /* before the next attempt; 0: the last connection was a good one */
	mono_ms connected_at;
	bool over;     /* EXITED or LOST was said */
	bool released; /* the owner wants no more events */
	driver_event_fn *fn;
	void *ctx;
	const struct cgroups *cgroups;
	id64 task;
	int dir_fd; /* the owner's; not used once released */
	uint32_t run;
	/* What the shim may not have heard; said again on a new connection. It takes both twice without harm. */
	int stop_signal; /* 0: none */
	int64_t stop_grace_ms;
	bool check_waits;
	uint32_t check_seq;
	int64_t check_timeout_ms;
	size_t len;
	uint8_t in[SHIM_MESSAGE_MAX];
};

static void on_closed(uv_handle_t *h)
{
	struct driver_run *r = h->data;

	if (--r->handles)
		return;
	free(r);
}

static void close_process(struct driver_run *r)
{
	if (!r->process_open)
		return;
	r->process_open = false;
	uv_close((uv_handle_t *)&r->process, on_closed);
}

static void on_pipe_closed(uv_handle_t *h)
{
	((struct driver_run *)h->data)->pipe_closing = false;
	on_closed(h);
}

static void close_pipe(struct driver_run *r)
{
	if (!r->pipe_open)
		return;
	r->pipe_open = false;
	r->pipe_closing = true;
	uv_close((uv_handle_t *)&r->pipe, on_pipe_closed);
}

static void close_again(struct driver_run *r)
{
	if (!r->again_open)
		return;
	r->again_open = false;
	uv_close((uv_handle_t *)&r->again, on_closed);
}

static void tell(struct driver_run *r, struct driver_event *ev)
{
	if (r->released || r->over)
		return;
	if (ev->kind == DRIVER_EXITED || ev->kind == DRIVER_LOST)
		r->over = true;
	r->fn(r->ctx, ev);
}

static bool handle(struct driver_run *r, enum shim_message kind, struct rd *body)
{
	struct watchdog_record fired;
	struct driver_event ev = {0};
	const uint8_t *text;
	size_t len;

	switch (kind) {
	case SHIM_STARTED:
		ev.kind = DRIVER_STARTED;
		if (run_get(&ev.run, body->p, rd_left(body), NULL) < 0 || ev.run.run != r->run)
			return false;
		break;
	case SHIM_EXIT:
		ev.kind = DRIVER_EXITED;
		if (exit_get(&ev.exit, body->p, rd_left(body), NULL) < 0 || ev.exit.run != r->run)
			return false;
		if (!r->released)
			link_usage(r->dir_fd, r->run, &ev.usage);
		if (ev.exit.step != STEP_NONE && !r->released)
			link_fault(r->dir_fd, r->run, ev.text, sizeof(ev.text));
		break;
	case SHIM_WATCHDOG:
		ev.kind = DRIVER_WATCHDOG;
		if (watchdog_get(&fired, body->p, rd_left(body), NULL) < 0 || fired.run != r->run)
			return false;
		break;
	case SHIM_CHECKED:
		ev.kind = DRIVER_CHECKED;
		ev.seq = rd_u32(body);
		ev.outcome = rd_u8(body);
		ev.code = rd_u8(body);
		len = rd_left(body);
		text = rd_bytes(body, len);
		if (!rd_ok(body))
			return false;
		if (ev.seq == r->check_seq)
			r->check_waits = false;
		len = MIN(len, sizeof(ev.text) - 1);
		if (len && text_is_utf8((const char *)text, len))
			memcpy(ev.text, text, len);
		break;
	default:
		return true; /* of a shim of another build; what we need of it comes in messages that we know */
	}
	tell(r, &ev);
	return true;
}

static void on_again(uv_timer_t *timer);

static void connect_later(struct driver_run *r, uv_loop_t *loop)
{
	char id[17];

	if (!r->again_open) {
		uv_timer_init(loop, &r->again);
		r->again.data = r;
		r->again_open = true;
		r->handles++;
	}
	if ((mono_ms)uv_now(loop) - r->connected_at >= AGAIN_MAX_MS && r->connected_at)
		r->pause_ms = 0;
	r->connected_at = 0;
	if (r->pause_ms < AGAIN_MAX_MS && r->pause_ms * 2 >= AGAIN_MAX_MS) {
		id64_text(id, r->task);
		log_warn("task",
		        "the shim of task %s holds its folder but does not talk to this agent; the task is left "
		        "alone, and asked again every %d s",
		        id, (int)(AGAIN_MAX_MS / 1000));
	}
	r->pause_ms = r->pause_ms ? MIN(r->pause_ms * 2, AGAIN_MAX_MS) : AGAIN_FIRST_MS;
	uv_timer_start(&r->again, on_again, (uint64_t)r->pause_ms, 0);
}

/* No connection. Only a free lock says that the shim is gone, and then the folder tells how its run ended. A shim that
 * holds it lives, and so does its task: one of another build may have closed the socket over a message. */
static void look(struct driver_run *r, uv_loop_t *loop)
{
	struct driver_event ev;

	if (!link_end(r->dir_fd, r->run, r->task, r->cgroups, 0, &ev)) {
		connect_later(r, loop);
		return;
	}
	tell(r, &ev);
}

/* The stream has ended, or the shim says what makes no sense. */
static void on_end(struct driver_run *r)
{
	uv_loop_t *loop = r->pipe.loop;

	close_pipe(r);
	if (!r->over && !r->released)
		look(r, loop);
}

static void take_messages(struct driver_run *r)
{
	enum shim_message kind;
	struct rd body;
	int used;

	/* A handler may release r; it stays allocated until its handles are closed, on a later turn of the loop. */
	while (r->pipe_open && (used = message_take(r->in, r->len, &kind, &body)) != 0) {
		if (used < 0 || !handle(r, kind, &body)) {
			on_end(r);
			return;
		}
		r->len -= (size_t)used;
		memmove(r->in, r->in + used, r->len);
	}
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct driver_run *r = h->data;

	(void)suggested;
	*buf = uv_buf_init((char *)r->in + r->len, (unsigned)(sizeof(r->in) - r->len));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct driver_run *r = s->data;

	(void)buf;
	if (n < 0) {
		on_end(r);
		return;
	}
	r->len += (size_t)n;
	take_messages(r);
}

static struct driver_run *run_new(const struct driver_task *t, driver_event_fn *fn, void *ctx)
{
	struct driver_run *r = xcalloc(1, sizeof(*r));

	r->fn = fn;
	r->ctx = ctx;
	r->cgroups = t->cgroups;
	r->task = t->task->task;
	r->run = t->run;
	r->dir_fd = t->dir_fd;
	return r;
}

/* Takes fd over. */
static void open_pipe(struct driver_run *r, uv_loop_t *loop, int fd)
{
	uv_pipe_init(loop, &r->pipe, 0);
	r->pipe.data = r;
	r->pipe_open = true;
	r->handles++;
	r->len = 0;
	r->connected_at = (mono_ms)uv_now(loop);
	uv_pipe_open(&r->pipe, fd);
	uv_read_start((uv_stream_t *)&r->pipe, on_alloc, on_read);
}

static void on_first_exit(uv_process_t *p, int64_t status, int signal)
{
	(void)status;
	(void)signal;
	close_process(p->data);
}

static int spawn(struct driver_run *r, uv_loop_t *loop, const struct driver_task *t, int agent_fd, int lock_fd)
{
	char *args[] = {"starling", "shim", (char *)t->dir, NULL};
	char *env[] = {NULL};
	uv_stdio_container_t stdio[] = {
	        {.flags = UV_IGNORE},
	        {.flags = UV_IGNORE},
	        {.flags = UV_IGNORE},
	        {.flags = UV_INHERIT_FD, .data.fd = agent_fd},
	        {.flags = UV_INHERIT_FD, .data.fd = lock_fd},
	};
	uv_process_options_t options = {
	        .exit_cb = on_first_exit,
	        .file = t->host->self_exe,
	        .args = args,
	        .env = env,
	        .flags = UV_PROCESS_DETACHED,
	        .stdio = stdio,
	        .stdio_count = ARRAY_LEN(stdio),
	};
	int rc;

	r->process.data = r;
	r->process_open = true;
	r->handles++;
	rc = uv_spawn(loop, &r->process, &options);
	r->process.data = r;
	return rc;
}

struct driver_run *link_launch(
        uv_loop_t *loop, const struct driver_task *t, driver_event_fn *fn, void *ctx, struct err *err)
{
	struct driver_run *r;
	int lock_fd = link_lock(t->dir_fd, LINK_LOCK_WAIT_MS);
	int pair[2];
	int rc;

	if (lock_fd < 0) {
		err_errno(err, "start the task's shim: lock its folder");
		return NULL;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		err_errno(err, "start the task's shim: make a socket");
		close(lock_fd);
		return NULL;
	}
	r = run_new(t, fn, ctx);
	rc = spawn(r, loop, t, pair[1], lock_fd);
	close(pair[1]);
	close(lock_fd);
	if (rc < 0) {
		err_set(err, ERR_FAILED, "start the task's shim: %s", uv_strerror(rc));
		close(pair[0]);
		r->released = true;
		close_process(r);
		return NULL;
	}
	open_pipe(r, loop, pair[0]);
	return r;
}

static int connect_socket(int dir_fd)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct ucred who;
	socklen_t len = sizeof(who);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	/* By way of the folder's descriptor: the data folder's path may be longer than sun_path. */
	snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%d/shim.sock", dir_fd);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 &&
	        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
	        (who.uid == 0 || who.uid == geteuid()))
		return fd;
	close(fd);
	return -1;
}

struct driver_run *link_adopt(uv_loop_t *loop, const struct driver_task *t, mono_ms deadline, driver_event_fn *fn,
        void *ctx, struct driver_event *ended)
{
	struct driver_run *r;
	int fd;

	/* A shim that is about to listen, or about to end, holds the lock without a socket, but not for long. */
	do {
		fd = connect_socket(t->dir_fd);
		if (fd < 0 && link_end(t->dir_fd, t->run, t->task->task, t->cgroups, LINK_LOCK_WAIT_MS, ended))
			return NULL;
	} while (fd < 0 && (mono_ms)(uv_hrtime() / 1000000) < deadline);
	r = run_new(t, fn, ctx);
	if (fd < 0)
		connect_later(r, loop);
	else
		open_pipe(r, loop, fd);
	return r;
}

struct sending {
	uv_write_t req;
	uint8_t bytes[16];
};

static void on_sent(uv_write_t *req, int status)
{
	(void)status;
	free(container_of(req, struct sending, req));
}

/* A write that fails is followed by the end of the stream, which is handled there. */
static void send_message(struct driver_run *r, struct sending *s, struct wr *w)
{
	uv_buf_t buf = uv_buf_init((char *)s->bytes, (unsigned)w->len);

	if (!r->pipe_open || uv_write(&s->req, (uv_stream_t *)&r->pipe, &buf, 1, on_sent) < 0)
		free(s);
}

static void say_stop(struct driver_run *r)
{
	struct sending *s = xcalloc(1, sizeof(*s));
	struct wr w;
	size_t at;

	wr_fixed(&w, s->bytes, sizeof(s->bytes));
	at = message_begin(&w, SHIM_STOP);
	wr_u8(&w, (uint8_t)r->stop_signal);
	wr_u32(&w, (uint32_t)MIN(MAX(r->stop_grace_ms, 0), INT32_MAX));
	message_end(&w, at);
	send_message(r, s, &w);
}

static void say_check(struct driver_run *r)
{
	struct sending *s = xcalloc(1, sizeof(*s));
	struct wr w;
	size_t at;

	wr_fixed(&w, s->bytes, sizeof(s->bytes));
	at = message_begin(&w, SHIM_CHECK);
	wr_u32(&w, r->check_seq);
	wr_u32(&w, (uint32_t)MIN(MAX(r->check_timeout_ms, 1), INT32_MAX));
	message_end(&w, at);
	send_message(r, s, &w);
}

static void on_again(uv_timer_t *timer)
{
	struct driver_run *r = timer->data;
	int fd = r->pipe_closing ? -1 : connect_socket(r->dir_fd);

	if (fd < 0) {
		look(r, timer->loop);
		return;
	}
	open_pipe(r, timer->loop, fd);
	if (r->stop_signal)
		say_stop(r);
	if (r->check_waits)
		say_check(r);
}

void link_stop(struct driver_run *r, int signal, int64_t grace_ms)
{
	r->stop_signal = signal;
	r->stop_grace_ms = grace_ms;
	say_stop(r);
}

void link_check(struct driver_run *r, uint32_t seq, int64_t timeout_ms)
{
	r->check_waits = true;
	r->check_seq = seq;
	r->check_timeout_ms = timeout_ms;
	say_check(r);
}

void link_release(struct driver_run *r)
{
	r->released = true;
	close_pipe(r);
	/* Its first process, which ends as soon as it has started the shim, is reaped here: nobody else would. */
	while (r->process_open && waitpid(r->process.pid, NULL, 0) < 0 && errno == EINTR)
		;
	close_process(r);
	close_again(r);
}
