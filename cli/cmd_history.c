/* starling history STACK: its revisions, newest first. */
#include "cli/list.h"

const struct cli_option cmd_history_options[] = {{0}};

static void id_cell(char *out, size_t cap, const json_t *row)
{
	const char *id = json_string_value(json_object_get(row, "revision"));

	snprintf(out, cap, "%.16s", id ? id : "-");
}

static void author_cell(char *out, size_t cap, const json_t *row)
{
	const char *name = json_string_value(json_object_get(row, "author_name"));
	const char *key = json_string_value(json_object_get(row, "author"));

	snprintf(out, cap, "%.63s%s",
	        name && *name ? name
	        : key         ? key
	                      : "-",
	        json_is_true(json_object_get(row, "author_revoked")) ? " (revoked)" : "");
}

static void parents_cell(char *out, size_t cap, const json_t *row)
{
	size_t len = 0;
	size_t i;
	const json_t *p;

	snprintf(out, cap, "-");
	json_array_foreach (json_object_get(row, "parents"), i, p) {
		if (json_is_string(p) && len < cap)
			len += (size_t)snprintf(
			        out + len, cap - len, "%s%.16s", len ? "," : "", json_string_value(p));
	}
}

/* What an operator asks of a revision: does it run, was it a removal, does it count and why not. */
static void state_cell(char *out, size_t cap, const json_t *row)
{
	bool is_void = json_is_false(json_object_get(row, "valid"));

	snprintf(out, cap, "%s%s%s",
	        is_void                                         ? "quarantined"
	        : json_is_true(json_object_get(row, "current")) ? "current"
	                                                        : "past",
	        json_is_true(json_object_get(row, "removed")) ? ", removal" : "",
	        json_is_true(json_object_get(row, "conflict")) ? ", conflict" : "");
}

static const struct column cols[] = {
        {"REVISION", NULL, false, id_cell},
        {"TIME", "time", false, NULL},
        {"AUTHOR", NULL, false, author_cell},
        {"STATE", NULL, false, state_cell},
        {"PARENTS", NULL, true, parents_cell},
        {"BODY", "body", true, NULL},
};

/* Tables are narrow: the reasons stand below. */
static void say_quarantined(const struct cli *cli, const json_t *rows)
{
	const json_t *row;
	size_t i, n = 0;

	if (cli->format == FORMAT_JSON)
		return;
	json_array_foreach (rows, i, row) {
		const char *why = json_string_value(json_object_get(row, "why"));
		const char *id = json_string_value(json_object_get(row, "revision"));

		if (!why || !*why || !id)
			continue;
		cli_say(cli, "%.16s does not count: %s", id, why);
		n++;
	}
	if (n)
		cli_say(cli,
		        "To look at one: starling inspect %s --revision ID; to sign it again, with your key: starling deploy %s "
		        "--revision ID",
		        cli->args[0], cli->args[0]);
}

int cmd_history(struct cli *cli)
{
	struct err err = {0};
	struct client *c = client_open(cli, &err);
	json_t *rows = NULL;
	struct wr args;

	if (!c)
		return cli_fail(cli, &err);
	list_args(&args, cli->args[0], false);
	rows = client_list(c, "history", &args, false, &err);
	wr_free(&args);
	client_close(c);
	/* A stack that was ever there has a revision for ever. */
	if (rows && !json_array_size(rows)) {
		err_set(&err, ERR_FAILED, "no stack %s was ever here; see starling ls", cli->args[0]);
		json_decref(rows);
		rows = NULL;
	}
	if (!rows)
		return cli_fail(cli, &err);
	out_rows(cli, rows, cols, ARRAY_LEN(cols), "revision");
	say_quarantined(cli, rows);
	json_decref(rows);
	return 0;
}
