/*
 * place(members, specs, claims): who must run what (DESIGN section 7). Pure, total, the same bytes on every CPU.
 */
#ifndef PLACEMENT_PLACE_H
#define PLACEMENT_PLACE_H

#include "placement/view.h"

#define PLACE_ALGORITHM 1

/* Rebalancing moves at most one in so many slots at a time, and at least one. */
#define REBALANCE_SHARE 100

/* Candidates considered for an orphan: the lowest-scored that pass the filters; also how many deputies there are. */
#define PLACE_CHOICES 4

/* Why a peer cannot take a slot. Numbers are stable: `explain` shows them, docs/placement.md lists them. */
enum place_reason {
	REASON_OK = 0,
	REASON_NOT_ALIVE = 1,
	REASON_NO_FACTS = 2,
	REASON_NOT_READY = 3,
	REASON_DRAINING = 4,
	REASON_FEATURE = 5,
	REASON_PLATFORM = 6,
	REASON_DRIVER = 7,
	REASON_CONSTRAINT = 8,
	REASON_CAPACITY = 9, /* larger than the whole peer */
	REASON_REFUSED = 10,
	REASON_ROOM = 11, /* no room left now */
	REASON_PORT = 12, /* host port taken by another slot */
	REASON_PER_NODE = 13,
	REASON_POWER = 14,       /* the revision's author lacks a power the service needs: holds for every peer */
	REASON_VOLUME = 15,      /* a volume of it lives elsewhere */
	REASON_DEVICE = 16,      /* not that many of a generic resource on the whole peer */
	REASON_DEVICE_BUSY = 17, /* taken by other slots now */
	REASON_VOTERS = 18,      /* partition: majority, and no list of voters: holds for every peer */
	REASON_MAKING_ROOM = 19, /* another slot moves away or stops first: see placement.moves */
	REASON_FAILING = 20,     /* its task keeps failing there */
	REASON_LAST = REASON_FAILING,
};
/* A sentence without a final stop, e.g. "not enough memory left". */
const char *place_reason_text(enum place_reason r);

struct placed_slot {
	id64 slot;
	uint32_t stack;    /* index into view.stacks */
	uint32_t service;  /* index into that spec's services */
	uint32_t index;    /* slot number; 0 for global */
	int32_t peer_only; /* global: the member this slot is for; else -1 */
	/* The live claim that keeps the slot, as index into view.claims; -1: an orphan. */
	int32_t owner;
	/* The claim of the peer that the owner hands it over to, once that has one; -1. It is `owner` itself, and the
	 * claim of who hands over `predecessor`, as soon as it serves. */
	int32_t successor;
	int32_t predecessor;
	/* An orphan's candidates in order: [0] starts it, the others are deputies. Members' indexes. */
	uint8_t n_candidates;
	uint32_t candidate[PLACE_CHOICES];
	/* With no candidate: the most common reason among peers, for `ps`. REASON_MAKING_ROOM: candidate[0] is where. */
	enum place_reason reason;
};

/* Most slots that one placement holds: 26 tasks on each of 10,000 peers. Later ones, in order, are left out. */
#define PLACE_SLOTS_MAX (1 << 18)

/* An owner's slot that should go. Only the owner acts on it; a handover under way is not listed again. */
enum move_why {
	MOVE_DRAIN,     /* its peer drains or leaves */
	MOVE_FORBIDDEN, /* its peer lost a static permission: label, volume, device ... */
	MOVE_REPAIR,    /* makes room for slot `for_slot`, which fits nowhere else */
	MOVE_PREEMPT,   /* makes room for `for_slot` of higher priority; to nowhere */
	MOVE_REBALANCE, /* place_rebalance() only */
	MOVE_FAILING,   /* its task keeps failing where it is */
};
struct placed_move {
	uint32_t slot; /* index into slots */
	int32_t to; /* member; -1: nowhere. MOVE_PREEMPT: it stops; of what has to go: it stays, `reason` says why */
	enum move_why why;
	uint32_t for_slot;
	enum place_reason reason;
};

struct placement {
	size_t n_slots;
	size_t n_moves;
	struct placed_move *moves; /* by slot */
	size_t n_displaced;        /* orphans that were given to another peer so that one more fits */
	size_t n_left_out;         /* wanted slots beyond PLACE_SLOTS_MAX */
	struct placed_slot
	        *slots; /* by (priority desc, born, service, index): the order in which they were placed */
};

/* Memory of the result belongs to arena. */
void place(const struct view *view, struct arena *arena, struct placement *out);
/* Moves that even out the load, at most `most`, best first: the hottest peer, above 1.25 x the mean of what peers
 * carry, sheds its youngest movable slot; one under 0.6 x attracts. Pure: every peer computes the same. */
size_t place_rebalance(const struct view *view, const struct placement *p, struct arena *arena,
        struct placed_move *out, size_t most);
/* Every peer's reason for one slot, for `explain`; out has view->n_members entries. */
void place_explain(const struct view *view, const struct placement *p, size_t slot, enum place_reason *out);
/* The static filters, and whether the member has refused the slot at this revision; no room, ports or counts. */
enum place_reason place_permits(const struct view *view, const struct placement *p, size_t slot, size_t member);
/* The view's claims of a slot: from *from up to the returned index. */
size_t place_claims(const struct view *view, id64 slot, size_t *from);
/* Is this claim live: its peer alive or suspect, of the current boot (or the one before until adopted)? */
bool claim_is_live(const struct view *view, const struct view_claim *c);

#endif
