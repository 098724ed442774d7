/* /proc/self/mountinfo (proc(5)), line by line. */
#ifndef NODE_RUNTIME_MOUNTINFO_H
#define NODE_RUNTIME_MOUNTINFO_H

#include "base/types.h"

/* Bytes that are read: some thousand mounts. */
#define MOUNTINFO_BYTES_MAX (1024 * 1024)

struct mount_point {
	char *path;          /* inside the text, which is changed */
	unsigned long flags; /* MS_* of the mount itself, not of its file system */
};

/* Cuts the next line off *text. False at the end; lines that are none are stepped over. */
bool mountinfo_next(char **text, struct mount_point *out);

#endif
