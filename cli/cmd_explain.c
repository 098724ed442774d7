/* starling explain STACK/SERVICE[/SLOT]: why a slot is where it is, peer by peer. */
#include "cli/address.h"
#include "cli/client.h"
#include "cli/output.h"

const struct cli_option cmd_explain_options[] = {{0}};

static void print_slot(const struct cli *cli, const struct address *a, const json_t *item)
{
	const char *owner = json_string_value(json_object_get(item, "owner"));
	size_t n_candidates = json_array_size(json_object_get(item, "candidates"));
	char candidates[256];
	size_t i;
	const json_t *p;

	out_cell(candidates, sizeof(candidates), item, "candidates");
	fprintf(cli->out, "%s/%s/%lld: ", a->stack, a->service,
	        (long long)json_integer_value(json_object_get(item, "slot")));
	if (owner)
		fprintf(cli->out, "runs on %s\n", owner);
	else if (n_candidates)
		fprintf(cli->out, "runs nowhere yet; next in turn: %s\n", candidates);
	else
		fprintf(cli->out, "fits on no peer\n");
	json_array_foreach (json_object_get(item, "peers"), i, p)
		fprintf(cli->out, "  %-20s %2lld  %s\n", json_string_value(json_object_get(p, "name")),
		        (long long)json_integer_value(json_object_get(p, "number")),
		        json_string_value(json_object_get(p, "reason")));
}

int cmd_explain(struct cli *cli)
{
	struct client *c = NULL;
	struct err err = {0};
	json_t *items = NULL;
	struct address a;
	struct wr args;
	size_t i;
	const json_t *item;

	if (address_parse(&a, cli->args[0], ADDRESS_SERVICE, &err) < 0)
		return cli_fail(cli, &err);
	wr_init(&args, 1024);
	pk_map(&args, a.depth == ADDRESS_SLOT ? 3 : 2);
	pk_kv_str(&args, "stack", a.stack);
	pk_kv_str(&args, "service", a.service);
	if (a.depth == ADDRESS_SLOT)
		pk_kv_u64(&args, "slot", a.slot);
	c = client_open(cli, &err);
	if (c)
		items = client_list(c, "explain", &args, false, &err);
	wr_free(&args);
	client_close(c);
	if (!items)
		return cli_fail(cli, &err);
	if (cli->format == FORMAT_JSON) {
		out_json(cli->out, items);
	} else {
		json_array_foreach (items, i, item)
			print_slot(cli, &a, item);
	}
	json_decref(items);
	return 0;
}
