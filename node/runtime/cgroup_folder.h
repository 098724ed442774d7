/* One folder of a control group with all below it, of either version: a task may make groups of its own inside. */
#ifndef NODE_RUNTIME_CGROUP_FOLDER_H
#define NODE_RUNTIME_CGROUP_FOLDER_H

#include "base/types.h"

/* SIGKILL to every process in it, by cgroup.kill where the kernel has that. Returns how many there were. One more call
 * is needed for those that were forked meanwhile. */
int cgroup_folder_kill(const char *dir);
/* Removes it and what is below, as far as it is empty. */
void cgroup_folder_remove(const char *dir);

#endif
