#include "gossip/sync_core.h"

struct sync *sync_new(const struct store *st, bool initiator, sync_deliver *deliver, void *ctx)
{
	struct sync *s = xcalloc(1, sizeof(*s));

	s->st = st;
	s->initiator = initiator;
	s->deliver = deliver;
	s->ctx = ctx;
	wr_init(&s->part, RECORD_BYTES_MAX);
	wr_init(&s->answer, SYNC_FRAME_MAX);
	if (initiator)
		sync_walk_begin(s);
	return s;
}

void sync_free(struct sync *s)
{
	if (!s)
		return;
	wr_free(&s->part);
	wr_free(&s->answer);
	free(s->todo);
	free(s->gets);
	free(s->pushes);
	free(s);
}

bool sync_done(const struct sync *s)
{
	return s->done;
}

const struct sync_stats *sync_stats(const struct sync *s)
{
	return &s->stats;
}

int sync_too_much(struct err *err, const char *what)
{
	return err_set(err, ERR_FAILED, "sync: the other side gave more %s than an honest one could", what);
}

/* Records come in. */

static void deliver(struct sync *s, const uint8_t *bytes, size_t len)
{
	s->stats.records_in++;
	s->deliver(s->ctx, bytes, len);
}

static void forget_part(struct sync *s)
{
	wr_free(&s->part);
	wr_init(&s->part, RECORD_BYTES_MAX);
	s->part_total = 0;
}

/* A piece that does not continue what is here is dropped: its record changed while it was sent. Returns true when
 * the record is whole. */
bool sync_take_piece(struct sync *s, const struct sync_item *item)
{
	if (item->offset == 0 && item->n == item->total) {
		if (s->part_total && key32_eq(&s->part_id, &item->id))
			forget_part(s);
		deliver(s, item->bytes, item->n);
		return true;
	}
	if (item->offset == 0) {
		forget_part(s);
		s->part_id = item->id;
		s->part_total = item->total;
	}
	if (!s->part_total || !key32_eq(&s->part_id, &item->id))
		return false;
	if (item->total != s->part_total || item->offset != s->part.len) {
		forget_part(s);
		return false;
	}
	wr_bytes(&s->part, item->bytes, item->n);
	if (s->part.len < s->part_total)
		return false;
	deliver(s, s->part.p, s->part.len);
	forget_part(s);
	return true;
}

/* Frames. */

int sync_on_frame(struct sync *s, const uint8_t *bytes, size_t len, struct err *err)
{
	unsigned questions = 0;
	struct rd r;

	if (s->initiator ? !s->awaiting : s->answer_ready)
		return err_set(err, ERR_USAGE, "sync: a frame came out of turn");
	if (len > SYNC_FRAME_MAX || ++s->stats.frames_in > SYNC_FRAMES_MAX)
		return sync_too_much(err, "frames");
	rd_init(&r, bytes, len);
	if (rd_u8(&r) != SYNC_VERSION)
		return err_set(err, ERR_USAGE, "sync: the other side speaks another version");
	s->awaiting = false;
	s->answered = 0;
	if (!s->initiator) {
		wr_reset(&s->answer);
		wr_u8(&s->answer, SYNC_VERSION);
	}
	while (rd_left(&r)) {
		struct sync_item item;

		sync_get_item(&r, &item);
		if (!rd_ok(&r))
			return err_set(err, ERR_USAGE, "sync: malformed: %s", r.fail);
		if ((s->initiator ? sync_walk_on_item(s, &item, err)
		                  : sync_answer_on_item(s, &item, &questions, err)) < 0)
			return -1;
	}
	if (s->initiator && s->asked && !s->answered)
		return err_set(err, ERR_FAILED, "sync: the other side answers without giving what was asked for");
	if (!s->initiator) {
		if (!s->wants_sent && !s->done && s->answer.len + BODIES_MAX * 33 <= SYNC_FRAME_MAX)
			sync_answer_wants(s);
		s->answer_ready = true;
	}
	return 0;
}

bool sync_next_frame(struct sync *s, struct wr *w)
{
	size_t start = w->len;

	if (!s->initiator) {
		if (!s->answer_ready)
			return false;
		wr_bytes(w, s->answer.p, s->answer.len);
		wr_free(&s->answer);
		wr_init(&s->answer, SYNC_FRAME_MAX);
		s->answer_ready = false;
		s->stats.frames_out++;
		return true;
	}
	if (s->awaiting || s->done)
		return false;
	wr_u8(w, SYNC_VERSION);
	sync_walk_next(s, w, start + SYNC_FRAME_MAX);
	if (w->len == start + 1)
		wr_u8(w, SYNC_END);
	s->awaiting = true;
	s->stats.frames_out++;
	return true;
}
