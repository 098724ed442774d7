/* --since, as logs and events take it. */
#ifndef CLI_SINCE_H
#define CLI_SINCE_H

#include "cli/cli.h"

/* "10m": so long ago; or a time in UTC, with milliseconds or without. 0 in *out: not given. */
int since_read(const struct cli *cli, wall_ms *out, struct err *err);

#endif
