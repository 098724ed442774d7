/* starling leave: this host's tasks go elsewhere, and its agent ends. */
#include "cli/undo.h"

const struct cli_option cmd_leave_options[] = {
        {"yes", 'y', OPT_FLAG, NULL, "do not ask"},
        {0},
};

/* Milliseconds that other peers have to take over, unless --timeout says otherwise. */
#define PATIENCE MINUTES(1)
/* Milliseconds beyond it until the agent must have ended: its tasks' grace periods. */
#define ENDING_MAX SECONDS(45)

static int request(struct client *c, int64_t patience, struct err *err)
{
	struct wr args;
	int rc;

	wr_init(&args, 128);
	pk_map(&args, 1);
	pk_kv_u64(&args, "patience", (uint64_t)patience);
	rc = client_call(c, "leave", &args, true, NULL, NULL, NULL, CLIENT_TIMEOUT_MS, err);
	wr_free(&args);
	return rc;
}

/* The connection ends with the agent. */
static int wait_for_end(struct client *c, int64_t ms, struct err *err)
{
	mono_ms until = clock_mono() + ms;
	struct reply r;
	struct err gone;

	while (clock_mono() < until)
		if (client_next(c, MAX(until - clock_mono(), 0), &r, &gone) < 0)
			return 0;
	return err_set(err, ERR_TIMEOUT, "the agent still runs; see its log, and starling ps");
}

int cmd_leave(struct cli *cli)
{
	int64_t patience = cli->timeout_ms ? cli->timeout_ms : PATIENCE;
	struct err err = {0};
	struct client *c;
	char what[256];
	int rc;

	if (cli->peer)
		return cli_usage(cli, "it is for the host that it runs on: leave --peer out");
	if (!undo_may_ask(cli))
		return cli_usage(cli, "it stops this host's tasks and its agent: say --yes");
	c = client_open(cli, &err);
	if (!c)
		return cli_fail(cli, &err);
	snprintf(what, sizeof(what), "peer %.80s leaves: its tasks go elsewhere and its agent ends",
	        client_hello(c)->peer_name);
	if (!undo_agreed(cli, what)) {
		client_close(c);
		return ERR_FAILED;
	}
	rc = request(c, patience, &err);
	if (rc == 0 && !cli->detach)
		rc = wait_for_end(c, patience + ENDING_MAX, &err);
	if (rc == 0)
		cli_say(cli,
		        "peer %s %s. Its agent, started again, takes part again; to put it out for good: starling node evict",
		        client_hello(c)->peer_name, cli->detach ? "is leaving" : "has left");
	client_close(c);
	return rc < 0 ? cli_fail(cli, &err) : 0;
}
