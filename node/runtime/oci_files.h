/* What a container sees beside its image: files that name hosts, and mounts of the host's folders. On a worker. */
#ifndef NODE_RUNTIME_OCI_FILES_H
#define NODE_RUNTIME_OCI_FILES_H

#include "node/runtime/oci_config.h"
#include "node/runtime/oci_setup.h"

/* Writes a file of dir_fd whole, 0644. */
int oci_write(int dir_fd, const char *path, const char *text, struct err *err);
/* /etc/hosts, /etc/resolv.conf and /etc/hostname, below the folder, and their binds. */
int oci_names_make(struct oci_plan *p, struct oci_bundle *b, const char *folder, struct err *err);
/* Binds of paths and volumes; what is missing is made, a fresh volume filled with what the image has there. */
int oci_binds_make(struct oci_plan *p, struct oci_bundle *b, const struct oci_user *user, struct err *err);
/* A small init that this host has, as one file without libraries; NULL: none. */
const char *oci_init_find(void);

#endif
