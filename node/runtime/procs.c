#include "node/runtime/procs.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LEFTOVER_WAIT_MS 200
/* Looks in a row, 2 ms apart, that must find nothing. */
#define CLEAN_LOOKS 3

bool proc_parse(const char *stat, struct proc *out)
{
	const char *after = strrchr(stat, ')');
	unsigned long long ticks;

	*out = (struct proc){0};
	if (!after || sscanf(stat, "%d", &out->pid) != 1)
		return false;
	/* state ppid pgrp session, then 15 fields up to the start time, which is the 22nd of all */
	if (sscanf(after + 1, " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
	            &out->state, &out->ppid, &out->pgrp, &out->session, &ticks) != 5)
		return false;
	out->ticks = ticks;
	return true;
}

static ssize_t read_proc(int pid, const char *what, char *buf, size_t cap)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, buf, cap);
	close(fd);
	return n;
}

bool proc_read(int pid, struct proc *out)
{
	char buf[1024];
	ssize_t n = read_proc(pid, "stat", buf, sizeof(buf) - 1);

	if (n <= 0)
		return false;
	buf[n] = '\0';
	return proc_parse(buf, out) && out->pid == pid;
}

typedef bool proc_wanted(void *ctx, const struct proc *p);

/* Kills by way of a pidfd that is checked after it was opened, so that the pid cannot change hands in between. */
static void kill_exactly(const struct proc *p)
{
	int fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	struct proc again;

	if (fd < 0) {
		if (errno == ENOSYS)
			kill(p->pid, SIGKILL);
		return;
	}
	if (proc_read(p->pid, &again) && again.ticks == p->ticks)
		syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
	close(fd);
}

static int kill_wanted(proc_wanted *wanted, void *ctx)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;
	uint64_t pid;
	int found = 0;

	if (!dir)
		return 0;
	while ((e = readdir(dir))) {
		struct proc p;

		if (!text_u64(e->d_name, 2, INT32_MAX, &pid) || !proc_read((int)pid, &p) || p.state == 'Z')
			continue;
		if (!wanted(ctx, &p))
			continue;
		kill_exactly(&p);
		found++;
	}
	closedir(dir);
	return found;
}

static bool is_child(void *ctx, const struct proc *p)
{
	return p->ppid == *(int *)ctx;
}

int procs_kill_children(void)
{
	int me = getpid();

	return kill_wanted(is_child, &me);
}

size_t procs_children(int *out, size_t max)
{
	DIR *dir = opendir("/proc");
	int me = getpid();
	struct dirent *e;
	uint64_t pid;
	size_t n = 0;

	while (dir && n < max && (e = readdir(dir))) {
		struct proc p;

		if (text_u64(e->d_name, 2, INT32_MAX, &pid) && proc_read((int)pid, &p) && p.ppid == me &&
		        p.state != 'Z')
			out[n++] = (int)pid;
	}
	if (dir)
		closedir(dir);
	return n;
}

static bool in_session(void *ctx, const struct proc *p)
{
	return p->session == *(int *)ctx;
}

int procs_kill_session(int pid)
{
	return kill_wanted(in_session, &pid);
}

struct leftover {
	const struct run_record *run;
	char mark[64];     /* STARLING_TASK=... */
	bool leader_stays; /* the task's first process is still there, so its session is its own */
};

/* The environment that a process was started with; only its first page is looked at, where ours stands first. */
static bool has_mark(int pid, const char *mark)
{
	char buf[4096];
	ssize_t n = read_proc(pid, "environ", buf, sizeof(buf) - 1);
	size_t len = strlen(mark);

	if (n <= 0)
		return false;
	buf[n] = '\0';
	for (const char *p = buf; p < buf + n; p += strlen(p) + 1)
		if (strlen(p) == len && memcmp(p, mark, len) == 0)
			return true;
	return false;
}

/* While the first process is there, all of its session is the task's. Once it is gone its number may have come round
 * as another session's, so then only the mark counts. Whatever is older than the task is a stranger. */
static bool is_leftover(void *ctx, const struct proc *p)
{
	const struct leftover *l = ctx;

	if (p->ticks < l->run->ticks)
		return false;
	if (l->leader_stays && (p->pid == (int)l->run->pid || p->session == (int)l->run->pid))
		return true;
	return has_mark(p->pid, l->mark);
}

int procs_kill_leftovers(const struct run_record *run, const char *task)
{
	struct leftover l = {.run = run};
	struct timespec pause = {.tv_nsec = 2000000};
	struct proc leader;
	int found = 0;

	snprintf(l.mark, sizeof(l.mark), "STARLING_TASK=%s", task);
	l.leader_stays = proc_read((int)run->pid, &leader) && leader.ticks == run->ticks;
	/* In the middle of an exec a process shows no environment, so one clean look does not prove that none is left. */
	for (int waited = 0, clean = 0; waited < LEFTOVER_WAIT_MS && clean < CLEAN_LOOKS; waited += 2) {
		int n = kill_wanted(is_leftover, &l);

		clean = n ? 0 : clean + 1;
		found = MAX(found, n);
		nanosleep(&pause, NULL);
	}
	return found;
}
