#include "node/runtime/usage.h"

#include "base/text.h"
#include "node/runtime/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Bytes of one file of /proc or of a control group. */
#define TEXT_MAX 16384

static bool read_text(const char *path, char *out, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, cap - 1);

	if (fd >= 0)
		close(fd);
	out[MAX(n, (ssize_t)0)] = '\0';
	return n > 0;
}

static bool read_proc(const struct usage_look *l, int pid, const char *what, char *out, size_t cap)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/%d/%s", l->proc, pid, what);
	return read_text(path, out, cap);
}

static bool parse_stat(const char *stat, struct usage_proc *out)
{
	const char *after = strrchr(stat, ')');
	unsigned long long user, sys, gone_user, gone_sys;
	long long pages;

	/* state ppid, nine fields, then four of cpu time; resident pages are the 24th of all */
	if (!after || sscanf(stat, "%d", &out->pid) != 1 ||
	        sscanf(after + 1,
	                " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu %llu %*d %*d %*d %*d %*u %*u %lld",
	                &out->ppid, &user, &sys, &gone_user, &gone_sys, &pages) != 6)
		return false;
	out->cpu_ticks = user + sys + gone_user + gone_sys;
	out->memory = (uint64_t)MAX(pages, 0LL) * (uint64_t)sysconf(_SC_PAGESIZE);
	return true;
}

