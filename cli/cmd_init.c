/* starling init: makes a flock of this host alone. */
#include "cli/authoring.h"
#include "cli/client.h"
#include "cli/keys.h"

#include "base/hash.h"
#include "base/text.h"
#include "node/newpeer.h"

const struct cli_option cmd_init_options[] = {
        {"name", 0, OPT_TEXT, "NAME", "the flock's name, a DNS label"},
        {"successor", 0, OPT_TEXT, "KEY",
                "a root key above this flock's, 64 digits or a file (key new --root): for the day that one is lost or stolen"},
        {"seal", 0, OPT_FLAG, NULL, "seal the keys that are made, but the peer's, by one passphrase"},
        {0},
};

static void tell(struct cli *cli, const char *name, const struct founded *f, const struct key32 *successor)
{
	char flock[65], peer[17], above[128] = "";

	hex_encode(flock, f->flock.b, sizeof(f->flock.b));
	id64_text(peer, key32_id(&f->peer));
	if (successor) {
		snprintf(above, sizeof(above), "  above it      ");
		hex_encode(above + strlen(above), successor->b, sizeof(successor->b));
		above[strlen(above)] = '\n';
	}
	if (cli->quiet) {
		fprintf(cli->out, "%s\n", flock);
		return;
	}
	fprintf(cli->out,
	        "flock %s is founded; this host is its first peer, %s\n"
	        "  flock id      %s\n"
	        "  operator key  %s (%s; may do everything but revoke the root)\n"
	        "  root key      %s\n%s"
	        "Move the root key off this host now, to where no network reaches: whoever holds it owns the flock,\n"
	        "and it is needed only to replace a lost or stolen operator key.\n"
	        "Next: starling agent --data %s\n",
	        name, peer, flock, cli->key_path, f->made_admin ? "new" : "was there", f->root_path, above,
	        cli->data_dir);
}

int cmd_init(struct cli *cli)
{
	const char *name = cli_text(cli, "name");
	const char *successor = cli_text(cli, "successor");
	struct found_options options = {.seal = cli_flag(cli, "seal")};
	char flock_file[FLOCK_PATH_MAX];
	struct key32 above;
	struct founded f;
	struct err err = {0};

	if (!name)
		return cli_usage(cli, "give the flock a name: --name NAME");
	if (successor && read_key(&above, successor, "root", &err) < 0)
		return cli_fail(cli, &err);
	if (successor)
		options.successor = &above;
	client_flock_path(flock_file, cli->key_path);
	options.flock_file = flock_file;
	if (flock_found(&f, cli->data_dir, name, cli->key_path, clock_wall(), &options, &err) < 0)
		return cli_fail(cli, &err);
	/* The flock stands; without this file only --peer does not work. */
	if (flock_file_write(cli->key_path, &f.flock, &err) < 0)
		cli_warn(cli, "the flock's id is not kept beside the operator key, which --peer needs: %s",
		        err.text);
	tell(cli, name, &f, options.successor);
	return 0;
}
