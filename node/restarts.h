/*
 * An agent that crashes again and again must not take new work each time: what it takes may be what crashes it, and each
 * turn would start a slot that another peer starts in turn. Pure: the caller keeps the struct over restarts, and gives
 * the time.
 *
 *	start --> takes work --(ran for RESTART_CALM)--> the next start counts as the first
 *	  ^           |
 *	  |           '--- ended by itself: waits 10 s, then 20 s, ... before it takes work
 *	  '--------------- stopped by SIGTERM: no restart is counted, and those before it are forgotten
 */
#ifndef NODE_RESTARTS_H
#define NODE_RESTARTS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/types.h"

/* A run that took new work for so long, ms, was no turn of a crash loop: DESIGN's minute. */
#define RESTART_CALM MINUTES(1)
/* How long the first restart in a row waits, ms; each further one twice as long as the one before ... */
#define RESTART_WAIT_FIRST SECONDS(10)
/* ... up to this, ms: an operator who has mended it and does not know of `SIGTERM, then start` waits so long at most. */
#define RESTART_WAIT_MAX MINUTES(5)

struct restarts {
	uint32_t in_a_row; /* restarts, this start included; 0: the first, or after a calm run or a clean stop */
	wall_ms started;   /* last start; 0: none yet, or it was stopped cleanly since */
};

/* Bytes of the encoded form. */
#define RESTARTS_BYTES 12
void restarts_put(struct wr *w, const struct restarts *r);
/* What cannot be read counts as nothing. */
void restarts_get(struct restarts *out, const uint8_t *bytes, size_t len);

/* Counts a start. Returns how long it waits before it takes new work, in ms; 0 not at all. A wall clock that was set back
 * counts as a calm run. */
int64_t restarts_begin(struct restarts *r, wall_ms now);
/* It was stopped as asked. */
void restarts_end(struct restarts *r);
/* How long a peer waits after so many restarts in a row, ms. */
int64_t restarts_wait(uint32_t in_a_row);

#endif
