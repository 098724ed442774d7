/* Keys as people name them on the command line. */
#ifndef CLI_KEYS_H
#define CLI_KEYS_H

#include "cli/client.h"

/* A public key as 64 hex digits, or the file of a key that is at hand, sealed or not. kind: "operator" or "root", what a file
 * must hold; digits do not say. */
int read_key(struct key32 *out, const char *text, const char *kind, struct err *err);
/* Rows of `keys`, revoked ones too. NULL with err. */
json_t *key_rows(struct client *c, struct err *err);
/* An operator by name or by key; a name that two keys have is refused. revoked: one that was revoked will do. */
int key_find(struct client *c, const char *name, bool revoked, struct key32 *key, struct err *err);
/* What a key signed, newest first: rows of `signed`. NULL with err. */
json_t *key_signed(struct client *c, const struct key32 *key, struct err *err);

#endif
