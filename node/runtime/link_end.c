#include "node/runtime/link_end.h"

#include "base/text.h"
#include "node/runtime/cgroup_folder.h"
#include "node/runtime/files.h"
#include "node/runtime/procs.h"
#include "node/runtime/shim_child.h"

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

/* "time=... level=error msg=\"what happened\"", as runc and others write it: what happened. */
static void take_message(char *text)
{
	char *p = strstr(text, " msg=\"");
	char *out = text;

	if (!p)
		return;
	for (p += 6; *p && *p != '"'; p++) {
		if (*p == '\\' && p[1])
			p++;
		*out++ = *p;
	}
	*out = '\0';
}

void link_fault(int dir_fd, uint32_t run, char *out, size_t cap)
{
	struct fault_record f;
	struct arena arena;
	uint8_t *bytes;
	size_t len;

	arena_init(&arena);
	bytes = file_read(dir_fd, "fault", FAULT_FILE_MAX, &arena, &len, NULL);
	if (bytes && fault_get(&f, bytes, len, NULL) == 0 && f.run == run) {
		take_message(f.text);
		snprintf(out, cap, "%s", f.text);
	}
	arena_free(&arena);
}

void link_usage(int dir_fd, uint32_t run, struct usage_record *out)
{
	struct arena arena;
	uint8_t *bytes;
	size_t len;

	arena_init(&arena);
	bytes = file_read(dir_fd, "usage", RECORD_FILE_MAX, &arena, &len, NULL);
	if (!bytes || usage_get(out, bytes, len, NULL) < 0 || out->run != run)
		*out = (struct usage_record){0};
	arena_free(&arena);
}

static bool read_launch(int dir_fd, uint32_t run, struct arena *arena, struct launch *out)
{
	size_t len;
	uint8_t *bytes = file_read(dir_fd, "launch", LAUNCH_BYTES_MAX, arena, &len, NULL);

	return bytes && launch_get(out, arena, bytes, len, NULL) == 0 && out->run == run;
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
	struct launch launch;
	struct arena arena;
	char id[17];
	bool described;
	int found;

	*ev = (struct driver_event){.kind = DRIVER_EXITED, .watchdog = read_watchdog(dir_fd, run)};
	if (read_exit(dir_fd, run, &ev->exit)) {
		link_usage(dir_fd, run, &ev->usage);
		if (ev->exit.step != STEP_NONE)
			link_fault(dir_fd, run, ev->text, sizeof(ev->text));
		return;
	}
	id64_text(id, task);
	found = cgroup_kill(cgroups, id);
	arena_init(&arena);
	described = read_launch(dir_fd, run, &arena, &launch);
	for (size_t i = 0; described && i < launch.n_cgroups; i++)
		found += cgroup_folder_kill(launch.cgroups[i]);
	/* A shim killed before it could write the record: the task's mark still tells. */
	if (!read_run(dir_fd, run, &record))
		record = (struct run_record){0};
	found += procs_kill_leftovers(&record, id);
	cgroup_remove(cgroups, id);
	/* All that runs is dead: what the runtime noted of the container can go while the agent does other things. */
	if (described && launch.cleanup[0])
		child_detached(&launch, launch.cleanup);
	for (size_t i = 0; described && i < launch.n_cgroups && !launch.cleanup[0]; i++)
		cgroup_folder_remove(launch.cgroups[i]);
	arena_free(&arena);
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
