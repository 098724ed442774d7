#include "node/image/unpack.h"

#include "base/hash.h"
#include "base/text.h"
#include "node/image/ref.h"
#include "node/image/stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define WHITEOUT     ".wh."
#define OPAQUE       ".wh..wh..opq"
#define WHITEOUT_OLD ".wh..wh." /* other words of aufs, which mean nothing here */
/* Bytes of a path: the kernel's PATH_MAX. */
#define PATH_BYTES 4096
/* Bytes between two looks at the disk's room. */
#define LOOK_BYTES (16LL << 20)
/* Bytes of one extended attribute; the kernel's bound is 64 KiB. */
#define XATTR_BYTES_MAX 65536

/* One entry on its way to the disk. */
struct place {
	char path[PATH_BYTES]; /* from the root, without a leading slash; empty: the root itself */
	char *name;            /* its last component, within path */
	int dir;               /* the folder that it goes into */
};

void unpack_init(struct unpack *u, int root_fd, bool layer, atomic_bool *cancelled)
{
	*u = (struct unpack){
	        .root_fd = root_fd,
	        .cancelled = cancelled,
	        .bytes_left = IMAGE_BYTES_MAX,
	        .files_left = IMAGE_FILES_MAX,
	        .layer = layer,
	};
	map_init(&u->made, sizeof(struct key32), NULL);
}

void unpack_free(struct unpack *u)
{
	map_free(&u->made);
}

static int refuse(struct err *err, const char *path, const char *why)
{
	return err_set(err, ERR_USAGE, "\"%.200s\": %s", path, why);
}

/* Copies path without "." and empty components. -1: it has a "..", or is too long. */
static int clean_path(char out[PATH_BYTES], const char *path)
{
	size_t len = 0;

	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && memcmp(path, "..", 2) == 0)
			return -1;
		if (n && !(n == 1 && *path == '.')) {
			if (len + n + 2 > PATH_BYTES)
				return -1;
			if (len)
				out[len++] = '/';
			memcpy(out + len, path, n);
			len += n;
		}
		path += n + (path[n] == '/');
	}
	out[len] = '\0';
	return 0;
}

static void mark_made(struct unpack *u, const char *path)
{
	struct key32 key;

	hash32(&key, path, strlen(path));
	map_put(&u->made, &key, u);
}

static bool was_made(const struct unpack *u, const char *path)
{
	struct key32 key;

	hash32(&key, path, strlen(path));
	return map_get(&u->made, &key) != NULL;
}

/* Opens the folder `path` of the root, and makes what is missing of it. */
static int open_folder(struct unpack *u, char *path, struct err *err)
{
	int fd = open_in_root(u->root_fd, *path ? path : ".", O_RDONLY | O_DIRECTORY);
	char *slash;
	int up;

	if (fd >= 0)
		return fd;
	if (errno != ENOENT || !*path)
		return err_errno(err, "\"%.200s\": open its folder", path);
	slash = strrchr(path, '/');
	if (slash)
		*slash = '\0';
	up = open_folder(u, slash ? path : "", err);
	if (slash)
		*slash = '/';
	if (up < 0)
		return -1;
	if (mkdirat(up, slash ? slash + 1 : path, 0755) < 0)
		err_set(err, ERR_USAGE, "\"%.200s\": %s", path,
		        errno == EEXIST ? "its folder is a link that leads nowhere" : strerror(errno));
	else
		fd = open_in_root(u->root_fd, path, O_RDONLY | O_DIRECTORY);
	close(up);
	return fd;
}

static int find_place(struct unpack *u, const char *path, struct place *p, struct err *err)
{
	char *slash;

	if (!path || clean_path(p->path, path) < 0)
		return refuse(err, path ? path : "", "a path with \"..\", or longer than the system allows");
	slash = strrchr(p->path, '/');
	p->name = slash ? slash + 1 : p->path;
	if (slash)
		*slash = '\0';
	p->dir = open_folder(u, slash ? p->path : (char[]){""}, err);
	if (slash)
		*slash = '/';
	return p->dir < 0 ? -1 : 0;
}

/* ---- whiteouts ---- */

/* Removes what lower layers have in the folder path, open as fd. */
static int clear_folder(struct unpack *u, const char *path, int fd, struct err *err);

