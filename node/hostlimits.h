/* How much of the host's processor and memory the control groups around this process let it use. An edge: reads the kernel's
 * files, below folders that the caller names. */
#ifndef NODE_HOSTLIMITS_H
#define NODE_HOSTLIMITS_H

#include "base/types.h"

struct host_limits {
	uint64_t cpu_milli; /* thousandths of a core */
	uint64_t memory;    /* bytes */
};

/* Lowers l to what the groups allow, from this process's own up to the root: version 2 (cpu.max, memory.max, memory.high),
 * version 1 (cpu.cfs_quota_us over cpu.cfs_period_us, memory.limit_in_bytes), or both on a hybrid host. groups: the file
 * /proc/self/cgroup; root: where the trees are mounted. A group that is not to be seen limits nothing: inside a container
 * the path names folders of its host, while the tree begins at the container's own group. */
void hostlimits_apply(struct host_limits *l, const char *groups, const char *root);

#endif
