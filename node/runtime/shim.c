/*
 * `starling shim TASKDIR`: holds one run of a task, so that the agent may crash, restart or be replaced meanwhile.
 *
 *	agent --spawn--> shim --fork--> shim' (reparented to init) --fork, exec--> the task
 *	                                  |  stdout, stderr: pipes -> log/
 *	                                  |  descriptor 3: socket to the agent that spawned it
 *	                                  |  descriptor 4: the lock of the folder, held until it ends
 *	                                  '- shim.sock: for an agent that comes later
 *
 * It starts the task, keeps its log, passes signals, runs its health command, and once the task has ended kills what
 * is left of it, writes the exit record, tells the agent, and ends. Everything it needs is in `launch`.
 *
 * There is one shim per task, so it stays small: one thread, poll(2), static buffers of which only touched pages
 * count, no library beyond base.
 */
#include "node/runtime/files.h"
#include "node/runtime/logfile.h"
#include "node/runtime/procs.h"
#include "node/runtime/shim_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define AGENT_FD 3
#define LOCK_FD  4
/* Agents connected at once: one, and one that is being replaced by it, and room for a person's tool. */
#define CLIENTS_MAX 4
/* How long the last processes of an ended task are chased; then the exit is reported with a note in the log. */
#define CHASE_MS SECONDS(10)
/* Bytes read from a pipe at a time. */
#define READ_BYTES 16384

struct client {
	int fd; /* -1: free */
	size_t len;
	uint8_t in[SHIM_MESSAGE_MAX];
};

struct check {
	int pid; /* 0: none runs */
	uint32_t seq;
	int out_fd;
	mono_ms deadline;
	bool timed_out;
	size_t len;
	char text[CHECK_TEXT_MAX];
};

struct shim {
	struct launch launch;
	struct run_record run;
	struct exit_record exit;
	bool ended; /* the task's first process was reaped */
	int out_fd, err_fd, signal_fd, listen_fd;
	struct client clients[CLIENTS_MAX];
	struct check check;
	mono_ms kill_at; /* MONO_NEVER: nobody asked it to stop */
	mono_ms alone_since;
	struct log_writer log;
	struct log_stream out, err;
};

static struct shim shim;

static mono_ms mono_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static wall_ms wall_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- messages to agents ---- */

static void client_drop(struct client *c)
{
	close(c->fd);
	c->fd = -1;
	shim.alone_since = mono_now();
}

/* Messages are few and small: an agent whose socket is full is stuck, and asks again when it reconnects. */
static void client_send(struct client *c, const struct wr *w)
{
	if (c->fd >= 0 && send(c->fd, w->p, w->len, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)w->len)
		client_drop(c);
}

static void send_all(const struct wr *w)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		client_send(&shim.clients[i], w);
}

static void say_started(struct client *c)
{
	uint8_t buf[SHIM_MESSAGE_MAX];
	struct wr w;
	size_t at;

	wr_fixed(&w, buf, sizeof(buf));
	at = message_begin(&w, SHIM_STARTED);
	run_put(&w, &shim.run);
	message_end(&w, at);
	client_send(c, &w);
}

