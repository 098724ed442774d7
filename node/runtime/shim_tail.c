#include "node/runtime/shim_tail.h"

#include <string.h>

void tail_add(struct shim_tail *t, const char *bytes, size_t len)
{
	size_t take = MIN(len, (size_t)TAIL_BYTES);
	size_t keep = MIN(t->len, TAIL_BYTES - take);

	memmove(t->text, t->text + t->len - keep, keep);
	memcpy(t->text + keep, bytes + len - take, take);
	t->len = keep + take;
}

const char *tail_line(const struct shim_tail *t, size_t *len)
{
	const char *line = t->text;
	size_t n = t->len;

	while (n && (line[n - 1] == '\n' || line[n - 1] == '\r' || line[n - 1] == ' '))
		n--;
	for (size_t i = n; i-- > 0;)
		if (line[i] == '\n') {
			line += i + 1;
			n -= i + 1;
			break;
		}
	*len = n;
	return line;
}
