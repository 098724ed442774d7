/*
 * Puts an archive's files below a folder: a layer of an image upon those below it, or an archive that holds images.
 *
 * The archive is hostile. Whatever it says, nothing outside of the folder is read, written or linked to: paths are
 * resolved by the kernel with the folder as their root (openat2, RESOLVE_IN_ROOT), names with ".." are refused, links
 * are made as they are and never followed further than the folder. Bytes, files and the room left on the disk bound it.
 *
 * Layers (OCI image specification, layer.md): ".wh.NAME" removes NAME of a lower layer, ".wh..wh..opq" all that lower
 * layers have in its folder. Libarchive reads tar, gzip and zstd; what is made of an entry is decided here.
 */
#ifndef NODE_IMAGE_UNPACK_H
#define NODE_IMAGE_UNPACK_H

#include "base/err.h"
#include "base/map.h"

#include <stdatomic.h>

/* Bytes of one image's files, and how many: far above the largest images in use, below what fills a host. */
#define IMAGE_BYTES_MAX (64LL << 30)
#define IMAGE_FILES_MAX 2000000
/* Bytes that unpacking leaves free on the disk: the agent's own records, and the logs of tasks, need room. */
#define IMAGE_DISK_KEEP (64LL << 20)

struct unpack {
	int root_fd;
	atomic_bool *cancelled; /* looked at between entries; NULL: never */
	uint64_t bytes_left;
	uint64_t files_left;
	bool layer; /* whiteouts, owners and special files mean something; else only files, folders and links are made */
	/* Of the layer under way: what it made, so that its own whiteouts do not remove it. */
	struct map made;
};

void unpack_init(struct unpack *u, int root_fd, bool layer, atomic_bool *cancelled);
void unpack_free(struct unpack *u);
/* Reads fd to its end. digest: of the bytes as they are; diff_id: of the archive within, once it is decompressed; either
 * may be NULL. ERR_USAGE: the archive is refused, ERR_FAILED: the host failed (disk full); errno says ENOSPC then. */
int unpack_archive(struct unpack *u, int fd, const char *digest, const char *diff_id, struct err *err);

/* Opens a path below root_fd, resolved as if root_fd were "/"; links that lead outside end at the root, as they would for
 * a process there. -1 with errno. */
int open_in_root(int root_fd, const char *path, int flags);
/* Deletes at/name with all in it, however deep; links are removed, not followed. 0 also where there is none. */
int folder_drop(int at, const char *name, struct err *err);
/* Copies the tree at from_fd into the empty folder to_fd: owners, modes, times, links, hard links as files of their own. */
int folder_copy(int from_fd, int to_fd, struct err *err);
/* Is there less free than IMAGE_DISK_KEEP and bytes? err names it, errno is ENOSPC. */
int disk_check(int fd, uint64_t bytes, struct err *err);

#endif
