/* A container's runtime under the shim: it starts the container and ends; later it clears away what is left. */
#include "node/runtime/files.h"
#include "node/runtime/procs.h"
#include "node/runtime/shim.h"
#include "node/runtime/shim_child.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How long a runtime may take to start a container, whose bundle is ready by then. */
#define RUNTIME_START_MS SECONDS(60)
/* How long it may take to clear one away. */
#define RUNTIME_CLEAN_MS SECONDS(10)
/* Without pidfd_open(2), Linux before 5.3: how often the runtime is looked at. */
#define LOOK_MS 2

void shim_fault(const char *fmt, ...)
{
	struct fault_record f = {.run = shim.launch.run};
	uint8_t buf[FAULT_FILE_MAX];
	struct wr w;
	va_list ap;
	size_t len;

	va_start(ap, fmt);
	vsnprintf(f.text, sizeof(f.text), fmt, ap);
	va_end(ap);
	for (len = strlen(f.text); len && !text_is_utf8(f.text, len); len--)
		f.text[len - 1] = '\0';
	wr_fixed(&w, buf, sizeof(buf));
	fault_put(&w, &f);
	/* Without it the agent still knows the step. */
	file_replace(AT_FDCWD, "fault", w.p, w.len, NULL);
}

static bool has_ended(int pid)
{
	siginfo_t info = {0};

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

/* Waits for a command of the runtime, hearing meanwhile what comes from two descriptors. Returns its wait status; -1: it
 * took too long and was killed. */
static int await(int pid, int64_t limit_ms, int *a, int *b, void (*hear)(void))
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	mono_ms until = shim_mono() + limit_ms;
	bool late = false;
	int status = 0;

	while (!has_ended(pid)) {
		struct pollfd p[] = {{pidfd, POLLIN, 0}, {*a, POLLIN, 0}, {*b, POLLIN, 0}};
		mono_ms left = until - shim_mono();

		if (left <= 0) {
			late = true;
			kill(-pid, SIGKILL);
			kill(pid, SIGKILL);
			break;
		}
		poll(p, ARRAY_LEN(p), pidfd < 0 ? LOOK_MS : (int)left);
		hear();
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	hear();
	if (pidfd >= 0)
		close(pidfd);
	return late ? -1 : status;
}

static void hear_task(void)
{
	if (shim.out_fd >= 0)
		shim_stream_ready(&shim.out_fd, &shim.out);
	if (shim.err_fd >= 0)
		shim_stream_ready(&shim.err_fd, &shim.err);
}

static int read_pid_file(void)
{
	struct arena arena;
	uint64_t pid = 0;
	struct proc p;
	char *text;
	size_t len;

	arena_init(&arena);
	text = (char *)file_read(AT_FDCWD, shim.launch.pid_file, 32, &arena, &len, NULL);
	while (text && len && (text[len - 1] == '\n' || text[len - 1] == ' '))
		text[--len] = '\0';
	if (!text || !text_u64(text, 2, INT32_MAX, &pid))
		pid = 0;
	arena_free(&arena);
	/* A zombie by now is a container whose process ended at once. */
	return pid && proc_read((int)pid, &p) && p.ppid == getpid() ? (int)pid : -1;
}

int shim_runtime_started(int runtime_pid)
{
	struct shim_tail said = {0};
	const char *line;
	size_t len;
	int status, pid;

	shim.keep = &said;
	status = await(runtime_pid, RUNTIME_START_MS, &shim.out_fd, &shim.err_fd, hear_task);
	shim.keep = NULL;
	shim.exit.step = STEP_RUNTIME;
	line = tail_line(&said, &len);
	if (status == -1) {
		shim_fault("%.80s: killed: it had not started the container after %d s", shim.launch.argv[0],
		        (int)(RUNTIME_START_MS / 1000));
		return -1;
	}
	if (WIFSIGNALED(status)) {
		shim_fault("%.80s: killed by signal %d", shim.launch.argv[0], WTERMSIG(status));
		return -1;
	}
	if (WEXITSTATUS(status) != 0) {
		if (len)
			shim_fault("%.*s", (int)len, line);
		else
			shim_fault("%.80s: exited with code %d and said nothing", shim.launch.argv[0],
			        WEXITSTATUS(status));
		return -1;
	}
	pid = read_pid_file();
	if (pid < 0)
		shim_fault("%.80s: it says that it started the container, but %.80s names no process of it",
		        shim.launch.argv[0], shim.launch.pid_file);
	return pid;
}

static struct shim_tail cleaning;
static int cleaning_fd = -1;

static void hear_cleaning(void)
{
	char buf[512];
	ssize_t n;

	while (cleaning_fd >= 0 && (n = read(cleaning_fd, buf, sizeof(buf))) >= 0) {
		if (n > 0) {
			tail_add(&cleaning, buf, (size_t)n);
			continue;
		}
		close(cleaning_fd);
		cleaning_fd = -1;
	}
}

void shim_runtime_clean(bool quiet)
{
	char *const *argv = shim.launch.cleanup;
	struct child_fault fault;
	int none = -1, pid, status;
	const char *line;
	int out[2];
	size_t len;

	if (!argv[0] || pipe2(out, O_CLOEXEC) < 0)
		return;
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	cleaning_fd = out[0];
	pid = child_start(
	        &shim.launch, &(struct child_start){.argv = argv, .out_fd = out[1], .err_fd = out[1]}, &fault);
	close(out[1]);
	status = pid < 0 ? -1 : await(pid, RUNTIME_CLEAN_MS, &cleaning_fd, &none, hear_cleaning);
	if (cleaning_fd >= 0)
		close(cleaning_fd);
	cleaning_fd = -1;
	if (quiet || status == 0)
		return;
	line = tail_line(&cleaning, &len);
	log_note(&shim.log, shim_wall(),
	        "starling: what is left of the container could not be cleared away: %.*s",
	        len ? (int)len : (int)strlen(argv[0]), len ? line : argv[0]);
}

/* A process that entered the container from outside, such as `runc exec`, and whose parent is gone, is our child. One
 * that the container's own processes left is its first process's. */
void shim_runtime_kill_strays(void)
{
	char ours[64], theirs[64], path[48];
	ssize_t n = readlink("/proc/self/ns/pid", ours, sizeof(ours) - 1);
	int children[64];
	size_t found = n > 0 ? procs_children(children, ARRAY_LEN(children)) : 0;

	if (n > 0)
		ours[n] = '\0';
	for (size_t i = 0; i < found; i++) {
		if (children[i] == (int)shim.run.pid)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/ns/pid", children[i]);
		n = readlink(path, theirs, sizeof(theirs) - 1);
		if (n <= 0)
			continue;
		theirs[n] = '\0';
		if (strcmp(ours, theirs) != 0) {
			procs_kill_session(children[i]);
			kill(children[i], SIGKILL);
		}
	}
}