static void say_checked(enum check_outcome outcome, uint8_t code)
{
	uint8_t buf[SHIM_MESSAGE_MAX];
	const char *line = shim.check.text;
	size_t len = shim.check.len;
	struct wr w;
	size_t at;

	while (len && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		len--;
	for (size_t i = len; i-- > 0;)
		if (line[i] == '\n') {
			line += i + 1;
			len -= i + 1;
			break;
		}
	wr_fixed(&w, buf, sizeof(buf));
	at = message_begin(&w, SHIM_CHECKED);
	wr_u32(&w, shim.check.seq);
	wr_u8(&w, (uint8_t)outcome);
	wr_u8(&w, code);
	wr_bytes(&w, line, len);
	message_end(&w, at);
	send_all(&w);
}

/* ---- stopping ---- */

static void kill_all(void)
{
	char path[1024], pids[4096];

	kill(-(int)shim.run.pid, SIGKILL);
	if (shim.launch.n_cgroups) {
		ssize_t n;
		int fd;

		snprintf(path, sizeof(path), "%s/cgroup.procs", shim.launch.cgroups[0]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? -1 : read(fd, pids, sizeof(pids) - 1);
		if (fd >= 0)
			close(fd);
		pids[MAX(n, 0)] = '\0';
		for (char *p = pids, *end; (n = strtol(p, &end, 10)) > 1; p = end)
			kill((pid_t)n, SIGKILL);
	}
}

static void stop(int sig, uint32_t grace_ms)
{
	mono_ms at = mono_now() + grace_ms;

	if (shim.ended)
		return;
	/* Asked again: the agent restarted, or somebody is in more of a hurry. Never later than promised before. */
	if (shim.kill_at == MONO_NEVER)
		kill((int)shim.run.pid, sig);
	shim.kill_at = MIN(shim.kill_at, at);
	if (!grace_ms)
		kill_all();
}

/* ---- health command ---- */

static void check_begin(uint32_t seq, uint32_t timeout_ms)
{
	enum launch_step step;
	int error;
	int out[2];

	if (shim.check.pid || shim.ended)
		return;
	shim.check = (struct check){.seq = seq, .out_fd = -1, .deadline = mono_now() + timeout_ms};
	if (!shim.launch.check[0] || pipe2(out, O_CLOEXEC) < 0) {
		say_checked(CHECK_NOT_RUN, 0);
		return;
	}
	shim.check.pid = child_start(&shim.launch, shim.launch.check, out[1], out[1], true, &step, &error);
	close(out[1]);
	if (shim.check.pid < 0) {
		shim.check.pid = 0;
		close(out[0]);
		shim.check.len = (size_t)snprintf(shim.check.text, CHECK_TEXT_MAX, "%.60s: %s: %s",
		        shim.launch.check[0], launch_step_text(step), strerror(error));
		shim.check.len = MIN(shim.check.len, (size_t)CHECK_TEXT_MAX - 1);
		say_checked(CHECK_NOT_RUN, 0);
		return;
	}
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	shim.check.out_fd = out[0];
}

/* Keeps the end of what the command says. */
static void check_read(void)
{
	char buf[1024];
	ssize_t n;

	while ((n = read(shim.check.out_fd, buf, sizeof(buf))) > 0) {
		size_t take = MIN((size_t)n, sizeof(shim.check.text));
		size_t keep = MIN(shim.check.len, sizeof(shim.check.text) - take);

		memmove(shim.check.text, shim.check.text + shim.check.len - keep, keep);
		memcpy(shim.check.text + keep, buf + n - take, take);
		shim.check.len = keep + take;
	}
	if (n == 0) {
		close(shim.check.out_fd);
		shim.check.out_fd = -1;
	}
}

static void check_ended(int status)
{
	int pid = shim.check.pid;

	shim.check.pid = 0;
	if (shim.check.out_fd >= 0)
		check_read();
	if (shim.check.out_fd >= 0)
		close(shim.check.out_fd);
	shim.check.out_fd = -1;
	kill(-pid, SIGKILL);
	if (shim.check.timed_out)
		say_checked(CHECK_TIMED_OUT, 0);
	else if (WIFEXITED(status))
		say_checked(WEXITSTATUS(status) ? CHECK_FAILED : CHECK_PASSED, (uint8_t)WEXITSTATUS(status));
	else
		say_checked(CHECK_FAILED, (uint8_t)(128 + WTERMSIG(status)));
}

/* ---- messages from agents ---- */

static bool handle(enum shim_message kind, struct rd *r)
{
	uint32_t value, seq;
	int sig;

	switch (kind) {
	case SHIM_STOP:
		sig = rd_u8(r);
		value = rd_u32(r);
		if (rd_end(r, NULL) == 0 && sig > 0 && sig < NSIG)
			stop(sig, value);
		return rd_ok(r);
	case SHIM_SIGNAL:
		sig = rd_u8(r);
		if (rd_end(r, NULL) == 0 && sig > 0 && sig < NSIG && !shim.ended)
			kill((int)shim.run.pid, sig);
		return rd_ok(r);
	case SHIM_CHECK:
		seq = rd_u32(r);
		value = rd_u32(r);
		if (rd_end(r, NULL) == 0)
			check_begin(seq, value);
		return rd_ok(r);
	default:
		return false;
	}
}

static void client_read(struct client *c)
{
	ssize_t n = recv(c->fd, c->in + c->len, sizeof(c->in) - c->len, MSG_DONTWAIT);
	enum shim_message kind;
	struct rd body;
	int used;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_drop(c);
		return;
	}
	c->len += (size_t)n;
	while ((used = message_take(c->in, c->len, &kind, &body)) > 0) {
		bool good = handle(kind, &body);

		if (!good || c->fd < 0) {
			used = -1;
			break;
		}
		c->len -= (size_t)used;
		memmove(c->in, c->in + used, c->len);
	}
	if (used < 0 && c->fd >= 0)
		client_drop(c);
}

static void accept_client(void)
{
	int fd = accept4(shim.listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred who;
	socklen_t len = sizeof(who);

	if (fd < 0)
		return;
	/* The folder is private already; this holds even if somebody opens it up. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && (who.uid == 0 || who.uid == geteuid())) {
		for (size_t i = 0; i < CLIENTS_MAX; i++)
			if (shim.clients[i].fd < 0) {
				shim.clients[i].fd = fd;
				shim.clients[i].len = 0;
				say_started(&shim.clients[i]);
				return;
			}
	}
	close(fd);
}

/* ---- the task's output ---- */

/* Returns false at the end of the stream. */
static bool drain(int fd, struct log_stream *s, bool until_empty)
{
	static char buf[READ_BYTES];
	ssize_t n;

	do {
		n = read(fd, buf, sizeof(buf));
		if (n > 0)
			log_feed(&shim.log, s, buf, (size_t)n, wall_now());
	} while (n > 0 && until_empty);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void stream_ready(int *fd, struct log_stream *s)
{
	if (drain(*fd, s, false))
		return;
	log_finish(&shim.log, s, wall_now());
	close(*fd);
	*fd = -1;
}

/* ---- the end ---- */

static void note_exit(int status)
{
	shim.ended = true;
	shim.exit.signalled = WIFSIGNALED(status);
	shim.exit.code = (uint8_t)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void reap(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == (pid_t)shim.run.pid)
			note_exit(status);
		else if (pid == shim.check.pid)
			check_ended(status);
	}
}

/* As the subreaper, all descendants of the task become our children sooner or later, whatever session they made. */
static void kill_descendants(void)
{
	struct timespec pause = {.tv_nsec = 2000000};
	mono_ms until = mono_now() + CHASE_MS;
	pid_t pid;

	for (;;) {
		kill_all();
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0)
			return;
		if (mono_now() > until) {
			log_note(&shim.log, wall_now(),
			        "starling: processes of the ended task could not be killed");
			return;
		}
		procs_kill_children();
		/* Their pipes must not be full for ever: a process in a write can be killed, but logs must not be lost. */
		nanosleep(&pause, NULL);
	}
}

/* True when the kernel killed a process of the task's cgroup for its memory limit. */
static bool oom_killed(void)
{
	struct arena arena;
	uint8_t *text;
	const char *at;
	size_t len;
	bool killed = false;

	if (!shim.launch.oom_file)
		return false;
	arena_init(&arena);
	text = file_read(AT_FDCWD, shim.launch.oom_file, 4096, &arena, &len, NULL);
	for (at = (const char *)text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, "oom_kill ", 9) == 0)
			killed = strtoul(at + 9, NULL, 10) > 0;
	}
	arena_free(&arena);
	return killed;
}

