/* The responder: answers what it is asked, and remembers nothing of it. */
#include "gossip/sync_core.h"

#include <assert.h>

/* Bytes of the answer to one part of PRINTS: the fingerprints of its own parts, or at most as many of ids. */
#define PART_ANSWER_BYTES(parts) (1 + SPAN_BYTES_MAX + 1 + (parts)*SYNC_PART_BYTES)
/* By how much a MORE in the middle of a range is longer than the one that repeats its question. */
#define MORE_SLACK (BOUND_BYTES_MAX + 4)

static_assert(IDS_MAX * SYNC_SHORT_BYTES <= SYNC_FANOUT * SYNC_PART_BYTES, "fingerprints are the longest answer");
static_assert(SYNC_PARTS_MAX * PART_ANSWER_BYTES(SYNC_FANOUT) < SYNC_FRAME_MAX - ANSWER_BYTES_MIN,
        "any one question finds room");

/* Up to which byte the answer may grow now. */
static size_t limit(const struct sync *s)
{
	return SYNC_FRAME_MAX - s->reserved - MORE_SLACK;
}

static bool has_room(const struct sync *s, size_t bytes)
{
	return s->answer.len + bytes <= limit(s);
}

int sync_answer_begin(struct sync *s, struct rd items, struct err *err)
{
	unsigned questions = 0;

	s->full = s->has_records = false;
	s->reserved = 0;
	while (rd_left(&items)) {
		struct sync_item item;

		sync_get_item(&items, &item);
		if (!rd_ok(&items))
			return err_set(err, ERR_USAGE, "sync: malformed: %s", items.fail);
		questions += item.kind == SYNC_PRINTS || item.kind == SYNC_MINE || item.kind == SYNC_GET ||
		             item.kind == SYNC_REST;
		s->reserved += sync_again_bytes(&item);
	}
	if (questions > QUESTIONS_PER_FRAME || s->reserved > SYNC_FRAME_MAX - ANSWER_BYTES_MIN)
		return sync_too_much(err, "questions in one frame");
	return 0;
}

/* Adds a record, or its beginning if it would leave little room in any answer. False: no room. */
static bool put(struct sync *s, const struct key32 *id)
{
	const struct stored *r = store_get(s->st, id);
	uint32_t reached;

	if (s->full)
		return false;
	if (!r)
		return true;
	if (sync_put_record(&s->answer, r, limit(s))) {
		s->has_records = true;
		s->stats.records_out++;
		return true;
	}
	s->full = true;
	if (s->has_records && r->len <= SYNC_FRAME_MAX / 2)
		return false;
	reached = sync_put_piece(&s->answer, r, 0, limit(s));
	return reached > 0;
}

static void put_more(struct sync *s, const struct span *span, const struct key32 *from)
{
	struct key32 end;

	span_end(&end, span);
	sync_put_span(&s->answer, SYNC_MORE, span);
	sync_put_bound(&s->answer, from);
	wr_u32(&s->answer, store_range(s->st, span->volatile_kinds, from, &end).count);
}

/* Own records from `from` on that are not among the n listed; what finds no room is left to be asked for again. */
static void put_unlisted(
        struct sync *s, const struct span *span, const struct key32 *from, const uint64_t *listed, size_t n)
{
	struct key32 ids[64], at = *from, end;
	size_t all;

	span_end(&end, span);
	if (s->full) {
		if (store_range(s->st, span->volatile_kinds, from, &end).count)
			put_more(s, span, from);
		return;
	}
	do {
		all = store_range_ids(s->st, span->volatile_kinds, &at, &end, ids, ARRAY_LEN(ids));
		for (size_t i = 0; i < MIN(all, ARRAY_LEN(ids)); i++) {
			s->stats.work += n > 0;
			if (n && sync_listed(listed, n, sync_short(&s->salt, &ids[i])))
				continue;
			if (!put(s, &ids[i])) {
				put_more(s, span, &ids[i]);
				return;
			}
		}
		at = ids[ARRAY_LEN(ids) - 1];
	} while (all > ARRAY_LEN(ids) && key32_increment(&at));
}

static void put_ids(struct sync *s, const struct span *span)
{
	struct key32 ids[IDS_MAX];
	uint64_t shorts[IDS_MAX];
	size_t n = sync_own_shorts(s, span, &span->prefix, ids, shorts, IDS_MAX);

	sync_put_span(&s->answer, SYNC_IDS, span);
	sync_put_shorts(&s->answer, shorts, MIN(n, (size_t)IDS_MAX));
}

static void put_prints(struct sync *s, const struct span *span, unsigned levels)
{
	sync_put_prints(&s->answer, s->st, &s->salt, span, levels);
	s->stats.work += span_parts(levels);
}

/* Bytes of MORE for a range of which nothing was sent. */
static size_t more_bytes(const struct span *span)
{
	return 1 + 1 + 2 * ((span->depth + 1U) / 2) + 1 + 4;
}

