/*
 * Inside gossip/: the state behind the front door, shared by its files and by nobody else.
 *
 *	gossip.c       front door: configuration, time, requests, reading
 *	tuning.c       constants of each kind of network
 *	packet.c       packets out and in, what rides on them
 *	table.c        the table of members: order of probing, contacts, counts (peer.h)
 *	member.c       who is there: statements, their order
 *	self.c         what is said of this peer: refutation, newer runs, fencing
 *	admit.c        members appear and disappear as trust says
 *	early.c        statements of those whose admission is on its way
 *	suspicion.c    accusers, the shrinking timeout, the way to dead
 *	probe.c        probe rounds, the dead, local health
 *	relay.c        probing for others
 *	isolation.c    is it we who are cut off?
 *	quarantine.c   what does not count, and how much of it is kept
 *	records.c      records in: checks, disk, spreading, pulling; our own
 *	clock.c        others' wall clocks
 *	pull.c         announced records that are not here
 *	flap.c         how often a page of our own that keeps changing is told
 *	trim.c         bodies that are not wanted any more, and those that are missing
 *	verify.c       signatures of a frame's records, checked ahead on another thread
 *	accept.c       operators' records: pushed to other disks, then accepted
 *	stream.c       streams: opening, frames, idle close
 *	states.c       who is there, reconciled
 *	antientropy.c  when to reconcile with whom; readiness
 *	output.c       the queue of actions
 */
#ifndef GOSSIP_CORE_H
#define GOSSIP_CORE_H

#include "base/drbg.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "gossip/broadcast.h"
#include "gossip/intern.h"
#include "gossip/peer.h"
#include "gossip/sync.h"

/* Probe rounds at once: our own, rechecks of suspects, and rounds as a deputy. */
#define PROBES_MAX 16
/* Pings relayed for others at once. */
#define RELAYS_MAX 64
/* Of these for one origin, which asks each of its helpers for a few rounds at a time. */
#define RELAYS_PER_ORIGIN 8
/* Peers that get what is new at once. */
#define SPREAD_FANOUT 3
/* How long accusations wait for somebody to confirm that others are silent; with nobody to ask. */
#define ISOLATION_MS     SECONDS(15)
#define ISOLATION_TWO_MS SECONDS(5)
/* Probe targets whose silence says that it is us. */
#define ISOLATION_TARGETS 8
/* Those who died lately are tried this often at least, the long dead in turn, one per period: a healed split needs
 * nobody's command. Begins at RETRY_MIN. */
#define RETRY_MIN_MS SECONDS(1)
#define RETRY_MAX_MS SECONDS(10)
/* Tries in one go of those that went lately, and time until the next go. */
#define RETRIES_AT_ONCE 8
#define RETRY_LOOK_MS   100
/* A tick this late means that the process or the machine stood still. */
#define STALL_MS 400
/* Statements with wrong signatures that one peer may pass on: an honest one passes on what it checked. Beyond it none of
 * its is checked until it has sent no such for so long. */
#define FORGED_MAX         16
#define FORGED_FORGIVEN_MS MINUTES(1)
/* Sends that hearing the same once more stands for. */
#define HEARD_WEIGHT 2
/* Of the members that hear of one that has appeared, so many ping it at once, on average; and it so many of them. */
#define GREETINGS 32
/* Copies of our own statement sent to a peer that has just appeared. */
#define INTRODUCTIONS 3

/* Others asked to help in one round, which asks twice. */
#define HELPERS_MAX (2 * INDIRECT_PROBES)
/* Others who heard nothing outweigh one who says that it heard the target. */
#define NACKS_OUTWEIGH 2

/* One asked to ping for us, and what it said last. An ack may follow its nack; nothing follows an ack. */
struct helper {
	id64 id;
	enum helper_word { HELPER_ASKED, HELPER_NACKED, HELPER_ACKED } said;
};

struct probe {
	bool used;
	id64 target;
	unsigned pings; /* direct ones sent */
	unsigned asked; /* times that others were asked to help */
	uint32_t seq[DIRECT_PINGS];
	mono_ms sent[DIRECT_PINGS];
	uint32_t indirect_seq;
	struct helper helper[HELPERS_MAX]; /* those asked, each once */
	unsigned n_helpers;
	unsigned asked_most; /* at one time */
	mono_ms began, next_at, end_at;
	bool tcp_tried;
};