static void say_exit(void)
{
	uint8_t buf[SHIM_MESSAGE_MAX];
	struct err err = {0};
	struct wr w;
	size_t at;

	wr_fixed(&w, buf, sizeof(buf));
	exit_put(&w, &shim.exit);
	if (file_replace(AT_FDCWD, "exit", w.p, w.len, &err) < 0)
		log_note(&shim.log, wall_now(), "starling: %s", err.text);
	/* The next shim of this task may begin as soon as the agent knows. */
	if (shim.listen_fd >= 0) {
		unlink("shim.sock");
		close(shim.listen_fd);
	}
	log_close(&shim.log);
	flock(LOCK_FD, LOCK_UN);
	wr_fixed(&w, buf, sizeof(buf));
	at = message_begin(&w, SHIM_EXIT);
	exit_put(&w, &shim.exit);
	message_end(&w, at);
	send_all(&w);
}

static void finish(void)
{
	if (shim.run.pid)
		kill_descendants();
	if (shim.out_fd >= 0)
		drain(shim.out_fd, &shim.out, true);
	log_finish(&shim.log, &shim.out, wall_now());
	if (shim.err_fd >= 0)
		drain(shim.err_fd, &shim.err, true);
	log_finish(&shim.log, &shim.err, wall_now());
	shim.exit.oom = oom_killed();
	for (size_t i = 0; i < shim.launch.n_cgroups; i++)
		rmdir(shim.launch.cgroups[i]);
	shim.exit.ended = wall_now();
	say_exit();
}

