/* starling key revoke NAME|KEY: what the key signed up to now stays, whatever it signs from now on is void. */
#include "cli/keys.h"
#include "cli/undo.h"

#include "base/hash.h"
#include "base/text.h"
#include "gossip/trust/trust.h"

const struct cli_option cmd_key_revoke_options[] = {
        {"keep", 0, OPT_LIST, "RECORD",
                "only what it signed up to that record stays, may repeat; `none`: nothing (default: all that is known)"},
        {"yes", 'y', OPT_FLAG, NULL, "do not ask"},
        {0},
};

/* The record of the key whose id begins so. */
static int find_record(const json_t *rows, const char *prefix, struct key32 *out, struct err *err)
{
	const json_t *row;
	size_t i, n = 0;

	json_array_foreach (rows, i, row) {
		const char *hex = json_string_value(json_object_get(row, "record"));

		if (hex && strncmp(hex, prefix, strlen(prefix)) == 0)
			n += hex_decode(out->b, sizeof(out->b), hex);
	}
	if (n == 1)
		return 0;
	return err_set(err, ERR_USAGE, "--keep %.64s: %s records of that key begin so; see starling key history",
	        prefix, n ? "several" : "no");
}

/* --keep: the records up to which its history stays, instead of all that is known of it. */
static int take_kept(
        struct cli *cli, struct client *c, const struct key32 *key, struct key_array *heads, struct err *err)
{
	const char *text = cli_list(cli, "keep", 0);
	json_t *rows;
	int rc = 0;

	if (!text)
		return 0;
	heads->n = 0;
	if (strcmp(text, "none") == 0 && !cli_list(cli, "keep", 1))
		return 0;
	rows = key_signed(c, key, err);
	if (!rows)
		return -1;
	for (size_t i = 0; rc == 0 && (text = cli_list(cli, "keep", i)); i++) {
		heads->key = xrealloc(heads->key, (heads->n + 1) * sizeof(*heads->key));
		rc = find_record(rows, text, &heads->key[heads->n++], err);
	}
	json_decref(rows);
	return rc;
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
		cli_say(cli, "  (none)");
	if (admissions->n)
		cli_say(cli, "and %zu peer%s that it admitted itself.", admissions->n,
		        admissions->n == 1 ? "" : "s");
	cli_say(cli, "Everything else of it is void, kept, and shown by starling key history.%s",
	        cli_list(cli, "keep", 0) ? "" : " Tokens that it made stay good: see starling token ls.");
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
	rc = c ? key_find(c, cli->args[0], false, &key, &err) : -1;
	if (rc == 0)
		rc = undo_revocable(c, &key, &heads, &admissions, &err);
	if (rc == 0)
		rc = take_kept(cli, c, &key, &heads, &err);
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
