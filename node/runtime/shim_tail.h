/* The end of what a command says, for messages. */
#ifndef NODE_RUNTIME_SHIM_TAIL_H
#define NODE_RUNTIME_SHIM_TAIL_H

#include "base/types.h"

/* Bytes that are kept. */
#define TAIL_BYTES 240

struct shim_tail {
	size_t len;
	char text[TAIL_BYTES + 1]; /* no NUL but the last byte's */
};

void tail_add(struct shim_tail *t, const char *bytes, size_t len);
/* Its last line that is not empty, without the newline; *len its bytes. */
const char *tail_line(const struct shim_tail *t, size_t *len);

#endif
