/* starling status: this peer. */
#include "cli/client.h"
#include "cli/output.h"

const struct cli_option cmd_status_options[] = {{0}};

int cmd_status(struct cli *cli)
{
	struct err err = {0};
	struct client *c = client_open(cli, &err);
	json_t *status = c ? client_get(c, "status", NULL, false, &err) : NULL;

	if (!status) {
		client_close(c);
		return cli_fail(cli, &err);
	}
	if (cli->quiet)
		fprintf(cli->out, "%s\n", json_string_value(json_object_get(status, "state")));
	else
		out_object(cli, status);
	if (!strcmp(json_string_value(json_object_get(status, "state")), "waiting"))
		cli_warn(cli, "not ready: %s", json_string_value(json_object_get(status, "reason")));
	else if (json_is_string(json_object_get(status, "reason")))
		cli_warn(cli,
		        "this peer is out of the flock: %s. To bring the host back: stop the agent, remove %s, and join with a "
		        "new token",
		        json_string_value(json_object_get(status, "reason")),
		        json_string_value(json_object_get(status, "data")));
	json_decref(status);
	client_close(c);
	return 0;
}
