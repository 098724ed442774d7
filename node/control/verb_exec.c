/*
 * exec: a command inside a task of this peer. The request is signed by an operator that may deploy the stack; what follows
 * on the connection is the command's input, and what the answer's items carry its output, each at the other's pace. The
 * end of the connection ends the command.
 */
#include "base/text.h"
#include "node/control/call.h"
#include "node/runtime/attach.h"

/* Grants looked through for one that covers the stack. */
#define GRANTS_LOOKED_AT 1024

struct exec {
	struct call *call;
	struct arena arena;
	struct attach *attach;
	bool held; /* the client is not read from: the command does not read */
};

static void exec_free(void *state)
{
	struct exec *x = state;

	if (x->attach)
		x->attach->ops->close(x->attach);
	arena_free(&x->arena);
	free(x);
}

static void on_output(void *ctx, bool is_stderr, const uint8_t *bytes, size_t len)
{
	struct exec *x = ctx;
	struct wr w;

	wr_init(&w, FRAME_BYTES_MAX);
	pk_map(&w, 1);
	pk_kv_bin(&w, is_stderr ? "err" : "out", bytes, len);
	call_item(x->call, &w);
	wr_free(&w);
	if (!call_is_closing(x->call) && call_queued(x->call) > CALL_QUEUE_HIGH)
		x->attach->ops->pause(x->attach, true);
}

static void output_drained(struct call *c)
{
	struct exec *x = c->state;

	x->attach->ops->pause(x->attach, false);
}

static void input_drained(void *ctx)
{
	struct exec *x = ctx;

	if (x->held) {
		x->held = false;
		call_pause(x->call, false);
	}
}

static void on_ended(void *ctx, const struct attach_end *end)
{
	struct exec *x = ctx;
	struct wr w;

	wr_init(&w, 1024);
	pk_map(&w, 2);
	pk_kv_u64(&w, "code", (uint64_t)end->code);
	pk_kv_str(&w, "why", end->ran ? "" : end->why);
	if (x->held)
		call_pause(x->call, false);
	x->call->input = NULL;
	call_end(x->call, &w);
	wr_free(&w);
}

static const struct attach_events events = {.output = on_output, .drained = input_drained, .ended = on_ended};

/* {in: bin}, {eof: true}, {rows, cols} or {signal: n}. */
static void on_input(struct call *c, const uint8_t *msg, size_t len)
{
	struct exec *x = c->state;
	const struct attach_ops *ops = x->attach->ops;
	uint64_t rows = 0, cols = 0;
	size_t queued = 0;
	struct rd r;
	uint32_t n;

	rd_init(&r, msg, len);
	n = up_map(&r);
	for (uint32_t i = 0; i < n && rd_ok(&r); i++) {
		size_t key_len, part;
		const char *key = up_str(&r, &key_len);

		if (up_is(key, key_len, "in")) {
			const uint8_t *bytes = up_bin(&r, &part);

			if (rd_ok(&r) && part)
				queued = ops->input(x->attach, bytes, part);
		} else if (up_is(key, key_len, "eof")) {
			up_skip(&r);
			ops->input(x->attach, NULL, 0);
		} else if (up_is(key, key_len, "rows")) {
			rows = up_u64(&r);
		} else if (up_is(key, key_len, "cols")) {
			cols = up_u64(&r);
		} else if (up_is(key, key_len, "signal")) {
			uint64_t number = up_u64(&r);

			if (rd_ok(&r) && number < 65)
				ops->signal(x->attach, (int)number);
		} else {
			up_skip(&r);
		}
	}
	if (rd_ok(&r) && rows && cols)
		ops->resize(x->attach, (uint16_t)MIN(rows, UINT16_MAX), (uint16_t)MIN(cols, UINT16_MAX));
	if (queued > CALL_QUEUE_HIGH && !x->held) {
		x->held = true;
		call_pause(c, true);
	}
}

