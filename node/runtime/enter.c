/*
 * `starling enter`: holds one command inside a task, for as long as the agent holds its end of a socket.
 *
 *	agent --spawn--> enter --fork--> enter' (child of init) --fork, setns, exec--> the command
 *	                                   |  descriptors 0-2: its terminal or pipes
 *	                                   '- descriptor 3: the agent; its end ends all
 *
 * It is the subreaper of whatever the command starts, so nothing of it is left when it ends.
 */
#include "node/runtime/attach.h"
#include "node/runtime/files.h"
#include "node/runtime/procs.h"
#include "node/runtime/shim_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Milliseconds between the hangup of a command whose session was closed and SIGKILL to all of it. */
#define HANGUP_GRACE_MS 1000

struct enter {
	struct launch launch;
	uint32_t pid;
	uint64_t ticks;
	bool tty;
	int spaces[7]; /* descriptors of the namespaces that are not ours; -1 */
	int root;      /* of the task's root folder */
};

/* In the order in which they are entered: the user's last but one would need rights that are gone then. */
static const struct space {
	const char *name;
	int type;
} spaces[] = {
        {"user", CLONE_NEWUSER},
        {"cgroup", CLONE_NEWCGROUP},
        {"ipc", CLONE_NEWIPC},
        {"uts", CLONE_NEWUTS},
        {"net", CLONE_NEWNET},
        {"pid", CLONE_NEWPID},
        {"mnt", CLONE_NEWNS},
};

static void answer(enum enter_answer kind, uint32_t value, int error)
{
	uint8_t bytes[ENTER_ANSWER_BYTES];
	struct wr w;

	wr_fixed(&w, bytes, sizeof(bytes));
	wr_u8(&w, (uint8_t)kind);
	wr_u32(&w, value);
	wr_u32(&w, (uint32_t)error);
	if (write(ENTER_FD, bytes, sizeof(bytes)) < 0)
		_exit(ERR_FAILED); /* nobody listens any more */
}

static void answer_and_end(enum enter_answer kind, uint32_t value, int error)
{
	answer(kind, value, error);
	_exit(0);
}

static bool read_all(void *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = read(ENTER_FD, (char *)buf + done, len - done);

		if (n == 0 || (n < 0 && errno != EINTR))
			return false;
		done += n > 0 ? (size_t)n : 0;
	}
	return true;
}

static bool read_request(struct enter *e, struct arena *arena)
{
	uint8_t head[4], *bytes;
	const uint8_t *launch;
	struct rd r;
	size_t len;

	if (!read_all(head, sizeof(head)))
		return false;
	rd_init(&r, head, sizeof(head));
	len = rd_u32(&r);
	if (len > LAUNCH_BYTES_MAX)
		return false;
	bytes = arena_alloc(arena, len);
	if (!read_all(bytes, len))
		return false;
	rd_init(&r, bytes, len);
	e->pid = rd_u32(&r);
	e->ticks = rd_u64(&r);
	e->tty = rd_u8(&r);
	len = rd_left(&r);
	launch = rd_bytes(&r, len);
	return rd_ok(&r) && launch_get(&e->launch, arena, launch, len, NULL) == 0;
}

