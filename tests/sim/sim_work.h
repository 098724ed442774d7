/*
 * The work of a simulated flock (option .work): each peer runs node/work, the very pass that the agent makes, over its
 * simulated gossip core, and a made-up driver runs its tasks. Tasks belong to the host: they outlive the agent, and
 * end with the power.
 *
 *	sim_work.c    passes: what a peer sees, decides and tells
 *	sim_tasks.c   the made-up driver: how tasks start, fail and stop
 *	sim_deploy.c  what operators sign: stacks, drains, labels
 *	sim_count.c   what is counted on the way: starts, doubles, time in the dark
 *	sim_rest.c    what must be so once all is quiet
 */
#ifndef TESTS_SIM_SIM_WORK_H
#define TESTS_SIM_SIM_WORK_H

#include "node/work.h"
#include "tests/sim/sim.h"

#define SIM_LABELS_MAX 4

/* How tasks fare on all hosts, in ms and percent. */
struct sim_driver {
	int64_t start_min, start_max; /* from the start to serving */
	int64_t stop_min, stop_max;   /* graceful stop */
	int64_t adopt_max;            /* a new agent finds the tasks again within this */
	unsigned refuse;              /* of starts: cannot even be tried */
	unsigned block;               /* of starts: prove impossible after a moment */
	unsigned sick;                /* of tasks: exit or turn unhealthy for a while, again and again */
};

struct sim_task {
	struct work_task w;
	char stack[NAME_MAX_BYTES + 1], service[NAME_MAX_BYTES + 1];
	unsigned host;
	bool serving;       /* as counted in sim_slot */
	uint64_t named;     /* bit per peer whose DNS names it, */
	mono_ms unnamed_at; /* and when the last one ceased to */
	uint64_t change;    /* number of the event that changes its state next */
};

/* A host's part in the work. */
struct sim_worker {
	struct work *work; /* NULL: no agent runs */
	struct facts facts;
	struct kv labels[SIM_LABELS_MAX];
	char name[16];
	bool adopted, leaving, left, was_ready, was_isolated;
	bool refuses; /* cannot start anything now */
	wall_ms started;
	mono_ms worked_at; /* by the peer's clock */
	mono_ms due;       /* the next pass */
	uint64_t alarm;    /* its event's number; older ones are void */
	size_t n_tasks;
	struct sim_task **tasks;
	unsigned starts, stops;
};

/* What all hosts together do for a slot. */
struct sim_slot {
	id64 slot;
	unsigned serving;
	bool served;        /* ever */
	mono_ms dark_since; /* while none serves that did */
	int64_t dark_ms;    /* so far, without the present time */
};

struct sim_works {
	struct arena arena; /* of services that stories made */
	struct sim_worker *worker;
	struct map slots; /* id64 -> struct sim_slot */
	struct sim_driver driver;
	uint64_t changes;
	unsigned starts, stops, refusals;
	unsigned evened;  /* handovers that evened out the load; their starts and stops are not counted above */
	unsigned doubles; /* times that a second task of a slot came to serve, not by a handover */
	bool strict; /* such a time fails the story, and so does the stop of a task that DNS may still name */
};

/* Before the peer starts: what its host has. Else 4 cores, 8 GiB, no labels. */
void sim_host(struct sim *s, unsigned peer, uint64_t cpu_milli, uint64_t memory);
void sim_host_label(struct sim *s, unsigned peer, const char *key, const char *value);

/* A service with a command; what tells its content. Stories change what else they want. */
struct service sim_service(struct sim *s, const char *name, uint32_t replicas, const char *what);
/* As `starling deploy` at that peer; false: refused. */
bool sim_try_deploy(
        struct sim *s, unsigned at, const char *stack, const struct service *services, size_t n, struct err *err);
