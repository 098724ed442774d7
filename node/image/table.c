/* Which reference means which image. */
#include "base/text.h"
#include "node/image/store_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Digits of a digest that are enough to name an image. */
#define DIGITS_MIN 7

static int by_ref(const void *a, const void *b)
{
	return strcmp(((const struct image_entry *)a)->ref, ((const struct image_entry *)b)->ref);
}

/* ---- on disk ---- */

static bool read_entry(struct image_entry *e, const json_t *o)
{
	const char *ref = json_string_value(json_object_get(o, "ref"));
	const char *manifest = json_string_value(json_object_get(o, "manifest"));
	const char *config = json_string_value(json_object_get(o, "config"));

	if (!ref || !manifest || !config || !digest_valid(manifest) || !digest_valid(config) ||
	        strlen(ref) >= sizeof(e->ref))
		return false;
	text_copy(e->ref, sizeof(e->ref), ref);
	text_copy(e->manifest, sizeof(e->manifest), manifest);
	text_copy(e->config, sizeof(e->config), config);
	e->bytes = (uint64_t)json_integer_value(json_object_get(o, "bytes"));
	e->added = json_integer_value(json_object_get(o, "added"));
	e->used = json_integer_value(json_object_get(o, "used"));
	e->by_hand = json_is_true(json_object_get(o, "by_hand"));
	return true;
}

int table_load(struct image_store *s, struct err *err)
{
	int fd = openat(s->fd, "table", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	json_error_t at;
	struct stat st;
	json_t *root;
	int rc = 0;

	s->entries = xcalloc(IMAGE_TABLE_MAX, sizeof(*s->entries));
	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(err, "open %s/table", s->dir);
	root = fstat(fd, &st) == 0 && st.st_size <= IMAGE_TABLE_BYTES_MAX ? json_loadfd(fd, 0, &at) : NULL;
	close(fd);
	if (!json_is_array(root) || json_array_size(root) > IMAGE_TABLE_MAX)
		rc = -1;
	for (size_t i = 0; rc == 0 && i < json_array_size(root); i++)
		rc = read_entry(&s->entries[s->n++], json_array_get(root, i)) ? 0 : -1;
	json_decref(root);
	if (rc == 0)
		return 0;
	return err_set(err, ERR_FAILED,
	        "%s/table cannot be read; remove it: images are then fetched again when they are needed", s->dir);
}

int table_save(struct image_store *s, struct err *err)
{
	json_t *root = json_array();
	char *text;
	size_t len;
	int fd, rc = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct image_entry *e = &s->entries[i];

		json_array_append_new(
		        root, json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:b}", "ref", e->ref, "manifest",
		                      e->manifest, "config", e->config, "bytes", (json_int_t)e->bytes, "added",
		                      (json_int_t)e->added, "used", (json_int_t)e->used, "by_hand", e->by_hand));
	}
	text = json_dumps(root, JSON_INDENT(1));
	json_decref(root);
	len = strlen(text);
	fd = openat(s->fd, "table.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len || fsync(fd) < 0 ||
	        renameat(s->fd, "table.new", s->fd, "table") < 0)
		rc = err_errno(err, "write %s/table", s->dir);
	if (fd >= 0)
		close(fd);
	free(text);
	return rc;
}

/* ---- in memory ---- */

static bool has_repo(const struct image_entry *e, const struct image_ref *ref)
{
	size_t len = strlen(ref->repo);

	return strncmp(e->ref, ref->repo, len) == 0 && (!e->ref[len] || strchr(":@", e->ref[len]));
}

static bool means(const struct image_entry *e, const struct image_ref *ref, const char *text)
{
	const char *at = strchr(e->ref, '@');

	if (!*ref->digest)
		return strcmp(e->ref, text) == 0;
	return has_repo(e, ref) &&
	       ((at && strcmp(at + 1, ref->digest) == 0) || strcmp(e->manifest, ref->digest) == 0 ||
	               strcmp(e->config, ref->digest) == 0);
}

