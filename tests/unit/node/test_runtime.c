/*
 * The runtime with real shims and real processes. The test program is its own `starling`: called with "shim" it is
 * one. Stories wait for what must happen, never for a time to pass.
 */
#include "tests/unit/unit.h"

#include "base/text.h"
#include "node/runtime/files.h"
#include "node/runtime/launch.h"
#include "node/runtime/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Long enough for a machine that is busy with something else; a story that works never gets near it. */
#define PATIENCE_MS 20000

static char self[512];

struct world {
	char dir[128];
	uv_loop_t loop;
	struct runtime *rt;
	struct arena arena;
	uint8_t next_id;
};

/* Other runs of this program may be at work on the host, and tasks are found by their id. */
static void task_id(struct world *w, uint8_t out[8])
{
	uint32_t pid = (uint32_t)getpid();

	out[0] = 1;
	memcpy(out + 1, &pid, sizeof(pid));
	out[7] = ++w->next_id;
}

static void on_change(void *ctx, id64 task)
{
	(void)ctx;
	(void)task;
}

static void agent_starts(struct world *w)
{
	struct runtime_config cfg = {
	        .data_dir = w->dir,
	        .self_exe = self,
	        .address = {.family = 4, .ip = {127, 0, 0, 1}},
	        .peer_id = "00112233445566aa",
	        .peer_name = "wren",
	        .port_first = 27100,
	        .port_last = 27200,
	};
	struct err err = {0};

	assert_int_equal(uv_loop_init(&w->loop), 0);
	w->rt = runtime_new(&w->loop, &cfg, on_change, w, &err);
	if (!w->rt)
		fail_msg("%s", err.text);
	if (runtime_adopt(w->rt, &err) < 0)
		fail_msg("%s", err.text);
}

/* Without a word to any task: to a shim it looks the same as SIGKILL to the agent. */
static void agent_dies(struct world *w)
{
	runtime_close(w->rt);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
}

static int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	strcpy(w->dir, "/tmp/starling-runtime-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	arena_init(&w->arena);
	agent_starts(w);
	*state = w;
	return 0;
}

static void wake(uv_timer_t *t)
{
	(void)t;
}

static void closed(uv_handle_t *h)
{
	*(bool *)h->data = true;
}

/* Turns the loop until the condition holds; false when patience ends. */
#define WAIT(w, condition)                                                                                       \
	do {                                                                                                     \
		uv_timer_t timer_;                                                                               \
		bool closed_ = false;                                                                            \
		uint64_t until_ = uv_hrtime() / 1000000 + PATIENCE_MS;                                           \
		uv_timer_init(&(w)->loop, &timer_);                                                              \
		timer_.data = &closed_;                                                                          \
		uv_timer_start(&timer_, wake, 5, 5);                                                             \
		while (!(condition) && uv_hrtime() / 1000000 < until_)                                           \
			uv_run(&(w)->loop, UV_RUN_ONCE);                                                         \
		uv_close((uv_handle_t *)&timer_, closed);                                                        \
		while (!closed_)                                                                                 \
			uv_run(&(w)->loop, UV_RUN_ONCE);                                                         \
		if (!(condition))                                                                                \
			fail_msg("never: %s", #condition);                                                       \
	} while (0)

static struct service *service(struct world *w, const char *name, const char *script)
{
	struct service *s = arena_alloc(&w->arena, sizeof(*s));

	service_defaults(s);
	s->name = name;
	s->n_command = 3;
	s->command = arena_array(&w->arena, 3, sizeof(char *));
	s->command[0] = "/bin/sh";
	s->command[1] = "-c";
	s->command[2] = script;
	return s;
}

static id64 start(struct world *w, const struct service *s)
{
	struct runtime_start r = {.slot = 7, .revision = 0xabc, .stack = "shop", .service = s, .index = 2};
	struct err err = {0};
	id64 id;

	task_id(w, r.task_random);
	id = runtime_start(w->rt, &r, &err);
	if (!id)
		fail_msg("%s", err.text);
	return id;
}

static const struct runtime_task *task(struct world *w, id64 id)
{
	return runtime_get(w->rt, id);
}

static bool is(struct world *w, id64 id, enum task_state state)
{
	return task(w, id)->state == state;
}

static bool ended(struct world *w, id64 id)
{
	return is(w, id, TASK_DONE) || is(w, id, TASK_FAILED) || is(w, id, TASK_LOST);
}

struct heard {
	char text[65536];
	size_t len;
	unsigned lines;
	bool over;
};

static void hear(void *ctx, const struct runtime_log_line *line)
{
	struct heard *h = ctx;

	h->lines++;
	h->len += (size_t)snprintf(h->text + h->len, sizeof(h->text) - h->len, "%s%.*s\n",
	        line->is_stderr ? "!" : "", (int)line->len, line->text);
	assert_true(h->len < sizeof(h->text));
}

static void hear_end(void *ctx)
{
	((struct heard *)ctx)->over = true;
}

static const char *log_of(struct world *w, id64 id, uint64_t tail)
{
	static struct heard h;
	struct err err = {0};

	memset(&h, 0, sizeof(h));
	if (runtime_log_read(w->rt, id, 0, tail, hear, &h, &err) < 0)
		fail_msg("%s", err.text);
	return h.text;
}

/* Processes other than zombies that carry a task's mark. */
static int marked(id64 id)
{
	char mark[64] = "STARLING_TASK=";
	DIR *dir = opendir("/proc");
	struct dirent *e;
	int n = 0;

	id64_text(mark + strlen(mark), id);
	while ((e = readdir(dir))) {
		char path[300], buf[8192];
		ssize_t len;
		int fd;

		snprintf(path, sizeof(path), "/proc/%s/environ", e->d_name);
		fd = open(path, O_RDONLY);
		len = fd < 0 ? -1 : read(fd, buf, sizeof(buf));
		if (fd >= 0)
			close(fd);
		n += len > 0 && memmem(buf, (size_t)len, mark, strlen(mark)) != NULL;
	}
	closedir(dir);
	return n;
}

static int teardown(void **state)
{
	struct world *w = *state;
	const struct runtime_task *all[64];
	size_t n = runtime_tasks(w->rt, all, 64);
	id64 ids[64];

	for (size_t i = 0; i < n; i++)
		ids[i] = all[i]->task;
	for (size_t i = 0; i < n; i++)
		runtime_stop(w->rt, ids[i], "the story is over");
	for (size_t i = 0; i < n; i++) {
		WAIT(w, ended(w, ids[i]));
		assert_int_equal(marked(ids[i]), 0);
		runtime_forget(w->rt, ids[i]);
	}
	assert_int_equal(runtime_tasks(w->rt, NULL, 0), 0);
	agent_dies(w);
	/* No zombie and no child of any kind is left. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(folder_remove(AT_FDCWD, w->dir, NULL), 0);
	arena_free(&w->arena);
	free(w);
	return 0;
}

/* ---- the stories ---- */

static void a_task_runs_says_something_and_ends(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "echo hello; echo oops >&2; exit 3");
	id64 id;

	s->restart.condition = RESTART_NONE;
	id = start(w, s);
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->state, TASK_FAILED);
	assert_true(task(w, id)->exited);
	assert_int_equal(task(w, id)->exit_code, 3);
	assert_string_equal(task(w, id)->reason, "exited with code 3");
	assert_int_equal(task(w, id)->failures, 1);
	assert_non_null(strstr(log_of(w, id, 10), "hello\n"));
	assert_non_null(strstr(log_of(w, id, 10), "!oops\n"));
}