/* What is turned away of what the network brings: over a limit, or not what it should be. */
enum refusal_sort { REFUSED_OVER, REFUSED_BAD, REFUSAL_SORTS };

struct relay {
	bool used;
	uint32_t seq, origin_seq;
	id64 origin, target;
	mono_ms nack_at, end_at;
	bool nacked;
	bool repeated; /* asked for once more; no oftener does one ask make us ping */
};

struct stream {
	uint64_t id;
	struct gossip *gossip;
	struct peer *peer;
	bool open, inbound;
	mono_ms opened, used;
	struct wr backlog;   /* frames that wait for the handshake: u32 length, bytes */
	struct wr part;      /* a record under assembly */
	size_t given;        /* bytes of records given for the wants of one frame */
	struct sync *ask;    /* we walk */
	struct sync *answer; /* they walk */
	mono_ms sync_heard;
	bool sync_news; /* a record came with it that was new here */
};

/* A record on its way to our disk: who waits for it. */
struct pending {
	struct key32 id;
	unsigned writes; /* asked of the disk, not yet answered */
	size_t n_waiters;
	uint64_t waiters[8]; /* streams that want to hear STORED */
};

/* What became of a copy that another peer was asked to keep. */
enum copy_state { COPY_ASKED, COPY_STORED, COPY_REFUSED, COPY_GONE };

struct copy {
	id64 peer;
	uint64_t stream; /* that the asking went over: if it breaks, no answer comes */
	enum copy_state state;
	bool broke;       /* a stream has broken once */
	mono_ms again_at; /* REFUSED, GONE: when it may be asked again */
};

/* A submitted record until GOSSIP_ACCEPTED. */
struct ticket {
	struct list at;
	uint64_t ticket;
	struct key32 id;
	bool stored;  /* on our own disk */
	bool patient; /* so many copies were asked for: it waits for them until end_at */
	unsigned wanted;
	size_t n_copies;
	struct copy copy[GOSSIP_COPIES_MAX - 1]; /* one per peer that was asked, however often */
	unsigned hedges; /* askings beyond the copies wanted, since some owe us an answer for long */
	mono_ms hedge_at, end_at;
};

/* Announced records too large for a packet: those waited for, and those asked for at once (2 MiB in flight). Beyond the
 * first an announcement is not noted; it is heard again, or reconciliation brings the record. */
#define PULLS_MAX     64
#define PULLS_AT_ONCE 8
/* What one peer was the first to announce it may have made up. When no more can wait, those beyond so many make room for
 * what others announce; and so many of them are asked for at once. */
#define PULLS_PER_SOURCE         8
#define PULLS_AT_ONCE_PER_SOURCE 4
/* Announcers remembered of each. */
#define PULL_SOURCES 4

struct pull {
	struct key32 id;
	size_t n_from, next; /* announcers; of these, the next to be asked */
	id64 from[PULL_SOURCES];
	uint64_t stream; /* asked of; 0: waits */
	mono_ms until;   /* then the next is asked */
};

struct out {
	struct list at;
	struct gossip_action action;
	uint8_t bytes[];
};

/* A digest, and the brief form of it that acks carry. */
struct digest_memo {
	bool known;
	struct digest of;
	struct digest_brief brief;
};

struct gossip {
	struct gossip_config cfg;
	struct key32 key;
	id64 id;
	struct drbg rng;
	struct now now;
	const struct tuning *tune;
	struct seal seal;
	struct store *store;
	struct trust *trust;
	struct digest_memo digests[2]; /* durable, volatile */
	struct hlc hlc;
	uint64_t stamp_loaded; /* highest stamp of an operator's record that came from disk */
	struct gossip_counters count;

