/*
 * The agent: wires the pure cores to sockets, disk, processes and clocks. One loop, one struct; the parts never
 * know of each other. agent.c owns it, node/control reads it to answer the CLI.
 */
#ifndef NODE_AGENT_H
#define NODE_AGENT_H

#include "base/drbg.h"
#include "base/map.h"
#include "gossip/gossip.h"
#include "node/config.h"
#include "node/http/http.h"
#include "node/keyfile.h"
#include "node/net/dns_server.h"
#include "node/net/peer_net.h"
#include "node/persist.h"
#include "node/runtime/runtime.h"
#include "node/verifier.h"
#include "node/work.h"

#include <uv.h>

struct control;
struct images;
struct events;

struct agent {
	uv_loop_t loop;
	struct config cfg;
	struct keypair keys;
	struct key32 flock;
	struct addr advertise; /* agent_address.c */
	struct addrwatch *addrwatch;
	bool bound_gone; /* no interface has --bind's address any more */
	uint32_t boot;
	wall_ms started;
	struct facts host; /* what hostfacts_fill() found at start, less the reserve */
	struct host_reserve reserve;
	struct arena volumes_arena; /* agent_volumes.c: folders that live here, sorted */
	bool volumes_stale;         /* look again before the next facts */
	size_t n_volumes;
	const char **volumes;
	bool adopted; /* tasks of the last boot were found again */
	bool said_ready;
	uint32_t
	        restarts; /* in a row, soon after each other (agent_restarts.c); until when it takes no new work */
	mono_ms held_until;
	bool was_ready, was_isolated; /* as agent_pump() saw them last */
	void (*ready)(void *ctx);
	void *ready_ctx;
	/* This peer is no member: it starts nothing, and what it lists is of no use (agent_leave.c). */
	enum { OUT_NOT, OUT_EVICTED, OUT_UNADMITTED } out;
	mono_ms out_since;
	char out_why[256];   /* a sentence without its end */
	bool leaving;        /* agent_leave() was called: this peer hands its tasks over */
	bool left;           /* and has told the flock that it is gone */
	mono_ms leave_until; /* until when others have time to take over */
	mono_ms leave_from;  /* when it left */
	bool stopping;
	bool pumping; /* agent_pump() is at work further up the stack */
	int exit_code;
	struct drbg rng;

	struct gossip *gossip;
	struct persist *persist;
	struct peer_net *net;
	struct verifier *verifier;
	struct runtime *runtime;
	struct images *images; /* agent_images.c; NULL: none can be kept here */
	uv_timer_t images_timer;
	struct dns_server *dns;
	struct http_server *http;
	struct control *control;
	struct events *events;      /* what happened, for `starling events` */
	struct join_offers *offers; /* to hosts that join; NULL until the first asks */
	struct work *work;
	struct map links; /* sessions with peers and operators, by id: agent_net.c */

	uv_timer_t gossip_timer; /* fires at gossip_wake() */
	mono_ms gossip_due;
	uv_timer_t work_timer; /* the next pass of view, placement, reconcile, publish, zone */
	uv_signal_t sigint, sigterm;

	struct arena arena; /* of the pass under way */
	/* The last pass's results, whose memory is the work's; replaced whole by the next. */
	struct view view;
	struct placement placement;
	mono_ms worked_at;
	mono_ms work_due;            /* when work_timer fires; MONO_NEVER: not set */
	bool disk_full;              /* no room in the data folder: no new work (agent_disk.c) */
	mono_ms disk_due;            /* while it is: when to look again */
	char disk_why[ERR_TEXT_MAX]; /* why a record could not be written last, for who submitted it */
	struct key32 zone_hash;      /* view_zone_hash() of it */
	struct zone *zone;
	uint32_t zone_serial;
};

/* Opens everything, runs until a signal or a fatal fault, closes everything. ready is called once, when this peer
 * takes part: it has reconciled with others or found none. Returns the exit code; err says why it could not
 * start. */
int agent_run(const struct config *cfg, void (*ready)(void *ctx), void *ctx, struct err *err);

/* Something changed: do a pass soon, at most one per few milliseconds. */
void agent_kick(struct agent *a);
/* Deletes removed volumes, at the disk's pace and not the agent's. */
void agent_sweep_volumes(const struct agent *a);
/* Hands the gossip core's actions to sockets and disk, and arms its timer. After every call into gossip. */
void agent_pump(struct agent *a);
struct now agent_now(struct agent *a);
/* This peer hands its tasks over, for at most so many ms, then tells all that it has left, stops what still runs,
 * then ends the agent. */
void agent_leave(struct agent *a, int64_t patience_ms);
/* agent_disk.c. Something could not be written, or could at last: is the disk full? */
void agent_look_at_disk(struct agent *a);
/* While it is full, looks again when it is time; returns when that is next, or MONO_NEVER. */
mono_ms agent_watch_disk(struct agent *a);
const char *agent_state_name(const struct agent *a);
/* In state waiting: "restarted 3 times in a row; takes new work in 20 s". False: it is in another state. */
bool agent_held_text(const struct agent *a, char *out, size_t size);

#endif
