/* Which user a container's process is, by the image's own /etc/passwd and /etc/group. */
#ifndef NODE_RUNTIME_OCI_USER_H
#define NODE_RUNTIME_OCI_USER_H

#include "base/arena.h"
#include "base/err.h"

/* Supplementary groups; more are left out, which only takes rights away. */
#define OCI_GROUPS_MAX 128

struct oci_user {
	uint32_t uid, gid;
	const char *home; /* "/" where passwd does not say */
	size_t n_groups;
	uint32_t groups[OCI_GROUPS_MAX];
};

/* text: NAME, UID, NAME:GROUP, UID:GID; NULL or empty: root. passwd, group: the files' text, or NULL. extra: group_add. A
 * number that passwd does not have is taken as it is, with group 0, as Docker does. */
int oci_user_find(struct oci_user *out, struct arena *arena, const char *text, const char *passwd,
        const char *group, const char *const *extra, size_t n_extra, struct err *err);

#endif
