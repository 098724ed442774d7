/* starling node ls: the peers of the flock. Peers of one name come as NAME~ID. */
#include "cli/list.h"

const struct cli_option cmd_node_ls_options[] = {{0}};

static void memory_cell(char *out, size_t cap, const json_t *row)
{
	out_bytes(out, cap, (uint64_t)json_integer_value(json_object_get(row, "memory_bytes")));
}

static void reserved_cell(char *out, size_t cap, const json_t *row)
{
	const json_t *reserved = json_object_get(row, "reserved");

	out_bytes(out, cap, (uint64_t)json_integer_value(json_object_get(reserved, "memory_bytes")));
}

static const struct column cols[] = {
        {"NAME", "name", false, NULL},
        {"ID", "id", false, NULL},
        {"ADDRESS", "address", false, NULL},
        {"STATE", "state", false, NULL},
        {"AVAILABILITY", "availability", false, NULL},
        {"TASKS", "tasks", false, NULL},
        {"CPUS", "cpus", false, NULL},
        {"MEMORY", NULL, false, memory_cell},
        {"VERSION", "version", false, NULL},
        {"ARCH", "arch", true, NULL},
        {"OS", "os", true, NULL},
        {"DRIVERS", "drivers", true, NULL},
        {"INCARNATION", "incarnation", true, NULL},
        {"LABELS", "labels", true, NULL},
        {"RESERVED CPUS", "reserved.cpus", true, NULL},
        {"RESERVED MEMORY", NULL, true, reserved_cell},
        {"RESOURCES", "resources", true, NULL},
};

int cmd_node_ls(struct cli *cli)
{
	return list_verb(cli, "members", NULL, cols, ARRAY_LEN(cols), "id");
}
