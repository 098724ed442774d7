/* Keys as people name them on the command line. */
#ifndef CLI_KEYS_H
#define CLI_KEYS_H

#include "base/err.h"
#include "base/types.h"

/* A public key as 64 hex digits, or the file of a key that is at hand, sealed or not. */
int read_key(struct key32 *out, const char *text, struct err *err);

#endif
