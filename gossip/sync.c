#include "gossip/sync.h"

#include "gossip/sync_wire.h"

#include <assert.h>

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
static_assert(
        SYNC_PRINTS_BYTES_MAX <= SYNC_IDS_BYTES_MAX(IDS_AT_ONCE), "a list is the longest answer to a print");
static_assert(SYNC_FANOUT * SYNC_IDS_BYTES_MAX(IDS_AT_ONCE) < QUESTIONS_ROOM, "any one question finds room");
static_assert(QUESTIONS_PER_FRAME * SYNC_PRINTS_BYTES_MAX < SYNC_FRAME_MAX / 2, "half is left to records");

/* Bounds of what waits at the initiator. Ranges are walked depth first, so an honest walk keeps far below. */
#define TODO_MAX   16384
#define GETS_MAX   4096
#define PUSHES_MAX 16384
/* Missing bodies that one sync asks for. */
#define BODIES_MAX 64
/* No more ranges are asked about while so many gaps wait to be filled with own records. */
#define PUSHES_BEFORE_ASKING 256

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

struct sync *sync_new(const struct store *st, bool initiator, sync_deliver *deliver, void *ctx)
{
	struct sync *s = xcalloc(1, sizeof(*s));

	s->st = st;
	s->initiator = initiator;
	s->deliver = deliver;
	s->ctx = ctx;
	wr_init(&s->part, RECORD_BYTES_MAX);
	wr_init(&s->answer, SYNC_FRAME_MAX);
	if (initiator) {
		struct key32 bodies[BODIES_MAX];
		size_t n = store_missing_bodies(st, bodies, BODIES_MAX);

		s->todo = xcalloc(2, sizeof(*s->todo));
		s->todo_cap = s->n_todo = 2;
		span_root(&s->todo[0].span, true);
		span_root(&s->todo[1].span, false); /* taken first: durable before volatile */
		for (size_t i = 0; i < n; i++)
			sync_want(s, &bodies[i]);
	}
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

/* Bounded arrays. */

static void *slot(void **array, size_t *n, size_t *cap, size_t size, size_t max)
{
	if (*n >= max)
		return NULL;
	if (*n == *cap) {
		*cap = *cap ? *cap * 2 : 16;
		*array = xrealloc(*array, *cap * size);
	}
	return (char *)*array + (*n)++ * size;
}

static int too_much(struct err *err, const char *what)
{
	return err_set(err, ERR_FAILED, "sync: the other side gave more %s than an honest one could", what);
}

static int add_todo(struct sync *s, const struct span *span, bool list, const struct key32 *from, struct err *err)
{
	struct todo *t = slot((void **)&s->todo, &s->n_todo, &s->todo_cap, sizeof(*t), TODO_MAX);

	if (!t)
		return too_much(err, "ranges");
	*t = (struct todo){.span = *span, .list = list, .from = *from};
	return 0;
}

static int add_get(struct sync *s, const struct key32 *id, struct err *err)
{
	struct key32 *g = slot((void **)&s->gets, &s->n_gets, &s->gets_cap, sizeof(*g), GETS_MAX);

	if (!g)
		return too_much(err, "ids");
	*g = *id;
	return 0;
}

/* Own records in [lo, hi) are to be sent, if there are any. */
static int add_push(
        struct sync *s, bool volatile_kinds, const struct key32 *lo, const struct key32 *hi, struct err *err)
{
	struct push *p;

