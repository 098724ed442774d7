/* Revisions as people see them: which runs, which is kept as a conflict, which does not count and why. */
#ifndef NODE_CONTROL_HISTORY_H
#define NODE_CONTROL_HISTORY_H

#include "node/control/call.h"

/* The heads of a stack that count. */
void history_heads(struct agent *a, const char *stack, struct stack_heads *heads);
/* Appends one revision as `starling history -o json` shows it. */
void history_pack(struct agent *a, const struct stack_heads *heads, const struct stored *s, struct wr *w);
/* The revision of a stack whose id begins with these hex digits; none, or more than one, is an error. */
int history_find(
        struct agent *a, const char *stack, const char *prefix, const struct stored **out, struct err *err);
/* Revisions of a stack that wait for somebody to sign them again: they do not count, are of keys that the flock knows or
 * knew, newer than what runs, and no revision that counts names them. */
size_t history_quarantined(struct agent *a, const char *stack);

#endif
