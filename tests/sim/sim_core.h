/* What the files of the engine share, and stories have no use for. */
#ifndef TESTS_SIM_SIM_CORE_H
#define TESTS_SIM_SIM_CORE_H

#include "tests/sim/sim.h"

/* No peer: an event of the world itself, which nothing can freeze. */
#define SIM_WORLD UINT32_MAX

enum sim_event_kind {
	EV_TICK,    /* a: number of the alarm */
	EV_PACKET,  /* bytes: source address, packet */
	EV_ACCEPT,  /* a: pipe */
	EV_OPENED,  /* a: pipe */
	EV_FRAME,   /* a: pipe, b: end */
	EV_RETRY,   /* a: pipe, b: end; of the world */
	EV_CLOSED,  /* a: stream, b: refused */
	EV_WRITTEN, /* a: number of the write */
	EV_STOP,    /* the agent ends itself */
	EV_LIE,     /* the liar's next turn */
	EV_WORK,    /* a pass; a: number of its alarm */
	EV_ADOPT,   /* a new agent has found its tasks */
	EV_TASK,    /* a: host, b: number of the change; of the world */
	EV_KINDS
};

typedef void sim_event_fn(struct sim *s, unsigned peer, uint64_t a, uint64_t b, const uint8_t *bytes, size_t len);
sim_event_fn on_tick, on_packet, on_accept, on_opened, on_frame, on_retry, on_closed, on_written, on_stop, on_lie,
        on_work, on_adopt, on_task;

/* The event comes to the peer at `at`, unless that run of it has ended by then. bytes are copied. */
void sim_at(struct sim *s, mono_ms at, unsigned peer, enum sim_event_kind kind, uint64_t a, uint64_t b,
        const void *bytes, size_t len);
bool sim_chance(struct sim *s, unsigned percent);
/* The first moment, after now, at which the peer's clock has reached `mono`. */
mono_ms sim_moment(const struct sim *s, unsigned peer, mono_ms mono);

/* sim_net.c */
#define SIM_ADDR_KEY 19
struct sim_addr_key {
	uint8_t b[SIM_ADDR_KEY];
};
/* An address that was never any peer's, which is sent no more than it sent. */
struct sim_stranger {
	uint64_t in, out; /* bytes, as peers see it */
};
struct sim_addr_key sim_addr_key(const struct addr *a);
void sim_net_own(struct sim *s, unsigned peer, const struct addr *a); /* the address is that peer's now */
/* Where a packet or a connection of `from` to that address arrives; -1: nowhere. */
int sim_net_route(const struct sim *s, unsigned from, const struct addr *to);
/* The source that others see of a packet to `to`; opens a hole in the peer's NAT. */
struct addr sim_net_source(struct sim *s, unsigned from, const struct addr *to);
bool sim_nat_lets_in(const struct sim *s, unsigned peer, const struct addr *source);
/* Nothing of `from` reaches `to`. */
bool sim_net_blocked(const struct sim *s, unsigned from, unsigned to);
const struct sim_link *sim_net_link(const struct sim *s, unsigned from, unsigned to);
/* Percent of packets lost between the two. */
unsigned sim_net_loss(const struct sim *s, unsigned from, unsigned to);
int64_t sim_net_delay(struct sim *s, unsigned from, unsigned to);
struct sim_stranger *sim_stranger(struct sim *s, const struct addr *a); /* NULL: it is, or was, a peer's */

/* sim_packets.c, sim_streams.c */
void sim_net_packet(struct sim *s, unsigned from, const struct addr *to, const uint8_t *bytes, size_t len);
void sim_net_connect(
        struct sim *s, unsigned from, uint64_t id, const struct addr *to, const struct key32 *expect);
void sim_net_frame(struct sim *s, unsigned from, uint64_t id, const uint8_t *bytes, size_t len);
void sim_net_close(struct sim *s, unsigned from, uint64_t id);
void sim_net_agent_gone(struct sim *s, unsigned peer);
void sim_net_free(struct sim *s);

/* sim_disk.c */
struct sim_blob {
	size_t len;
	uint8_t bytes[];
};
void sim_disk_init(struct sim_disk *d, unsigned peers);
void sim_disk_free(struct sim_disk *d);
void sim_disk_put(struct map *m, const struct key32 *key, const uint8_t *bytes, size_t len);
void sim_disk_write(struct sim *s, unsigned peer, const struct gossip_action *a);
void sim_disk_forget(struct sim *s, unsigned peer, const struct key32 *id);
void sim_disk_agent_gone(
        struct sim *s, unsigned peer, bool power); /* power: it was cut, not just the agent killed */
void sim_disk_load(struct sim *s, unsigned peer);  /* into the agent */
/* That no less disks hold the record than an operator was just told. */
void sim_disk_check(struct sim *s, const struct key32 *id, unsigned copies);
void sim_disk_knows(struct sim *s, unsigned peer, unsigned other, const struct addr *addr);

/* sim_view.c */
void sim_view_member(struct sim *s, unsigned viewer, const struct key32 *subject);
void sim_view_started(struct sim *s, unsigned viewer);
void sim_view_ended(struct sim *s, unsigned viewer);
int sim_by_key(const struct sim *s, const struct key32 *key); /* -1: none */

/* sim_liar.c, sim_newer.c */
void sim_liar_free(struct sim_liar *l);
bool sim_liar_says(
        const struct sim *s, unsigned liar, const struct gossip_action *a); /* false: it keeps silent */
bool sim_liar_mute(const struct sim_peer *p);
void sim_liar_taps(
        struct sim *s, unsigned to, const struct addr *from, const uint8_t *bytes, size_t len, bool lost);
void sim_newer_started(struct sim *s, unsigned peer);
/* The bytes as the newer version sends them, into out, which has room for `room`. */
size_t sim_newer_packet(struct sim *s, const uint8_t *bytes, size_t len, uint8_t *out, size_t room);
size_t sim_newer_frame(struct sim *s, const uint8_t *bytes, size_t len, uint8_t *out, size_t room);
/* A frame of a kind of its own, into out (64 bytes do). */
size_t sim_newer_own_frame(uint8_t *out);

#endif
