#include "gossip/sync_wire.h"

/* Bytes of a record that are worth a chunk of their own. */
#define CHUNK_BYTES_MIN 512

void span_root(struct span *out, bool volatile_kinds)
{
	*out = (struct span){.volatile_kinds = volatile_kinds};
}

void span_child(struct span *out, const struct span *s, unsigned nibble)
{
	*out = *s;
	out->prefix.b[s->depth / 2] |= (uint8_t)(s->depth % 2 ? nibble : nibble << 4);
	out->depth++;
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

struct range_print span_print(const struct store *st, const struct span *s)
{
	struct key32 end;

	span_end(&end, s);
	return store_range(st, s->volatile_kinds, &s->prefix, &end);
}

bool key32_increment(struct key32 *k)
{
	for (size_t i = sizeof(k->b); i-- > 0;)
		if (++k->b[i])
			return true;
	memset(k->b, 0xff, sizeof(k->b));
	return false;
}

void sync_put_span(struct wr *w, enum sync_item_kind kind, const struct span *s)
{
	wr_u8(w, (uint8_t)kind);
	wr_u8(w, s->volatile_kinds);
	wr_u8(w, s->depth);
	wr_bytes(w, s->prefix.b, (s->depth + 1U) / 2);
}

void sync_put_prints(struct wr *w, const struct store *st, const struct span *s)
{
	sync_put_span(w, SYNC_PRINTS, s);
	for (unsigned i = 0; i < SYNC_FANOUT; i++) {
		struct range_print p;
		struct span child;

		span_child(&child, s, i);
		p = span_print(st, &child);
		wr_u32(w, p.count);
		wr_key32(w, &p.sum);
	}
}

void sync_put_list(struct wr *w, enum sync_item_kind kind, const struct span *s, const struct key32 *from)
{
	sync_put_span(w, kind, s);
	wr_key32(w, from);
}

void sync_put_ids(
        struct wr *w, const struct store *st, const struct span *s, const struct key32 *from, size_t page)
{
	struct key32 ids[SYNC_PAGE_MAX], end;
	size_t all;

	page = MIN(page, SYNC_PAGE_MAX);
	span_end(&end, s);
	all = store_range_ids(st, s->volatile_kinds, from, &end, ids, page);
	sync_put_span(w, SYNC_IDS, s);
	wr_key32(w, from);
	wr_u8(w, all > page);
	wr_u16(w, (uint16_t)MIN(all, page));
	wr_bytes(w, ids, MIN(all, page) * sizeof(ids[0]));
}

void sync_put_get(struct wr *w, const struct key32 *id, uint32_t offset)
{
	sync_put_id(w, SYNC_GET, id);
	wr_u32(w, offset);
}

uint32_t sync_put_record(struct wr *w, const struct stored *s, uint32_t offset, size_t limit)
{
	size_t room = w->len < limit ? limit - w->len : 0;
	size_t rest = s->len - offset, n;

	if (room < SYNC_RECORD_OVERHEAD + MIN(rest, CHUNK_BYTES_MIN))
		return offset;
	n = MIN(rest, room - SYNC_RECORD_OVERHEAD);
	sync_put_id(w, SYNC_RECORD, &s->rec.id);
	wr_u32(w, (uint32_t)s->len);
	wr_u32(w, offset);
	wr_u32(w, (uint32_t)n);
	wr_bytes(w, s->bytes + offset, n);
	return offset + (uint32_t)n;
}

void sync_put_id(struct wr *w, enum sync_item_kind kind, const struct key32 *id)
{
	wr_u8(w, (uint8_t)kind);
	wr_key32(w, id);
}

static void get_span(struct rd *r, struct span *s, unsigned depth_max)
{
	uint8_t set = rd_u8(r);

	*s = (struct span){.volatile_kinds = set == 1, .depth = rd_u8(r)};
	if (set > 1 || s->depth > depth_max) {
		rd_fail(r, "no such range");
		*s = (struct span){0};
		return;
	}
	rd_copy(r, s->prefix.b, (s->depth + 1U) / 2);
	if (s->depth % 2 && s->prefix.b[s->depth / 2] & 15)
		rd_fail(r, "a prefix has bits behind its end");
}

static void get_ids(struct rd *r, struct sync_item *out)
{
	const struct key32 *id;

	get_span(r, &out->span, SPAN_DEPTH_MAX);
	rd_key32(r, &out->id);
	out->more = rd_u8(r);
	out->n = rd_u16(r);
	if (out->n > SYNC_PAGE_MAX || (out->more && !out->n))
		rd_fail(r, "a page of impossible length");
	out->bytes = rd_bytes(r, (size_t)out->n * sizeof(*id));
	if (!rd_ok(r))
		return;
	if (!span_has(&out->span, &out->id))
		rd_fail(r, "a page begins outside its range");
	id = (const struct key32 *)out->bytes;
	for (uint32_t i = 0; i < out->n; i++)
		if (!span_has(&out->span, &id[i]) || key32_cmp(&id[i], i ? &id[i - 1] : &out->id) < !!i)
			rd_fail(r, "ids out of order or outside their range");
}

static void get_record(struct rd *r, struct sync_item *out)
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

void sync_get_item(struct rd *r, struct sync_item *out)
{
	*out = (struct sync_item){.kind = rd_u8(r)};
	switch (out->kind) {
	case SYNC_PRINTS:
		get_span(r, &out->span, SPAN_DEPTH_MAX - 1);
		for (unsigned i = 0; i < SYNC_FANOUT; i++) {
			out->prints[i].count = rd_u32(r);
			rd_key32(r, &out->prints[i].sum);
		}
		return;
	case SYNC_LIST:
	case SYNC_LIST_AGAIN:
		get_span(r, &out->span, SPAN_DEPTH_MAX);
		rd_key32(r, &out->id);
		if (!span_has(&out->span, &out->id))
			rd_fail(r, "a page begins outside its range");
		return;
	case SYNC_PRINTS_AGAIN:
		get_span(r, &out->span, SPAN_DEPTH_MAX - 1);
		return;
	case SYNC_IDS:
		get_ids(r, out);
		return;
	case SYNC_GET:
		rd_key32(r, &out->id);
		out->offset = rd_u32(r);
		return;
	case SYNC_RECORD:
		get_record(r, out);
		return;
	case SYNC_MISSING:
	case SYNC_WANT:
		rd_key32(r, &out->id);
		return;
	case SYNC_END:
		return;
	}
	rd_fail(r, "unknown item");
}
