/*
 * What place() and place_explain() both start from: services in order, their slots, who keeps each, what every peer
 * carries. Internal to placement.
 */
#ifndef PLACEMENT_SLOTS_H
#define PLACEMENT_SLOTS_H

#include "placement/rank.h"

struct peer {
	const struct facts *facts; /* NULL while unknown */
	struct key32 id;           /* its public key */
	uint64_t key;              /* rank_peer_key */
	struct load load;
};

/* One service, in the order in which services are placed. */
struct item {
	const struct view_stack *stack;
	const struct service *service;
	uint32_t stack_index, service_index;
	struct key32 hash; /* service_hash() */
	id64 content;
	uint32_t pinned; /* filter_pinned(): of members' facts */
	size_t first;    /* its slots in the placement */
	size_t n_slots;
	bool quiet; /* each slot of it has an owner that may stay: place_on() has nothing to decide for it */
	const struct item *before; /* the same on board.before, or NULL */
};

/* Claims of one slot in the view. */
struct range {
	size_t from, to;
};

struct board {
	const struct view *view;
	struct arena scratch;
	size_t n_peers;
	struct peer *peers; /* one per member */
	size_t n_items;
	struct item *items;
	struct range *claims; /* one per slot of the placement */
	/* Hashes of services and slots are taken over from here; NULL: they are made. A service at the same address is
	 * the same. */
	const struct board *before;
	const struct placed_slot *before_slots;
};

/* The first half of board_init(): peers without loads, services, slots without owners. before: see struct board. */
void board_list(struct board *b, const struct view *view, const struct board *before,
        const struct placed_slot *before_slots, struct arena *arena, struct placement *out);
/* Lists all slots into out (memory of arena), decides who keeps which and adds up what peers carry. */
void board_init(struct board *b, const struct view *view, struct arena *arena, struct placement *out);
void board_free(struct board *b);

/* The owners, successors and predecessors of all slots, and the peers' loads; slots and b->claims are listed. */
void board_find_owners(struct board *b, const struct placement *out);
/* Everything that place() decides once the board stands: candidates of orphans, reasons, moves. What it changes on the
 * board is the peers' loads alone; memory for the time being is the board's scratch, of the result arena. */
void place_on(struct board *b, struct arena *arena, struct placement *out);

/* Must the global service have a slot on the member? claims: those of that slot. */
bool global_wanted(const struct board *b, const struct item *it, size_t member, struct range claims);
/* Who keeps the slot, whose owner, successor and predecessor are -1, by what peers carry on the board so far. */
void slot_find_owner(const struct board *b, const struct item *it, struct placed_slot *slot, struct range claims);
/* Whom the slot, whose owner is found, takes room of: calls fn for its owner, for each other peer that has a task of it, and
 * (promised) for the one that it is promised to. */
typedef void slot_carrier(void *ctx, size_t member, bool promised);
void slot_each_carrier(const struct board *b, const struct item *it, const struct placed_slot *slot,
        struct range claims, slot_carrier *fn, void *ctx);

/* The view's claims of a slot. */
struct range claims_of(const struct view *view, id64 slot);
/* Does this claim keep its slot from being an orphan? */
bool claim_keeps(const struct view *view, const struct service *s, const struct view_claim *c);
/* Is there a task behind it that takes room? */
bool claim_takes_room(const struct view_claim *c);
/* Has this member said that it cannot run the slot at the stack's revision? */
bool slot_refused(const struct view *view, struct range claims, const struct view_stack *stack, size_t member);
/* The member that the slot's owner hands it over to, or -1. */
int32_t slot_heir(const struct view *view, const struct placed_slot *slot);
/* Has the member a task of the slot that takes room? */
bool slot_runs_at(const struct view *view, const struct service *s, struct range claims, size_t member);
/* The member that the slot is handed over to and that does not run it yet: room is kept for it there. */
int32_t slot_promised(
        const struct view *view, const struct service *s, const struct placed_slot *slot, struct range claims);
/* Adds to same[] (one per member, zeroed by the caller) how many replicas of the item each member carries. */
void board_count(const struct board *b, const struct placement *p, const struct item *item, uint32_t *same);

#endif
