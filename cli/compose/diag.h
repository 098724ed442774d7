/* What is wrong with a Compose file: gathered while reading it, shown all at once, each with its line. */
#ifndef CLI_COMPOSE_DIAG_H
#define CLI_COMPOSE_DIAG_H

#include "base/arena.h"

#include <stdio.h>

/* A file as it was read; positions point into it. */
struct source {
	const char *name; /* as the user gave it */
	const char *text;
	size_t len;
};

/* Where something stands: line and column count from 1, columns in characters. line 0: the file as a whole. */
struct mark {
	const struct source *source;
	uint32_t line;
	uint32_t column;
};

enum severity { DIAG_ERROR, DIAG_WARNING };

struct diag {
	enum severity severity;
	struct mark mark;
	const char *path; /* "services.web.ports[1]", or NULL */
	const char *text;
};

/* More are counted, not kept: nobody reads the 101st. */
#define DIAGS_MAX 100

struct diags {
	struct arena *arena;
	size_t n;
	struct diag list[DIAGS_MAX];
	size_t errors; /* all, kept or not */
	size_t warnings;
};

void diags_init(struct diags *d, struct arena *arena);
void diag_error(struct diags *d, struct mark at, const char *path, const char *fmt, ...) PRINTF_LIKE(4, 5);
void diag_warn(struct diags *d, struct mark at, const char *path, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Where text of len bytes begins on the line of at, from there on; at itself when it is not there as it stands. */
struct mark mark_find(struct mark at, const char *text, size_t len);
/* In file order: "FILE:LINE:COLUMN: PATH: TEXT", then the line and a caret under the place. */
void diags_print(FILE *out, struct diags *d);

#endif