static void a_clean_end_without_restart_is_done(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "job", "true");
	id64 id;

	s->restart.condition = RESTART_ON_FAILURE;
	id = start(w, s);
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->state, TASK_DONE);
}

static void a_crash_restarts_at_once_and_then_waits_longer(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "exit 1");
	id64 id;

	s->restart.delay_ms = 10;
	s->restart.max_attempts = 3;
	id = start(w, s);
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->state, TASK_FAILED);
	assert_int_equal(task(w, id)->restarts, 3);
	assert_int_equal(task(w, id)->failures, 4);
}

static void the_environment_is_clean_and_says_who_it_is(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "env | sort; id -un; pwd");
	struct kv env[] = {{"GREETING", "hi there"}, {"HOME", "/srv"}};
	struct spec_port ports[] = {{.name = "web-ui", .target = 8080, .mode = PORT_DYNAMIC}};
	const char *log;
	char port[64];
	id64 id;

	setenv("SECRET_OF_THE_AGENT", "x", 1);
	s->restart.condition = RESTART_NONE;
	s->n_env = 2;
	s->env = env;
	s->n_ports = 1;
	s->ports = ports;
	id = start(w, s);
	WAIT(w, ended(w, id));
	log = log_of(w, id, 100);
	assert_null(strstr(log, "SECRET_OF_THE_AGENT"));
	assert_non_null(strstr(log, "STARLING_STACK=shop\n"));
	assert_non_null(strstr(log, "STARLING_SERVICE=web\n"));
	assert_non_null(strstr(log, "STARLING_SLOT=2\n"));
	assert_non_null(strstr(log, "STARLING_PEER=wren\n"));
	assert_non_null(strstr(log, "STARLING_ADDRESS=127.0.0.1\n"));
	assert_non_null(strstr(log, "STARLING_REVISION=0000000000000abc\n"));
	assert_non_null(strstr(log, "GREETING=hi there\n"));
	assert_non_null(strstr(log, "HOME=/srv\n"));
	assert_int_equal(task(w, id)->n_ports, 1);
	snprintf(port, sizeof(port), "PORT=%u\n", task(w, id)->ports[0].port);
	assert_non_null(strstr(log, port));
	snprintf(port, sizeof(port), "STARLING_PORT_WEB_UI=%u\n", task(w, id)->ports[0].port);
	assert_non_null(strstr(log, port));
	if (geteuid() == 0)
		assert_non_null(strstr(log, "nobody\n"));
	assert_non_null(strstr(log, "\n/\n"));
}

static void a_task_that_ignores_sigterm_is_killed_after_its_grace(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "stubborn", "trap '' TERM; echo ready; while :; do sleep 0.05; done");
	id64 id;

	s->stop_grace_ms = 100;
	id = start(w, s);
	WAIT(w, strstr(log_of(w, id, 1), "ready"));
	runtime_stop(w->rt, id, "scaled down");
	assert_int_equal(task(w, id)->state, TASK_STOPPING);
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->state, TASK_DONE);
	assert_int_equal(task(w, id)->exit_signal, SIGKILL);
	assert_string_equal(task(w, id)->reason, "scaled down");
}

