#include "base/arena.h"

#include <stdarg.h>
#include <stdalign.h>
#include <stdio.h>

/* Small enough that an idle agent's few arenas stay cheap, large enough that a spec takes a handful. */
#define ARENA_BLOCK_BYTES 4096

struct arena_block {
	struct arena_block *next;
	size_t len;
	size_t cap;
	alignas(max_align_t) uint8_t bytes[];
};

void arena_init(struct arena *a)
{
	*a = (struct arena){0};
}

void arena_free(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *next = a->blocks->next;

		free(a->blocks);
		a->blocks = next;
	}
	a->used = 0;
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_block *b = a->blocks;
	void *p;

	size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (!b || b->cap - b->len < size) {
		size_t cap = MAX(size, (size_t)ARENA_BLOCK_BYTES - sizeof(*b));

		b = xcalloc(1, sizeof(*b) + cap);
		b->cap = cap;
		b->next = a->blocks;
		a->blocks = b;
	}
	p = b->bytes + b->len;
	b->len += size;
	a->used += size;
	return p;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	if (size && n > SIZE_MAX / 2 / size)
		abort();
	return arena_alloc(a, n * size);
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *p = arena_alloc(a, len + 1);

	memcpy(p, s, len);
	return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_strndup(a, s, strlen(s));
}

void *arena_memdup(struct arena *a, const void *src, size_t size)
{
	void *p = arena_alloc(a, size);

	if (size)
		memcpy(p, src, size);
	return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	int len;
	char *p;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	p = arena_alloc(a, (size_t)len + 1);
	va_start(ap, fmt);
	vsnprintf(p, (size_t)len + 1, fmt, ap);
	va_end(ap);
	return p;
}
