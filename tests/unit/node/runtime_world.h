/*
 * The runtime with real shims and real processes. The test program is its own `starling`: called with "shim" it is
 * one. Stories wait for what must happen, never for a time to pass. A program that includes this ends with WORLD_MAIN().
 */
#ifndef TESTS_UNIT_NODE_RUNTIME_WORLD_H
#define TESTS_UNIT_NODE_RUNTIME_WORLD_H

#include "tests/unit/unit.h"

#include "base/text.h"
#include "node/runtime/files.h"
#include "node/runtime/launch.h"
#include "node/runtime/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Long enough for a machine that is busy with something else; a story that works never gets near it. */
#define PATIENCE_MS 20000

static char self[512];

struct world {
	char dir[128];
	uv_loop_t loop;
	struct runtime *rt;
	struct arena arena;
	uint8_t next_id;
	const char *engine; /* socket of a container engine; NULL: none */
};

/* Other runs of this program may be at work on the host, and tasks are found by their id. */
static inline void task_id(struct world *w, uint8_t out[8])
{
	uint32_t pid = (uint32_t)getpid();

	memset(out, 0, 8);
	out[0] = 1;
	memcpy(out + 1, &pid, sizeof(pid));
	out[7] = ++w->next_id;
}

static inline void on_change(void *ctx, id64 task)
{
	(void)ctx;
	(void)task;
}

static inline void agent_starts(struct world *w)
{
	struct runtime_config cfg = {
	        .data_dir = w->dir,
	        .self_exe = self,
	        .address = {.family = 4, .ip = {127, 0, 0, 1}},
	        .peer_id = "00112233445566aa",
	        .peer_name = "wren",
	        .port_first = 27100,
	        .port_last = 27200,
	        .engine_socket = w->engine ? w->engine : "none",
	};
	struct err err = {0};

	assert_int_equal(uv_loop_init(&w->loop), 0);
	w->rt = runtime_new(&w->loop, &cfg, on_change, w, &err);
	if (!w->rt)
		fail_msg("%s", err.text);
	if (runtime_adopt(w->rt, &err) < 0)
		fail_msg("%s", err.text);
}

/* Without a word to any task: to a shim it looks the same as SIGKILL to the agent. */
static inline void agent_dies(struct world *w)
{
	runtime_close(w->rt);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
}

static inline int setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	strcpy(w->dir, "/tmp/starling-runtime-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	arena_init(&w->arena);
	agent_starts(w);
	*state = w;
	return 0;
}

static inline void wake(uv_timer_t *t)
{
	(void)t;
}

static inline void closed(uv_handle_t *h)
{
	*(bool *)h->data = true;
}

