/* starling volume ls|inspect|rm: folders that peers keep for stacks, as their facts tell. */
#include "cli/list.h"

#include <unistd.h>

const struct cli_option cmd_volume_ls_options[] = {{0}};
const struct cli_option cmd_volume_inspect_options[] = {{0}};
const struct cli_option cmd_volume_rm_options[] = {
        {"force", 0, OPT_FLAG, NULL, "though a task uses it, or the stack wants it"},
        {"on", 0, OPT_TEXT, "PEER", "the peer's name or id, where several have one"},
        {"yes", 'y', OPT_FLAG, NULL, "do not ask"},
        {0},
};

static const char *text(const json_t *row, const char *key)
{
	const char *s = json_string_value(json_object_get(row, key));

	return s ? s : "";
}

static void services_cell(char *out, size_t cap, const json_t *row)
{
	const json_t *all = json_object_get(row, "services");
	const json_t *s;
	size_t i, used = 0;

	snprintf(out, cap, "-");
	json_array_foreach (all, i, s)
		if (used < cap)
			used += (size_t)snprintf(
			        out + used, cap - used, "%s%s", i ? "," : "", json_string_value(s));
}

static void state_cell(char *out, size_t cap, const json_t *row)
{
	snprintf(out, cap, json_is_true(json_object_get(row, "reachable")) ? "here" : "unreachable");
}

static const struct column cols[] = {
        {"STACK", "stack", false, NULL},
        {"NAME", "name", false, NULL},
        {"PEER", "peer_name", false, NULL},
        {"STATE", NULL, false, state_cell},
        {"WANTED BY", NULL, false, services_cell},
        {"PEER ID", "peer", true, NULL},
};

int cmd_volume_ls(struct cli *cli)
{
	return list_verb(cli, "volumes", NULL, cols, ARRAY_LEN(cols), "volume");
}

/* The rows of that volume. NULL with err; there is at least one else. */
static json_t *find(struct cli *cli, const char *on, struct err *err)
{
	struct client *c = client_open(cli, err);
	json_t *rows = c ? client_list(c, "volumes", NULL, false, err) : NULL;
	json_t *out = rows ? json_array() : NULL;
	const json_t *row;
	size_t i;

	client_close(c);
	json_array_foreach (rows, i, row)
		if (strcmp(text(row, "volume"), cli->args[0]) == 0 &&
		        (!on || strcmp(text(row, "peer"), on) == 0 || strcmp(text(row, "peer_name"), on) == 0))
			json_array_append(out, (json_t *)row);
	json_decref(rows);
	if (out && !json_array_size(out)) {
		err_set(err, ERR_FAILED, "no volume %s%s%s; see starling volume ls", cli->args[0],
		        on ? " on peer " : "", on ? on : "");
		json_decref(out);
		out = NULL;
	}
	return out;
}

int cmd_volume_inspect(struct cli *cli)
{
	struct err err = {0};
	json_t *rows = find(cli, NULL, &err);

	if (!rows)
		return cli_fail(cli, &err);
	json_dumpf(rows, cli->out, JSON_INDENT(2));
	fputc('\n', cli->out);
	json_decref(rows);
	return 0;
}

static bool agreed(struct cli *cli, const json_t *row)
{
	char line[16] = "";

	if (cli_flag(cli, "yes"))
		return true;
	fprintf(cli->errors, "delete volume %s on peer %s and all that is in it? [y/N] ", cli->args[0],
	        text(row, "peer_name"));
	fflush(cli->errors);
	return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}

static int remove_at(struct cli *cli, const json_t *row, struct err *err)
{
	struct client *c = client_open_through(cli, text(row, "peer"), text(row, "peer_name"), true, err);
	struct wr args;
	int rc;

	if (!c)
		return -1;
	wr_init(&args, 1024);
	pk_map(&args, 3);
	pk_kv_str(&args, "stack", text(row, "stack"));
	pk_kv_str(&args, "name", text(row, "name"));
	pk_kv_bool(&args, "force", cli_flag(cli, "force"));
	rc = client_call(c, "volume_rm", &args, true, NULL, NULL, NULL, 0, err);
	wr_free(&args);
	client_close(c);
	return rc;
}

int cmd_volume_rm(struct cli *cli)
{
	struct err err = {0};
	const json_t *row;
	json_t *rows;
	int code = 0;

	if (!cli_flag(cli, "yes") && !isatty(STDIN_FILENO))
		return cli_usage(cli, "it deletes all that is in %s: say --yes", cli->args[0]);
	rows = find(cli, cli_text(cli, "on"), &err);
	row = json_array_get(rows, 0);
	if (rows && json_array_size(rows) > 1)
		err_set(&err, ERR_USAGE, "volume rm: %zu peers have a volume %s; name one by --on PEER",
		        json_array_size(rows), cli->args[0]);
	else if (rows && !agreed(cli, row))
		err_set(&err, ERR_FAILED, "volume %s stays", cli->args[0]);
	else if (rows)
		remove_at(cli, row, &err);
	if (err.code)
		code = cli_fail(cli, &err);
	json_decref(rows);
	return code;
}
