/* A command written as one string, split into words as a POSIX shell would, without running one. */
#ifndef CLI_COMPOSE_WORDS_H
#define CLI_COMPOSE_WORDS_H

#include "base/arena.h"
#include "base/err.h"

/* 'single' quotes keep everything; "double" ones keep all but \" \\ \$ \` and \newline; \x is x. No variables, no
 * globs, no operators: Compose does not run a shell. At most max words. Returns how many, or -1. */
int words_split(struct arena *arena, const char *text, const char **out, size_t max, struct err *err);

#endif
