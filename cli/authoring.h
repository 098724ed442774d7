/* Operators' records other than revisions: what the next one must name, and handing it to the agent. */
#ifndef CLI_AUTHORING_H
#define CLI_AUTHORING_H

#include "cli/client.h"
#include "gossip/store/record.h"

struct authoring {
	struct keypair key; /* an operator's, or the root key: --key may name either */
	uint64_t stamp;
	size_t n_prev;
	struct key32 prev[RECORD_REFS_MAX]; /* the author's previous heads */
};

/* Loads --key and asks the agent for the rest. Wipe with authoring_end(). */
int authoring_begin(const struct cli *cli, struct client *c, struct authoring *out, struct err *err);
void authoring_end(struct authoring *a);
/* Submits an encoded record: see submit_record(). */
int authoring_submit(const struct cli *cli, struct client *c, const struct wr *record, struct err *err);

/* Writes a flock's id beside an operator's key, where client_flock() looks for it. */
int flock_file_write(const char *key_path, const struct key32 *flock, struct err *err);

#endif
