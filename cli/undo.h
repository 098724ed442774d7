/* What evicting and revoking have in common: whom it is about, what stays, asking first, and the signed record. */
#ifndef CLI_UNDO_H
#define CLI_UNDO_H

#include "cli/client.h"

struct key_array {
	struct key32 *key; /* free() it */
	size_t n;
};

/* Digits of an id that stand for it, at least: fewer are too easily somebody else's tomorrow. */
#define ID_PREFIX_MIN 4
/* Does the id begin with these digits, and are they enough? */
bool id_begins(const char *id, const char *text);

/* A row of `members` by name, NAME~ID, id or its beginning; a name that two peers have is refused. NULL with err. */
json_t *node_find(struct client *c, const char *name, struct err *err);

/* Is there --yes, or a person who can be asked? */
bool undo_may_ask(const struct cli *cli);
/* --yes, or the person says y to "WHAT? [y/N]". */
bool undo_agreed(struct cli *cli, const char *what);

/* Asks verb; takes the lists of keys so called from its end, and `key` where key is not NULL. */
int undo_lists(struct client *c, const char *verb, const struct wr *args, struct key32 *key,
        struct key_array *first, const char *first_name, struct key_array *second, const char *second_name,
        struct err *err);
/* What of an operator's key or an invite's the agent counts as valid now. */
int undo_revocable(struct client *c, const struct key32 *key, struct key_array *heads,
        struct key_array *admissions, struct err *err);

/* trust_make_revocation or trust_make_eviction. */
typedef void undo_make(struct wr *w, const struct key32 *flock, const struct key32 *key, const struct key32 *list,
        size_t n, uint64_t stamp, const struct key32 *prev, size_t n_prev, const uint8_t secret[64]);
/* Signs such a record with the operator's key and hands it to the agent. */
int undo_submit(struct cli *cli, struct client *c, undo_make *make, const struct key32 *key,
        const struct key_array *list, struct err *err);

#endif
