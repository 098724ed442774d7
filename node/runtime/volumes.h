/*
 * Folders that the host keeps for services (`x-starling.volumes`): DATA/volumes/STACK/NAME. They outlive tasks, revisions
 * and stacks, until an operator removes one. What lives here is told in this peer's facts, and pins its services to it.
 */
#ifndef NODE_RUNTIME_VOLUMES_H
#define NODE_RUNTIME_VOLUMES_H

#include "base/arena.h"
#include "base/err.h"
#include "placement/spec/spec.h"

/* Bytes of all names "STACK/NAME" of one host together: they travel in its facts, whose record holds 4 KiB. */
#define VOLUMES_TEXT_MAX 2048

const char *volume_path(struct arena *arena, const char *data_dir, const char *stack, const char *name);
/* Makes those of the service's folders that are not there: 0700, of that user and group if this process is another's. One
 * that is there keeps its owner and all else. ERR_UNPLACEABLE: this host has all that it can tell others of. */
int volumes_make(const char *data_dir, const char *stack, const struct service *s, uint32_t uid, uint32_t gid,
        struct err *err);
/* Names "STACK/NAME" of those that are here, sorted; memory is arena's. */
size_t volumes_list(const char *data_dir, struct arena *arena, const char ***out);

/* Takes a volume out of its place at once, into DATA/volumes/.removed, where no task finds it; volumes_sweep() deletes it.
 * Symbolic links are not followed. ERR_FAILED: it is not here. */
int volume_discard(const char *data_dir, const char *stack, const char *name, struct err *err);
/* Deletes what was discarded. Takes as long as the disk needs: not for the agent's own thread. */
int volumes_sweep(const char *data_dir, struct err *err);

#endif
