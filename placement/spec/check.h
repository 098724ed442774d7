/* Laws that are kept in files of their own; spec_check() asks them all. Messages start with the key's Compose path. */
#ifndef PLACEMENT_SPEC_CHECK_H
#define PLACEMENT_SPEC_CHECK_H

#include "placement/spec/spec.h"

/* Every fault is a usage error whose text starts with the path of what is wrong. */
#define fault(err, ...) err_set(err, ERR_USAGE, __VA_ARGS__)

/* What a container gets: image, rights, network, names. */
int check_container(const struct service *s, struct err *err);
/* volumes, tmpfs, devices, and that named ones are pinned. */
int check_mounts(const struct service *s, struct err *err);

/* What travels with the service, and the mounts that name it. */
int check_files(const struct service *s, struct err *err);
/* x-starling.process. */
int check_process(const struct service *s, struct err *err);
/* Of all services together: depends_on names others of the stack, in no circle. */
int check_depends(const struct spec *spec, struct err *err);

/* "stands twice", or that the list is not in order; texts are sorted in the canonical form. */
int check_sorted(const char *const *texts, size_t n, const char *key, struct err *err);
/* Starts with /, has no empty part, no . and no .. */
bool path_is_clean(const char *path);

#endif
