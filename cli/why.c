#include "cli/why.h"

#include "cli/output.h"
#include "cli/slots.h"
#include "cli/tail.h"

/* Slots explained, and log lines of each, when a deployment fails. */
#define EXPLAIN_MAX   3
#define EXPLAIN_LINES 5

struct why {
	struct cli *cli;
	struct client *c;
	const char *stack;
};

static void print_log(const struct why *w, const json_t *row)
{
	const char *task = json_string_value(json_object_get(row, "task"));
	const char *peer = json_string_value(json_object_get(row, "peer"));
	const char *name = json_string_value(json_object_get(row, "peer_name"));
	struct err err = {0};
	struct client *c =
	        task && peer ? client_open_through(w->cli, peer, name ? name : peer, true, &err) : NULL;
	mono_ms until = clock_mono() + SECONDS(3);

	if (c && tail_ask(c, &(struct tail_request){.task = task, .tail = EXPLAIN_LINES}, &err) == 0) {
		struct tail_line line;
		struct reply r;

		while (client_next(c, MAX(until - clock_mono(), (int64_t)0), &r, &err) > 0 &&
		        r.kind == REPLY_ITEM) {
			if (!tail_read(r.value, r.value_len, &line))
				continue;
			fputs("    | ", w->cli->errors);
			out_safe(w->cli->errors, line.text, line.len, w->cli->errors_tty);
			fputc('\n', w->cli->errors);
		}
	}
	client_close(c);
}

/* The answer of `explain` on a row's slot. NULL: none. */
static json_t *explain(const struct why *w, const json_t *row)
{
	const char *service = json_string_value(json_object_get(row, "service"));
	json_int_t slot = json_integer_value(json_object_get(row, "slot"));
	struct err err = {0};
	struct wr args;
	json_t *items;

	wr_init(&args, 1024);
	pk_map(&args, 3);
	pk_kv_str(&args, "stack", w->stack);
	pk_kv_str(&args, "service", service);
	pk_kv_u64(&args, "slot", (uint64_t)slot);
	items = client_list(w->c, "explain", &args, false, &err);
	wr_free(&args);
	return items;
}

static void print_peer(FILE *out, const json_t *p)
{
	const char *detail = json_string_value(json_object_get(p, "detail"));

	fprintf(out, "    %s: %s%s%s\n", json_string_value(json_object_get(p, "name")),
	        json_string_value(json_object_get(p, "reason")), detail && *detail ? ": " : "",
	        detail ? detail : "");
}

static void print_reasons(const struct why *w, const json_t *row)
{
	json_t *items = explain(w, row);
	size_t i;
	size_t k;
	const json_t *item;
	const json_t *p;

	json_array_foreach (items, i, item)
		json_array_foreach (json_object_get(item, "peers"), k, p)
			print_peer(w->cli->errors, p);
	json_decref(items);
}

enum slots_fit why_fit(struct cli *cli, const char *stack, const char *revision, const json_t *rows)
{
	struct err err = {0};
	struct why w = {cli, client_open(cli, &err), stack};
	enum slots_fit worst = FIT_SOMEWHERE;
	unsigned asked = 0;
	size_t i;
	const json_t *row;

	json_array_foreach (rows, i, row) {
		json_t *items;

		if (!w.c || !slots_row_lags(row, revision) || json_is_string(json_object_get(row, "task")) ||
		        asked++ >= EXPLAIN_MAX)
			continue;
		items = explain(&w, row);
		worst = MAX(worst, slots_fit(items));
		json_decref(items);
	}
	client_close(w.c);
	return worst;
}

void why_lagging(struct cli *cli, const char *stack, const char *revision, const json_t *rows)
{
	struct err err = {0};
	struct client *c = client_open(cli, &err);
	struct why w = {cli, c, stack};
	unsigned shown = 0;
	size_t i;
	const json_t *row;

	json_array_foreach (rows, i, row) {
		const char *reason = json_string_value(json_object_get(row, "reason"));

		if (!slots_row_lags(row, revision) || shown++ >= EXPLAIN_MAX)
			continue;
		fprintf(cli->errors, "  %s/%s/%lld: %s%s%s\n", stack,
		        json_string_value(json_object_get(row, "service")),
		        (long long)json_integer_value(json_object_get(row, "slot")),
		        json_string_value(json_object_get(row, "state")), reason && *reason ? ": " : "",
		        reason ? reason : "");
		if (!c)
			continue;
		if (json_is_string(json_object_get(row, "task")))
			print_log(&w, row);
		else
			print_reasons(&w, row);
	}
	if (shown > EXPLAIN_MAX)
		fprintf(cli->errors, "  and %u more; see starling ps %s\n", shown - EXPLAIN_MAX, stack);
	client_close(c);
}
