/* Shared by the files of the placer: the board that it keeps. Internal to placement/placer*.c. */
#ifndef PLACEMENT_PLACER_PARTS_H
#define PLACEMENT_PLACER_PARTS_H

#include "placement/moves.h"
#include "placement/placer.h"

/* A member as of the last call, and what it carries. */
struct kept {
	struct view_member
	        member;  /* facts may be gone by now: only their address counts, and labels not at all */
	uint64_t labels; /* hash of those laid over the facts' */
	bool changed;    /* differs in this call */
	bool asked;      /* whether global services have a slot on it */
	bool stale;      /* its load on the board has to be added up again */
	bool crowded; /* its tasks come to more than it has: which of its claims are void depends on the order of slots */
	size_t n_carried, cap_carried;
	uint32_t *carried; /* slots that take room of it, with PROMISED */
};
#define PROMISED (1U << 31)
_Static_assert(PLACE_SLOTS_MAX <= PROMISED, "a slot's index leaves room for the mark");

struct by_id {
	id64 slot;
	uint32_t k; /* index into slots */
};

/* Who carries a slot: its owner, another peer with a task of it. Of more only the number is kept. */
#define CARRIERS_KEPT 2
struct carriers {
	uint32_t n;
	uint32_t member[CARRIERS_KEPT];
};

struct placer {
	bool stands; /* there was a call */
	/* Items, slots, ranges of claims; peers with the loads of owners, surplus and promises. */
	struct board board;
	struct arena slots_arena;
	struct placement slots; /* owners, successors and predecessors alone */
	struct by_id *by_id;    /* the slots, sorted by id */
	/* Slots of global services that are not wanted now, by id; k is the member. */
	size_t n_unwanted;
	struct by_id *unwanted;
	struct peer *bare;         /* the peers without load, by which owners are found: nothing is void */
	uint32_t *item_of;         /* per slot */
	bool *loud;                /* per slot: an orphan, or has to go */
	struct carriers *carriers; /* per slot */
	uint32_t *n_loud;          /* per item */
	bool *dirty;               /* per slot: has to be looked at again */
	size_t n_dirty, *dirties;  /* those */
	struct arena loads;        /* ports and devices of board.peers */

	size_t n_members, n_crowded;
	struct kept *members;
	size_t n_stacks;
	struct view_stack *stacks; /* names are not kept: specs tell them */
	size_t n_claims, cap_claims;
	struct view_claim *claims;
	size_t n_voters;
	struct key32 *voters;
};

/* placer_diff.c */
/* Are the same services placed, by the same rules, on the same peers as in the last call? */
bool placer_same_shape(const struct placer *p, const struct view *view);
/* Marks what changed of members and claims, and the slots that this concerns, and keeps the view for the next call. False: the
 * list of slots itself may have changed. */
bool placer_note_changes(struct placer *p, const struct view *view);
/* Keeps what the next call compares with. */
void placer_keep(struct placer *p, const struct view *view);
uint64_t placer_labels(const struct view_member *m);
/* Has the global service a slot on that member? */
bool placer_has_slot(const struct placer *p, const struct item *it, size_t member);
void placer_mark(struct placer *p, size_t k);

#endif
