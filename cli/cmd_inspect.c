/* starling inspect: all that is known of a stack, a service, a slot or a peer, as JSON. */
#include "cli/address.h"
#include "cli/list.h"
#include "cli/undo.h"
#include "cli/revision.h"
#include "cli/spec_file.h"

#include "base/text.h"

const struct cli_option cmd_inspect_options[] = {
        {"revision", 0, OPT_TEXT, "ID", "that revision of the stack, whether or not it counts"},
        {0},
};

/* Rows of a list for which fields have these values; want of NULL: any. */
static json_t *matching(const json_t *rows, const char *field, const char *want)
{
	json_t *out = json_array();
	size_t i;
	json_t *row;

	json_array_foreach (rows, i, row) {
		const char *value = json_string_value(json_object_get(row, field));

		if (!want || (value && strcmp(value, want) == 0))
			json_array_append(out, row);
	}
	return out;
}

/* The canonical spec comes as bytes: shown as what they say. */
static int open_spec(json_t *stack, struct client *c, const char *name, struct err *err)
{
	struct stack_head head;
	struct arena arena;
	int ret;

	arena_init(&arena);
	ret = stack_head_get(c, name, NULL, &arena, &head, err);
	if (ret == 0)
		json_object_set_new(stack, "spec", head.have_spec ? spec_json(&head.spec) : json_null());
	arena_free(&arena);
	return ret;
}

/* Leaves only one service in the spec and the tasks. */
static int narrow(json_t *stack, const struct address *a, struct err *err)
{
	json_t *spec = json_object_get(stack, "spec");
	json_t *services = matching(json_object_get(spec, "services"), "name", a->service);
	json_t *tasks = matching(json_object_get(stack, "tasks"), "service", a->service);
	size_t i;

	if (!json_array_size(services) && !json_array_size(tasks)) {
		json_decref(services);
		json_decref(tasks);
		return err_set(err, ERR_FAILED, "stack %s has no service %s", a->stack, a->service);
	}
	for (i = json_array_size(tasks); a->depth == ADDRESS_SLOT && i-- > 0;)
		if (json_integer_value(json_object_get(json_array_get(tasks, i), "slot")) != a->slot)
			json_array_remove(tasks, i);
	json_object_set_new(spec, "services", services);
	json_object_set_new(stack, "tasks", tasks);
	return 0;
}

static json_t *inspect_stack(struct client *c, const struct address *a, struct err *err)
{
	json_t *stack;
	json_t *tasks;
	struct wr args;

	list_args(&args, a->stack, false);
	stack = client_get(c, "inspect", &args, true, err);
	tasks = stack ? client_list(c, "ps", &args, false, err) : NULL;
	wr_free(&args);
	if (tasks && json_object_set_new(stack, "tasks", tasks) == 0 && open_spec(stack, c, a->stack, err) == 0 &&
	        (a->depth == ADDRESS_STACK || narrow(stack, a, err) == 0))
		return stack;
	json_decref(stack);
	return NULL;
}

/* One revision alone: what would be signed by `deploy --revision`. */
static json_t *inspect_revision(struct client *c, const char *stack, const char *revision, struct err *err)
{
	char id[65], author[65];
	struct stack_head head;
	struct arena arena;
	json_t *value = NULL;

	arena_init(&arena);
	if (stack_revision_get(c, stack, revision, NULL, &arena, &head, err) == 0) {
		hex_encode(id, head.asked.b, sizeof(head.asked.b));
		hex_encode(author, head.author.b, sizeof(head.author.b));
		value = json_pack("{s:s, s:s, s:s, s:s, s:b, s:o}", "stack", stack, "revision", id, "author",
		        author, "author_name", head.author_name, "valid", head.counts, "spec",
		        head.have_spec ? spec_json(&head.spec) : json_null());
	}
	arena_free(&arena);
	return value;
}

int cmd_inspect(struct cli *cli)
{
	const char *revision = cli_text(cli, "revision");
	bool node = strcmp(cli->args[0], "node") == 0;
	struct client *c = NULL;
	struct err err = {0};
	json_t *value = NULL;
	struct address a;

	if (node != (cli->n_args == 2))
		return cli_usage(cli, "name one stack, service or slot, or `node PEER`");
	if (!node && address_parse(&a, cli->args[0], ADDRESS_STACK, &err) < 0)
		return cli_fail(cli, &err);
	if (revision && (node || a.depth != ADDRESS_STACK))
		return cli_usage(cli, "--revision is of a stack: starling inspect STACK --revision ID");
	c = client_open(cli, &err);
	if (c && revision)
		value = inspect_revision(c, a.stack, revision, &err);
	else if (c)
		value = node ? node_find(c, cli->args[1], &err) : inspect_stack(c, &a, &err);
	client_close(c);
	if (!value)
		return cli_fail(cli, &err);
	out_json(cli->out, value);
	json_decref(value);
	return 0;
}
