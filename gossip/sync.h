/*
 * Reconciliation with one other peer over a stream: range-based set reconciliation (Meyer, "Range-Based Set
 * Reconciliation", 2022), 16-way, over both digests of the store at once. Frames are drawn in docs/wire.md.
 *
 * The initiator walks: it sends fingerprints (sum and count) of ranges, asks for what it lacks and pushes what
 * the other side lacks. The responder keeps no state but one record under assembly: each frame of the initiator
 * is answered by exactly one frame. So one frame is under way at a time, memory is bounded on both sides whatever
 * the other sends, and 100,000 records with a few differences settle in about three round trips.
 *
 * Pure: bytes in, bytes out. The caller owns the stream, puts delivered records into the store (which may
 * change freely between calls, and inside deliver) and gives up on a silent other side.
 *
 *	initiator				responder
 *	sync_new(st, true, ...)			sync_new(st, false, ...)
 *	while sync_next_frame(): send		on each frame: sync_on_frame(), then while sync_next_frame(): send
 *	on each frame: sync_on_frame(), then while sync_next_frame(): send
 *	until sync_done()			until sync_done() or the stream closes
 */
#ifndef GOSSIP_SYNC_H
#define GOSSIP_SYNC_H

#include "gossip/store/store.h"

/* Bytes of one sync frame: a session's frame less room for the caller's own prefix. */
#define SYNC_FRAME_MAX (FRAME_BYTES_MAX - 64)
/* Frames that one sync may take on either side: 100,000 records of 512 bytes take 800. */
#define SYNC_FRAMES_MAX 65536

struct sync;

/* An encoded record came from the other side: store_put() it. bytes are valid during the call. */
typedef void sync_deliver(void *ctx, const uint8_t *bytes, size_t len);

/* st is only read and must outlive the sync. */
struct sync *sync_new(const struct store *st, bool initiator, sync_deliver *deliver, void *ctx);
void sync_free(struct sync *s);
/* Also fetch this record by id (a body of which only the header is here, or a hash heard by gossip). Initiator
 * only; at most SYNC_WANTS_MAX wait, more are dropped (the next sync takes them). */
void sync_want(struct sync *s, const struct key32 *id);
#define SYNC_WANTS_MAX 256
/* One frame of the other side. An error means that the other side broke the protocol: close the stream. */
int sync_on_frame(struct sync *s, const uint8_t *bytes, size_t len, struct err *err);
/* Appends the next frame to be sent to w (at most SYNC_FRAME_MAX bytes); false: nothing to send now. */
bool sync_next_frame(struct sync *s, struct wr *w);
/* Initiator: both sides have what the other had when it was compared. Responder: the initiator said so. */
bool sync_done(const struct sync *s);

struct sync_stats {
	unsigned frames_in, frames_out;
	unsigned records_in, records_out;
};
const struct sync_stats *sync_stats(const struct sync *s);

#endif
