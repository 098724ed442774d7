#include "gossip/sync_core.h"

static struct sync *sync_new(const struct store *st, bool initiator, sync_deliver *deliver, void *ctx)
{
	struct sync *s = xcalloc(1, sizeof(*s));

	s->st = st;
	s->initiator = initiator;
	s->deliver = deliver;
	s->ctx = ctx;
	wr_init(&s->part, RECORD_BYTES_MAX);
	wr_init(&s->answer, SYNC_FRAME_MAX);
	return s;
}

struct sync *sync_begin(const struct store *st, const struct sync_start *start, sync_deliver *deliver, void *ctx)
{
	struct sync *s = sync_new(st, true, deliver, ctx);

	memcpy(s->salt_bytes, start->salt, sizeof(s->salt_bytes));
	sync_salt_init(&s->salt, start->salt);
	sync_walk_begin(s, start->equal);
	return s;
}

struct sync *sync_respond(const struct store *st, sync_deliver *deliver, void *ctx)
{
	return sync_new(st, false, deliver, ctx);
}

void sync_free(struct sync *s)
{
	if (!s)
		return;
	wr_free(&s->part);
	wr_free(&s->answer);
	sync_walk_free(s);
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

size_t sync_held(const struct sync *s)
{
	size_t held = sizeof(*s) + s->part.cap + s->answer.cap + s->todo_cap * sizeof(*s->todo) +
	              s->n_shorts * sizeof(uint64_t) + s->gets_cap * sizeof(*s->gets) +
	              s->pushes_cap * sizeof(*s->pushes);

	for (size_t i = 0; i < WINDOW; i++)
		held += s->flight[i].asked_cap * sizeof(*s->flight[i].asked);
	return held;
}

int sync_too_much(struct err *err, const char *what)
{
	return err_set(err, ERR_FAILED, "sync: the other side gave more %s than an honest one could", what);
}

/* Own ids. */

size_t sync_own_shorts(struct sync *s, const struct span *span, const struct key32 *from, struct key32 *ids,
        uint64_t *shorts, size_t max)
{
	struct key32 end;
	size_t all;

	span_end(&end, span);
	all = store_range_ids(s->st, span->volatile_kinds, from, &end, ids, max);
	for (size_t i = 0; i < MIN(all, max); i++)
		shorts[i] = sync_short(&s->salt, &ids[i]);
	s->stats.work += (unsigned)MIN(all, max);
	return all;
}

bool sync_listed(const uint64_t *shorts, size_t n, uint64_t what)
{
	for (size_t i = 0; i < n; i++)
		if (shorts[i] == what)
			return true;
	return false;
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

void sync_take_record(struct sync *s, const struct sync_item *item)
{
	deliver(s, item->bytes, item->n);
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

static int on_items(struct sync *s, struct rd *r, struct err *err)
{
	while (rd_left(r)) {
		struct sync_item item;

		sync_get_item(r, &item);
		if (!rd_ok(r))
			return err_set(err, ERR_USAGE, "sync: malformed: %s", r->fail);
		/* A newer peer may say more than we understand. */
		if (item.kind == SYNC_UNKNOWN)
			continue;
		if ((s->initiator ? sync_walk_on_item(s, &item, err) : sync_answer_on_item(s, &item, err)) < 0)
			return -1;
	}
	return 0;
}

static int on_answer(struct sync *s, struct rd *r, struct err *err)
{
	const struct flight *f = sync_flight(s);

	s->again = s->given = 0;
	s->rest_given = false;
	if (on_items(s, r, err) < 0)
		return -1;
	if ((f->n_rests && !s->rest_given) || (f->n_asked && s->again >= f->n_asked && !s->given))
		return err_set(err, ERR_FAILED, "sync: the other side answers without giving what was asked for");
	s->first = (s->first + 1) % WINDOW;
	s->in_flight--;
	return 0;
}

static int on_question(struct sync *s, struct rd *r, struct err *err)
{
	uint8_t salt[SYNC_SALT_BYTES];

	wr_reset(&s->answer);
	wr_u8(&s->answer, SYNC_VERSION);
	rd_copy(r, salt, sizeof(salt));
	sync_salt_init(&s->salt, salt);
	if (!rd_ok(r))
		return err_set(err, ERR_USAGE, "sync: malformed: %s", r->fail);
	if (sync_answer_begin(s, *r, err) < 0 || on_items(s, r, err) < 0)
		return -1;
	if (!s->wants_sent && !s->done && s->answer.len + BODIES_MAX * 33 <= SYNC_FRAME_MAX)
		sync_answer_wants(s);
	s->answer_ready = !s->done;
	return 0;
}

void sync_each_record(const uint8_t *bytes, size_t len, bool of_initiator,
        void (*fn)(void *ctx, const uint8_t *bytes, size_t len), void *ctx)
{
	struct rd r;

	rd_init(&r, bytes, len);
	if (rd_u8(&r) != SYNC_VERSION)
		return;
	if (of_initiator)
		rd_bytes(&r, SYNC_SALT_BYTES);
	while (rd_ok(&r) && rd_left(&r)) {
		struct sync_item item;

		sync_get_item(&r, &item);
		if (rd_ok(&r) && (item.kind == SYNC_RECORD ||
		                         (item.kind == SYNC_PIECE && item.offset == 0 && item.n == item.total)))
			fn(ctx, item.bytes, item.n);
	}
}

int sync_on_frame(struct sync *s, const uint8_t *bytes, size_t len, struct err *err)
{
	struct rd r;
	uint8_t version;

	if (s->done || (s->initiator ? !s->in_flight : s->answer_ready))
		return err_set(err, ERR_USAGE, "sync: a frame came out of turn");
	if (len > SYNC_FRAME_MAX || ++s->stats.frames_in > SYNC_FRAMES_MAX)
		return sync_too_much(err, "frames");
	rd_init(&r, bytes, len);
	version = rd_u8(&r);
	if (version > SYNC_VERSION && !s->initiator) {
		/* An empty answer of our version: whoever can speak it begins again. */
		wr_reset(&s->answer);
		wr_u8(&s->answer, SYNC_VERSION);
		s->answer_ready = true;
		return 0;
	}
	if (version != SYNC_VERSION)
		return err_set(err, ERR_USAGE, "sync: the other side speaks another version");
	return s->initiator ? on_answer(s, &r, err) : on_question(s, &r, err);
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
	if (s->done || s->in_flight == WINDOW || (s->in_flight && (s->narrow || !(s->n_todo || s->n_pushes))))
		return false;
	wr_u8(w, SYNC_VERSION);
	wr_bytes(w, s->salt_bytes, sizeof(s->salt_bytes));
	if (sync_walk_next(s, w, start + SYNC_FRAME_MAX - 1)) {
		wr_u8(w, SYNC_END);
		s->done = true;
	} else if (s->in_flight && w->len == start + 1 + sizeof(s->salt_bytes)) {
		w->len = start;
		return false;
	} else {
		s->in_flight++;
	}
	s->stats.frames_out++;
	return true;
}
