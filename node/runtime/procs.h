/* Processes as /proc shows them, and killing without ever hitting a stranger that was given an old pid. */
#ifndef NODE_RUNTIME_PROCS_H
#define NODE_RUNTIME_PROCS_H

#include "node/runtime/launch.h"

struct proc {
	int pid, ppid, pgrp, session;
	char state;     /* 'Z' for a zombie */
	uint64_t ticks; /* start time in clock ticks since boot: with the pid it names a process for ever */
};

/* False when there is no such process. */
bool proc_read(int pid, struct proc *out);
/* Parses the text of /proc/PID/stat; the name in it may hold any bytes. */
bool proc_parse(const char *stat, struct proc *out);
/* SIGKILL to all processes whose parent is the caller; they cannot be reused before the caller reaps them. Returns
 * how many there were. */
int procs_kill_children(void);
/* The pids of the caller's children, zombies excepted, at most max. Returns how many were written. */
size_t procs_children(int *out, size_t max);
/* SIGKILL to all processes of the session that pid leads; pid must not have been reaped. Returns how many. */
int procs_kill_session(int pid);
/* SIGKILL to what a task left behind when its shim was killed: its session (checked by start time), and whoever has
 * STARLING_TASK=task in its environment. Waits up to 200 ms for them to be gone. Returns how many it found. */
int procs_kill_leftovers(const struct run_record *run, const char *task);

#endif
