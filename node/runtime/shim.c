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
#include "node/runtime/procs.h"
#include "node/runtime/shim.h"
#include "node/runtime/shim_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct shim shim;

mono_ms shim_mono(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

wall_ms shim_wall(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int listen_socket(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = "shim.sock"};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	/* Bound by its relative name: the data folder's path may be longer than sun_path. */
	unlink("shim.sock");
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, SHIM_CLIENTS_MAX) < 0) {
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

static int open_streams(int out[2], int errs[2])
{
	if (pipe2(out, O_CLOEXEC) < 0)
		return -1;
	if (pipe2(errs, O_CLOEXEC) < 0) {
		close(out[0]);
		close(out[1]);
		return -1;
	}
	shim.out_fd = out[0];
	shim.err_fd = errs[0];
	fcntl(shim.out_fd, F_SETFL, O_NONBLOCK);
	fcntl(shim.err_fd, F_SETFL, O_NONBLOCK);
	return 0;
}

static void note_start(int pid)
{
	uint8_t buf[RECORD_FILE_MAX];
	struct proc p;
	struct wr w;

	shim.exit.step = STEP_NONE;
	shim.run.pid = (uint32_t)pid;
	shim.run.shim_pid = (uint32_t)getpid();
	shim.run.started = shim.exit.started = shim_wall();
	if (proc_read(pid, &p))
		shim.run.ticks = p.ticks;
	if (proc_read(getpid(), &p))
		shim.run.shim_ticks = p.ticks;
	wr_fixed(&w, buf, sizeof(buf));
	run_put(&w, &shim.run);
	/* Without it only a killed shim's leftovers are harder to find; the task's mark and cgroup still tell. */
	file_replace(AT_FDCWD, "run", w.p, w.len, NULL);
}

static int start_task(void)
{
	const struct launch *l = &shim.launch;
	struct child_fault fault;
	int out[2], errs[2];
	int pid;

	if (open_streams(out, errs) < 0) {
		shim.exit.step = STEP_STDIO;
		shim.exit.step_errno = (uint32_t)errno;
		return -1;
	}
	if (l->pid_file)
		unlink(l->pid_file);
	pid = child_start(l,
	        &(struct child_start){.argv = l->argv, .out_fd = out[1], .err_fd = errs[1], .with_shim = true},
	        &fault);
	close(out[1]);
	close(errs[1]);
	if (pid < 0) {
		shim.exit.step = fault.step;
		shim.exit.step_errno = (uint32_t)fault.error;
		if (fault.text[0])
			shim_fault("%s", fault.text);
		else if (l->pid_file)
			shim_fault("%.100s: %s: %s", l->argv[0], launch_step_text(fault.step),
			        strerror(fault.error));
		return -1;
	}
	if (l->pid_file)
		pid = shim_runtime_started(pid);
	if (pid < 0)
		return -1;
	note_start(pid);
	return 0;
}

static int poll_timeout(mono_ms now)
{
	mono_ms next = shim.kill_at;

	if (shim.check.pid)
		next = MIN(next, shim.check.deadline);
	if (shim.kill_at == MONO_NEVER)
		next = MIN(next, shim.watchdog.due);
	if (next == MONO_NEVER)
		return -1;
	return (int)MIN(MAX(next - now, 0), MINUTES(10));
}

/* The next agent must know: what it finds ended was not the task's own doing. */
static void bark(void)
{
	uint8_t buf[RECORD_FILE_MAX];
	struct err err = {0};
	struct wr w;

	shim.fired = (struct watchdog_record){.run = shim.launch.run, .at = shim_wall()};
	log_note(&shim.log, shim.fired.at, "starling: no agent for %u ms: the watchdog stops this task",
	        shim.launch.watchdog_ms);
	wr_fixed(&w, buf, sizeof(buf));
	watchdog_put(&w, &shim.fired);
	if (file_replace(AT_FDCWD, "watchdog", w.p, w.len, &err) < 0)
		log_note(&shim.log, shim_wall(), "starling: %s", err.text);
	shim_stop(shim.launch.stop_signal, shim.launch.stop_grace_ms);
}

static void timers(void)
{
	mono_ms now = shim_mono();

	if (shim.kill_at != MONO_NEVER && now >= shim.kill_at) {
		shim_kill_all();
		shim.kill_at = now + 1000;
	}
	if (shim.check.pid && now >= shim.check.deadline) {
		shim.check.timed_out = true;
		shim.check.deadline = now + 1000;
		kill(-shim.check.pid, SIGKILL);
	}
	/* A task that is being stopped already needs no watchdog. */
	if (shim.kill_at == MONO_NEVER && watchdog_turn(&shim.watchdog, shim_agent_connected(), now))
		bark();
}

static void read_signals(void)
{
	struct signalfd_siginfo info;

	while (read(shim.signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			shim_stop(shim.launch.stop_signal, shim.launch.stop_grace_ms);
	shim_reap();
}

static void loop(void)
{
	while (!shim.ended) {
		struct pollfd p[5 + SHIM_CLIENTS_MAX] = {
		        {shim.signal_fd, POLLIN, 0},
		        {shim.listen_fd, POLLIN, 0},
		        {shim.out_fd, POLLIN, 0},
		        {shim.err_fd, POLLIN, 0},
		        {shim.check.pid ? shim.check.out_fd : -1, POLLIN, 0},
		};

		for (size_t i = 0; i < SHIM_CLIENTS_MAX; i++)
			p[5 + i] = (struct pollfd){shim.clients[i].fd, POLLIN, 0};
		timers();
		if (poll(p, ARRAY_LEN(p), poll_timeout(shim_mono())) < 0 && errno != EINTR)
			break;
		if (p[2].revents)
			shim_stream_ready(&shim.out_fd, &shim.out);
		if (p[3].revents)
			shim_stream_ready(&shim.err_fd, &shim.err);
		if (p[4].revents)
			shim_check_read();
		for (size_t i = 0; i < SHIM_CLIENTS_MAX; i++)
			if (p[5 + i].revents && shim.clients[i].fd >= 0)
				shim_read(&shim.clients[i]);
		if (p[0].revents)
			read_signals();
		/* An agent that comes is told that the task runs only if it does: it may have ended a moment ago. */
		if (p[1].revents)
			shim_reap();
		if (p[1].revents && !shim.ended)
			shim_accept();
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
	for (size_t i = 0; i < SHIM_CLIENTS_MAX; i++)
		shim.clients[i].fd = -1;
	shim.clients[0].fd = AGENT_FD;
	shim.out_fd = shim.err_fd = shim.check.out_fd = -1;
	shim.kill_at = MONO_NEVER;
	shim.err.is_stderr = true;
	shim.log.fd = -1;
	shim.signal_fd = open_signals();
	shim.listen_fd = listen_socket();
	arena_init(&arena);
	if (load(&arena, &err) < 0)
		_exit(ERR_FAILED);
	shim.run.run = shim.exit.run = shim.launch.run;
	watchdog_init(&shim.watchdog, shim.launch.watchdog_ms);
	if (start_task() == 0) {
		shim_say_started(&shim.clients[0]);
		loop();
	}
	shim_finish();
	_exit(0);
}
