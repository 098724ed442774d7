#include "node/image/load.h"

#include "base/text.h"
#include "node/image/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct load {
	struct image_store *s;
	int folder;
	const char *name;
	wall_ms now;
	struct image_work *work;
	void (*loaded)(void *ctx, const struct image_entry *e);
	void *ctx;
	unsigned n;
};

static int open_beneath(int folder, const char *path)
{
	struct open_how how = {
	        .flags = O_RDONLY | O_CLOEXEC | O_NOCTTY,
	        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, folder, path, &how, sizeof(how));
}

static uint8_t *read_file(struct load *l, const char *path, struct arena *arena, size_t *len, struct err *err)
{
	int fd = open_beneath(l->folder, path);

	if (fd < 0) {
		err_errno(err, "open %.200s of the archive", path);
		return NULL;
	}
	return document_read(fd, path, arena, len, err);
}

/* path's bytes into the store. want may be NULL. */
static int import_file(struct load *l, const char *path, const char *want, char got[DIGEST_BYTES], uint64_t *size,
        struct err *err)
{
	struct stat st;
	int fd = open_beneath(l->folder, path);
	int rc;

	if (fd < 0)
		return err_errno(err, "open %.200s of the archive", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		rc = err_set(err, ERR_USAGE, "%.200s of the archive is no file", path);
	else
		rc = blob_import(l->s, fd, want, got, size, err);
	close(fd);
	return rc;
}

static int import_digest(struct load *l, struct arena *arena, const char *digest, struct err *err)
{
	char got[DIGEST_BYTES];
	uint64_t size;

	if (blob_has(l->s, digest))
		return 0;
	return import_file(
	        l, arena_printf(arena, "blobs/sha256/%s", digest_hex(digest)), digest, got, &size, err);
}

static int adopt(struct load *l, const char *digest, const char *name, struct err *err)
{
	struct image_entry e;
	struct image_ref ref;

	if (image_ref_parse(&ref, name, err) < 0)
		return -1;
	l->work->say(l->work->ctx, "unpacks the image");
	if (image_adopt(l->s, digest, &ref, true, l->now, &l->work->cancelled, &e, err) < 0)
		return -1;
	l->n++;
	l->loaded(l->ctx, &e);
	return 0;
}

/* ---- OCI layout ---- */

/* The blobs of one entry; of an index only what is for this host, if it says so. */
static int import_tree(struct load *l, struct arena *arena, const char *digest, unsigned depth, struct err *err)
{
	struct image_manifest m;
	struct image_index index;
	uint8_t *bytes;
	size_t len;

	if (import_digest(l, arena, digest, err) < 0)
		return -1;
	bytes = blob_read(l->s, arena, digest, &len, err);
	if (!bytes)
		return -1;
	if (image_json_is_index(bytes, len)) {
		struct image_platform host = image_platform_here();
		const struct descriptor *pick;

		if (depth == 2)
			return err_set(err, ERR_USAGE, "indexes within indexes within indexes");
		if (image_index_parse(&index, arena, bytes, len, err) < 0)
			return -1;
		pick = image_index_pick(&index, &host, err);
		return pick ? import_tree(l, arena, pick->digest, depth + 1, err) : -1;
	}
	if (image_manifest_parse(&m, arena, bytes, len, err) < 0 ||
	        import_digest(l, arena, m.config.digest, err) < 0)
		return -1;
	for (size_t i = 0; i < m.n_layers; i++)
		if (import_digest(l, arena, m.layers[i].digest, err) < 0)
			return -1;
	return 0;
}

/* A layout's annotation is often a bare tag, which names nothing. */
static bool names_image(const char *name)
{
	return name && (strchr(name, '/') || strchr(name, ':'));
}

static int load_layout(struct load *l, struct arena *arena, struct err *err)
{
	struct image_index index;
	size_t len;
	uint8_t *bytes = read_file(l, "index.json", arena, &len, err);

	if (!bytes || image_index_parse(&index, arena, bytes, len, err) < 0)
		return -1;
	if (l->name && index.n > 1) {
		/* One image in several platforms, named once. */
		struct image_platform host = image_platform_here();
		const struct descriptor *pick = image_index_pick(&index, &host, err);

		if (!pick)
			return err_wrap(err, "the archive holds %zu images, and one name was given", index.n);
		index.entries[0] = *pick;
		index.n = 1;
	}
	for (size_t i = 0; i < index.n; i++) {
		const struct descriptor *d = &index.entries[i];
		const char *name = l->name ? l->name : d->name;

		if (d->attestation)
			continue;
		if (!l->name && !names_image(name))
			return err_set(err, ERR_USAGE,
			        "the image %s%s%shas no name in its archive; give it one with --name NAME[:TAG]",
			        name ? "\"" : "", name ? name : "", name ? "\" " : "");
		if (import_tree(l, arena, d->digest, 0, err) < 0 || adopt(l, d->digest, name, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- docker-archive ---- */

static int load_docker_image(struct load *l, struct arena *arena, const struct docker_image *d, struct err *err)
{
	struct descriptor config = {.media_type = "application/vnd.oci.image.config.v1+json"};
	struct descriptor *layers = arena_array(arena, d->n_layers + 1, sizeof(*layers));
	char digest[DIGEST_BYTES], *manifest;

	if (!l->name && !d->n_tags)
		return err_set(err, ERR_USAGE,
		        "the image has no name in its archive; give it one with --name NAME[:TAG]");
	if (import_file(l, d->config, NULL, digest, &config.size, err) < 0)
		return -1;
	config.digest = arena_strdup(arena, digest);
	for (size_t i = 0; i < d->n_layers; i++) {
		layers[i].media_type = "application/vnd.oci.image.layer.v1.tar";
		if (import_file(l, d->layers[i], NULL, digest, &layers[i].size, err) < 0)
			return -1;
		layers[i].digest = arena_strdup(arena, digest);
	}
	manifest = image_manifest_make(arena, &config, layers, d->n_layers);
	if (blob_put(l->s, manifest, strlen(manifest), digest, err) < 0)
		return -1;
	if (l->name)
		return adopt(l, digest, l->name, err);
	for (size_t i = 0; i < d->n_tags; i++)
		if (adopt(l, digest, d->tags[i], err) < 0)
			return -1;
	return 0;
}

static int load_docker(struct load *l, struct arena *arena, struct err *err)
{
	struct docker_image *images;
	size_t n, len;
	uint8_t *bytes = read_file(l, "manifest.json", arena, &len, err);

	if (!bytes || docker_archive_parse(&images, &n, arena, bytes, len, err) < 0)
		return -1;
	if (l->name && n > 1)
		return err_set(err, ERR_USAGE, "the archive holds %zu images, and one name was given", n);
	for (size_t i = 0; i < n; i++)
		if (load_docker_image(l, arena, &images[i], err) < 0)
			return -1;
	return 0;
}

int image_load_folder(struct image_store *s, int folder, const char *name, wall_ms now, struct image_work *work,
        void (*loaded)(void *ctx, const struct image_entry *e), void *ctx, struct err *err)
{
	struct load l = {s, folder, name, now, work, loaded, ctx, 0};
	struct arena arena;
	int rc;

	arena_init(&arena);
	if (faccessat(folder, "index.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		rc = load_layout(&l, &arena, err);
	else if (faccessat(folder, "manifest.json", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		rc = load_docker(&l, &arena, err);
	else
		rc = err_set(err, ERR_USAGE,
		        "no image: neither index.json (OCI layout) nor manifest.json (docker save) is in it");
	if (rc == 0 && !l.n)
		rc = err_set(err, ERR_USAGE, "no image is in it");
	arena_free(&arena);
	return rc;
}

int image_load(struct image_store *s, int fd, const char *name, wall_ms now, struct image_work *work,
        void (*loaded)(void *ctx, const struct image_entry *e), void *ctx, struct err *err)
{
	char tmp[IMAGE_TMP_BYTES];
	struct unpack u;
	int folder, rc;

	if (image_tmp_folder(s, tmp, err) < 0)
		return -1;
	folder = openat(image_tmp_fd(s), tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return err_errno(err, "open images/tmp/%s", tmp);
	work->say(work->ctx, "reads the archive");
	unpack_init(&u, folder, false, &work->cancelled);
	rc = unpack_archive(&u, fd, NULL, NULL, err);
	unpack_free(&u);
	if (rc == 0)
		rc = image_load_folder(s, folder, name, now, work, loaded, ctx, err);
	close(folder);
	folder_drop(image_tmp_fd(s), tmp, NULL);
	return rc;
}
