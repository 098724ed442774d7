/*
 * A deterministic simulator: virtual time, one heap of events, one seeded generator. It drives the very core that
 * the agent runs (gossip/gossip.h); only network, disk and clock are made up here. A story reads as one:
 *
 *	SIM(crash_is_seen_by_all, .peers = 5)
 *	{
 *		sim_crash(s, 2);
 *		WAIT(s, SECONDS(30), sim_all_say(s, 2, MEMBER_DEAD));
 *	}
 *
 * A failure prints story and seed; `SEED=n build/.../tests/sim/sim STORY` replays it.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "base/drbg.h"
#include "base/map.h"
#include "gossip/gossip.h"

#include <stdio.h>

#define SIM_PEERS_MAX 256

struct sim;

/* What runs above gossip on each peer: placement, reconcile, drivers. All may be NULL. state is the app's own,
 * per peer, kept over restarts (it is the peer's disk and its tasks) until `gone`. */
struct sim_app {
	void *(*start)(struct sim *s, unsigned peer, void *state); /* a new boot; returns its state */
	void (*action)(struct sim *s, unsigned peer, void *state, const struct gossip_action *a);
	/* After every event of this peer, and at `wake`: look at gossip, publish, start and stop. */
	void (*run)(struct sim *s, unsigned peer, void *state);
	mono_ms (*wake)(struct sim *s, unsigned peer, void *state); /* by that peer's clock; MONO_NEVER */
	void (*gone)(struct sim *s, unsigned peer, void *state);
};

struct sim_options {
	unsigned peers;
	unsigned joined; /* peers that are started and know each other at first; 0 means all */
	bool sealed;     /* packets are really encrypted; else plain, for speed */
	bool later;      /* nothing is started: the story does */
	unsigned loss;   /* percent of packets */
	enum gossip_profile profile;
	const struct sim_app *app;
};

struct sim_disk_record {
	uint8_t *bytes;
	size_t len;
};

/* One host with its agent and its disk. */
struct sim_peer {
	struct key32 key;
	uint8_t secret[64];
	struct addr addr;
	struct gossip *gossip; /* NULL: no agent runs */
	bool host_down;        /* nothing answers, not even with a refusal */
	uint32_t boot;
	unsigned runs; /* tells events of an earlier run apart */
	mono_ms clock; /* offset of its monotonic clock */
	int64_t skew;  /* of its wall clock */
	mono_ms frozen_until;
	mono_ms armed;        /* time of the next tick event, sim time */
	uint64_t alarm;       /* and its number: older ones are void */
	struct map disk;      /* record id -> struct sim_disk_record */
	struct map own;       /* record key -> struct sim_disk_record: own volatile ones */
	struct map addresses; /* key -> struct addr */
	int disk_ms;          /* a write takes up to this long */
	bool disk_full;
	unsigned group; /* side of a split */
	void *app;
	uint64_t sent_packets;
	unsigned deaths_seen; /* times that it took another for dead */
};

struct sim {
	const char *name;
	uint64_t seed;
	struct sim_options opt;
	struct drbg rng;
	mono_ms now;
	struct sim_peer peer[SIM_PEERS_MAX];
	unsigned n;
	unsigned loss;                /* percent */
	unsigned duplicate;           /* percent */
	int64_t delay_min, delay_max; /* one way, ms */
	bool split;
	int no_udp[2]; /* a pair whose packets are dropped while its streams work; -1: none */
	struct key32 flock;
	uint8_t root[64], admin[64];
	struct wr trust[2 + SIM_PEERS_MAX]; /* genesis, admin's grant, admissions */
	struct sim_event **heap;
	size_t heap_len, heap_cap;
	uint64_t order;
	struct map streams; /* of sim_net.c */
	uint64_t stream_ids;
	struct map accepted; /* ticket -> copies << 8 | wanted */
	uint64_t tickets;
	uint64_t events;
};

/* Engine. */
struct sim *sim_new(const char *name, uint64_t seed, const struct sim_options *opt);
void sim_free(struct sim *s);
void sim_run(struct sim *s, int64_t ms);
/* One event; false when it would be later than `until`. */
bool sim_step(struct sim *s, mono_ms until);
/* All events of the next moment: 1 ms, or 20 ms in a large flock, whose state takes long to look at. Not past
 * `until`. */
void sim_advance(struct sim *s, mono_ms until);
struct now sim_peer_now(const struct sim *s, unsigned peer);
_Noreturn void sim_fail(struct sim *s, const char *file, int line, const char *what);

