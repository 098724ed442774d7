#include "base/types.h"

#include <stdio.h>

static void out_of_memory(size_t size)
{
	fprintf(stderr,
	        "starling: out of memory: could not allocate %zu bytes; free memory on this host or raise "
	        "the limit of the service\n",
	        size);
	abort();
}

void *xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);

	if (!p)
		out_of_memory(size);
	return p;
}

void *xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p)
		out_of_memory(n * size);
	return p;
}

void *xrealloc(void *old, size_t size)
{
	void *p = realloc(old, size ? size : 1);

	if (!p)
		out_of_memory(size);
	return p;
}

char *xstrdup(const char *s)
{
	return xmemdup(s, strlen(s) + 1);
}

void *xmemdup(const void *src, size_t size)
{
	void *p = xmalloc(size);

	if (size)
		memcpy(p, src, size);
	return p;
}
