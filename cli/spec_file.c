#include "cli/spec_file.h"

#include "base/limits.h"
#include "cli/client.h"

int spec_file_load(struct cli *cli, struct arena *arena, struct spec *spec)
{
	const char *file = cli_list(cli, "file", 0);
	struct diags diags;
	int ret;

	if (cli_list(cli, "file", 1) || (file && cli->n_args))
		return cli_usage(cli, "one file at a time; merging several comes later");
	if (!file && !cli->n_args)
		return cli_usage(cli, "which file? usage: starling %s FILE", cli->verb->name);
	if (!file)
		file = cli->args[0];
	diags_init(&diags, arena);
	ret = compose_load(file, cli_text(cli, "name"), &compose_io_system, arena, spec, &diags);
	diags_print(cli->errors, &diags);
	if (ret == 0)
		return 0;
	fprintf(cli->errors, "starling %s: %zu error%s in %s\n", cli->verb->name, diags.errors,
	        diags.errors == 1 ? "" : "s", file);
	return ERR_USAGE;
}

json_t *spec_json(const struct spec *spec)
{
	json_t *versioned;
	json_t *value;
	struct wr w;

	wr_init(&w, BODY_BYTES_MAX);
	spec_encode(&w, spec); /* [version, map] */
	versioned = value_json(w.p, w.len);
	value = json_incref(json_array_get(versioned, 1));
	json_decref(versioned);
	wr_free(&w);
	return value;
}
