/*
 * Runs tasks: owns the shims, the lifecycle of each task (the pure table in supervise.c), health checks, ports,
 * logs. On the agent's loop; everything is asynchronous, on_change tells what happened.
 *
 * A task is one run of one slot at one revision on this peer; restarts by its restart policy stay the same task.
 * Its folder DATA/tasks/TASKID holds all that is needed to find it again: spec, shim socket, exit status, logs.
 */
#ifndef NODE_RUNTIME_RUNTIME_H
#define NODE_RUNTIME_RUNTIME_H

#include "base/addr.h"
#include "placement/claim.h"
#include "placement/spec/spec.h"

#include <uv.h>

struct runtime;
struct images;

struct runtime_config {
	const char *data_dir;
	const char
	        *self_exe; /* path of this binary, for `starling shim`; /proc/self/exe survives its replacement */
	struct addr address; /* STARLING_ADDRESS, and the address that host ports are bound on */
	struct addr dns;     /* STARLING_DNS; family 0: none */
	char peer_id[17];
	char peer_name[NAME_MAX_BYTES];
	uint16_t port_first, port_last; /* dynamic host ports: 20000-32000 */
	struct images *images;          /* for containers; the caller's. NULL: none run here */
	const char *engine_socket; /* of Docker or Podman; NULL: the usual ones; "none": no container engine */
	struct engines *engines;   /* the runtime's own: set by it */
};

/* What the agent, `ps`, claims and DNS read of a task. */
struct runtime_task {
	id64 task;
	id64 slot;
	id64 revision;
	id64 content;
	const char *stack;
	const char *service;
	uint32_t index;
	const struct service *spec;
	enum spec_driver driver;
	enum task_state state;
	enum task_health health;
	wall_ms healthy_since;
	mono_ms healthy_at;
	wall_ms started_at; /* of the present process; 0 none */
	wall_ms retry_at;   /* in TASK_BACKOFF: when it is started again; else 0 */
	int64_t pid;        /* 0 none */
	uint32_t restarts;
	uint8_t failures;
	bool exited; /* exit_code, exit_signal, oom, and what the run cost, hold */
	int exit_code;
	int exit_signal;
	bool oom;
	uint64_t user_ms, system_ms, max_rss; /* of the run that ended last; bytes */
	bool stopping;
	bool alone;       /* no agent was there when it ended, and it has a watchdog: others may have its slot */
	bool refused;     /* this host cannot start it, and it never ran: another peer may; reason says why */
	char reason[256]; /* why it is in its state: last exit, failed check, stop's why */
	size_t n_ports;
	struct {
		uint8_t index;
		uint16_t port;
	} ports[SERVICE_PORTS_MAX];
};

/* What the runtime was made with. */
const struct runtime_config *runtime_host(const struct runtime *rt);
/* The drivers that this host can run now, as bits (1 << enum spec_driver). */
uint32_t runtime_drivers(const struct runtime_config *host);

/* Called after any change of a task, from the loop; task may be gone (forgotten) afterwards. */
typedef void runtime_changed(void *ctx, id64 task);

struct runtime *runtime_new(
        uv_loop_t *loop, const struct runtime_config *cfg, runtime_changed *changed, void *ctx, struct err *err);
/* The host's address is another one: for tasks and processes that start from now on, and for checks. */
void runtime_set_address(struct runtime *rt, const struct addr *address);
/* Finds the tasks of an earlier agent again: reconnects to live shims, reads the exit status of gone ones. After a
 * host's reboot (another kernel boot id) all are gone and their slots are started afresh. */
int runtime_adopt(struct runtime *rt, struct err *err);

struct runtime_start {
	id64 slot;
	id64 revision;
	const char *stack;
	const struct service *service; /* copied */
	uint32_t index;
	uint8_t task_random[8]; /* the task's id */
};
/* Returns the task's id, or 0 with err when it cannot even be tried (limits). Everything later is a state. */
id64 runtime_start(struct runtime *rt, const struct runtime_start *s, struct err *err);
/* Graceful: stop signal, grace period, SIGKILL to the whole group. */
void runtime_stop(struct runtime *rt, id64 task, const char *why);
void runtime_confirm(struct runtime *rt, id64 task, id64 revision);
/* Deletes a finished task's folder (logs with it). The caller knows: changed() is not called for it. */
void runtime_forget(struct runtime *rt, id64 task);
const struct runtime_task *runtime_get(const struct runtime *rt, id64 task);
/* All tasks, by task id. Returns how many there are. */
size_t runtime_tasks(const struct runtime *rt, const struct runtime_task **out, size_t max);
/* Agent goes down, tasks stay: close sockets, leave shims alone. */
void runtime_detach(struct runtime *rt);
/* All closed; frees rt when the loop has run its close callbacks. */
void runtime_close(struct runtime *rt);
bool runtime_may_exec_as_root(void);

struct runtime_log_line {
	wall_ms at;
	bool is_stderr;
	bool partial; /* line was cut at LOG_LINE_MAX or has no newline yet */
	const char *text;
	size_t len;
};
#define LOG_LINE_MAX 16384 /* bytes; longer lines are split, as Docker does */
/* Reads a task's log, oldest line first, at the pace of who asks for the next one: nothing is read ahead but one piece of a
 * file. Files that rotation takes away before they were read are said to be missing in a line of their own. */
struct runtime_log;
/* The last `tail` lines (UINT64_MAX: all that are kept), of them those at or after `since` (0: all). follow: and what is
 * written from now on, until the task is finished; more() says that runtime_log_next() may have a line again, or the
 * end. NULL with err: no such task, or its log cannot be opened. */
struct runtime_log *runtime_log_open(struct runtime *rt, id64 task, wall_ms since, uint64_t tail, bool follow,
        void (*more)(void *ctx), void *ctx, struct err *err);
/* 1: a line, whose text is valid until the next call. 0: none now. -1: the end. */
int runtime_log_next(struct runtime_log *l, struct runtime_log_line *line);
void runtime_log_close(struct runtime_log *l);

/* The shim itself: `starling shim TASKDIR`, never returns to the CLI. Lives in node/runtime/shim.c. */
int shim_main(int argc, char **argv);

#endif
