/* starling ps: tasks, and slots without one. */
#include "cli/list.h"

#include "base/text.h"

const struct cli_option cmd_ps_options[] = {{0}};

static void slot_cell(char *out, size_t cap, const json_t *row)
{
	snprintf(out, cap, "%s/%s/%lld", json_string_value(json_object_get(row, "stack")),
	        json_string_value(json_object_get(row, "service")),
	        (long long)json_integer_value(json_object_get(row, "slot")));
}

static void endpoints_cell(char *out, size_t cap, const json_t *row)
{
	size_t len = 0;
	size_t i;
	const json_t *e;

	snprintf(out, cap, "-");
	json_array_foreach (json_object_get(row, "endpoints"), i, e) {
		const char *address = json_string_value(json_object_get(e, "address"));
		bool v6 = address && strchr(address, ':');

		if (address && len < cap)
			len += (size_t)snprintf(out + len, cap - len, "%s%s%s%s:%lld/%s", len ? " " : "",
			        v6 ? "[" : "", address, v6 ? "]" : "",
			        (long long)json_integer_value(json_object_get(e, "port")),
			        json_string_value(json_object_get(e, "proto")));
	}
}

static void started_cell(char *out, size_t cap, const json_t *row)
{
	out_age(out, cap, json_string_value(json_object_get(row, "started_at")), clock_wall());
}

static void exit_cell(char *out, size_t cap, const json_t *row)
{
	const json_t *e = json_object_get(row, "exit");
	const json_t *signal = json_object_get(e, "signal");

	if (!json_is_object(e))
		snprintf(out, cap, "-");
	else if (json_is_integer(signal))
		snprintf(out, cap, "signal %lld%s", (long long)json_integer_value(signal),
		        json_is_true(json_object_get(e, "oom")) ? " (out of memory)" : "");
	else
		snprintf(out, cap, "%lld", (long long)json_integer_value(json_object_get(e, "code")));
}

/* A task that is to be tried again says when. */
static void reason_cell(char *out, size_t cap, const json_t *row)
{
	const char *reason = json_string_value(json_object_get(row, "reason"));
	const char *retry = json_string_value(json_object_get(row, "retry_at"));
	wall_ms at;

	snprintf(out, cap, "%s", reason && *reason ? reason : "-");
	if (retry && text_time_parse(retry, &at))
		snprintf(out, cap, "%s%stries again in %lld s", reason ? reason : "",
		        reason && *reason ? "; " : "",
		        (long long)MAX((at - clock_wall() + 999) / 1000, (wall_ms)0));
}

static const struct column cols[] = {
        {"SLOT", NULL, false, slot_cell},
        {"TASK", "task", false, NULL},
        {"PEER", "peer_name", false, NULL},
        {"STATE", "state", false, NULL},
        {"HEALTH", "health", false, NULL},
        {"STARTED", NULL, false, started_cell},
        {"RESTARTS", "restarts", false, NULL},
        {"EXIT", NULL, true, exit_cell},
        {"PID", "pid", true, NULL},
        {"DRIVER", "driver", true, NULL},
        {"REVISION", "revision", true, NULL},
        {"ENDPOINTS", NULL, false, endpoints_cell},
        {"REASON", NULL, false, reason_cell},
};

static bool has_stack(const json_t *rows, const char *stack)
{
	const json_t *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		const char *name = json_string_value(json_object_get(row, "stack"));

		if (name && strcmp(name, stack) == 0)
			return true;
	}
	return false;
}

/* Is there such a stack, or a task that is left of it? -1: it cannot be asked. */
static int is_known(const struct cli *cli, const char *stack, struct err *err)
{
	struct client *c = client_open(cli, err);
	json_t *stacks = c ? client_list(c, "stacks", NULL, false, err) : NULL;
	json_t *tasks = NULL;
	struct wr args;
	int known = -1;

	if (stacks && !has_stack(stacks, stack)) {
		list_args(&args, stack, false);
		tasks = client_list(c, "ps", &args, false, err);
		wr_free(&args);
		known = tasks ? json_array_size(tasks) > 0 : -1;
	} else if (stacks) {
		known = 1;
	}
	json_decref(stacks);
	json_decref(tasks);
	client_close(c);
	return known;
}

int cmd_ps(struct cli *cli)
{
	const char *stack = cli->n_args ? cli->args[0] : NULL;
	struct err err = {0};
	int known = stack && !cli->watch ? is_known(cli, stack, &err) : 1;

	if (known < 0)
		return cli_fail(cli, &err);
	if (known)
		return list_verb(cli, "ps", stack, cols, ARRAY_LEN(cols), "task");
	if (cli->format == FORMAT_JSON)
		fputs("[]\n", cli->out);
	err_set(&err, ERR_FAILED, "no stack %.80s here; `starling ls` lists what there is", stack);
	return cli_fail(cli, &err);
}
