/*
 * Inside the driver `engine`. Only its own files include this.
 *
 *	engine.c          which engine, the driver's table
 *	engine_watch.c    the connection: events, what is unreachable, orphans
 *	engine_prepare.c  image and container of a start
 *	engine_create.c   the service as the engine's API wants it; engine_accept.c what it cannot have
 *	engine_run.c      one container: started, looked at, stopped, ended
 *	engine_check.c    a health command in it; engine_log.c its output
 *
 * A container is named by task and run, "starling-TASK-RUN", so that every agent finds it again without asking what an
 * earlier one had been told. Whatever happens (an answer, an event, a broken connection, an adoption) ends in one
 * question, run_look(), and what the engine says then decides.
 */
#ifndef NODE_RUNTIME_ENGINE_PARTS_H
#define NODE_RUNTIME_ENGINE_PARTS_H

#include "base/list.h"
#include "node/runtime/driver.h"
#include "node/runtime/engine.h"
#include "node/runtime/engine_answer.h"
#include "node/runtime/engine_frames.h"
#include "node/runtime/engine_http.h"
#include "node/runtime/logfile.h"

/* sun_path */
#define ENGINE_SOCKET_MAX 108
/* In a task's folder: path of the socket of the engine that has its container. */
#define ENGINE_FILE "engine"
/* "starling-" TASK "-" RUN */
#define ENGINE_NAME_MAX 40
/* An engine that is busy with much else answers within this; then the question is asked again. Milliseconds. */
#define ENGINE_ASK_MS    SECONDS(30)
#define ENGINE_CREATE_MS MINUTES(2)
/* The API that is asked for: that of Debian 12's Docker, which later ones speak too, unless they want a newer. */
#define ENGINE_API_MINOR 41

/* ---- a thing to do later; frees itself ---- */
struct later;
/* Calls fn(ctx) once and sets *slot to NULL before. An earlier one in the slot is forgotten. */
void later_start(struct later **slot, uv_loop_t *loop, int64_t ms, void (*fn)(void *ctx), void *ctx);
void later_stop(struct later **slot);

struct engine {
	struct list link;
	struct engines *all;
	struct ehttp *http;
	char socket[ENGINE_SOCKET_MAX];
	bool podman, known; /* version was told */
	char prefix[16];    /* "/v1.41", or "" until it is known */
	unsigned api_minor;
	struct list runs;  /* struct driver_run */
	struct list works; /* struct driver_work */
	bool closing;
	/* engine_watch.c */
	struct ehttp_call *events;
	struct later *again; /* to connect */
	struct later *sync_soon, *sweep_soon;
	bool up;   /* its events are followed */
	bool told; /* that it does not answer */
	bool swept;
	int64_t pause_ms, sweep_ms;
	char *line; /* of the events, not whole yet */
	size_t line_len;
	/* engine_log.c: one writer for all, open on the log of the run that spoke last */
	struct driver_run *writing;
	int writing_fd;
	struct log_writer *writer;
	struct log_stream *streams; /* stdout, stderr */
};

struct engines {
	uv_loop_t *loop;
	const struct runtime_config *host;
	struct list list; /* struct engine */
	mono_ms looked;   /* available() */
	mono_ms seen;
	bool there;
	char why[200];
	char chosen[ENGINE_SOCKET_MAX];
};

/* The engine at that socket, made if there is none. */
struct engine *engine_at(struct engines *all, const char *socket);
/* The one that a task was prepared at: its folder's file `engine` names the socket. NULL: it names none. */
struct engine *engine_of_task(const struct driver_task *t);
/* Can somebody be reached there now? errno says why not. */
bool engine_answers(const char *socket);

/* A request on an engine; the path is prefixed with the API's version. */
struct ehttp_call *engine_ask(struct engine *e, struct ehttp_request *r, const char *fmt, ...) PRINTF_LIKE(3, 4);
void engine_take_version(struct engine *e, const struct ehttp_answer *a);
void engine_name(char out[ENGINE_NAME_MAX], id64 task, uint32_t run);
/* Removes a container by force, with its anonymous volumes; again later if that fails. */
void engine_remove(struct engine *e, const char *name);