static int by_pid(const void *a, const void *b)
{
	const struct usage_proc *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

void usage_look(struct usage_look *l, const char *proc, const char *cgroup)
{
	DIR *dir = opendir(proc);
	struct dirent *e;
	char text[1024];
	uint64_t pid;
	size_t cap = 0;

	*l = (struct usage_look){.proc = proc, .cgroup = cgroup};
	while (dir && (e = readdir(dir)) && l->n < USAGE_PROCS_MAX) {
		if (!text_u64(e->d_name, 1, INT32_MAX, &pid) ||
		        !read_proc(l, (int)pid, "stat", text, sizeof(text)))
			continue;
		if (l->n == cap) {
			cap = cap ? cap * 2 : 256;
			l->procs = xrealloc(l->procs, cap * sizeof(*l->procs));
		}
		l->n += parse_stat(text, &l->procs[l->n]);
	}
	if (dir)
		closedir(dir);
	if (l->n)
		qsort(l->procs, l->n, sizeof(*l->procs), by_pid);
}

void usage_free(struct usage_look *l)
{
	free(l->procs);
	l->procs = NULL;
	l->n = 0;
}

static const struct usage_proc *find(const struct usage_look *l, int pid)
{
	struct usage_proc key = {.pid = pid};

	return l->n ? bsearch(&key, l->procs, l->n, sizeof(key), by_pid) : NULL;
}

/* Steps up from a process to a task's: a tree of processes is not deeper, and a pid that was reused makes no loop. */
#define DEPTH_MAX 64

static bool descends(const struct usage_look *l, const struct usage_proc *p, int from)
{
	for (int i = 0; p && i < DEPTH_MAX; i++) {
		if (p->pid == from)
			return true;
		p = find(l, p->ppid);
	}
	return false;
}

/* The shim of a task takes in what its processes leave behind; it is not the task's own. */
static int shim_of(const struct usage_look *l, int pid)
{
	const struct usage_proc *p = find(l, pid);
	char text[64];

	if (!p || !read_proc(l, p->ppid, "cmdline", text, sizeof(text)))
		return 0;
	return strcmp(text + strlen(text) + 1, "shim") == 0 ? p->ppid : 0;
}

static struct usage sum(const struct usage_look *l, int pid)
{
	int shim = shim_of(l, pid);
	uint64_t ticks = 0;
	struct usage u = {0};

	for (size_t i = 0; i < l->n; i++) {
		const struct usage_proc *p = &l->procs[i];

		if (p->pid == shim || !descends(l, p, shim ? shim : pid))
			continue;
		ticks += p->cpu_ticks;
		u.memory += p->memory;
		u.processes++;
	}
	u.cpu_us = ticks * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
	return u;
}

/* The path of a controller's group ("" for version 2) in the text of /proc/PID/cgroup; false: none. */
static bool group_of(const char *text, const char *controller, char *out, size_t cap)
{
	for (const char *line = text; *line;) {
		const char *end = strchrnul(line, '\n');
		const char *names = memchr(line, ':', (size_t)(end - line));
		const char *path = names ? memchr(names + 1, ':', (size_t)(end - names - 1)) : NULL;
		char list[256], *save = NULL;

		if (path) {
			text_copy(list, MIN(sizeof(list), (size_t)(path - names)), names + 1);
			bool match = !controller[0] && !list[0];

			for (char *w = strtok_r(list, ",", &save); w && !match; w = strtok_r(NULL, ",", &save))
				match = controller[0] && strcmp(w, controller) == 0;
			if (match && (size_t)(end - path) < cap) {
				text_copy(out, (size_t)(end - path), path + 1);
				return true;
			}
		}
		line = *end ? end + 1 : end;
	}
	return false;
}

struct groups {
	const struct usage_look *l;
	char of_task[4096], of_agent[4096]; /* /proc/PID/cgroup */
};

/* The folder of a group that holds the task and not the agent. */
static bool own_folder(const struct groups *g, const char *controller, char *out, size_t cap)
{
	char path[1024], agent[1024];
	const char *hybrid = controller[0] ? controller : "unified";

	if (!group_of(g->of_task, controller, path, sizeof(path)) || strcmp(path, "/") == 0)
		return false;
	if (group_of(g->of_agent, controller, agent, sizeof(agent)) && strcmp(path, agent) == 0)
		return false;
	snprintf(out, cap, "%s/%s%s", g->l->cgroup, hybrid, path);
	if (access(out, F_OK) != 0)
		snprintf(out, cap, "%s%s", g->l->cgroup, path);
	return access(out, F_OK) == 0;
}

/* The number after a word, on a line of its own; the first number of the file where word is NULL. */
static bool number_in(const char *dir, const char *file, const char *word, uint64_t *out)
{
	char path[1400], text[TEXT_MAX];
	const char *at;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	if (!read_text(path, text, sizeof(text)))
		return false;
	for (at = text; word && at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
		if (strncmp(at, word, strlen(word)) == 0 && at[strlen(word)] == ' ')
			break;
	return at && sscanf(at + (word ? strlen(word) : 0), " %" SCNu64, out) == 1;
}

static void use_groups(const struct groups *g, struct usage *u)
{
	char dir[1300];
	uint64_t n, cold;

	if (own_folder(g, "cpuacct", dir, sizeof(dir)) && number_in(dir, "cpuacct.usage", NULL, &n))
		u->cpu_us = n / 1000;
	else if (own_folder(g, "", dir, sizeof(dir)) && number_in(dir, "cpu.stat", "usage_usec", &n))
		u->cpu_us = n;
	if (own_folder(g, "memory", dir, sizeof(dir)) && number_in(dir, "memory.usage_in_bytes", NULL, &n))
		u->memory = n - (number_in(dir, "memory.stat", "total_inactive_file", &cold) ? MIN(cold, n) : 0);
	else if (own_folder(g, "", dir, sizeof(dir)) && number_in(dir, "memory.current", NULL, &n))
		u->memory = n - (number_in(dir, "memory.stat", "inactive_file", &cold) ? MIN(cold, n) : 0);
}

struct usage usage_of(const struct usage_look *l, int pid)
{
	struct usage u = sum(l, pid);
	struct groups g = {.l = l};

	if (read_proc(l, pid, "cgroup", g.of_task, sizeof(g.of_task))) {
		read_proc(l, getpid(), "cgroup", g.of_agent, sizeof(g.of_agent));
		use_groups(&g, &u);
	}
	return u;
}

void usage_host(const struct usage_look *l, struct usage *out, uint64_t *memory_total)
{
	unsigned long long v[8] = {0};
	char path[300], text[TEXT_MAX];
	uint64_t available = 0;

	*out = (struct usage){.processes = (uint32_t)l->n};
	*memory_total = 0;
	snprintf(path, sizeof(path), "%s/stat", l->proc);
	/* user nice system idle iowait irq softirq steal */
	if (read_text(path, text, sizeof(text)) &&
	        sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3], &v[4],
	                &v[5], &v[6], &v[7]) >= 4)
		out->cpu_us = (v[0] + v[1] + v[2] + v[5] + v[6]) * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
	if (number_in(l->proc, "meminfo", "MemTotal:", memory_total) &&
	        number_in(l->proc, "meminfo", "MemAvailable:", &available)) {
		*memory_total *= 1024;
		out->memory = *memory_total - MIN(available * 1024, *memory_total);
	}
}
