/* logs: lines of a task of this peer, and those that follow. The CLI asks each owner; nothing is merged here. */
#include "base/text.h"
#include "node/control/call.h"

struct logs {
	struct call *call;
	struct runtime_follow *follow;
};

static void send_line(void *ctx, const struct runtime_log_line *line)
{
	struct logs *l = ctx;
	struct wr w;

	wr_init(&w, LOG_LINE_MAX + 256);
	pk_map(&w, 3);
	pk_kv_i64(&w, "at", line->at);
	pk_kv_bool(&w, "stderr", line->is_stderr);
	/* Programs may write any bytes; what is not text travels as a blob. */
	pk_str(&w, "text");
	if (text_is_utf8(line->text, line->len))
		pk_strn(&w, line->text, line->len);
	else
		pk_bin(&w, line->text, line->len);
	call_item(l->call, &w);
	wr_free(&w);
}

static void end_logs(struct call *c)
{
	struct wr w;

	wr_init(&w, 16);
	pk_map(&w, 0);
	call_end(c, &w);
	wr_free(&w);
}

static void followed_all(void *ctx)
{
	struct logs *l = ctx;

	end_logs(l->call);
}

static void logs_free(void *state)
{
	struct logs *l = state;

	if (l->follow)
		runtime_follow_close(l->follow);
	free(l);
}

void verb_logs(struct call *c)
{
	struct runtime *rt = c->agent->runtime;
	struct logs *l;
	char text[32];
	uint64_t tail, since;
	bool given, have_tail, follow;
	struct err err;
	id64 task;

	if (c->state) /* a pass of the agent: a follower has nothing to do */
		return;
	if (arg_text(c, "task", text, sizeof(text), &given, &err) < 0 ||
	        arg_u64(c, "tail", &tail, &have_tail, &err) < 0 ||
	        arg_u64(c, "since", &since, &given, &err) < 0 || arg_bool(c, "follow", &follow, &err) < 0) {
		call_fail(c, &err);
		return;
	}
	if (!id64_parse(&task, text) || !runtime_get(rt, task)) {
		err_set(&err, ERR_FAILED,
		        "logs: peer %s has no task %s; `starling ps` lists tasks and their peers",
		        c->agent->cfg.name, text);
		call_fail(c, &err);
		return;
	}
	if (!trust_may_read(gossip_trust(c->agent->gossip), &c->key, runtime_get(rt, task)->stack)) {
		err_set(&err, ERR_UNAUTHORISED,
		        "logs: this key's grants cover other stacks than %s; ask an admin for `starling key grant`",
		        runtime_get(rt, task)->stack);
		call_fail(c, &err);
		return;
	}
	l = xcalloc(1, sizeof(*l));
	l->call = c;
	c->state = l;
	c->free_state = logs_free;
	if (runtime_log_read(rt, task, (wall_ms)since, have_tail ? tail : UINT64_MAX, send_line, l, &err) < 0) {
		call_fail(c, &err);
		return;
	}
	if (follow)
		l->follow = runtime_log_follow(rt, task, send_line, followed_all, l);
	if (!l->follow)
		end_logs(c);
}
