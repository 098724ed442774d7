/* starling key seal, unseal FILE: the same key, behind a passphrase or bare. */
#include "cli/cli.h"

#include "node/keyfile.h"

const struct cli_option cmd_key_seal_options[] = {{0}};
const struct cli_option cmd_key_unseal_options[] = {{0}};

static int change(struct cli *cli, bool seal)
{
	const char *path = cli->args[0];
	struct err err = {0};
	bool was;

	if (keyfile_seal(path, seal, &was, &err) < 0)
		return cli_fail(cli, &err);
	if (was)
		cli_say(cli, "%s is %s already", path, seal ? "sealed" : "bare");
	else if (seal)
		cli_say(cli,
		        "%s is sealed. Copies made before are not, nor is what the disk still holds of the old file; without the "
		        "passphrase the key is lost",
		        path);
	else
		cli_say(cli, "%s is bare: whoever reads it can use it", path);
	return 0;
}

int cmd_key_seal(struct cli *cli)
{
	return change(cli, true);
}

int cmd_key_unseal(struct cli *cli)
{
	return change(cli, false);
}
