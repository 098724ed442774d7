/* What submit asks of a record before gossip does. */
#ifndef NODE_CONTROL_SUBMIT_CHECK_H
#define NODE_CONTROL_SUBMIT_CHECK_H

#include "gossip/trust/trust.h"

/* A revision's spec can be read, is of that stack, and needs no power that its author lacks. Any other record passes:
 * gossip judges it. ERR_USAGE or ERR_UNAUTHORISED. */
int submit_check(const struct trust *t, const struct record *rec, struct err *err);

#endif
