/*
 * The plain struct that every placement decision is a function of. node/view builds it from the store; the
 * simulator builds it the same way. Everything in it is sorted, so that equal facts give equal bytes.
 */
#ifndef PLACEMENT_VIEW_H
#define PLACEMENT_VIEW_H

#include "placement/claim.h"
#include "placement/facts.h"
#include "placement/spec/spec.h"

enum view_state { VIEW_ALIVE, VIEW_SUSPECT, VIEW_DEAD, VIEW_LEFT };

/* A new boot's silence about its tasks, ms, after which those of the boot before do not count. */
#define ADOPT_WITHIN SECONDS(30)

struct view_member {
	struct key32 key;
	id64 id; /* BLAKE2b-64(flock, public key) is the placement key; this is key32_id(key), for showing */
	enum view_state state;
	uint32_t boot;     /* from its incarnation */
	mono_ms suspected; /* first suspicion of the present suspect or dead period; 0 while alive */
	mono_ms seen;      /* since when it is in its state, by this peer's clock */
	bool draining;     /* an operator's setting, or it says that it leaves */
	bool overdue; /* its boot is ADOPT_WITHIN old and has not said what it adopted: what it ran before is gone */
	bool reachable;
	const struct facts *facts; /* NULL while unknown */
	uint32_t facts_boot;       /* the run that stated them; an older one says nothing of `adopted` */
	size_t n_labels;           /* facts' labels overlaid by `labels/` settings; sorted */
	const struct kv *labels;
};

struct view_stack {
	const char *name;
	struct key32 revision; /* winning head */
	id64 revision_id;
	uint64_t stamp;  /* HLC of it */
	mono_ms arrived; /* when this peer learned of it live; 0: at start or by reconciliation */
	bool conflict;   /* more than one head */
	/* NULL: the stack is removed, or its body has not arrived (have_body false). */
	const struct spec *spec;
	bool removed;
	bool have_body;
	/* Powers of the author; a service that needs more is unplaceable with that reason. */
	uint32_t powers;
};

struct view_claim {
	struct claim c;
	size_t member; /* index into members */
};

struct view {
	struct key32 flock;
	/* Signed setting `voters`: for services with `partition: majority`; sorted. None: they run nowhere. */
	size_t n_voters;
	const struct key32 *voters;
	uint64_t rebalance; /* stamp of the newest signed order to rebalance; 0 none */
	size_t self;        /* index into members */
	size_t n_members;
	struct view_member *members; /* sorted by key */
	size_t n_stacks;
	struct view_stack *stacks; /* sorted by name */
	size_t n_claims;
	struct view_claim *claims; /* sorted by (slot, member key, task) */
};

#endif
