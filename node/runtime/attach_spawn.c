/* A command in a task by way of `starling enter`: its terminal or pipes, and the socket on which enter answers. */
#include "node/runtime/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct spawned {
	struct attach attach;
	const struct attach_events *ev;
	void *ctx;
	uv_process_t process;
	uv_pipe_t in, out, err, ctl; /* with a terminal `out` is it, both ways, and `in` and `err` are not used */
	bool tty, has_in, has_err;
	bool out_over, err_over, ctl_over;
	bool paused, closed, told;
	int handles;
	struct attach_end end;
	uint8_t answer[ENTER_ANSWER_BYTES];
	size_t answer_len;
};

struct write {
	uv_write_t req;
	struct spawned *s;
	uint8_t bytes[];
};

static struct spawned *of(struct attach *a)
{
	return container_of(a, struct spawned, attach);
}

static uv_pipe_t *input_pipe(struct spawned *s)
{
	return s->tty ? &s->out : &s->in;
}

static void on_closed(uv_handle_t *h)
{
	struct spawned *s = h->data;

	if (--s->handles == 0)
		free(s);
}

static void close_handle(uv_handle_t *h)
{
	if (!uv_is_closing(h))
		uv_close(h, on_closed);
}

static void spawned_close(struct attach *a)
{
	struct spawned *s = of(a);

	if (s->closed)
		return;
	s->closed = true;
	close_handle((uv_handle_t *)&s->process);
	close_handle((uv_handle_t *)&s->ctl);
	close_handle((uv_handle_t *)&s->out);
	if (s->has_in)
		close_handle((uv_handle_t *)&s->in);
	if (s->has_err)
		close_handle((uv_handle_t *)&s->err);
}

static void on_first_exit(uv_process_t *p, int64_t status, int sig)
{
	(void)status;
	(void)sig;
	close_handle((uv_handle_t *)p);
}

/* Over once enter has answered and all output is told. */
static void look(struct spawned *s)
{
	if (s->closed || s->told || !s->ctl_over || !s->out_over || !s->err_over)
		return;
	s->told = true;
	if (!s->end.ran && !s->end.why[0])
		snprintf(s->end.why, sizeof(s->end.why), "what holds it was killed");
	s->ev->ended(s->ctx, &s->end);
}

static void take_answer(struct spawned *s)
{
	enum enter_answer kind;
	struct rd r;
	uint32_t value;
	int error;

	rd_init(&r, s->answer, sizeof(s->answer));
	kind = (enum enter_answer)rd_u8(&r);
	value = rd_u32(&r);
	error = (int)rd_u32(&r);
	switch (kind) {
	case ENTER_ENDED:
		s->end.ran = true;
		s->end.code = (int)value;
		break;
	case ENTER_GONE:
		snprintf(s->end.why, sizeof(s->end.why), "the task has just ended or been restarted; try again");
		break;
	case ENTER_SPACE:
		snprintf(s->end.why, sizeof(s->end.why), "cannot enter the task's namespaces: %s",
		        strerror(error));
		break;
	default:
		s->end.code = value == STEP_NOT_FOUND ? 127 : value == STEP_EXEC ? 126 : 125;
		snprintf(s->end.why, sizeof(s->end.why), "%s: %s",
		        launch_step_text(value < STEPS ? (enum launch_step)value : STEP_EXEC), strerror(error));
		break;
	}
}

static char buffer[FRAME_BYTES_MAX / 2];

static void on_alloc(uv_handle_t *h, size_t want, uv_buf_t *buf)
{
	(void)h;
	(void)want;
	*buf = uv_buf_init(buffer, sizeof(buffer));
}

static void on_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct spawned *s = stream->data;
	bool is_err = stream == (uv_stream_t *)&s->err;

	if (n > 0) {
		s->ev->output(s->ctx, is_err, (const uint8_t *)buf->base, (size_t)n);
		return;
	}
	if (n == 0)
		return;
	/* A terminal that nobody has open any more reads as an error. */
	uv_read_stop(stream);
	*(is_err ? &s->err_over : &s->out_over) = true;
	look(s);
}

static void on_answer(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct spawned *s = stream->data;
	size_t take;

	if (n < 0) {
		uv_read_stop(stream);
		s->ctl_over = true;
		look(s);
		return;
	}
	take = MIN((size_t)n, sizeof(s->answer) - s->answer_len);
	memcpy(s->answer + s->answer_len, buf->base, take);
	s->answer_len += take;
	if (take && s->answer_len == sizeof(s->answer))
		take_answer(s);
}

