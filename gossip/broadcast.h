/*
 * What is still to be told to others: a queue of messages that ride on packets (SWIM section 4.1, extended).
 * Classes go in order; within one, what was sent the fewest times goes first, then the newest. A message about
 * the same thing replaces the older one. Half of each packet is kept for records, so that a storm of membership
 * changes does not stop work from spreading, and the other way round.
 */
#ifndef GOSSIP_BROADCAST_H
#define GOSSIP_BROADCAST_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"

enum broadcast_class {
	BROADCAST_REFUTE, /* we are alive, whatever you heard */
	BROADCAST_LEAVE,
	BROADCAST_ACCUSE, /* suspect, dead */
	BROADCAST_ALIVE,
	BROADCAST_RECORD,
	BROADCAST_CLASSES,
};

/* Most times that one message is sent: above 4 * log10(n) for any flock. */
#define BROADCAST_SENDS_MAX 32
/* Messages waiting. Beyond it the least urgent, most often sent one goes: reconciliation will bring it. */
#define BROADCAST_ITEMS_MAX 4096

/* What a message is about: a later one of the same topic supersedes it. */
struct topic {
	uint8_t b[33];
};

struct broadcast {
	struct list items[BROADCAST_CLASSES]
	                 [BROADCAST_SENDS_MAX + 1]; /* by class and sends so far; newest first */
	struct map by_topic;
	struct map by_subject; /* id64 -> the first of those about it */
	size_t len;
	size_t shortest; /* bytes of the shortest that was queued since the queue was last empty */
	uint64_t round;
};

void broadcast_init(struct broadcast *b);
void broadcast_free(struct broadcast *b);
/* Queues message bytes (header included). brief replaces it once it was sent brief_after times; brief_len 0: the
 * message is sent in full every time. subject: whom a statement is about, 0 for records. */
void broadcast_put(struct broadcast *b, enum broadcast_class c, const struct topic *t, id64 subject,
        const uint8_t *bytes, size_t len, const uint8_t *brief, size_t brief_len, unsigned brief_after);
/* Drops statements about subject: something newer is known. */
void broadcast_drop_subject(struct broadcast *b, id64 subject);
void broadcast_drop(struct broadcast *b, const struct topic *t);
/* Somebody told us what waits to be told: those around know it already, so it counts as `weight` sends (rumour
 * mongering with feedback; Demers et al. 1987), once for each of BROADCAST_ECHOES who tell it. */
#define BROADCAST_ECHOES 4
void broadcast_heard(struct broadcast *b, const struct topic *t, unsigned weight, id64 by);
/* Begins a round: within it each message is given out once, whatever the number of packets. */
void broadcast_round(struct broadcast *b);
/* Appends messages to w, up to `room` bytes, for a packet that goes to `copies` peers; what has been sent `limit`
 * times leaves the queue. records_only: the whole room for records. Returns how many messages were added. */
size_t broadcast_fill(
        struct broadcast *b, struct wr *w, size_t room, unsigned limit, unsigned copies, bool records_only);
bool broadcast_pending(const struct broadcast *b);
bool broadcast_records_pending(const struct broadcast *b);

#endif
