/*
 * Bounded reader and growable writer for bytes. Both have a sticky error: a decoder reads like the format it
 * decodes and checks once, at the end. Integers are big-endian.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/err.h"
#include "base/types.h"

/* Reads from bytes that somebody else owns; nothing is copied or allocated. After a failure every read gives
 * zero or NULL and rd_end() fails. */
struct rd {
	const uint8_t *p;
	const uint8_t *end;
	const char *fail; /* first failure, NULL while all is well */
};

void rd_init(struct rd *r, const void *bytes, size_t len);
uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r);
uint32_t rd_u32(struct rd *r);
uint64_t rd_u64(struct rd *r);
/* The next len bytes, or NULL. */
const uint8_t *rd_bytes(struct rd *r, size_t len);
void rd_copy(struct rd *r, void *out, size_t len);
void rd_key32(struct rd *r, struct key32 *out);
size_t rd_left(const struct rd *r);
/* Marks the reader as failed for a reason of the caller's (a static string); the first reason stays. */
void rd_fail(struct rd *r, const char *why);
static inline bool rd_ok(const struct rd *r)
{
	return !r->fail;
}
/* 0 when everything was read and nothing is left; trailing bytes are an error. */
int rd_end(struct rd *r, struct err *err);

/* Appends to a buffer that it owns and grows, up to max bytes; past that it fails and stays failed. */
struct wr {
	uint8_t *p;
	size_t len;
	size_t cap;
	size_t max;
	bool fixed; /* p is the caller's and does not grow */
	bool fail;
};

/* max in bytes bounds growth. Free with wr_free(). */
void wr_init(struct wr *w, size_t max);
/* Writes into the caller's array. */
void wr_fixed(struct wr *w, void *buf, size_t cap);
void wr_free(struct wr *w);
void wr_reset(struct wr *w);
void wr_u8(struct wr *w, uint8_t v);
void wr_u16(struct wr *w, uint16_t v);
void wr_u32(struct wr *w, uint32_t v);
void wr_u64(struct wr *w, uint64_t v);
void wr_bytes(struct wr *w, const void *p, size_t len);
void wr_key32(struct wr *w, const struct key32 *k);
/* Room for len bytes that the caller fills in, or NULL. */
uint8_t *wr_reserve(struct wr *w, size_t len);
/* Overwrites four bytes written earlier, for lengths known only later. */
void wr_patch_u32(struct wr *w, size_t at, uint32_t v);
static inline bool wr_ok(const struct wr *w)
{
	return !w->fail;
}

#endif