bool call_may_deploy(const struct trust *t, const struct key32 *key, const char *stack, uint32_t power)
{
	const struct grant *all[GRANTS_LOOKED_AT];
	size_t n = MIN(trust_operators(t, all, ARRAY_LEN(all)), ARRAY_LEN(all));

	for (size_t i = 0; i < n; i++) {
		const struct grant *g = all[i];
		bool covers = !g->n_globs;

		if (!key32_eq(&g->operator_key, key) || g->role < ROLE_DEPLOY || (g->powers & power) != power)
			continue;
		for (size_t k = 0; k < g->n_globs && !covers; k++)
			covers = text_glob(g->globs[k], stack);
		if (covers)
			return true;
	}
	return trust_operator(t, key) && trust_operator(t, key)->role == ROLE_ROOT;
}

/* A list of texts by name; NULL-terminated, empty when absent. */
static char **texts(const struct call *c, const char *name, struct arena *arena, struct err *err)
{
	struct rd r;
	size_t total = 0;
	char **out;
	uint32_t n;

	if (!arg_find(c, name, &r))
		return arena_array(arena, 1, sizeof(*out));
	n = up_array(&r);
	if (n > ATTACH_ARGS_MAX)
		rd_fail(&r, "too many texts");
	out = arena_array(arena, rd_ok(&r) ? n + 1 : 1, sizeof(*out));
	for (uint32_t i = 0; rd_ok(&r) && i < n; i++) {
		size_t len;
		const char *text = up_str(&r, &len);

		total += rd_ok(&r) ? len : 0;
		if (total > ATTACH_TEXT_MAX)
			rd_fail(&r, "too long");
		out[i] = rd_ok(&r) ? arena_printf(arena, "%.*s", (int)len, text) : NULL;
	}
	return arg_done(c, name, &r, err) < 0 ? NULL : out;
}

static char *text_or_null(struct arena *arena, const char *text, bool given)
{
	return given ? arena_printf(arena, "%s", text) : NULL;
}

static int read_args(struct call *c, struct exec *x, struct attach_request *q, id64 *task, struct err *err)
{
	const struct trust *t = gossip_trust(c->agent->gossip);
	const struct runtime_task *rt;
	char id[32], text[4096];
	uint64_t rows, cols;
	bool given;

	if (arg_text(c, "task", id, sizeof(id), &given, err) < 0 || arg_bool(c, "tty", &q->tty, err) < 0 ||
	        arg_bool(c, "input", &q->input, err) < 0 || arg_u64(c, "rows", &rows, &given, err) < 0 ||
	        arg_u64(c, "cols", &cols, &given, err) < 0)
		return -1;
	q->rows = (uint16_t)MIN(rows, UINT16_MAX);
	q->cols = (uint16_t)MIN(cols, UINT16_MAX);
	rt = id64_parse(task, id) ? runtime_get(c->agent->runtime, *task) : NULL;
	if (!rt)
		return err_set(err, ERR_FAILED,
		        "peer %s has no task %s; `starling ps` lists tasks and their peers", c->agent->cfg.name,
		        id);
	if (!call_may_deploy(t, &c->key, rt->stack, 0))
		return err_set(err, ERR_UNAUTHORISED,
		        "exec: this key may not deploy stack %s; ask an admin for `starling key grant`",
		        rt->stack);
	q->may_root = call_may_deploy(t, &c->key, rt->stack, POWER_EXEC_AS_ROOT);
	q->argv = texts(c, "argv", &x->arena, err);
	q->env = q->argv ? texts(c, "env", &x->arena, err) : NULL;
	if (!q->env || arg_text(c, "user", text, sizeof(text), &given, err) < 0)
		return -1;
	q->user = text_or_null(&x->arena, text, given);
	if (arg_text(c, "dir", text, sizeof(text), &given, err) < 0)
		return -1;
	q->dir = text_or_null(&x->arena, text, given);
	return q->argv[0] ? 0 : err_set(err, ERR_USAGE, "exec: no command");
}

void verb_exec(struct call *c)
{
	struct exec *x = xcalloc(1, sizeof(*x));
	struct attach_request q = {0};
	struct err err = {0};
	id64 task;

	x->call = c;
	arena_init(&x->arena);
	if (read_args(c, x, &q, &task, &err) == 0)
		x->attach = runtime_attach(c->agent->runtime, task, &q, &events, x, &err);
	if (!x->attach) {
		exec_free(x);
		call_fail(c, &err);
		return;
	}
	c->state = x;
	c->free_state = exec_free;
	c->input = on_input;
	c->drained = output_drained;
}
