/* What the files of the liar share. */
#ifndef TESTS_SIM_SIM_LIAR_H
#define TESTS_SIM_SIM_LIAR_H

#include "tests/sim/sim_core.h"

/* Packets and messages of others kept for later. */
#define KEPT_MAX 128

struct kept {
	mono_ms at;
	struct addr from; /* packets: family 0 for a message of its own */
	unsigned to;
	size_t len;
	uint8_t bytes[PACKET_BYTES_MAX];
};

struct sim_liar {
	struct sim_lies lies;
	bool speaking; /* what leaves now is the script's */
	struct kept kept[KEPT_MAX];
	size_t n_kept, at_kept;
	uint32_t said;
};

/* Any other member. The liar has some. */
struct peer *liar_anyone(struct sim *s, struct gossip *g);
/* Repeats what others said once, to `to` or to whom it was for. */
void liar_replay(struct sim *s, struct sim_liar *l, struct gossip *g, struct peer *to);

#endif
