/* starling voters set PEER..., voters ls: whose sight decides for services with `partition: majority`. */
#include "cli/output.h"
#include "cli/setting.h"
#include "cli/undo.h"

#include "base/hash.h"
#include "base/text.h"

const struct cli_option cmd_voters_set_options[] = {{0}};
const struct cli_option cmd_voters_ls_options[] = {{0}};

static void warn_of_number(const struct cli *cli, size_t n)
{
	if (n < 3)
		cli_warn(cli,
		        "%zu voter%s: a majority of them is all of them, so the loss of one stops every service with "
		        "`partition: majority`; name 3 or 5",
		        n, n == 1 ? "" : "s");
	else if (n % 2 == 0)
		cli_warn(cli,
		        "%zu voters: an even number bears no more losses than %zu, and a split in halves stops both sides",
		        n, n - 1);
}

/* The key of the peer of that name; its shown name into name. */
static int voter_key(
        struct client *c, const char *text, struct key32 *key, char *name, size_t cap, struct err *err)
{
	struct key_array resting = {0};
	json_t *row = node_find(c, text, err);
	struct wr args;
	int rc;

	if (!row)
		return -1;
	text_copy(name, cap, json_string_value(json_object_get(row, "name")));
	wr_init(&args, 128);
	pk_map(&args, 1);
	pk_kv_str(&args, "peer", json_string_value(json_object_get(row, "id")));
	rc = undo_lists(c, "peer", &args, key, &resting, "resting", NULL, NULL, err);
	wr_free(&args);
	free(resting.key);
	json_decref(row);
	return rc;
}

static int by_key(const void *a, const void *b)
{
	return key32_cmp(a, b);
}

static int set_voters(struct cli *cli, struct client *c, struct err *err)
{
	struct key32 voters[VOTERS_MAX];
	char name[NAME_MAX_BYTES * 2];
	struct setting now;
	struct wr body;
	int rc;

	for (unsigned i = 0; i < cli->n_args; i++) {
		if (voter_key(c, cli->args[i], &voters[i], name, sizeof(name), err) < 0)
			return -1;
		for (unsigned k = 0; k < i; k++)
			if (key32_eq(&voters[i], &voters[k]))
				return err_set(err, ERR_USAGE, "peer %s stands twice", name);
	}
	qsort(voters, cli->n_args, sizeof(voters[0]), by_key);
	if (setting_get(c, SETTING_VOTERS, &now, err) < 0)
		return -1;
	wr_init(&body, SETTING_BYTES_MAX);
	voters_encode(&body, voters, cli->n_args);
	if (now.exists && body.len == now.body_len && memcmp(body.p, now.body, body.len) == 0) {
		cli_say(cli, "these are the voters already");
		rc = 0;
	} else {
		rc = setting_submit(cli, c, &now, &body, err);
	}
	wr_free(&body);
	return rc;
}

int cmd_voters_set(struct cli *cli)
{
	struct err err = {0};
	struct client *c = client_open(cli, &err);
	int rc = c ? set_voters(cli, c, &err) : -1;

	client_close(c);
	if (rc < 0)
		return cli_fail(cli, &err);
	warn_of_number(cli, cli->n_args);
	return 0;
}

/* One row per voter: as `node ls` shows it, or its id alone when it is not in sight. */
static json_t *voter_rows(const json_t *members, const struct key32 *voters, size_t n)
{
	json_t *rows = json_array();

	for (size_t v = 0; v < n; v++) {
		const json_t *found = NULL;
		const json_t *row;
		char id[17];
		size_t i;

		id64_text(id, key32_id(&voters[v]));
		json_array_foreach (members, i, row) {
			const char *has = json_string_value(json_object_get(row, "id"));

			if (has && strcmp(has, id) == 0)
				found = row;
		}
		json_array_append_new(rows,
		        json_pack("{s:s, s:s, s:s}", "name",
		                found ? json_string_value(json_object_get(found, "name")) : id, "id", id, "state",
		                found ? json_string_value(json_object_get(found, "state")) : "no member"));
	}
	return rows;
}

static const struct column cols[] = {
        {"NAME", "name", false, NULL},
        {"ID", "id", false, NULL},
        {"STATE", "state", false, NULL},
};

int cmd_voters_ls(struct cli *cli)
{
	struct err err = {0};
	struct client *c = client_open(cli, &err);
	struct key32 voters[VOTERS_MAX];
	json_t *members = NULL, *rows;
	struct setting now;
	size_t n = 0;
	int rc = c ? setting_get(c, SETTING_VOTERS, &now, &err) : -1;

	if (rc == 0 && now.exists)
		rc = voters_decode(voters, &n, now.body, now.body_len, &err);
	if (rc == 0)
		members = client_list(c, "members", NULL, false, &err);
	client_close(c);
	if (!members)
		return cli_fail(cli, &err);
	rows = voter_rows(members, voters, n);
	out_rows(cli, rows, cols, ARRAY_LEN(cols), "id");
	if (!n)
		cli_say(cli,
		        "no voters are named: services with `partition: majority` run nowhere until there are");
	json_decref(rows);
	json_decref(members);
	return 0;
}
