/* Why a stack is not there yet: placement's reasons, and the last lines of the logs. */
#ifndef CLI_WHY_H
#define CLI_WHY_H

#include "cli/client.h"

/* Prints it for the first few rows of `ps` that lag behind the revision (16 hex digits). Gives whether some slot fits on
 * no peer at all. */
bool why_lagging(struct cli *cli, const char *stack, const char *revision, const json_t *rows);

#endif