static void a_task_that_forks_away_leaves_no_orphan(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "daemon",
	        "setsid sh -c 'setsid sleep 1000 & sleep 1000' & (sleep 1000 &) ; sleep 0.1; echo spawned; exec sleep 1000");
	id64 id = start(w, s);

	WAIT(w, strstr(log_of(w, id, 1), "spawned"));
	assert_true(marked(id) >= 4);
	runtime_stop(w->rt, id, "enough");
	WAIT(w, ended(w, id));
	assert_int_equal(marked(id), 0);
}

static void an_agent_that_dies_is_not_noticed_by_its_tasks(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.01; done");
	char expect[32];
	int64_t pid;
	char last[32];
	unsigned seen = 0;
	const char *log;
	id64 id = start(w, s);

	WAIT(w, is(w, id, TASK_RUNNING) && strstr(log_of(w, id, 1), "line"));
	pid = task(w, id)->pid;
	text_copy(last, sizeof(last), log_of(w, id, 1));
	agent_dies(w);
	agent_starts(w);
	assert_non_null(task(w, id));
	assert_int_equal(task(w, id)->state, TASK_RUNNING);
	assert_int_equal(task(w, id)->pid, pid);
	assert_int_equal(task(w, id)->restarts, 0);
	assert_true(task(w, id)->healthy_at > 0);
	assert_string_equal(task(w, id)->service, "web");
	WAIT(w, strcmp(log_of(w, id, 1), last) != 0);
	runtime_stop(w->rt, id, "enough");
	WAIT(w, ended(w, id));
	log = log_of(w, id, 100000);
	for (const char *p = log; *p; p = strchr(p, '\n') + 1, seen++) {
		snprintf(expect, sizeof(expect), "line %u\n", seen + 1);
		assert_int_equal(strncmp(p, expect, strlen(expect)), 0);
	}
	assert_true(seen >= 2);
}

static void an_exit_while_no_agent_was_there_is_found(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "job", "sleep 0.2; echo finished; exit 7");
	id64 id;

	s->restart.condition = RESTART_NONE;
	id = start(w, s);
	WAIT(w, is(w, id, TASK_RUNNING));
	agent_dies(w);
	while (marked(id))
		usleep(10000);
	agent_starts(w);
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->state, TASK_FAILED);
	assert_int_equal(task(w, id)->exit_code, 7);
	assert_non_null(strstr(log_of(w, id, 5), "finished"));
	/* And a third agent still knows. */
	agent_dies(w);
	agent_starts(w);
	assert_int_equal(task(w, id)->state, TASK_FAILED);
	assert_int_equal(task(w, id)->exit_code, 7);
}

static int shim_of(struct world *w, id64 id)
{
	char path[300], name[17];
	uint8_t run[64];
	int fd;

	id64_text(name, id);
	snprintf(path, sizeof(path), "%s/tasks/%s/run", w->dir, name);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_true(read(fd, run, sizeof(run)) > 12);
	close(fd);
	return run[8] << 24 | run[9] << 16 | run[10] << 8 | run[11];
}

static void a_killed_shim_takes_the_task_with_it_and_it_restarts(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "(setsid sleep 1000 &); echo up; exec sleep 1000");
	int64_t pid;
	id64 id = start(w, s);

	WAIT(w, is(w, id, TASK_RUNNING) && strstr(log_of(w, id, 1), "up"));
	pid = task(w, id)->pid;
	kill(shim_of(w, id), SIGKILL);
	WAIT(w, is(w, id, TASK_RUNNING) && task(w, id)->restarts == 1 && task(w, id)->pid);
	assert_int_not_equal(task(w, id)->pid, pid);
	/* The second process and, once it has said so, its own child; nothing of the first. */
	WAIT(w, strcmp(log_of(w, id, 5), "up\nup\n") == 0 && marked(id) == 2);
}

/* The agent's connection to the shim of an adopted task, -1 when there is none: this process is the agent. */
static int connection_to(int shim_pid)
{
	struct ucred who;

	for (int fd = 3; fd < 256; fd++) {
		socklen_t len = sizeof(who);

		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && who.pid == shim_pid)
			return fd;
	}
	return -1;
}

/* What no shim can make sense of, so that it hangs up. */
static void talk_nonsense(int fd)
{
	assert_int_equal(send(fd, "\xff\xff\x01", 3, MSG_NOSIGNAL), 3);
}

static void a_shim_that_hangs_up_but_lives_does_not_lose_its_task(void **state)
{
	struct world *w = *state;
	id64 id = start(w, service(w, "web", "echo up; exec sleep 1000"));
	int64_t pid;
	int shim;

	WAIT(w, is(w, id, TASK_RUNNING) && strstr(log_of(w, id, 1), "up"));
	pid = task(w, id)->pid;
	agent_dies(w);
	agent_starts(w);
	shim = shim_of(w, id);
	for (int i = 0; i < 3; i++) {
		talk_nonsense(connection_to(shim));
		WAIT(w, connection_to(shim) < 0);
		assert_true(is(w, id, TASK_RUNNING));
		WAIT(w, connection_to(shim) >= 0);
	}
	assert_true(is(w, id, TASK_RUNNING));
	assert_int_equal(task(w, id)->pid, pid);
	assert_int_equal(task(w, id)->restarts, 0);
	assert_int_equal(marked(id), 1);
}

