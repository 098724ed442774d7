/* starling version */
#include "cli/output.h"

const struct cli_option cmd_version_options[] = {{0}};

int cmd_version(struct cli *cli)
{
	json_t *v;

	if (cli->format != FORMAT_JSON) {
		fprintf(cli->out, "%s%s\n", cli->quiet ? "" : "starling ", STARLING_VERSION);
		return 0;
	}
	v = json_pack("{s:s}", "version", STARLING_VERSION);
	out_json(cli->out, v);
	json_decref(v);
	return 0;
}
