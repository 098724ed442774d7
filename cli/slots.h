/* How far a stack is on its way to a revision, from the rows of `ps`. Pure, so that tests can tell its stories. */
#ifndef CLI_SLOTS_H
#define CLI_SLOTS_H

#include "placement/spec/spec.h"

#include <jansson.h>

struct slots_service {
	const struct service *service;
	uint32_t desired; /* slots; of a global service, those that there are rows for */
	uint32_t running; /* slots with a task of the revision that runs */
	uint32_t settled; /* slots with a task of the revision that serves, or is done with exit code 0 */
};

struct slots {
	size_t n;
	struct slots_service *services;
	bool done;            /* every service is settled in full */
	uint32_t unplaced;    /* rows of the revision without a task */
	uint32_t failed;      /* rows of the revision whose task gave up */
	uint32_t seen;        /* rows of the revision in all */
	uint64_t fingerprint; /* differs when anything that counts as progress does */
};

/* rows: `ps STACK`; revision: 16 hex digits. Memory is arena's. */
void slots_count(struct slots *out, const struct spec *spec, const char *revision, const json_t *rows,
        struct arena *arena);
/* Where a slot without a task may go. */
enum slots_fit {
	FIT_SOMEWHERE,     /* it has a candidate, or nobody can tell */
	FIT_NOWHERE_NOW,   /* no peer can take it; a peer that comes, or room, may change that by itself */
	FIT_NOWHERE,       /* by what the spec asks for and what every peer is */
	FIT_WITHOUT_POWER, /* its author may not run it, wherever */
};
/* items: the answer of `explain` on the slot. */
enum slots_fit slots_fit(const json_t *items);
/* Is this row of the revision and still not settled? */
bool slots_row_lags(const json_t *row, const char *revision);

#endif