static void a_stop_said_while_the_shim_was_away_is_said_again(void **state)
{
	struct world *w = *state;
	id64 id = start(w, service(w, "web", "echo up; exec sleep 1000"));
	int shim;

	WAIT(w, is(w, id, TASK_RUNNING) && strstr(log_of(w, id, 1), "up"));
	agent_dies(w);
	agent_starts(w);
	shim = shim_of(w, id);
	talk_nonsense(connection_to(shim));
	WAIT(w, connection_to(shim) < 0);
	assert_true(is(w, id, TASK_RUNNING));
	runtime_stop(w->rt, id, "enough");
	WAIT(w, ended(w, id));
	assert_true(is(w, id, TASK_DONE));
	assert_int_equal(task(w, id)->exit_signal, SIGTERM);
	assert_int_equal(task(w, id)->restarts, 0);
}

static void a_shim_skips_what_an_agent_of_another_build_says(void **state)
{
	struct world *w = *state;
	id64 id = start(w, service(w, "web", "echo up; exec sleep 1000"));
	int shim, fd;

	WAIT(w, is(w, id, TASK_RUNNING) && strstr(log_of(w, id, 1), "up"));
	agent_dies(w);
	agent_starts(w);
	shim = shim_of(w, id);
	fd = connection_to(shim);
	/* A kind that is not known, and behind it SHIM_STOP with SIGUSR1 and a grace of a minute. */
	assert_int_equal(send(fd, "\0\3\x63..\0\6\1\x0a\0\0\xea\x60", 13, MSG_NOSIGNAL), 13);
	WAIT(w, task(w, id)->exited);
	assert_int_equal(task(w, id)->exit_signal, SIGUSR1);
}

/* A shim of another build, played by the story: it holds the lock and listens. */
struct actor {
	char dir[250];
	int lock_fd, listen_fd;
};

static void actor_enters(struct world *w, struct actor *a, id64 id)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	char name[17], path[300];

	id64_text(name, id);
	snprintf(a->dir, sizeof(a->dir), "%s/tasks/%s", w->dir, name);
	snprintf(path, sizeof(path), "%s/lock", a->dir);
	a->lock_fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(a->lock_fd, LOCK_EX), 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%.80s/shim.sock", a->dir);
	unlink(sa.sun_path);
	a->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(a->listen_fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(a->listen_fd, 4), 0);
}

static void say(int fd, struct wr *w)
{
	assert_int_equal(send(fd, w->p, w->len, MSG_NOSIGNAL), (ssize_t)w->len);
	wr_reset(w);
}

static void an_agent_skips_or_asks_again_what_a_shim_of_another_build_says(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "exec sleep 1000");
	struct run_record run = {.run = 1, .shim_pid = (uint32_t)getpid(), .pid = 4194000, .started = 5};
	struct exit_record end = {.run = 1, .code = 5, .started = 5, .ended = 6};
	struct actor a;
	struct wr m;
	size_t at;
	id64 id;
	int fd = -1;

	s->restart.condition = RESTART_NONE;
	id = start(w, s);
	WAIT(w, is(w, id, TASK_RUNNING));
	agent_dies(w);
	kill(shim_of(w, id), SIGKILL);
	while (marked(id))
		usleep(1000);
	actor_enters(w, &a, id);
	agent_starts(w);
	fd = accept(a.listen_fd, NULL, NULL);
	assert_true(fd >= 0);
	wr_init(&m, 4096);
	/* A message of tomorrow, then one of today. */
	at = message_begin(&m, (enum shim_message)99);
	wr_u32(&m, 1);
	message_end(&m, at);
	at = message_begin(&m, SHIM_STARTED);
	run_put(&m, &run);
	message_end(&m, at);
	say(fd, &m);
	WAIT(w, task(w, id)->pid == 4194000);
	/* One of today that makes no sense: the agent hangs up, and comes back. */
	at = message_begin(&m, SHIM_STARTED);
	wr_u32(&m, 7);
	message_end(&m, at);
	say(fd, &m);
	close(fd);
	fd = -1;
	WAIT(w, fd >= 0 || (fd = accept(a.listen_fd, NULL, NULL)) >= 0);
	assert_true(is(w, id, TASK_RUNNING));
	assert_int_equal(task(w, id)->restarts, 0);
	at = message_begin(&m, SHIM_EXIT);
	exit_put(&m, &end);
	message_end(&m, at);
	say(fd, &m);
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->exit_code, 5);
	close(fd);
	close(a.listen_fd);
	close(a.lock_fd);
	wr_free(&m);
}

static void a_missing_command_says_so(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "");
	id64 id;

	s->n_command = 1;
	s->command[0] = "no-such-program";
	id = start(w, s);
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->state, TASK_FAILED);
	assert_string_equal(task(w, id)->reason, "web: command \"no-such-program\": not found in PATH");
	assert_int_equal(task(w, id)->restarts, 0);
	assert_true(task(w, id)->refused);
	/* An agent that died before it told anyone knows it again. */
	agent_dies(w);
	agent_starts(w);
	assert_true(task(w, id)->refused);
}

