/* Stopping the task, and what is left to do once it has ended. */
#include "node/runtime/cgroup_folder.h"
#include "node/runtime/files.h"
#include "node/runtime/procs.h"
#include "node/runtime/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How long the last processes of an ended task are chased; then the exit is reported with a note in the log. */
#define CHASE_MS SECONDS(10)
/* Bytes read from a pipe at a time. */
#define READ_BYTES 16384

static void kill_cgroup(void)
{
	if (shim.launch.n_cgroups)
		cgroup_folder_kill(shim.launch.cgroups[0]);
}

void shim_kill_all(void)
{
	kill(-(int)shim.run.pid, SIGKILL);
	/* A container's first process need not lead a group. */
	kill((int)shim.run.pid, SIGKILL);
	kill_cgroup();
}

void shim_stop(int sig, uint32_t grace_ms)
{
	mono_ms at = shim_mono() + grace_ms;

	if (shim.ended)
		return;
	/* Asked again: the agent restarted, or somebody is in more of a hurry. Never later than promised before. */
	if (shim.kill_at == MONO_NEVER)
		kill((int)shim.run.pid, sig);
	shim.kill_at = MIN(shim.kill_at, at);
	if (!grace_ms)
		shim_kill_all();
}

bool shim_drain(int fd, struct log_stream *s, bool until_empty)
{
	static char buf[READ_BYTES];
	ssize_t n;

	do {
		n = read(fd, buf, sizeof(buf));
		if (n > 0)
			log_feed(&shim.log, s, buf, (size_t)n, shim_wall());
		if (n > 0 && s->is_stderr && shim.keep)
			tail_add(shim.keep, buf, (size_t)n);
	} while (n > 0 && until_empty);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

void shim_stream_ready(int *fd, struct log_stream *s)
{
	if (shim_drain(*fd, s, false))
		return;
	log_finish(&shim.log, s, shim_wall());
	close(*fd);
	*fd = -1;
}

static void note_exit(int status)
{
	shim.ended = true;
	shim.exit.signalled = WIFSIGNALED(status);
	shim.exit.code = (uint8_t)(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* Ended, but not reaped yet: its pid, and with it the number of its process group, is still its own. */
static bool is_over(int pid)
{
	siginfo_t info = {0};

	return pid > 0 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

void shim_reap(void)
{
	int status;
	pid_t pid;

	if (!shim.ended && is_over((int)shim.run.pid))
		shim_kill_all();
	if (is_over(shim.check.pid))
		kill(-shim.check.pid, SIGKILL);
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == (pid_t)shim.run.pid)
			note_exit(status);
		else if (pid == shim.check.pid)
			shim_check_ended(status);
	}
}

/* As the subreaper, all descendants of the task become our children sooner or later, whatever session they made. */
static void kill_descendants(void)
{
	struct timespec pause = {.tv_nsec = 2000000};
	mono_ms until = shim_mono() + CHASE_MS;
	pid_t pid;

	for (;;) {
		kill_cgroup();
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0)
			return;
		if (shim_mono() > until) {
			log_note(&shim.log, shim_wall(),
			        "starling: processes of the ended task could not be killed");
			return;
		}
		procs_kill_children();
		nanosleep(&pause, NULL);
	}
}

/* How many processes of the task's cgroup the kernel killed for its memory limit. */
static uint32_t oom_kills(void)
{
	struct arena arena;
	uint8_t *text;
	const char *at;
	size_t len;
	unsigned long n = 0;

	if (!shim.launch.oom_file)
		return 0;
	arena_init(&arena);
	text = file_read(AT_FDCWD, shim.launch.oom_file, 4096, &arena, &len, NULL);
	for (at = (const char *)text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, "oom_kill ", 9) == 0)
			n = strtoul(at + 9, NULL, 10);
	}
	arena_free(&arena);
	return (uint32_t)MIN(n, UINT32_MAX);
}

static uint64_t ms(const struct timeval *t)
{
	return (uint64_t)t->tv_sec * 1000 + (uint64_t)t->tv_usec / 1000;
}

static void write_usage(uint32_t killed)
{
	struct usage_record u = {.run = shim.launch.run, .oom_kills = killed};
	uint8_t buf[RECORD_FILE_MAX];
	struct rusage r;
	struct wr w;

	/* All of its processes have been waited for by now, by each other or by us. */
	if (getrusage(RUSAGE_CHILDREN, &r) < 0)
		return;
	u.user_ms = ms(&r.ru_utime);
	u.system_ms = ms(&r.ru_stime);
	u.max_rss = (uint64_t)r.ru_maxrss * 1024;
	wr_fixed(&w, buf, sizeof(buf));
	usage_put(&w, &u);
	file_replace(AT_FDCWD, "usage", w.p, w.len, NULL);
}

/* Not every such kill is the end of the task: a program may go on without the process, and end well. */
static void note_oom(uint32_t killed)
{
	shim.exit.oom = killed && (shim.exit.signalled || shim.exit.code);
	if (killed)
		log_note(&shim.log, shim_wall(),
		        "starling: the kernel killed %u process%s of this task for its memory limit", killed,
		        killed == 1 ? "" : "es");
}

static void write_exit(void)
{
	uint8_t buf[RECORD_FILE_MAX];
	struct err err = {0};
	struct wr w;

	wr_fixed(&w, buf, sizeof(buf));
	exit_put(&w, &shim.exit);
	if (file_replace(AT_FDCWD, "exit", w.p, w.len, &err) < 0)
		log_note(&shim.log, shim_wall(), "starling: %s", err.text);
}

void shim_finish(void)
{
	uint32_t killed;

	if (shim.run.pid || shim.launch.pid_file)
		kill_descendants();
	if (shim.out_fd >= 0)
		shim_drain(shim.out_fd, &shim.out, true);
	log_finish(&shim.log, &shim.out, shim_wall());
	if (shim.err_fd >= 0)
		shim_drain(shim.err_fd, &shim.err, true);
	log_finish(&shim.log, &shim.err, shim_wall());
	killed = oom_kills();
	note_oom(killed);
	write_usage(killed);
	shim_runtime_clean(shim.exit.step != STEP_NONE);
	for (size_t i = 0; i < shim.launch.n_cgroups; i++)
		cgroup_folder_remove(shim.launch.cgroups[i]);
	shim.exit.ended = shim_wall();
	write_exit();
	/* The next shim of this task may begin as soon as the agent knows. */
	if (shim.listen_fd >= 0) {
		unlink("shim.sock");
		close(shim.listen_fd);
	}
	log_close(&shim.log);
	flock(LOCK_FD, LOCK_UN);
	shim_say_exit();
}