	bool started, leaving;
	mono_ms started_at;
	uint64_t incarnation; /* boot count << 32 | n */
	uint32_t record_n;
	struct statement self; /* our alive, or left, statement */
	bool announced;        /* a GOSSIP_MEMBER for us waits to be drained */
	uint8_t rival[16];     /* boot id of the newer run of our own key that was heard last, */
	unsigned advances;     /* and how often it went beyond us after we had overtaken it */
	bool fenced;
	mono_ms renew_at; /* when our packets are to begin anew, after another machine used our key; MONO_NEVER */
	size_t renewals;
	mono_ms refuted_at; /* when the incarnation last rose to refute: once per period at most */
	mono_ms refute_at;  /* when it shall rise again; MONO_NEVER: it need not */

	struct map by_id;    /* id64 -> struct peer */
	struct peer **peers; /* in the order that gossip/peer.h draws */
	size_t at_order, n_up, n_peers, cap_peers;
	size_t n_silent;    /* of those that are up */
	struct peer *watch; /* of those that are up the next on the ring of ids; NULL: nobody is up */
	bool watch_turn;
	struct contact **contacts;
	size_t n_contacts, cap_contacts;
	struct peer **suspects;
	size_t n_suspects, cap_suspects;
	bool trust_changed;
	mono_ms settled, settle_at; /* when trust was judged last, and will be */
	struct {                    /* addresses given before their peers are known */
		struct key32 key;
		struct addr addr;
	} * hints;
	size_t n_hints;

	struct early *early; /* EARLY_MAX, once one came (early.c): by whoever is not a member yet */
	size_t early_at;

	uint64_t states[WIRE_STATES_PARTS]; /* sums over (member, incarnation), this peer's too: see states.c */
	uint64_t states_sum;
	uint64_t states_own; /* our own incarnation in them */
	mono_ms states_after;

	struct broadcast bc;
	mono_ms own_told;  /* when our own status last went out, or will */
	mono_ms spread_at; /* next send of what waits; MONO_NEVER when nothing does */
	mono_ms spread_last;

	struct probe probes[PROBES_MAX];
	struct relay relays[RELAYS_MAX];
	mono_ms probe_at, retry_at;
	mono_ms retry_old_at;            /* when one of those who are dead for long may be tried again */
	unsigned health;                 /* Lifeguard's local health multiplier is this + 1 */
	id64 targets[ISOLATION_TARGETS]; /* last distinct probe targets */
	size_t n_targets, at_targets;
	mono_ms silent_since, silence_confirmed;
	mono_ms heard;        /* last authentic packet or frame of anyone */
	mono_ms suspicion_at; /* when suspicion_tick() has something to do */

	struct map streams; /* u64 -> struct stream */
	uint64_t stream_seq;

	struct map pending;       /* id -> struct pending */
	struct good_records good; /* of the frame that is being taken: those not yet met */
	struct list tickets;
	struct pull pulls[PULLS_MAX];
	size_t n_pulls;
	mono_ms pull_at;
	struct map trims; /* key of a stack -> its name: to be looked at by trim.c */
	bool trim_all;
	mono_ms trim_at;
	struct map flaps; /* key -> struct flap (flap.c) */
	mono_ms flap_at;
	struct { /* ids asked for, so that one announcement does not ask everyone */
		struct key32 id;
		mono_ms until;
	} asked[64];
	size_t asked_at;

	bool ready;
	unsigned syncs_done;
	unsigned resyncs; /* reconciliations begun again soon, */
	mono_ms resyncs_since;
	size_t void_records, void_bytes; /* durable ones that do not count: quarantine.c */
	struct refusals {
		mono_ms said_at;
		uint64_t n; /* since */
	} refusals[REFUSAL_SORTS];
	bool refused_volatile; /* a record of an unknown author was turned away */
	bool bodies_missing;   /* a header came without the body that it needs */
	mono_ms entropy_at;

	struct list out;
	size_t n_out;
	struct out *current; /* what gossip_next() last gave */
};

/* output.c */
struct out *output_new(struct gossip *g, enum gossip_action_kind kind, size_t len);
void output_bytes(struct gossip *g, enum gossip_action_kind kind, const struct addr *addr, uint64_t stream,
        const void *bytes, size_t len);
