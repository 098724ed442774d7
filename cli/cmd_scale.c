/* starling scale STACK/SERVICE=N...: a revision that differs in replicas alone. */
#include "cli/address.h"
#include "cli/client.h"
#include "cli/revision.h"
#include "cli/wait.h"

#include "base/text.h"

#include <sodium.h>

const struct cli_option cmd_scale_options[] = {{0}};

/* "STACK/SERVICE=N"; out borrows nothing. */
static int parse(struct address *out, uint32_t *replicas, const char *arg, struct err *err)
{
	const char *eq = strchr(arg, '=');
	char left[2 * NAME_MAX_BYTES + 32];
	uint64_t n;

	if (!eq || (size_t)(eq - arg) >= sizeof(left) || !text_u64(eq + 1, 0, SERVICE_REPLICAS_MAX, &n))
		return err_set(err, ERR_USAGE, "%s: write it as STACK/SERVICE=N, N from 0 to %d", arg,
		        SERVICE_REPLICAS_MAX);
	text_copy(left, (size_t)(eq - arg) + 1, arg);
	*replicas = (uint32_t)n;
	return address_parse(out, left, ADDRESS_SERVICE, err);
}

static int change(struct spec *spec, const struct address *a, uint32_t replicas, struct err *err)
{
	struct service *s = (struct service *)spec_service(spec, a->service);

	if (!s)
		return err_set(err, ERR_USAGE, "stack %s has no service %s; see starling inspect %s", a->stack,
		        a->service, a->stack);
	if (s->mode == MODE_GLOBAL)
		return err_set(
		        err, ERR_USAGE, "%s/%s is global: it has one task on each peer", a->stack, a->service);
	s->replicas = replicas;
	return 0;
}

static int scale(struct cli *cli, struct arena *arena, struct stack_head *head, struct submitted *out,
        char *stack, struct err *err)
{
	struct client *c = NULL;
	struct keypair key;
	int ret = client_key(cli, &key, err);

	for (unsigned i = 0; ret == 0 && i < cli->n_args; i++) {
		struct address a;
		uint32_t replicas = 0;

		ret = parse(&a, &replicas, cli->args[i], err);
		if (ret == 0 && i == 0) {
			text_copy(stack, NAME_MAX_BYTES, a.stack);
			c = client_open(cli, err);
			ret = c ? stack_head_get(c, stack, &key.public_key, arena, head, err) : -1;
			if (ret == 0 && (!head->exists || head->removed))
				ret = err_set(err, ERR_FAILED, "no stack %s; see starling ls", stack);
			else if (ret == 0 && !head->have_spec)
				ret = err_set(err, ERR_FAILED,
				        "this peer does not have stack %s's spec yet, or this key may not read it; "
				        "try again, or ask an admin for a grant",
				        stack);
			if (ret == 0)
				ret = stack_head_may_resign(head, stack, &key.public_key, err);
		} else if (ret == 0 && strcmp(a.stack, stack) != 0) {
			ret = err_set(err, ERR_USAGE, "%s: one stack at a time", cli->args[i]);
		}
		if (ret == 0)
			ret = change(&head->spec, &a, replicas, err);
	}
	if (ret == 0)
		ret = revision_submit(cli, c, &key, stack, &head->spec, head, out, err);
	client_close(c);
	sodium_memzero(&key, sizeof(key));
	return ret;
}

int cmd_scale(struct cli *cli)
{
	struct submitted submitted = {0};
	struct stack_head head;
	struct err err = {0};
	struct arena arena;
	char stack[NAME_MAX_BYTES];
	int code = 0;

	arena_init(&arena);
	if (scale(cli, &arena, &head, &submitted, stack, &err) < 0)
		code = cli_fail(cli, &err);
	else if (!cli->detach)
		code = wait_deployed(cli, stack, &head.spec, &submitted.id);
	arena_free(&arena);
	return code;
}
