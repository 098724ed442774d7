/* starling ls: the stacks of the flock. */
#include "cli/list.h"

const struct cli_option cmd_ls_options[] = {{0}};

static const struct column cols[] = {
        {"STACK", "stack", false, NULL},
        {"REVISION", "revision", false, NULL},
        {"SERVICES", "services", false, NULL},
        {"DESIRED", "desired", false, NULL},
        {"RUNNING", "running", false, NULL},
        {"HEALTHY", "healthy", false, NULL},
        {"CONFLICT", "conflict", false, NULL},
        {"QUARANTINED", "quarantined", false, NULL},
        {"UPDATE", "update", false, NULL},
};

int cmd_ls(struct cli *cli)
{
	return list_verb(cli, "stacks", NULL, cols, ARRAY_LEN(cols), "stack");
}
