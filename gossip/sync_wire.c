#include "gossip/sync_wire.h"

#include "base/hash.h"

/* Bytes of a record that are worth a piece of their own. */
#define PIECE_BYTES_MIN 512

/* Spans. */

void span_root(struct span *out, bool volatile_kinds)
{
	*out = (struct span){.volatile_kinds = volatile_kinds};
}

void span_part(struct span *out, const struct span *s, unsigned levels, unsigned i)
{
	*out = *s;
	for (unsigned level = levels; level-- > 0; out->depth++) {
		unsigned nibble = i >> 4 * level & 15;

		out->prefix.b[out->depth / 2] |= (uint8_t)(out->depth % 2 ? nibble : nibble << 4);
	}
}

void span_end(struct key32 *out, const struct span *s)
{
	*out = s->prefix;
	/* Add one to the last nibble of the prefix; a nibble that was 15 becomes 0 and carries. */
	for (unsigned at = s->depth; at-- > 0;) {
		unsigned shift = at % 2 ? 0 : 4;
		unsigned nibble = out->b[at / 2] >> shift & 15;

		out->b[at / 2] &= (uint8_t) ~(15U << shift);
		if (nibble < 15) {
			out->b[at / 2] |= (uint8_t)((nibble + 1) << shift);
			return;
		}
	}
	memset(out->b, 0xff, sizeof(out->b));
}

bool span_has(const struct span *s, const struct key32 *id)
{
	size_t whole = s->depth / 2;

	if (memcmp(id->b, s->prefix.b, whole) != 0)
		return false;
	return s->depth % 2 == 0 || id->b[whole] >> 4 == s->prefix.b[whole] >> 4;
}

bool span_eq(const struct span *a, const struct span *b)
{
	return a->volatile_kinds == b->volatile_kinds && a->depth == b->depth && key32_eq(&a->prefix, &b->prefix);
}

bool key32_increment(struct key32 *k)
{
	for (size_t i = sizeof(k->b); i-- > 0;)
		if (++k->b[i])
			return true;
	memset(k->b, 0xff, sizeof(k->b));
	return false;
}

unsigned span_parts(unsigned levels)
{
	return 1U << 4 * levels;
}

void span_prints(const struct store *st, const struct span *s, unsigned levels, struct range_print *out)
{
	struct range_print before = store_below(st, s->volatile_kinds, &s->prefix);

	for (unsigned i = 0; i < span_parts(levels); i++) {
		struct range_print after;
		struct span part;
		struct key32 end;

		span_part(&part, s, levels, i);
		span_end(&end, &part);
		after = store_below(st, s->volatile_kinds, &end);
		out[i] = range_print_sub(&after, &before);
		before = after;
	}
}

/* Prints and short ids. */

void sync_salt_init(struct sync_salt *s, const uint8_t bytes[SYNC_SALT_BYTES])
{
	memcpy(s->key, bytes, SYNC_SALT_BYTES);
	memcpy(s->key + SYNC_SALT_BYTES, bytes, SYNC_SALT_BYTES);
}

uint64_t sync_short(const struct sync_salt *s, const struct key32 *id)
{
	return siphash(s->key, id, sizeof(*id)) >> (64 - 8 * SYNC_SHORT_BYTES);
}

struct sync_part sync_part_of(const struct sync_salt *s, const struct range_print *p)
{
	uint8_t all[sizeof(p->sum) + 4];

	memcpy(all, &p->sum, sizeof(p->sum));
	for (int i = 0; i < 4; i++)
		all[sizeof(p->sum) + i] = (uint8_t)(p->count >> 8 * i);
	return (struct sync_part){
	        .count = (uint8_t)MIN(p->count, 255U), .print = siphash(s->key, all, sizeof(all))};
}

