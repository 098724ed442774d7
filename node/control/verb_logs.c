/*
 * logs: what tasks of this peer wrote, merged by time, and what they write from then on. Lines go out while the reader
 * takes them; files wait on disk meanwhile. The CLI merges what several peers say.
 */
#include "base/text.h"
#include "node/control/call.h"

/* Tasks whose logs one call reads: each holds two descriptors and 4 KiB. */
#define LOGS_TASKS_MAX 256

struct logs;

struct source {
	struct logs *logs;
	id64 task;
	char service[NAME_MAX_BYTES];
	uint32_t slot;
	struct runtime_log *log; /* NULL: it has ended */
	bool have;               /* line holds the next one */
	bool quiet;              /* it has none until it says so */
	struct runtime_log_line line;
};

struct logs {
	struct call *call;
	/* Of which tasks. */
	id64 task; /* 0: of a stack */
	char stack[NAME_MAX_BYTES];
	char service[NAME_MAX_BYTES]; /* empty: all */
	uint32_t slot;
	bool have_slot;
	uint64_t tail;
	wall_ms since;
	bool follow;
	bool live; /* the reader was told that the past is over */
	size_t n;
	struct source *sources[LOGS_TASKS_MAX];
};

static void send_line(struct logs *l, const struct source *s)
{
	struct wr w;

	wr_init(&w, LOG_LINE_MAX + 512);
	pk_map(&w, 6);
	pk_kv_i64(&w, "at", s->line.at);
	pk_kv_bool(&w, "stderr", s->line.is_stderr);
	pk_kv_str(&w, "service", s->service);
	pk_kv_u64(&w, "slot", s->slot);
	pk_kv_u64(&w, "task", s->task);
	/* Programs may write any bytes; what is not text travels as a blob. */
	pk_str(&w, "text");
	if (text_is_utf8(s->line.text, s->line.len))
		pk_strn(&w, s->line.text, s->line.len);
	else
		pk_bin(&w, s->line.text, s->line.len);
	call_item(l->call, &w);
	wr_free(&w);
}

static void say_live(struct logs *l)
{
	struct wr w;

	wr_init(&w, 64);
	pk_map(&w, 1);
	pk_kv_bool(&w, "live", true);
	call_item(l->call, &w);
	wr_free(&w);
	l->live = true;
}

static void end_logs(struct call *c)
{
	struct wr w;

	wr_init(&w, 16);
	pk_map(&w, 0);
	call_end(c, &w);
	wr_free(&w);
}

static void logs_free(void *state)
{
	struct logs *l = state;

	for (size_t i = 0; i < l->n; i++) {
		if (l->sources[i]->log)
			runtime_log_close(l->sources[i]->log);
		free(l->sources[i]);
	}
	free(l);
}

/* The source whose next line is the oldest; *open: how many may still have some. */
static struct source *oldest(struct logs *l, size_t *open)
{
	struct source *first = NULL;

	*open = 0;
	for (size_t i = 0; i < l->n; i++) {
		struct source *s = l->sources[i];

		if (s->log && !s->have && !s->quiet) {
			int got = runtime_log_next(s->log, &s->line);

			s->have = got > 0;
			s->quiet = got == 0;
			if (got < 0) {
				runtime_log_close(s->log);
				s->log = NULL;
			}
		}
		*open += s->log != NULL;
		if (s->have && (!first || s->line.at < first->line.at))
			first = s;
	}
	return first;
}

static void pump(struct logs *l)
{
	struct call *c = l->call;
	struct source *s;
	size_t open = l->n;

	while (!call_is_closing(c) && call_queued(c) <= CALL_QUEUE_HIGH) {
		s = oldest(l, &open);
		if (!s)
			break;
		send_line(l, s);
		s->have = false;
	}
	if (call_is_closing(c) || call_queued(c) > CALL_QUEUE_HIGH)
		return;
	/* A stack's next task may be a moment away: whoever follows it knows when there is none to come. */
	if (!open && (!l->follow || l->task))
		end_logs(c);
	else if (!l->live)
		say_live(l);
}

