/* starling key new, ls, grant: operators and what they may do. */
#include "cli/keys.h"

#include "cli/authoring.h"
#include "cli/client.h"
#include "cli/list.h"

#include "base/text.h"
#include "gossip/trust/trust.h"

#include <sodium.h>

const struct cli_option cmd_key_new_options[] = {
        {"name", 0, OPT_TEXT, "NAME", "a note in the file, for people (default: operator)"},
        {"root", 0, OPT_FLAG, NULL, "a root key, for init --successor and key succeed"},
        {"seal", 0, OPT_FLAG, NULL, "seal the file by a passphrase"},
        {0},
};
const struct cli_option cmd_key_ls_options[] = {
        {"all", 0, OPT_FLAG, NULL, "keys that were revoked too"},
        {0},
};
const struct cli_option cmd_key_grant_options[] = {
        {"role", 0, OPT_TEXT, "read|deploy|admin", "what it may do (default: deploy)"},
        {"stack", 0, OPT_LIST, "GLOB", "only stacks of these names, may repeat (default: all)"},
        {"power", 0, OPT_LIST, "POWER",
                "exec-as-root, privileged, host-binds, devices, host-network, priority or all; may repeat"},
        {0},
};

/* --peer needs the flock's id beside the key; where the caller's own key has it, the new one gets it too. A file that
 * is there already may be that of another flock, whose keys are kept there: it stays. */
static void keep_flock(const struct cli *cli, const char *path)
{
	struct cli of_new = {.key_path = path};
	struct key32 flock;
	struct err err;

	if (client_flock(&of_new, &flock, NULL) == 0 || client_flock(cli, &flock, NULL) < 0)
		return;
	if (flock_file_write(path, &flock, &err) < 0)
		cli_warn(cli, "the flock's id is not kept beside %s, which --peer needs: %s", path, err.text);
}

int cmd_key_new(struct cli *cli)
{
	const char *name = cli_text(cli, "name");
	const char *path = cli->args[0];
	bool root = cli_flag(cli, "root");
	struct keypair key;
	struct err err = {0};
	char hex[65];

	if (!name)
		name = root ? "root" : "operator";
	if (!text_is_label(name, true))
		return cli_usage(cli, "--name %.80s: a DNS label is needed: 1 to 63 of a-z, 0-9 and -", name);
	if ((cli_flag(cli, "seal") ? keyfile_create_sealed : keyfile_create)(
	            path, root ? "root" : "operator", name, &key, &err) < 0)
		return cli_fail(cli, &err);
	hex_encode(hex, key.public_key.b, sizeof(key.public_key.b));
	sodium_memzero(&key, sizeof(key));
	keep_flock(cli, path);
	fprintf(cli->out, "%s\n", hex);
	if (root)
		cli_say(cli,
		        "%s is the secret half; keep it where no network reaches. It succeeds a flock's root by: starling init "
		        "--successor %s, or starling --key ROOT-KEY key succeed %s",
		        path, hex, hex);
	else
		cli_say(cli, "%s is the secret half; an admin lets it act by: starling key grant %s NAME", path,
		        hex);
	return 0;
}

static const struct column cols[] = {
        {"KEY", "key", false, NULL},
        {"NAME", "name", false, NULL},
        {"ROLE", "role", false, NULL},
        {"STACKS", "stacks", false, NULL},
        {"POWERS", "powers", false, NULL},
};

static const struct column all_cols[] = {
        {"KEY", "key", false, NULL},
        {"NAME", "name", false, NULL},
        {"ROLE", "role", false, NULL},
        {"STACKS", "stacks", false, NULL},
        {"POWERS", "powers", false, NULL},
        {"STATE", "state", false, NULL},
};

static int list_all(struct cli *cli)
{
	struct err err = {0};
	struct client *c = client_open(cli, &err);
	json_t *rows = c ? key_rows(c, &err) : NULL;

	if (rows)
		out_rows(cli, rows, all_cols, ARRAY_LEN(all_cols), "key");
	json_decref(rows);
	client_close(c);
	return rows ? 0 : cli_fail(cli, &err);
}