static int clear_one(struct unpack *u, const char *path, int fd, const char *name, struct err *err)
{
	char full[PATH_BYTES];
	int sub, rc;

	if ((size_t)snprintf(full, sizeof(full), "%s%s%s", path, *path ? "/" : "", name) >= sizeof(full))
		return refuse(err, path, "too long");
	if (!was_made(u, full))
		return folder_drop(fd, name, err);
	sub = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sub < 0) /* a file of this layer */
		return 0;
	rc = clear_folder(u, full, sub, err);
	close(sub);
	return rc;
}

struct clearing {
	struct unpack *u;
	const char *path;
	int fd;
};

static int clear_entry(void *ctx, const char *name, struct err *err)
{
	struct clearing *c = ctx;

	return clear_one(c->u, c->path, c->fd, name, err);
}

static int clear_folder(struct unpack *u, const char *path, int fd, struct err *err)
{
	struct clearing c = {u, path, fd};

	return folder_each(fd, clear_entry, &c, err);
}

static int white_out(struct unpack *u, struct place *p, struct err *err)
{
	char full[PATH_BYTES];
	size_t up = (size_t)(p->name - p->path);

	if (strcmp(p->name, OPAQUE) == 0) {
		snprintf(full, sizeof(full), "%.*s", (int)(up ? up - 1 : 0), p->path);
		return clear_folder(u, full, p->dir, err);
	}
	if (strncmp(p->name, WHITEOUT_OLD, strlen(WHITEOUT_OLD)) == 0)
		return 0;
	if (!p->name[strlen(WHITEOUT)] || strcmp(p->name + strlen(WHITEOUT), ".") == 0 ||
	        strcmp(p->name + strlen(WHITEOUT), "..") == 0)
		return refuse(err, p->path, "a whiteout of nothing");
	snprintf(full, sizeof(full), "%.*s%s", (int)up, p->path, p->name + strlen(WHITEOUT));
	return was_made(u, full) ? 0 : folder_drop(p->dir, p->name + strlen(WHITEOUT), err);
}

/* ---- making one thing ---- */

static int take_bytes(struct unpack *u, uint64_t n, struct err *err)
{
	if (n > u->bytes_left)
		return err_set(err, ERR_USAGE, "the image has more than %lld bytes of files",
		        (long long)IMAGE_BYTES_MAX);
	if (u->bytes_left / LOOK_BYTES != (u->bytes_left - n) / LOOK_BYTES && disk_check(u->root_fd, 0, err) < 0)
		return -1;
	u->bytes_left -= n;
	return 0;
}

static int write_all(int fd, const uint8_t *p, size_t len, struct err *err)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0)
			return err_errno(err, "write");
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_file(struct unpack *u, struct archive *a, int fd, struct err *err)
{
	const void *block;
	la_int64_t at, end = 0;
	size_t len;
	int r;

	while ((r = archive_read_data_block(a, &block, &len, &at)) == ARCHIVE_OK) {
		if (at < end || (uint64_t)at > IMAGE_BYTES_MAX)
			return err_set(err, ERR_USAGE, "its pieces are out of order");
		if (at > end && lseek(fd, at, SEEK_SET) < 0)
			return err_errno(err, "seek");
		if (take_bytes(u, (uint64_t)len, err) < 0 || write_all(fd, block, len, err) < 0)
			return -1;
		end = at + (la_int64_t)len;
	}
	if (r != ARCHIVE_EOF)
		return err_set(
		        err, ERR_USAGE, "%s", archive_error_string(a) ? archive_error_string(a) : "cut short");
	/* A hole at the end. */
	return ftruncate(fd, MAX(at, end)) < 0 ? err_errno(err, "write") : 0;
}

/* Only those that have a meaning within a container; an overlay's own would let a layer hide or show at will. */
static bool xattr_wanted(const char *name)
{
	return strcmp(name, "security.capability") == 0 || strncmp(name, "user.", 5) == 0;
}