static int open_at(uint32_t pid, const char *what, int flags)
{
	char path[64];

	if (pid)
		snprintf(path, sizeof(path), "/proc/%u/%s", pid, what);
	else
		snprintf(path, sizeof(path), "/proc/self/%s", what);
	return open(path, flags | O_CLOEXEC);
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Opens what is to be entered while /proc is still the host's. */
static void open_spaces(struct enter *e)
{
	struct proc p;

	e->root = -1;
	for (size_t i = 0; i < ARRAY_LEN(spaces); i++)
		e->spaces[i] = -1;
	if (!e->pid)
		return;
	for (size_t i = 0; i < ARRAY_LEN(spaces); i++) {
		char name[32];
		int own;

		snprintf(name, sizeof(name), "ns/%s", spaces[i].name);
		own = open_at(0, name, O_RDONLY);
		e->spaces[i] = open_at(e->pid, name, O_RDONLY);
		if (own >= 0 && e->spaces[i] >= 0 && same_file(own, e->spaces[i])) {
			close(e->spaces[i]);
			e->spaces[i] = -1;
		}
		if (own >= 0)
			close(own);
	}
	e->root = open_at(e->pid, "root", O_RDONLY | O_DIRECTORY);
	/* Only now is it certain whose they are. */
	if (!proc_read((int)e->pid, &p) || p.ticks != e->ticks || p.state == 'Z')
		answer_and_end(ENTER_GONE, 0, 0);
}

struct fault {
	uint32_t kind, step;
	int32_t error;
};

static void fail(int report, enum enter_answer kind, enum launch_step step)
{
	struct fault f = {(uint32_t)kind, (uint32_t)step, errno};

	if (write(report, &f, sizeof(f)) < 0)
		_exit(126);
	_exit(127);
}

static void fail_with(int report, const struct child_fault *f)
{
	errno = f->error;
	fail(report, ENTER_FAULT, (enum launch_step)f->step);
}

static void enter_spaces(const struct enter *e, int report)
{
	struct stat own, theirs;

	for (size_t i = 0; i < ARRAY_LEN(spaces); i++)
		if (e->spaces[i] >= 0 && setns(e->spaces[i], spaces[i].type) < 0)
			fail(report, ENTER_SPACE, STEP_NONE);
	if (e->root < 0 || fstat(e->root, &theirs) < 0 || stat("/", &own) < 0)
		return;
	if (own.st_dev == theirs.st_dev && own.st_ino == theirs.st_ino)
		return;
	if (fchdir(e->root) < 0 || chroot(".") < 0)
		fail(report, ENTER_SPACE, STEP_NONE);
}

static void child(const struct enter *e, int report)
{
	const struct launch *l = &e->launch;
	struct child_fault f = {0};
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	if (e->tty)
		ioctl(0, TIOCSCTTY, 0);
	if (child_join_cgroups(l) < 0)
		fail(report, ENTER_FAULT, STEP_CGROUP);
	kernel_file_write("/proc/self/oom_score_adj", "0");
	/* A terminal is the command's user's own. */
	if (e->tty && l->set_user && fchown(0, l->uid, (gid_t)-1) < 0)
		fail(report, ENTER_FAULT, STEP_STDIO);
	enter_spaces(e, report);
	umask(022);
	/* No more than the task itself has. */
	if (child_take_rights(l, &f) < 0)
		fail_with(report, &f);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (chdir(l->cwd) < 0)
		fail(report, ENTER_FAULT, STEP_CWD);
	clearenv();
	for (char **kv = l->env; *kv; kv++)
		putenv(*kv);
	execvp(l->argv[0], l->argv);
	fail(report, ENTER_FAULT, errno == ENOENT || errno == ENOTDIR ? STEP_NOT_FOUND : STEP_EXEC);
}

static pid_t start(const struct enter *e)
{
	struct fault f;
	int report[2];
	pid_t pid;

	if (pipe2(report, O_CLOEXEC) < 0)
		answer_and_end(ENTER_FAULT, STEP_FORK, errno);
	pid = fork();
	if (pid == 0)
		child(e, report[1]);
	if (pid < 0)
		answer_and_end(ENTER_FAULT, STEP_FORK, errno);
	close(report[1]);
	if (read(report[0], &f, sizeof(f)) == (ssize_t)sizeof(f))
		answer_and_end((enum enter_answer)f.kind, f.step, f.error);
	close(report[0]);
	return pid;
}

/* Let go of the command's own ends, so that the agent hears when the last other holder does. */
static void let_go(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
}

/* What is left of it: children, and theirs as they come to us. */
static void kill_all(void)
{
	do
		procs_kill_children();
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR);
}

static int code_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Reaps; true once the command itself has ended. */
static bool reap(pid_t pid, int *code)
{
	bool ended = false;
	int status;
	pid_t one;

	while ((one = waitpid(-1, &status, WNOHANG)) > 0)
		if (one == pid) {
			*code = code_of(status);
			ended = true;
		}
	return ended;
}

/* Passes signals on until the command or its session ends. */
static void hold(pid_t pid, int sigchld)
{
	struct pollfd p[] = {{ENTER_FD, POLLIN, 0}, {sigchld, POLLIN, 0}};
	struct signalfd_siginfo info;
	int timeout = -1;
	int code = 0;

	for (;;) {
		int n = poll(p, ARRAY_LEN(p), timeout);
		uint8_t signo;

		if (n == 0)
			break; /* the grace is over */
		if (p[1].revents && read(sigchld, &info, sizeof(info)) > 0 && reap(pid, &code)) {
			kill_all();
			answer_and_end(ENTER_ENDED, (uint32_t)code, 0);
		}
		if (!p[0].revents)
			continue;
		if (read(ENTER_FD, &signo, 1) == 1) {
			kill(-pid, signo);
		} else {
			kill(-pid, SIGHUP);
			p[0].fd = -1;
			timeout = HANGUP_GRACE_MS;
		}
	}
	kill_all();
	_exit(0);
}

int enter_main(void)
{
	struct enter e = {0};
	struct arena arena;
	sigset_t set;
	pid_t pid;
	int fd;

	/* init's child from here on: the agent need not wait for it. */
	pid = fork();
	if (pid != 0)
		_exit(pid < 0);
	fcntl(ENTER_FD, F_SETFD, FD_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	arena_init(&arena);
	if (!read_request(&e, &arena))
		_exit(ERR_FAILED);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	open_spaces(&e);
	pid = start(&e);
	let_go();
	hold(pid, fd);
	return 0;
}
