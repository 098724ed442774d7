/*
 * The front door of gossip/: events in, actions out. Membership (SWIM with Lifeguard), dissemination and
 * reconciliation of records behind one interface, driven alike by the agent and by the simulator.
 *
 * Never reads a clock, a random source, a socket or a file. After every input drain gossip_next() and re-arm the
 * timer at gossip_wake().
 */
#ifndef GOSSIP_GOSSIP_H
#define GOSSIP_GOSSIP_H

#include "base/addr.h"
#include "base/limits.h"
#include "gossip/store/store.h"
#include "gossip/trust/trust.h"
#include "gossip/verify.h"
#include "gossip/tuning.h"

struct gossip;
struct intern;
struct statement;

enum member_state { MEMBER_ALIVE, MEMBER_SUSPECT, MEMBER_DEAD, MEMBER_LEFT };

struct gossip_config {
	struct key32 key;   /* own Ed25519 public key: the peer's identity */
	uint8_t secret[64]; /* libsodium's secret key of it */
	struct key32 flock;
	uint32_t boot;       /* boot count, synced before start */
	uint8_t boot_id[16]; /* random per boot */
	uint8_t seed[32];    /* for drbg */
	enum gossip_profile profile;
	struct addr advertise;       /* where other peers reach this one (UDP and TCP, same port) */
	const struct tuning *tuning; /* NULL: the profile's */
	/* Simulator only. plain: packets are not encrypted. bare: nor is anything kept of each peer's packets, so there
	 * are no replay windows, challenges and followed addresses either. roster: who is admitted, instead of what
	 * admission records say. intern: one copy of each statement for the whole flock. */
	bool plain, bare;
	const struct key32 *roster;
	size_t n_roster;
	struct intern *intern;
};

/* A member as others may see it. since: when this state began, by our monotonic clock. */
struct member {
	struct key32 key;
	id64 id;
	enum member_state state;
	uint64_t incarnation; /* boot count << 32 | n */
	struct addr addr;
	mono_ms since;
	mono_ms suspected; /* first suspicion of the current suspect or dead period; 0 while alive */
	uint32_t rtt_us;   /* smoothed round trip; 0 unknown */
	bool udp_bad;      /* answers on TCP only */
	bool reachable;    /* has answered us in this boot */
};

enum gossip_action_kind {
	GOSSIP_PACKET,   /* send bytes to addr over UDP */
	GOSSIP_CONNECT,  /* open a stream (session role peer) to addr, expecting key peer; known as stream */
	GOSSIP_FRAME,    /* send bytes as one frame on stream */
	GOSSIP_CLOSE,    /* close stream */
	GOSSIP_PERSIST,  /* write bytes (a record, id) durably, then call gossip_on_disk(id, ok) */
	GOSSIP_FORGET,   /* delete the record id from disk */
	GOSSIP_MEMBER,   /* member peer changed (state, address) */
	GOSSIP_RECORD,   /* record id of kind was added or replaced, and counts for reading now */
	GOSSIP_ACCEPTED, /* ticket's record is durable on `copies` peers of `wanted` (0: not even here); final */
	GOSSIP_FENCED,   /* another machine runs with our identity: stop (text says what to do) */
	GOSSIP_BOOT,     /* a newer run of ours was known to others: write `ticket` as the boot count, synced */
};

/* A peer that was to keep a copy of an accepted record and has not confirmed, and why. */
enum gossip_missing_why {
	MISSING_UNREACHABLE, /* down, cut off, or its stream broke */
	MISSING_SILENT,      /* it was asked and has not answered yet */
	MISSING_REFUSED,     /* it could not write: its disk or its store is full */
};
struct gossip_missing {
	struct key32 peer;
	uint8_t why;
};
/* So many are told of; more are counted. An operator reads no longer list. */
#define GOSSIP_MISSING_MAX 16
/* Copies that one record can be waited for: a stream to each, of the 64 that are kept at once. */
#define GOSSIP_COPIES_MAX 64

struct gossip_action {
	enum gossip_action_kind kind;
	struct addr addr;
	struct key32 peer;
	uint64_t stream;
	const uint8_t *bytes; /* valid until the next call on this gossip */
	size_t len;
	struct key32 id;
	uint8_t record_kind;
	uint64_t ticket;
	unsigned copies, wanted;
	const struct gossip_missing
	        *missing; /* ACCEPTED with fewer copies than wanted: n_missing of them, and more */
	size_t n_missing;
	unsigned more_missing;
	const char *text;
};

struct gossip *gossip_new(const struct gossip_config *cfg);
void gossip_free(struct gossip *g);

/* Before gossip_start(): records and last known addresses from disk. Bad ones are refused and counted. */
int gossip_load(struct gossip *g, const uint8_t *bytes, size_t len, struct err *err);
/* One whose signature this peer checked before it wrote these very bytes: it is not checked again. */
int gossip_load_verified(struct gossip *g, const uint8_t *bytes, size_t len, struct err *err);
void gossip_load_addr(struct gossip *g, const struct key32 *peer, const struct addr *addr);
void gossip_start(struct gossip *g, struct now now);
/* After it, simulator only: what was known when all of a large flock has been up for long (st: alive). */
void gossip_load_statement(struct gossip *g, const struct statement *st);
const struct statement *gossip_self(const struct gossip *g);

