/*
 * What a container engine answers, read with bounds: the bytes come from another program and may be cut, of another
 * version, or nonsense. Pure. Docker Engine API 1.40 and later, and Podman's answers in that form.
 */
#ifndef NODE_RUNTIME_ENGINE_ANSWER_H
#define NODE_RUNTIME_ENGINE_ANSWER_H

#include "base/err.h"
#include "base/types.h"

/* Characters of a container's id. */
#define ENGINE_ID_MAX 64
/* Bytes of a message that are kept. */
#define ENGINE_TEXT_MAX 240
/* Labels of what is ours; docs/driver-engine.md lists them. */
#define LABEL_PEER "starling.peer"
#define LABEL_TASK "starling.task"
#define LABEL_RUN  "starling.run"

enum engine_status {
	ENGINE_CREATED, /* never started */
	ENGINE_RUNNING, /* or paused, or about to be restarted: its processes are there */
	ENGINE_EXITED,
};

struct engine_state {
	char id[ENGINE_ID_MAX + 1];
	enum engine_status status;
	int64_t pid; /* 0 none */
	int exit_code;
	bool oom;
	wall_ms started, ended; /* 0: not, or not told */
	char error[ENGINE_TEXT_MAX + 1];
};

/* GET /containers/NAME/json */
int answer_state(struct engine_state *out, const char *bytes, size_t len, struct err *err);

struct engine_version {
	unsigned api_minor, api_least; /* of 1.x: the newest and the oldest that it speaks */
	bool podman;
};

/* GET /version */
int answer_version(struct engine_version *out, const char *bytes, size_t len, struct err *err);

/* "message" of an answer that is an error, or the bytes themselves; never empty. One line of valid UTF-8. */
void answer_message(char out[ENGINE_TEXT_MAX + 1], int status, const char *bytes, size_t len);

struct engine_event {
	bool ended; /* a container has ended */
	bool oom;   /* the kernel killed a process of it for its memory limit */
	id64 task;  /* by its labels; 0: not one of ours */
	uint32_t run;
};

/* One line of GET /events. */
int answer_event(struct engine_event *out, const char *line, size_t len, struct err *err);

struct engine_pull {
	char error[ENGINE_TEXT_MAX + 1]; /* "" none */
	char status[64];
	char layer[ENGINE_ID_MAX + 1];
	uint64_t done, total; /* bytes of the layer; total 0: not told */
};

/* One line of POST /images/create. */
int answer_pull(struct engine_pull *out, const char *line, size_t len, struct err *err);

/* GET /containers/json: calls fn for each that has our labels. */
typedef void answer_container_fn(void *ctx, const char *id, id64 task, uint32_t run);
int answer_list(const char *bytes, size_t len, answer_container_fn *fn, void *ctx, struct err *err);

struct engine_exec {
	bool running;
	int exit_code;
	int64_t pid;
};

/* GET /exec/ID/json */
int answer_exec(struct engine_exec *out, const char *bytes, size_t len, struct err *err);
/* The "Id" of what was made. */
int answer_id(char out[ENGINE_ID_MAX + 1], const char *bytes, size_t len, struct err *err);

/* RFC 3339 with any fraction and offset; *used says how long it is. 0 when it is none, or before 1970. */
wall_ms engine_time(const char *text, size_t len, size_t *used);

#endif
