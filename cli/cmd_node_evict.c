/* starling node evict PEER: a signed eviction, which every peer obeys. */
#include "cli/undo.h"

#include "base/text.h"
#include "gossip/trust/trust.h"

const struct cli_option cmd_node_evict_options[] = {
        {"yes", 'y', OPT_FLAG, NULL, "do not ask"},
        {0},
};

/* What `starling node ls` says of it. */
struct victim {
	char id[17], name[NAME_MAX_BYTES * 2];
	struct key32 key;
	struct key_array resting; /* peers that are admitted on its word: all of them stay */
	long long tasks;
};

static int look_up(struct client *c, const char *name, struct victim *v, struct err *err)
{
	json_t *row = node_find(c, name, err);
	struct wr args;
	int rc;

	if (!row)
		return -1;
	text_copy(v->id, sizeof(v->id), json_string_value(json_object_get(row, "id")));
	text_copy(v->name, sizeof(v->name), json_string_value(json_object_get(row, "name")));
	v->tasks = json_integer_value(json_object_get(row, "tasks"));
	json_decref(row);
	wr_init(&args, 128);
	pk_map(&args, 1);
	pk_kv_str(&args, "peer", v->id);
	rc = undo_lists(c, "peer", &args, &v->key, &v->resting, "resting", NULL, NULL, err);
	wr_free(&args);
	return rc;
}

int cmd_node_evict(struct cli *cli)
{
	struct victim v = {0};
	struct err err = {0};
	struct client *c;
	char what[512];
	int rc;

	if (!undo_may_ask(cli))
		return cli_usage(cli, "it puts %.80s out of the flock for good: say --yes", cli->args[0]);
	c = client_open(cli, &err);
	rc = c ? look_up(c, cli->args[0], &v, &err) : -1;
	if (rc == 0 && key32_eq(&v.key, &client_hello(c)->peer))
		rc = err_set(&err, ERR_USAGE,
		        "peer %s is the one that you ask: its own word on its eviction would reach nobody for sure; ask "
		        "another peer with --peer ADDR, or let it go in good order with `starling leave`",
		        v.name);
	snprintf(what, sizeof(what),
	        "put peer %.80s (%s) out of the flock for good, and run its %lld task%s elsewhere", v.name, v.id,
	        v.tasks, v.tasks == 1 ? "" : "s");
	if (rc == 0 && !undo_agreed(cli, what)) {
		client_close(c);
		free(v.resting.key);
		return ERR_FAILED;
	}
	if (rc == 0)
		rc = undo_submit(cli, c, trust_make_eviction, &v.key, &v.resting, &err);
	client_close(c);
	if (rc == 0) {
		fprintf(cli->out, "peer %s (%s) is evicted\n", v.name, v.id);
		cli_say(cli,
		        "Its sessions are closed, what it says no longer counts, its %lld task%s start%s elsewhere, and the "
		        "token that it joined with admits nobody more.",
		        v.tasks, v.tasks == 1 ? "" : "s", v.tasks == 1 ? "s" : "");
		if (v.resting.n)
			cli_say(cli, "%zu peer%s that joined by its word or with its token stay%s.", v.resting.n,
			        v.resting.n == 1 ? "" : "s", v.resting.n == 1 ? "s" : "");
		cli_say(cli,
		        "Secrets of the flock that it knew: none. What its tasks had in their environments it has "
		        "seen: change those.");
	}
	free(v.resting.key);
	return rc < 0 ? cli_fail(cli, &err) : 0;
}
