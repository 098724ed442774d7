/* Capabilities (capabilities(7)) by their Compose names, as bits of a mask. */
#ifndef NODE_RUNTIME_CAPS_H
#define NODE_RUNTIME_CAPS_H

#include "base/err.h"
#include "placement/spec/spec.h"

/* "NET_ADMIN", with or without CAP_: its number; -1 for none. */
int cap_number(const char *name);
/* What the calling process may hand on. */
uint64_t caps_mine(void);
/* What a task of this service may have: all of mine for root and none for another user, without cap_drop, with cap_add. What
 * is named wins over ALL, of either. -1: a name that is none, or one of cap_add that is not among mine. */
int caps_of(uint64_t *out, const struct service *s, bool as_root, uint64_t mine, struct err *err);

#endif
