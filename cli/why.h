/* Why a stack is not there yet: placement's reasons, and the last lines of the logs. */
#ifndef CLI_WHY_H
#define CLI_WHY_H

#include "cli/client.h"
#include "cli/slots.h"

/* Prints it for the first few rows of `ps` that lag behind the revision (16 hex digits). */
void why_lagging(struct cli *cli, const char *stack, const char *revision, const json_t *rows);
/* Prints nothing: of the first few rows without a task, how the one fares that is worst off. */
enum slots_fit why_fit(struct cli *cli, const char *stack, const char *revision, const json_t *rows);

#endif
