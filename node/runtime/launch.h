/*
 * What passes between the agent and a shim.
 *
 * Files of the task's folder:
 *
 *	launch   the agent writes it before it starts a shim: what to run, as whom, with which limits
 *	run      the shim writes it once the process runs: pids with start times, so that a later agent finds them
 *	exit     the shim writes it when all is over, before it ends
 *	fault    the shim writes it before `exit` when the start failed: what it can say beyond the step
 *	usage    the shim writes it before `exit`: what the run cost
 *	watchdog the shim writes it when its watchdog fires, before it stops the task
 *	lock     held (flock) from before the shim starts until it ends, however it ends
 *	shim.sock  where a later agent connects
 *	log/       see logfile.h
 *
 * Messages on the socket, in both directions: u16 length of the rest, u8 kind, fields; integers big-endian.
 *
 * Agents and shims of different builds meet: a shim lives as long as its task, over upgrades of the agent, and the
 * binary that starts as a shim may be newer than the agent that spawns it. So all of this is frozen; test_launch.c
 * holds the bytes. Kinds keep their numbers, messages and the records `run` and `exit` their fields. What is new gets
 * a kind of its own, which a side that does not know it skips; a launch grows at its end, by a map of which each build
 * reads the keys that it knows (launch_more.c).
 *
 * A container's runtime runs under a shim as well: then the task is not what argv becomes, but what it leaves behind.
 *
 *	shim --argv--> runc run --detach --pid-file P ... ends with 0 --> the process in P, by now the shim's child (it is
 *	                 |                                                the subreaper), is the task's first one
 *	                 '- anything else, or no such child: the start failed; the end of its stderr says why
 *	all over --cleanup--> runc delete --force ...
 *
 * argv, check and cleanup then run as the shim itself, with `env`, in `cwd`; `cgroups` are the container's, made by the
 * runtime: the shim only kills what is in them. The container's environment must hold STARLING_TASK too.
 */
#ifndef NODE_RUNTIME_LAUNCH_H
#define NODE_RUNTIME_LAUNCH_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define LAUNCH_CGROUPS_MAX 4
#define LAUNCH_GROUPS_MAX  64
#define LAUNCH_LIMITS_MAX  16  /* RLIM_NLIMITS */
#define LAUNCH_MOUNTS_MAX  256 /* SPEC_MOUNTS_MAX, SPEC_VOLUMES_MAX, twice SPEC_PATHS_MAX, and a few of our own */
/* Bytes of a launch: arguments and environment at their bounds (SPEC_ARGS_MAX, SPEC_ENV_MAX of SPEC_TEXT_MAX). */
#define LAUNCH_BYTES_MAX (4 * 1024 * 1024)

enum launch_mount_kind {      /* numbers never change */
	LAUNCH_BIND = 0,      /* source, a path of the host, on target */
	LAUNCH_TMPFS = 1,     /* a fresh one on target */
	LAUNCH_READ_ONLY = 2, /* what is at target cannot be written */
	LAUNCH_HIDDEN = 3,    /* what is at target cannot be seen; nothing there is no error */
};

/* One step of making the task's own view of the file system. */
struct launch_mount {
	enum launch_mount_kind kind;
	const char *source, *target; /* absolute */
	bool read_only;
	bool make_source, make_target; /* a folder, where there is nothing; else that is an error */
	bool no_exec;                  /* tmpfs */
	bool slave;                    /* what the host mounts below source later appears */
	uint64_t size;                 /* tmpfs: bytes; 0: the kernel's default */
	uint32_t mode;                 /* tmpfs: permissions; 0: 01777 */
};

struct launch_limit {
	uint32_t resource; /* RLIMIT_* as Linux numbers them, the same on all of our platforms */
	uint64_t soft, hard;
};

/* io_class, as ioprio_set(2) numbers them. */
#define LAUNCH_IO_NONE        0
#define LAUNCH_IO_BEST_EFFORT 2
#define LAUNCH_IO_IDLE        3

struct launch {
	uint32_t run; /* counts the starts of this task; exit and run name it, so that an old one is not taken */
	char **argv;  /* NULL-terminated, as are env and check */
	char **env;   /* "KEY=VALUE" */
	char **check; /* the health check's command, or just NULL */
	const char *cwd;
	bool set_user; /* drop to uid, gid, groups */
	uint32_t uid, gid;
	size_t n_groups;
	uint32_t groups[LAUNCH_GROUPS_MAX];
	size_t n_cgroups;
	const char *cgroups[LAUNCH_CGROUPS_MAX]; /* folders; the first holds all of the task's processes */
	const char *oom_file;                    /* has a line "oom_kill N"; NULL none */
	uint64_t log_file_bytes;
	uint32_t log_files;
	uint8_t stop_signal; /* when the shim itself stops the task: SIGTERM to it, or the watchdog */
	uint32_t stop_grace_ms;
	uint32_t watchdog_ms; /* no agent for this long: stop the task; 0 never */
	/* More, which earlier builds did not know. */
	const char *
	        pid_file; /* of a container's runtime, from the task's folder or absolute; NULL: argv is the task */
	/* The runtime's command that clears away the container, or just NULL. Run once all is over, and by an agent that
	 * finds the shim killed; then the task may start again at the same time, so what it names is this run's alone. */
	char **cleanup;
	size_t n_limits;
	struct launch_limit limits[LAUNCH_LIMITS_MAX];
	int32_t nice; /* 0: the shim's own */
	uint32_t io_class, io_priority;
	int32_t oom_score_adj;
	bool new_privs; /* setuid programs and file capabilities work */
	bool set_caps;  /* the task has these and can get no other; else what its user has */
	uint64_t caps;  /* bits by capability number */
	size_t n_mounts;
	struct launch_mount *mounts; /* in the order in which they are made */
	const char *root;            /* its root folder; NULL: the host's. mounts' targets are inside */
	bool read_only_root;         /* all but writable mounts, /proc, /sys and /dev */
};

