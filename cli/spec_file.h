/* The Compose file that a verb was given: read, checked, its faults shown. */
#ifndef CLI_SPEC_FILE_H
#define CLI_SPEC_FILE_H

#include "cli/cli.h"
#include "cli/compose/compose.h"

#include <jansson.h>

/* Options --file and --name, for the tables of verbs that take a file. */
#define SPEC_FILE_OPTIONS                                                                                        \
	{"file", 'f', OPT_LIST, "FILE", "the Compose file; - reads standard input"},                             \
	{                                                                                                        \
		"name", 0, OPT_TEXT, "STACK",                                                                    \
		        "the stack's name (default: the file's `name:`, else its folder's)"                      \
	}

/* FILE as an argument or as --file, exactly one. 0, or the exit code after everything was said. */
int spec_file_load(struct cli *cli, struct arena *arena, struct spec *spec);
/* The canonical form as JSON: what is signed, without defaults. */
json_t *spec_json(const struct spec *spec);

#endif
