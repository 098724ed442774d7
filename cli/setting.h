/* Settings of the flock and its peers, which admins sign: what holds now, and the next one in its place. */
#ifndef CLI_SETTING_H
#define CLI_SETTING_H

#include "cli/client.h"
#include "placement/settings.h"

struct setting {
	char name[RECORD_NAME_MAX + 1];
	bool exists;
	char author_name[NAME_MAX_BYTES]; /* who signed the one that holds */
	size_t n_heads;
	struct key32 heads[RECORD_REFS_MAX];
	size_t body_len;
	uint8_t body[SETTING_BYTES_MAX];
};

/* Asks the agent what holds under that name; none is no error. */
int setting_get(struct client *c, const char *name, struct setting *out, struct err *err);
/* Signs a setting with that body after `now`, and hands it to the agent. */
int setting_submit(const struct cli *cli, struct client *c, const struct setting *now, const struct wr *body,
        struct err *err);

#endif