static void set_xattrs(int fd, struct archive_entry *e)
{
	const char *name;
	const void *value;
	size_t len;

	archive_entry_xattr_reset(e);
	while (archive_entry_xattr_next(e, &name, &value, &len) == ARCHIVE_OK)
		if (name && xattr_wanted(name) && len <= XATTR_BYTES_MAX)
			fsetxattr(fd, name, value, len, 0); /* one that this disk does not take is left out */
}

/* Owner first: changing it clears setuid bits. */
static int set_owner(const struct unpack *u, int fd, struct archive_entry *e, struct err *err)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};

	if (u->layer && geteuid() == 0 &&
	        fchown(fd, (uid_t)archive_entry_uid(e), (gid_t)archive_entry_gid(e)) < 0)
		return err_errno(err, "set the owner");
	if (fchmod(fd, u->layer ? archive_entry_perm(e) & 07777 : 0600 | (archive_entry_perm(e) & 0100)) < 0)
		return err_errno(err, "set the mode");
	set_xattrs(fd, e);
	if (archive_entry_mtime_is_set(e)) {
		times[0].tv_sec = times[1].tv_sec = archive_entry_mtime(e);
		times[0].tv_nsec = times[1].tv_nsec = archive_entry_mtime_nsec(e);
		futimens(fd, times); /* a time that the file system cannot hold is no reason to refuse */
	}
	return 0;
}

static int make_file(
        struct unpack *u, struct archive *a, struct archive_entry *e, struct place *p, struct err *err)
{
	int fd, rc;

	if (folder_drop(p->dir, p->name, err) < 0)
		return -1;
	fd = openat(p->dir, p->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, "make it");
	rc = write_file(u, a, fd, err);
	if (rc == 0)
		rc = set_owner(u, fd, e, err);
	close(fd);
	return rc;
}

