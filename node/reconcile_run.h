/* Shared by the files of reconcile: what is remembered, one run, one service's group. Internal to node/reconcile*.c;
 * the rules are numbered in reconcile.c. */
#ifndef NODE_RECONCILE_RUN_H
#define NODE_RECONCILE_RUN_H

#include "base/map.h"
#include "node/reconcile.h"
#include "placement/filter.h"

/* How long, ms, a look at a small part of the flock counts against this peer's claims: longer than any conflict takes. */
#define RC_SIGHT_MEMORY SECONDS(60)

/* What this peer remembers of a slot between runs. */
struct memory {
	uint64_t born;        /* of its service: a stack that was removed and deployed again starts afresh */
	uint32_t generation;  /* last run that knew the slot */
	bool claimed;         /* some peer has had it */
	mono_ms orphan_since; /* 0: somebody has it */
	bool waits;           /* R17: for a service that it depends on */
	mono_ms met_at;       /* since when it does not any more; 0: it never did */
	mono_ms refused_at;   /* when a refusal of the winning revision was last seen; 0 never */
	mono_ms beaten_since; /* R3; 0: not */
	id64 rival;           /* by which task */
	mono_ms tried;        /* last DO_START; 0 never */
	int rank;             /* of this peer among its candidates; -1 none */
	id64 revision;        /* the stack's, when first_rank was taken: */
	int first_rank;       /* rank at the first sight of this revision, before any claim of it moved others */
	mono_ms rank_since;
	mono_ms first_since; /* since when it is candidate 0; 0 not */
	id64 serving_task;   /* 0: none serves */
	mono_ms serving_since;
	bool replaces;    /* the own task was started as an orphan's */
	id64 disputed;    /* task of another peer's claim that operators were told of */
	bool handing;     /* its owner hands it over */
	mono_ms unfit_at; /* since when this peer is asked to take the slot and has no room; 0 not */
	/* As the slot's owner, reconcile_handover.c. */
	id64 handover_to;   /* peer; 0 none */
	id64 handover_task; /* own task that goes */
	enum move_why handover_why;
	mono_ms handover_at;   /* when it began */
	mono_ms handover_rest; /* none begins before: the last one came to nothing */
	uint8_t failing_moves; /* times in a row that its task was to go because it fails */
	mono_ms heir_since;    /* since when the other peer's task serves as the owner; 0 not */
	mono_ms move_since;    /* since when placement asks for a move; 0 not */
	bool preempted; /* the own task was stopped for another slot and is not started again in its own right */
};

struct reconcile {
	struct reconcile_config cfg;
	struct map slots; /* id64 -> struct memory */
	uint32_t generation;
	mono_ms ready_since; /* 0: not ready */
	bool was_ready;
	enum claim_sight sight;
	mono_ms sight_at;       /* when it was last as bad as that */
	bool majority;          /* enough voters are in sight, or have been until a moment ago */
	mono_ms minority_since; /* 0: they are */
	/* reconcile_rebalance.c */
	mono_ms looked_at;
	mono_ms uneven_since; /* since when some peer should shed or attract; 0 not */
	mono_ms rebalanced_at;
	mono_ms moving_since; /* the first handover, anybody's, of this epoch; 0 none */
	size_t n_moving;      /* handovers that began since then */
	uint64_t ordered;     /* stamp of the order to rebalance that was carried out, or was there at first */
};

/* One run. */
struct run {
	struct reconcile *r;
	const struct view *view;
	const struct placement *p;
	size_t n_own;
	const struct own_task **own; /* by slot, then task */
	bool *matched;               /* per entry of own: its slot is in the placement */
	struct memory **memory;      /* per slot of the placement */
	struct load load;            /* of own tasks that are not finished */
	bool ready, isolated;
	size_t n_handing; /* own slots that are being handed over */
	size_t n_moves;
	struct placed_move *moves; /* of own slots */
	mono_ms now;
	struct arena *arena;
	struct reconcile_action *actions;
	size_t n_actions, cap_actions;
	mono_ms wake;
};

/* Slots of one service, which stand together in the placement. */
struct group {
	size_t first, n;
	const struct service *service;
	const struct view_stack *stack;
	id64 content;
	bool looked;    /* R17: `waits` was worked out */
	bool waits;     /* a service that it depends on is not there */
	uint32_t same;  /* own replicas, with those started in this run */
	bool *may_move; /* per slot, R5; NULL: not worked out yet */
};

static inline bool finished(const struct own_task *t)
{
	return t->state == TASK_DONE || t->state == TASK_FAILED || t->state == TASK_LOST;
}