static void answer_prints(struct sync *s, const struct sync_item *item)
{
	struct range_print own[SYNC_PARTS_MAX];
	uint8_t empty
	        [SYNC_PARTS_MAX]; /* parts in which they have nothing: these get our records, if there is room */
	size_t mark = s->answer.len, n_empty = 0;
	struct span span;

	span_prints(s->st, &item->span, item->levels, own);
	s->stats.work += item->n;
	for (unsigned i = 0; i < item->n; i++) {
		struct sync_part theirs = sync_item_part(item, i), ours = sync_part_of(&s->salt, &own[i]);
		/* The whole set, of which only one fingerprint came, may be large. */
		unsigned levels = !item->levels && own[i].count > TWO_LEVELS_ABOVE ? 2 : 1;

		if (sync_part_eq(&ours, &theirs))
			continue;
		span_part(&span, &item->span, item->levels, i);
		if (!has_room(s, n_empty * more_bytes(&span) + PART_ANSWER_BYTES(span_parts(levels)))) {
			s->answer.len = mark;
			sync_put_span(&s->answer, SYNC_PRINTS_MORE, &item->span);
			wr_u8(&s->answer, item->levels);
			return;
		}
		if (!theirs.count)
			empty[n_empty++] = (uint8_t)i;
		else if (own[i].count <= IDS_MAX)
			put_ids(s, &span);
		else
			put_prints(s, &span, levels);
	}
	for (size_t k = 0; k < n_empty; k++) {
		size_t keep;

		span_part(&span, &item->span, item->levels, empty[k]);
		keep = (n_empty - k) * more_bytes(&span);
		s->reserved += keep;
		put_unlisted(s, &span, &span.prefix, NULL, 0);
		s->reserved -= keep;
	}
}

static void answer_mine(struct sync *s, const struct sync_item *item)
{
	struct key32 ids[LIST_WALK_MAX];
	uint64_t own[LIST_WALK_MAX], theirs[SYNC_LIST_MAX], lacked[SYNC_LIST_MAX];
	size_t n = 0, n_lacked = 0;

	if (s->full || !has_room(s, 1 + SPAN_BYTES_MAX + 1 + sizeof(lacked))) {
		put_more(s, &item->span, &item->id);
		return;
	}
	for (uint32_t i = 0; i < item->n; i++)
		theirs[i] = sync_item_short(item, i);
	if (item->n)
		n = sync_own_shorts(s, &item->span, &item->id, ids, own, LIST_WALK_MAX);
	if (n > LIST_WALK_MAX) {
		put_prints(s, &item->span, 1);
		return;
	}
	/* Of a range told from its start; when it is asked about again from further on, this was said already. */
	for (uint32_t i = 0; key32_eq(&item->id, &item->span.prefix) && i < item->n; i++)
		if (!sync_listed(own, n, theirs[i]))
			lacked[n_lacked++] = theirs[i];
	if (n_lacked) {
		sync_put_span(&s->answer, SYNC_WANT, &item->span);
		sync_put_shorts(&s->answer, lacked, n_lacked);
	}
	put_unlisted(s, &item->span, &item->id, theirs, item->n);
}

static void answer_get(struct sync *s, const struct sync_item *item)
{
	struct key32 ids[LIST_WALK_MAX];
	uint64_t own[LIST_WALK_MAX], theirs[SYNC_LIST_MAX], left[SYNC_LIST_MAX];
	size_t n, n_left = 0;

	for (uint32_t i = 0; i < item->n; i++)
		theirs[i] = sync_item_short(item, i);
	n = MIN(sync_own_shorts(s, &item->span, &item->span.prefix, ids, own, LIST_WALK_MAX),
	        (size_t)LIST_WALK_MAX);
	for (size_t i = 0; i < n; i++)
		if (sync_listed(theirs, item->n, own[i]) && !put(s, &ids[i]) && n_left < item->n)
			left[n_left++] = own[i];
	if (n_left) {
		sync_put_span(&s->answer, SYNC_GET_MORE, &item->span);
		sync_put_shorts(&s->answer, left, n_left);
	}
}

static void answer_rest(struct sync *s, const struct sync_item *item)
{
	const struct stored *r = store_get(s->st, &item->id);
	uint32_t reached;

	if (!r || item->offset >= r->len) {
		if (has_room(s, 33))
			sync_put_id(&s->answer, SYNC_MISSING, &item->id);
		return;
	}
	if (s->full)
		return;
	reached = sync_put_piece(&s->answer, r, item->offset, limit(s));
	s->full = reached < r->len;
	s->stats.records_out += !s->full;
}

void sync_answer_wants(struct sync *s)
{
	struct key32 bodies[BODIES_MAX];
	size_t n = store_missing_bodies(s->st, bodies, BODIES_MAX);

	for (size_t i = 0; i < n; i++)
		sync_put_id(&s->answer, SYNC_WANT_ID, &bodies[i]);
	s->wants_sent = true;
}

int sync_answer_on_item(struct sync *s, const struct sync_item *item, struct err *err)
{
	size_t again = sync_again_bytes(item);

	switch (item->kind) {
	case SYNC_PRINTS:
		answer_prints(s, item);
		break;
	case SYNC_MINE:
		answer_mine(s, item);
		break;
	case SYNC_GET:
		answer_get(s, item);
		break;
	case SYNC_REST:
		answer_rest(s, item);
		break;
	case SYNC_RECORD:
		sync_take_record(s, item);
		break;
	case SYNC_PIECE:
		sync_take_piece(s, item);
		break;
	case SYNC_END:
		s->done = true;
		break;
	default:
		return err_set(err, ERR_USAGE, "sync: a question holds an answer");
	}
	s->reserved -= again;
	return 0;
}
