/* Which content nobody has any more. */
#include "base/map.h"
#include "base/text.h"
#include "node/image/store_parts.h"
#include "node/image/stream.h"
#include "node/image/unpack.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct sweep {
	struct image_store *s;
	struct map kept; /* digests as bytes: manifests, configs, layers */
	uint64_t freed;
};

static bool digest_bytes(uint8_t out[32], const char *hex)
{
	return strlen(hex) == 64 && hex_decode(out, 32, hex);
}

static void keep(struct sweep *w, const char *digest)
{
	uint8_t key[32];

	if (digest_bytes(key, digest_hex(digest)))
		map_put(&w->kept, key, w);
}

/* A manifest with all that it names. One that cannot be read ends the sweep: what it needs is not known. */
static int keep_image(struct sweep *w, const char *manifest, struct err *err)
{
	struct image_manifest m;
	struct arena arena;
	uint8_t *bytes;
	size_t len;
	int rc = 0;

	keep(w, manifest);
	if (!blob_has(w->s, manifest))
		return 0;
	arena_init(&arena);
	bytes = blob_read(w->s, &arena, manifest, &len, err);
	if (!bytes || image_manifest_parse(&m, &arena, bytes, len, err) < 0) {
		rc = -1;
	} else {
		keep(w, m.config.digest);
		for (size_t i = 0; i < m.n_layers; i++)
			keep(w, m.layers[i].digest);
	}
	arena_free(&arena);
	return rc;
}

/* DATA/images/run/TASK/image names what a container's files lie upon. */
static int keep_of_container(void *ctx, const char *task, struct err *err)
{
	struct sweep *w = ctx;
	char path[300], digest[DIGEST_BYTES] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "run/%.250s/image", task);
	fd = openat(w->s->fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, digest, sizeof(digest) - 1);
	close(fd);
	if (n != DIGEST_BYTES - 1 || !digest_valid(digest))
		return 0;
	return keep_image(w, digest, err);
}

static int drop_blob(void *ctx, const char *name, struct err *err)
{
	struct sweep *w = ctx;
	struct stat st;
	uint8_t key[32];

	if (digest_bytes(key, name) && map_get(&w->kept, key))
		return 0;
	if (fstatat(w->s->blobs_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		w->freed += (uint64_t)st.st_size;
	return folder_drop(w->s->blobs_fd, name, err);
}

/* First out of the way, so that no start takes one that is half gone. */
static int drop_rootfs(void *ctx, const char *name, struct err *err)
{
	struct sweep *w = ctx;
	char tmp[IMAGE_TMP_BYTES + 8];
	uint8_t key[32];

	if (digest_bytes(key, name) && map_get(&w->kept, key))
		return 0;
	snprintf(tmp, sizeof(tmp), "gone-%.40s", name);
	if (renameat(w->s->rootfs_fd, name, w->s->tmp_fd, tmp) < 0)
		return err_errno(err, "move images/rootfs/%s away", name);
	return folder_drop(w->s->tmp_fd, tmp, err);
}

/* Entries that may go. */
static int drop_entries(struct image_store *s, bool (*needed)(void *ctx, const struct image_entry *e), void *ctx,
        wall_ms now, int64_t keep_ms, struct err *err)
{
	size_t kept = 0, was;
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	was = s->n;
	for (size_t i = 0; i < s->n; i++) {
		const struct image_entry *e = &s->entries[i];

		if (e->by_hand || now - e->used < keep_ms || needed(ctx, e))
			s->entries[kept++] = *e;
	}
	s->n = kept;
	if (kept != was)
		rc = table_save(s, err);
	pthread_mutex_unlock(&s->lock);
	return rc < 0 ? -1 : (int)(was - kept);
}

static int sweep(struct sweep *w, struct err *err)
{
	struct arena arena;
	struct image_entry *entries;
	int run, rc = 0;
	size_t n;

	arena_init(&arena);
	n = image_list(w->s, &arena, &entries);
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = keep_image(w, entries[i].manifest, err);
	arena_free(&arena);
	run = openat(w->s->fd, "run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (rc == 0 && run >= 0)
		rc = folder_each(run, keep_of_container, w, err);
	if (run >= 0)
		close(run);
	if (rc == 0)
		rc = folder_each(w->s->rootfs_fd, drop_rootfs, w, err);
	if (rc == 0)
		rc = folder_each(w->s->blobs_fd, drop_blob, w, err);
	return rc;
}

int image_collect(struct image_store *s, bool (*needed)(void *ctx, const struct image_entry *e), void *ctx,
        wall_ms now, int64_t keep_ms, uint64_t *freed, struct err *err)
{
	struct sweep w = {.s = s};
	int dropped = drop_entries(s, needed, ctx, now, keep_ms, err);
	int rc;

	if (dropped < 0)
		return -1;
	map_init(&w.kept, 32, NULL);
	rc = sweep(&w, err);
	map_free(&w.kept);
	*freed = w.freed;
	return rc < 0 ? err_wrap(err, "collect images") : dropped;
}
