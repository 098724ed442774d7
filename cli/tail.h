/* The log of one task, from the peer that runs it. */
#ifndef CLI_TAIL_H
#define CLI_TAIL_H

#include "cli/client.h"

struct tail_line {
	wall_ms at;
	bool is_stderr;
	const char *text;
	size_t len;
};

/* Where the peers of a flock are: id -> address, for the rows of `ps`. */
struct peers;
struct peers *peers_get(struct client *c, struct err *err);
void peers_free(struct peers *p);
/* A connection to the peer with this id (16 hex digits): to the one that c speaks to, or to another by its address. */
struct client *peers_open(
        const struct peers *p, const struct cli *cli, const struct client *c, const char *id, struct err *err);

/* Asks for a task's lines. tail: at most so many of the last ones, UINT64_MAX all. since: 0 all. */
int tail_request(struct client *c, const char *task, uint64_t tail, wall_ms since, bool follow, struct err *err);
/* Reads an item of the answer; out's text points into it. False: malformed. */
bool tail_read(const uint8_t *bytes, size_t len, struct tail_line *out);

#endif
