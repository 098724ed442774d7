/* The files and the environment of this process. */
#include "cli/compose/tree_read.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static int read_all(int fd, const char *path, size_t max, struct arena *arena, const char **text, size_t *len,
        struct err *err)
{
	size_t cap = 4096;
	char *buf = xmalloc(cap + 1);
	size_t n = 0;

	for (;;) {
		ssize_t got = read(fd, buf + n, cap - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			free(buf);
			return err_errno(err, "read %s", path);
		}
		if (got == 0)
			break;
		n += (size_t)got;
		if (n > max) {
			free(buf);
			return err_set(err, ERR_USAGE, "read %s: larger than %zu bytes", path, max);
		}
		if (n == cap) {
			cap *= 2;
			buf = xrealloc(buf, cap + 1);
		}
	}
	*text = arena_strndup(arena, buf, n);
	*len = n;
	free(buf);
	return 0;
}

static int sys_read(void *ctx, const char *path, size_t max, struct arena *arena, const char **text, size_t *len,
        struct err *err)
{
	struct stat st;
	int fd;
	int ret;

	(void)ctx;
	if (strcmp(path, "-") == 0)
		return read_all(STDIN_FILENO, "standard input", max, arena, text, len, err);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 1 : err_errno(err, "open %s", path);
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		ret = err_set(err, ERR_USAGE, "read %s: it is a folder; name the Compose file in it", path);
	else
		ret = read_all(fd, path, max, arena, text, len, err);
	close(fd);
	return ret;
}

static const char *sys_getenv(void *ctx, const char *name)
{
	(void)ctx;
	return getenv(name);
}

static const char *sys_realpath(void *ctx, const char *path, struct arena *arena)
{
	char full[PATH_MAX];

	(void)ctx;
	return realpath(path, full) ? arena_strdup(arena, full) : NULL;
}

const struct compose_io compose_io_system = {sys_read, compose_tree_read, sys_getenv, sys_realpath, NULL};
