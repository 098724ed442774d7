/* Inside the shim: what its files share. There is one shim per process. */
#ifndef NODE_RUNTIME_SHIM_H
#define NODE_RUNTIME_SHIM_H

#include "node/runtime/launch.h"
#include "node/runtime/logfile.h"
#include "node/runtime/shim_tail.h"
#include "node/runtime/watchdog.h"

/* Descriptors that the agent hands over. */
#define AGENT_FD 3
#define LOCK_FD  4
/* Agents connected at once: one, and one that is being replaced by it, and room for a person's tool. */
#define SHIM_CLIENTS_MAX 4

struct shim_client {
	int fd; /* -1: free */
	size_t len;
	uint8_t in[SHIM_MESSAGE_MAX];
};

struct shim_check {
	int pid; /* 0: none runs */
	uint32_t seq;
	int out_fd;
	mono_ms deadline;
	bool timed_out;
	struct shim_tail said;
};

struct shim {
	struct launch launch;
	struct run_record run;
	struct exit_record exit;
	bool ended; /* the task's first process was reaped */
	int out_fd, err_fd, signal_fd, listen_fd;
	struct shim_client clients[SHIM_CLIENTS_MAX];
	struct shim_check check;
	mono_ms kill_at; /* MONO_NEVER: nobody asked it to stop */
	struct watchdog watchdog;
	struct watchdog_record fired; /* run 0: it has not */
	struct log_writer log;
	struct log_stream out, err;
	struct shim_tail *keep; /* stderr is kept here too, while a container's runtime speaks; else NULL */
};

extern struct shim shim;

mono_ms shim_mono(void);
wall_ms shim_wall(void);

/* shim_talk.c: agents. */
void shim_accept(void);
void shim_read(struct shim_client *c);
void shim_say_started(struct shim_client *c);
void shim_say_exit(void);
void shim_say_watchdog(struct shim_client *c);
bool shim_agent_connected(void);
/* How the check that ran last went. */
void shim_say_checked(enum check_outcome outcome, uint8_t code);

/* shim_check.c: the health command. */
void shim_check_begin(uint32_t seq, uint32_t timeout_ms);
void shim_check_read(void);
void shim_check_ended(int status);

/* shim_end.c: stopping, and what is left to do once the task has ended. */
void shim_stop(int sig, uint32_t grace_ms);
/* SIGKILL to the task's process group, which must not have been reaped, and to its control group. */
void shim_kill_all(void);
/* Takes note of children that ended. */
void shim_reap(void);
/* Reads what the task has said by now; false at the end of the stream. */
bool shim_drain(int fd, struct log_stream *s, bool until_empty);
/* The same for shim.out_fd and shim.err_fd, which are closed at their end. */
void shim_stream_ready(int *fd, struct log_stream *s);
/* Kills what is left, finishes the log, writes the exit record, tells the agents. */
void shim_finish(void);

/* shim_runtime.c: a container's runtime, where the launch has one. */

/* Waits for the runtime's start command. Returns the pid of the container's first process, or -1 with shim.exit's step
 * set and the record `fault` written. */
int shim_runtime_started(int runtime_pid);
/* Runs the launch's cleanup, if it has one. quiet: what it says is of no interest. */
void shim_runtime_clean(bool quiet);
/* Kills a health command that goes on inside the container: children of ours that live in another pid namespace, with
 * their sessions, the container's first process excepted. */
void shim_runtime_kill_strays(void);
/* Writes the record `fault`. */
void shim_fault(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
