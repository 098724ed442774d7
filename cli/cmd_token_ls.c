/* starling token ls, revoke: the invites behind tokens. */
#include "cli/list.h"
#include "cli/undo.h"

#include "base/text.h"
#include "gossip/trust/trust.h"

const struct cli_option cmd_token_ls_options[] = {{0}};
const struct cli_option cmd_token_revoke_options[] = {{0}};

static void used_cell(char *out, size_t cap, const json_t *row)
{
	snprintf(out, cap, "%lld/%lld", json_integer_value(json_object_get(row, "used")),
	        json_integer_value(json_object_get(row, "uses")));
}

static const struct column cols[] = {
        {"TOKEN", "id", false, NULL},
        {"STATE", "state", false, NULL},
        {"USED", NULL, false, used_cell},
        {"PEERS", "peers", false, NULL},
        {"EXPIRES", "expires_at", false, NULL},
        {"CREATED-BY", "created_by_name", false, NULL},
        {"CREATED", "created_at", true, NULL},
};

int cmd_token_ls(struct cli *cli)
{
	return list_verb(cli, "tokens", NULL, cols, ARRAY_LEN(cols), "id");
}

/* A row of `tokens` by id or its beginning; NULL with err. */
static const json_t *pick_token(const json_t *rows, const char *id, struct err *err)
{
	const json_t *row, *found = NULL;
	size_t i, n = 0;

	json_array_foreach (rows, i, row)
		if (id_begins(json_string_value(json_object_get(row, "id")), id)) {
			found = row;
			n++;
		}
	if (n == 1)
		return found;
	err_set(err, n ? ERR_USAGE : ERR_FAILED,
	        n ? "several tokens' ids begin with %.80s; give more digits"
	          : "no token %.80s; see starling token ls",
	        id);
	return NULL;
}

static int find_token(struct client *c, const char *id, struct key32 *key, struct err *err)
{
	json_t *rows = client_list(c, "tokens", NULL, false, err);
	const json_t *row = rows ? pick_token(rows, id, err) : NULL;
	const char *hex = json_string_value(json_object_get(row, "key"));
	const char *state = json_string_value(json_object_get(row, "state"));
	int rc = row ? 0 : -1;

	if (row && state && strcmp(state, "revoked") == 0)
		rc = err_set(err, ERR_FAILED, "token %s is revoked already", id);
	else if (row && (!hex || !hex_decode(key->b, sizeof(key->b), hex)))
		rc = err_set(err, ERR_FAILED, "the agent's answer on token %s cannot be read", id);
	json_decref(rows);
	return rc;
}

int cmd_token_revoke(struct cli *cli)
{
	struct key_array heads = {0}, admissions = {0};
	struct err err = {0};
	struct client *c = client_open(cli, &err);
	struct key32 key;
	int rc = c ? find_token(c, cli->args[0], &key, &err) : -1;

	if (rc == 0)
		rc = undo_revocable(c, &key, &heads, &admissions, &err);
	/* Who joined with it stays. */
	if (rc == 0)
		rc = undo_submit(cli, c, trust_make_revocation, &key, &admissions, &err);
	client_close(c);
	if (rc == 0)
		cli_say(cli, "token %s admits nobody more; %zu peer%s that joined with it stay%s", cli->args[0],
		        admissions.n, admissions.n == 1 ? "" : "s", admissions.n == 1 ? "s" : "");
	free(heads.key);
	free(admissions.key);
	return rc < 0 ? cli_fail(cli, &err) : 0;
}
