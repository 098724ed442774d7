/* starling explain STACK/SERVICE[/SLOT]: why a slot is where it is, peer by peer. */
#include "cli/address.h"
#include "cli/client.h"
#include "cli/output.h"
#include "placement/place.h"

const struct cli_option cmd_explain_options[] = {{0}};

static const char *text_of(const json_t *row, const char *field)
{
	const char *text = json_string_value(json_object_get(row, field));

	return text ? text : "";
}

static uint64_t number_of(const json_t *row, const char *field)
{
	return (uint64_t)json_integer_value(json_object_get(row, field));
}

/* What matters of a peer: it has the slot; how full it is, when it may take it; why it may not. */
static void verdict_cell(char *out, size_t cap, const json_t *peer)
{
	const char *detail = text_of(peer, "detail");
	json_int_t number = json_integer_value(json_object_get(peer, "number"));

	if (number)
		snprintf(out, cap, "%s%s%s%s", text_of(peer, "reason"), *detail ? ": " : "", detail,
		        !json_is_true(json_object_get(peer, "here"))                ? ""
		        : number == REASON_NOT_ALIVE && strcmp(detail, "dead") == 0 ? "; it had it last"
		                                                                    : "; it has it now");
	else
		snprintf(
		        out, cap, "%s", json_is_true(json_object_get(peer, "here")) ? "has it" : "could take it");
}

static void number_cell(char *out, size_t cap, const json_t *peer)
{
	json_int_t number = json_integer_value(json_object_get(peer, "number"));

	if (number)
		snprintf(out, cap, "%lld", (long long)number);
	else
		snprintf(out, cap, "-");
}

static void free_cell(char *out, size_t cap, const json_t *peer)
{
	const json_t *f = json_object_get(peer, "free");
	char has[32], of[32];

	if (!json_is_object(f)) {
		snprintf(out, cap, "-");
		return;
	}
	out_bytes(has, sizeof(has), number_of(f, "memory_bytes"));
	out_bytes(of, sizeof(of), number_of(f, "memory_bytes_of"));
	snprintf(out, cap, "%g of %g cpus, %s of %s", (double)number_of(f, "cpu_milli") / 1000,
	        (double)number_of(f, "cpu_milli_of") / 1000, has, of);
}

static const struct column cols[] = {
        {"PEER", "name", false, NULL},
        {"NUMBER", NULL, false, number_cell},
        {"VERDICT", NULL, false, verdict_cell},
        {"TASKS", "tasks", false, NULL},
        {"NOT RESERVED", NULL, false, free_cell},
};

static void print_slot(const struct cli *cli, const struct address *a, const json_t *item)
{
	if (!cli->quiet)
		fprintf(cli->out, "%s/%s/%llu %s\n", a->stack, a->service,
		        (unsigned long long)number_of(item, "slot"), text_of(item, "why"));
	out_rows(cli, json_object_get(item, "peers"), cols, ARRAY_LEN(cols), "name");
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
		json_array_foreach (items, i, item) {
			if (i && !cli->quiet)
				fputc('\n', cli->out);
			print_slot(cli, &a, item);
		}
		if (number_of(json_array_get(items, 0), "more"))
			cli_say(cli,
			        "\n%llu more slots of it are not shown; name one: starling explain %s/%s/SLOT",
			        (unsigned long long)number_of(json_array_get(items, 0), "more"), a.stack,
			        a.service);
	}
	json_decref(items);
	return 0;
}
