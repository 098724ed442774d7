/*
 * The initiator's walk, depth first over a stack of questions:
 *
 *	            their fingerprints of the parts of a range
 *	                    |
 *	   equal: nothing   |  they have nothing there: send own records
 *	                    |  we have few there: tell our ids ---> they send what we lack, and say what they lack: sent
 *	                    |  else: send own fingerprints of 16 parts --+
 *	                    |                                            |
 *	                    +--------------------------------------------+--> or their ids, where they have few:
 *	                                                                      ours in the gaps are sent, what we lack
 *	                                                                      is asked for
 */
#include "gossip/sync_core.h"

/* No more ranges are asked about while so many gaps wait to be filled with own records. */
#define PUSHES_BEFORE_ASKING 256
/* Bytes of the longest question: fingerprints of two levels. */
#define QUESTION_BYTES_MAX (1 + SPAN_BYTES_MAX + 1 + SYNC_PARTS_MAX * SYNC_PART_BYTES)

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

static int add_todo(struct sync *s, const struct todo *what, struct err *err)
{
	struct todo *t = slot((void **)&s->todo, &s->n_todo, &s->todo_cap, sizeof(*t), TODO_MAX);

	if (!t)
		return sync_too_much(err, "ranges");
	*t = *what;
	return 0;
}

static int ask_prints(struct sync *s, const struct span *span, unsigned levels, struct err *err)
{
	return add_todo(s, &(struct todo){.ask = ASK_PRINTS, .span = *span, .levels = (uint8_t)levels}, err);
}

static int ask_mine(
        struct sync *s, const struct span *span, const struct key32 *from, uint32_t expected, struct err *err)
{
	return add_todo(
	        s, &(struct todo){.ask = ASK_MINE, .span = *span, .from = *from, .expected = expected}, err);
}

static int ask_shorts(struct sync *s, const struct span *span, const uint64_t *shorts, size_t n, struct err *err)
{
	struct todo t = {.ask = ASK_GET, .span = *span, .n = (uint8_t)n};

	if (!n)
		return 0;
	if (s->n_shorts + n > TODO_SHORTS_MAX)
		return sync_too_much(err, "ids");
	t.shorts = xmemdup(shorts, n * sizeof(*shorts));
	if (add_todo(s, &t, err) < 0) {
		free(t.shorts);
		return -1;
	}
	s->n_shorts += n;
	return 0;
}

static int add_get(struct sync *s, const struct key32 *id, struct err *err)
{
	struct key32 *g;

	for (size_t i = 0; i < s->n_gets; i++)
		if (key32_eq(&s->gets[i], id))
			return 0;
	g = slot((void **)&s->gets, &s->n_gets, &s->gets_cap, sizeof(*g), GETS_MAX);
	if (!g)
		return sync_too_much(err, "ids");
	*g = *id;
	return 0;
}

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

/* Own records in [lo, hi) are to be sent, if there are any. */
static int add_push(
        struct sync *s, bool volatile_kinds, const struct key32 *lo, const struct key32 *hi, struct err *err)
{
	struct push *p;

	if (!store_range(s->st, volatile_kinds, lo, hi).count)
		return 0;
	p = slot((void **)&s->pushes, &s->n_pushes, &s->pushes_cap, sizeof(*p), PUSHES_MAX);
	if (!p)
		return sync_too_much(err, "gaps");
	*p = (struct push){volatile_kinds, *lo, *hi};
	if (s->push_offset && s->n_pushes > 1) { /* what is half sent stays on top */
		struct push swap = p[-1];

		p[-1] = *p;
		*p = swap;
	}
	return 0;
}

static int push_span(struct sync *s, const struct span *span, struct err *err)
{
	struct key32 end;

	span_end(&end, span);
	return add_push(s, span->volatile_kinds, &span->prefix, &end, err);
}

static int push_one(struct sync *s, bool volatile_kinds, const struct key32 *id, struct err *err)
{
	struct key32 hi = *id;

	key32_increment(&hi);
	return add_push(s, volatile_kinds, id, &hi, err);
}

void sync_want(struct sync *s, const struct key32 *id)
{
	if (s->initiator && !s->done && s->n_gets < SYNC_WANTS_MAX)
		add_get(s, id, NULL);
}