bool image_find(struct image_store *s, const struct image_ref *ref, wall_ms now, struct image_entry *out)
{
	char text[IMAGE_REF_BYTES];
	bool found = false;

	image_ref_text(text, ref);
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->n && !found; i++) {
		struct image_entry *e = &s->entries[i];

		if (!means(e, ref, text) || faccessat(s->rootfs_fd, digest_hex(e->manifest), F_OK, 0) < 0)
			continue;
		found = true;
		/* Kept in memory; the next change of the table writes it. What was lost with a crash is a later collection. */
		if (now)
			e->used = now;
		*out = *e;
	}
	pthread_mutex_unlock(&s->lock);
	return found;
}

size_t image_list(struct image_store *s, struct arena *arena, struct image_entry **out)
{
	size_t n;

	pthread_mutex_lock(&s->lock);
	n = s->n;
	*out = arena_array(arena, n + 1, sizeof(**out));
	if (n)
		memcpy(*out, s->entries, n * sizeof(**out));
	pthread_mutex_unlock(&s->lock);
	return n;
}

int image_put(struct image_store *s, const struct image_entry *e, struct err *err)
{
	struct image_entry *have;
	int rc;

	pthread_mutex_lock(&s->lock);
	have = s->n ? bsearch(e, s->entries, s->n, sizeof(*e), by_ref) : NULL;
	if (!have && s->n == IMAGE_TABLE_MAX) {
		pthread_mutex_unlock(&s->lock);
		return err_set(err, ERR_FAILED,
		        "this peer keeps %d images already, the most that it can; remove some: starling "
		        "image rm REF",
		        IMAGE_TABLE_MAX);
	}
	if (have) {
		bool by_hand = have->by_hand || e->by_hand;

		*have = *e;
		have->by_hand = by_hand;
	} else {
		s->entries[s->n++] = *e;
		qsort(s->entries, s->n, sizeof(*e), by_ref);
	}
	rc = table_save(s, err);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

/* A digest, or the beginning of one's digits. */
static bool begins_digest(const char *digest, const char *text)
{
	if (strncmp(text, "sha256:", 7) == 0)
		text += 7;
	return strlen(text) >= DIGITS_MIN && strlen(text) <= 64 &&
	       strspn(text, "0123456789abcdef") == strlen(text) &&
	       strncmp(digest_hex(digest), text, strlen(text)) == 0;
}

int image_remove(struct image_store *s, const char *text, bool (*needed)(void *ctx, const struct image_entry *e),
        void *ctx, struct err *err)
{
	char full[IMAGE_REF_BYTES] = "";
	struct image_ref ref;
	size_t kept = 0;
	int gone = 0, rc = 0;
	bool *match;

	if (image_ref_parse(&ref, text, NULL) == 0)
		image_ref_text(full, &ref);
	pthread_mutex_lock(&s->lock);
	match = xcalloc(s->n + 1, sizeof(*match));
	for (size_t i = 0; i < s->n; i++) {
		const struct image_entry *e = &s->entries[i];

		match[i] = strcmp(e->ref, full) == 0 || begins_digest(e->manifest, text) ||
		           begins_digest(e->config, text);
		gone += match[i];
		if (match[i] && needed(ctx, e))
			rc = err_set(err, ERR_FAILED,
			        "image %s is needed here: a stack or a running task uses it", text);
	}
	if (!gone)
		rc = err_set(err, ERR_FAILED, "no image %s on this peer; see starling image ls", text);
	for (size_t i = 0; rc == 0 && i < s->n; i++)
		if (!match[i])
			s->entries[kept++] = s->entries[i];
	if (rc == 0) {
		s->n = kept;
		rc = table_save(s, err);
	}
	pthread_mutex_unlock(&s->lock);
	free(match);
	return rc < 0 ? -1 : gone;
}
