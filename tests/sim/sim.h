/*
 * A deterministic simulator: virtual time, one heap of events, one seeded generator. It drives the very core that
 * the agent runs (gossip/gossip.h); only network, disk and clock are made up here, and they can be as bad as a
 * story or a benchmark wants. The same seed gives the same events, byte for byte: sim_trace() is a hash over all.
 *
 * The engine is a library (tests/tests.mk: SIM_LIB) that knows no stories: see tests/sim/story.h for those, and
 * docs/simulator.md for how to write and replay them.
 *
 *	sim.h         what a story or a program may call
 *	sim_core.h    what the engine's files share
 *	sim_events.c  the heap of events, time, the trace
 *	sim_hosts.c   agents and their clocks: start, kill, freeze, suspend, move, leave
 *	sim_disk.c    disks and what goes wrong with them
 *	sim_found.c   the flock at the beginning
 *	sim_net.c     addresses, links, cuts, NAT
 *	sim_packets.c UDP         sim_streams.c TCP
 *	sim_view.c    what peers say of each other      sim_records.c what they know, and what they are made to write
 *	sim_liar.c    a peer that lies                  sim_replay.c  and repeats what it has no right to
 *	sim_newer.c   peers of the version after this one
 *	sim_work.h    what a flock runs: view, placement, reconcile, tasks (option .work)
 *	sim_chaos.c   trouble of every kind, by chance  sim_fail.c    what failed, and how to see it again
 *	sim_crypto.c  each signature is checked once for all peers
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "base/drbg.h"
#include "base/list.h"
#include "base/map.h"
#include "gossip/gossip.h"

#include <stdio.h>

/* Addresses number peers with 16 bits; 10,000 is what this machine's memory takes. */
#define SIM_PEERS_MAX 10000
/* Unix ms at the start of every simulation: any fixed date. */
#define SIM_WALL_START INT64_C(1790000000000)

struct reconcile_config;
struct sim;
struct sim_works;

/* How packets and stream data fare on their way. Percentages are of packets. */
struct sim_link {
	unsigned loss;
	unsigned duplicate;
	unsigned reorder;             /* held back long enough for later ones to overtake */
	int64_t delay_min, delay_max; /* one way, ms */
	bool cut;                     /* nothing passes */
	bool cut_udp;                 /* streams alone pass */
};

/* What a program may be told while the simulation runs. All may be NULL. */
struct sim_hooks {
	void *ctx;
	/* Before an agent is made: its configuration. */
	void (*config)(struct sim *s, unsigned peer, struct gossip_config *cfg, void *ctx);
	/* On each GOSSIP_MEMBER: what viewer thinks of subject now, and thought before. The two may be equal. */
	void (*member)(struct sim *s, unsigned viewer, unsigned subject, enum member_state was,
	        enum member_state is, void *ctx);
	/* Each packet as it leaves, lost or not. */
	void (*packet)(struct sim *s, unsigned from, const struct addr *to, size_t len, void *ctx);
};

struct sim_options {
	unsigned peers;
	unsigned joined; /* peers that are started and know each other at first; 0 means all */
	bool sealed;     /* packets are really encrypted; else plain, for speed */
	bool later;      /* nothing is started: the story does */
	bool work;       /* peers place and run tasks: sim_work.h */
	bool slow;       /* a story that takes long: told in few rounds, as those of large flocks are */
	unsigned loss;   /* percent of packets */
	enum gossip_profile profile;
	const struct reconcile_config *timing; /* with work; NULL: the defaults */
	struct sim_hooks hooks;
};

/* A peer's disk, and what goes wrong with it. */
struct sim_disk {
	unsigned base;        /* so many of the flock's first trust records are on it, */
	struct map records;   /* and these: record id -> struct sim_blob */
	struct map gone;      /* ids among the base that were deleted */
	struct map own;       /* record key -> struct sim_blob: own volatile ones, kept without sync */
	uint8_t *known;       /* bit per peer: its address is known, */
	struct map moved;     /* and it is not its first one: peer (u32) -> struct addr */
	struct list writes;   /* asked for, not yet acknowledged */
	int64_t ms_max;       /* a write takes up to this long */
	int64_t slow_ms;      /* or, */
	unsigned slow;        /* in so many percent of cases, up to this long */
	bool full;            /* nothing can be written */
	unsigned write_error; /* percent of writes that fail */
	unsigned
	        sync_error; /* percent of writes after which the agent stops, as it must: nobody knows what is there */
	unsigned torn,
	        refused; /* so far: records half written at a crash; of them, found and refused at a start */
	bool stopped;    /* a sync error stopped the agent */
};