/* One of an earlier layer stays with what is in it. */
static int make_folder(struct unpack *u, struct archive_entry *e, struct place *p, struct err *err)
{
	const char *name = *p->name ? p->name : ".";
	struct stat st;
	int fd, rc;

	if (*p->name && fstatat(p->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISDIR(st.st_mode) &&
	        folder_drop(p->dir, name, err) < 0)
		return -1;
	if (*p->name && mkdirat(p->dir, name, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "make it");
	fd = openat(p->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "open it");
	rc = set_owner(u, fd, e, err);
	/* What goes into it comes after it, from a process that may not be root. */
	if (rc == 0 && !u->layer)
		fchmod(fd, 0700);
	close(fd);
	return rc;
}

static int own_link(const struct unpack *u, struct archive_entry *e, struct place *p, struct err *err)
{
	if (u->layer && geteuid() == 0 &&
	        fchownat(p->dir, p->name, (uid_t)archive_entry_uid(e), (gid_t)archive_entry_gid(e),
	                AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(err, "set the owner");
	return 0;
}

static int make_symlink(struct unpack *u, struct archive_entry *e, struct place *p, struct err *err)
{
	const char *to = archive_entry_symlink(e);

	if (!to || !*to || strlen(to) >= PATH_BYTES)
		return err_set(err, ERR_USAGE, "a link to nothing, or to a name that is too long");
	if (folder_drop(p->dir, p->name, err) < 0)
		return -1;
	if (symlinkat(to, p->dir, p->name) < 0)
		return err_errno(err, "make the link");
	return own_link(u, e, p, err);
}

/* The other name must be a file of this image: the link is made by its descriptor, so nothing can come between. */
static int make_hardlink(struct unpack *u, const char *to, struct place *p, struct err *err)
{
	char path[PATH_BYTES], by_fd[64];
	struct place from;
	struct stat st;
	int fd, rc = 0;

	if (clean_path(path, to) < 0)
		return err_set(err, ERR_USAGE, "a link to \"%.200s\", which is outside of the image", to);
	if (find_place(u, path, &from, err) < 0)
		return -1;
	if (strcmp(from.path, p->path) == 0) {
		close(from.dir);
		return 0;
	}
	fd = openat(from.dir, from.name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	close(from.dir);
	if (fd < 0 || fstat(fd, &st) < 0 || S_ISDIR(st.st_mode))
		rc = err_set(err, ERR_USAGE, "a link to \"%.200s\", which is no file of the image", to);
	else if (folder_drop(p->dir, p->name, err) < 0)
		rc = -1;
	snprintf(by_fd, sizeof(by_fd), "/proc/self/fd/%d", fd);
	if (rc == 0 && linkat(AT_FDCWD, by_fd, p->dir, p->name, AT_SYMLINK_FOLLOW) < 0)
		rc = err_errno(err, "link to \"%.200s\"", to);
	if (fd >= 0)
		close(fd);
	return rc;
}

static int make_special(struct unpack *u, struct archive_entry *e, struct place *p, struct err *err)
{
	/* A container has a /dev of its own. */
	if (archive_entry_filetype(e) == AE_IFSOCK || strncmp(p->path, "dev/", 4) == 0)
		return 0;
	if (archive_entry_filetype(e) != AE_IFIFO)
		return err_set(err, ERR_USAGE, "a device outside of /dev; give the service `devices` instead");
	if (folder_drop(p->dir, p->name, err) < 0)
		return -1;
	if (mknodat(p->dir, p->name, S_IFIFO | (archive_entry_perm(e) & 0777), 0) < 0)
		return err_errno(err, "make the pipe");
	return own_link(u, e, p, err);
}

static int make(struct unpack *u, struct archive *a, struct archive_entry *e, struct place *p, struct err *err)
{
	const char *hard = archive_entry_hardlink(e);

	if (!*p->name && archive_entry_filetype(e) != AE_IFDIR)
		return err_set(err, ERR_USAGE, "the root can only be a folder");
	if (hard)
		return make_hardlink(u, hard, p, err);
	switch (archive_entry_filetype(e)) {
	case AE_IFREG:
		return make_file(u, a, e, p, err);
	case AE_IFDIR:
		return make_folder(u, e, p, err);
	case AE_IFLNK:
		return make_symlink(u, e, p, err);
	default:
		return u->layer ? make_special(u, e, p, err) : err_set(err, ERR_USAGE, "neither file nor folder");
	}
}

/* What lies below a folder that this layer names is not all this layer's; the folder itself is. */
static void mark_with_folders(struct unpack *u, char *path)
{
	char *end = path + strlen(path);

	for (char *c = end; c > path; c--) {
		char kept = *c;
		bool known;

		if (c != end && kept != '/')
			continue;
		*c = '\0';
		known = was_made(u, path);
		if (!known)
			mark_made(u, path);
		*c = kept;
		if (known)
			return;
	}
}

static int take_entry(struct unpack *u, struct archive *a, struct archive_entry *e, struct err *err)
{
	struct place p;
	int rc;

	if (!u->files_left--)
		return err_set(err, ERR_USAGE, "the image has more than %d files", IMAGE_FILES_MAX);
	if (find_place(u, archive_entry_pathname(e), &p, err) < 0)
		return -1;
	if (u->layer && strncmp(p.name, WHITEOUT, strlen(WHITEOUT)) == 0) {
		rc = white_out(u, &p, err);
	} else {
		rc = make(u, a, e, &p, err);
		if (u->layer)
			mark_with_folders(u, p.path);
	}
	if (rc < 0)
		err_wrap(err, "\"%.200s\"", p.path);
	close(p.dir);
	return rc;
}

int unpack_archive(struct unpack *u, int fd, const char *digest, const char *diff_id, struct err *err)
{
	struct tar_stream s;
	struct archive_entry *e;
	int rc = 0, r;

	map_free(&u->made);
	map_init(&u->made, sizeof(struct key32), NULL);
	if (disk_check(u->root_fd, 0, err) < 0 || tar_stream_open(&s, fd, err) < 0)
		return -1;
	while (rc == 0 && (r = archive_read_next_header(s.tar, &e)) != ARCHIVE_EOF) {
		if (r == ARCHIVE_FATAL || r == ARCHIVE_FAILED || r == ARCHIVE_RETRY)
			rc = err_set(err, ERR_USAGE, "the archive cannot be read: %s", tar_stream_error(&s));
		else if (u->cancelled && atomic_load(u->cancelled))
			rc = err_set(err, ERR_FAILED, "given up");
		else
			rc = take_entry(u, s.tar, e, err);
	}
	if (rc == 0)
		rc = tar_stream_end(&s, digest, diff_id, err);
	tar_stream_close(&s);
	return rc;
}