/* ---- the beginning ---- */

static int listen_socket(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = "shim.sock"};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	/* Bound by its relative name: the data folder's path may be longer than sun_path. */
	unlink("shim.sock");
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, CLIENTS_MAX) < 0) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

static int open_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Away from the agent: a process of its own that init adopts. */
static int leave_agent(const char *dir)
{
	pid_t pid;

	if (chdir(dir) < 0)
		return -1;
	pid = fork();
	if (pid != 0)
		_exit(pid < 0);
	fcntl(AGENT_FD, F_SETFD, FD_CLOEXEC);
	fcntl(LOCK_FD, F_SETFD, FD_CLOEXEC);
	umask(077);
	return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

static int load(struct arena *arena, struct err *err)
{
	size_t len;
	uint8_t *bytes = file_read(AT_FDCWD, "launch", LAUNCH_BYTES_MAX, arena, &len, err);
	int log_fd;

	if (!bytes || launch_get(&shim.launch, arena, bytes, len, err) < 0)
		return -1;
	if (mkdir("log", 0700) < 0 && errno != EEXIST)
		return err_errno(err, "make the log folder");
	log_fd = open("log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (log_fd < 0)
		return err_errno(err, "open the log folder");
	return log_open(&shim.log, log_fd, shim.launch.log_file_bytes, shim.launch.log_files, err);
}

static int start_task(void)
{
	int out[2], errs[2];
	int error;
	uint8_t buf[RECORD_FILE_MAX];
	struct proc p;
	struct wr w;
	int pid;

	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(errs, O_CLOEXEC) < 0) {
		shim.exit.step = STEP_STDIO;
		shim.exit.step_errno = (uint32_t)errno;
		return -1;
	}
	pid = child_start(&shim.launch, shim.launch.argv, out[1], errs[1], true, &shim.exit.step, &error);
	close(out[1]);
	close(errs[1]);
	shim.out_fd = out[0];
	shim.err_fd = errs[0];
	fcntl(shim.out_fd, F_SETFL, O_NONBLOCK);
	fcntl(shim.err_fd, F_SETFL, O_NONBLOCK);
	if (pid < 0) {
		shim.exit.step_errno = (uint32_t)error;
		return -1;
	}
	shim.exit.step = STEP_NONE;
	shim.run.pid = (uint32_t)pid;
	shim.run.shim_pid = (uint32_t)getpid();
	shim.run.started = shim.exit.started = wall_now();
	if (proc_read(pid, &p))
		shim.run.ticks = p.ticks;
	if (proc_read(getpid(), &p))
		shim.run.shim_ticks = p.ticks;
	wr_fixed(&w, buf, sizeof(buf));
	run_put(&w, &shim.run);
	/* Without it only a killed shim's leftovers are harder to find; the task's mark and cgroup still tell. */
	file_replace(AT_FDCWD, "run", w.p, w.len, NULL);
	return 0;
}

static int poll_timeout(mono_ms now)
{
	mono_ms next = shim.kill_at;

	if (shim.check.pid)
		next = MIN(next, shim.check.deadline);
	if (shim.launch.watchdog_ms && shim.kill_at == MONO_NEVER)
		next = MIN(next, shim.alone_since + shim.launch.watchdog_ms);
	if (next == MONO_NEVER)
		return -1;
	return (int)MIN(MAX(next - now, 0), MINUTES(10));
}

static bool agent_connected(void)
{
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (shim.clients[i].fd >= 0)
			return true;
	return false;
}

static void timers(void)
{
	mono_ms now = mono_now();

	if (agent_connected())
		shim.alone_since = now;
	if (shim.kill_at != MONO_NEVER && now >= shim.kill_at) {
		kill_all();
		shim.kill_at = now + 1000;
	}
	if (shim.check.pid && now >= shim.check.deadline) {
		shim.check.timed_out = true;
		shim.check.deadline = now + 1000;
		kill(-shim.check.pid, SIGKILL);
	}
	if (shim.launch.watchdog_ms && shim.kill_at == MONO_NEVER &&
	        now - shim.alone_since >= shim.launch.watchdog_ms) {
		log_note(&shim.log, wall_now(), "starling: no agent for %u ms: the watchdog stops this task",
		        shim.launch.watchdog_ms);
		stop(shim.launch.stop_signal, shim.launch.stop_grace_ms);
	}
}

static void read_signals(void)
{
	struct signalfd_siginfo info;

	while (read(shim.signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			stop(shim.launch.stop_signal, shim.launch.stop_grace_ms);
	reap();
}

static void loop(void)
{
	while (!shim.ended) {
		struct pollfd p[5 + CLIENTS_MAX] = {
		        {shim.signal_fd, POLLIN, 0},
		        {shim.listen_fd, POLLIN, 0},
		        {shim.out_fd, POLLIN, 0},
		        {shim.err_fd, POLLIN, 0},
		        {shim.check.pid ? shim.check.out_fd : -1, POLLIN, 0},
		};

		for (size_t i = 0; i < CLIENTS_MAX; i++)
			p[5 + i] = (struct pollfd){shim.clients[i].fd, POLLIN, 0};
		if (poll(p, ARRAY_LEN(p), poll_timeout(mono_now())) < 0 && errno != EINTR)
			break;
		if (p[2].revents)
			stream_ready(&shim.out_fd, &shim.out);
		if (p[3].revents)
			stream_ready(&shim.err_fd, &shim.err);
		if (p[4].revents)
			check_read();
		for (size_t i = 0; i < CLIENTS_MAX; i++)
			if (p[5 + i].revents && shim.clients[i].fd >= 0)
				client_read(&shim.clients[i]);
		if (p[1].revents)
			accept_client();
		if (p[0].revents)
			read_signals();
		timers();
	}
}

int shim_main(int argc, char **argv)
{
	struct arena arena;
	struct err err = {0};

	if (argc < 3) {
		fprintf(stderr, "starling: shim: started by the agent, with a task's folder\n");
		return ERR_USAGE;
	}
	if (leave_agent(argv[2]) < 0)
		return ERR_FAILED;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		shim.clients[i].fd = -1;
	shim.clients[0].fd = AGENT_FD;
	shim.out_fd = shim.err_fd = shim.check.out_fd = -1;
	shim.kill_at = MONO_NEVER;
	shim.alone_since = mono_now();
	shim.err.is_stderr = true;
	shim.log.fd = -1;
	shim.signal_fd = open_signals();
	shim.listen_fd = listen_socket();
	arena_init(&arena);
	if (load(&arena, &err) < 0)
		_exit(ERR_FAILED);
	shim.run.run = shim.exit.run = shim.launch.run;
	if (start_task() == 0) {
		say_started(&shim.clients[0]);
		loop();
	}
	finish();
	_exit(0);
}