/* A peer behind a NAT that maps endpoints independently and filters by address (RFC 4787). */
struct sim_nat {
	bool on;
	bool refuses;        /* streams to it are refused; else met with silence */
	int64_t lifetime_ms; /* of a mapping, and of a hole in the filter, since the last packet out */
	struct addr external;
	unsigned mappings;
	mono_ms last;
	struct map holes; /* address (SIM_ADDR_KEY bytes) -> time of the last packet to it */
};

struct sim_liar;

/* One host with its agent and its disk. */
struct sim_peer {
	struct key32 key;
	uint8_t secret[64];
	struct addr addr;
	struct gossip *gossip; /* NULL: no agent runs */
	int clone_of;          /* another peer, whose key this machine has too; -1 */
	bool host_down;        /* nothing answers, not even with a refusal */
	bool suspended;        /* until frozen_until, and its clock stands */
	bool fenced;           /* it was told that another machine has its identity, and stopped */
	uint32_t boot;
	unsigned runs;  /* tells events of an earlier run apart */
	mono_ms clock;  /* offset of its monotonic clock, */
	int64_t ppm;    /* and how fast it runs away, */
	mono_ms ppm_at; /* since this moment */
	int64_t skew;   /* of its wall clock */
	mono_ms frozen_until;
	unsigned budget;       /* events that a starved peer may handle, */
	mono_ms starved_until; /* and until when it stands after them; 0 budget: it is not starved */
	mono_ms armed;         /* time of the next tick event, sim time */
	uint64_t alarm;        /* and its number: older ones are void */
	struct sim_disk disk;
	struct sim_nat nat;
	unsigned group;  /* side of a split */
	bool deaf, mute; /* nothing comes in; nothing goes out */
	unsigned loss;   /* percent, of packets in and out, beside its links' own */
	bool newer;      /* speaks the next version (sim_newer.c) */
	struct sim_liar *liar;
	uint8_t *said;                      /* 2 bits per peer: what it says of it (sim_view.c) */
	struct list pipes;                  /* ends of its streams */
	uint64_t sent_packets, got_packets; /* UDP */
	uint64_t sent_bytes, got_bytes;     /* and streams */
	unsigned deaths_seen;               /* times that it took another for dead */
};

struct sim {
	const char *name;
	uint64_t seed;
	struct sim_options opt;
	struct drbg rng;
	mono_ms now;
	struct sim_peer *peer;
	unsigned n;
	struct sim_link net; /* of all links that have no conditions of their own */
	struct map links;    /* from, to (u32 each) -> struct sim_link */
	bool split;
	struct key32 flock;
	uint8_t root[64], admin[64];
	struct wr *trust;     /* genesis, admin's grant, admissions of all */
	struct map by_key;    /* peer's key -> index + 1 */
	struct map by_id;     /* first 8 bytes of it -> index + 1 */
	struct map by_addr;   /* each address that anybody ever had -> index + 1 */
	struct map strangers; /* addresses that nobody ever had -> struct sim_stranger */
	struct sim_event **heap;
	size_t heap_len, heap_cap;
	uint64_t order;
	uint64_t trace;
	struct map pipes; /* number -> struct pipe (sim_streams.c) */
	struct map ends;  /* peer, stream -> struct pipe_end */
	uint64_t pipe_numbers;
	struct map accepted; /* ticket -> 1 << 16 | copies << 8 | wanted */
	uint64_t tickets;
	uint64_t writes;
	mono_ms disk_lost_at; /* when a disk was last lost or set back */
	uint64_t events;
	unsigned running;    /* agents */
	unsigned (*seen)[4]; /* per subject: how many running others say so of it */
	struct {
		int peer;
		struct addr from;
		bool unknown;
		size_t len;
	} answering;             /* the packet that is being taken */
	struct sim_works *works; /* NULL without option work */
};

/* Engine. */
struct sim *sim_new(const char *name, uint64_t seed, const struct sim_options *opt);
void sim_free(struct sim *s);
void sim_run(struct sim *s, int64_t ms);
/* One event; false when it would be later than `until`. */
bool sim_step(struct sim *s, mono_ms until);
/* All events of the next moment: 1 ms, or more in a large flock, whose state takes long to look at. Not past
 * `until`. */
