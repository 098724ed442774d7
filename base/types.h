/* Small types that every layer shares: times, 32-byte keys, cleanup helpers. */
#ifndef BASE_TYPES_H
#define BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Milliseconds of a monotonic clock (never steps; origin is arbitrary) and of the wall clock (Unix epoch). */
typedef int64_t mono_ms;
typedef int64_t wall_ms;

#define SECONDS(n) ((int64_t)(n)*1000)
#define MINUTES(n) (SECONDS(n) * 60)
#define MONO_NEVER INT64_MAX

/* What time it is, as told to a pure core by its edge or by the simulator. */
struct now {
	mono_ms mono;
	wall_ms wall;
};

/* A 32-byte public key or hash. Compared bytewise. */
struct key32 {
	uint8_t b[32];
};

/* A short id: the first 8 bytes of a 32-byte hash, read big-endian, so that sorting numbers sorts bytes. */
typedef uint64_t id64;

static inline bool key32_eq(const struct key32 *a, const struct key32 *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

static inline int key32_cmp(const struct key32 *a, const struct key32 *b)
{
	return memcmp(a->b, b->b, sizeof(a->b));
}

static inline bool key32_is_zero(const struct key32 *k)
{
	static const struct key32 zero;

	return key32_eq(k, &zero);
}

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)    ((a) < (b) ? (a) : (b))
#define MAX(a, b)    ((a) > (b) ? (a) : (b))

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED                 __attribute__((unused))

/* A pointer declared with cleanup_free is freed when its scope ends, whichever way it ends. */
static inline void cleanup_free_fn(void *p)
{
	free(*(void **)p);
}
#define cleanup_free __attribute__((cleanup(cleanup_free_fn)))

/* Allocation that cannot fail: a peer without memory for its own small state stops with a clear message
 * rather than continue with half of it. Sizes that hostile input chooses are bounded before they get here. */
void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
void *xmemdup(const void *p, size_t size);

#endif
