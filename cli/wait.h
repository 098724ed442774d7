/* Waiting until a stack runs a revision, or until a removed one is gone; with progress. */
#ifndef CLI_WAIT_H
#define CLI_WAIT_H

#include "cli/client.h"
#include "placement/spec/spec.h"

/* Milliseconds that deploy, scale and rm wait unless --timeout says other: five minutes, enough for slow starters. */
#define WAIT_TIMEOUT_MS MINUTES(5)

/* Until every slot of spec runs that revision and is healthy. Prints progress, and on failure why: placement's
 * reasons, the last lines of the tasks' logs. The exit code: 0, 1, 4, 6, or 130 after Ctrl-C. */
int wait_deployed(struct cli *cli, const char *stack, const struct spec *spec, const struct key32 *revision);
/* Until no task of the stack is left that a peer within reach knows of. 0, 1, 6, 7 when peers that ran some were lost
 * before (lost names them) or meanwhile (they are named too), or 130. */
int wait_removed(struct cli *cli, const char *stack, const char *lost);

#endif