static void on_written(uv_write_t *req, int status)
{
	struct write *w = container_of(req, struct write, req);
	struct spawned *s = w->s;

	free(w);
	if (status == 0 && !s->closed && !uv_stream_get_write_queue_size((uv_stream_t *)input_pipe(s)))
		s->ev->drained(s->ctx);
}

static void put(struct spawned *s, uv_pipe_t *to, const void *bytes, size_t len)
{
	struct write *w = xmalloc(sizeof(*w) + len);

	w->s = s;
	memcpy(w->bytes, bytes, len);
	if (uv_write(&w->req, (uv_stream_t *)to, &(uv_buf_t){.base = (char *)w->bytes, .len = len}, 1,
	            on_written) < 0)
		free(w);
}

static void on_input_over(uv_shutdown_t *req, int status)
{
	uv_handle_t *in = (uv_handle_t *)req->handle;

	(void)status;
	free(req);
	close_handle(in);
}

/* After what is still to be written: closing it would drop that. */
static void end_input(uv_pipe_t *in)
{
	uv_shutdown_t *req;

	if (!uv_is_writable((uv_stream_t *)in))
		return; /* it was said before */
	req = xmalloc(sizeof(*req));
	if (uv_shutdown(req, (uv_stream_t *)in, on_input_over) == 0)
		return;
	free(req);
	close_handle((uv_handle_t *)in);
}

/* Ctrl-D: the end of input, as a terminal knows it. */
static const char end_of_input[] = {4};

static size_t spawned_input(struct attach *a, const uint8_t *bytes, size_t len)
{
	struct spawned *s = of(a);
	uv_pipe_t *to = input_pipe(s);

	if (s->closed || (!s->tty && (!s->has_in || uv_is_closing((uv_handle_t *)to))))
		return 0;
	if (len)
		put(s, to, bytes, len);
	else if (s->tty)
		put(s, to, end_of_input, sizeof(end_of_input));
	else
		end_input(to);
	return len ? uv_stream_get_write_queue_size((uv_stream_t *)to) : 0;
}

static int fd_of(const uv_pipe_t *p)
{
	uv_os_fd_t fd;

	return uv_fileno((const uv_handle_t *)p, &fd) == 0 ? fd : -1;
}

static void spawned_resize(struct attach *a, uint16_t rows, uint16_t cols)
{
	struct winsize size = {.ws_row = rows, .ws_col = cols};
	struct spawned *s = of(a);

	if (s->tty && !s->closed)
		ioctl(fd_of(&s->out), TIOCSWINSZ, &size);
}

static void spawned_signal(struct attach *a, int signal)
{
	struct spawned *s = of(a);
	uint8_t number = (uint8_t)signal;

	if (!s->closed && signal > 0 && signal < 65)
		put(s, &s->ctl, &number, 1);
}

static void spawned_pause(struct attach *a, bool pause)
{
	struct spawned *s = of(a);

	if (s->closed || s->paused == pause)
		return;
	s->paused = pause;
	if (pause) {
		uv_read_stop((uv_stream_t *)&s->out);
		if (s->has_err)
			uv_read_stop((uv_stream_t *)&s->err);
		return;
	}
	if (!s->out_over)
		uv_read_start((uv_stream_t *)&s->out, on_alloc, on_output);
	if (s->has_err && !s->err_over)
		uv_read_start((uv_stream_t *)&s->err, on_alloc, on_output);
}

static const struct attach_ops spawned_ops = {
        .input = spawned_input,
        .resize = spawned_resize,
        .signal = spawned_signal,
        .pause = spawned_pause,
        .close = spawned_close,
};

/* Both ends of a new terminal; false with errno. */
static bool open_terminal(int ends[2], uint16_t rows, uint16_t cols)
{
	struct winsize size = {.ws_row = rows, .ws_col = cols};
	char name[64];

	ends[0] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	ends[1] = -1;
	if (ends[0] >= 0 && grantpt(ends[0]) == 0 && unlockpt(ends[0]) == 0 &&
	        ptsname_r(ends[0], name, sizeof(name)) == 0)
		ends[1] = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (ends[1] >= 0) {
		ioctl(ends[0], TIOCSWINSZ, &size);
		return true;
	}
	if (ends[0] >= 0)
		close(ends[0]);
	return false;
}