static void a_command_that_ran_once_and_failed_is_no_refusal(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "exit 7");
	id64 id;

	s->restart.condition = RESTART_NONE;
	id = start(w, s);
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->state, TASK_FAILED);
	assert_false(task(w, id)->refused);
}

static void an_unknown_user_says_so(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "true");
	id64 id;

	s->user = "nosuchuser";
	id = start(w, s);
	assert_int_equal(task(w, id)->state, TASK_FAILED);
	assert_non_null(strstr(task(w, id)->reason, "web: user \"nosuchuser\": not in /etc/passwd"));
	assert_true(task(w, id)->refused);
}

static void a_host_port_in_use_waits_and_then_starts(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "exec sleep 1000");
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);
	struct spec_port ports[] = {{.name = "http", .target = 80, .mode = PORT_HOST}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char expect[128];
	id64 id;

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 1), 0);
	getsockname(fd, (struct sockaddr *)&sa, &len);
	ports[0].published = ntohs(sa.sin_port);
	s->n_ports = 1;
	s->ports = ports;
	s->restart.delay_ms = 20;
	id = start(w, s);
	assert_int_equal(task(w, id)->state, TASK_BACKOFF);
	snprintf(expect, sizeof(expect), "web: host port %u/tcp on 127.0.0.1: Address already in use",
	        ports[0].published);
	assert_string_equal(task(w, id)->reason, expect);
	assert_false(task(w, id)->refused);
	WAIT(w, task(w, id)->refused); /* in the way again and again: another peer may be free */
	assert_string_equal(task(w, id)->reason, expect);
	close(fd);
	WAIT(w, is(w, id, TASK_RUNNING));
	assert_false(task(w, id)->refused);
	assert_int_equal(task(w, id)->ports[0].port, ports[0].published);
	assert_string_equal(task(w, id)->reason, "");
}

static void two_tasks_get_two_ports_and_keep_them_over_a_restart(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "exec sleep 1000");
	struct spec_port ports[] = {{.name = "8080", .target = 8080, .mode = PORT_DYNAMIC}};
	uint16_t port;
	id64 a, b;

	s->n_ports = 1;
	s->ports = ports;
	a = start(w, s);
	b = start(w, s);
	WAIT(w, is(w, a, TASK_RUNNING) && is(w, b, TASK_RUNNING));
	port = task(w, a)->ports[0].port;
	assert_int_not_equal(port, task(w, b)->ports[0].port);
	assert_true(port >= 27100 && port <= 27200);
	kill((pid_t)task(w, a)->pid, SIGKILL);
	WAIT(w, task(w, a)->restarts == 1);
	assert_int_equal(task(w, a)->ports[0].port, port);
}

static void one_target_on_both_protocols_is_one_host_port(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "dns", "env; exec sleep 1000");
	struct spec_port ports[] = {{.name = "53", .target = 53, .proto = PROTO_UDP, .mode = PORT_DYNAMIC},
	        {.name = "53", .target = 53, .proto = PROTO_TCP, .mode = PORT_DYNAMIC}};
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	char told[64];
	uint16_t port;
	int fd;
	id64 id;

	s->n_ports = 2;
	s->ports = ports;
	id = start(w, s);
	WAIT(w, is(w, id, TASK_RUNNING) && strstr(log_of(w, id, 100), "STARLING_TASK"));
	assert_int_equal(task(w, id)->n_ports, 2);
	port = task(w, id)->ports[0].port;
	assert_int_equal(task(w, id)->ports[1].port, port);
	snprintf(told, sizeof(told), "STARLING_PORT_53=%u\n", port);
	WAIT(w, strstr(log_of(w, id, 100), told));
	snprintf(told, sizeof(told), "\nPORT=%u\n", port);
	WAIT(w, strstr(log_of(w, id, 100), told));
	/* Somebody takes it on one of the two while the task is down: both move. */
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	sa.sin_port = htons(port);
	/* Another run of this program may just have done so. */
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		assert_int_equal(listen(fd, 1), 0);
	else
		assert_int_equal(errno, EADDRINUSE);
	kill((pid_t)task(w, id)->pid, SIGKILL);
	WAIT(w, task(w, id)->restarts == 1);
	assert_int_equal(task(w, id)->n_ports, 2);
	assert_int_not_equal(task(w, id)->ports[0].port, port);
	assert_int_equal(task(w, id)->ports[0].port, task(w, id)->ports[1].port);
	close(fd);
}

static void a_command_check_turns_healthy_then_unhealthy_and_restarts(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "echo $$ > /tmp/starling-health-$STARLING_TASK; exec sleep 1000");
	const char *argv[] = {"/bin/sh", "-c", "echo looking; test -s /tmp/starling-health-$STARLING_TASK"};
	char path[64] = "/tmp/starling-health-";
	id64 id;

	s->check.kind = CHECK_COMMAND;
	s->check.n_argv = 3;
	s->check.argv = argv;
	s->check.interval_ms = 30;
	s->check.retries = 2;
	id = start(w, s);
	WAIT(w, task(w, id)->health == HEALTH_HEALTHY);
	assert_true(task(w, id)->healthy_at > 0);
	id64_text(path + strlen(path), id);
	unlink(path);
	WAIT(w, task(w, id)->restarts == 1);
	assert_int_equal(task(w, id)->failures, 1);
	WAIT(w, task(w, id)->health == HEALTH_HEALTHY);
	unlink(path);
}