/* The first question about a whole set: as fine as its size asks for. */
static void begin_with(struct sync *s, bool volatile_kinds, bool equal)
{
	uint32_t n = store_digest(s->st, volatile_kinds).count;
	struct span root;

	span_root(&root, volatile_kinds);
	if (equal)
		ask_prints(s, &root, 0, NULL);
	else if (n <= MINE_MAX)
		ask_mine(s, &root, &root.prefix, 1, NULL);
	else
		ask_prints(s, &root, n > TWO_LEVELS_ABOVE ? 2 : 1, NULL);
}

void sync_walk_begin(struct sync *s, const bool equal[2])
{
	struct key32 bodies[BODIES_MAX];
	size_t n = store_missing_bodies(s->st, bodies, BODIES_MAX);

	begin_with(s, true, equal[1]);
	begin_with(s, false, equal[0]); /* on top: durable before volatile */
	for (size_t i = 0; i < n; i++)
		sync_want(s, &bodies[i]);
}

void sync_walk_free(struct sync *s)
{
	for (size_t i = 0; i < s->n_todo; i++)
		free(s->todo[i].shorts);
	free(s->todo);
	for (size_t i = 0; i < WINDOW; i++)
		free(s->flight[i].asked);
	free(s->gets);
	free(s->pushes);
}

/* Answers. */

/* The question that an answer about this range belongs to: about the range itself, or (part) one whose part it is. */
static const struct todo *asked_about(const struct sync *s, enum ask ask, const struct span *span, bool part)
{
	const struct flight *f = sync_flight(s);

	for (size_t i = 0; i < f->n_asked; i++) {
		const struct todo *t = &f->asked[i];

		if (t->ask != ask || t->span.volatile_kinds != span->volatile_kinds ||
		        span->depth != t->span.depth + (part ? t->levels : 0))
			continue;
		if (part ? span_has(&t->span, &span->prefix) : key32_eq(&t->span.prefix, &span->prefix))
			return t;
	}
	return NULL;
}

static int not_asked(struct err *err)
{
	return err_set(err, ERR_USAGE, "sync: an answer to no question");
}

static int compare_prints(struct sync *s, const struct sync_item *item, struct err *err)
{
	struct range_print own[SYNC_PARTS_MAX];

	if (!asked_about(s, ASK_PRINTS, &item->span, true) && !asked_about(s, ASK_MINE, &item->span, false))
		return not_asked(err);
	span_prints(s->st, &item->span, item->levels, own);
	for (unsigned i = 0; i < item->n; i++) {
		struct sync_part theirs = sync_item_part(item, i), ours = sync_part_of(&s->salt, &own[i]);
		struct span span;
		int rc;

		if (sync_part_eq(&ours, &theirs))
			continue;
		span_part(&span, &item->span, item->levels, i);
		if (!theirs.count)
			rc = push_span(s, &span, err);
		else if (own[i].count <= MINE_MAX)
			rc = ask_mine(s, &span, &span.prefix,
			        theirs.count > own[i].count ? theirs.count - own[i].count : 1, err);
		else
			rc = ask_prints(s, &span, 1, err);
		if (rc < 0)
			return -1;
	}
	return 0;
}

/* Their ids in a range: what we lack is asked for, own records in the gaps between are sent. */
static int compare_ids(struct sync *s, const struct sync_item *item, struct err *err)
{
	struct key32 ids[LIST_WALK_MAX], lo = item->span.prefix, end;
	uint64_t own[LIST_WALK_MAX], theirs[SYNC_LIST_MAX], lacked[SYNC_LIST_MAX];
	size_t n, n_lacked = 0;
	bool top = false;

	if (!asked_about(s, ASK_PRINTS, &item->span, true))
		return not_asked(err);
	if (!item->n)
		return push_span(s, &item->span, err);
	for (uint32_t i = 0; i < item->n; i++)
		theirs[i] = sync_item_short(item, i);
	n = sync_own_shorts(s, &item->span, &item->span.prefix, ids, own, LIST_WALK_MAX);
	if (n > LIST_WALK_MAX)
		return ask_prints(s, &item->span, 1, err);
	for (uint32_t i = 0; i < item->n; i++)
		if (!sync_listed(own, n, theirs[i]))
			lacked[n_lacked++] = theirs[i];
	for (size_t i = 0; i < n; i++) {
		if (!sync_listed(theirs, item->n, own[i]))
			continue;
		if (add_push(s, item->span.volatile_kinds, &lo, &ids[i], err) < 0)
			return -1;
		lo = ids[i];
		top = !key32_increment(&lo);
	}
	span_end(&end, &item->span);
	if (!top && add_push(s, item->span.volatile_kinds, &lo, &end, err) < 0)
		return -1;
	return ask_shorts(s, &item->span, lacked, n_lacked, err);
}

