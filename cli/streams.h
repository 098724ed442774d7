/*
 * Answers of several peers that go on for long, merged by time: what `logs` and `events` show. One connection per peer,
 * each through the peer that the CLI speaks to. Of each at most one item is held, so that memory does not grow and a slow
 * terminal slows the peers down, whatever there is to say.
 */
#ifndef CLI_STREAMS_H
#define CLI_STREAMS_H

#include "cli/client.h"

/* Peers at once: each is a connection of the peer that relays, of which it gives 128. */
#define STREAMS_MAX 120

struct stream {
	char id[17]; /* the peer */
	char name[2 * NAME_MAX_BYTES];
	struct client *c; /* NULL: it has ended */
	bool live;        /* it has told its past */
	bool have;        /* item holds its next one */
	bool heard;       /* an item came, the last one of the time `at` */
	wall_ms at;
	struct reply item; /* bytes valid until the next is taken */
};

struct streams {
	struct cli *cli;
	size_t n;
	struct stream *all[STREAMS_MAX];
	unsigned unreachable;  /* peers that could not be asked, or broke off */
	unsigned unauthorised; /* peers that said that the key may not */
	/* What kind of item it is; -1: malformed. */
	int (*read)(const uint8_t *bytes, size_t len, wall_ms *at, bool *live);
	/* Asks a peer, over a fresh connection. */
	int (*ask)(struct streams *s, struct stream *one, struct err *err);
	bool own; /* the operator's key is proved to each peer, end to end */
	void *ctx;
};

/* Asks this peer too, unless it is asked already; a failure is said and counted. */
void streams_add(struct streams *s, const char *id, const char *name);
/* The oldest item of all that are there: NULL with *over when every peer has ended; else none for now, and streams_wait()
 * waits for one. An item is taken off by streams_take(). */
struct stream *streams_next(struct streams *s, bool *over);
void streams_take(struct stream *one);
/* Until a peer says something, `also` can be read (-1: none), or ms have passed (-1: for ever). */
void streams_wait(const struct streams *s, int also, int64_t ms);
/* Gives those up that have not told their past: nothing came for too long. False: there are none. */
bool streams_give_up(struct streams *s);
void streams_close(struct streams *s);
/* 0, ERR_PARTIAL or ERR_UNAUTHORISED. */
int streams_code(const struct streams *s);

#endif
