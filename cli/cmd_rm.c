/* starling rm STACK: a signed removal, which no other revision outlives. */
#include "cli/address.h"
#include "cli/client.h"
#include "cli/revision.h"
#include "cli/wait.h"

#include <sodium.h>
#include <unistd.h>

const struct cli_option cmd_rm_options[] = {
        {"yes", 'y', OPT_FLAG, NULL, "do not ask"},
        {0},
};

/* True when the operator agrees. */
static bool ask(struct cli *cli, const char *stack)
{
	char line[16] = "";

	fprintf(cli->errors, "remove stack %s and stop its tasks? [y/N] ", stack);
	fflush(cli->errors);
	return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}

/* lost: names of peers out of reach that may go on running it. */
static int submit_removal(struct cli *cli, const char *stack, char lost[512], struct err *err)
{
	struct submitted submitted = {0};
	struct stack_head head;
	struct client *c = NULL;
	struct keypair key;
	struct arena arena;
	int ret = client_key(cli, &key, err);

	arena_init(&arena);
	if (ret == 0) {
		c = client_open(cli, err);
		ret = c ? stack_head_get(c, stack, &key.public_key, &arena, &head, err) : -1;
	}
	if (ret == 0 && !head.exists)
		ret = err_set(err, ERR_FAILED, "no stack %s; see starling ls", stack);
	else if (ret == 0 && head.removed && head.n_heads == 1)
		ret = err_set(err, ERR_FAILED, "stack %s is removed already", stack);
	if (ret == 0)
		ret = revision_submit(cli, c, &key, stack, NULL, &head, &submitted, err);
	if (ret == 0)
		memcpy(lost, head.lost, sizeof(head.lost));
	client_close(c);
	arena_free(&arena);
	sodium_memzero(&key, sizeof(key));
	return ret;
}

int cmd_rm(struct cli *cli)
{
	char lost[512] = "";
	struct err err = {0};
	struct address a;

	if (address_parse(&a, cli->args[0], ADDRESS_STACK, &err) < 0 || a.depth != ADDRESS_STACK)
		return cli_usage(cli, "%s: name a stack", cli->args[0]);
	if (!cli_flag(cli, "yes")) {
		if (!isatty(STDIN_FILENO))
			return cli_usage(cli, "it stops every task of %s: say --yes", a.stack);
		if (!ask(cli, a.stack))
			return ERR_FAILED;
	}
	if (submit_removal(cli, a.stack, lost, &err) < 0)
		return cli_fail(cli, &err);
	return cli->detach ? 0 : wait_removed(cli, a.stack, lost);
}