static int on_want(struct sync *s, const struct sync_item *item, struct err *err)
{
	struct key32 ids[LIST_WALK_MAX];
	uint64_t own[LIST_WALK_MAX], theirs[SYNC_LIST_MAX];
	size_t n;

	if (!asked_about(s, ASK_MINE, &item->span, false))
		return not_asked(err);
	for (uint32_t i = 0; i < item->n; i++)
		theirs[i] = sync_item_short(item, i);
	n = sync_own_shorts(s, &item->span, &item->span.prefix, ids, own, LIST_WALK_MAX);
	for (size_t i = 0; i < MIN(n, (size_t)LIST_WALK_MAX); i++)
		if (sync_listed(theirs, item->n, own[i]) &&
		        push_one(s, item->span.volatile_kinds, &ids[i], err) < 0)
			return -1;
	return 0;
}

static int on_more(struct sync *s, const struct sync_item *item, struct err *err)
{
	struct span part;
	struct key32 end;

	if (!asked_about(s, ASK_MINE, &item->span, false) && !asked_about(s, ASK_PRINTS, &item->span, true))
		return not_asked(err);
	span_end(&end, &item->span);
	if (item->total <= EXPECTED_PER_FRAME || item->span.depth == SPAN_DEPTH_MAX ||
	        store_range(s->st, item->span.volatile_kinds, &item->id, &end).count)
		return ask_mine(s, &item->span, &item->id, item->total, err);
	/* All of a long range: in parts, so that several frames of it may be on their way. The lowest on top. */
	for (unsigned i = SYNC_FANOUT; i-- > 0;) {
		bool begins = true;

		span_part(&part, &item->span, 1, i);
		if (key32_cmp(&part.prefix, &item->id) < 0) {
			if (!span_has(&part, &item->id))
				break;
			begins = false;
		}
		if (ask_mine(s, &part, begins ? &part.prefix : &item->id, item->total / SYNC_FANOUT + 1, err) < 0)
			return -1;
	}
	return 0;
}

static int on_get_more(struct sync *s, const struct sync_item *item, struct err *err)
{
	uint64_t shorts[SYNC_LIST_MAX];

	if (!asked_about(s, ASK_GET, &item->span, false))
		return not_asked(err);
	for (uint32_t i = 0; i < item->n; i++)
		shorts[i] = sync_item_short(item, i);
	return ask_shorts(s, &item->span, shorts, item->n, err);
}

static int on_prints_more(struct sync *s, const struct sync_item *item, struct err *err)
{
	const struct todo *t = asked_about(s, ASK_PRINTS, &item->span, false);

	if (!t || t->levels != item->levels)
		return not_asked(err);
	return ask_prints(s, &item->span, item->levels, err);
}

/* The rest of what came in part is asked for first. */
static int on_piece(struct sync *s, const struct sync_item *item, struct err *err)
{
	s->narrow = true;
	s->rest_given = true;
	if (sync_take_piece(s, item)) {
		drop_get(s, &item->id);
		return 0;
	}
	return s->part_total && key32_eq(&s->part_id, &item->id) ? add_get(s, &item->id, err) : 0;
}

int sync_walk_on_item(struct sync *s, const struct sync_item *item, struct err *err)
{
	bool again = item->kind == SYNC_MORE || item->kind == SYNC_GET_MORE || item->kind == SYNC_PRINTS_MORE;

	s->again += again;
	s->given += !again;
	switch (item->kind) {
	case SYNC_PRINTS:
		return compare_prints(s, item, err);
	case SYNC_IDS:
		return compare_ids(s, item, err);
	case SYNC_RECORD:
		sync_take_record(s, item);
		return 0;
	case SYNC_PIECE:
		return on_piece(s, item, err);
	case SYNC_MISSING:
		s->rest_given = true;
		drop_get(s, &item->id);
		return 0;
	case SYNC_WANT:
		return on_want(s, item, err);
	case SYNC_WANT_ID:
		return push_one(s, false, &item->id, err);
	case SYNC_MORE:
		return on_more(s, item, err);
	case SYNC_GET_MORE:
		return on_get_more(s, item, err);
	case SYNC_PRINTS_MORE:
		return on_prints_more(s, item, err);
	default:
		return err_set(err, ERR_USAGE, "sync: an answer holds a question");
	}
}