/* Events. */
void gossip_on_packet(
        struct gossip *g, const struct addr *from, const uint8_t *bytes, size_t len, struct now now);
/* A session with role peer is up: ours (stream from GOSSIP_CONNECT) or one that peer opened (stream is the
 * edge's choice with the top bit set). */
void gossip_on_stream(struct gossip *g, uint64_t stream, const struct key32 *peer, bool inbound, struct now now);
void gossip_on_frame(struct gossip *g, uint64_t stream, const uint8_t *bytes, size_t len, struct now now);
/* The same of a frame some of whose records are known to be good: see gossip/verify.h. */
void gossip_on_verified_frame(struct gossip *g, uint64_t stream, const uint8_t *bytes, size_t len,
        const struct good_records *good, struct now now);
/* A peer that is not admitted opened a session (edge's id, not told to gossip_on_stream): sends it the record that
 * evicted it, if one did, or what else may have ended its admission, if it had one, and closes. */
void gossip_turn_away(struct gossip *g, uint64_t stream, const struct key32 *peer, struct now now);
/* Closed, or could not be opened; refused: the host answered, no agent listens there. */
void gossip_on_stream_closed(struct gossip *g, uint64_t stream, bool refused, struct now now);
void gossip_on_disk(struct gossip *g, const struct key32 *id, bool ok, struct now now);
void gossip_tick(struct gossip *g, struct now now);

/* Requests of this peer. */
/* Signs and spreads a volatile record of our own; a body equal to the current one is not sent again. */
void gossip_publish(
        struct gossip *g, uint8_t kind, const char *name, const uint8_t *body, size_t len, struct now now);
/* An operator's record, given to this peer: checked (signature, trust, parents known), persisted, pushed to two
 * more peers. GOSSIP_ACCEPTED follows for ticket. Fails at once with a reason otherwise. */
int gossip_submit(
        struct gossip *g, const uint8_t *bytes, size_t len, uint64_t ticket, struct now now, struct err *err);
/* The same, waiting at most wait_ms for exactly so many copies (0: as gossip_submit: up to three, 2 s, and less when
 * nobody is left to ask). More copies than peers that have ever run are refused, and nothing is written. */
int gossip_submit_wanting(struct gossip *g, const uint8_t *bytes, size_t len, uint64_t ticket, unsigned wanted,
        int64_t wait_ms, struct now now, struct err *err);
/* Tell all that we leave (state left); the caller keeps driving for a second or so. */
void gossip_leave(struct gossip *g, struct now now);
/* Whether this peer's wall clock may be trusted to stamp records: compared with those of the reachable members, which
 * acks carry. The median is taken over all clocks that are known, this peer's among them; of an even number the
 * middle one that is nearer to ours. So a clock is doubted when more than half of the clocks disagree with it, and
 * in a flock of one or two, where nobody could say whose is wrong, never. */
struct gossip_clock {
	unsigned others;   /* reachable members whose clocks are known */
	int64_t offset_ms; /* ours less the median: positive, we are ahead */
	int64_t apart_ms;  /* ours less that of the member furthest from ours */
	struct key32 peer; /* which that is; zero without others */
	bool doubted;      /* offset_ms is beyond CLOCK_APART_MAX_MS: no record shall be stamped here */
};
#define CLOCK_APART_MAX_MS MINUTES(1)
void gossip_clock(const struct gossip *g, struct now now, struct gossip_clock *out);
/* The next HLC stamp, for an operator who asks this peer. */
uint64_t gossip_stamp(struct gossip *g, wall_ms wall);
void gossip_set_advertise(struct gossip *g, const struct addr *addr, struct now now);

/* Outputs. */
bool gossip_next(struct gossip *g, struct gossip_action *out);
mono_ms gossip_wake(const struct gossip *g);

/* Reading. */
const struct store *gossip_store(const struct gossip *g);
const struct trust *gossip_trust(const struct gossip *g);
/* The admitted, by id, this peer included: fills at most max, returns how many there are. */
size_t gossip_members(const struct gossip *g, struct member *out, size_t max);
bool gossip_member(const struct gossip *g, const struct key32 *peer, struct member *out);
/* True once one reconciliation with up to three reachable neighbours is done, or none was reachable for 3 s. */
bool gossip_ready(const struct gossip *g);
bool gossip_isolated(const struct gossip *g);

struct gossip_counters {
	uint64_t packets_in, packets_out, bytes_in, bytes_out;
	uint64_t drop_unknown, drop_bad, drop_replay, drop_short, challenges;
	uint64_t frames_in, frames_out, syncs, states, records_bad, records_over, suspicions, deaths, refutes;
	uint64_t accusations_dropped;
};
const struct gossip_counters *gossip_counters(const struct gossip *g);

#endif
