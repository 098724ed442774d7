/* The folders of the store, and its blobs. */
#include "node/image/store_parts.h"

#include "base/text.h"
#include "node/image/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 65536

static int sub_folder(int at, const char *name, struct err *err)
{
	int fd;

	if (mkdirat(at, name, 0700) < 0 && errno != EEXIST)
		return err_errno(err, "make folder images/%s", name);
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_errno(err, "open folder images/%s", name) : fd;
}

static int open_all(struct image_store *s, const char *data_dir, struct err *err)
{
	int data = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int blobs = -1;

	if (data < 0)
		return err_errno(err, "open %s", data_dir);
	s->fd = sub_folder(data, "images", err);
	close(data);
	if (s->fd < 0 || folder_drop(s->fd, "tmp", err) < 0)
		return -1;
	blobs = sub_folder(s->fd, "blobs", err);
	if (blobs < 0)
		return -1;
	s->blobs_fd = sub_folder(blobs, "sha256", err);
	close(blobs);
	if (s->blobs_fd < 0)
		return -1;
	s->rootfs_fd = sub_folder(s->fd, "rootfs", err);
	s->tmp_fd = s->rootfs_fd < 0 ? -1 : sub_folder(s->fd, "tmp", err);
	return s->tmp_fd < 0 ? -1 : table_load(s, err);
}

struct image_store *image_store_open(const char *data_dir, struct err *err)
{
	struct image_store *s = xcalloc(1, sizeof(*s));

	atomic_store(&s->holds, 1);
	s->fd = s->blobs_fd = s->rootfs_fd = s->tmp_fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->unpacking, NULL);
	if (asprintf(&s->dir, "%s/images", data_dir) < 0)
		abort();
	if (open_all(s, data_dir, err) == 0)
		return s;
	err_wrap(err, "images");
	image_store_close(s);
	return NULL;
}

void image_store_close(struct image_store *s)
{
	int fds[] = {s->fd, s->blobs_fd, s->rootfs_fd, s->tmp_fd};

	if (atomic_fetch_sub(&s->holds, 1) > 1)
		return;
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->unpacking);
	free(s->entries);
	free(s->dir);
	free(s);
}

struct image_store *image_store_hold(struct image_store *s)
{
	atomic_fetch_add(&s->holds, 1);
	return s;
}

const char *image_store_dir(const struct image_store *s)
{
	return s->dir;
}

int image_store_fd(const struct image_store *s)
{
	return s->fd;
}

int image_tmp_fd(const struct image_store *s)
{
	return s->tmp_fd;
}

static void tmp_name(char name[IMAGE_TMP_BYTES])
{
	uint8_t random[16];

	randombytes_buf(random, sizeof(random));
	hex_encode(name, random, sizeof(random));
}

int image_tmp_folder(struct image_store *s, char name[IMAGE_TMP_BYTES], struct err *err)
{
	tmp_name(name);
	return mkdirat(s->tmp_fd, name, 0700) < 0 ? err_errno(err, "make folder images/tmp/%s", name) : 0;
}

bool blob_has(struct image_store *s, const char *digest)
{
	return faccessat(s->blobs_fd, digest_hex(digest), R_OK, 0) == 0;
}

int blob_open(struct image_store *s, const char *digest, struct err *err)
{
	int fd = openat(s->blobs_fd, digest_hex(digest), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? err_errno(err, "open blob %s", digest) : fd;
}

static void digest_text(char out[DIGEST_BYTES], crypto_hash_sha256_state *state)
{
	uint8_t hash[crypto_hash_sha256_BYTES];

	crypto_hash_sha256_final(state, hash);
	text_copy(out, DIGEST_BYTES, "sha256:");
	hex_encode(out + 7, hash, sizeof(hash));
}

uint8_t *document_read(int fd, const char *what, struct arena *arena, size_t *len, struct err *err)
{
	uint8_t *bytes;
	struct stat st;
	ssize_t n = 1;

	*len = 0;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > IMAGE_JSON_MAX) {
		err_set(err, ERR_USAGE, "%.200s: no file, or longer than %d bytes", what, IMAGE_JSON_MAX);
		close(fd);
		return NULL;
	}
	bytes = arena_alloc(arena, (size_t)st.st_size + 1);
	while (*len < (size_t)st.st_size && n != 0) {
		n = read(fd, bytes + *len, (size_t)st.st_size - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_errno(err, "read %.200s", what);
			close(fd);
			return NULL;
		}
		*len += (size_t)n;
	}
	close(fd);
	return bytes;
}

