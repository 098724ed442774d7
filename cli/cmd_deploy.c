/* starling deploy FILE, or --revision ID STACK: check, sign, hand over, wait. */
#include "cli/address.h"
#include "cli/client.h"
#include "cli/output.h"
#include "cli/revision.h"
#include "cli/spec_file.h"
#include "cli/undo.h"
#include "cli/wait.h"

#include "base/hash.h"
#include "base/text.h"
#include "gossip/trust/trust.h"

#include <sodium.h>

const struct cli_option cmd_deploy_options[] = {
        SPEC_FILE_OPTIONS,
        {"revision", 0, OPT_TEXT, "ID", "deploy that revision of the STACK that is named instead of a file"},
        {"yes", 'y', OPT_FLAG, NULL, "--revision: do not ask before lending this key's powers"},
        {0},
};

/* Signs and submits; everything that needs the key happens here, so that it is wiped soon. */
static int submit(struct cli *cli, struct spec *spec, struct arena *arena, struct submitted *out, struct err *err)
{
	struct client *c = NULL;
	struct stack_head head;
	struct keypair key;
	int ret = client_key(cli, &key, err);

	if (ret == 0) {
		c = client_open(cli, err);
		ret = c ? 0 : -1;
	}
	if (ret == 0)
		ret = stack_head_get(c, spec->name, &key.public_key, arena, &head, err);
	if (ret == 0)
		ret = revision_submit(cli, c, &key, spec->name, spec, &head, out, err);
	client_close(c);
	sodium_memzero(&key, sizeof(key));
	return ret;
}

/* What the services of another's revision would get of this key by its signature: that has to be wanted. */
static int agree_powers(
        struct cli *cli, const struct stack_head *head, const struct key32 *author, struct err *err)
{
	char what[512] = "sign it";

	if (stack_head_may_resign(head, head->spec.name, author, NULL) == 0)
		return 0;
	for (size_t i = 0; i < head->spec.n_services; i++) {
		uint32_t lacks = service_powers(&head->spec.services[i]) & ~head->author_powers;

		for (uint32_t p = 1; p < POWER_ALL; p <<= 1)
			if (lacks & p)
				cli_warn(cli,
				        "service %s asks for the power %s, which its author does not have and your "
				        "signature would lend it",
				        head->spec.services[i].name, trust_power_name(p));
	}
	if (!undo_may_ask(cli))
		return err_set(err, ERR_USAGE,
		        "read it first (starling inspect --revision); to sign it nevertheless say --yes");
	return undo_agreed(cli, what) ? 0 : err_set(err, ERR_FAILED, "nothing was signed");
}

/* A past revision, or one that does not count, becomes the next: with the winner as its parent, and the one that was
 * quarantined, so that everybody sees that somebody looked at it. */
static int submit_revision(struct cli *cli, const char *stack, struct stack_head *head, struct arena *arena,
        struct submitted *out, struct err *err)
{
	struct client *c = NULL;
	struct keypair key;
	int ret = client_key(cli, &key, err);

	if (ret == 0) {
		c = client_open(cli, err);
		ret = c ? stack_revision_get(
		                  c, stack, cli_text(cli, "revision"), &key.public_key, arena, head, err)
		        : -1;
	}
	if (ret == 0 && !head->have_spec)
		ret = err_set(err, ERR_FAILED,
		        "stack %s: the spec of that revision is not here: it removed the stack, is older than the last 20, "
		        "or this key may not read it",
		        stack);
	if (ret == 0)
		ret = agree_powers(cli, head, &key.public_key, err);
	if (ret == 0 && !head->counts && head->n_heads < RECORD_REFS_MAX) {
		head->heads[head->n_heads++] = head->asked;
		head->n_adopted = 1;
	}
	if (ret == 0)
		ret = revision_submit(cli, c, &key, stack, &head->spec, head, out, err);
	client_close(c);
	sodium_memzero(&key, sizeof(key));
	return ret;
}

/* For scripts: which revision, and on how many peers. */
static void print_json(const struct cli *cli, const struct spec *spec, const struct submitted *s)
{
	char revision[17];
	json_t *v;

	id64_text(revision, key32_id(&s->id));
	v = json_pack("{s:s, s:s, s:i, s:i, s:s, s:b}", "stack", spec->name, "revision", revision, "copies",
	        (int)s->copies, "wanted", (int)s->wanted, "missing", s->missing, "unchanged", s->unchanged);
	out_json(cli->out, v);
	json_decref(v);
}

static int deploy_again(struct cli *cli, struct arena *arena, struct spec *spec, struct submitted *out)
{
	struct stack_head head;
	struct err err = {0};
	struct address a;

	if (cli->n_args != 1 || address_parse(&a, cli->args[0], ADDRESS_STACK, &err) < 0 ||
	        a.depth != ADDRESS_STACK)
		return cli_usage(cli, "with --revision name a stack, not a file");
	if (submit_revision(cli, a.stack, &head, arena, out, &err) < 0)
		return cli_fail(cli, &err);
	*spec = head.spec;
	return 0;
}

static int deploy_file(struct cli *cli, struct arena *arena, struct spec *spec, struct submitted *out)
{
	struct err err = {0};
	int code = spec_file_load(cli, arena, spec);

	if (code == 0 && submit(cli, spec, arena, out, &err) < 0)
		code = cli_fail(cli, &err);
	return code;
}

int cmd_deploy(struct cli *cli)
{
	struct submitted submitted = {0};
	struct arena arena;
	struct spec spec;
	bool signed_it;
	int code;

	arena_init(&arena);
	code = (cli_text(cli, "revision") ? deploy_again : deploy_file)(cli, &arena, &spec, &submitted);
	signed_it = code == 0;
	if (code == 0 && !cli->detach)
		code = wait_deployed(cli, spec.name, &spec, &submitted.id);
	if (signed_it && cli->format == FORMAT_JSON)
		print_json(cli, &spec, &submitted);
	arena_free(&arena);
	return code;
}