/* One GOSSIP_MEMBER at a time waits for each. */
void output_member(struct gossip *g, struct peer *p);
void output_self(struct gossip *g);
void output_member_drained(struct gossip *g, const struct key32 *key);
void output_record(struct gossip *g, const struct key32 *id, uint8_t kind);

/* member.c */
void member_on_statement(struct gossip *g, const struct statement *st, struct peer *from);
/* The statement came once more while we pass it on ourselves. */
void member_heard_again(
        struct gossip *g, const struct statement *st, const struct statement *held, const struct peer *from);
/* Is it signed by that key? Who passes on too many that are not is not listened to for a while (from: NULL, here). */
bool member_signed(struct gossip *g, const struct statement *st, const struct key32 *signer, struct peer *from);
/* An authentic packet or frame came from p. */
void member_heard(struct gossip *g, struct peer *p);
void member_set_state(struct gossip *g, struct peer *p, enum member_state state);
/* Statements about p that it should hear before anything else (buddy): it is suspected, or taken for dead. */
bool member_has_news(const struct gossip *g, const struct peer *p);
/* At most TELL_BYTES_MAX bytes. */
void member_tell(struct gossip *g, struct peer *p, struct wr *w);
#define TELL_BYTES_MAX (4 * STATEMENT_BYTES_MAX)
/* All that we know of all members, for a peer that has just appeared; calls fn with batches. */
void member_states(
        struct gossip *g, size_t batch, void (*fn)(struct gossip *, const struct wr *, void *), void *ctx);
void member_broadcast(struct gossip *g, enum broadcast_class c, const struct statement *st);

/* self.c */
void self_sign(struct gossip *g, enum msg_type type);
void self_announce(struct gossip *g, enum broadcast_class c);
void self_on_statement(struct gossip *g, const struct statement *st, struct peer *from);
/* A newer run of this very peer has been seen: adopt its boot count + 1 (boot_id NULL: its boot is not known). */
void self_on_newer(struct gossip *g, uint32_t boot, const uint8_t boot_id[16]);
void self_tick(struct gossip *g);

/* admit.c */
void member_refresh(struct gossip *g); /* after trust changed: members appear and disappear */

/* states.c */
/* The only ways to change an incarnation. */
void states_incarnation(struct gossip *g, struct peer *p, uint64_t incarnation);
void states_own_incarnation(struct gossip *g, uint64_t incarnation);
void states_on_sum(struct gossip *g, struct peer *p, uint64_t sum); /* in an ack of p */
void states_ask(struct gossip *g, struct peer *p);
void states_on_message(struct gossip *g, struct stream *s, const struct msg *m);

/* early.c */
/* Newcomers at once whose first word may come before their admission; beyond it they are heard of a little later. */
#define EARLY_MAX 128
/* Of these that one member may bring: who invents subjects without end flushes its own out. An eighth: a member brings the
 * words of all who join by it at once. */
#define EARLY_OF_ONE 16
/* Its subject is no member (yet); from: who brought it, or NULL. */
void early_keep(struct gossip *g, const struct statement *st, const struct peer *from);
void early_replay(struct gossip *g); /* after members appeared */

/* suspicion.c */
void suspicion_accuse(struct gossip *g, struct peer *p); /* our own evidence: it did not answer */
void suspicion_on_statement(struct gossip *g, struct peer *p, const struct statement *st, struct peer *from);
/* `to` says that p is dead, as is known here; perhaps it waits for a second voice that it never heard. */
void suspicion_confirm(struct gossip *g, struct peer *p, struct peer *to);
/* The accuser is no member any more: nobody would answer its accusations. */
void suspicion_withdraw(struct gossip *g, id64 accuser);
/* It says that it lives: those who accuse it were wrong. */
void suspicion_refuted(struct gossip *g, struct peer *p);
void suspicion_tick(struct gossip *g);
mono_ms suspicion_wake(const struct gossip *g);
void suspicion_shift(struct gossip *g, int64_t by);

