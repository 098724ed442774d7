/* Which user a task runs as. Reads passwd and group itself: a static binary has no name service switch. */
#ifndef NODE_RUNTIME_USER_H
#define NODE_RUNTIME_USER_H

#include "base/arena.h"
#include "base/err.h"
#include "node/runtime/launch.h"

struct user {
	const char *name; /* "nobody"; digits where passwd has no name */
	const char *home;
	uint32_t uid, gid;
	size_t n_groups;
	uint32_t groups[LAUNCH_GROUPS_MAX]; /* supplementary */
};

struct user_files {
	const char *passwd; /* "/etc/passwd" */
	const char *group;
};
extern const struct user_files user_files_system;

/* text is Compose's `user`: NAME, UID, NAME:GROUP, UID:GID; NULL: nobody for an agent that is root, else the agent's
 * own. me is the agent's effective uid; one that is not root can start tasks only as itself. A number that is not in
 * passwd is taken as it is, with group 65534. Memory belongs to arena. */
int user_find(struct user *out, struct arena *arena, const char *text, uint32_t me,
        const struct user_files *files, struct err *err);
/* Compose's `group_add`: names or numbers, beside the groups that the user has. An agent that is not root can give only
 * what it has itself. */
int user_add_groups(struct user *out, struct arena *arena, const char **names, size_t n, uint32_t me,
        const struct user_files *files, struct err *err);

#endif