void sim_advance(struct sim *s, mono_ms until);
struct now sim_peer_now(const struct sim *s, unsigned peer);
/* Hash over every event so far: time, peer, kind, bytes. */
uint64_t sim_trace(const struct sim *s);

/* Something is wrong. Says what and how to replay it, on stderr, and ends the program, unless a handler is set;
 * the handler does not return. */
_Noreturn void sim_fail(struct sim *s, const char *file, int line, const char *what);
typedef void sim_fail_fn(struct sim *s, const char *text);
void sim_on_fail(sim_fail_fn *fn);

/* What happens to peers. */
void sim_start(struct sim *s, unsigned peer);  /* boots, with what its disk holds */
void sim_kill(struct sim *s, unsigned peer);   /* the agent dies (kill -9); the host refuses connections */
void sim_crash(struct sim *s, unsigned peer);  /* the power is cut: silence, and unsynced writes are in doubt */
void sim_unplug(struct sim *s, unsigned peer); /* the cable is pulled; the agent goes on alone */
void sim_plug(struct sim *s, unsigned peer);
void sim_freeze(struct sim *s, unsigned peer, int64_t ms); /* SIGSTOP: what comes waits in the kernel */
/* As on a host that is out of CPU: it stands for ms, handles so many events, and stands again until again_ms from now.
 * What it did not get to waits. */
void sim_starve(struct sim *s, unsigned peer, int64_t ms, unsigned events, int64_t again_ms);
void sim_suspend(struct sim *s, unsigned peer, int64_t ms); /* the machine sleeps; CLOCK_MONOTONIC stands still */
void sim_move(struct sim *s, unsigned peer);                /* a new address, told to the agent */
void sim_move_to(struct sim *s, unsigned peer, const struct addr *to);
void sim_leave(struct sim *s, unsigned peer);                 /* says so, then stops after a second */
void sim_knows(struct sim *s, unsigned peer, unsigned other); /* tells an agent the other's address */
/* Makes `peer`, which does not run, a second machine with the key and the disk that `of` has now. */
void sim_clone(struct sim *s, unsigned peer, unsigned of);
/* A packet reaches `to` from `from`, which nobody need own: a spoofed source, a replay. */
void sim_inject(struct sim *s, unsigned to, const struct addr *from, const uint8_t *bytes, size_t len);

/* Bytes that peers sent to an address that was never any peer's. */
uint64_t sim_sent_to_stranger(struct sim *s, const struct addr *to);
/* Carries out what the peer's core asks for, and arms its timer. */
void sim_drain(struct sim *s, unsigned peer);

/* Clocks. */
void sim_drift(struct sim *s, unsigned peer, int64_t ppm);     /* both of its clocks run so much faster */
void sim_step_clock(struct sim *s, unsigned peer, int64_t ms); /* its wall clock jumps */

/* Links; each is one way. */
struct sim_link *sim_link(struct sim *s, unsigned from, unsigned to); /* conditions of its own, to be changed */
void sim_link_both(struct sim *s, unsigned a, unsigned b, struct sim_link link);
void sim_links_reset(struct sim *s);                     /* all links are as s->net again */
void sim_cut(struct sim *s, unsigned from, unsigned to); /* `to` hears nothing of `from` */
void sim_mend(struct sim *s, unsigned from, unsigned to);
void sim_split(struct sim *s, const char *sides); /* "0 1 | 2 3 4"; who is not named stays with the first */
void sim_heal(struct sim *s);                     /* ends a split */
void sim_calm(struct sim *s);                     /* ends all that was done to links, splits, NATs and disks */
void sim_nat(struct sim *s, unsigned peer, int64_t lifetime_ms); /* puts it behind a NAT; 0: in the open again */
void sim_nat_drop(struct sim *s, unsigned peer);                 /* the NAT forgets: a new port from now on */

/* Disks. */
struct sim_image;
struct sim_image *sim_disk_image(const struct sim *s, unsigned peer);
/* The peer must not run. */
void sim_disk_restore(struct sim *s, unsigned peer, const struct sim_image *image);
void sim_image_free(struct sim_image *image);
/* All is lost but the key: what is left is what a host that joins is given. The peer must not run. */
void sim_disk_lose(struct sim *s, unsigned peer);
/* Whether the record's bytes are whole on that disk. */
bool sim_on_disk(const struct sim *s, unsigned peer, const struct key32 *id);

/* Gives `at` the admission of a newcomer, as the peer that vouched for it has it. */
void sim_admit(struct sim *s, unsigned at, unsigned newcomer);
void sim_evict(struct sim *s, unsigned at, unsigned peer);