	if (!store_range(s->st, volatile_kinds, lo, hi).count)
		return 0;
	p = slot((void **)&s->pushes, &s->n_pushes, &s->pushes_cap, sizeof(*p), PUSHES_MAX);
	if (!p)
		return too_much(err, "gaps");
	*p = (struct push){volatile_kinds, *lo, *hi};
	s->push_offset = 0; /* what was being sent is no longer on top and starts again */
	return 0;
}

void sync_want(struct sync *s, const struct key32 *id)
{
	for (size_t i = 0; i < s->n_gets; i++)
		if (key32_eq(&s->gets[i], id))
			return;
	if (s->initiator && !s->done && s->n_gets < SYNC_WANTS_MAX)
		add_get(s, id, NULL);
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
static bool take_piece(struct sync *s, const struct sync_item *item)
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

/* Initiator: what an answer says. */

static void drop_get(struct sync *s, const struct key32 *id)
{
	for (size_t i = 0; i < s->n_gets; i++) {
		if (!key32_eq(&s->gets[i], id))
			continue;
		s->n_gets--;
		memmove(&s->gets[i], &s->gets[i + 1], (s->n_gets - i) * sizeof(*s->gets));
		return;
	}
}

static int compare_prints(struct sync *s, const struct sync_item *item, struct err *err)
{
	for (unsigned i = 0; i < SYNC_FANOUT; i++) {
		const struct range_print *theirs = &item->prints[i];
		struct range_print own;
		struct span child;
		int rc = 0;

		span_child(&child, &item->span, i);
		own = span_print(s->st, &child);
		if (own.count == theirs->count && key32_eq(&own.sum, &theirs->sum))
			continue;
		if (!theirs->count) {
			struct key32 end;

			span_end(&end, &child);
			rc = add_push(s, child.volatile_kinds, &child.prefix, &end, err);
		} else {
			bool list = MIN(own.count, theirs->count) <= IDS_AT_ONCE || child.depth == SPAN_DEPTH_MAX;

			rc = add_todo(s, &child, list, &child.prefix, err);
		}
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* Their ids in a range, ascending: what we lack is asked for, own records in the gaps between are sent. */
static int compare_ids(struct sync *s, const struct sync_item *item, struct err *err)
{
	const struct key32 *ids = (const struct key32 *)item->bytes;
	struct key32 at = item->id, end;
	bool top = false;

	for (uint32_t i = 0; i < item->n; i++) {
		if (add_push(s, item->span.volatile_kinds, &at, &ids[i], err) < 0)
			return -1;
		if (!store_get(s->st, &ids[i]) && add_get(s, &ids[i], err) < 0)
			return -1;
		at = ids[i];
		top = !key32_increment(&at);
	}
	if (item->more)
		return top || !span_has(&item->span, &at) ? 0 : add_todo(s, &item->span, true, &at, err);
	span_end(&end, &item->span);
	return top ? 0 : add_push(s, item->span.volatile_kinds, &at, &end, err);
}

static int add_wanted(struct sync *s, const struct key32 *id, struct err *err)
{
	struct key32 hi = *id;

	key32_increment(&hi);
	return add_push(s, false, id, &hi, err);
}

static int on_answer_item(struct sync *s, const struct sync_item *item, struct err *err)
{
	switch (item->kind) {
	case SYNC_PRINTS:
		return compare_prints(s, item, err);
	case SYNC_IDS:
		return compare_ids(s, item, err);
	case SYNC_RECORD:
		s->answered++;
		if (take_piece(s, item))
			drop_get(s, &item->id);
		return 0;
	case SYNC_MISSING:
		s->answered++;
		drop_get(s, &item->id);
		return 0;
	case SYNC_WANT:
		return add_wanted(s, &item->id, err);
	case SYNC_PRINTS_AGAIN:
		return add_todo(s, &item->span, false, &item->span.prefix, err);
	case SYNC_LIST_AGAIN:
		return add_todo(s, &item->span, true, &item->id, err);
	case SYNC_END:
		s->done = true;
		return 0;
	default:
		return err_set(err, ERR_USAGE, "sync: an answer holds a question");
	}
}

/* Responder: what a question is answered with. */

/* Bytes left for the answer to a question. */
static size_t answer_room(const struct sync *s)
{
	return s->answer.len < QUESTIONS_ROOM ? QUESTIONS_ROOM - s->answer.len : 0;
}

static void answer_prints(struct sync *s, const struct sync_item *item)
{
	if (answer_room(s) < SYNC_FANOUT * SYNC_IDS_BYTES_MAX(IDS_AT_ONCE)) {
		put_span(&s->answer, SYNC_PRINTS_AGAIN, &item->span);
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
			put_ids(&s->answer, s->st, &child, &child.prefix, IDS_AT_ONCE);
		else
			put_prints(&s->answer, s->st, &child);
	}
}

/* A page as long as there is room for. */
static void answer_list(struct sync *s, const struct sync_item *item)
{
	size_t room = answer_room(s);

	if (room < SYNC_IDS_BYTES_MAX(IDS_AT_ONCE))
		put_list(&s->answer, SYNC_LIST_AGAIN, &item->span, &item->id);
	else
		put_ids(&s->answer, s->st, &item->span, &item->id, (room - SYNC_IDS_BYTES_MAX(0)) / 32);
}

static void answer_get(struct sync *s, const struct sync_item *item)
{
	const struct stored *r = store_get(s->st, &item->id);
	uint32_t reached;

	if (!r || item->offset >= r->len) {
		if (s->answer.len + 33 <= SYNC_FRAME_MAX)
			put_id(&s->answer, SYNC_MISSING, &item->id);
		return;
	}
	reached = put_record(&s->answer, r, item->offset, SYNC_FRAME_MAX);
	if (reached == r->len)
		s->stats.records_out++;
}

static void answer_wants(struct sync *s)
{
	struct key32 bodies[BODIES_MAX];
	size_t n = store_missing_bodies(s->st, bodies, BODIES_MAX);

	for (size_t i = 0; i < n; i++)
		put_id(&s->answer, SYNC_WANT, &bodies[i]);
	s->wants_sent = true;
}

static int on_question_item(struct sync *s, const struct sync_item *item, unsigned *questions, struct err *err)
{
	switch (item->kind) {
	case SYNC_PRINTS:
	case SYNC_LIST:
		if (++*questions > QUESTIONS_PER_FRAME)
			return too_much(err, "questions in one frame");
		if (item->kind == SYNC_PRINTS)
			answer_prints(s, item);
		else
			answer_list(s, item);
		return 0;
	case SYNC_GET:
		answer_get(s, item);
		return 0;
	case SYNC_RECORD:
		take_piece(s, item);
		return 0;
	case SYNC_END:
		wr_u8(&s->answer, SYNC_END);
		s->done = true;
		return 0;
	default:
		return err_set(err, ERR_USAGE, "sync: a question holds an answer");
	}
}

/* Frames. */

int sync_on_frame(struct sync *s, const uint8_t *bytes, size_t len, struct err *err)
{
	unsigned questions = 0;
	struct rd r;

	if (s->initiator ? !s->awaiting : s->answer_ready)
		return err_set(err, ERR_USAGE, "sync: a frame came out of turn");
	if (len > SYNC_FRAME_MAX || ++s->stats.frames_in > SYNC_FRAMES_MAX)
		return too_much(err, "frames");
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

		get_item(&r, &item);
		if (!rd_ok(&r))
			return err_set(err, ERR_USAGE, "sync: malformed: %s", r.fail);
		if ((s->initiator ? on_answer_item(s, &item, err) : on_question_item(s, &item, &questions, err)) <
		        0)
			return -1;
	}
	if (s->initiator && s->asked && !s->answered)
		return err_set(err, ERR_FAILED, "sync: the other side answers without giving what was asked for");
	if (!s->initiator) {
		if (!s->wants_sent && !s->done && s->answer.len + BODIES_MAX * 33 <= SYNC_FRAME_MAX)
			answer_wants(s);
		s->answer_ready = true;
	}
	return 0;
}

static void ask_records(struct sync *s, struct wr *w)
{
	s->asked = (unsigned)MIN(s->n_gets, GETS_PER_FRAME);
	for (size_t i = 0; i < s->asked; i++) {
		bool begun = s->part_total && key32_eq(&s->part_id, &s->gets[i]);

		put_get(w, &s->gets[i], begun ? (uint32_t)s->part.len : 0);
	}
}

/* Ranges from the top of the stack. None while much of what was found waits to be fetched or sent. */
static void ask_ranges(struct sync *s, struct wr *w)
{
	if (s->n_gets >= GETS_PER_FRAME || s->n_pushes >= PUSHES_BEFORE_ASKING)
		return;
	for (unsigned n = 0; s->n_todo && n < QUESTIONS_PER_FRAME; n++) {
		const struct todo *t = &s->todo[--s->n_todo];

		if (t->list)
			put_list(w, SYNC_LIST, &t->span, &t->from);
		else
			put_prints(w, s->st, &t->span);
	}
}

/* The record that the topmost push stands at; NULL when that push is through. */
static const struct stored *push_at(struct sync *s, struct push *p)
{
	struct key32 id;

	if (!store_range_ids(s->st, p->volatile_kinds, &p->lo, &p->hi, &id, 1))
		return NULL;
	if (!key32_eq(&id, &p->lo))
		s->push_offset = 0;
	p->lo = id;
	return store_get(s->st, &id);
}

static void push_records(struct sync *s, struct wr *w, size_t limit)
{
	while (s->n_pushes) {
		struct push *p = &s->pushes[s->n_pushes - 1];
		const struct stored *r = push_at(s, p);
		uint32_t reached;

		if (!r) {
			s->n_pushes--;
			continue;
		}
		if (s->push_offset && s->push_total != r->len)
			s->push_offset = 0; /* its body came meanwhile: from the start */
		reached = put_record(w, r, s->push_offset, limit);
		if (reached == s->push_offset)
			return; /* no room left */
		s->push_offset = reached;
		s->push_total = (uint32_t)r->len;
		if (reached < r->len)
			return;
		s->stats.records_out++;
		s->push_offset = 0;
		if (!key32_increment(&p->lo))
			s->n_pushes--;
	}
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
	ask_ranges(s, w);
	ask_records(s, w);
	push_records(s, w, start + SYNC_FRAME_MAX);
	if (w->len == start + 1)
		wr_u8(w, SYNC_END);
	s->awaiting = true;
	s->stats.frames_out++;
	return true;
}
