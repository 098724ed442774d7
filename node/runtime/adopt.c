/*
 * Finding the tasks of an earlier agent again. What the record says, and what is true now:
 *
 *	host restarted since            not ended: lost; its slot is started afresh
 *	ended                           stays in the list until it is forgotten
 *	pending, preparing, backoff     nothing ran: started when its back-off is over
 *	starting, running, unhealthy,   shim there: goes on as if nothing had been
 *	stopping                        exit record: as if the exit had come just now
 *	                                neither: its shim was killed; leftovers are killed, restarted by its policy
 *
 * Of a service with a watchdog nothing is started from here: while no agent was there its slot may have gone to another
 * peer, which this one does not know yet. What would be restarted is lost instead, and reconcile decides.
 */
#include "base/log.h"
#include "base/text.h"
#include "node/runtime/task.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Shims that begin or end right now are waited for this long, all together. */
#define ADOPT_WAIT_MS SECONDS(2)

static void take_ports(struct task *t)
{
	for (size_t i = 0; i < t->pub.n_ports; i++)
		ports_take(&t->rt->ports, t->pub.ports[i].port);
}

static void adopt_live(struct task *t, mono_ms deadline)
{
	struct driver_task d = task_for_driver(t);
	struct driver_event ended;

	t->run = t->driver->adopt(t->rt->loop, &d, deadline, task_driver_event, t, &ended);
	if (!t->run) {
		task_driver_event(t, &ended);
		return;
	}
	/* The table's own arrows are not taken again, only what they had set going. */
	if (t->life.state == TASK_STOPPING ||
	        (t->life.state == TASK_UNHEALTHY && supervise_sick(&t->pub.spec->restart) == EV_UNHEALTHY))
		task_stop_process(t);
	else if (t->life.state != TASK_STARTING)
		task_watch(t);
}

static void adopt_task(struct task *t, bool same_boot, mono_ms deadline)
{
	t->pub.alone = t->pub.spec->watchdog_ms > 0;
	task_note_refusal(t);
	if (supervise_ended(t->life.state))
		return;
	take_ports(t);
	if (!same_boot) {
		t->pub.pid = 0;
		task_reason(t, "the host was restarted");
		task_event(t, EV_GONE);
	} else if (supervise_live(t->life.state)) {
		adopt_live(t, deadline);
	} else {
		/* An agent that died while it prepared a start: begin that again. */
		t->life.state = TASK_BACKOFF;
		if (t->pub.stopping)
			task_event(t, EV_STOP);
		else if (t->pub.alone)
			task_event(t, EV_GONE);
		else
			task_event(t, EV_TIMER);
	}
}

static void adopt_folder(struct runtime *rt, id64 id, mono_ms deadline)
{
	struct err err = {0};
	struct task *t = task_open(rt, id, &err);
	char name[17];
	bool same_boot;

	if (!t) {
		log_warn("task", "%s; the task in it is left alone", err.text);
		return;
	}
	/* The record is written before anything is started: without one nothing ever ran here. */
	if (faccessat(t->dir_fd, "task", F_OK, 0) < 0 && errno == ENOENT) {
		id64_text(name, id);
		folder_remove(rt->tasks_fd, name, NULL);
		task_free(t);
		return;
	}
	if (record_load(t, &same_boot, &err) < 0) {
		log_warn("task", "%s; the task in %s is left alone: remove the folder once nothing of it runs",
		        err.text, t->dir);
		task_free(t);
		return;
	}
	t->driver = driver_of(t->pub.driver);
	if (runtime_add(rt, t, &err) < 0) {
		log_warn("task", "%s; the task in %s is left alone", err.text, t->dir);
		task_free(t);
		return;
	}
	adopt_task(t, same_boot, deadline);
	runtime_note(t);
}

int runtime_adopt(struct runtime *rt, struct err *err)
{
	int fd = openat(rt->tasks_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	mono_ms deadline = (mono_ms)(uv_hrtime() / 1000000) + ADOPT_WAIT_MS;
	id64 ids[TASKS_MAX];
	struct dirent *e;
	size_t n = 0;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return err_errno(err, "look for tasks in %s/tasks", rt->cfg.data_dir);
	}
	while (n < TASKS_MAX && (e = readdir(dir)))
		if (id64_parse(&ids[n], e->d_name))
			n++;
	closedir(dir);
	uv_update_time(rt->loop);
	for (size_t i = 0; i < n; i++)
		if (!runtime_find(rt, ids[i]))
			adopt_folder(rt, ids[i], deadline);
	return 0;
}
