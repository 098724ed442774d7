/*
 * A full disk. A peer whose data folder has no room left takes no new work: it could write neither a task's record
 * nor an accepted revision. What runs goes on. Whoever fails to write asks here; while the disk is full this looks
 * again from time to time.
 */
#include "base/log.h"
#include "node/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define LOOK_AGAIN SECONDS(30)
/* Bytes: a task's files and a few revisions. Less left than this is full. */
#define ROOM_BYTES 65536

static bool is_full(const char *data_dir)
{
	static const uint8_t zeros[ROOM_BYTES];
	char path[DATA_PATH_MAX];
	bool full = false;
	int fd;

	snprintf(path, sizeof(path), "%s/room", data_dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errno == ENOSPC || errno == EDQUOT;
	for (size_t done = 0; done < sizeof(zeros) && !full;) {
		ssize_t n = write(fd, zeros + done, sizeof(zeros) - done);

		if (n < 0 && errno != ENOSPC && errno != EDQUOT)
			break; /* another trouble, which the store and the tasks tell themselves */
		if (n > 0)
			done += (size_t)n;
		else
			full = true;
	}
	close(fd);
	unlink(path);
	return full;
}

void agent_look_at_disk(struct agent *a)
{
	bool full = is_full(a->cfg.data_dir);

	a->disk_due = full ? agent_now(a).mono + LOOK_AGAIN : MONO_NEVER;
	if (full == a->disk_full)
		return;
	a->disk_full = full;
	if (full)
		log_error("agent",
		        "disk full: less than %d KiB left for %s; this peer takes no new work until there is "
		        "room, running tasks go on",
		        ROOM_BYTES / 1024, a->cfg.data_dir);
	else
		log_info("agent", "there is room for %s again: this peer takes new work", a->cfg.data_dir);
	agent_kick(a);
}

mono_ms agent_watch_disk(struct agent *a)
{
	if (!a->disk_full)
		return MONO_NEVER;
	if (agent_now(a).mono >= a->disk_due)
		agent_look_at_disk(a);
	return a->disk_due;
}