static void on_more(void *ctx)
{
	struct source *s = ctx;

	s->quiet = false;
	pump(s->logs);
}

static void on_drained(struct call *c)
{
	pump(c->state);
}

static bool wanted(const struct logs *l, const struct runtime_task *t)
{
	if (l->task)
		return t->task == l->task;
	return strcmp(t->stack, l->stack) == 0 && (!l->service[0] || strcmp(t->service, l->service) == 0) &&
	       (!l->have_slot || t->index == l->slot);
}

static bool known(const struct logs *l, id64 task)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->sources[i]->task == task)
			return true;
	return false;
}

/* Opens the logs of tasks that are not open yet; one that has none so far is looked at again later. */
static void open_new(struct logs *l)
{
	struct runtime *rt = l->call->agent->runtime;
	size_t n = runtime_tasks(rt, NULL, 0);
	const struct runtime_task **tasks = xcalloc(n + 1, sizeof(*tasks));

	runtime_tasks(rt, tasks, n);
	for (size_t i = 0; i < n && l->n < LOGS_TASKS_MAX; i++) {
		const struct runtime_task *t = tasks[i];
		struct runtime_log *log;
		struct source *s;

		if (!wanted(l, t) || known(l, t->task))
			continue;
		s = xcalloc(1, sizeof(*s));
		log = runtime_log_open(rt, t->task, l->since, l->tail, l->follow, on_more, s, NULL);
		if (!log) {
			free(s);
			continue;
		}
		s->logs = l;
		s->task = t->task;
		s->slot = t->index;
		s->log = log;
		text_copy(s->service, sizeof(s->service), t->service);
		l->sources[l->n++] = s;
	}
	free(tasks);
}

static int read_args(struct call *c, struct logs *l, struct err *err)
{
	char text[32];
	uint64_t slot, since;
	bool by_task, have_stack, have_tail, given;

	if (arg_text(c, "task", text, sizeof(text), &by_task, err) < 0 ||
	        arg_text(c, "stack", l->stack, sizeof(l->stack), &have_stack, err) < 0 ||
	        arg_text(c, "service", l->service, sizeof(l->service), &given, err) < 0 ||
	        arg_u64(c, "slot", &slot, &l->have_slot, err) < 0 ||
	        arg_u64(c, "tail", &l->tail, &have_tail, err) < 0 ||
	        arg_u64(c, "since", &since, &given, err) < 0 || arg_bool(c, "follow", &l->follow, err) < 0)
		return -1;
	l->slot = (uint32_t)slot;
	l->since = (wall_ms)since;
	if (!have_tail)
		l->tail = UINT64_MAX;
	if (by_task) {
		const struct runtime_task *t =
		        id64_parse(&l->task, text) ? runtime_get(c->agent->runtime, l->task) : NULL;

		if (!t)
			return err_set(err, ERR_FAILED,
			        "logs: peer %s has no task %s; `starling ps` lists tasks and their peers",
			        c->agent->cfg.name, text);
		text_copy(l->stack, sizeof(l->stack), t->stack);
	} else if (!have_stack) {
		return err_set(err, ERR_USAGE, "logs: name a stack or a task");
	}
	if (!trust_may_read(gossip_trust(c->agent->gossip), &c->key, l->stack))
		return err_set(err, ERR_UNAUTHORISED,
		        "logs: this key's grants cover other stacks than %s; ask an admin for `starling key grant`",
		        l->stack);
	return 0;
}

void verb_logs(struct call *c)
{
	struct logs *l = c->state;
	struct err err = {0};

	if (!l) {
		l = xcalloc(1, sizeof(*l));
		l->call = c;
		if (read_args(c, l, &err) < 0) {
			free(l);
			call_fail(c, &err);
			return;
		}
		c->state = l;
		c->free_state = logs_free;
		c->drained = on_drained;
		c->watch = l->follow; /* after each pass: are there more tasks? */
	}
	open_new(l);
	pump(l);
}
