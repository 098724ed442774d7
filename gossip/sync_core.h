/* Inside gossip/sync: one sync's state, shared by its front, the walk of the initiator and the responder. */
#ifndef GOSSIP_SYNC_CORE_H
#define GOSSIP_SYNC_CORE_H

#include "gossip/sync.h"
#include "gossip/sync_wire.h"

/* The responder tells its ids of a range in which it has at most this many: as long as the fingerprints of the 16
 * parts that it would send instead. The initiator, whose list is answered by the records, tells more at once: it
 * saves a round trip. */
#define IDS_MAX  24
#define MINE_MAX SYNC_LIST_MAX
/* Ids that are hashed to be compared with one list. A longer range is divided first. */
#define LIST_WALK_MAX 256
/* A range of more ids is divided by two levels at once, in the first question: 131,072 ids make 256 parts of 512,
 * whose answers are parts of 32. */
#define TWO_LEVELS_ABOVE 8192

/* Questions in one frame: with LIST_WALK_MAX, and the 7,000 parts that a frame has room for, what one may cost the
 * responder. */
#define QUESTIONS_PER_FRAME 400
/* Of the questions, records of which only the rest is asked for. */
#define RESTS_PER_FRAME 64
/* Bytes of an answer that are left for more than saying "again", whatever was asked. */
#define ANSWER_BYTES_MIN 8192
/* Missing bodies that one sync asks for. */
#define BODIES_MAX 64
/* Frames whose answers may be on their way at once: a bulk transfer is not bound to one frame per round trip. One while
 * records come that are longer than a frame, since only one is put together at a time. */
#define WINDOW 4
/* Records expected in the answers to one frame's questions; the next questions go into a frame of their own. */
#define EXPECTED_PER_FRAME 256
/* Bounds of what waits at the initiator. Ranges are walked depth first, so an honest walk keeps far below. */
#define TODO_MAX   16384
#define GETS_MAX   1024
#define PUSHES_MAX 16384
/* Short ids of GETs that wait: those of one answer, and of what is asked again. */
#define TODO_SHORTS_MAX (2 * SYNC_FRAME_MAX / SYNC_SHORT_BYTES)

/* A question: compare these fingerprints; here are my ids, send me yours; send me those. */
enum ask { ASK_PRINTS, ASK_MINE, ASK_GET };

struct todo {
	enum ask ask;
	uint8_t levels;    /* ASK_PRINTS */
	uint8_t n;         /* ASK_GET */
	uint32_t expected; /* ASK_MINE: records in the answer */
	struct span span;
	struct key32 from; /* ASK_MINE */
	uint64_t *shorts;  /* ASK_GET: n of them, owned */
};

/* A frame whose answer is due. */
struct flight {
	struct todo *asked;
	size_t n_asked, asked_cap, n_rests;
};

/* Own records to be sent: those with ids in [lo, hi). */
struct push {
	bool volatile_kinds;
	struct key32 lo, hi;
};

struct sync {
	const struct store *st;
	bool initiator;
	sync_deliver *deliver;
	void *ctx;
	struct sync_stats stats;
	struct sync_salt salt;
	bool done;

	/* The one record that comes in pieces. */
	struct key32 part_id;
	uint32_t part_total;
	struct wr part;

	/* Initiator. */
	uint8_t salt_bytes[SYNC_SALT_BYTES];
	struct flight flight[WINDOW]; /* a ring: the first was sent first */
	size_t first, in_flight;
	bool narrow;         /* a record came in pieces: one frame at a time from now on */
	size_t again, given; /* items of the answer: ask again, anything else */
	bool rest_given;
	struct todo *todo;
	size_t n_todo, todo_cap, n_shorts;
	struct key32 *gets;
	size_t n_gets, gets_cap;
	struct push *pushes;
	size_t n_pushes, pushes_cap;
	uint32_t push_offset, push_total; /* of the record that pushes[n_pushes - 1].lo stands at */

	/* Responder. */
	struct wr answer;
	bool answer_ready;
	bool has_records;
	bool full;       /* a record did not fit: no other may begin in this answer */
	size_t reserved; /* bytes of the answer kept to ask again for the questions not yet looked at */
	bool wants_sent;
};

/* A piece of a record came; true when the record is whole, and was delivered. */
bool sync_take_piece(struct sync *s, const struct sync_item *item);
void sync_take_record(struct sync *s, const struct sync_item *item);
int sync_too_much(struct err *err, const char *what);

/* Short ids of own records in [from, end of span), at most max (MINE_MAX or LIST_WALK_MAX) with their ids; returns how
 * many there are in all. */
size_t sync_own_shorts(struct sync *s, const struct span *span, const struct key32 *from, struct key32 *ids,
        uint64_t *shorts, size_t max);
/* Is it among the n? */
bool sync_listed(const uint64_t *shorts, size_t n, uint64_t what);

/* Initiator: begins with the whole of both sets; one item of an answer; the next questions and own records. */
void sync_walk_begin(struct sync *s, const bool equal[2]);
void sync_walk_free(struct sync *s);
int sync_walk_on_item(struct sync *s, const struct sync_item *item, struct err *err);
/* The frame whose answer is due next. */
static inline const struct flight *sync_flight(const struct sync *s)
{
	return &s->flight[s->first];
}
/* True: nothing is left to ask or to send. */
bool sync_walk_next(struct sync *s, struct wr *w, size_t limit);

/* Responder: checks that a frame asks no more than it may, and keeps room to say "again" to all of it; answers one
 * item; adds what it wants itself. */
int sync_answer_begin(struct sync *s, struct rd items, struct err *err);
int sync_answer_on_item(struct sync *s, const struct sync_item *item, struct err *err);
void sync_answer_wants(struct sync *s);

#endif
