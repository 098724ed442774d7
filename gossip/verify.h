/*
 * Signatures checked ahead of the core. An Ed25519 signature takes 0.1 ms; a frame of a reconciliation holds up to 400
 * of them, and the loop must not stand still so long. So the edge may hand each frame to a thread first, which says what
 * records in it are good; the core then need not look at their signatures again.
 *
 * It changes nothing but time: what is not known to be good is checked by the core as ever, so a core that is told
 * nothing (in the simulator) comes to the same state.
 */
#ifndef GOSSIP_VERIFY_H
#define GOSSIP_VERIFY_H

#include "base/types.h"

/* Whole records in one frame: the smallest has 146 bytes. */
#define FRAME_RECORDS_MAX 448

/* Good records of one frame, each by the hash of its bytes as they came, in the order in which they stand there. */
struct good_records {
	size_t n;
	const struct key32 *hash;
};

/* Is there a whole record in this frame of a stream? (Parts of a larger one are checked when it is whole.) */
bool frame_has_records(const uint8_t *frame, size_t len);
/* Checks the signatures of the whole records in a frame; returns how many are good, their hashes in out. Reads nothing
 * but its arguments: any thread may call it. */
size_t frame_verify(
        const struct key32 *flock, const uint8_t *frame, size_t len, struct key32 out[FRAME_RECORDS_MAX]);

#endif