/* What happens to peers. */
void sim_start(struct sim *s, unsigned peer);  /* boots, with what its disk holds */
void sim_kill(struct sim *s, unsigned peer);   /* the agent dies; the host refuses connections */
void sim_crash(struct sim *s, unsigned peer);  /* the host is gone: silence */
void sim_unplug(struct sim *s, unsigned peer); /* the cable is pulled; the agent goes on alone */
void sim_plug(struct sim *s, unsigned peer);
void sim_freeze(struct sim *s, unsigned peer, int64_t ms);
void sim_move(struct sim *s, unsigned peer);      /* a new address, told to the agent */
void sim_leave(struct sim *s, unsigned peer);     /* says so, then stops after a second */
void sim_split(struct sim *s, const char *sides); /* "0 1 | 2 3 4"; who is not named stays with the first */
void sim_heal(struct sim *s);
void sim_knows(struct sim *s, unsigned peer, unsigned other); /* tells an agent the other's address */

/* Gives `at` the admission of a newcomer, as the peer that vouched for it has it. */
void sim_admit(struct sim *s, unsigned at, unsigned newcomer);

void sim_evict(struct sim *s, unsigned at, unsigned peer);

/* Records. */
struct key32 sim_submit(struct sim *s, unsigned peer, const char *stack, const char *body, uint64_t *ticket);
struct key32 sim_remove(struct sim *s, unsigned peer, const char *stack, uint64_t *ticket);
bool sim_has(const struct sim *s, unsigned peer, const struct key32 *id);
/* The winning body of a stack there; NULL: none, or removed. */
const char *sim_stack(const struct sim *s, unsigned peer, const char *stack);
bool sim_accepted(const struct sim *s, uint64_t ticket, unsigned *copies, unsigned *wanted);
void sim_publish(struct sim *s, unsigned peer, const char *page, const char *body);
bool sim_page_is(const struct sim *s, unsigned viewer, unsigned owner, const char *page, const char *body);
bool sim_digests_equal(const struct sim *s); /* among running peers */

/* Views. */
enum member_state sim_says(const struct sim *s, unsigned viewer, unsigned subject);
bool sim_all_say(const struct sim *s, unsigned subject, enum member_state state); /* all other running peers */
bool sim_all_alive(const struct sim *s); /* every running peer sees every running peer alive */
uint32_t sim_boot_seen(const struct sim *s, unsigned viewer, unsigned subject); /* boot count that viewer knows */
unsigned sim_deaths(const struct sim *s);
bool sim_all_ready(const struct sim *s);

/* sim_net.c */
void sim_net_packet(struct sim *s, unsigned from, const struct addr *to, const uint8_t *bytes, size_t len);
void sim_net_connect(
        struct sim *s, unsigned from, uint64_t id, const struct addr *to, const struct key32 *expect);
void sim_net_frame(struct sim *s, unsigned from, uint64_t id, const uint8_t *bytes, size_t len);
void sim_net_close(struct sim *s, unsigned from, uint64_t id);
void sim_net_agent_gone(struct sim *s, unsigned peer);
bool sim_net_blocked(const struct sim *s, unsigned a, unsigned b);
int64_t sim_net_delay(struct sim *s);

/* Events: fn runs at `at` with the peer, unless that run of it has ended. bytes are copied. */
typedef void sim_event_fn(struct sim *s, unsigned peer, uint64_t a, uint64_t b, const uint8_t *bytes, size_t len);
void sim_at(struct sim *s, mono_ms at, unsigned peer, sim_event_fn *fn, uint64_t a, uint64_t b, const void *bytes,
        size_t len);
/* Carries out what the peer's core asks for, and arms its timer. */
void sim_drain(struct sim *s, unsigned peer);

/* Stories. */
struct sim_story {
	const char *name;
	struct sim_options opt;
	void (*run)(struct sim *s);
	struct sim_story *next;
};
void sim_register(struct sim_story *story);

#define SIM(story_name, ...)                                                                                     \
	static void story_##story_name(struct sim *s);                                                           \
	__attribute__((constructor)) static void register_##story_name(void)                                     \
	{                                                                                                        \
		static struct sim_story story = {                                                                \
		        .name = #story_name, .opt = {__VA_ARGS__}, .run = story_##story_name};                   \
		sim_register(&story);                                                                            \
	}                                                                                                        \
	static void story_##story_name(struct sim *s)

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