/* engine_watch.c: there is something to watch. */
void engine_wake(struct engine *e);
void engine_watch_close(struct engine *e);
void engine_sweep_later(struct engine *e, int64_t ms);

/* engine_prepare.c */
enum driver_answer engine_prepare(uv_loop_t *loop, const struct driver_task *t, driver_event_fn *fn, void *ctx,
        struct driver_work **work, struct err *err);
void engine_cancel(struct driver_work *work);
bool works_have(const struct engine *e, id64 task, uint32_t run);
void works_free(struct engine *e);

/* engine_create.c: the body of POST /containers/create, to be freed; NULL with err. image: as the engine takes it. */
char *engine_create_body(const struct engine *e, const struct driver_task *t, const char *image, struct err *err);
/* engine_accept.c */
int engine_accept(const struct runtime_config *host, const struct cgroups *cgroups, const struct service *s,
        struct err *err);

/* ---- a run ---- */

struct engine_log {
	struct ehttp_call *call;
	struct later *again;
	struct frames frames;
	bool broken;    /* this container's output cannot be read; said once */
	mono_ms opened; /* when the stream began */
	wall_ms last;   /* of the last record written, 0 none; and how many records have that time */
	uint64_t at_last;
	bool resuming; /* what is written already comes again */
	uint64_t skip;
};

struct engine_check {
	struct ehttp_call *call;
	struct later *deadline;
	uint32_t seq;
	int64_t timeout_ms;
	bool waits; /* the engine is away: made once it is back, as if it had been asked for then */
	char exec[ENGINE_ID_MAX + 1];
	struct frames frames;
	char text[CHECK_TEXT_MAX + 1];
};

struct driver_run {
	struct list link; /* in the engine's runs */
	struct engine *e;
	driver_event_fn *fn;
	void *ctx;
	id64 task;
	uint32_t run;
	char name[ENGINE_NAME_MAX];
	int dir_fd; /* the owner's */
	const struct service *spec;
	char id[ENGINE_ID_MAX + 1];
	bool started; /* STARTED was told */
	bool over;    /* EXITED or LOST was told */
	bool ending;  /* it has ended; its log is read to the end */
	bool oom;     /* an event said that the kernel killed a process of it for its memory limit */
	struct engine_state end;
	struct ehttp_call *start, *look, *stop_call, *kill_call;
	struct later *look_later, *kill_later, *end_later;
	int64_t look_pause_ms;
	int stop_signal; /* 0 none */
	int64_t stop_grace_ms;
	mono_ms stop_at; /* when the grace is over */
	bool stop_said;
	struct engine_log log;
	struct engine_check check;
};

struct driver_run *engine_launch(
        uv_loop_t *loop, const struct driver_task *t, driver_event_fn *fn, void *ctx, struct err *err);
struct driver_run *engine_adopt(uv_loop_t *loop, const struct driver_task *t, mono_ms deadline,
        driver_event_fn *fn, void *ctx, struct driver_event *ended);
void engine_stop(struct driver_run *r, int signal, int64_t grace_ms);
void engine_release(struct driver_run *r);
struct driver_run *run_find(const struct engine *e, id64 task, uint32_t run);
/* Asks the engine how it stands with the container, and goes on from there. */
void run_look(struct driver_run *r);
/* The kernel killed a process of it for its memory limit. */
void run_oom(struct driver_run *r);
/* Its output has been read to the end, or cannot be. */
void run_log_over(struct driver_run *r);

void engine_check(struct driver_run *r, uint32_t seq, int64_t timeout_ms);
void check_end(struct driver_run *r);
/* The container is known to run: makes a check that waits for that. */
void check_go_on(struct driver_run *r);

/* engine_log.c: reads how far an earlier agent came. */
void log_resume(struct driver_run *r);
/* Follows the output, or reads what is left of it when the container has ended. */
void log_follow(struct driver_run *r);
void log_stop(struct driver_run *r);
void log_writer_close(struct engine *e);

#endif
