/*
 * One pass of a peer's work: store -> view -> placement -> what this peer must do -> claims and facts for the others.
 * Pure: the agent and the simulator drive the same code, and carry out what it says; agent_work.c, tests/sim/sim_work.c.
 *
 *	work_decide()                   starts, stops and the like, in order
 *	   ... the edge carries them out; what it cannot start it tells by work_refuse() ...
 *	work_tell()                     publishes what is so now
 *
 * It is time for a pass whenever a record or a member changed, a task did, readiness or isolation did, and when the
 * last one wanted the next.
 */
#ifndef NODE_WORK_H
#define NODE_WORK_H

#include "node/reconcile.h"
#include "node/view.h"

struct work;

/* A task of this peer, as its runtime has it. */
struct work_task {
	struct own_task own;
	const char *service; /* with own.stack and index, for messages */
	uint32_t index;
	wall_ms healthy_since;
	bool refused; /* it cannot start on this host, and never ran: another peer may */
	const char *reason;
	size_t n_ports;
	struct {
		uint8_t index;
		uint16_t port;
	} ports[SERVICE_PORTS_MAX];
};

/* What a pass starts from. */
struct work_input {
	struct gossip *gossip; /* is given claims and facts to publish; drain it after each call */
	struct now now;
	uint32_t boot;
	wall_ms started; /* this run */
	size_t n_tasks;
	const struct work_task *tasks;
	/* What this peer is; ready, adopted and leaving are filled in here. */
	const struct facts *host;
	bool adopted;   /* tasks of the last run were found again */
	bool disk_full; /* it takes no new work */
	bool held_back; /* nor does one that was restarted again and again, for a while */
	bool leaving;   /* its operator lets it go: it hands its tasks over */
	bool left;      /* and it is gone: it decides nothing more */
};

struct work_action {
	enum reconcile_kind kind;
	id64 task;
	const char *why;
	/* DO_START, DO_CONFIRM; DO_REFUSE and DO_DISPUTE are not passed on: they are done here */
	id64 slot;
	id64 revision;
	const char *stack;
	const struct service *service; /* valid until the next work_decide() */
	uint32_t index;
};

/* A slot that this peer was told to start and cannot: said in a claim, so that the next candidate acts at once. */
struct refusal {
	id64 slot;
	id64 content;
	id64 revision;
	mono_ms until; /* then it is tried again */
	char why[256];
};
#define REFUSALS_MAX 256 /* one more is not said: its task stays, failed or in backoff */

struct work *work_new(const struct key32 *self, const struct key32 *flock, const struct reconcile_config *timing);
void work_free(struct work *w);

/* On GOSSIP_RECORD: is it a revision that is news? */
void work_on_record(struct work *w, const struct gossip *g, const struct key32 *id, struct now now);
/* Looks, and says what to do, in that order; actions are valid until the next work_decide(). */
void work_decide(
        struct work *w, const struct work_input *in, const struct work_action **actions, size_t *n_actions);
/* The DO_START could not even be tried. */
void work_refuse(struct work *w, const struct work_action *start, const char *why, mono_ms now);
/* After the actions were carried out; `in` has the tasks as they are now. Returns when the next pass is due at the
 * latest, MONO_NEVER: when something changes. */
mono_ms work_tell(struct work *w, const struct work_input *in);
/* After a pass of a peer that leaves: has it nothing more to hand over, nor anybody who could take it? */
bool work_may_go(struct work *w, const struct work_input *in);
/* Instead of a pass, for a peer that is no member any more: it looks on, and has no tasks that count. */
void work_look_on(struct work *w, const struct gossip *g, mono_ms now);

/* As of the last look: valid until the next of the three above. */
const struct view *work_view(const struct work *w);
const struct placement *work_placement(const struct work *w);
/* This peer's refusal of a slot, or NULL. */
const struct refusal *work_refusal(const struct work *w, id64 slot);

#endif