uint8_t *blob_read(struct image_store *s, struct arena *arena, const char *digest, size_t *len, struct err *err)
{
	int fd = blob_open(s, digest, err);
	crypto_hash_sha256_state state;
	char got[DIGEST_BYTES];
	uint8_t *bytes;

	if (fd < 0 || !(bytes = document_read(fd, digest, arena, len, err)))
		return NULL;
	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, bytes, *len);
	digest_text(got, &state);
	if (strcmp(got, digest) == 0)
		return bytes;
	err_set(err, ERR_USAGE,
	        "blob %s: its bytes have digest %s: it is damaged; remove the image and fetch it again", digest,
	        got);
	return NULL;
}

/* Copies while hashing; the caller removes what is left of a failure. */
static int copy_hashed(int in, int out, crypto_hash_sha256_state *state, uint64_t *size, struct err *err)
{
	uint8_t buf[CHUNK];
	ssize_t n;

	*size = 0;
	while ((n = read(in, buf, sizeof(buf))) > 0) {
		*size += (uint64_t)n;
		if (*size > IMAGE_BLOB_MAX)
			return err_set(err, ERR_USAGE, "longer than %lld bytes", (long long)IMAGE_BLOB_MAX);
		if (*size % (256 * CHUNK) < CHUNK && disk_check(out, 0, err) < 0)
			return -1;
		crypto_hash_sha256_update(state, buf, (unsigned long long)n);
		for (ssize_t at = 0, w; at < n; at += w)
			if ((w = write(out, buf + at, (size_t)(n - at))) < 0)
				return err_errno(err, "write");
	}
	return n < 0 ? err_errno(err, "read") : 0;
}

int blob_import(
        struct image_store *s, int fd, const char *want, char got[DIGEST_BYTES], uint64_t *size, struct err *err)
{
	crypto_hash_sha256_state state;
	char name[IMAGE_TMP_BYTES];
	int out, rc;

	tmp_name(name);
	out = openat(s->tmp_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0)
		return err_errno(err, "make a file for a blob");
	crypto_hash_sha256_init(&state);
	rc = copy_hashed(fd, out, &state, size, err);
	digest_text(got, &state);
	if (rc == 0 && want && strcmp(got, want) != 0)
		rc = err_set(err, ERR_USAGE, "its bytes have digest %s: it is damaged, or was changed", got);
	if (rc == 0 && fsync(out) < 0)
		rc = err_errno(err, "sync");
	close(out);
	if (rc == 0 && renameat(s->tmp_fd, name, s->blobs_fd, digest_hex(got)) < 0)
		rc = err_errno(err, "put it in place");
	if (rc < 0) {
		unlinkat(s->tmp_fd, name, 0);
		err_wrap(err, "blob %s", want ? want : "of the archive");
	}
	return rc;
}

int blob_put(struct image_store *s, const void *bytes, size_t len, char digest[DIGEST_BYTES], struct err *err)
{
	char name[IMAGE_TMP_BYTES];
	uint64_t size;
	int fd, rc = 0;

	tmp_name(name);
	fd = openat(s->tmp_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, "make a file for a blob");
	unlinkat(s->tmp_fd, name, 0);
	if (write(fd, bytes, len) != (ssize_t)len || lseek(fd, 0, SEEK_SET) < 0)
		rc = err_errno(err, "write a blob");
	if (rc == 0)
		rc = blob_import(s, fd, NULL, digest, &size, err);
	close(fd);
	return rc;
}

const char *image_rootfs(struct image_store *s, const char *manifest, struct arena *arena)
{
	return arena_printf(arena, "%s/rootfs/%s", s->dir, digest_hex(manifest));
}