/* Records. A ticket is for sim_accepted(). */
struct key32 sim_submit(struct sim *s, unsigned peer, const char *stack, const char *body, uint64_t *ticket);
struct key32 sim_remove(struct sim *s, unsigned peer, const char *stack, uint64_t *ticket);
/* The same with any body, where it may be refused (false; err says why). NULL: the stack is removed. */
bool sim_submit_body(struct sim *s, unsigned peer, const char *stack, const uint8_t *body, size_t len,
        struct key32 *id, uint64_t *ticket, struct err *err);
/* The same where it may be refused (false; err says why). body NULL: the stack is removed. */
bool sim_try_submit(struct sim *s, unsigned peer, const char *stack, const char *body, struct key32 *id,
        uint64_t *ticket, struct err *err);
/* Any record, by an author with that secret key; false: refused, err says why. */
bool sim_submit_as(struct sim *s, unsigned peer, struct record *r, const uint8_t secret[64], uint64_t *ticket,
        struct err *err);
bool sim_has(const struct sim *s, unsigned peer, const struct key32 *id);
bool sim_all_have(const struct sim *s, const struct key32 *id); /* running peers */
/* The body of a stack that takes effect there; NULL: none, or removed. */
const char *sim_stack(const struct sim *s, unsigned peer, const char *stack);
bool sim_accepted(const struct sim *s, uint64_t ticket, unsigned *copies, unsigned *wanted);
void sim_publish(struct sim *s, unsigned peer, const char *page, const char *body);
bool sim_page_is(const struct sim *s, unsigned viewer, unsigned owner, const char *page, const char *body);
bool sim_all_see_page(const struct sim *s, unsigned owner, const char *page, const char *body);
bool sim_digests_equal(const struct sim *s); /* among running peers */

/* Views. */
struct gossip *sim_agent(const struct sim *s, unsigned peer); /* fails the story if it does not run */
enum member_state sim_says(const struct sim *s, unsigned viewer, unsigned subject);
bool sim_all_say(const struct sim *s, unsigned subject, enum member_state state); /* all other running peers */
bool sim_all_alive(const struct sim *s); /* every running peer sees every running peer alive */
uint64_t sim_incarnation(const struct sim *s, unsigned viewer, unsigned subject); /* that viewer knows */
uint32_t sim_boot_seen(const struct sim *s, unsigned viewer, unsigned subject);   /* its boot count */
unsigned sim_deaths(const struct sim *s);
bool sim_all_ready(const struct sim *s);
bool sim_all_quiet(const struct sim *s); /* no running peer has anything left to tell or to write */
/* All of it: alive, equal digests, ready, quiet. */
bool sim_converged(const struct sim *s);

/* That the counts behind these views and the cores agree: a check of the engine itself. */
void sim_view_check(struct sim *s);

/* Each peer and what it says, for whoever looks into a failure. */
void sim_print(const struct sim *s, FILE *out);

/* Peers that are not as they should be. */
struct sim_lies {
	bool accuse; /* suspect and dead, signed by itself, against everybody, again and again */
	bool forge;  /* statements and records in others' names */
	bool replay; /* packets, statements and records of others as they were once, long out of date */
	bool claim;  /* status pages and verdicts about everything */
	bool flood;  /* huge and endless records, frames out of turn, garbage */
	bool silent; /* says nothing else, and answers nobody */
};
void sim_lie(struct sim *s, unsigned peer, struct sim_lies lies); /* from now on */
/* From now on the peer speaks as a version after this one would: messages, frames, record kinds and record flags
 * that this one does not know, among those that it does. */
void sim_make_newer(struct sim *s, unsigned peer);

#define EXPECT(s, cond)                                                                                          \
	do {                                                                                                     \
		if (!(cond))                                                                                     \
			sim_fail(s, __FILE__, __LINE__, #cond);                                                  \
	} while (0)

/* Runs until cond holds; fails after ms. */
#define WAIT(s, ms, cond)                                                                                        \
	do {                                                                                                     \
		mono_ms wait_until = (s)->now + (ms);                                                            \
		while (!(cond)) {                                                                                \
			if ((s)->now >= wait_until)                                                              \
				sim_fail(s, __FILE__, __LINE__, "in time: " #cond);                              \
			sim_advance(s, wait_until);                                                              \
		}                                                                                                \
	} while (0)

#endif
