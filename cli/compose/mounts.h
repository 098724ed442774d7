/* Shared by the files that read mounts: take_volumes.c (names, sources), take_mount_long.c, take_mounts.c. */
#ifndef CLI_COMPOSE_MOUNTS_H
#define CLI_COMPOSE_MOUNTS_H

#include "cli/compose/build.h"

/* Permissions as chmod(1) takes them: 1777. */
bool mount_mode(const char *text, uint32_t *out);
/* "/data//x/" -> "/data/x"; what else is odd about it is the law's. */
const char *mount_path(struct build *b, const char *path);
/* The source of a bind: a path of the hosts, or one beside the Compose file that is shipped, if m is read-only. */
void mount_bind(struct build *b, const char *path, const struct node *n, struct service *s, struct spec_mount *m,
        const char *source);
/* m is of these files, which are put in order; s keeps them. */
void mount_files(struct build *b, struct service *s, struct spec_mount *m, struct spec_files *files);
/* One more mount of the service; NULL after an error: there are too many. */
struct spec_mount *mount_add(struct build *b, const char *path, const struct node *n, struct service *s);
/* Refuses the last mount's target if another has it. */
void mount_check_target(struct build *b, const char *path, const struct node *n, const struct service *s);
/* The source of a volume, which pins the service; NULL: a folder that ends with the task. */
void mount_volume(struct build *b, const char *path, const struct node *n, struct service *s,
        struct spec_mount *m, const char *name);
/* One of `volumes` in its long form. */
void take_long_mount(
        struct build *b, const char *path, const struct node *n, struct service *s, struct spec_mount *m);

#endif
