/* Verbs that show rows of the agent: once, or with --watch again after each change. */
#ifndef CLI_LIST_H
#define CLI_LIST_H

#include "cli/client.h"
#include "cli/output.h"

/* Asks verb, prints by cols; -q prints the field id. The exit code. stack: the argument of that name, or NULL. */
int list_verb(struct cli *cli, const char *verb, const char *stack, const struct column *cols, size_t n,
        const char *id);
/* A packed map {stack?: ..., watch?: true}; free with wr_free. */
void list_args(struct wr *w, const char *stack, bool watch);

/* A watched list says how many rows follow; they are under way already, so waiting longer than this many milliseconds
 * for the next of them means that the agent is stuck. */
#define REST_MS 5000
/* Waits up to ms for the next whole list after client_request(..., watch). 1 got it (rows is replaced), 0 none yet,
 * -1 with err. */
int list_next(struct client *c, json_t **rows, int64_t ms, struct err *err);

#endif