static uint64_t load(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

struct sync_part sync_item_part(const struct sync_item *item, unsigned i)
{
	const uint8_t *p = item->bytes + i * SYNC_PART_BYTES;

	return (struct sync_part){.count = p[0], .print = load(p + 1, 8)};
}

uint64_t sync_item_short(const struct sync_item *item, unsigned i)
{
	return load(item->bytes + i * SYNC_SHORT_BYTES, SYNC_SHORT_BYTES);
}

/* Writing. */

void sync_put_span(struct wr *w, enum sync_item_kind kind, const struct span *s)
{
	wr_u8(w, (uint8_t)kind);
	wr_u8(w, (uint8_t)(s->volatile_kinds << 7 | s->depth));
	wr_bytes(w, s->prefix.b, (s->depth + 1U) / 2);
}

void sync_put_part(struct wr *w, const struct sync_part *p)
{
	wr_u8(w, p->count);
	wr_u64(w, p->print);
}

void sync_put_prints(
        struct wr *w, const struct store *st, const struct sync_salt *salt, const struct span *s, unsigned levels)
{
	struct range_print prints[SYNC_PARTS_MAX];

	span_prints(st, s, levels, prints);
	sync_put_span(w, SYNC_PRINTS, s);
	wr_u8(w, (uint8_t)levels);
	for (unsigned i = 0; i < span_parts(levels); i++) {
		struct sync_part p = sync_part_of(salt, &prints[i]);

		sync_put_part(w, &p);
	}
}

static size_t significant(const struct key32 *k)
{
	size_t n = sizeof(k->b);

	while (n > 0 && !k->b[n - 1])
		n--;
	return n;
}

void sync_put_bound(struct wr *w, const struct key32 *from)
{
	size_t n = significant(from);

	wr_u8(w, (uint8_t)n);
	wr_bytes(w, from->b, n);
}

void sync_put_shorts(struct wr *w, const uint64_t *ids, size_t n)
{
	wr_u8(w, (uint8_t)n);
	for (size_t i = 0; i < n; i++) {
		wr_u16(w, (uint16_t)(ids[i] >> 32));
		wr_u32(w, (uint32_t)ids[i]);
	}
}

void sync_put_id(struct wr *w, enum sync_item_kind kind, const struct key32 *id)
{
	wr_u8(w, (uint8_t)kind);
	wr_key32(w, id);
}

bool sync_put_record(struct wr *w, const struct stored *s, size_t limit)
{
	if (w->len + SYNC_RECORD_OVERHEAD + s->len > limit)
		return false;
	wr_u8(w, SYNC_RECORD);
	wr_u32(w, (uint32_t)s->len);
	wr_bytes(w, s->bytes, s->len);
	return true;
}

uint32_t sync_put_piece(struct wr *w, const struct stored *s, uint32_t offset, size_t limit)
{
	size_t room = w->len < limit ? limit - w->len : 0;
	size_t rest = s->len - offset, n;

	if (room < SYNC_PIECE_OVERHEAD + MIN(rest, (size_t)PIECE_BYTES_MIN))
		return offset;
	n = MIN(rest, room - SYNC_PIECE_OVERHEAD);
	sync_put_id(w, SYNC_PIECE, &s->rec.id);
	wr_u32(w, (uint32_t)s->len);
	wr_u32(w, offset);
	wr_u32(w, (uint32_t)n);
	wr_bytes(w, s->bytes + offset, n);
	return offset + (uint32_t)n;
}

/* Reading. */

static void get_span(struct rd *r, struct span *s)
{
	uint8_t first = rd_u8(r);

	*s = (struct span){.volatile_kinds = first >> 7, .depth = first & 127};
	if (s->depth > SPAN_DEPTH_MAX) {
		rd_fail(r, "no such range");
		*s = (struct span){0};
		return;
	}
	rd_copy(r, s->prefix.b, (s->depth + 1U) / 2);
	if (s->depth % 2 && s->prefix.b[s->depth / 2] & 15)
		rd_fail(r, "a prefix has bits behind its end");
}

static void get_levels(struct rd *r, struct sync_item *out)
{
	out->levels = rd_u8(r);
	if (out->levels > SYNC_LEVELS_MAX || out->span.depth + out->levels > SPAN_DEPTH_MAX) {
		rd_fail(r, "parts of an impossible depth");
		out->levels = 0;
	}
}

static void get_from(struct rd *r, struct sync_item *out)
{
	size_t n = rd_u8(r);

	out->id = (struct key32){{0}};
	if (n > sizeof(out->id.b)) {
		rd_fail(r, "a bound longer than an id");
		return;
	}
	rd_copy(r, out->id.b, n);
	if (n != significant(&out->id))
		rd_fail(r, "a bound ends with zeros");
	if (rd_ok(r) && !span_has(&out->span, &out->id))
		rd_fail(r, "a page begins outside its range");
}

static void get_shorts(struct rd *r, struct sync_item *out)
{
	out->n = rd_u8(r);
	if (out->n > SYNC_LIST_MAX)
		rd_fail(r, "more ids than one item may hold");
	out->bytes = rd_bytes(r, (size_t)out->n * SYNC_SHORT_BYTES);
}

static void get_piece(struct rd *r, struct sync_item *out)
{
	rd_key32(r, &out->id);
	out->total = rd_u32(r);
	out->offset = rd_u32(r);
	out->n = rd_u32(r);
	if (out->total > RECORD_BYTES_MAX || !out->n || out->offset > out->total ||
	        out->n > out->total - out->offset)
		rd_fail(r, "a piece of a record of impossible length");
	out->bytes = rd_bytes(r, out->n);
}

static void get_body(struct rd *r, struct sync_item *out)
{
	switch (out->kind) {
	case SYNC_PRINTS:
		get_span(r, &out->span);
		get_levels(r, out);
		out->n = span_parts(out->levels);
		out->bytes = rd_bytes(r, (size_t)out->n * SYNC_PART_BYTES);
		return;
	case SYNC_PRINTS_MORE:
		get_span(r, &out->span);
		get_levels(r, out);
		return;
	case SYNC_MINE:
		get_span(r, &out->span);
		get_from(r, out);
		get_shorts(r, out);
		return;
	case SYNC_MORE:
		get_span(r, &out->span);
		get_from(r, out);
		out->total = rd_u32(r);
		return;
	case SYNC_GET:
	case SYNC_IDS:
	case SYNC_WANT:
	case SYNC_GET_MORE:
		get_span(r, &out->span);
		get_shorts(r, out);
		return;
	case SYNC_REST:
		rd_key32(r, &out->id);
		out->offset = rd_u32(r);
		return;
	case SYNC_RECORD:
		out->n = rd_u32(r);
		out->bytes = rd_bytes(r, out->n);
		return;
	case SYNC_PIECE:
		get_piece(r, out);
		return;
	case SYNC_MISSING:
	case SYNC_WANT_ID:
		rd_key32(r, &out->id);
		return;
	case SYNC_END:
		return;
	case SYNC_UNKNOWN:
		out->n = rd_u16(r);
		out->bytes = rd_bytes(r, out->n);
		return;
	}
	rd_fail(r, "unknown item");
}

void sync_get_item(struct rd *r, struct sync_item *out)
{
	uint8_t kind = rd_u8(r);

	*out = (struct sync_item){.kind = (enum sync_item_kind)MIN(kind, SYNC_UNKNOWN)};
	get_body(r, out);
	if (!rd_ok(r))
		out->n = 0;
}

size_t sync_again_bytes(const struct sync_item *q)
{
	size_t span = 1 + 1 + (q->span.depth + 1U) / 2;

	switch (q->kind) {
	case SYNC_PRINTS:
		return span + 1;
	case SYNC_MINE:
		return span + 1 + significant(&q->id) + 4;
	case SYNC_GET:
		return span + 1 + (size_t)q->n * SYNC_SHORT_BYTES;
	default:
		return 0;
	}
}