static inline bool serves(const struct own_task *t)
{
	return t->state == TASK_RUNNING && !t->stopping &&
	       (t->health == HEALTH_NONE || t->health == HEALTH_HEALTHY);
}

static inline const struct view_stack *stack_of(const struct run *x, size_t k)
{
	return &x->view->stacks[x->p->slots[k].stack];
}

static inline const struct service *service_of(const struct run *x, size_t k)
{
	return &stack_of(x, k)->spec->services[x->p->slots[k].service];
}

static inline const struct view_claim *owner_of(const struct run *x, size_t k)
{
	return x->p->slots[k].owner < 0 ? NULL : &x->view->claims[x->p->slots[k].owner];
}

/* Another peer's claim that keeps the slot, or NULL. */
static inline const struct view_claim *other_owner(const struct run *x, size_t k)
{
	const struct view_claim *c = owner_of(x, k);

	return c && c->member != x->view->self ? c : NULL;
}

/* reconcile.c: actions, and when to run again at the latest. */
void rc_act(struct run *x, struct reconcile_action a);
void rc_stop(struct run *x, const struct own_task *t, const char *why);
void rc_forget(struct run *x, const struct own_task *t, const char *why);
void rc_wake_at(struct run *x, mono_ms at);

/* reconcile_memory.c: own tasks by slot, and what is seen from run to run. */
void rc_sort_own(struct run *x, const struct own_task *own);
/* Index of the first own task of a slot, or of the first after it. */
size_t rc_own_from(const struct run *x, id64 slot);
/* Has a live peer said that it cannot start slot k at the winning revision? */
bool rc_refused(const struct run *x, size_t k);
/* The same of this peer. */
bool rc_refused_here(const struct run *x, size_t k);
/* R2: the own task of slot k to keep; NULL: none. */
const struct own_task *rc_keeper_of(const struct run *x, size_t k, id64 content);
/* Everything is looked at before anything is decided: room and turns depend on all slots. */
void rc_observe_flock(struct run *x);
void rc_observe_group(struct run *x, const struct group *g);
/* After all groups: own tasks whose slot is not in the placement take room until they have ended. */
void rc_observe_unwanted(struct run *x);
/* Forgets slots that this run did not know. */
void rc_purge(struct reconcile *r);

/* Is the own task of slot k bound by a handover, as who gives or as who takes? Then no claim of the two is rivalled. */
static inline bool bound(const struct run *x, size_t k)
{
	const struct placed_slot *ps = &x->p->slots[k];

	return (ps->successor >= 0 && x->view->claims[ps->successor].member == x->view->self) ||
	       (ps->predecessor >= 0 && x->view->claims[ps->predecessor].member == x->view->self);
}

/* reconcile_handover.c: R11, R12, R14. */
void rc_observe_handovers(struct run *x);
/* As the slot's owner, its task running: true when the slot goes, or is about to, and needs no other tending. */
bool rc_hand_over(struct run *x, struct group *g, size_t k, const struct own_task *mine);
/* R16, as the target: true when its task, which never served, has failed too often; it is stopped and refused. */
bool rc_gives_up(struct run *x, size_t k, const struct own_task *mine);
/* The same when the own task is finished: true when its record is kept for now. */
bool rc_handed_over(struct run *x, size_t k, const struct own_task *mine);
/* As who is named by the owner, without a task yet. */
void rc_take_over(struct run *x, struct group *g, size_t k);

/* reconcile_rebalance.c: R13. Moves that begin in this run, as placement would list them. */
void rc_rebalance(struct run *x, struct placed_move *out, size_t *n, size_t max);
/* A handover was seen to begin: what may move in an epoch is counted over all owners. */
void rc_note_handover(struct run *x);

/* reconcile_partition.c: R15. */
void rc_observe_voters(struct run *x);
/* May this peer run the service now? */
bool rc_permitted_by_sight(const struct run *x, const struct group *g);

/* reconcile_start.c: R7 to R10. */
/* False when there is no room here, or it was tried a moment ago. replaces: the finished task before it, or NULL. */
bool rc_start(struct run *x, struct group *g, size_t k, const struct own_task *replaces, const char *why);
/* May this peer go on with a slot that it had? What gates only new work does not count. */
bool rc_may_go_on(const struct run *x, size_t k);
void rc_consider_orphan(struct run *x, struct group *g, size_t k);
/* R17: is a service that slot k depends on not there yet? Notes since when it is. */
bool rc_waits(struct run *x, struct group *g, size_t k);

/* reconcile_update.c: R5. */
/* May the outdated task of slot k be replaced now? */
bool rc_my_turn(struct run *x, struct group *g, size_t k);

#endif
