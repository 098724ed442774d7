/* starling key history NAME|KEY: what a key signed, newest first. */
#include "cli/keys.h"
#include "cli/output.h"

const struct cli_option cmd_key_history_options[] = {{0}};

static void id_cell(char *out, size_t cap, const json_t *row)
{
	const char *id = json_string_value(json_object_get(row, "record"));

	snprintf(out, cap, "%.16s", id ? id : "-");
}

static const struct column cols[] = {
        {"RECORD", NULL, false, id_cell},
        {"TIME", "time", false, NULL},
        {"WHAT", "what", false, NULL},
        {"COUNTS", "valid", false, NULL},
        {"WHY", "why", true, NULL},
};

int cmd_key_history(struct cli *cli)
{
	struct err err = {0};
	struct client *c = client_open(cli, &err);
	struct key32 key;
	json_t *rows = NULL;

	if (c && key_find(c, cli->args[0], true, &key, &err) == 0)
		rows = key_signed(c, &key, &err);
	client_close(c);
	if (!rows)
		return cli_fail(cli, &err);
	out_rows(cli, rows, cols, ARRAY_LEN(cols), "record");
	json_decref(rows);
	return 0;
}
