/* starling ps: tasks, and slots without one. */
#include "cli/list.h"

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
        {"REASON", "reason", false, NULL},
};

int cmd_ps(struct cli *cli)
{
	return list_verb(cli, "ps", cli->n_args ? cli->args[0] : NULL, cols, ARRAY_LEN(cols), "task");
}
