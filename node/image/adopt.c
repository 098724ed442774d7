/* From blobs to an image that can run: which of an index, its platform, its files. */
#include "node/image/store_parts.h"
#include "node/image/unpack.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

/* An index may lead to another, as skopeo and buildkit write them, and no further. */
#define INDEX_DEPTH_MAX 2

struct image_platform image_platform_here(void)
{
	struct utsname u;

	return image_platform_of(uname(&u) == 0 ? u.machine : "");
}

/* Follows indexes to the manifest for this host. */
static int find_manifest(struct image_store *s, struct arena *arena, const char *digest,
        char manifest[DIGEST_BYTES], struct image_manifest *m, struct err *err)
{
	struct image_platform host = image_platform_here();

	for (unsigned depth = 0;; depth++) {
		const struct descriptor *pick;
		struct image_index index;
		size_t len;
		uint8_t *bytes = blob_read(s, arena, digest, &len, err);

		if (!bytes)
			return -1;
		if (!image_json_is_index(bytes, len)) {
			text_copy(manifest, DIGEST_BYTES, digest);
			return image_manifest_parse(m, arena, bytes, len, err);
		}
		if (depth == INDEX_DEPTH_MAX)
			return err_set(err, ERR_USAGE, "the image's index leads to an index more than %d times",
			        INDEX_DEPTH_MAX);
		if (image_index_parse(&index, arena, bytes, len, err) < 0)
			return -1;
		pick = image_index_pick(&index, &host, err);
		if (!pick)
			return -1;
		digest = pick->digest;
	}
}

int image_config(struct image_store *s, const struct image_entry *e, struct arena *arena,
        struct image_config *out, struct err *err)
{
	size_t len;
	uint8_t *bytes = blob_read(s, arena, e->config, &len, err);

	return bytes ? image_config_parse(out, arena, bytes, len, err) : -1;
}

static int unpack_layers(struct image_store *s, int root, const struct image_manifest *m,
        const struct image_config *c, atomic_bool *cancelled, struct err *err)
{
	struct unpack u;
	int rc = 0;

	unpack_init(&u, root, true, cancelled);
	for (size_t i = 0; i < m->n_layers && rc == 0; i++) {
		int fd = blob_open(s, m->layers[i].digest, err);

		rc = fd < 0 ? -1 : unpack_archive(&u, fd, m->layers[i].digest, c->diff_ids[i], err);
		if (fd >= 0)
			close(fd);
		if (rc < 0)
			err_wrap(err, "layer %zu of %zu", i + 1, m->n_layers);
	}
	unpack_free(&u);
	return rc;
}

/* Into a folder of tmp, which becomes rootfs/HEX once all of it is on the disk. */
static int unpack_image(struct image_store *s, const char *manifest, const struct image_manifest *m,
        const struct image_config *c, atomic_bool *cancelled, struct err *err)
{
	char name[IMAGE_TMP_BYTES];
	int root, rc;

	if (faccessat(s->rootfs_fd, digest_hex(manifest), F_OK, 0) == 0)
		return 0;
	if (image_tmp_folder(s, name, err) < 0)
		return -1;
	root = openat(s->tmp_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = root < 0 || fchmod(root, 0755) < 0 ? err_errno(err, "open images/tmp/%s", name) : 0;
	if (rc == 0)
		rc = unpack_layers(s, root, m, c, cancelled, err);
	if (rc == 0 && syncfs(root) < 0)
		rc = err_errno(err, "sync the image's files");
	if (root >= 0)
		close(root);
	if (rc == 0 && renameat(s->tmp_fd, name, s->rootfs_fd, digest_hex(manifest)) < 0)
		rc = err_errno(err, "put the image's files in place");
	if (rc < 0)
		folder_drop(s->tmp_fd, name, NULL);
	return rc;
}

static uint64_t size_of(const struct image_manifest *m)
{
	uint64_t bytes = m->config.size;

	for (size_t i = 0; i < m->n_layers; i++)
		bytes += m->layers[i].size;
	return bytes;
}

static int adopt(struct image_store *s, struct arena *arena, const char *digest, atomic_bool *cancelled,
        struct image_entry *out, struct err *err)
{
	struct image_platform host = image_platform_here();
	struct image_manifest m;
	struct image_config c;

	if (find_manifest(s, arena, digest, out->manifest, &m, err) < 0)
		return -1;
	text_copy(out->config, sizeof(out->config), m.config.digest);
	out->bytes = size_of(&m);
	if (image_config(s, out, arena, &c, err) < 0 || image_platform_check(&c.platform, &host, err) < 0)
		return -1;
	if (c.n_diff_ids != m.n_layers)
		return err_set(err, ERR_USAGE, "the image's config speaks of %zu layers, its manifest of %zu",
		        c.n_diff_ids, m.n_layers);
	return unpack_image(s, out->manifest, &m, &c, cancelled, err);
}

int image_adopt(struct image_store *s, const char *digest, const struct image_ref *ref, bool by_hand, wall_ms now,
        atomic_bool *cancelled, struct image_entry *out, struct err *err)
{
	struct arena arena;
	int rc;

	*out = (struct image_entry){.added = now, .used = now, .by_hand = by_hand};
	image_ref_text(out->ref, ref);
	arena_init(&arena);
	pthread_mutex_lock(&s->unpacking);
	rc = adopt(s, &arena, digest, cancelled, out, err);
	if (rc == 0)
		rc = image_put(s, out, err);
	pthread_mutex_unlock(&s->unpacking);
	arena_free(&arena);
	return rc;
}