/* probe.c */
void probe_start(struct gossip *g);
void probe_tick(struct gossip *g);
mono_ms probe_wake(const struct gossip *g);
void probe_shift(struct gossip *g, int64_t by);
void probe_target(struct gossip *g, struct peer *p); /* out of turn */
/* Returns the round trip in microseconds if it answers a ping of our own, else -1. */
int64_t probe_on_ack(struct gossip *g, struct peer *from, uint32_t seq);
void probe_on_nack(struct gossip *g, struct peer *from, uint32_t seq);
/* The number of a ping: drawn, so that who was not asked cannot guess what to answer. */
uint32_t seq_draw(struct gossip *g);
void ping_send(struct gossip *g, struct peer *p, uint32_t seq);
void probe_on_stream(struct gossip *g, struct peer *p); /* its stream spoke: alive, if only over TCP */
void probe_forget(struct gossip *g, const struct peer *p);
void probe_retry_soon(struct gossip *g, struct peer *p);
void probe_greet(struct gossip *g, struct peer *p);
void health_bad(struct gossip *g);
void health_good(struct gossip *g);
/* relay.c */
void relay_tick(struct gossip *g);
mono_ms relay_wake(const struct gossip *g);
void relay_on_ack(struct gossip *g, const struct peer *from, uint32_t seq);
void relay_on_ping_req(struct gossip *g, struct peer *from, uint32_t seq, id64 target, struct wr *reply);

/* clock.c */
void clock_on_ack(struct gossip *g, struct contact *c, wall_ms wall, int64_t rtt_us);

/* isolation.c */
void isolation_target(struct gossip *g, const struct peer *p); /* it is being probed */
/* A round has ended; nobody: not a word from anyone during it. */
void isolation_update(struct gossip *g, bool nobody);
bool isolation_holds(const struct gossip *g);
void isolation_confirmed(struct gossip *g);

/* gossip.c */
/* Evaluates trust again if a trust record came, and members with it. */
void trust_settle(struct gossip *g);
void trust_settle_soon(struct gossip *g); /* now, or a little later if it was done just now */
/* Does this part of the failure detector take part? */
static inline bool part(const struct gossip *g, unsigned which)
{
	return g->tune->parts & which;
}
/* Notes the time; a gap in which the timer should have fired is a stall: timers move by it. */
void core_enter(struct gossip *g, struct now now);
/* packet.c */
/* Sends the messages in w (at most PAYLOAD_BYTES_MAX) to p, with what waits to be told in the room left. */
void packet_send(struct gossip *g, struct peer *p, struct wr *w);
void packet_send_to(struct gossip *g, struct peer *p, const struct addr *to, struct wr *w);
/* Sends what waits, each message once to each of a few peers. */
void packet_spread(struct gossip *g);
unsigned spread_limit(const struct gossip *g);
void spread_soon(struct gossip *g, int64_t in);
void digests_brief(struct gossip *g, struct digest_brief *durable, struct digest_brief *volatile_);
void ack_put(struct gossip *g, struct wr *w, uint32_t seq);
void on_message(struct gossip *g, struct peer *p, const struct msg *m, struct wr *reply, struct stream *stream);

/* records.c */
/* A record came, from a peer (NULL: from here). stream: where it came from, if it wants to hear STORED. */
enum store_verdict record_take(
        struct gossip *g, const uint8_t *bytes, size_t len, struct peer *from, struct stream *stream, bool push);
/* Bytes of a record that still rides on a packet, beside an ack and one statement. */
#define RECORD_PACKET_MAX (PAYLOAD_BYTES_MAX - MSG_HEADER_BYTES - 64)
/* Tells others the current record of a key of our own. */
void record_tell(struct gossip *g, const struct key32 *key);
void record_on_want(
        struct gossip *g, struct peer *from, const struct key32 *ids, size_t n, struct stream *stream);
void record_stream_gone(struct gossip *g, struct stream *s);
void record_persist(struct gossip *g, const struct stored *s);

/* pull.c */
void record_on_have(struct gossip *g, struct peer *from, const struct have *h, struct wr *reply);
void pull_tick(struct gossip *g);
mono_ms pull_wake(const struct gossip *g);
void pull_done(struct gossip *g, const struct key32 *id);     /* it is here, or there is no room for it */
void pull_failed(struct gossip *g, const struct key32 *id);   /* what came under its name was forged */
void pull_progress(struct gossip *g, const struct stream *s); /* a piece of some record came on it */
void pull_stream_gone(struct gossip *g, const struct stream *s);

