/*
 * Files that travel with a service (spec_files): DATA/tasks/ID/files/N, where N counts the mounts of kind shipped. They are
 * written before the task's first start and go with its folder. Drivers see a read-only bind of each.
 */
#ifndef NODE_RUNTIME_SHIPPED_H
#define NODE_RUNTIME_SHIPPED_H

#include "base/arena.h"
#include "base/err.h"
#include "placement/spec/spec.h"

/* Writes them below dir_fd, unless they are there. A failure is for now: a full disk, say. */
int shipped_make(int dir_fd, const struct service *s, struct err *err);
/* The service with binds of files below dir in place of its shipped mounts; s itself when it has none. Memory is arena's. */
const struct service *shipped_mounted(struct arena *arena, const char *dir, const struct service *s);

#endif