/* Turns the loop until the condition holds; false when patience ends. */
#define WAIT(w, condition)                                                                                       \
	do {                                                                                                     \
		uv_timer_t timer_;                                                                               \
		bool closed_ = false;                                                                            \
		uint64_t until_ = uv_hrtime() / 1000000 + PATIENCE_MS;                                           \
		uv_timer_init(&(w)->loop, &timer_);                                                              \
		timer_.data = &closed_;                                                                          \
		uv_timer_start(&timer_, wake, 5, 5);                                                             \
		while (!(condition) && uv_hrtime() / 1000000 < until_)                                           \
			uv_run(&(w)->loop, UV_RUN_ONCE);                                                         \
		uv_close((uv_handle_t *)&timer_, closed);                                                        \
		while (!closed_)                                                                                 \
			uv_run(&(w)->loop, UV_RUN_ONCE);                                                         \
		if (!(condition))                                                                                \
			fail_msg("never: %s", #condition);                                                       \
	} while (0)

static inline struct service *service(struct world *w, const char *name, const char *script)
{
	struct service *s = arena_alloc(&w->arena, sizeof(*s));

	service_defaults(s);
	s->name = name;
	s->n_command = 3;
	s->command = arena_array(&w->arena, 3, sizeof(char *));
	s->command[0] = "/bin/sh";
	s->command[1] = "-c";
	s->command[2] = script;
	return s;
}

static inline id64 start(struct world *w, const struct service *s)
{
	struct runtime_start r = {.slot = 7, .revision = 0xabc, .stack = "shop", .service = s, .index = 2};
	struct err err = {0};
	id64 id;

	task_id(w, r.task_random);
	id = runtime_start(w->rt, &r, &err);
	if (!id)
		fail_msg("%s", err.text);
	return id;
}

static inline const struct runtime_task *task(struct world *w, id64 id)
{
	return runtime_get(w->rt, id);
}

static inline bool is(struct world *w, id64 id, enum task_state state)
{
	return task(w, id)->state == state;
}

static inline bool ended(struct world *w, id64 id)
{
	return is(w, id, TASK_DONE) || is(w, id, TASK_FAILED) || is(w, id, TASK_LOST);
}

struct heard {
	char text[65536];
	size_t len;
	unsigned lines;
	bool over;
};

static inline void hear(void *ctx, const struct runtime_log_line *line)
{
	struct heard *h = ctx;

	h->lines++;
	h->len += (size_t)snprintf(h->text + h->len, sizeof(h->text) - h->len, "%s%.*s\n",
	        line->is_stderr ? "!" : "", (int)line->len, line->text);
	assert_true(h->len < sizeof(h->text));
}

/* Takes what a reader has now. */
static inline void hear_all(struct heard *h, struct runtime_log *l)
{
	struct runtime_log_line line;
	int got;

	while ((got = runtime_log_next(l, &line)) > 0)
		hear(h, &line);
	h->over |= got < 0;
}

/* A reader has more, or its end: it is asked when the story comes round to it. */
static inline void hear_more(void *ctx)
{
	(void)ctx;
}

static inline const char *log_of(struct world *w, id64 id, uint64_t tail)
{
	static struct heard h;
	struct runtime_log *l;
	struct err err = {0};

	memset(&h, 0, sizeof(h));
	l = runtime_log_open(w->rt, id, 0, tail, false, hear_more, NULL, &err);
	if (!l)
		fail_msg("%s", err.text);
	hear_all(&h, l);
	assert_true(h.over);
	runtime_log_close(l);
	return h.text;
}

/* Processes other than zombies that carry a task's mark. */
static inline int marked(id64 id)
{
	char mark[64] = "STARLING_TASK=";
	DIR *dir = opendir("/proc");
	struct dirent *e;
	int n = 0;

	id64_text(mark + strlen(mark), id);
	while ((e = readdir(dir))) {
		char path[300], buf[8192];
		ssize_t len;
		int fd;

		snprintf(path, sizeof(path), "/proc/%s/environ", e->d_name);
		fd = open(path, O_RDONLY);
		len = fd < 0 ? -1 : read(fd, buf, sizeof(buf));
		if (fd >= 0)
			close(fd);
		n += len > 0 && memmem(buf, (size_t)len, mark, strlen(mark)) != NULL;
	}
	closedir(dir);
	return n;
}

static inline int teardown(void **state)
{
	struct world *w = *state;
	const struct runtime_task *all[64];
	size_t n = runtime_tasks(w->rt, all, 64);
	id64 ids[64];

	for (size_t i = 0; i < n; i++)
		ids[i] = all[i]->task;
	for (size_t i = 0; i < n; i++)
		runtime_stop(w->rt, ids[i], "the story is over");
	for (size_t i = 0; i < n; i++) {
		WAIT(w, ended(w, ids[i]));
		assert_int_equal(marked(ids[i]), 0);
		runtime_forget(w->rt, ids[i]);
	}
	assert_int_equal(runtime_tasks(w->rt, NULL, 0), 0);
	agent_dies(w);
	/* No zombie and no child of any kind is left. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(folder_remove(AT_FDCWD, w->dir, NULL), 0);
	arena_free(&w->arena);
	free(w);
	return 0;
}

static inline int shim_of(struct world *w, id64 id)
{
	char path[300], name[17];
	uint8_t run[64];
	int fd;

	id64_text(name, id);
	snprintf(path, sizeof(path), "%s/tasks/%s/run", w->dir, name);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_true(read(fd, run, sizeof(run)) > 12);
	close(fd);
	return run[8] << 24 | run[9] << 16 | run[10] << 8 | run[11];
}

#define STORY(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* What a shim of such a program does first, in its task's folder. */
#ifndef BEFORE_SHIM
#define BEFORE_SHIM(dir) ((void)(dir))
#endif

/* main() of such a program: a shim when it is called as one; else its tests, or those that its argument names. */
#define WORLD_MAIN(tests)                                                                                        \
	int main(int argc, char **argv)                                                                          \
	{                                                                                                        \
		ssize_t n;                                                                                       \
                                                                                                                 \
		if (argc > 2 && strcmp(argv[1], "shim") == 0) {                                                  \
			BEFORE_SHIM(argv[2]);                                                                    \
			return shim_main(argc, argv);                                                            \
		}                                                                                                \
		signal(SIGPIPE, SIG_IGN); /* as the agent does */                                                \
		n = readlink("/proc/self/exe", self, sizeof(self) - 1);                                          \
		if (n <= 0)                                                                                      \
			return 1;                                                                                \
		self[n] = '\0';                                                                                  \
		if (argc > 1)                                                                                    \
			cmocka_set_test_filter(argv[1]);                                                         \
		return cmocka_run_group_tests(tests, NULL, NULL);                                                \
	}

#endif
