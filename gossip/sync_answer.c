/* The responder: answers what it is asked, and remembers nothing of it. */
#include "gossip/sync_core.h"

#include <assert.h>

static_assert(
        SYNC_PRINTS_BYTES_MAX <= SYNC_IDS_BYTES_MAX(IDS_AT_ONCE), "a list is the longest answer to a print");
static_assert(SYNC_FANOUT * SYNC_IDS_BYTES_MAX(IDS_AT_ONCE) < QUESTIONS_ROOM, "any one question finds room");
static_assert(QUESTIONS_PER_FRAME * SYNC_PRINTS_BYTES_MAX < SYNC_FRAME_MAX / 2, "half is left to records");

/* Bytes left for the answer to a question. */
static size_t answer_room(const struct sync *s)
{
	return s->answer.len < QUESTIONS_ROOM ? QUESTIONS_ROOM - s->answer.len : 0;
}

static void answer_prints(struct sync *s, const struct sync_item *item)
{
	if (answer_room(s) < SYNC_FANOUT * SYNC_IDS_BYTES_MAX(IDS_AT_ONCE)) {
		sync_put_span(&s->answer, SYNC_PRINTS_AGAIN, &item->span);
		return;
	}
	for (unsigned i = 0; i < SYNC_FANOUT; i++) {
		const struct range_print *theirs = &item->prints[i];
		struct range_print own;
		struct span child;

		span_child(&child, &item->span, i);
		own = span_print(s->st, &child);
		if (own.count == theirs->count && key32_eq(&own.sum, &theirs->sum))
			continue;
		if (MIN(own.count, theirs->count) <= IDS_AT_ONCE || child.depth == SPAN_DEPTH_MAX)
			sync_put_ids(&s->answer, s->st, &child, &child.prefix, IDS_AT_ONCE);
		else
			sync_put_prints(&s->answer, s->st, &child);
	}
}

/* A page as long as there is room for. */
static void answer_list(struct sync *s, const struct sync_item *item)
{
	size_t room = answer_room(s);

	if (room < SYNC_IDS_BYTES_MAX(IDS_AT_ONCE))
		sync_put_list(&s->answer, SYNC_LIST_AGAIN, &item->span, &item->id);
	else
		sync_put_ids(&s->answer, s->st, &item->span, &item->id, (room - SYNC_IDS_BYTES_MAX(0)) / 32);
}

static void answer_get(struct sync *s, const struct sync_item *item)
{
	const struct stored *r = store_get(s->st, &item->id);
	uint32_t reached;

	if (!r || item->offset >= r->len) {
		if (s->answer.len + 33 <= SYNC_FRAME_MAX)
			sync_put_id(&s->answer, SYNC_MISSING, &item->id);
		return;
	}
	reached = sync_put_record(&s->answer, r, item->offset, SYNC_FRAME_MAX);
	if (reached == r->len)
		s->stats.records_out++;
}

void sync_answer_wants(struct sync *s)
{
	struct key32 bodies[BODIES_MAX];
	size_t n = store_missing_bodies(s->st, bodies, BODIES_MAX);

	for (size_t i = 0; i < n; i++)
		sync_put_id(&s->answer, SYNC_WANT, &bodies[i]);
	s->wants_sent = true;
}

int sync_answer_on_item(struct sync *s, const struct sync_item *item, unsigned *questions, struct err *err)
{
	switch (item->kind) {
	case SYNC_PRINTS:
	case SYNC_LIST:
		if (++*questions > QUESTIONS_PER_FRAME)
			return sync_too_much(err, "questions in one frame");
		if (item->kind == SYNC_PRINTS)
			answer_prints(s, item);
		else
			answer_list(s, item);
		return 0;
	case SYNC_GET:
		answer_get(s, item);
		return 0;
	case SYNC_RECORD:
		sync_take_piece(s, item);
		return 0;
	case SYNC_END:
		wr_u8(&s->answer, SYNC_END);
		s->done = true;
		return 0;
	default:
		return err_set(err, ERR_USAGE, "sync: a question holds an answer");
	}
}
