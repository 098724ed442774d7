/* Images from elsewhere into the store: an OCI layout folder, an oci-archive or docker-archive, a registry. On a worker. */
#ifndef NODE_IMAGE_LOAD_H
#define NODE_IMAGE_LOAD_H

#include "node/image/store.h"

#include <sys/types.h>

/* How one goes on, seen from both threads. */
struct image_work {
	atomic_bool cancelled;
	atomic_int child; /* skopeo's pid; 0 none */
	/* Called on the worker with half a sentence for people. */
	void (*say)(void *ctx, const char *text);
	void *ctx;
};

/* From a tar archive, compressed or not, of either kind. name: what to call it, or NULL: as the archive says. Loads all
 * images in it that have a name and suit this host; loaded is called for each. */
int image_load(struct image_store *s, int fd, const char *name, wall_ms now, struct image_work *work,
        void (*loaded)(void *ctx, const struct image_entry *e), void *ctx, struct err *err);
/* From an unpacked archive, or a layout folder. */
int image_load_folder(struct image_store *s, int folder, const char *name, wall_ms now, struct image_work *work,
        void (*loaded)(void *ctx, const struct image_entry *e), void *ctx, struct err *err);
/* From its registry, by skopeo. */
int image_pull(struct image_store *s, const struct image_ref *ref, bool by_hand, wall_ms now,
        struct image_work *work, struct image_entry *out, struct err *err);

#endif
