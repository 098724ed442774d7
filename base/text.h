/* Text: hex, base64url, UTF-8, names, durations and sizes as Compose writes them. Nothing here is locale-bound. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/err.h"
#include "base/types.h"

/* out gets 2 * len + 1 bytes. */
void hex_encode(char *out, const void *bytes, size_t len);
/* Exactly 2 * len hex digits; false otherwise. */
bool hex_decode(void *out, size_t len, const char *text);
/* A short id as 16 hex digits; out gets 17 bytes. */
void id64_text(char out[17], id64 id);
bool id64_parse(id64 *out, const char *text);

/* Valid UTF-8 (RFC 3629: no overlong form, no surrogate) with no NUL inside. */
bool text_is_utf8(const char *s, size_t len);
/* One DNS label: 1-63 of a-z, 0-9, '-', no '-' at either end (RFC 1123, lower case). With underscore: also '_'. */
bool text_is_label(const char *s, bool underscore);
/* True if s matches a glob of '*' and '?'. */
bool text_glob(const char *glob, const char *s);
/* Copies s, cut to fit cap bytes; always ends with NUL. */
void text_copy(char *out, size_t cap, const char *s);
/* "1h30m", "5s", "500ms", "100us" as the Compose Specification writes durations; to milliseconds. */
bool text_duration(const char *s, int64_t *ms);
/* "64m", "1gb", "512k", "100b", "100": bytes; k, m, g are powers of 1024 as in the Compose Specification. */
bool text_size(const char *s, uint64_t *bytes);
/* "0.5" cpus -> 500 thousandths, exact decimal, at most three places. */
bool text_milli(const char *s, uint64_t *milli);
/* Whole decimal number within [min, max], no sign, no blanks. */
bool text_u64(const char *s, uint64_t min, uint64_t max, uint64_t *out);
/* RFC 3339 in UTC with milliseconds: "2026-11-22T16:50:31.042Z"; out gets 25 bytes. */
void text_time(char out[25], wall_ms t);
/* Reads exactly what text_time() writes. */
bool text_time_parse(const char *s, wall_ms *out);

#endif
