#include "cli/compose/tree_read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct reading {
	struct arena *arena;
	struct spec_files *out;
	const char *top; /* as the user named it, for messages */
	size_t max;
	size_t used;
};

static int read_bytes(
        struct reading *r, int fd, const char *name, size_t size, struct spec_file *f, struct err *err)
{
	uint8_t *data = arena_alloc(r->arena, size + 1);
	size_t len = 0;

	/* One more than it had: a file that grows meanwhile is no surprise later. */
	while (len < size + 1) {
		ssize_t n = read(fd, data + len, size + 1 - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, "read %s", name);
		if (n == 0)
			break;
		len += (size_t)n;
	}
	if (len > size)
		return err_set(err, ERR_FAILED, "read %s: it grew meanwhile; try again", name);
	f->data = data;
	f->n_data = len;
	return 0;
}

/* path: within the tree; NULL: the file is all there is. */
static int take_file(
        struct reading *r, int fd, const struct stat *st, const char *name, const char *path, struct err *err)
{
	struct spec_file *f;

	if (r->out->n_files == SPEC_TREE_MAX)
		return err_set(err, ERR_USAGE, "%s: more than %d files; put them into an image or a volume",
		        r->top, SPEC_TREE_MAX);
	if ((uint64_t)st->st_size > r->max - r->used)
		return err_set(err, ERR_USAGE,
		        "%s: more than the %zu bytes that travel with a stack; put it into an image or a volume",
		        r->top, r->max);
	f = &r->out->files[r->out->n_files++];
	f->path = path;
	f->executable = (st->st_mode & S_IXUSR) != 0;
	r->used += (size_t)st->st_size;
	return read_bytes(r, fd, name, (size_t)st->st_size, f, err);
}

static int take_folder(
        struct reading *r, int fd, const char *name, const char *path, unsigned depth, struct err *err);

static int take_entry(struct reading *r, int dir_fd, const char *name, const char *path, const char *entry,
        unsigned depth, struct err *err)
{
	struct stat st;
	int rc;
	int fd;

	name = arena_printf(r->arena, "%s/%s", name, entry);
	path = path ? arena_printf(r->arena, "%s/%s", path, entry) : arena_strdup(r->arena, entry);
	if (fstatat(dir_fd, entry, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(err, "read %s", name);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return err_set(err, ERR_USAGE,
		        "%s is neither a file nor a folder (a link?): only those travel with a stack", name);
	fd = openat(dir_fd, entry, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "open %s", name);
	if (S_ISDIR(st.st_mode))
		return take_folder(r, fd, name, path, depth + 1, err);
	rc = fstat(fd, &st) < 0 ? err_errno(err, "read %s", name) : take_file(r, fd, &st, name, path, err);
	close(fd);
	return rc;
}

/* Closes fd. */
static int take_folder(
        struct reading *r, int fd, const char *name, const char *path, unsigned depth, struct err *err)
{
	struct dirent *e;
	DIR *dir;
	int rc = 0;

	if (depth > SPEC_TREE_DEPTH) {
		close(fd);
		return err_set(err, ERR_USAGE, "%s: more than %d folders deep", r->top, SPEC_TREE_DEPTH);
	}
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return err_errno(err, "read folder %s", name);
	}
	while (rc == 0 && (e = readdir(dir)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = take_entry(r, dirfd(dir), name, path, e->d_name, depth, err);
	closedir(dir);
	return rc;
}

int compose_tree_read(
        void *ctx, const char *path, size_t max, struct arena *arena, struct spec_files *out, struct err *err)
{
	struct reading r = {.arena = arena, .out = out, .top = path, .max = max};
	struct stat st;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int rc;

	(void)ctx;
	if (fd < 0)
		return errno == ENOENT ? 1 : err_errno(err, "open %s", path);
	memset(out, 0, sizeof(*out));
	out->files = arena_array(arena, SPEC_TREE_MAX, sizeof(*out->files));
	if (fstat(fd, &st) < 0) {
		rc = err_errno(err, "read %s", path);
	} else if (S_ISDIR(st.st_mode)) {
		rc = take_folder(&r, fd, path, NULL, 1, err);
		if (rc == 0 && !out->n_files)
			rc = err_set(err, ERR_USAGE, "%s: the folder holds no file", path);
		return rc;
	} else if (!S_ISREG(st.st_mode)) {
		rc = err_set(err, ERR_USAGE, "%s is neither a file nor a folder: only those travel with a stack",
		        path);
	} else {
		rc = take_file(&r, fd, &st, path, NULL, err);
	}
	close(fd);
	return rc;
}
