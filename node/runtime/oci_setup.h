/*
 * Makes a container ready on a worker: its files, volumes, names, config.json and launch. DATA/images/run/TASK holds
 *
 *	image        digest of the image that its files lie upon: not collected while it is there
 *	root         its root: an overlay of upper upon the image's files; a copy of those where the kernel has no overlayfs
 *	upper work   what the container writes; fresh at each start
 *	volumes/N    volumes without a name, which end with the task
 *	bundle       config.json, and the files that stand at /etc/hosts, resolv.conf and hostname
 */
#ifndef NODE_RUNTIME_OCI_SETUP_H
#define NODE_RUNTIME_OCI_SETUP_H

#include "node/image/images.h"
#include "node/runtime/driver.h"
#include "node/runtime/oci_runtime.h"

/* All that the worker needs; it owns its memory, so the task may be gone meanwhile. */
struct oci_plan {
	struct arena arena;
	struct image_store *store;
	struct image_entry image;
	struct service *service; /* templates replaced */
	struct cgroups cgroups;
	const char *data_dir, *stack, *hostname, *peer_name;
	struct addr address, dns;
	char task[17];
	uint32_t run;
	int dir_fd; /* the task's folder; own */
	const char *dir;
	char **env;
};

/* A copy of what t says. NULL with err. */
struct oci_plan *oci_plan_new(const struct driver_task *t, struct image_store *store, struct err *err);
void oci_plan_free(struct oci_plan *p);
/* On a worker. */
enum driver_answer oci_setup(struct oci_plan *p, struct err *err);
/* Takes all of that away again, mounts first. On a worker; nothing there is no error. */
int oci_clean(struct image_store *store, const char *task, struct err *err);
/* What tasks that are gone have left. */
void oci_sweep(struct image_store *store, const char *data_dir);

#endif