static void init_pipe(struct spawned *s, uv_loop_t *loop, uv_pipe_t *p)
{
	uv_pipe_init(loop, p, 0);
	p->data = s;
	s->handles++;
}

static int spawn(struct spawned *s, uv_loop_t *loop, const char *exe, const struct attach_request *q, int slave)
{
	enum { READS = UV_CREATE_PIPE | UV_READABLE_PIPE, WRITES = UV_CREATE_PIPE | UV_WRITABLE_PIPE };
	char *args[] = {"starling", "enter", NULL};
	char *env[] = {NULL};
	uv_stdio_container_t stdio[4] = {
	        {.flags = UV_IGNORE},
	        {.flags = (uv_stdio_flags)WRITES, .data.stream = (uv_stream_t *)&s->out},
	        {.flags = (uv_stdio_flags)WRITES, .data.stream = (uv_stream_t *)&s->err},
	        {.flags = (uv_stdio_flags)(READS | UV_WRITABLE_PIPE), .data.stream = (uv_stream_t *)&s->ctl},
	};
	uv_process_options_t o = {.exit_cb = on_first_exit,
	        .file = exe,
	        .args = args,
	        .env = env,
	        .flags = UV_PROCESS_DETACHED,
	        .stdio = stdio,
	        .stdio_count = ARRAY_LEN(stdio)};

	init_pipe(s, loop, &s->ctl);
	init_pipe(s, loop, &s->out);
	s->has_err = !q->tty;
	s->has_in = !q->tty && q->input;
	s->err_over = !s->has_err;
	if (s->has_err)
		init_pipe(s, loop, &s->err);
	if (s->has_in) {
		init_pipe(s, loop, &s->in);
		stdio[0] = (uv_stdio_container_t){
		        .flags = (uv_stdio_flags)READS, .data.stream = (uv_stream_t *)&s->in};
	}
	for (int fd = 0; q->tty && fd < 3; fd++)
		stdio[fd] = (uv_stdio_container_t){.flags = UV_INHERIT_FD, .data.fd = slave};
	s->handles++;
	s->process.data = s;
	return uv_spawn(loop, &s->process, &o);
}

static void put_request(struct spawned *s, const struct attach_spawn *what, bool tty)
{
	struct wr w;

	wr_init(&w, LAUNCH_BYTES_MAX);
	wr_u32(&w, 0);
	wr_u32(&w, what->pid);
	wr_u64(&w, what->ticks);
	wr_u8(&w, tty);
	launch_put(&w, what->launch);
	if (wr_ok(&w)) {
		wr_patch_u32(&w, 0, (uint32_t)(w.len - 4));
		put(s, &s->ctl, w.p, w.len);
	}
	wr_free(&w);
}

struct attach *attach_spawn(uv_loop_t *loop, const char *self_exe, const struct attach_spawn *what,
        const struct attach_request *q, const struct attach_events *ev, void *ctx, struct err *err)
{
	struct spawned *s;
	int ends[2] = {-1, -1};
	int rc;

	if (q->tty && !open_terminal(ends, q->rows, q->cols)) {
		err_errno(err, "make a terminal");
		return NULL;
	}
	s = xcalloc(1, sizeof(*s));
	s->attach.ops = &spawned_ops;
	s->end.code = 125;
	s->ev = ev;
	s->ctx = ctx;
	s->tty = q->tty;
	rc = spawn(s, loop, self_exe, q, ends[1]);
	s->process.data = s;
	if (q->tty) {
		close(ends[1]);
		if (uv_pipe_open(&s->out, ends[0]) < 0)
			close(ends[0]);
	}
	if (rc < 0) {
		err_set(err, ERR_FAILED, "start what enters the task: %s", uv_strerror(rc));
		spawned_close(&s->attach);
		return NULL;
	}
	uv_read_start((uv_stream_t *)&s->ctl, on_alloc, on_answer);
	uv_read_start((uv_stream_t *)&s->out, on_alloc, on_output);
	if (s->has_err)
		uv_read_start((uv_stream_t *)&s->err, on_alloc, on_output);
	put_request(s, what, q->tty);
	return &s->attach;
}
