/* Inside the runtime: a task and the runtime that owns it. Only files of this folder include it. */
#ifndef NODE_RUNTIME_TASK_H
#define NODE_RUNTIME_TASK_H

#include "base/drbg.h"
#include "base/list.h"
#include "node/health/health.h"
#include "node/runtime/driver.h"
#include "node/runtime/files.h"
#include "node/runtime/ports.h"
#include "node/runtime/supervise.h"

/* Tasks of one peer, finished ones that were not forgotten included: above what its status pages can hold. */
#define TASKS_MAX 1024

struct task {
	struct runtime_task pub; /* what the agent sees; kept in step by task.c */
	/* Of a service that files travel with: pub as its driver sees it, with binds of them. Else NULL, and unused. */
	const struct service *mounted;
	struct runtime_task seen;
	struct runtime *rt;
	struct arena arena; /* stack, spec */
	struct supervise life;
	const struct driver *driver;
	struct driver_run *run;   /* NULL: no process that we know of */
	struct driver_work *work; /* NULL: no preparation goes on */
	uint32_t run_number;
	char *dir;
	int dir_fd;
	uv_timer_t timer; /* the back-off */
	bool barked;      /* its watchdog fired */
	struct health *health;
	bool changed;          /* to be told to the agent on the next turn of the loop */
	struct list followers; /* struct runtime_log */
};

struct runtime {
	uv_loop_t *loop;
	struct runtime_config cfg; /* texts are own copies */
	runtime_changed *changed;
	void *ctx;
	struct cgroups cgroups;
	struct ports ports;
	struct drbg rng;
	char boot_id[BOOT_ID_BYTES];
	int tasks_fd; /* DATA/tasks */
	uv_timer_t notify;
	bool detached;
	bool closing;
	int handles;    /* open ones; the last close callback frees the runtime */
	size_t n_tasks; /* sorted by id */
	struct task *tasks[TASKS_MAX];
};

/* A task with its folder open; the caller fills pub and life and adds it. NULL with err. */
struct task *task_open(struct runtime *rt, id64 id, struct err *err);
/* Sets the spec of pub to a copy of s, in the task's arena. */
int task_set_spec(struct task *t, const char *stack, const struct service *s, struct err *err);
/* Frees it once its timer is closed. It must be in no list any more. */
void task_free(struct task *t);
/* Sets pub.refused by how the task stands. */
void task_note_refusal(struct task *t);
/* Tells the table what happened and does what it says. */
void task_event(struct task *t, enum supervise_event ev);
/* What the driver tells; also called with how a run ended that an adopted task had. */
void task_driver_event(void *ctx, const struct driver_event *ev);
/* task_health.c: begins health checks, going on from pub.health; ends them; notes health and since when it serves. */
void task_watch(struct task *t);
void task_unwatch(struct task *t);
void task_set_health(struct task *t, enum task_health health);
/* Another failure in a row; one that served for a minute before begins anew. Before the health of t is changed. */
void task_count_failure(struct task *t);
/* task_ports.c: chooses the ports of the next start into pub.ports; -1 when one is not to be had now. */
int task_choose_ports(struct task *t, struct err *err);
void task_release_ports(struct task *t);
/* Tells the driver to stop the process, with the service's signal and grace. */
void task_stop_process(struct task *t);
struct driver_task task_for_driver(struct task *t);
const struct spec_restart_policy *task_policy(const struct task *t);
/* The loop's clock, and the host's. */
mono_ms task_mono(const struct task *t);
wall_ms task_wall(void);
void task_reason(struct task *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The agent hears of t on the next turn of the loop. */
void runtime_note(struct task *t);
struct task *runtime_find(const struct runtime *rt, id64 id);
int runtime_add(struct runtime *rt, struct task *t, struct err *err);

/* record.c: the file `task`, all that another agent needs to go on. -1: it could not be written, which was logged; a
 * task that runs goes on, but nothing is started without a record. */
int record_save(struct task *t);
/* Into a task that is just opened. *same_boot: written since the host started. */
int record_load(struct task *t, bool *same_boot, struct err *err);

/* logs.c: the task has ended for good, or is forgotten. */
void followers_end(struct task *t);

#endif
