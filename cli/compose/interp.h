/* Variables in values, by the Compose Specification's rules (a part of the shell's parameter expansion). */
#ifndef CLI_COMPOSE_INTERP_H
#define CLI_COMPOSE_INTERP_H

#include "base/arena.h"
#include "base/err.h"

struct vars {
	/* The value, or NULL when unset. */
	const char *(*get)(void *ctx, const char *name);
	/* Said for each unset variable that became empty text; may be NULL. */
	void (*unset)(void *ctx, const char *name);
	void *ctx;
};

/* Bytes of one value after interpolation. */
#define INTERP_BYTES_MAX 65536
/* ${A:-${B:-...}} */
#define INTERP_DEPTH_MAX 16

/*
 *	$NAME ${NAME}       the value; empty text when unset
 *	${NAME:-word}       word when unset or empty        ${NAME-word}  when unset
 *	${NAME:?word}       an error saying word            ${NAME?word}
 *	${NAME:+word}       word when set and not empty     ${NAME+word}  when set
 *	$$                  a dollar
 *
 * word may hold variables itself. NULL with err otherwise.
 */
const char *interpolate(struct arena *arena, const char *text, const struct vars *vars, struct err *err);

#endif
