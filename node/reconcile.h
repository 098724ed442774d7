/*
 * What this peer must do now: from the view and its own tasks to starts and stops (DESIGN section 7, "Who starts,
 * and when"; section 9, updates). Pure: the agent and the simulator drive the same code. Rules are numbered in
 * reconcile.c and docs/placement.md.
 */
#ifndef NODE_RECONCILE_H
#define NODE_RECONCILE_H

#include "placement/place.h"

struct reconcile;

struct reconcile_config {
	mono_ms settle;   /* from first suspicion to the first start elsewhere, beyond which candidate 0 acts */
	int64_t newcomer; /* how long a peer that became ready leaves orphans alone: others may be on their way */
	mono_ms deputy_delay; /* more per deputy */
	mono_ms fresh;        /* a revision that arrived live within this is started at once */
	mono_ms yield;        /* the loser of a conflict stops after it has seen the better claim this long */
	mono_ms monitor;      /* healthy this long = settled, for one-slot-after-the-other updates */
};
/* The defaults found by tests/sim; docs/placement.md shows how. */
struct reconcile_config reconcile_defaults(void);

/* A task of this peer, as the runtime has it. */
struct own_task {
	id64 task;
	id64 slot;
	const char *stack; /* whose it is, so that a stack whose body is missing keeps its tasks */
	id64 revision;
	id64 content;
	enum task_state state;
	enum task_health health;
	mono_ms healthy_at; /* since when, 0 not */
	const struct service
	        *takes;   /* what it was started as: counts while nobody wants its slot as it is. NULL: unknown */
	uint8_t failures; /* in a row */
	bool alone;    /* it has a watchdog, and ended while no agent was here: another peer may have its slot */
	bool stopping; /* was told to stop; stays set once it is finished (done, failed, lost) */
};

enum reconcile_kind {
	DO_START,   /* start slot (placed) with its stack's current spec */
	DO_STOP,    /* stop task; why says so in `ps` and events */
	DO_CONFIRM, /* task already runs the new revision's content: note the revision, no restart */
	DO_FORGET,  /* a finished task of a slot that nobody wants: drop its record */
	DO_REFUSE, /* this peer was asked to take the slot and cannot: say so in a claim TASK_REFUSED, with why */
	DO_DISPUTE, /* another peer claims a slot that this one has served all along; tell operators. Once per claim */
};

struct reconcile_action {
	enum reconcile_kind kind;
	id64 task;
	id64 slot;
	uint32_t placed; /* DO_START, DO_CONFIRM, DO_REFUSE, DO_DISPUTE: index into placement.slots */
	id64 peer;       /* DO_DISPUTE: who claims it too */
	id64 replaces;   /* DO_START of an update: the stopped task, 0 none */
	const char *why; /* static text */
};

struct reconcile *reconcile_new(const struct reconcile_config *cfg);
void reconcile_free(struct reconcile *r);
/* Fills in what a claim of this peer must say beside what the runtime knows of its task: sight, handover_to, replaces;
 * as of the last reconcile_run(). */
void reconcile_claim(const struct reconcile *r, struct claim *c);
/* ready: gossip_ready() and own claims adopted. isolated: start no orphan. Actions are in arena, in the order in which
 * to do them. Call it after every change and at *wake. own may come in any order; it must hold the tasks that earlier
 * actions started, and not those that were forgotten. A start that fails is told by a claim TASK_REFUSED. */
void reconcile_run(struct reconcile *r, const struct view *view, const struct placement *p,
        const struct own_task *own, size_t n_own, bool ready, bool isolated, mono_ms now, struct arena *arena,
        struct reconcile_action **actions, size_t *n_actions, mono_ms *wake);

#endif
