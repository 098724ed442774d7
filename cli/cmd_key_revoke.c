/* starling key revoke NAME|KEY: what the key signed up to now stays, whatever it signs from now on is void. */
#include "cli/undo.h"

#include "base/hash.h"
#include "base/text.h"
#include "gossip/trust/trust.h"

const struct cli_option cmd_key_revoke_options[] = {
        {"yes", 'y', OPT_FLAG, NULL, "do not ask"},
        {0},
};

/* An operator by name or by key; a name that two keys have is refused. */
static int find_key(struct client *c, const char *name, struct key32 *key, struct err *err)
{
	json_t *rows = client_list(c, "keys", NULL, false, err);
	json_t *row;
	size_t n = 0, i;

	if (!rows)
		return -1;
	json_array_foreach (rows, i, row) {
		const char *hex = json_string_value(json_object_get(row, "key"));
		const char *shown = json_string_value(json_object_get(row, "name"));

		if (hex && shown && (strcmp(hex, name) == 0 || strcmp(shown, name) == 0))
			n += hex_decode(key->b, sizeof(key->b), hex);
	}
	json_decref(rows);
	if (n > 1)
		return err_set(err, ERR_USAGE,
		        "%zu keys are called %.80s; give its 64 digits as starling key ls -o "
		        "json shows them",
		        n, name);
	return n ? 0 : err_set(err, ERR_FAILED, "no key %.80s acts in this flock; see starling key ls", name);
}

static void show(struct cli *cli, const struct key_array *heads, const struct key_array *admissions)
{
	char id[17];

	cli_say(cli, "What it signed up to and with these records stays, as this peer knows them:");
	for (size_t i = 0; i < heads->n; i++) {
		id64_text(id, key32_id(&heads->key[i]));
		cli_say(cli, "  %s", id);
	}
	if (!heads->n)
		cli_say(cli, "  (it has signed nothing)");
	if (admissions->n)
		cli_say(cli, "and %zu peer%s that it admitted itself.", admissions->n,
		        admissions->n == 1 ? "" : "s");
	cli_say(cli, "Everything else of it is void. Tokens that it made stay good: see starling token ls.");
}

static void append(struct key_array *to, const struct key_array *from)
{
	if (!from->n)
		return;
	to->key = xrealloc(to->key, (to->n + from->n) * sizeof(*to->key));
	memcpy(to->key + to->n, from->key, from->n * sizeof(*to->key));
	to->n += from->n;
}

int cmd_key_revoke(struct cli *cli)
{
	struct key_array heads = {0}, admissions = {0};
	struct err err = {0};
	struct client *c;
	struct key32 key;
	char what[128];
	bool agreed = true;
	int rc;

	if (!undo_may_ask(cli))
		return cli_usage(cli, "whatever %.80s signs from now on is void: say --yes", cli->args[0]);
	c = client_open(cli, &err);
	rc = c ? find_key(c, cli->args[0], &key, &err) : -1;
	if (rc == 0)
		rc = undo_revocable(c, &key, &heads, &admissions, &err);
	if (rc == 0) {
		show(cli, &heads, &admissions);
		snprintf(what, sizeof(what), "revoke key %.80s", cli->args[0]);
		agreed = undo_agreed(cli, what);
	}
	append(&heads, &admissions);
	if (rc == 0 && agreed)
		rc = undo_submit(cli, c, trust_make_revocation, &key, &heads, &err);
	client_close(c);
	free(heads.key);
	free(admissions.key);
	if (rc < 0)
		return cli_fail(cli, &err);
	if (!agreed)
		return ERR_FAILED;
	cli_say(cli, "key %s is revoked", cli->args[0]);
	return 0;
}
