#include "cli/spec_file.h"

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
