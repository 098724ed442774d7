/*
 * Making room for a slot that fits on no peer: who is where, and what is about to go. Internal to placement.
 *
 *	room.c     the lists, and slots that wait for what goes anyway
 *	repair.c   another slot goes elsewhere
 *	preempt.c  slots of lower priority stop
 */
#ifndef PLACEMENT_ROOM_H
#define PLACEMENT_ROOM_H

#include "placement/moves.h"

/* Depth of repair: A goes where B was, B where C was, C where there is room. Measured with `make bench-placement`: three
 * deep finds nearly all that an exact matching finds, and one deeper costs more than it adds. */
#define REPAIR_DEPTH 3
/* Occupants that one slot's repair may look at, and slots of one run that may try: a flock that is full for good
 * is looked at again at every change. */
#define REPAIR_VISITS 4000
#define ROOM_TRIES    64

/* A task, or an orphan's candidate, on a member. */
struct occupant {
	uint32_t slot;
	const struct item *item;
	uint32_t member;
	int32_t next; /* on the same member, younger before older; -1 */
	bool live;    /* the slot's owner; else an orphan of this run, for which nothing runs yet */
	bool surplus; /* a task that is to stop, or one that was handed over */
	bool goes;    /* it is to move or to stop, as this run found */
	bool on_way;  /* on the chain that is being tried */
};

struct room {
	int32_t *head; /* per member; -1 */
	size_t n, cap;
	struct occupant *o;
	struct turn turn[REPAIR_DEPTH + 1]; /* of whoever gives way; [0] is not used */
	size_t tries, visits;
	const struct item *asks; /* the service whose slot is to get room */
	const struct item
	        *hopeless; /* the last service for which nothing could be done: its other slots need the same */
};

/* Of a slot whose turn it is and that fits nowhere: true when it got a candidate after all, or waits for room
 * (REASON_MAKING_ROOM, `candidate[0]` of none is the member where). */
bool room_make(struct turn *t, size_t slot);
/* The orphan got its candidate: others may move it. */
void room_note(struct plan *plan, const struct item *item, size_t slot);

/* For repair.c and preempt.c. */
void room_add(struct room *r, struct plan *plan, struct occupant o);
void room_move(struct room *r, size_t occupant, uint32_t to);
bool occupant_leaves(const struct plan *plan, const struct occupant *o);
/* May this slot run on the member, its room aside? */
bool room_permits(const struct turn *t, size_t slot, size_t member);
void room_wait(struct turn *t, size_t slot, size_t member);

/* Puts orphans of this run elsewhere (live: false), or lists the move of one that runs (true). */
bool room_repair(struct turn *t, size_t slot, bool live);
bool room_preempt(struct turn *t, size_t slot);

/* The members that the slot may be on: all, or of a global one its own. */
static inline size_t room_first(const struct turn *t, size_t slot)
{
	const struct placed_slot *s = &t->plan->out->slots[slot];

	return s->peer_only >= 0 ? (size_t)s->peer_only : 0;
}
static inline size_t room_count(const struct turn *t, size_t slot)
{
	return t->plan->out->slots[slot].peer_only >= 0 ? 1 : t->plan->board->view->n_members;
}

#endif
