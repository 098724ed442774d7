/*
 * The life of a task as one table: what happened, in which state, gives the next state and what to do. Pure: time
 * and randomness are passed in. node/runtime/task.c does what the actions say; supervise.c holds the drawing.
 */
#ifndef NODE_RUNTIME_SUPERVISE_H
#define NODE_RUNTIME_SUPERVISE_H

#include "base/drbg.h"
#include "placement/claim.h"
#include "placement/spec/spec.h"

/* A task's own states are the enum's first ones; TASK_REFUSED is a claim without a task. */
#define SUPERVISE_STATES TASK_REFUSED

enum supervise_event {
	EV_START,          /* the task was made */
	EV_PREPARED,       /* ports chosen, user found, launch written */
	EV_BLOCKED,        /* cannot start now, may later: a host port is in use */
	EV_REFUSED,        /* cannot start, nor later: command or user not found */
	EV_STARTED,        /* the process runs */
	EV_HEALTHY,        /* a check turned healthy */
	EV_UNHEALTHY,      /* a check turned unhealthy; the restart policy restarts */
	EV_UNHEALTHY_KEEP, /* a check turned unhealthy; the restart policy leaves it running */
	EV_EXIT_AGAIN,     /* the process ended; to be restarted */
	EV_EXIT_DONE,      /* the process ended well; not to be restarted */
	EV_EXIT_FAILED,    /* the process ended badly; not to be restarted */
	EV_TIMER,          /* the back-off is over */
	EV_STOP,           /* somebody wants it stopped */
	EV_GONE,           /* the host was restarted, or its watchdog ended it: there is no process any more */
	SUPERVISE_EVENTS,
};

enum supervise_action {
	ACT_NONE,
	ACT_PREPARE, /* choose ports, find the user, write the launch; then EV_PREPARED, EV_BLOCKED or EV_REFUSED */
	ACT_LAUNCH, /* start a shim */
	ACT_WATCH,  /* begin health checks */
	ACT_STOP,   /* tell the shim: stop signal, grace, SIGKILL */
	ACT_WAIT,   /* arm a timer for supervise.retry_at; then EV_TIMER */
	ACT_END,    /* nothing runs any more, and nothing will */
};

struct supervise {
	enum task_state state;
	uint32_t runs;       /* processes started; all but the first are restarts */
	uint32_t streak;     /* restarts since a run that lasted the policy's window */
	uint32_t blocked;    /* starts blocked in a row; they do not count against max_attempts */
	mono_ms started_at;  /* of the present process */
	mono_ms retry_at;    /* in TASK_BACKOFF */
	int64_t retry_in_ms; /* as chosen; for showing */
};

/* Longest back-off that doubling reaches: a slot that cannot run is tried at least once a minute. A policy whose
 * own delay is longer keeps to that. */
#define BACKOFF_MAX_MS MINUTES(1)
/* Jitter in percent, so that a crashed stack's tasks do not come back in step. */
#define BACKOFF_JITTER            20
#define RESTART_DELAY_DEFAULT_MS  500
#define RESTART_WINDOW_DEFAULT_MS SECONDS(5)

void supervise_init(struct supervise *s);
/* Which of EV_EXIT_* the end of a process is, by the policy and what went before. failed: it ended with a code
 * other than 0, by a signal, or was stopped as unhealthy. */
enum supervise_event supervise_exit(
        const struct supervise *s, const struct spec_restart_policy *policy, bool failed, mono_ms now);
/* Which of EV_UNHEALTHY* a failed health check is. */
enum supervise_event supervise_sick(const struct spec_restart_policy *policy);
/* Moves on and says what to do. An event that means nothing in this state changes nothing. */
enum supervise_action supervise_on(struct supervise *s, enum supervise_event ev,
        const struct spec_restart_policy *policy, mono_ms now, struct drbg *rng);
/* Finished: done, failed or lost. */
bool supervise_ended(enum task_state state);
/* A process exists or is about to: starting, running, unhealthy, stopping. */
bool supervise_live(enum task_state state);

#endif
