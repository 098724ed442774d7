/*
 * msgpack, written through msgpack-c and read by a bounded reader of our own: msgpack-c's unpacker allocates
 * what a five-byte header announces, so hostile bytes never reach it.
 *
 * Writing appends to a struct wr. Reading walks a struct rd in place; a string or blob is a pointer into the
 * input and is not NUL-terminated. A container that announces more elements than bytes are left is refused.
 */
#ifndef BASE_PACK_H
#define BASE_PACK_H

#include "base/buf.h"

void pk_nil(struct wr *w);
void pk_bool(struct wr *w, bool v);
void pk_u64(struct wr *w, uint64_t v);
void pk_i64(struct wr *w, int64_t v);
/* Only for what is shown to people; nothing that is hashed or compared may hold floating point. */
void pk_double(struct wr *w, double v);
void pk_str(struct wr *w, const char *s);
void pk_strn(struct wr *w, const char *s, size_t len);
void pk_bin(struct wr *w, const void *p, size_t len);
void pk_array(struct wr *w, uint32_t n);
void pk_map(struct wr *w, uint32_t n);
/* Key and value of a map entry in one call. */
void pk_kv_str(struct wr *w, const char *key, const char *value);
void pk_kv_u64(struct wr *w, const char *key, uint64_t value);
void pk_kv_i64(struct wr *w, const char *key, int64_t value);
void pk_kv_bool(struct wr *w, const char *key, bool value);
void pk_kv_bin(struct wr *w, const char *key, const void *p, size_t len);
void pk_kv_nil(struct wr *w, const char *key);

enum up_type { UP_NIL, UP_BOOL, UP_INT, UP_DOUBLE, UP_STR, UP_BIN, UP_ARRAY, UP_MAP, UP_BAD };

/* Type of the next value, without reading it. */
enum up_type up_peek(const struct rd *r);
void up_nil(struct rd *r);
bool up_bool(struct rd *r);
uint64_t up_u64(struct rd *r);
int64_t up_i64(struct rd *r);
double up_double(struct rd *r);
/* Text or blob in place; *len in bytes. NULL on failure. A text must be UTF-8 without NUL. */
const char *up_str(struct rd *r, size_t *len);
const uint8_t *up_bin(struct rd *r, size_t *len);
/* Copies a text of fewer than cap bytes and ends it with NUL; longer is a failure. */
void up_str_copy(struct rd *r, char *out, size_t cap);
/* Copies a blob of exactly len bytes. */
void up_bin_copy(struct rd *r, void *out, size_t len);
uint32_t up_array(struct rd *r);
/* Number of pairs. */
uint32_t up_map(struct rd *r);
/* Reads a text and says whether it is key. */
bool up_is(const char *s, size_t len, const char *key);
/* Steps over one value of any kind, at most UP_DEPTH_MAX containers deep. */
void up_skip(struct rd *r);

/* Deepest nesting read: canonical specs use 7, RPC answers 6. */
#define UP_DEPTH_MAX 16

#endif