static void a_check_that_hangs_is_killed_and_counts_as_failed(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "exec sleep 1000");
	const char *argv[] = {"/bin/sh", "-c", "sleep 1000; true"};
	id64 id;

	s->restart.condition = RESTART_NONE;
	s->check.kind = CHECK_COMMAND;
	s->check.n_argv = 3;
	s->check.argv = argv;
	s->check.interval_ms = 30;
	s->check.timeout_ms = 30;
	s->check.retries = 1;
	id = start(w, s);
	WAIT(w, is(w, id, TASK_UNHEALTHY));
	assert_non_null(strstr(task(w, id)->reason, "command check failed 1 times: took too long"));
	/* With restart "none" it is left alone. */
	assert_int_equal(task(w, id)->restarts, 0);
	assert_true(task(w, id)->pid > 0);
}

#define SERVER                                                                                                   \
	"exec python3 -c 'import http.server,os,sys\n"                                                           \
	"class H(http.server.BaseHTTPRequestHandler):\n"                                                         \
	" def do_GET(s):\n"                                                                                      \
	"  s.send_response(200 if s.path==\"/up\" else 503); s.end_headers(); s.wfile.write(b\"x\"*30000)\n"     \
	"http.server.HTTPServer((os.environ[\"STARLING_ADDRESS\"],int(os.environ[\"PORT\"])),H).serve_forever()'"

static void an_http_check_asks_the_tasks_own_port(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", SERVER);
	struct service *sick = service(w, "sick", SERVER);
	struct spec_port ports[] = {{.name = "web", .target = 8080, .mode = PORT_DYNAMIC}};
	id64 good, bad;

	s->n_ports = sick->n_ports = 1;
	s->ports = sick->ports = ports;
	s->check.kind = CHECK_HTTP;
	s->check.port = "web";
	s->check.path = "/up";
	s->check.interval_ms = 5000;
	sick->check = s->check;
	sick->check.path = "/down";
	sick->check.interval_ms = 1000;
	sick->check.retries = 1;
	sick->restart.condition = RESTART_NONE;
	good = start(w, s);
	bad = start(w, sick);
	assert_int_equal(task(w, good)->health, HEALTH_STARTING);
	WAIT(w, task(w, good)->health == HEALTH_HEALTHY);
	WAIT(w, is(w, bad, TASK_UNHEALTHY));
	assert_non_null(strstr(task(w, bad)->reason, "http check failed 1 times: HTTP status 503"));
	/* Being asked must not look like a fault in the server's log. */
	assert_null(strstr(log_of(w, good, 1000), "reset"));
	assert_null(strstr(log_of(w, good, 1000), "Broken pipe"));
}

static void a_tcp_check_needs_a_listener(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", SERVER);
	struct spec_port ports[] = {{.name = "web", .target = 8080, .mode = PORT_DYNAMIC}};
	id64 id;

	s->n_ports = 1;
	s->ports = ports;
	s->check.kind = CHECK_TCP;
	s->check.port = "8080";
	s->check.interval_ms = 5000;
	id = start(w, s);
	WAIT(w, task(w, id)->health == HEALTH_HEALTHY);
}

/* Names lead to the host's new address; what listens at the old one alone is found out by its check. */
static void when_the_hosts_address_changes_checks_and_new_processes_follow(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", SERVER);
	struct spec_port ports[] = {{.name = "web", .target = 8080, .mode = PORT_DYNAMIC}};
	struct addr moved = {.family = 4, .ip = {127, 0, 0, 2}, .port = 7827};
	id64 id;

	s->n_ports = 1;
	s->ports = ports;
	s->check.kind = CHECK_TCP;
	s->check.port = "8080";
	s->check.interval_ms = 30;
	s->check.retries = 2;
	s->check.start_period_ms = PATIENCE_MS;
	id = start(w, s);
	WAIT(w, task(w, id)->health == HEALTH_HEALTHY);
	runtime_set_address(w->rt, &moved);
	assert_int_equal(task(w, id)->health, HEALTH_HEALTHY);
	WAIT(w, task(w, id)->restarts == 1);
	WAIT(w, task(w, id)->health == HEALTH_HEALTHY);
	assert_int_equal(task(w, id)->restarts, 1);
}

static void a_healthy_task_stays_healthy_over_an_agents_restart(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "exec sleep 1000");
	const char *argv[] = {"/bin/true"};
	mono_ms since;
	id64 id;

	s->check.kind = CHECK_COMMAND;
	s->check.n_argv = 1;
	s->check.argv = argv;
	id = start(w, s);
	WAIT(w, task(w, id)->health == HEALTH_HEALTHY);
	since = task(w, id)->healthy_at;
	agent_dies(w);
	agent_starts(w);
	assert_int_equal(task(w, id)->health, HEALTH_HEALTHY);
	assert_int_equal(task(w, id)->healthy_at, since);
}

