/* Inside gossip/sync: one sync's state, shared by its front, the walk of the initiator and the responder. */
#ifndef GOSSIP_SYNC_CORE_H
#define GOSSIP_SYNC_CORE_H

#include "gossip/sync.h"
#include "gossip/sync_wire.h"

/* Ids of a range in which either side has at most this many are told at once rather than divided further: as
 * long as the fingerprints of the 16 parts that would be sent instead. */
#define IDS_AT_ONCE 32

/* Questions in one frame: as many as leave half of the frame to records. */
#define QUESTIONS_PER_FRAME 48
#define GETS_PER_FRAME      256
/* Bytes of an answer kept for records that were asked for, so that each frame brings some; and for saying of
 * every question that it found no room. */
#define RECORDS_ROOM   8192
#define QUESTIONS_ROOM (SYNC_FRAME_MAX - RECORDS_ROOM - QUESTIONS_PER_FRAME * SYNC_AGAIN_BYTES_MAX)
/* Missing bodies that one sync asks for. */
#define BODIES_MAX 64

/* A range still to be looked at: its fingerprints compared, or (list) the other side's ids from `from` on. */
struct todo {
	struct span span;
	bool list;
	struct key32 from;
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
	bool done;

	/* The one record that comes in pieces. */
	struct key32 part_id;
	uint32_t part_total;
	struct wr part;

	/* Initiator. */
	bool awaiting; /* an answer is due */
	unsigned asked, answered;
	struct todo *todo;
	size_t n_todo, todo_cap;
	struct key32 *gets;
	size_t n_gets, gets_cap;
	struct push *pushes;
	size_t n_pushes, pushes_cap;
	uint32_t push_offset, push_total; /* of the record that pushes[n_pushes - 1].lo stands at */

	/* Responder. */
	struct wr answer;
	bool answer_ready;
	bool wants_sent;
};

/* A piece of a record came; true when the record is whole, and was delivered. */
bool sync_take_piece(struct sync *s, const struct sync_item *item);
int sync_too_much(struct err *err, const char *what);

/* Initiator: begins with the whole of both sets; one item of an answer; the next questions and own records. */
void sync_walk_begin(struct sync *s);
int sync_walk_on_item(struct sync *s, const struct sync_item *item, struct err *err);
void sync_walk_next(struct sync *s, struct wr *w, size_t limit);

/* Responder: one item of a frame, of which `questions` were questions so far; what it wants itself. */
int sync_answer_on_item(struct sync *s, const struct sync_item *item, unsigned *questions, struct err *err);
void sync_answer_wants(struct sync *s);

#endif
