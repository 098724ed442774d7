#include "node/runtime/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of a task: files/N, and what travels with its service below (SPEC_TREE_DEPTH). */
#define FOLDER_DEPTH_MAX 128

static ssize_t read_all(int fd, uint8_t *out, size_t cap)
{
	size_t len = 0;

	while (len < cap) {
		ssize_t n = read(fd, out + len, cap - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

/* Files under /proc say size 0 and small ones grow while they are read: start small, double up to the bound. */
static uint8_t *read_bounded(int fd, size_t max, struct arena *arena, size_t *len)
{
	struct stat st;
	size_t cap = 4096;

	if (fstat(fd, &st) == 0 && st.st_size > 0 && (uint64_t)st.st_size < max)
		cap = (size_t)st.st_size + 1;
	/* One byte more than allowed tells a file that is too long. */
	for (cap = MIN(cap, max + 1);; cap = MIN(cap * 2, max + 1)) {
		uint8_t *buf = arena_alloc(arena, cap + 1);
		ssize_t n = lseek(fd, 0, SEEK_SET) < 0 ? -1 : read_all(fd, buf, cap);

		if (n < 0)
			return NULL;
		if ((size_t)n < cap) {
			*len = (size_t)n;
			return buf;
		}
		if (cap > max) {
			errno = EFBIG;
			return NULL;
		}
	}
}

uint8_t *file_read(int dir_fd, const char *path, size_t max, struct arena *arena, size_t *len, struct err *err)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	uint8_t *bytes;
	int saved;

	if (fd < 0) {
		saved = errno;
		err_errno(err, "open %s", path);
		errno = saved;
		return NULL;
	}
	bytes = read_bounded(fd, max, arena, len);
	saved = errno;
	close(fd);
	if (!bytes) {
		errno = saved;
		err_errno(err, "read %s", path);
		errno = saved;
	}
	return bytes;
}

int file_write_all(int fd, const uint8_t *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int file_replace(int dir_fd, const char *path, const void *bytes, size_t len, struct err *err)
{
	char fresh[256];
	int fd;

	if ((size_t)snprintf(fresh, sizeof(fresh), "%s.new", path) >= sizeof(fresh))
		return err_set(err, ERR_FAILED, "write %s: the name is too long", path);
	fd = openat(dir_fd, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(err, "write %s", path);
	if (file_write_all(fd, bytes, len) < 0) {
		err_errno(err, "write %s", path);
		close(fd);
		unlinkat(dir_fd, fresh, 0);
		return -1;
	}
	close(fd);
	if (renameat(dir_fd, fresh, dir_fd, path) < 0) {
		err_errno(err, "write %s", path);
		unlinkat(dir_fd, fresh, 0);
		return -1;
	}
	return 0;
}

static int remove_at(int dir_fd, const char *path, int depth)
{
	struct dirent *e;
	DIR *dir;
	int fd;
	int rc = 0;

	if (unlinkat(dir_fd, path, 0) == 0 || errno == ENOENT)
		return 0;
	if ((errno != EISDIR && errno != EPERM) || depth >= FOLDER_DEPTH_MAX)
		return -1;
	fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -1;
	}
	while ((e = readdir(dir)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc |= remove_at(fd, e->d_name, depth + 1);
	closedir(dir);
	return unlinkat(dir_fd, path, AT_REMOVEDIR) < 0 || rc ? -1 : 0;
}

int folder_remove(int dir_fd, const char *path, struct err *err)
{
	if (remove_at(dir_fd, path, 0) < 0)
		return err_errno(err, "remove folder %s", path);
	return 0;
}

void boot_id_read(char out[BOOT_ID_BYTES])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	uint8_t text[BOOT_ID_BYTES];
	ssize_t n = fd < 0 ? -1 : read_all(fd, text, BOOT_ID_BYTES - 1);

	if (fd >= 0)
		close(fd);
	memset(out, '0', BOOT_ID_BYTES - 1);
	out[BOOT_ID_BYTES - 1] = '\0';
	if (n == BOOT_ID_BYTES - 1)
		memcpy(out, text, BOOT_ID_BYTES - 1);
}

int kernel_file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	ssize_t n;
	int saved;

	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	saved = errno;
	close(fd);
	errno = saved;
	return n < 0 ? -1 : 0;
}
