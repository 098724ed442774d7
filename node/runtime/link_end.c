#include "node/runtime/link_end.h"

#include "base/text.h"
#include "node/runtime/files.h"
#include "node/runtime/procs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

/* A record file of the folder that belongs to this run. */
static bool read_run(int dir_fd, uint32_t run, struct run_record *out)
{
	struct arena arena;
	uint8_t *bytes;
	size_t len;
	bool found;

	arena_init(&arena);
	bytes = file_read(dir_fd, "run", RECORD_FILE_MAX, &arena, &len, NULL);
	found = bytes && run_get(out, bytes, len, NULL) == 0 && out->run == run;
	arena_free(&arena);
	return found;
}

static bool read_exit(int dir_fd, uint32_t run, struct exit_record *out)
{
	struct arena arena;
	uint8_t *bytes;
	size_t len;
	bool found;

	arena_init(&arena);
	bytes = file_read(dir_fd, "exit", RECORD_FILE_MAX, &arena, &len, NULL);
	found = bytes && exit_get(out, bytes, len, NULL) == 0 && out->run == run;
	arena_free(&arena);
	return found;
}

static bool read_watchdog(int dir_fd, uint32_t run)
{
	struct watchdog_record d;
	struct arena arena;
	uint8_t *bytes;
	size_t len;
	bool found;

	arena_init(&arena);
	bytes = file_read(dir_fd, "watchdog", RECORD_FILE_MAX, &arena, &len, NULL);
	found = bytes && watchdog_get(&d, bytes, len, NULL) == 0 && d.run == run;
	arena_free(&arena);
	return found;
}

int link_lock(int dir_fd, int wait_ms)
{
	struct timespec pause = {.tv_nsec = 1000000};
	int fd = openat(dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc, saved;

	if (fd < 0)
		return -1;
	for (int waited = 0; (rc = flock(fd, LOCK_EX | LOCK_NB)) < 0 && waited < wait_ms; waited++)
		nanosleep(&pause, NULL);
	if (rc == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* Kills what a killed shim left. */
static void find_end(int dir_fd, uint32_t run, id64 task, const struct cgroups *cgroups, struct driver_event *ev)
{
	struct run_record record = {0};
	char id[17];
	int found;

	*ev = (struct driver_event){.kind = DRIVER_EXITED, .watchdog = read_watchdog(dir_fd, run)};
	if (read_exit(dir_fd, run, &ev->exit))
		return;
	id64_text(id, task);
	found = cgroup_kill(cgroups, id);
	/* A shim killed before it could write the record: the task's mark still tells. */
	if (!read_run(dir_fd, run, &record))
		record = (struct run_record){0};
	found += procs_kill_leftovers(&record, id);
	cgroup_remove(cgroups, id);
	ev->kind = DRIVER_LOST;
	snprintf(ev->text, sizeof(ev->text), "its shim was killed%s",
	        found ? "; what it left running was killed" : "");
}

bool link_end(
        int dir_fd, uint32_t run, id64 task, const struct cgroups *cgroups, int wait_ms, struct driver_event *ev)
{
	int lock_fd = link_lock(dir_fd, wait_ms);

	/* ENOENT: the folder itself was deleted. Any other error, as no descriptor left, says nothing of the shim. */
	if (lock_fd < 0 && errno != ENOENT)
		return false;
	find_end(dir_fd, run, task, cgroups, ev);
	if (lock_fd >= 0)
		close(lock_fd);
	return true;
}
