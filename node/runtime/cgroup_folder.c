#include "node/runtime/cgroup_folder.h"

#include "node/runtime/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Groups within groups: as deep as a container in a container in a container would make them. */
#define DEPTH_MAX  12
#define PATH_BYTES 1024

typedef int folder_fn(const char *dir);

/* Calls fn for dir and all below it, the deepest first. Returns the sum. */
static int each(const char *dir, folder_fn *fn, int depth)
{
	DIR *d = depth < DEPTH_MAX ? opendir(dir) : NULL;
	struct dirent *e;
	int sum = 0;

	while (d && (e = readdir(d))) {
		char path[PATH_BYTES];

		if (e->d_type == DT_DIR && e->d_name[0] != '.' &&
		        (size_t)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) < sizeof(path))
			sum += each(path, fn, depth + 1);
	}
	if (d)
		closedir(d);
	return sum + fn(dir);
}

/* Bytes of cgroup.procs that are read at a time; of more processes the rest is left to the next call, since the dead
 * leave the list. */
#define PROCS_BYTES 4096

static int read_procs(const char *dir, char *text)
{
	char path[PATH_BYTES];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, PROCS_BYTES - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	/* A number that was cut off is another's. */
	if (n == PROCS_BYTES - 1)
		*(strrchr(text, '\n') ? strrchr(text, '\n') : text) = '\0';
	return n > 0;
}

static int kill_one(const char *dir)
{
	char text[PROCS_BYTES];
	int found = 0;

	if (!read_procs(dir, text))
		return 0;
	for (char *p = text, *next;; p = next) {
		long pid = strtol(p, &next, 10);

		if (next == p || pid < 2)
			break;
		found += kill((pid_t)pid, SIGKILL) == 0;
	}
	return found;
}

int cgroup_folder_kill(const char *dir)
{
	char path[PATH_BYTES];
	int found = each(dir, kill_one, 0);

	/* What is forked between a look and a kill is caught by this alone, in one go. */
	snprintf(path, sizeof(path), "%s/cgroup.kill", dir);
	kernel_file_write(path, "1");
	return found;
}

static int remove_one(const char *dir)
{
	rmdir(dir);
	return 0;
}

void cgroup_folder_remove(const char *dir)
{
	each(dir, remove_one, 0);
}
