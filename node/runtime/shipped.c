#include "node/runtime/shipped.h"

#include "node/runtime/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of a config, as Docker gives it. */
#define FILE_MODE_DEFAULT 0444

static const struct spec_files *find(const struct service *s, const char *hash)
{
	for (size_t i = 0; i < s->n_files; i++)
		if (!strcmp(s->files[i].hash, hash))
			return &s->files[i];
	return NULL;
}

/* Owner and permissions apart from the umask; a file is the mount's user's only where the agent is root. */
static int write_one(int dir_fd, const char *path, const struct spec_file *f, mode_t mode,
        const struct spec_mount *m, struct err *err)
{
	int fd = openat(dir_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc;

	if (fd < 0)
		return err_errno(err, "write %s", path);
	rc = file_write_all(fd, f->data, f->n_data);
	if (rc == 0 && geteuid() == 0)
		rc = fchown(fd, m->uid, m->gid);
	if (rc == 0)
		rc = fchmod(fd, mode);
	if (rc < 0)
		err_errno(err, "write %s", path);
	close(fd);
	return rc;
}

/* One more folder; one that is there is as good. */
static int make_folder(int dir_fd, const char *path, struct err *err)
{
	if (mkdirat(dir_fd, path, 0700) < 0)
		return errno == EEXIST ? 0 : err_errno(err, "make folder %s", path);
	return fchmodat(dir_fd, path, 0755, 0) < 0 ? err_errno(err, "make folder %s", path) : 0;
}

/* "a/b/c": folders a and a/b, then the file. spec_check() saw that it leads nowhere else. */
static int write_in_tree(
        int dir_fd, const char *top, const struct spec_file *f, const struct spec_mount *m, struct err *err)
{
	char path[SPEC_TEXT_MAX + 16];
	char *slash;

	snprintf(path, sizeof(path), "%s/%s", top, f->path);
	for (slash = strchr(path + strlen(top) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (make_folder(dir_fd, path, err) < 0)
			return -1;
		*slash = '/';
	}
	return write_one(dir_fd, path, f, f->executable ? 0555 : 0444, m, err);
}

static int make_one(
        int dir_fd, const char *name, const struct service *s, const struct spec_mount *m, struct err *err)
{
	const struct spec_files *t = find(s, m->source);
	int rc = 0;

	if (!t)
		return err_set(err, ERR_FAILED, "%s: its files are not in the service", m->target);
	if (t->n_files == 1 && !t->files[0].path)
		return write_one(dir_fd, name, &t->files[0], m->mode ? m->mode : FILE_MODE_DEFAULT, m, err);
	rc = make_folder(dir_fd, name, err);
	for (size_t i = 0; i < t->n_files && rc == 0; i++)
		rc = write_in_tree(dir_fd, name, &t->files[i], m, err);
	return rc;
}

int shipped_make(int dir_fd, const struct service *s, struct err *err)
{
	size_t n = 0;
	char name[16];
	int rc = 0;
	int fd;

	if (!s->n_files || faccessat(dir_fd, "files", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	/* Under another name until all is there: an agent that was killed here begins anew. */
	if (folder_remove(dir_fd, "files.new", err) < 0)
		return -1;
	if (mkdirat(dir_fd, "files.new", 0700) < 0)
		return err_errno(err, "make the folder of files that travel with the service");
	fd = openat(dir_fd, "files.new", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "open the folder of files that travel with the service");
	for (size_t i = 0; i < s->n_mounts && rc == 0; i++)
		if (s->mounts[i].kind == MOUNT_SHIPPED) {
			snprintf(name, sizeof(name), "%zu", n++);
			rc = make_one(fd, name, s, &s->mounts[i], err);
		}
	close(fd);
	if (rc == 0 && renameat(dir_fd, "files.new", dir_fd, "files") < 0)
		rc = err_errno(err, "name the folder of files that travel with the service");
	return rc;
}

const struct service *shipped_mounted(struct arena *arena, const char *dir, const struct service *s)
{
	struct service *out;
	size_t n = 0;

	if (!s->n_files)
		return s;
	out = arena_alloc(arena, sizeof(*out));
	*out = *s;
	out->mounts = arena_array(arena, s->n_mounts, sizeof(*out->mounts));
	memcpy(out->mounts, s->mounts, s->n_mounts * sizeof(*s->mounts));
	out->n_files = 0;
	out->files = NULL;
	for (size_t i = 0; i < out->n_mounts; i++) {
		struct spec_mount *m = &out->mounts[i];

		if (m->kind != MOUNT_SHIPPED)
			continue;
		*m = (struct spec_mount){.kind = MOUNT_BIND,
		        .source = arena_printf(arena, "%s/files/%zu", dir, n++),
		        .target = m->target,
		        .read_only = true,
		        .no_create = true};
	}
	return out;
}
