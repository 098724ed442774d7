/* A volume's end: out of its place by one rename, then deleted at the disk's pace. */
#include "base/text.h"
#include "node/runtime/files.h"
#include "node/runtime/volumes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* No stack has a name with a dot in front. */
#define REMOVED_DIR ".removed"

static int open_dir(int at, const char *name)
{
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int open_all(const char *data_dir)
{
	int data = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int all = data < 0 ? -1 : open_dir(data, "volumes");

	if (data >= 0)
		close(data);
	return all;
}

/* own/name becomes all/.removed/XXXXXX/name: two of one name do not meet. */
static int move_away(int all, int own, const char *data_dir, const char *name)
{
	char path[4096];
	int fd, rc = -1;

	if (mkdirat(all, REMOVED_DIR, 0700) < 0 && errno != EEXIST)
		return -1;
	if (snprintf(path, sizeof(path), "%s/volumes/" REMOVED_DIR "/XXXXXX", data_dir) >= (int)sizeof(path) ||
	        !mkdtemp(path))
		return -1;
	fd = open_dir(AT_FDCWD, path);
	if (fd >= 0) {
		rc = renameat(own, name, fd, name);
		close(fd);
	}
	return rc;
}

int volume_discard(const char *data_dir, const char *stack, const char *name, struct err *err)
{
	int all, own = -1, rc = -1;
	struct stat st;

	if (!text_is_label(stack, true) || !text_is_label(name, true))
		return err_set(
		        err, ERR_USAGE, "volume %s/%s: no such name can be; see starling volume ls", stack, name);
	all = open_all(data_dir);
	if (all >= 0)
		own = open_dir(all, stack);
	if (own < 0 || fstatat(own, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		err_set(err, ERR_FAILED, "volume %s/%s is not on this peer; see starling volume ls", stack, name);
	else if (move_away(all, own, data_dir, name) < 0)
		err_errno(err, "take volume %s/%s out of its place", stack, name);
	else
		rc = 0;
	if (own >= 0)
		close(own);
	if (all >= 0)
		close(all);
	return rc;
}

int volumes_sweep(const char *data_dir, struct err *err)
{
	int all = open_all(data_dir);
	int rc = all < 0 ? 0 : folder_remove(all, REMOVED_DIR, err);

	if (all >= 0)
		close(all);
	return rc;
}
