/*
 * What runs a task. A driver is a small table of functions; the lifecycle, restarts, health and logs above it are the
 * same for all. Calls are requests and never block for long; what comes of them arrives as events, on the loop.
 *
 *	accept                       before the task is made: can this host keep its limits?
 *	prepare [-> PROGRESS* -> PREPARED]
 *	        -> launch -> STARTED -> (stop, check)* -> EXITED
 *	              |                                '-> LOST      the shim was killed; leftovers were killed too
 *	              '-> EXITED with a step: it never ran
 *	adopt -> STARTED and so on, for a task that an earlier agent launched
 *	         WATCHDOG: no agent was there for so long that it is being stopped; EXITED follows
 *
 * After EXITED or LOST the run is over; the owner releases it. docs/adding-a-driver.md walks through a new one.
 */
#ifndef NODE_RUNTIME_DRIVER_H
#define NODE_RUNTIME_DRIVER_H

#include "node/runtime/attach.h"
#include "node/runtime/cgroup.h"
#include "node/runtime/launch.h"
#include "node/runtime/runtime.h"

/* A task as a driver sees it; all of it is the owner's. */
struct driver_task {
	const struct runtime_config *host;
	const struct cgroups *cgroups;
	const struct runtime_task *task; /* ids, service, ports */
	const char *dir;                 /* its folder */
	int dir_fd;
	uint32_t run; /* counts its starts */
};

enum driver_event_kind {
	DRIVER_PROGRESS, /* what a preparation that takes long does now: an image is fetched */
	DRIVER_PREPARED, /* a preparation that went on later is over */
	DRIVER_STARTED,
	DRIVER_EXITED,
	DRIVER_LOST,
	DRIVER_CHECKED,
	DRIVER_WATCHDOG,
};

enum driver_answer {
	DRIVER_OK = 0,
	DRIVER_REFUSES = -1, /* it cannot run here, now or later */
	DRIVER_BLOCKED = -2, /* not now: try again */
	DRIVER_LATER = 1,    /* of prepare: PREPARED says which of the others it is */
};

struct driver_event {
	enum driver_event_kind kind;
	enum driver_answer answer; /* PREPARED: not DRIVER_LATER */
	struct run_record run;     /* STARTED */
	struct exit_record exit;   /* EXITED */
	struct usage_record usage; /* EXITED: all 0 where it is not known */
	bool watchdog;             /* EXITED, LOST of an adopted task: its watchdog had fired */
	uint32_t seq;              /* CHECKED */
	enum check_outcome outcome;
	int code;
	char text
	        [256]; /* EXITED with a step, LOST, PREPARED that failed: why; PROGRESS: what; CHECKED: end of its output */
};

typedef void driver_event_fn(void *ctx, const struct driver_event *ev);

struct driver_run;

/* A preparation under way: an image is fetched, unpacked. */
struct driver_work;

struct driver {
	const char *name;
	enum spec_driver kind;
	/* Can this host run it at all, now? Cheap: it is asked often. why says what is missing. */
	bool (*available)(const struct runtime_config *host, char *why, size_t cap);
	/* Can it run on this host? err says why not. */
	int (*accept)(const struct runtime_config *host, const struct cgroups *cgroups,
	        const struct service *service, struct err *err);
	/* Makes ready what launch needs. On failure err is told to the user. DRIVER_LATER: *work is set, and PREPARED
	 * comes from the loop unless it is cancelled; t need not outlive the call, its dir_fd and texts do. */
	enum driver_answer (*prepare)(uv_loop_t *loop, const struct driver_task *t, driver_event_fn *fn,
	        void *ctx, struct driver_work **work, struct err *err);
	/* Ends a preparation; no event of it follows. NULL for a driver that never answers DRIVER_LATER. */
	void (*cancel)(struct driver_work *work);
	/* Starts it. NULL: not now (no processes left, no descriptors left); try later. */
	struct driver_run *(*launch)(
	        uv_loop_t *loop, const struct driver_task *t, driver_event_fn *fn, void *ctx, struct err *err);
	/* Finds a run that an earlier agent launched, waiting for its answer until deadline (uv_hrtime, in ms); one that
	 * lives but does not answer by then is asked again later. NULL: it is over, and *ended says how (EXITED or
	 * LOST). */
	struct driver_run *(*adopt)(uv_loop_t *loop, const struct driver_task *t, mono_ms deadline,
	        driver_event_fn *fn, void *ctx, struct driver_event *ended);
	/* Stop signal now, SIGKILL to all of it after the grace. Again with less grace: sooner. */
	void (*stop)(struct driver_run *r, int signal, int64_t grace_ms);
	/* Runs the service's health command as the task would; CHECKED follows. */
	void (*check)(struct driver_run *r, uint32_t seq, int64_t timeout_ms);
	/* Runs a command inside a task that runs (attach.h); NULL with err. A driver that cannot has NULL here. */
	struct attach *(*attach)(uv_loop_t *loop, const struct driver_task *t,
	        const struct attach_request *request, const struct attach_events *ev, void *ctx, struct err *err);
	/* Lets go of it, without a further event; a task that runs goes on. Frees r when its handles are closed. */
	void (*release)(struct driver_run *r);
	/* The task has ended for good: what it had of its own on this host can go. NULL: nothing. */
	void (*ended)(uv_loop_t *loop, const struct driver_task *t);
};

/* attach_exec.c: in tasks whose process is of this host. */
struct attach *attach_exec(uv_loop_t *loop, const struct driver_task *t, const struct attach_request *request,
        const struct attach_events *ev, void *ctx, struct err *err);

extern const struct driver driver_exec;
extern const struct driver driver_oci;
extern const struct driver driver_engine;

/* All drivers of this build, in the order in which a service that names none tries them. */
extern const struct driver *const drivers[];
extern const size_t n_drivers;
/* The driver of a service here: the first available one that suits it, or NULL with err. */
const struct driver *driver_for(
        const struct runtime_config *host, const struct service *service, struct err *err);
/* The driver that a task was started with, for one that is found again; NULL: not in this build. */
const struct driver *driver_of(enum spec_driver kind);

#endif
