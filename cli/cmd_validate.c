/* starling validate FILE: everything that deploy would refuse, without a peer. */
#include "cli/output.h"
#include "cli/spec_file.h"

const struct cli_option cmd_validate_options[] = {
        SPEC_FILE_OPTIONS,
        {"print", 0, OPT_FLAG, NULL, "print the canonical form, which is what deploy signs, as JSON"},
        {0},
};

static size_t slots(const struct spec *spec)
{
	size_t n = 0;

	for (size_t i = 0; i < spec->n_services; i++)
		n += spec->services[i].mode == MODE_GLOBAL ? 0 : spec->services[i].replicas;
	return n;
}

int cmd_validate(struct cli *cli)
{
	struct arena arena;
	struct spec spec;
	int code;

	arena_init(&arena);
	code = spec_file_load(cli, &arena, &spec);
	if (code == 0 && cli_flag(cli, "print")) {
		json_t *value = spec_json(&spec);

		out_json(cli->out, value);
		json_decref(value);
	} else if (code == 0) {
		cli_say(cli, "stack %s is valid: %zu service%s, %zu slot%s", spec.name, spec.n_services,
		        spec.n_services == 1 ? "" : "s", slots(&spec), slots(&spec) == 1 ? "" : "s");
	}
	arena_free(&arena);
	return code;
}