/* flap.c */
/* A key of our own has changed: may it be told now? Else it is told when its time has come. */
bool flap_may_tell(struct gossip *g, const struct key32 *key);
void flap_tick(struct gossip *g);
mono_ms flap_wake(const struct gossip *g);
void flap_free(struct gossip *g);

/* quarantine.c */
void quarantine_recount(struct gossip *g); /* after trust was evaluated */
/* May this durable record, new here, be kept? *is_void: it does not count; then quarantine_took() once it is kept. */
bool quarantine_admits(struct gossip *g, const struct record *r, size_t len, bool *is_void, struct err *err);
void quarantine_took(struct gossip *g, size_t len);
/* Counts what the network brought and is refused, and says it in the log now and then. */
void refusal_say(struct gossip *g, enum refusal_sort sort, const struct peer *from, const struct err *err);

/* trim.c */
/* This revision's stack may hold bodies too many, or lack some. */
void trim_later(struct gossip *g, const struct stored *revision);
void trim_all_later(struct gossip *g); /* any stack may lack some */
void trim_tick(struct gossip *g);
mono_ms trim_wake(const struct gossip *g);
void trim_free(struct gossip *g);

/* accept.c */
void ticket_stored(struct gossip *g, const struct key32 *id); /* on our own disk now */
bool ticket_waits(const struct gossip *g, const struct key32 *id);
void ticket_failed(struct gossip *g, const struct key32 *id);
bool ticket_asked_over(const struct gossip *g, const struct stream *s); /* is a copy awaited on it? */
void ticket_stream_gone(struct gossip *g, const struct stream *s);
void ticket_tick(struct gossip *g);
mono_ms ticket_wake(const struct gossip *g);
void ticket_on_stored(struct gossip *g, const struct stream *s, const struct key32 *id);
void ticket_on_refused(struct gossip *g, const struct stream *s, const struct key32 *id);

/* stream.c */
#define FRAME_MSGS       1    /* messages of gossip/wire */
#define FRAME_SYNC_ASK   2    /* a frame of the one who began the reconciliation */
#define FRAME_SYNC_REPLY 3    /* and of the other */
#define FRAME_RECORD     4    /* flags u8, total u32, offset u32, bytes: part of an encoded record */
#define FRAME_STORED     5    /* ids of records that are on the sender's disk */
#define FRAME_REFUSED    6    /* ids of records that the sender was asked to keep and could not write */
#define RECORD_PUSH      0x01 /* flags: say STORED when it is on your disk */

/* The stream to p, opened if need be; NULL if that is not possible now. */
struct stream *stream_to(struct gossip *g, struct peer *p);
struct stream *stream_open_to(struct gossip *g, const struct peer *p); /* an open one, or NULL */
struct stream *stream_by_id(const struct gossip *g, uint64_t id);
void stream_frame(struct gossip *g, struct stream *s, uint8_t type, const void *bytes, size_t len);
void stream_record(struct gossip *g, struct stream *s, const uint8_t *bytes, size_t len, bool push);
void stream_close(struct gossip *g, struct stream *s);
void stream_close_peer(struct gossip *g, const struct peer *p);
void stream_tick(struct gossip *g);
mono_ms stream_wake(const struct gossip *g);
void stream_free_all(struct gossip *g);

/* antientropy.c */
void entropy_on_digests(struct gossip *g, struct peer *p, const struct digest_brief *durable,
        const struct digest_brief *volatile_);
void entropy_begin(struct gossip *g, struct stream *s); /* the stream is open and a sync was wanted */
void entropy_want(struct gossip *g, struct peer *p);
int entropy_on_frame(struct gossip *g, struct stream *s, bool ask, const uint8_t *bytes, size_t len);
void entropy_look(struct gossip *g); /* something differs: soon */
void entropy_first_contact(struct gossip *g, struct peer *p);
void entropy_tick(struct gossip *g);
mono_ms entropy_wake(const struct gossip *g);

#endif