static void a_restart_of_the_host_loses_the_task(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "exec sleep 1000");
	id64 id = start(w, s);
	char path[300], name[17], old[BOOT_ID_BYTES];
	struct arena arena;
	uint8_t *bytes;
	size_t len;
	char *at;

	WAIT(w, is(w, id, TASK_RUNNING));
	agent_dies(w);
	/* As after a restart: no process, and a record of another boot. */
	kill(shim_of(w, id), SIGKILL);
	while (marked(id))
		usleep(1000);
	id64_text(name, id);
	snprintf(path, sizeof(path), "%s/tasks/%s/task", w->dir, name);
	arena_init(&arena);
	bytes = file_read(AT_FDCWD, path, 1 << 20, &arena, &len, NULL);
	boot_id_read(old);
	at = memmem(bytes, len, old, strlen(old));
	assert_non_null(at);
	memcpy(at, "ffffffff", 8);
	assert_int_equal(file_replace(AT_FDCWD, path, bytes, len, NULL), 0);
	arena_free(&arena);
	agent_starts(w);
	assert_int_equal(task(w, id)->state, TASK_LOST);
	assert_string_equal(task(w, id)->reason, "the host was restarted");
}

static void a_follower_hears_what_is_written_and_when_it_is_over(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "echo before; read x < $FIFO; echo after; echo 'no newline\\c'");
	char path[64];
	struct kv env[] = {{"FIFO", path}};
	static struct heard h;
	struct runtime_follow *f;
	id64 id;
	int fd;

	memset(&h, 0, sizeof(h));
	snprintf(path, sizeof(path), "/tmp/starling-fifo-%d", (int)getpid());
	assert_int_equal(mkfifo(path, 0666), 0);
	chmod(path, 0666);
	s->n_env = 1;
	s->env = env;
	s->restart.condition = RESTART_NONE;
	id = start(w, s);
	WAIT(w, strstr(log_of(w, id, 1), "before"));
	f = runtime_log_follow(w->rt, id, hear, hear_end, &h);
	assert_non_null(f);
	fd = open(path, O_WRONLY);
	assert_int_equal(write(fd, "go\n", 3), 3);
	close(fd);
	WAIT(w, h.over);
	assert_string_equal(h.text, "after\nno newline\n");
	runtime_follow_close(f);
	assert_null(runtime_log_follow(w->rt, id, hear, hear_end, &h));
	unlink(path);
}

static void a_limit_of_memory_kills_with_that_reason(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "hog", "exec python3 -c 'x = bytearray(200_000_000); print(len(x))'");
	struct runtime_start r = {.slot = 7, .stack = "shop", .service = s};
	struct err err = {0};
	id64 id;

	s->restart.condition = RESTART_NONE;
	s->limit.memory = 64 << 20;
	s->limit.pids = 20;
	s->limit.cpu_milli = 500;
	task_id(w, r.task_random);
	id = runtime_start(w->rt, &r, &err);
	if (!id) {
		/* No control groups here: then it must say so, and which limit. */
		assert_non_null(strstr(err.text, "hog: the limit of"));
		return;
	}
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->state, TASK_FAILED);
	assert_true(task(w, id)->oom);
	assert_string_equal(task(w, id)->reason, "killed: it used more than its memory limit of 67108864 bytes");
}

static void the_watchdog_stops_a_task_whose_agent_stays_away(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "exec sleep 1000");
	id64 id;

	s->watchdog_ms = 50;
	s->restart.condition = RESTART_NONE;
	id = start(w, s);
	WAIT(w, is(w, id, TASK_RUNNING));
	agent_dies(w);
	while (marked(id))
		usleep(1000);
	agent_starts(w);
	WAIT(w, ended(w, id));
	assert_non_null(strstr(log_of(w, id, 5), "the watchdog stops this task"));
}