int cmd_key_ls(struct cli *cli)
{
	if (cli_flag(cli, "all"))
		return cli->watch ? cli_usage(cli, "--all is shown once: leave --watch out") : list_all(cli);
	return list_verb(cli, "keys", NULL, cols, ARRAY_LEN(cols), "key");
}

static int read_role(enum role *out, const char *text, struct err *err)
{
	if (!text || strcmp(text, "deploy") == 0)
		*out = ROLE_DEPLOY;
	else if (strcmp(text, "read") == 0)
		*out = ROLE_READ;
	else if (strcmp(text, "admin") == 0)
		*out = ROLE_ADMIN;
	else
		return err_set(err, ERR_USAGE, "--role %s: read, deploy or admin", text);
	return 0;
}

static int read_powers(struct cli *cli, uint32_t *out, struct err *err)
{
	const char *text;

	for (size_t i = 0; (text = cli_list(cli, "power", i)); i++) {
		uint32_t power = 0;

		if (strcmp(text, "all") == 0)
			power = POWER_ALL;
		for (uint32_t p = 1; p < POWER_ALL; p <<= 1)
			if (strcmp(text, trust_power_name(p)) == 0)
				power = p;
		if (!power)
			return err_set(err, ERR_USAGE,
			        "--power %s: exec-as-root, privileged, host-binds, devices, host-network, priority or all",
			        text);
		*out |= power;
	}
	return 0;
}

static int read_globs(struct cli *cli, struct grant *g, struct err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-*?";
	const char *text;

	for (size_t i = 0; (text = cli_list(cli, "stack", i)); i++) {
		if (g->n_globs == GRANT_GLOBS_MAX)
			return err_set(err, ERR_USAGE, "--stack: given more than %d times", GRANT_GLOBS_MAX);
		if (!*text || strlen(text) >= sizeof(g->globs[0]) || strspn(text, allowed) != strlen(text))
			return err_set(err, ERR_USAGE,
			        "--stack %.80s: a stack's name, in which * and ? may stand", text);
		text_copy(g->globs[g->n_globs++], sizeof(g->globs[0]), text);
	}
	return 0;
}

static int read_grant(struct cli *cli, struct grant *g, struct err *err)
{
	*g = (struct grant){0};
	if (!text_is_label(cli->args[1], true))
		return err_set(err, ERR_USAGE, "name %.80s: a DNS label is needed: 1 to 63 of a-z, 0-9 and -",
		        cli->args[1]);
	text_copy(g->name, sizeof(g->name), cli->args[1]);
	if (read_key(&g->operator_key, cli->args[0], "operator", err) < 0 ||
	        read_role(&g->role, cli_text(cli, "role"), err) < 0 || read_powers(cli, &g->powers, err) < 0 ||
	        read_globs(cli, g, err) < 0)
		return -1;
	/* An admin grants powers to itself anyway; saying less would only look like a limit. */
	if (g->role == ROLE_ADMIN && (g->powers || g->n_globs))
		return err_set(err, ERR_USAGE,
		        "--role admin: an admin has all powers on all stacks; leave --power and --stack out");
	if (g->role == ROLE_ADMIN)
		g->powers = POWER_ALL;
	if (g->role == ROLE_READ && g->powers)
		return err_set(err, ERR_USAGE, "--role read: powers are for those who deploy; leave --power out");
	return 0;
}

static int submit_grant(struct cli *cli, const struct grant *g, struct err *err)
{
	struct client *c = client_open(cli, err);
	struct authoring a;
	struct wr record;
	int rc;

	if (!c)
		return -1;
	rc = authoring_begin(cli, c, &a, err);
	if (rc == 0) {
		wr_init(&record, RECORD_BYTES_MAX);
		trust_make_grant(&record, &client_hello(c)->flock, g, a.stamp, a.prev, a.n_prev, a.key.secret);
		rc = authoring_submit(cli, c, &record, err);
		wr_free(&record);
		authoring_end(&a);
	}
	client_close(c);
	return rc;
}

int cmd_key_grant(struct cli *cli)
{
	struct err err = {0};
	struct grant g;

	if (read_grant(cli, &g, &err) < 0 || submit_grant(cli, &g, &err) < 0)
		return cli_fail(cli, &err);
	cli_say(cli, "%s may act now; its holder needs --key FILE, and for --peer the file `flock` beside it",
	        g.name);
	return 0;
}
