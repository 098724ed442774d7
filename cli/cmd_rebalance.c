/* starling rebalance: evens out what peers carry, now; --plan shows what would move. */
#include "cli/output.h"
#include "cli/setting.h"

const struct cli_option cmd_rebalance_options[] = {
        {"plan", 0, OPT_FLAG, NULL, "only show what would move, and how full each peer is before and after"},
        {0},
};

static const char *text_of(const json_t *row, const char *field)
{
	const char *text = json_string_value(json_object_get(row, field));

	return text ? text : "";
}

/* Rows of that kind: "move", or peers. */
static json_t *of_kind(const json_t *rows, const char *kind)
{
	json_t *out = json_array();
	const json_t *row;
	size_t i;

	json_array_foreach (rows, i, row)
		if (strcmp(text_of(row, "kind"), kind) == 0)
			json_array_append(out, (json_t *)row);
	return out;
}

static const struct column move_cols[] = {
        {"STACK", "stack", false, NULL},
        {"SERVICE", "service", false, NULL},
        {"SLOT", "slot", false, NULL},
        {"FROM", "from", false, NULL},
        {"TO", "to", false, NULL},
};

static const struct column peer_cols[] = {
        {"PEER", "name", false, NULL},
        {"TASKS", "tasks", false, NULL},
        {"FULL %", "full_percent", false, NULL},
        {"TASKS THEN", "then.tasks", false, NULL},
        {"FULL % THEN", "then.full_percent", false, NULL},
};

/* One row per peer, with what it would carry beside what it does. */
static json_t *pair_up(const json_t *rows)
{
	json_t *now = of_kind(rows, "now"), *then = of_kind(rows, "then");
	size_t i;
	json_t *row;

	json_array_foreach (now, i, row)
		json_object_set(row, "then", json_array_get(then, i));
	json_decref(then);
	return now;
}

static void print_plan(const struct cli *cli, const json_t *rows)
{
	json_t *moves = of_kind(rows, "move"), *peers = pair_up(rows);
	size_t n = json_array_size(moves);

	if (cli->format == FORMAT_JSON) {
		json_t *both = json_pack("{s:O, s:O}", "moves", moves, "peers", peers);

		out_json(cli->out, both);
		json_decref(both);
	} else if (cli->quiet) {
		fprintf(cli->out, "%zu\n", n);
	} else {
		if (n) {
			fprintf(cli->out, "%zu slot%s would move, by handover:\n", n, n == 1 ? "" : "s");
			out_rows(cli, moves, move_cols, ARRAY_LEN(move_cols), "slot");
		} else {
			fputs("the flock is even: nothing would move\n", cli->out);
		}
		fputc('\n', cli->out);
		out_rows(cli, peers, peer_cols, ARRAY_LEN(peer_cols), "name");
	}
	json_decref(moves);
	json_decref(peers);
}

static int plan(struct cli *cli, struct client *c, struct err *err)
{
	json_t *rows = client_list(c, "rebalance", NULL, false, err);

	if (!rows)
		return -1;
	print_plan(cli, rows);
	json_decref(rows);
	return 0;
}

static int order(struct cli *cli, struct client *c, struct err *err)
{
	struct setting now;
	struct wr body;
	int rc;

	if (setting_get(c, SETTING_REBALANCE, &now, err) < 0)
		return -1;
	wr_init(&body, SETTING_BYTES_MAX);
	rebalance_encode(&body);
	rc = setting_submit(cli, c, &now, &body, err);
	wr_free(&body);
	if (rc == 0)
		cli_say(cli,
		        "owners hand over what makes the flock uneven, if anything does, a few slots at a time; "
		        "`starling ps` shows it, `starling rebalance --plan` what is left");
	return rc;
}

int cmd_rebalance(struct cli *cli)
{
	struct err err = {0};
	struct client *c = client_open(cli, &err);
	int rc = !c ? -1 : (cli_flag(cli, "plan") ? plan : order)(cli, c, &err);

	client_close(c);
	return rc < 0 ? cli_fail(cli, &err) : 0;
}
