/*
 * The initiator's walk, depth first over a stack of ranges:
 *
 *	            their fingerprints of 16 parts
 *	                    |
 *	   equal: nothing   |  theirs is empty: send own records
 *	                    |  either side has few: ask for their ids ----> what we lack is asked for,
 *	                    |  else: send own fingerprints of 16 parts      own records in the gaps are sent
 */
#include "gossip/sync_core.h"

/* Bounds of what waits at the initiator. Ranges are walked depth first, so an honest walk keeps far below. */
#define TODO_MAX   16384
#define GETS_MAX   4096
#define PUSHES_MAX 16384
/* No more ranges are asked about while so many gaps wait to be filled with own records. */
#define PUSHES_BEFORE_ASKING 256

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

static int add_todo(struct sync *s, const struct span *span, bool list, const struct key32 *from, struct err *err)
{
	struct todo *t = slot((void **)&s->todo, &s->n_todo, &s->todo_cap, sizeof(*t), TODO_MAX);

	if (!t)
		return sync_too_much(err, "ranges");
	*t = (struct todo){.span = *span, .list = list, .from = *from};
	return 0;
}

static int add_get(struct sync *s, const struct key32 *id, struct err *err)
{
	struct key32 *g = slot((void **)&s->gets, &s->n_gets, &s->gets_cap, sizeof(*g), GETS_MAX);

	if (!g)
		return sync_too_much(err, "ids");
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
		return sync_too_much(err, "gaps");
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

void sync_walk_begin(struct sync *s)
{
	struct key32 bodies[BODIES_MAX];
	size_t n = store_missing_bodies(s->st, bodies, BODIES_MAX);

	s->todo = xcalloc(2, sizeof(*s->todo));
	s->todo_cap = s->n_todo = 2;
	span_root(&s->todo[0].span, true);
	span_root(&s->todo[1].span, false); /* taken first: durable before volatile */
	for (size_t i = 0; i < n; i++)
		sync_want(s, &bodies[i]);
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

int sync_walk_on_item(struct sync *s, const struct sync_item *item, struct err *err)
{
	switch (item->kind) {
	case SYNC_PRINTS:
		return compare_prints(s, item, err);
	case SYNC_IDS:
		return compare_ids(s, item, err);
	case SYNC_RECORD:
		s->answered++;
		if (sync_take_piece(s, item))
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

static void ask_records(struct sync *s, struct wr *w)
{
	s->asked = (unsigned)MIN(s->n_gets, GETS_PER_FRAME);
	for (size_t i = 0; i < s->asked; i++) {
		bool begun = s->part_total && key32_eq(&s->part_id, &s->gets[i]);

		sync_put_get(w, &s->gets[i], begun ? (uint32_t)s->part.len : 0);
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
			sync_put_list(w, SYNC_LIST, &t->span, &t->from);
		else
			sync_put_prints(w, s->st, &t->span);
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
		reached = sync_put_record(w, r, s->push_offset, limit);
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

void sync_walk_next(struct sync *s, struct wr *w, size_t limit)
{
	ask_ranges(s, w);
	ask_records(s, w);
	push_records(s, w, limit);
}
