/*
 * Reconciliation with one other peer over a stream: range-based set reconciliation (Meyer, "Range-Based Set
 * Reconciliation", 2022), 16-way, over both digests of the store at once. Frames are drawn in docs/wire.md.
 *
 * The initiator walks: it sends fingerprints of ranges, then, where a range is small, its ids there; the other sends
 * what the initiator lacks and says what it lacks itself. The responder keeps no state but one record under assembly:
 * each frame of the initiator but the last is answered by exactly one frame. A few frames are under way at a time, so
 * memory is bounded on both sides whatever the other sends, and 100,000 records with a few differences settle in two
 * round trips and a last frame.
 *
 * Pure: bytes in, bytes out. The caller owns the stream, puts delivered records into the store (which may
 * change freely between calls, and inside deliver) and gives up on a silent other side.
 *
 *	initiator				responder
 *	sync_begin(st, ...)			sync_respond(st, ...)
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
/* Bytes of the salt that an initiator draws at random: it keys the fingerprints of one reconciliation. */
#define SYNC_SALT_BYTES 8

struct sync;

/* An encoded record came from the other side: store_put() it. bytes are valid during the call. */
typedef void sync_deliver(void *ctx, const uint8_t *bytes, size_t len);

struct sync_start {
	uint8_t salt[SYNC_SALT_BYTES];
	/* The other side's digest of the durable, the volatile records is believed to equal ours: then a single
	 * fingerprint is sent to make sure. A wrong belief costs a round trip. */
	bool equal[2];
};

/* st is only read and must outlive the sync. */
struct sync *sync_begin(const struct store *st, const struct sync_start *start, sync_deliver *deliver, void *ctx);
struct sync *sync_respond(const struct store *st, sync_deliver *deliver, void *ctx);
void sync_free(struct sync *s);
/* Also fetch this record by id (a body of which only the header is here, or a hash heard by gossip). Initiator
 * only; at most SYNC_WANTS_MAX wait, more are dropped (the next sync takes them). */
void sync_want(struct sync *s, const struct key32 *id);
#define SYNC_WANTS_MAX 256
/* One frame of the other side. An error means that the other side broke the protocol: close the stream. */
int sync_on_frame(struct sync *s, const uint8_t *bytes, size_t len, struct err *err);
/* Calls fn for each whole record in a frame (of the initiator, or of the other), up to where it is malformed. */
void sync_each_record(const uint8_t *bytes, size_t len, bool of_initiator,
        void (*fn)(void *ctx, const uint8_t *bytes, size_t len), void *ctx);
/* Appends the next frame to be sent to w (at most SYNC_FRAME_MAX bytes); false: nothing to send now. */
bool sync_next_frame(struct sync *s, struct wr *w);
/* Initiator: both sides have what the other had when it was compared. Responder: the initiator said so. */
bool sync_done(const struct sync *s);
/* Bytes that this sync holds beside the store; at most SYNC_HELD_MAX, whatever the other side sends. */
size_t sync_held(const struct sync *s);
#define SYNC_HELD_MAX (4 * 1024 * 1024)

struct sync_stats {
	unsigned frames_in, frames_out;
	unsigned records_in, records_out;
	unsigned work; /* responder: fingerprints made and ids hashed, each below a microsecond */
};
const struct sync_stats *sync_stats(const struct sync *s);

#endif
