/*
 * A command inside a running task, for `starling exec`. Each driver has its own way in (struct driver, attach): exec and oci
 * spawn something (attach_spawn), a container engine gives a stream over its API. What stands above sees one kind of
 * thing: bytes in, bytes out, an end.
 *
 *	attach -> output* -> ended           close at any time: the command and all that it started end with it
 *
 * Events come from the loop, never from inside a call. After ended the owner closes it; after close there is no event.
 */
#ifndef NODE_RUNTIME_ATTACH_H
#define NODE_RUNTIME_ATTACH_H

#include "node/runtime/launch.h"
#include "node/runtime/runtime.h"

/* Arguments, and added environment, of one command; bytes of all their texts together. */
#define ATTACH_ARGS_MAX 256
#define ATTACH_TEXT_MAX (128 * 1024)

struct attach_request {
	char **argv;      /* NULL-terminated */
	char **env;       /* "KEY=VALUE" on top of the task's, NULL-terminated */
	const char *user; /* as Compose writes it; NULL: the task's */
	const char *dir;  /* NULL: the task's */
	bool tty;         /* on a terminal of its own; else three pipes */
	bool input;       /* it has a standard input; else /dev/null */
	bool may_root;    /* whoever asks may be root there */
	uint16_t rows, cols;
};

struct attach_end {
	bool ran; /* else why says what was in the way */
	int code; /* as a shell gives it: 128 and the number for a signal; 127 no such command, 126 cannot be run, else 125 */
	char why[256];
};

struct attach_events {
	void (*output)(void *ctx, bool is_stderr, const uint8_t *bytes, size_t len);
	/* All input was taken: there is room for more. */
	void (*drained)(void *ctx);
	void (*ended)(void *ctx, const struct attach_end *end);
};

struct attach;
struct attach_ops {
	/* Bytes for its standard input; returns how many wait there by now. len 0: its end. */
	size_t (*input)(struct attach *a, const uint8_t *bytes, size_t len);
	void (*resize)(struct attach *a, uint16_t rows, uint16_t cols);
	void (*signal)(struct attach *a, int signal);
	/* Reads no more of its output, which stops it in its write; goes on. */
	void (*pause)(struct attach *a, bool pause);
	void (*close)(struct attach *a);
};

/* The first member of a driver's own struct. */
struct attach {
	const struct attach_ops *ops;
};

/* What attach_spawn() runs. */
struct attach_spawn {
	const struct launch *launch; /* argv, env, cwd, user, groups and control groups */
	uint32_t pid;                /* the process whose namespaces and root it enters; 0: none */
	uint64_t ticks;              /* its start time, so that it is no other of the same number */
};

/* Through `starling enter`: a process of its own that ends the command when this agent closes it, or dies. NULL with err. */
struct attach *attach_spawn(uv_loop_t *loop, const char *self_exe, const struct attach_spawn *what,
        const struct attach_request *request, const struct attach_events *ev, void *ctx, struct err *err);

/* runtime.c. A command in a task that runs; NULL with err. */
struct attach *runtime_attach(struct runtime *rt, id64 task, const struct attach_request *request,
        const struct attach_events *ev, void *ctx, struct err *err);

/* `starling enter`, never returns to the CLI: node/runtime/enter.c. */
int enter_main(void);

/* What passes on enter's descriptor 3. To it: u32 length of what follows, u32 pid, u64 ticks, u8 tty, a launch; then any
 * number of u8 signal. From it: one of these, u8 kind, u32 value, u32 errno. The agent's own binary answers, so it is not
 * frozen. */
#define ENTER_FD 3
enum enter_answer {
	ENTER_FAULT = 1, /* it never ran: value is the enum launch_step */
	ENTER_GONE = 2,  /* the task's process is another by now */
	ENTER_SPACE = 3, /* its namespaces cannot be entered: errno */
	ENTER_ENDED = 4, /* value: exit code, as a shell gives it */
};
#define ENTER_ANSWER_BYTES 9

#endif
