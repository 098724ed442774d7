#include "node/runtime/shim_child.h"

#include "node/runtime/files.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif
/* Without close_range(2), Linux before 5.9: descriptors above this stay as they are (they are made close-on-exec). */
#define CLOSE_MAX 1024

/* What the child says before it goes, when it never got to run its program. */
struct child_fault {
	uint32_t step;
	int32_t error;
};

static void fail(int pipe_fd, enum launch_step step)
{
	struct child_fault f = {step, errno};

	if (write(pipe_fd, &f, sizeof(f)) < 0)
		_exit(126);
	_exit(127);
}

static void reset_signals(void)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void close_on_exec_from(int first)
{
	if (syscall(SYS_close_range, (unsigned)first, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		return;
	for (int fd = first; fd < CLOSE_MAX; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static int set_stdio(int out_fd, int err_fd)
{
	int in_fd = open("/dev/null", O_RDONLY);

	if (in_fd < 0 || dup2(in_fd, 0) < 0 || dup2(out_fd, 1) < 0 || dup2(err_fd, 2) < 0)
		return -1;
	return 0;
}

static int enter_cgroups(const struct launch *l)
{
	char path[1024];

	for (size_t i = 0; i < l->n_cgroups; i++) {
		if ((size_t)snprintf(path, sizeof(path), "%s/cgroup.procs", l->cgroups[i]) >= sizeof(path)) {
			errno = ENAMETOOLONG;
			return -1;
		}
		if (kernel_file_write(path, "0") < 0)
			return -1;
	}
	return 0;
}

static const char *path_of(char *const env[])
{
	for (; *env; env++)
		if (strncmp(*env, "PATH=", 5) == 0)
			return *env + 5;
	return "";
}

/* As execvpe(3), but looks in the PATH that the task is given, and never falls back to a shell. */
static void exec_in_path(const char *name, char *const argv[], char *const env[])
{
	const char *p = path_of(env);
	bool denied = false;

	if (strchr(name, '/')) {
		execve(name, argv, env);
		return;
	}
	for (;;) {
		size_t len = strcspn(p, ":");
		char full[4096];

		if (len && (size_t)snprintf(full, sizeof(full), "%.*s/%s", (int)len, p, name) < sizeof(full)) {
			execve(full, argv, env);
			if (errno == EACCES)
				denied = true;
			else if (errno != ENOENT && errno != ENOTDIR)
				return;
		}
		if (!p[len])
			break;
		p += len + 1;
	}
	errno = denied ? EACCES : ENOENT;
}

static void child(
        const struct launch *l, char *const argv[], int out_fd, int err_fd, bool with_shim, int shim, int report)
{
	reset_signals();
	setsid();
	if (set_stdio(out_fd, err_fd) < 0)
		fail(report, STEP_STDIO);
	close_on_exec_from(3);
	/* The groups of a container are its runtime's affair. */
	if (!l->pid_file && enter_cgroups(l) < 0)
		fail(report, STEP_CGROUP);
	/* The agent may be protected from the OOM killer; its tasks are not. Lowering may be forbidden: then it was
	 * not protected. */
	kernel_file_write("/proc/self/oom_score_adj", "0");
	umask(022);
	if (l->set_user) {
		gid_t groups[LAUNCH_GROUPS_MAX];

		for (size_t i = 0; i < l->n_groups; i++)
			groups[i] = l->groups[i];
		if (setgroups(l->n_groups, groups) < 0)
			fail(report, STEP_GROUPS);
		if (setresgid(l->gid, l->gid, l->gid) < 0)
			fail(report, STEP_GID);
		if (setresuid(l->uid, l->uid, l->uid) < 0)
			fail(report, STEP_UID);
	}
	/* A container would inherit it from its runtime. */
	if (!l->pid_file)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	/* Changing the user clears it, so it is set now; the shim may have died before that. */
	if (with_shim) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		if (getppid() != shim)
			_exit(127);
	}
	if (chdir(l->cwd) < 0)
		fail(report, STEP_CWD);
	exec_in_path(argv[0], argv, l->env);
	fail(report, errno == ENOENT ? STEP_NOT_FOUND : STEP_EXEC);
}

int child_start(const struct launch *l, char *const argv[], int out_fd, int err_fd, bool with_shim,
        enum launch_step *step, int *step_errno)
{
	struct child_fault fault;
	int shim = getpid();
	int report[2];
	ssize_t n;
	pid_t pid;

	*step = STEP_FORK;
	if (pipe2(report, O_CLOEXEC) < 0) {
		*step_errno = errno;
		return -1;
	}
	pid = fork();
	if (pid == 0)
		child(l, argv, out_fd, err_fd, with_shim, shim, report[1]);
	*step_errno = errno;
	close(report[1]);
	if (pid < 0) {
		close(report[0]);
		return -1;
	}
	do
		n = read(report[0], &fault, sizeof(fault));
	while (n < 0 && errno == EINTR);
	close(report[0]);
	if (n != sizeof(fault))
		return pid;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	*step = fault.step;
	*step_errno = fault.error;
	return -1;
}

/* Whoever looks for what the task left must not take this for it. */
static void drop_mark(char **env)
{
	char **to = env;

	for (; *env; env++)
		if (strncmp(*env, "STARLING_TASK=", 14) != 0)
			*to++ = *env;
	*to = NULL;
}

void child_detached(const struct launch *l, char *const argv[])
{
	pid_t pid = fork();
	int fd;

	if (pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	if (pid != 0)
		return;
	reset_signals();
	setsid();
	if (fork() != 0)
		_exit(0);
	fd = open("/dev/null", O_RDWR);
	if (fd >= 0 && dup2(fd, 0) == 0 && dup2(fd, 1) == 1 && dup2(fd, 2) == 2 && chdir(l->cwd) == 0) {
		close_on_exec_from(3);
		drop_mark(l->env);
		exec_in_path(argv[0], argv, l->env);
	}
	_exit(127);
}
