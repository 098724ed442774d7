#include "base/buf.h"

void rd_init(struct rd *r, const void *bytes, size_t len)
{
	r->p = bytes;
	r->end = r->p ? r->p + len : r->p;
	r->fail = NULL;
}

void rd_fail(struct rd *r, const char *why)
{
	if (!r->fail)
		r->fail = why;
	r->p = r->end;
}

size_t rd_left(const struct rd *r)
{
	return (size_t)(r->end - r->p);
}

const uint8_t *rd_bytes(struct rd *r, size_t len)
{
	const uint8_t *at = r->p;

	if (r->fail || len > rd_left(r)) {
		rd_fail(r, "truncated");
		return NULL;
	}
	if (len)
		r->p += len;
	return at;
}

static uint64_t rd_uint(struct rd *r, size_t len)
{
	const uint8_t *at = rd_bytes(r, len);
	uint64_t v = 0;

	if (!at)
		return 0;
	for (size_t i = 0; i < len; i++)
		v = v << 8 | at[i];
	return v;
}

uint8_t rd_u8(struct rd *r)
{
	return (uint8_t)rd_uint(r, 1);
}

uint16_t rd_u16(struct rd *r)
{
	return (uint16_t)rd_uint(r, 2);
}

uint32_t rd_u32(struct rd *r)
{
	return (uint32_t)rd_uint(r, 4);
}

uint64_t rd_u64(struct rd *r)
{
	return rd_uint(r, 8);
}

void rd_copy(struct rd *r, void *out, size_t len)
{
	const uint8_t *at = rd_bytes(r, len);

	if (at && len)
		memcpy(out, at, len);
	else if (len)
		memset(out, 0, len);
}

void rd_key32(struct rd *r, struct key32 *out)
{
	rd_copy(r, out->b, sizeof(out->b));
}

int rd_end(struct rd *r, struct err *err)
{
	if (r->fail)
		return err_set(err, ERR_USAGE, "malformed: %s", r->fail);
	if (rd_left(r))
		return err_set(err, ERR_USAGE, "malformed: %zu trailing bytes", rd_left(r));
	return 0;
}

void wr_init(struct wr *w, size_t max)
{
	*w = (struct wr){.max = max};
}

void wr_fixed(struct wr *w, void *buf, size_t cap)
{
	*w = (struct wr){.p = buf, .cap = cap, .max = cap, .fixed = true};
}

void wr_free(struct wr *w)
{
	if (!w->fixed)
		free(w->p);
	*w = (struct wr){0};
}

void wr_reset(struct wr *w)
{
	w->len = 0;
	w->fail = false;
}

uint8_t *wr_reserve(struct wr *w, size_t len)
{
	uint8_t *at;

	if (w->fail || len > w->max - w->len) {
		w->fail = true;
		return NULL;
	}
	if (w->len + len > w->cap) {
		size_t cap = w->cap ? w->cap : 64;

		while (cap < w->len + len)
			cap *= 2;
		w->cap = MIN(cap, w->max);
		w->p = xrealloc(w->p, w->cap);
	}
	at = w->p + w->len;
	w->len += len;
	return at;
}

void wr_bytes(struct wr *w, const void *p, size_t len)
{
	uint8_t *at;

	if (!len)
		return;
	at = wr_reserve(w, len);
	if (at)
		memcpy(at, p, len);
}

static void wr_uint(struct wr *w, uint64_t v, size_t len)
{
	uint8_t *at = wr_reserve(w, len);

	if (!at)
		return;
	for (size_t i = len; i-- > 0; v >>= 8)
		at[i] = (uint8_t)v;
}

void wr_u8(struct wr *w, uint8_t v)
{
	wr_uint(w, v, 1);
}

void wr_u16(struct wr *w, uint16_t v)
{
	wr_uint(w, v, 2);
}

void wr_u32(struct wr *w, uint32_t v)
{
	wr_uint(w, v, 4);
}

void wr_u64(struct wr *w, uint64_t v)
{
	wr_uint(w, v, 8);
}

void wr_key32(struct wr *w, const struct key32 *k)
{
	wr_bytes(w, k->b, sizeof(k->b));
}

void wr_patch_u32(struct wr *w, size_t at, uint32_t v)
{
	if (w->fail || at + 4 > w->len)
		return;
	for (size_t i = 4; i-- > 0; v >>= 8)
		w->p[at + i] = (uint8_t)v;
}
