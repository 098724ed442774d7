/* Inside node/image: the store's parts. */
#ifndef NODE_IMAGE_STORE_PARTS_H
#define NODE_IMAGE_STORE_PARTS_H

#include "node/image/store.h"

#include <pthread.h>

struct image_store {
	atomic_int holds;
	char *dir; /* DATA/images */
	int fd, blobs_fd, rootfs_fd, tmp_fd;
	pthread_mutex_t lock;      /* of the table */
	pthread_mutex_t unpacking; /* one image at a time: who waits finds the same one done */
	size_t n;
	struct image_entry *entries; /* sorted by reference */
};

/* From DATA/images/table; none is an empty one. A damaged one is an error: what is here must not be taken for unneeded. */
int table_load(struct image_store *s, struct err *err);
/* Under the lock. */
int table_save(struct image_store *s, struct err *err);

#endif