void sim_deploy(struct sim *s, unsigned at, const char *stack, const struct service *services, size_t n);
bool sim_try_undeploy(struct sim *s, unsigned at, const char *stack, struct err *err);
/* Signed settings, given to peer `at`; false: refused. */
bool sim_try_drain(struct sim *s, unsigned at, unsigned peer, bool drain, struct err *err);
void sim_set_drain(struct sim *s, unsigned at, unsigned peer, bool drain);
/* value NULL takes it away. The peer's other labels stay as its host has them. */
bool sim_try_label(
        struct sim *s, unsigned at, unsigned peer, const char *key, const char *value, struct err *err);
void sim_set_label(struct sim *s, unsigned at, unsigned peer, const char *key, const char *value);
void sim_set_voters(struct sim *s, unsigned at); /* all peers */
void sim_order_rebalance(struct sim *s, unsigned at);
/* As `starling leave`: hands its tasks over, then leaves. */
void sim_retire(struct sim *s, unsigned peer);

/* Tasks of a host that are not finished; those of all that serve. */
unsigned sim_tasks_on(const struct sim *s, unsigned host);
unsigned sim_serving(const struct sim *s);

/* At rest: all trouble is over. */
struct sim_rest {
	unsigned wanted;   /* slots */
	unsigned missing;  /* placeable slots that no task of the winning content serves */
	unsigned surplus;  /* tasks beyond that */
	unsigned unplaced; /* slots for which there is no peer */
	unsigned disputes; /* slots of which peers name different owners */
	bool uneven;       /* slots will move to even out the load */
	char text[256];    /* the first fault */
};
struct sim_rest sim_rest(const struct sim *s);
/* No fault, and no unplaced slot. */
bool sim_at_rest(const struct sim *s);
/* Fails unless it is at rest within ms, then evens out its load in bounded time, and stays so for a minute without a
 * start or stop. unplaced: slots for which no peer has to be found. */
void sim_expect_rest(struct sim *s, int64_t ms, unsigned unplaced);

/* Time in ms, over all slots, in which nobody served one that had been served; since sim_count_anew(). */
int64_t sim_dark(const struct sim *s);
void sim_count_anew(struct sim *s);

/* Who serves what, for whoever looks into a failure. */
void sim_print_work(const struct sim *s, FILE *out);

/* Called by the engine. */
void sim_work_init(struct sim *s);
void sim_work_free(struct sim *s);
void sim_work_started(struct sim *s, unsigned peer);
void sim_work_ended(struct sim *s, unsigned peer);
void sim_work_power_cut(struct sim *s, unsigned peer);
void sim_work_disk_lost(struct sim *s, unsigned peer);
/* Something changed: a pass soon. */
void sim_work_kick(struct sim *s, unsigned peer);
/* After the core was drained: readiness and isolation are changes that no record announces. */
void sim_work_drained(struct sim *s, unsigned peer);
void sim_work_record(struct sim *s, unsigned peer, const struct key32 *id);

/* sim_tasks.c, for sim_work.c. start: false when it cannot even be tried. */
bool sim_task_start(struct sim *s, unsigned host, const struct work_action *a);
void sim_task_stop(struct sim *s, unsigned host, id64 task);
struct sim_task *sim_task(const struct sim *s, unsigned host, id64 task); /* must exist */
void sim_task_forget(struct sim *s, unsigned host, id64 task);
void sim_task_lost(struct sim *s, struct sim_task *t);
bool sim_task_over(const struct sim_task *t);
/* sim_count.c: a task begins or ends to serve; a peer's pass is over; its agent is; a peer stops a task. */
void sim_count_serving(struct sim *s, struct sim_task *t);
void sim_count_named(struct sim *s, unsigned viewer);
void sim_count_gone(struct sim *s, unsigned viewer);
void sim_count_stop(struct sim *s, struct sim_task *t, const char *why);

/* sim_placer.c: fails when what the peer keeps of its last pass led to another placement. */
void sim_check_placement(struct sim *s, unsigned peer, const struct work *work);

#endif
