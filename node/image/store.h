/*
 * Images of this host, by content.
 *
 *	DATA/images/blobs/sha256/HEX   indexes, manifests, configs, layers as they came; checked when they come
 *	DATA/images/rootfs/HEX         an image's files, its layers put upon each other, by its manifest's digest
 *	DATA/images/table              which reference means which manifest: JSON, replaced whole
 *	DATA/images/tmp                work under way; emptied when the agent starts
 *	DATA/images/run/TASK           what a container has of its own; node/runtime/oci_root.h
 *
 * Each thing appears by rename, once it is whole, checked and on the disk: one that is there can be used. Functions may be
 * called from any thread; those that say so take long, and belong on a worker.
 */
#ifndef NODE_IMAGE_STORE_H
#define NODE_IMAGE_STORE_H

#include "base/arena.h"
#include "node/image/manifest.h"

#include <stdatomic.h>

/* References in the table: beyond it a pull is refused until images are removed. */
#define IMAGE_TABLE_MAX 1024
/* Bytes of the table as JSON. */
#define IMAGE_TABLE_BYTES_MAX (2 * 1024 * 1024)
/* An image that nobody needs is kept for so long after it was used last: a service that comes back starts at once. */
#define IMAGE_KEEP_MS (24 * 60 * MINUTES(1))

struct image_entry {
	char ref[IMAGE_REF_BYTES]; /* normal form */
	char manifest[DIGEST_BYTES];
	char config[DIGEST_BYTES]; /* what Docker calls the image's id */
	uint64_t bytes;            /* of its blobs */
	wall_ms added, used;
	bool by_hand; /* an operator fetched or loaded it: only an operator removes it */
};

struct image_store;

/* Makes the folders below DATA; what an earlier agent left half-done goes. */
struct image_store *image_store_open(const char *data_dir, struct err *err);
/* Ends one hold on it; the first is image_store_open()'s. With the last it goes. */
void image_store_close(struct image_store *s);
/* For work on another thread that may outlast the agent's own hold. Returns s. */
struct image_store *image_store_hold(struct image_store *s);
const char *image_store_dir(const struct image_store *s);
int image_store_fd(const struct image_store *s);

/* ---- the table ---- */

/* What a reference means here. One with a digest is found by it, whatever the tag: digest of the reference it was pulled by,
 * of its manifest, or of its config. Notes that it was used now. */
bool image_find(struct image_store *s, const struct image_ref *ref, wall_ms now, struct image_entry *out);
/* All of it, sorted by reference; memory is arena's. */
size_t image_list(struct image_store *s, struct arena *arena, struct image_entry **out);
int image_put(struct image_store *s, const struct image_entry *e, struct err *err);
/* Takes references away: the one named, or all of a digest or the beginning (7 digits or more) of one. needed says
 * whether one may not go; why is told. Returns how many went, or -1; the files go with the next image_collect(). */
int image_remove(struct image_store *s, const char *text, bool (*needed)(void *ctx, const struct image_entry *e),
        void *ctx, struct err *err);

/* ---- content ---- */

/* A JSON document of at most IMAGE_JSON_MAX bytes from fd, which is closed; what names it in messages. NULL with err. */
uint8_t *document_read(int fd, const char *what, struct arena *arena, size_t *len, struct err *err);
/* A whole blob, checked; NULL with err. */
uint8_t *blob_read(struct image_store *s, struct arena *arena, const char *digest, size_t *len, struct err *err);
int blob_open(struct image_store *s, const char *digest, struct err *err);
bool blob_has(struct image_store *s, const char *digest);
/* Copies fd's bytes into the store. want: the digest that they must have, or NULL; got: that they have. Takes long. */
int blob_import(
        struct image_store *s, int fd, const char *want, char got[DIGEST_BYTES], uint64_t *size, struct err *err);
int blob_put(struct image_store *s, const void *bytes, size_t len, char digest[DIGEST_BYTES], struct err *err);

/* An image whose index or manifest is a blob here: picks this host's, checks the platform, has its files unpacked, and puts
 * it into the table as ref. Takes long. ERR_UNPLACEABLE: not for this host; ERR_USAGE: damaged or hostile. */
int image_adopt(struct image_store *s, const char *digest, const struct image_ref *ref, bool by_hand, wall_ms now,
        atomic_bool *cancelled, struct image_entry *out, struct err *err);
/* Its config, from the blob. */
int image_config(struct image_store *s, const struct image_entry *e, struct arena *arena,
        struct image_config *out, struct err *err);
/* The folder of its files; DATA/images/rootfs/HEX. */
const char *image_rootfs(struct image_store *s, const char *manifest, struct arena *arena);

/* Deletes what no reference of the table and no container has. Entries go first that nobody needs, were not put there by
 * hand and have not been used for keep_ms. Nothing may be imported meanwhile. Takes long. Returns how many images went. */
int image_collect(struct image_store *s, bool (*needed)(void *ctx, const struct image_entry *e), void *ctx,
        wall_ms now, int64_t keep_ms, uint64_t *freed, struct err *err);

/* A fresh folder or file name in tmp; out is the name below DATA/images/tmp. */
#define IMAGE_TMP_BYTES 48
int image_tmp_folder(struct image_store *s, char name[IMAGE_TMP_BYTES], struct err *err);
/* Opens tmp itself. */
int image_tmp_fd(const struct image_store *s);

#endif
