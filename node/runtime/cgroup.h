/*
 * Control groups: limits of cpu, memory and processes, and a fence that holds all of a task's processes. Version 2
 * (one tree) and version 1 (a tree per controller, also what is left of it on hybrid hosts).
 *
 *	v2  ROOT/starling/TASK                              memory.max cpu.max pids.max memory.events
 *	v1  ROOT/pids/starling/TASK                         pids.max; holds every task, as its fence
 *	    ROOT/memory/starling/TASK, ROOT/cpu/starling/TASK   only where a limit is asked for
 *
 * At the root and not in the unit's own group: a v2 group with children may hold no process, and the unit's holds
 * the agent. Shims stay with the agent, so a task's limit never counts or kills its shim.
 */
#ifndef NODE_RUNTIME_CGROUP_H
#define NODE_RUNTIME_CGROUP_H

#include "base/arena.h"
#include "base/err.h"
#include "node/runtime/launch.h"
#include "placement/spec/spec.h"

struct cgroups {
	int version; /* 2, 1, or 0: not available */
	bool cpu, memory, pids;
	char root[256];
	char why[160]; /* what is missing, for messages; empty when nothing is */
};

#define CGROUP_ROOT "/sys/fs/cgroup"

/* Finds what there is below root, makes the starling folder. Not being root is a reason to have none. */
void cgroup_detect(struct cgroups *c, const char *root, bool is_root);
/* Can these limits be kept here? -1 says which cannot, and why. */
int cgroup_accept(const struct cgroups *c, const struct spec_resources *limit, struct err *err);
/* Makes the task's groups with its limits and names them in the launch. Nothing to do is no error. */
int cgroup_make(const struct cgroups *c, const char *task, const struct spec_resources *limit,
        struct arena *arena, struct launch *launch, struct err *err);
/* Kills what is in the task's groups, for a task whose shim was killed. Returns how many. */
int cgroup_kill(const struct cgroups *c, const char *task);
/* Removes the task's empty groups. */
void cgroup_remove(const struct cgroups *c, const char *task);
/* Removes the starling folders as well, unless a task or another agent of this host has something in them. */
void cgroup_leave(const struct cgroups *c);

#endif