static void a_task_that_never_began_leaves_no_folder(void **state)
{
	struct world *w = *state;
	char path[300];

	snprintf(path, sizeof(path), "%s/tasks/00000000000000ee", w->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	agent_dies(w);
	agent_starts(w);
	assert_int_equal(runtime_tasks(w->rt, NULL, 0), 0);
	assert_int_equal(access(path, F_OK), -1);
}

static void without_a_record_nothing_is_started(void **state)
{
	struct world *w = *state;
	struct service *s = service(w, "web", "exec sleep 1000");
	char dir[200], in_the_way[300], name[17];
	uint8_t random[8];
	id64 id = 0;

	/* As on a full disk: the record of the task that comes next cannot be written. */
	task_id(w, random);
	w->next_id--;
	for (int i = 0; i < 8; i++)
		id = id << 8 | random[i];
	id64_text(name, id);
	snprintf(dir, sizeof(dir), "%s/tasks/%s", w->dir, name);
	snprintf(in_the_way, sizeof(in_the_way), "%s/task.new", dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(mkdir(in_the_way, 0700), 0);
	s->restart.delay_ms = 20;
	assert_int_equal(start(w, s), id);
	assert_int_equal(task(w, id)->state, TASK_BACKOFF);
	assert_non_null(strstr(task(w, id)->reason, "web: its record cannot be written to "));
	assert_int_equal(marked(id), 0);
	assert_int_equal(rmdir(in_the_way), 0);
	WAIT(w, is(w, id, TASK_RUNNING));
}

static void a_damaged_record_is_left_alone_and_hurts_nobody(void **state)
{
	struct world *w = *state;
	id64 id = start(w, service(w, "web", "exec sleep 1000"));
	char path[300];

	WAIT(w, is(w, id, TASK_RUNNING));
	snprintf(path, sizeof(path), "%s/tasks/00000000000000ee", w->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	strcat(path, "/task");
	assert_int_equal(file_replace(AT_FDCWD, path, "\x81\xa7version\x63", 10, NULL), 0);
	agent_dies(w);
	agent_starts(w);
	assert_int_equal(runtime_tasks(w->rt, NULL, 0), 1);
	assert_int_equal(task(w, id)->state, TASK_RUNNING);
	assert_int_equal(access(path, F_OK), 0);
}

static void a_stop_before_the_process_runs_is_kept(void **state)
{
	struct world *w = *state;
	id64 id = start(w, service(w, "web", "exec sleep 1000"));

	assert_int_equal(task(w, id)->state, TASK_STARTING);
	runtime_stop(w->rt, id, "changed my mind");
	WAIT(w, ended(w, id));
	assert_int_equal(task(w, id)->state, TASK_DONE);
}

static void a_new_revision_with_the_same_content_is_only_noted(void **state)
{
	struct world *w = *state;
	id64 id = start(w, service(w, "web", "exec sleep 1000"));
	int64_t pid;

	WAIT(w, is(w, id, TASK_RUNNING));
	pid = task(w, id)->pid;
	runtime_confirm(w->rt, id, 0xdef);
	agent_dies(w);
	agent_starts(w);
	assert_int_equal(task(w, id)->revision, 0xdef);
	assert_int_equal(task(w, id)->pid, pid);
}

static void a_long_data_folder_still_works(void **state)
{
	struct world *w = *state;
	char deep[128];
	id64 id;

	agent_dies(w);
	assert_int_equal(folder_remove(AT_FDCWD, w->dir, NULL), 0);
	/* Longer than a socket's path may be, with the rest of the way to it. */
	memset(deep, 'd', sizeof(deep));
	snprintf(w->dir, sizeof(w->dir), "/tmp/starling-%.80s-%d", deep, (int)getpid());
	assert_int_equal(mkdir(w->dir, 0700), 0);
	agent_starts(w);
	id = start(w, service(w, "web", "exec sleep 1000"));
	WAIT(w, is(w, id, TASK_RUNNING));
	agent_dies(w);
	agent_starts(w);
	assert_int_equal(task(w, id)->state, TASK_RUNNING);
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	        STORY(a_task_runs_says_something_and_ends),
	        STORY(a_clean_end_without_restart_is_done),
	        STORY(a_crash_restarts_at_once_and_then_waits_longer),
	        STORY(the_environment_is_clean_and_says_who_it_is),
	        STORY(a_task_that_ignores_sigterm_is_killed_after_its_grace),
	        STORY(a_task_that_forks_away_leaves_no_orphan),
	        STORY(an_agent_that_dies_is_not_noticed_by_its_tasks),
	        STORY(an_exit_while_no_agent_was_there_is_found),
	        STORY(a_killed_shim_takes_the_task_with_it_and_it_restarts),
	        STORY(a_shim_that_hangs_up_but_lives_does_not_lose_its_task),
	        STORY(a_stop_said_while_the_shim_was_away_is_said_again),
	        STORY(a_shim_skips_what_an_agent_of_another_build_says),
	        STORY(an_agent_skips_or_asks_again_what_a_shim_of_another_build_says),
	        STORY(a_missing_command_says_so),
	        STORY(a_command_that_ran_once_and_failed_is_no_refusal),
	        STORY(an_unknown_user_says_so),
	        STORY(a_host_port_in_use_waits_and_then_starts),
	        STORY(two_tasks_get_two_ports_and_keep_them_over_a_restart),
	        STORY(one_target_on_both_protocols_is_one_host_port),
	        STORY(a_command_check_turns_healthy_then_unhealthy_and_restarts),
	        STORY(a_check_that_hangs_is_killed_and_counts_as_failed),
	        STORY(an_http_check_asks_the_tasks_own_port),
	        STORY(a_tcp_check_needs_a_listener),
	        STORY(when_the_hosts_address_changes_checks_and_new_processes_follow),
	        STORY(a_healthy_task_stays_healthy_over_an_agents_restart),
	        STORY(a_restart_of_the_host_loses_the_task),
	        STORY(a_follower_hears_what_is_written_and_when_it_is_over),
	        STORY(a_limit_of_memory_kills_with_that_reason),
	        STORY(the_watchdog_stops_a_task_whose_agent_stays_away),
	        STORY(a_task_that_never_began_leaves_no_folder),
	        STORY(without_a_record_nothing_is_started),
	        STORY(a_damaged_record_is_left_alone_and_hurts_nobody),
	        STORY(a_stop_before_the_process_runs_is_kept),
	        STORY(a_new_revision_with_the_same_content_is_only_noted),
	        STORY(a_long_data_folder_still_works),
	};
	ssize_t n;

	if (argc > 1 && strcmp(argv[1], "shim") == 0)
		return shim_main(argc, argv);
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n <= 0)
		return 1;
	self[n] = '\0';
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
