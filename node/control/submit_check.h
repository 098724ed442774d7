/* What submit asks of a record before gossip does. */
#ifndef NODE_CONTROL_SUBMIT_CHECK_H
#define NODE_CONTROL_SUBMIT_CHECK_H

#include "gossip/gossip.h"

/* A revision's spec can be read, is of that stack, and needs no power that its author lacks. Any other record passes:
 * gossip judges it. ERR_USAGE or ERR_UNAUTHORISED. */
int submit_check(const struct trust *t, const struct record *rec, struct err *err);

/* May records be stamped and taken here: is this peer's wall clock near those of its peers, or the operator said
 * --force-clock? */
int clock_check(const struct gossip_clock *clock, const char *peer_name, bool force, struct err *err);

#endif
