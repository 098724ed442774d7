#include "node/runtime/shim_child.h"

#include "node/runtime/files.h"
#include "node/runtime/shim_rights.h"
#include "node/runtime/shim_view.h"

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

static void report(int pipe_fd, const struct child_fault *f)
{
	if (write(pipe_fd, f, sizeof(*f)) < 0)
		_exit(126);
	_exit(127);
}

/* The step and errno tell all. */
static void fail(int pipe_fd, enum launch_step step)
{
	struct child_fault f = {.step = step, .error = errno};

	report(pipe_fd, &f);
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

int child_join_cgroups(const struct launch *l)
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

static enum launch_step change_user(const struct launch *l)
{
	gid_t groups[LAUNCH_GROUPS_MAX];

	for (size_t i = 0; i < l->n_groups; i++)
		groups[i] = l->groups[i];
	if (setgroups(l->n_groups, groups) < 0)
		return STEP_GROUPS;
	if (setresgid(l->gid, l->gid, l->gid) < 0)
		return STEP_GID;
	return setresuid(l->uid, l->uid, l->uid) < 0 ? STEP_UID : STEP_NONE;
}

int child_take_rights(const struct launch *l, struct child_fault *f)
{
	enum launch_step step;

	if (rights_limits(l, f) < 0 || rights_before_user(l, f) < 0)
		return -1;
	if (l->set_user && (step = change_user(l)) != STEP_NONE) {
		f->step = step;
		f->error = errno;
		return -1;
	}
	if (rights_after_user(l, f) < 0)
		return -1;
	if (!l->new_privs)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return 0;
}

/* What sets a task's process apart from the shim. What a container's runtime starts is its own affair. */
static void become_task(const struct launch *l, int pipe_fd, int view_of)
{
	struct child_fault f = {0};

	if (child_join_cgroups(l) < 0)
		fail(pipe_fd, STEP_CGROUP);
	if (view_wanted(l) && (view_of ? view_enter(view_of, &f) : view_make(l, &f)) < 0)
		report(pipe_fd, &f);
	if (child_take_rights(l, &f) < 0)
		report(pipe_fd, &f);
}

static void child(const struct launch *l, const struct child_start *s, int shim, int pipe_fd)
{
	reset_signals();
	setsid();
	if (set_stdio(s->out_fd, s->err_fd) < 0)
		fail(pipe_fd, STEP_STDIO);
	close_on_exec_from(3);
	umask(022);
	if (l->pid_file)
		kernel_file_write("/proc/self/oom_score_adj", "0");
	else
		become_task(l, pipe_fd, s->view_of);
	/* Changing the user or capabilities clears it, so it is set now; the shim may have died before that. */
	if (s->with_shim) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		if (getppid() != shim)
			_exit(127);
	}
	if (chdir(l->cwd) < 0)
		fail(pipe_fd, STEP_CWD);
	exec_in_path(s->argv[0], s->argv, l->env);
	fail(pipe_fd, errno == ENOENT ? STEP_NOT_FOUND : STEP_EXEC);
}

int child_start(const struct launch *l, const struct child_start *s, struct child_fault *fault)
{
	int shim = getpid();
	int pipes[2];
	ssize_t n;
	pid_t pid;

	*fault = (struct child_fault){.step = STEP_FORK};
	if (pipe2(pipes, O_CLOEXEC) < 0) {
		fault->error = errno;
		return -1;
	}
	pid = fork();
	if (pid == 0)
		child(l, s, shim, pipes[1]);
	fault->error = errno;
	close(pipes[1]);
	if (pid < 0) {
		close(pipes[0]);
		return -1;
	}
	do
		n = read(pipes[0], fault, sizeof(*fault));
	while (n < 0 && errno == EINTR);
	close(pipes[0]);
	if (n != sizeof(*fault))
		return pid;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
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
