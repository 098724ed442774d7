/*
 * What tasks use of cpu and memory, for `starling top`: from the control groups that are a task's own (version 1, 2 or both),
 * else summed over its processes, as /proc shows them. Works the same for every driver, from the pid of a task's process.
 */
#ifndef NODE_RUNTIME_USAGE_H
#define NODE_RUNTIME_USAGE_H

#include "base/types.h"

/* Processes of a host that are looked at, 32 bytes each; those above are not counted. */
#define USAGE_PROCS_MAX 65536

struct usage {
	uint64_t cpu_us; /* used since it began; it grows, but for what a process that ended took along */
	uint64_t memory; /* bytes, without file pages that nobody used of late */
	uint32_t processes;
};

struct usage_proc {
	int pid, ppid;
	uint64_t cpu_ticks, memory;
};

/* One look at all processes. Roots are "/proc" and "/sys/fs/cgroup", or folders like them. */
struct usage_look {
	const char *proc, *cgroup;
	size_t n;
	struct usage_proc *procs; /* by pid */
};

void usage_look(struct usage_look *l, const char *proc, const char *cgroup);
void usage_free(struct usage_look *l);
/* Of the task whose first process is pid: that and its descendants, and what its shim has taken in. */
struct usage usage_of(const struct usage_look *l, int pid);
/* Of the whole host: busy cpu time of all cores; memory in use, and all there is. */
void usage_host(const struct usage_look *l, struct usage *out, uint64_t *memory_total);

#endif
