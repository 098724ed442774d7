/* Whole folders: looked up within a root, copied, removed. */
#include "node/image/stream.h"
#include "node/image/unpack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Folders within each other; a path of the kernel has at most 2,048. Each level holds a descriptor. */
#define TREE_DEPTH_MAX 512
/* Bytes of one copy. */
#define COPY_CHUNK (128 << 20)

int open_in_root(int root_fd, const char *path, int flags)
{
	struct open_how how = {
	        .flags = (uint64_t)flags | O_CLOEXEC,
	        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
}

int disk_check(int fd, uint64_t bytes, struct err *err)
{
	struct statvfs st;
	uint64_t left;

	if (fstatvfs(fd, &st) < 0)
		return err_errno(err, "look at the disk's room");
	left = (uint64_t)st.f_bavail * st.f_frsize;
	if (left >= IMAGE_DISK_KEEP + bytes)
		return 0;
	errno = ENOSPC;
	return err_set(err, ERR_FAILED,
	        "disk full: %llu MiB are free where images are kept, and %lld of them stay free for the rest; remove images "
	        "(starling image rm) or files",
	        (unsigned long long)left >> 20, (long long)IMAGE_DISK_KEEP >> 20);
}

int folder_each(int fd, int (*fn)(void *ctx, const char *name, struct err *err), void *ctx, struct err *err)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = own < 0 ? NULL : fdopendir(own);
	struct dirent *e;
	int rc = 0;

	if (!dir) {
		if (own >= 0)
			close(own);
		return err_errno(err, "read a folder");
	}
	while (rc == 0 && (errno = 0, e = readdir(dir)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = fn(ctx, e->d_name, err);
	closedir(dir);
	return rc;
}

struct removing {
	int fd;
	unsigned depth;
};

static int remove_at(int at, const char *name, unsigned depth, struct err *err);

static int remove_entry(void *ctx, const char *name, struct err *err)
{
	struct removing *r = ctx;

	return remove_at(r->fd, name, r->depth + 1, err);
}

static int remove_at(int at, const char *name, unsigned depth, struct err *err)
{
	struct removing r = {.depth = depth};
	int rc;

	if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_errno(err, "remove %.200s", name);
	if (unlinkat(at, name, AT_REMOVEDIR) == 0)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return err_errno(err, "remove %.200s", name);
	if (depth == TREE_DEPTH_MAX)
		return err_set(err, ERR_FAILED, "remove %.200s: more than %d folders deep", name, TREE_DEPTH_MAX);
	r.fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r.fd < 0 && errno == EACCES && fchmodat(at, name, 0700, 0) == 0)
		r.fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (r.fd < 0)
		return err_errno(err, "open %.200s", name);
	rc = folder_each(r.fd, remove_entry, &r, err);
	close(r.fd);
	if (rc == 0 && unlinkat(at, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		rc = err_errno(err, "remove %.200s", name);
	return rc;
}

int folder_drop(int at, const char *name, struct err *err)
{
	return remove_at(at, name, 0, err);
}

struct copying {
	int from, to;
	unsigned depth;
};

static int copy_bytes(int in, int out, struct err *err)
{
	ssize_t n;

	for (;;) {
		n = copy_file_range(in, NULL, out, NULL, COPY_CHUNK, 0);
		if (n == 0)
			return 0;
		if (n < 0)
			break;
	}
	for (char buf[STREAM_CHUNK]; (n = read(in, buf, sizeof(buf))) > 0;)
		if (write(out, buf, (size_t)n) != n)
			return err_errno(err, "write");
	return n < 0 ? err_errno(err, "read") : 0;
}

static void copy_capability(int in, int out)
{
	char value[256];
	ssize_t n = fgetxattr(in, "security.capability", value, sizeof(value));

	if (n > 0)
		fsetxattr(out, "security.capability", value, (size_t)n, 0);
}

static int copy_file(struct copying *c, const char *name, const struct stat *st, struct err *err)
{
	int in = openat(c->from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	int out = in < 0 ? -1 : openat(c->to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	struct timespec times[2] = {st->st_mtim, st->st_mtim};
	int rc = out < 0 ? err_errno(err, "copy %.200s", name) : disk_check(out, (uint64_t)st->st_size, err);

	if (rc == 0)
		rc = copy_bytes(in, out, err);
	if (rc == 0 && ((geteuid() == 0 && fchown(out, st->st_uid, st->st_gid) < 0) ||
	                       fchmod(out, st->st_mode & 07777) < 0))
		rc = err_errno(err, "set the owner of %.200s", name);
	if (rc == 0) {
		copy_capability(in, out);
		futimens(out, times);
	}
	if (out >= 0)
		close(out);
	if (in >= 0)
		close(in);
	return rc;
}

static int copy_entry(void *ctx, const char *name, struct err *err);

static int copy_folder(struct copying *c, const char *name, const struct stat *st, struct err *err)
{
	struct copying sub = {.from = -1, .to = -1, .depth = c->depth + 1};
	int rc = 0;

	if (sub.depth > TREE_DEPTH_MAX)
		return err_set(err, ERR_FAILED, "copy %.200s: more than %d folders deep", name, TREE_DEPTH_MAX);
	if (mkdirat(c->to, name, 0700) < 0)
		return err_errno(err, "make %.200s", name);
	sub.from = openat(c->from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	sub.to = openat(c->to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sub.from < 0 || sub.to < 0)
		rc = err_errno(err, "open %.200s", name);
	if (rc == 0)
		rc = folder_each(sub.from, copy_entry, &sub, err);
	if (rc == 0 && ((geteuid() == 0 && fchown(sub.to, st->st_uid, st->st_gid) < 0) ||
	                       fchmod(sub.to, st->st_mode & 07777) < 0))
		rc = err_errno(err, "set the owner of %.200s", name);
	if (sub.from >= 0)
		close(sub.from);
	if (sub.to >= 0)
		close(sub.to);
	return rc;
}

static int copy_link(struct copying *c, const char *name, const struct stat *st, struct err *err)
{
	char to[4096];
	ssize_t n = readlinkat(c->from, name, to, sizeof(to) - 1);

	if (n < 0)
		return err_errno(err, "read link %.200s", name);
	to[n] = '\0';
	if (symlinkat(to, c->to, name) < 0 ||
	        (geteuid() == 0 && fchownat(c->to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0))
		return err_errno(err, "copy link %.200s", name);
	return 0;
}

static int copy_entry(void *ctx, const char *name, struct err *err)
{
	struct copying *c = ctx;
	struct stat st;

	if (fstatat(c->from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(err, "look at %.200s", name);
	if (S_ISDIR(st.st_mode))
		return copy_folder(c, name, &st, err);
	if (S_ISLNK(st.st_mode))
		return copy_link(c, name, &st, err);
	if (S_ISREG(st.st_mode))
		return copy_file(c, name, &st, err);
	if (S_ISFIFO(st.st_mode))
		return mknodat(c->to, name, st.st_mode, 0) < 0 ? err_errno(err, "make pipe %.200s", name) : 0;
	return 0;
}

int folder_copy(int from_fd, int to_fd, struct err *err)
{
	struct copying c = {.from = from_fd, .to = to_fd};
	struct stat st;

	if (folder_each(from_fd, copy_entry, &c, err) < 0)
		return -1;
	if (fstat(from_fd, &st) < 0 || (geteuid() == 0 && fchown(to_fd, st.st_uid, st.st_gid) < 0) ||
	        fchmod(to_fd, st.st_mode & 07777) < 0)
		return err_errno(err, "set the owner of a copy");
	return 0;
}
