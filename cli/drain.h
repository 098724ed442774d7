/* Waiting until a peer that drains runs nothing any more. */
#ifndef CLI_DRAIN_H
#define CLI_DRAIN_H

#include "cli/client.h"

/* A line for each task that was handed over, and for each that cannot be, with why. The exit code: 0 none is left,
 * ERR_UNPLACEABLE all that is left fits nowhere, ERR_TIMEOUT. id: the peer's, 16 hex digits. */
int drain_wait(struct cli *cli, const char *id, const char *name);

#endif
