/* Handing a signed record to the agent, and what is said of how durable it is: the same for every verb. */
#ifndef CLI_SUBMIT_H
#define CLI_SUBMIT_H

#include "cli/client.h"

struct submitted {
	struct key32 id;
	unsigned copies, wanted; /* peers that have it on disk, of how many that should */
	bool unchanged;          /* the head says the same already; nothing was written */
	char missing[512];       /* "p2 cannot be reached, p3 has not confirmed in time"; empty: nobody is */
};

/* Hands over a record and says on how many peers it is durable; what begins
 * the sentence: "stack web: revision 5, ". Fewer than should have
 * it are a warning that names the others; with --durable it waits, and fewer are ERR_TIMEOUT. */
int submit_record(const struct cli *cli, struct client *c, const struct wr *record, const char *what,
        struct submitted *out, struct err *err);
/* The same for a record that the agent has already, when --durable is given: is it on so many by now? */
int submit_again(const struct cli *cli, struct client *c, const struct key32 *id, const char *what,
        struct submitted *out, struct err *err);

#endif
