#include "cli/list.h"

void list_args(struct wr *w, const char *stack, bool watch)
{
	wr_init(w, 4096);
	pk_map(w, (stack != NULL) + watch);
	if (stack)
		pk_kv_str(w, "stack", stack);
	if (watch)
		pk_kv_bool(w, "watch", true);
}

int list_next(struct client *c, json_t **rows, int64_t ms, struct err *err)
{
	mono_ms until = clock_mono() + ms;
	json_t *next = NULL;
	uint32_t want = 0;

	while (!next || json_array_size(next) < want) {
		struct reply r;
		int got = client_next(c, next ? REST_MS : MAX(until - clock_mono(), (int64_t)0), &r, err);

		if (got == 0 && !next)
			return 0;
		if (got == 0)
			got = err_set(err, ERR_TIMEOUT, "the agent stopped in the middle of a list");
		else if (got > 0 && r.kind == REPLY_ERROR)
			got = err_set(err, r.error.code ? r.error.code : ERR_FAILED, "%s", r.error.text);
		else if (got > 0 && (r.kind == REPLY_END || (r.kind == REPLY_ITEM && !next)))
			got = err_set(err, ERR_FAILED, "the agent stopped watching");
		if (got < 0) {
			json_decref(next);
			return -1;
		}
		if (r.kind == REPLY_RESET) {
			json_decref(next);
			next = json_array();
			want = r.n;
		} else if (json_array_append_new(next, value_json(r.value, r.value_len)) < 0) {
			json_decref(next);
			return err_set(
			        err, ERR_FAILED, "the agent's answer cannot be read; is it of another version?");
		}
	}
	json_decref(*rows);
	*rows = next;
	return 1;
}

/* Until interrupted, or the agent goes away. */
static int watch(
        struct cli *cli, struct client *c, const struct column *cols, size_t n, const char *id, struct err *err)
{
	json_t *rows = json_array();
	int got;

	while ((got = list_next(c, &rows, INT32_MAX, err)) >= 0) {
		if (got == 0)
			continue;
		if (cli->format == FORMAT_JSON) {
			/* One list a line, for programs that read along. */
			json_dumpf(rows, cli->out, JSON_COMPACT);
			fputc('\n', cli->out);
		} else {
			out_clear(cli);
			out_rows(cli, rows, cols, n, id);
			if (!cli->out_tty)
				fputc('\n', cli->out);
		}
		if (fflush(cli->out) != 0)
			break;
	}
	json_decref(rows);
	return -1;
}

int list_verb(
        struct cli *cli, const char *verb, const char *stack, const struct column *cols, size_t n, const char *id)
{
	struct err err = {0};
	struct client *c = client_open(cli, &err);
	json_t *rows = NULL;
	struct wr args;
	int ret = -1;

	if (!c)
		return cli_fail(cli, &err);
	list_args(&args, stack, cli->watch);
	if (cli->watch) {
		ret = client_request(c, verb, &args, false, &err);
		if (ret == 0)
			ret = watch(cli, c, cols, n, id, &err);
	} else {
		rows = client_list(c, verb, &args, false, &err);
		if (rows) {
			out_rows(cli, rows, cols, n, id);
			ret = 0;
		}
	}
	json_decref(rows);
	wr_free(&args);
	client_close(c);
	return ret < 0 ? cli_fail(cli, &err) : 0;
}