void launch_put(struct wr *w, const struct launch *l);
/* Texts are copied to arena. */
int launch_get(struct launch *out, struct arena *arena, const uint8_t *bytes, size_t len, struct err *err);

/* Which step of starting a process failed, with its errno. */
enum launch_step {
	STEP_NONE, /* numbers never change, as all that is in a record */
	STEP_FORK,
	STEP_STDIO,
	STEP_CGROUP,
	STEP_GROUPS,
	STEP_GID,
	STEP_UID,
	STEP_CWD,
	STEP_NOT_FOUND, /* in no folder of PATH, or no such file */
	STEP_EXEC,
	STEP_RUNTIME, /* a container's runtime ended with an error; with these, `fault` says more */
	STEP_VIEW,    /* its own view of the file system */
	STEP_LIMITS,  /* resource limits and priorities */
	STEP_CAPS,
	STEPS,
};
/* "cannot change to its user", for messages. */
const char *launch_step_text(enum launch_step s);

struct run_record {
	uint32_t run;
	uint32_t shim_pid;
	uint32_t pid;               /* also its process group and session */
	uint64_t shim_ticks, ticks; /* start times, in clock ticks since boot (proc(5), stat field 22) */
	wall_ms started;
};

struct exit_record {
	uint32_t run;
	enum launch_step step; /* other than STEP_NONE: it never ran */
	uint32_t step_errno;
	bool signalled;
	uint8_t code; /* exit code, or the signal's number */
	bool oom;
	wall_ms started, ended;
};

/* What a run cost: all of its processes that were waited for, the shim's own small share included. */
struct usage_record {
	uint32_t run;
	uint64_t user_ms, system_ms;
	uint64_t max_rss;   /* bytes: the largest of its processes */
	uint32_t oom_kills; /* processes that the kernel killed for the memory limit */
};

struct watchdog_record {
	uint32_t run;
	wall_ms at; /* when it fired */
};

/* Bytes of the text of a fault; of a longer one the end is kept. */
#define FAULT_TEXT_MAX 240

struct fault_record {
	uint32_t run;
	char text[FAULT_TEXT_MAX + 1]; /* UTF-8 */
};

/* Bytes of an encoded record file, at most. */
#define RECORD_FILE_MAX 64
#define FAULT_FILE_MAX  (8 + FAULT_TEXT_MAX)
void run_put(struct wr *w, const struct run_record *r);
int run_get(struct run_record *out, const uint8_t *bytes, size_t len, struct err *err);
void exit_put(struct wr *w, const struct exit_record *e);
int exit_get(struct exit_record *out, const uint8_t *bytes, size_t len, struct err *err);

void watchdog_put(struct wr *w, const struct watchdog_record *d);
int watchdog_get(struct watchdog_record *out, const uint8_t *bytes, size_t len, struct err *err);

void usage_put(struct wr *w, const struct usage_record *u);
int usage_get(struct usage_record *out, const uint8_t *bytes, size_t len, struct err *err);

void fault_put(struct wr *w, const struct fault_record *f);
int fault_get(struct fault_record *out, const uint8_t *bytes, size_t len, struct err *err);

/* These numbers never change, nor is one used again: agents and shims of different builds meet. */
enum shim_message {
	/* agent to shim */
	SHIM_STOP = 1,  /* u8 signal, u32 grace in ms: signal the process, SIGKILL to all of it after the grace */
	SHIM_CHECK = 2, /* u32 seq, u32 timeout in ms: run the launch's check command */
	/* shim to agent */
	SHIM_STARTED = 16, /* run record: the process runs; said to each agent that connects */
	SHIM_EXIT = 17,    /* exit record; the shim ends after it */
	SHIM_CHECKED = 18, /* u32 seq, u8 enum check_outcome, u8 code, rest: last line of its output */
	SHIM_WATCHDOG =
	        19, /* watchdog record: it fired, the task is being stopped; said to each agent that connects */
};

enum check_outcome { CHECK_PASSED, CHECK_FAILED, CHECK_TIMED_OUT, CHECK_NOT_RUN };

/* Bytes of one message, its length included. */
#define SHIM_MESSAGE_MAX 512
/* Bytes of a check's output that are reported. */
#define CHECK_TEXT_MAX 160

/* Starts a message in w and returns where its length stands, for message_end(). */
size_t message_begin(struct wr *w, enum shim_message kind);
void message_end(struct wr *w, size_t at);
/* One whole message at p: returns its bytes in all, 0 when more are needed, -1 when it can be no message. body is set
 * to read the fields behind the kind. */
int message_take(const uint8_t *p, size_t len, enum shim_message *kind, struct rd *body);

#endif
