/* The data folder: made private to its user, held by one agent at a time. */
#ifndef NODE_DATADIR_H
#define NODE_DATADIR_H

#include "base/err.h"

/* Bytes of the longest path below a data folder, with its NUL: what sun_path (108) and PATH_MAX leave sensible. */
#define DATA_PATH_MAX 1024

/* Makes dir (0700) and what is missing above it, and checks that files can be made in it. */
int data_dir_make(const char *dir, struct err *err);
/* Makes the folders above the file path, each 0700. */
int data_dir_make_parents(const char *path, struct err *err);
/* Takes DATA/lock, which the kernel frees when the process ends, however it ends. Returns the descriptor to
 * close, or -1 with the pid of the agent that holds it. */
int data_dir_lock(const char *dir, struct err *err);
/* fsync of the folder that holds path, so that a file just made there survives a power cut. */
int data_dir_sync_parent(const char *path, struct err *err);

#endif
