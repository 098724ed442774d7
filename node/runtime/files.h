/* Small files of a task's folder: read whole with a bound, replaced whole. */
#ifndef NODE_RUNTIME_FILES_H
#define NODE_RUNTIME_FILES_H

#include "base/arena.h"
#include "base/err.h"

/* The kernel's id of this start of the host, 36 characters and NUL; all zero text where there is none. */
#define BOOT_ID_BYTES 37

/* Reads at most max bytes of dir_fd/path (dir_fd may be AT_FDCWD) into arena memory, with a NUL behind. A longer
 * file is an error. Returns the bytes, or NULL: err is set, and errno is ENOENT where there is no such file. */
uint8_t *file_read(int dir_fd, const char *path, size_t max, struct arena *arena, size_t *len, struct err *err);
/* All of it, over interruptions and short writes; -1 with errno. */
int file_write_all(int fd, const uint8_t *p, size_t len);
/* Puts a file (0600) in place of dir_fd/path by rename: a reader sees the old or the new one, never half. Not
 * synced: what it says is about processes, which a power cut ends as well. */
int file_replace(int dir_fd, const char *path, const void *bytes, size_t len, struct err *err);
/* Deletes dir_fd/path with all in it, at most 128 folders deep; symbolic links are removed, not followed. */
int folder_remove(int dir_fd, const char *path, struct err *err);
void boot_id_read(char out[BOOT_ID_BYTES]);
/* Writes a value to one control file of the kernel, such as a cgroup's. -1 with errno. */
int kernel_file_write(const char *path, const char *text);

#endif