/* Questions. */

static void put_rests(struct sync *s, struct flight *f, struct wr *w)
{
	/* Those of a frame that is on its way already are not asked for twice. */
	for (size_t i = 0; i < s->in_flight; i++)
		if (s->flight[(s->first + i) % WINDOW].n_rests)
			return;
	f->n_rests = MIN(s->n_gets, (size_t)RESTS_PER_FRAME);
	for (size_t i = 0; i < f->n_rests; i++) {
		/* The one that is here in part goes first: only one is put together at a time. */
		const struct key32 *id = &s->gets[s->n_gets - 1 - i];
		bool begun = s->part_total && key32_eq(&s->part_id, id);

		sync_put_id(w, SYNC_REST, id);
		wr_u32(w, begun ? (uint32_t)s->part.len : 0);
	}
}

static void put_mine(struct sync *s, struct wr *w, struct todo *t)
{
	struct key32 ids[MINE_MAX];
	uint64_t own[MINE_MAX];
	size_t n = sync_own_shorts(s, &t->span, &t->from, ids, own, MINE_MAX);

	if (n > MINE_MAX) { /* more of them have come here meanwhile */
		t->ask = ASK_PRINTS;
		t->levels = 1;
		sync_put_prints(w, s->st, &s->salt, &t->span, t->levels);
		return;
	}
	sync_put_span(w, SYNC_MINE, &t->span);
	sync_put_bound(w, &t->from);
	sync_put_shorts(w, own, n);
}

static void put_get(struct sync *s, struct wr *w, struct todo *t)
{
	sync_put_span(w, SYNC_GET, &t->span);
	sync_put_shorts(w, t->shorts, t->n);
	s->n_shorts -= t->n;
	free(t->shorts);
	t->shorts = NULL;
}

/* Ranges from the top of the stack. None while much of what was found waits to be sent. */
static void put_questions(struct sync *s, struct flight *f, struct wr *w, size_t room)
{
	uint32_t expected = 0;

	if (s->n_pushes >= PUSHES_BEFORE_ASKING)
		return;
	while (s->n_todo && f->n_asked + f->n_rests < QUESTIONS_PER_FRAME && expected < EXPECTED_PER_FRAME &&
	        w->len + QUESTION_BYTES_MAX <= room) {
		struct todo *t =
		        slot((void **)&f->asked, &f->n_asked, &f->asked_cap, sizeof(*t), QUESTIONS_PER_FRAME);

		*t = s->todo[--s->n_todo];
		expected += t->ask == ASK_MINE ? t->expected : t->n;
		if (t->ask == ASK_PRINTS)
			sync_put_prints(w, s->st, &s->salt, &t->span, t->levels);
		else if (t->ask == ASK_MINE)
			put_mine(s, w, t);
		else
			put_get(s, w, t);
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
		if (!s->push_offset && sync_put_record(w, r, limit)) {
			reached = (uint32_t)r->len;
		} else {
			reached = sync_put_piece(w, r, s->push_offset, limit);
			if (reached == s->push_offset)
				return; /* no room left */
			s->push_offset = reached;
			s->push_total = (uint32_t)r->len;
			if (reached < r->len)
				return;
		}
		s->stats.records_out++;
		s->push_offset = 0;
		if (!key32_increment(&p->lo))
			s->n_pushes--;
	}
}

bool sync_walk_next(struct sync *s, struct wr *w, size_t limit)
{
	struct flight *f = &s->flight[(s->first + s->in_flight) % WINDOW];
	struct wr questions;

	wr_init(&questions, SYNC_FRAME_MAX);
	f->n_asked = f->n_rests = 0;
	put_rests(s, f, &questions);
	/* Half is left to records, if there are any to be sent. */
	put_questions(s, f, &questions, s->n_pushes ? SYNC_FRAME_MAX / 2 : SYNC_FRAME_MAX - ANSWER_BYTES_MIN);
	push_records(s, w, limit - questions.len);
	wr_bytes(w, questions.p, questions.len);
	wr_free(&questions);
	return !f->n_asked && !f->n_rests && !s->in_flight && !s->n_pushes && !s->n_todo && !s->n_gets;
}
