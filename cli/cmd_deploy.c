/* starling deploy FILE: check, sign, hand over, wait. */
#include "cli/client.h"
#include "cli/output.h"
#include "cli/revision.h"
#include "cli/spec_file.h"
#include "cli/wait.h"

#include "base/hash.h"
#include "base/text.h"

#include <sodium.h>

const struct cli_option cmd_deploy_options[] = {
        SPEC_FILE_OPTIONS,
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

int cmd_deploy(struct cli *cli)
{
	struct submitted submitted = {0};
	struct err err = {0};
	struct arena arena;
	struct spec spec;
	int code;

	arena_init(&arena);
	code = spec_file_load(cli, &arena, &spec);
	if (code == 0 && submit(cli, &spec, &arena, &submitted, &err) < 0)
		code = cli_fail(cli, &err);
	else if (code == 0 && !cli->detach)
		code = wait_deployed(cli, spec.name, &spec, &submitted.id);
	if (!err.code && code != ERR_USAGE && cli->format == FORMAT_JSON)
		print_json(cli, &spec, &submitted);
	arena_free(&arena);
	return code;
}
