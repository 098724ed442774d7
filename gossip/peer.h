/*
 * Another member, as this peer sees it: inside gossip/ only.
 *
 * Light, because each of thousands of peers holds one for each of thousands: what every member has stands in struct
 * peer; what only those have that we talk to stands in struct contact, and what only the accused have in struct
 * suspicion, both made when first needed.
 *
 * All peers stand in one array (gossip.peers), which is also the order of probing (SWIM section 4.3):
 *
 *	0             at_order            n_up              n_peers
 *	|  probed in    |  still to be      |  dead, left, or   |
 *	|  this round   |  probed in it     |  never heard of   |
 *
 * Every other probe goes to the next one that is up on the ring of ids instead, so each member has one that looks at it
 * every two periods: random order alone leaves some unseen for five (1 in 100).
 *
 * A peer that turns up goes to a random place among those still to be probed, so each is probed by each within two rounds;
 * a round that is through shuffles [0, n_up) and begins again.
 */
#ifndef GOSSIP_PEER_H
#define GOSSIP_PEER_H

#include "gossip/gossip.h"
#include "gossip/seal.h"
#include "gossip/tuning.h"
#include "gossip/wire.h"

struct gossip;

/* Distinct accusers remembered of one suspect: K and one more. */
#define ACCUSERS_MAX (SUSPICION_K + 1)

struct suspicion {
	size_t n;
	struct statement by[ACCUSERS_MAX]; /* of each accuser the most severe: suspect, then dead */
	mono_ms began;                     /* first suspicion of this period */
	mono_ms deadline;
	mono_ms recheck_at; /* a suspect of ours is pinged again */
	int64_t grace;      /* for time that we stood still, or were cut off ourselves */
	bool ours;          /* we are among the accusers */
	bool fired;         /* our own timer ran out */
	size_t index;       /* in gossip.suspects */
};

/* Somebody whom we talk to. */
struct contact {
	struct peer *peer;
	size_t index;           /* in gossip.contacts */
	struct addr addr;       /* where packets go; family 0: where it says it is */
	struct seal_peer *seal; /* NULL: not needed yet (or plain) */
	int64_t rtt, rtt_var;   /* microseconds, RFC 6298; 0 unknown */
	wall_ms clock;          /* its wall clock, and ours, when our monotonic one stood at 0; 0 unknown */
	wall_ms clock_own;
	mono_ms heard;       /* last authentic packet or frame */
	mono_ms told;        /* last packet that it did not ask for */
	unsigned introduced; /* copies of our alive statement sent */
	bool udp_bad;
	bool stale;                   /* it sent an older statement of its own than we hold: tell it */
	const struct statement *left; /* signed by itself, for passing on; NULL: it has not left */
	mono_ms retry_at;             /* while dead or left */
	int64_t retry_ms;
	/* Reconciliation with this peer. */
	mono_ms differs_since; /* digests in its acks differ from ours since; 0 equal */
	bool equal[2];         /* its durable, its volatile digest equalled ours in its last ack */
	bool returned;         /* from the dead, and no digest of it was seen since */
	bool states_sent;      /* it was told of all members since it began */
	mono_ms differs_at;    /* last ack that said so */
	mono_ms look_at;       /* not before then is it asked whether they still do */
	mono_ms states_differ; /* its sum over the members differs from ours since; 0 equal */
	mono_ms states_after;
	mono_ms states_asked_at; /* and what it asked of us: see states.c */
	unsigned states_debt;
	mono_ms sync_after;
	int64_t sync_backoff;
	unsigned syncs;
	unsigned work; /* that its questions cost us lately */
	mono_ms work_at;
	unsigned bad_frames;
	unsigned forged; /* statements with wrong signatures that it passed on, the last of them at */
	mono_ms forged_at;
};

struct peer {
	struct key32 key;
	uint64_t incarnation;          /* 0: never heard of in this boot */
	const struct statement *alive; /* the newest of its own, for passing on; NULL: none yet */
	struct contact *contact;       /* NULL: never talked to */
	struct suspicion *sus;         /* NULL: nobody accuses it */
	mono_ms since;                 /* when its state began */
	uint32_t index;                /* in gossip.peers */
	uint32_t accused_at;           /* seconds, of our clock: when `blame` was last refilled */
	uint8_t state;                 /* enum member_state */
	uint8_t blame;                 /* accusations by it that were taken lately: see suspicion.c */
	bool admitted : 1;             /* mark during member_refresh() */
	bool reachable : 1;            /* has answered us in this boot */
	bool silent : 1;               /* the last probe failed, and nothing was heard since */
	bool announced : 1;            /* a GOSSIP_MEMBER for it waits to be drained */
};

static inline id64 peer_id(const struct peer *p)
{
	return key32_id(&p->key);
}

/* Alive or suspect. */
static inline bool member_up(const struct peer *p)
{
	return p->state == MEMBER_ALIVE || p->state == MEMBER_SUSPECT;
}

/* table.c: who stands where, and counts that would take a walk otherwise. */
struct peer *member_by_id(const struct gossip *g, id64 id);
struct peer *table_add(struct gossip *g, const struct key32 *key);
void table_remove(struct gossip *g, struct peer *p); /* and frees it */
void table_free(struct gossip *g);
struct contact *contact_of(struct gossip *g, struct peer *p);
/* Takes a copy; NULL: it is back. */
void contact_set_left(struct gossip *g, struct contact *c, const struct statement *st);
struct suspicion *suspicion_of(struct gossip *g, struct peer *p);
void suspicion_clear(struct peer *p); /* of one that is not, or no longer, a suspect */
/* The only ways to change state and silent. */
void peer_set_state(struct gossip *g, struct peer *p, enum member_state state);
void peer_set_silent(struct gossip *g, struct peer *p, bool silent);
/* Takes a copy of its newest own statement. */
void peer_set_alive(struct gossip *g, struct peer *p, const struct statement *st);
/* Where packets to it go; family 0: unknown. */
struct addr peer_addr(const struct peer *p);
/* Where it says that it is reached. */
struct addr peer_advertised(const struct peer *p);
struct seal_peer *peer_seal(struct gossip *g, struct peer *p);
/* k distinct members that are up and fit, at random; except may be NULL. */
size_t member_pick(struct gossip *g, struct peer **out, size_t k, const struct peer *except);
/* The next to be probed; NULL: nobody is up. */
struct peer *table_next(struct gossip *g);

#endif
