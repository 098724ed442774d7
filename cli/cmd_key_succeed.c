/* starling key succeed KEY: the root, whose key --key names, names the key that stands above it from now on. */
#include "cli/authoring.h"
#include "cli/keys.h"
#include "cli/undo.h"

#include "base/hash.h"
#include "base/text.h"
#include "gossip/trust/trust.h"

const struct cli_option cmd_key_succeed_options[] = {
        {"yes", 'y', OPT_FLAG, NULL, "do not ask"},
        {0},
};

static int submit(struct cli *cli, struct client *c, const struct key32 *successor, struct err *err)
{
	struct authoring a;
	struct wr record;
	int rc;

	if (authoring_begin(cli, c, &a, err) < 0)
		return -1;
	wr_init(&record, RECORD_BYTES_MAX);
	trust_make_succession(
	        &record, &client_hello(c)->flock, successor, a.stamp, a.prev, a.n_prev, a.key.secret);
	rc = authoring_submit(cli, c, &record, err);
	wr_free(&record);
	authoring_end(&a);
	return rc;
}

int cmd_key_succeed(struct cli *cli)
{
	struct err err = {0};
	struct key32 successor;
	char id[17], what[160];
	struct client *c;
	int rc;

	if (read_key(&successor, cli->args[0], "root", &err) < 0)
		return cli_fail(cli, &err);
	id64_text(id, key32_id(&successor));
	if (!undo_may_ask(cli))
		return cli_usage(cli, "it puts key %s above the root for good: say --yes", id);
	snprintf(what, sizeof(what), "put key %s above the flock's root, for good", id);
	if (!undo_agreed(cli, what))
		return ERR_FAILED;
	c = client_open(cli, &err);
	rc = c ? submit(cli, c, &successor, &err) : -1;
	client_close(c);
	if (rc < 0)
		return cli_fail(cli, &err);
	cli_say(cli,
	        "key %s is root now, above the one that named it. To retire that one: starling --key NEW-ROOT-KEY key revoke "
	        "NAME, with the name that starling key ls shows; then destroy every copy of it",
	        id);
	return 0;
}
