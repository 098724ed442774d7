#include "node/datadir.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int data_dir_make_parents(const char *path, struct err *err)
{
	char dir[DATA_PATH_MAX];

	if (strlen(path) >= sizeof(dir))
		return err_set(err, ERR_USAGE, "path %.60s...: longer than %d bytes", path, DATA_PATH_MAX - 1);
	text_copy(dir, sizeof(dir), path);
	for (char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(dir, 0700) < 0 && errno != EEXIST)
			return err_errno(err, "make folder %s", dir);
		*slash = '/';
	}
	return 0;
}

int data_dir_make(const char *dir, struct err *err)
{
	struct stat st;

	if (!*dir)
		return err_set(err, ERR_USAGE, "data folder: the name is empty; give --data DIR");
	if (data_dir_make_parents(dir, err) < 0)
		return err_wrap(err, "data folder %s", dir);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "data folder %s: make it", dir);
	if (stat(dir, &st) < 0)
		return err_errno(err, "data folder %s", dir);
	if (!S_ISDIR(st.st_mode))
		return err_set(err, ERR_FAILED, "data folder %s: is a file; give --data DIR", dir);
	if (access(dir, W_OK | X_OK) < 0)
		return err_errno(
		        err, "data folder %s: cannot write there; run as its owner, or give --data DIR", dir);
	return 0;
}

int data_dir_lock(const char *dir, struct err *err)
{
	char path[DATA_PATH_MAX + 8], pid[24] = {0};
	int fd;

	snprintf(path, sizeof(path), "%.*s/lock", DATA_PATH_MAX, dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, "data folder %s: cannot write there: open lock", dir);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK) {
			err_errno(err, "data folder %s: lock", dir);
		} else {
			ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

			pid[MAX(n, 0)] = '\0';
			pid[strspn(pid, "0123456789")] = '\0';
			err_set(err, ERR_FAILED,
			        "data folder %s: in use by the agent with pid %s; stop that one, or give another "
			        "--data DIR",
			        dir, *pid ? pid : "unknown");
		}
		close(fd);
		return -1;
	}
	/* For the message above only: a full disk that cannot take it is no reason not to run. */
	snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) == 0 && pwrite(fd, pid, strlen(pid), 0) < 0)
		errno = 0;
	return fd;
}

int data_dir_sync_parent(const char *path, struct err *err)
{
	char dir[DATA_PATH_MAX];
	char *slash;
	int fd, rc;

	text_copy(dir, sizeof(dir), path);
	slash = strrchr(dir, '/');
	if (!slash)
		text_copy(dir, sizeof(dir), ".");
	else
		slash[slash == dir] = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "sync folder %s: open", dir);
	rc = fsync(fd);
	/* Some file systems (FUSE, CIFS) know no fsync of a folder; they order names themselves. */
	if (rc < 0 && (errno == EINVAL || errno == ENOSYS || errno == ENOTSUP))
		rc = 0;
	if (rc < 0)
		err_errno(err, "sync folder %s", dir);
	close(fd);
	return rc;
}
