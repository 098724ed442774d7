/* Lines of tasks' logs, from a peer that runs them. */
#ifndef CLI_TAIL_H
#define CLI_TAIL_H

#include "cli/address.h"
#include "cli/client.h"

struct tail_line {
	wall_ms at;
	bool is_stderr;
	bool live; /* no line: the past is told, what comes from now on is new */
	char service[NAME_MAX_BYTES];
	uint32_t slot;
	id64 task;
	const char *text;
	size_t len;
};

struct tail_request {
	const struct address *of; /* of which tasks, by stack, service, slot */
	const char *task;         /* or of one, by its id; of is NULL then */
	uint64_t tail;            /* at most so many of the last lines of each, UINT64_MAX all */
	wall_ms since;            /* 0 all */
	bool follow;
};

/* Asks the peer at the other end. */
int tail_ask(struct client *c, const struct tail_request *t, struct err *err);
/* Reads an item of the answer; out's text points into it. False: malformed. */
bool tail_read(const uint8_t *bytes, size_t len, struct tail_line *out);

#endif
