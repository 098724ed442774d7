/*
 * Hash map from keys of a fixed length to pointers. Open addressing, SipHash with a secret key, so that hostile
 * keys cannot be chosen to collide. The map copies keys; values belong to the caller.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/types.h"

struct map {
	size_t key_len; /* bytes */
	size_t len;     /* entries */
	size_t cap;     /* slots, a power of two, or 0 */
	uint8_t *keys;
	void **values; /* NULL: free slot */
	uint8_t secret[16];
};

/* secret may be NULL where keys are hashes or come from trusted code. */
void map_init(struct map *m, size_t key_len, const uint8_t secret[16]);
/* Frees the map, not the values. */
void map_free(struct map *m);
void *map_get(const struct map *m, const void *key);
/* value must not be NULL. Returns the value replaced, or NULL. */
void *map_put(struct map *m, const void *key, void *value);
/* Returns the value removed, or NULL. */
void *map_del(struct map *m, const void *key);
/* Walks all entries in no particular order: start with *at = 0; NULL at the end. Nothing may be added or deleted
 * during a walk. Callers that need the same order everywhere sort what they gather. */
void *map_next(const struct map *m, size_t *at, const void **key);

#define map_each(m, value)                                                                                       \
	for (size_t value##_at = 0, value##_go = 1; value##_go; value##_go = 0)                                  \
		for (void *value; (value = map_next(m, &value##_at, NULL));)

#endif
