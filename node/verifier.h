/*
 * A thread that checks the signatures of records before the core takes the frames in which they came (gossip/verify.h).
 * The frames of one stream reach the core in the order in which they came: one without records waits behind one that is
 * still being checked. Streams do not wait for each other.
 *
 * Everything is for the loop's thread; deliver is called there.
 */
#ifndef NODE_VERIFIER_H
#define NODE_VERIFIER_H

#include "base/err.h"
#include "gossip/verify.h"

#include <uv.h>

struct verifier;

/* Bytes of one stream that may wait, and of all: a reconciliation has one frame of 64 KiB under way, the largest record
 * takes five. Who sends more than this ahead of the thread has its signatures checked on the loop, as frames that hold
 * it up; it gains nothing by it but to be read more slowly. */
#define VERIFIER_LANE_MAX (512 * 1024)
#define VERIFIER_MAX      (4 * 1024 * 1024)

typedef void verifier_deliver(
        void *ctx, uint64_t stream, const uint8_t *bytes, size_t len, const struct good_records *good);

struct verifier *verifier_new(
        uv_loop_t *loop, const struct key32 *flock, verifier_deliver *deliver, void *ctx, struct err *err);
/* Delivers nothing more; frees itself when the loop has closed its handle. */
void verifier_close(struct verifier *v);
/* Takes a copy of a frame, to be delivered later. False: the caller goes on with it itself, as nothing in it needs
 * checking and nothing of its stream waits; or as too much of its stream waits: that has been delivered now. */
bool verifier_take(struct verifier *v, uint64_t stream, const uint8_t *bytes, size_t len);
/* Delivers what waits of a stream now, checked or not: its end must not overtake it. */
void verifier_flush(struct verifier *v, uint64_t stream);
/* What waits of a stream is not wanted any more. */
void verifier_forget(struct verifier *v, uint64_t stream);

#endif
