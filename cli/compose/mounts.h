/* Shared by the files that read mounts: take_volumes.c (names, sources), take_mount_long.c, take_mounts.c. */
#ifndef CLI_COMPOSE_MOUNTS_H
#define CLI_COMPOSE_MOUNTS_H

#include "cli/compose/build.h"

/* Permissions as chmod(1) takes them: 1777. */
bool mount_mode(const char *text, uint32_t *out);
/* "/data//x/" -> "/data/x"; what else is odd about it is the law's. */
const char *mount_path(struct build *b, const char *path);
/* The source of a bind: a path of the hosts. */
void mount_bind(
        struct build *b, const char *path, const struct node *n, struct spec_mount *m, const char *source);
/* The source of a volume, which pins the service; NULL: a folder that ends with the task. */
void mount_volume(struct build *b, const char *path, const struct node *n, struct service *s,
        struct spec_mount *m, const char *name);
/* One of `volumes` in its long form. */
void take_long_mount(
        struct build *b, const char *path, const struct node *n, struct service *s, struct spec_mount *m);

#endif
