#include "node/image/stream.h"

#include "base/text.h"
#include "node/image/ref.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static la_ssize_t read_packed(struct archive *a, void *ctx, const void **out)
{
	struct tar_stream *s = ctx;
	ssize_t n;

	do
		n = read(s->fd, s->in, sizeof(s->in));
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		s->read_errno = errno;
		archive_set_error(a, errno, "%s", strerror(errno));
		return -1;
	}
	crypto_hash_sha256_update(&s->packed, s->in, (unsigned long long)n);
	*out = s->in;
	return n;
}

static la_ssize_t read_plain(struct archive *a, void *ctx, const void **out)
{
	struct tar_stream *s = ctx;
	la_ssize_t n = archive_read_data(s->raw, s->out, sizeof(s->out));

	if (n < 0) {
		archive_set_error(
		        a, EINVAL, "%s", archive_error_string(s->raw) ? archive_error_string(s->raw) : "damaged");
		return -1;
	}
	crypto_hash_sha256_update(&s->plain, s->out, (unsigned long long)n);
	*out = s->out;
	return n;
}

const char *tar_stream_error(struct tar_stream *s)
{
	const char *why = s->tar ? archive_error_string(s->tar) : NULL;

	if (!why && s->raw)
		why = archive_error_string(s->raw);
	return why ? why : "it is no tar archive";
}

int tar_stream_open(struct tar_stream *s, int fd, struct err *err)
{
	struct archive_entry *e;
	int r;

	memset(s, 0, sizeof(*s));
	s->fd = fd;
	crypto_hash_sha256_init(&s->packed);
	crypto_hash_sha256_init(&s->plain);
	s->raw = archive_read_new();
	s->tar = archive_read_new();
	if (!s->raw || !s->tar) {
		tar_stream_close(s);
		return err_set(err, ERR_FAILED, "no memory");
	}
	archive_read_support_format_raw(s->raw);
	archive_read_support_format_empty(s->raw);
	archive_read_support_filter_gzip(s->raw);
	archive_read_support_filter_zstd(s->raw);
	archive_read_support_format_tar(s->tar);
	archive_read_support_format_empty(s->tar);
	if (archive_read_open(s->raw, s, NULL, read_packed, NULL) != ARCHIVE_OK ||
	        ((r = archive_read_next_header(s->raw, &e)) != ARCHIVE_OK && r != ARCHIVE_EOF) ||
	        archive_read_open(s->tar, s, NULL, read_plain, NULL) != ARCHIVE_OK) {
		err_set(err, ERR_USAGE, "the archive cannot be read: %s", tar_stream_error(s));
		tar_stream_close(s);
		return -1;
	}
	return 0;
}

void tar_stream_close(struct tar_stream *s)
{
	if (s->tar)
		archive_read_free(s->tar);
	if (s->raw)
		archive_read_free(s->raw);
	s->tar = s->raw = NULL;
}

static int compare(crypto_hash_sha256_state *state, const char *want, const char *what, struct err *err)
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	char text[DIGEST_BYTES] = "sha256:";

	crypto_hash_sha256_final(state, hash);
	hex_encode(text + 7, hash, sizeof(hash));
	if (!want || strcmp(text, want) == 0)
		return 0;
	return err_set(err, ERR_USAGE,
	        "its %s is %s and should be %s: it is damaged, or another than was asked for", what, text, want);
}

int tar_stream_end(struct tar_stream *s, const char *digest, const char *diff_id, struct err *err)
{
	const void *rest;
	la_ssize_t n;

	while ((n = read_plain(s->tar, s, &rest)) > 0)
		;
	if (n < 0)
		return err_set(err, ERR_USAGE, "the archive cannot be read: %s", tar_stream_error(s));
	while ((n = read_packed(s->raw, s, &rest)) > 0)
		;
	if (n < 0)
		return err_set(err, ERR_FAILED, "read: %s", strerror(s->read_errno));
	if (compare(&s->packed, digest, "digest", err) < 0)
		return -1;
	return compare(&s->plain, diff_id, "digest once unpacked", err);
}
