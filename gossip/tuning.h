/*
 * Timing and parts of the failure detector, as constants of one kind of network. Names are those of SWIM (Das,
 * Gupta, Motivala 2002) and Lifeguard (Dadgar, Phillips, Currey 2018). Pure data.
 */
#ifndef GOSSIP_TUNING_H
#define GOSSIP_TUNING_H

#include "base/types.h"

/* Parts that a benchmark may leave out, to measure what each is worth; an agent runs with all of them. */
#define PART_LHA_PROBE     0x001 /* Lifeguard: local health stretches probe interval and timeout; nacks */
#define PART_LHA_SUSPICION 0x02  /* Lifeguard: the time to refute begins long and shrinks with each accuser */
#define PART_BUDDY         0x04  /* Lifeguard: whoever is suspected hears it with the very next packet */
#define PART_RETRIES       0x08  /* several direct pings, spaced by the round trip, before others are asked */
#define PART_SIGNATURES    0x10  /* dead takes two accusers; deputies and rechecks bring the second opinion */
#define PART_STALL         0x20  /* who stood still moves its timers before it judges */
#define PART_ISOLATION     0x40  /* who hears nobody accuses nobody, for a while */
#define PART_EAGER         0x80  /* what is new goes out at once, not when the next gossip tick comes */
#define PART_WATCH         0x100 /* every other probe goes to the next on the ring */
#define PARTS_LIFEGUARD    (PART_LHA_PROBE | PART_LHA_SUSPICION | PART_BUDDY)
#define PARTS_ALL          0x1ff

/* All times in milliseconds. */
struct tuning {
	int64_t period;   /* each peer probes one other per period (in a small flock: twice) */
	int64_t ping_min; /* bounds of the space between direct pings, which follows the round trip */
	int64_t ping_max;
	int64_t indirect;       /* for the answers of those asked to probe for us */
	int64_t suspicion_unit; /* alpha and beta multiply it */
	int64_t spread;         /* between sends of what waits in the broadcast queue */
	unsigned alpha;         /* least time to refute: alpha * unit * max(1, log10 n) */
	unsigned beta;          /* longest: beta times the least */
	unsigned parts;
};

/* Independent accusers that bring the time to refute down to its least (Lifeguard's K). */
#define SUSPICION_K 3
/* Highest local health multiplier less one (Lifeguard's S). */
#define HEALTH_MAX 8
/* Others asked to probe for us. */
#define INDIRECT_PROBES 3
/* Direct pings of one probe round, before anybody is asked to help. */
#define DIRECT_PINGS 3
/* In a flock of so few each peer looks twice per period: a loss is seen sooner, and load stays that of two pings. */
#define SMALL_FLOCK 8

/* With fewer others than this each is looked at as often by turns alone. */
#define WATCH_FROM 4

enum gossip_profile { PROFILE_LAN, PROFILE_WAN, PROFILE_LOCAL };

const struct tuning *tuning_of(enum gossip_profile profile);

#endif
