/*
 * The config.json of a container (OCI runtime specification 1.0): what its image says, what its service says, and what
 * Docker gives to every container. Pure but for the devices of a privileged one.
 */
#ifndef NODE_RUNTIME_OCI_CONFIG_H
#define NODE_RUNTIME_OCI_CONFIG_H

#include "node/image/manifest.h"
#include "node/runtime/cgroup.h"
#include "node/runtime/oci_user.h"
#include "placement/spec/spec.h"

#include <jansson.h>

/* Something of the host at a place in the container. */
struct oci_bind {
	const char *source, *target;
	bool read_only;
	const char *propagation; /* NULL: rprivate */
};

struct oci_bundle {
	const struct service *service; /* templates replaced */
	const struct image_config *image;
	const struct oci_user *user;
	const char *rootfs;      /* absolute */
	const char *cgroup_path; /* "/starling/TASK" */
	const char *hostname;
	char **env;        /* ours and the service's, "KEY=VALUE", NULL-terminated; the image's come first */
	const char *netns; /* path of its network namespace; NULL: the host's */
	const char *init;  /* a small init of the host, to be its first process; NULL: none */
	size_t n_binds;
	struct oci_bind *binds; /* volumes, /etc/hosts and the like; in the order of their mounts */
};

/* What it runs: entrypoint and command, as Compose puts those of service and image together. NULL-terminated, in arena
 * memory; NULL: neither says anything. */
char **oci_argv(struct arena *arena, const struct service *s, const struct image_config *image);
/* "KEY=VALUE" texts of the container: the image's, PATH and HOME if it has none, then own, whose PATH, HOME, USER and LOGNAME
 * count only if the service set them. */
char **oci_env(struct arena *arena, const struct oci_bundle *b);
/* JSON text, to be freed. NULL with err. */
char *oci_config_make(struct arena *arena, const struct oci_bundle *b, struct err *err);

/* Capabilities by name, for cap_add, cap_drop and privileged; sorted as the kernel numbers them. */
size_t oci_caps(struct arena *arena, const struct service *s, const char ***out);
/* linux.seccomp of Docker-like strictness; caps, the container's capabilities, open calls. */
json_t *oci_seccomp(const char *const *caps, size_t n_caps);
/* Device nodes of the host below /dev, for a privileged container. */
#define OCI_DEVICES_MAX 512
struct oci_device {
	const char *path; /* in the container */
	char type;        /* 'c', 'b' */
	unsigned major, minor;
	unsigned mode, uid, gid;
	const char *access; /* "rwm" */
};
size_t oci_devices_all(struct arena *arena, struct oci_device *out);
/* One that a service names; -1 with err: there is none. */
int oci_device_find(struct arena *arena, const struct spec_device *want, struct oci_device *out, struct err *err);

#endif
