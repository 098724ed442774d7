#include "base/map.h"

#include "base/hash.h"

void map_init(struct map *m, size_t key_len, const uint8_t secret[16])
{
	*m = (struct map){.key_len = key_len};
	if (secret)
		memcpy(m->secret, secret, sizeof(m->secret));
}

void map_free(struct map *m)
{
	free(m->keys);
	free(m->values);
	m->keys = NULL;
	m->values = NULL;
	m->len = m->cap = 0;
}

static uint8_t *key_at(const struct map *m, size_t i)
{
	return m->keys + i * m->key_len;
}

static size_t home(const struct map *m, const void *key)
{
	return (size_t)siphash(m->secret, key, m->key_len) & (m->cap - 1);
}

/* The slot that holds key, or the free slot where it would go. */
static size_t probe(const struct map *m, const void *key)
{
	size_t i = home(m, key);

	while (m->values[i] && memcmp(key_at(m, i), key, m->key_len) != 0)
		i = (i + 1) & (m->cap - 1);
	return i;
}

void *map_get(const struct map *m, const void *key)
{
	return m->len ? m->values[probe(m, key)] : NULL;
}

static void grow(struct map *m)
{
	struct map old = *m;

	m->cap = old.cap ? old.cap * 2 : 16;
	m->keys = xmalloc(m->cap * m->key_len);
	m->values = xcalloc(m->cap, sizeof(void *));
	for (size_t i = 0; i < old.cap; i++) {
		size_t to;

		if (!old.values[i])
			continue;
		to = probe(m, key_at(&old, i));
		memcpy(key_at(m, to), key_at(&old, i), m->key_len);
		m->values[to] = old.values[i];
	}
	free(old.keys);
	free(old.values);
}

void *map_put(struct map *m, const void *key, void *value)
{
	size_t i;
	void *old;

	if ((m->len + 1) * 4 > m->cap * 3)
		grow(m);
	i = probe(m, key);
	old = m->values[i];
	if (!old) {
		memcpy(key_at(m, i), key, m->key_len);
		m->len++;
	}
	m->values[i] = value;
	return old;
}

void *map_del(struct map *m, const void *key)
{
	size_t hole;
	void *old;

	if (!m->len)
		return NULL;
	hole = probe(m, key);
	old = m->values[hole];
	if (!old)
		return NULL;
	m->values[hole] = NULL;
	m->len--;
	/* Close the gap (Knuth 6.4, algorithm R): move back what the hole would hide. */
	for (size_t i = (hole + 1) & (m->cap - 1); m->values[i]; i = (i + 1) & (m->cap - 1)) {
		size_t h = home(m, key_at(m, i));

		if (((i - h) & (m->cap - 1)) < ((i - hole) & (m->cap - 1)))
			continue;
		memcpy(key_at(m, hole), key_at(m, i), m->key_len);
		m->values[hole] = m->values[i];
		m->values[i] = NULL;
		hole = i;
	}
	return old;
}

void *map_next(const struct map *m, size_t *at, const void **key)
{
	while (*at < m->cap) {
		size_t i = (*at)++;

		if (!m->values[i])
			continue;
		if (key)
			*key = key_at(m, i);
		return m->values[i];
	}
	return NULL;
}
