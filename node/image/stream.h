/* The bytes of an archive on their way: read from a file, hashed, decompressed, hashed again, taken apart as tar. */
#ifndef NODE_IMAGE_STREAM_H
#define NODE_IMAGE_STREAM_H

#include "base/err.h"

#include <sodium.h>

/* Bytes of one read. */
#define STREAM_CHUNK 65536

struct archive;

struct tar_stream {
	int fd;
	int read_errno;
	crypto_hash_sha256_state packed, plain;
	struct archive *raw; /* takes compression away */
	struct archive *tar;
	uint8_t in[STREAM_CHUNK], out[STREAM_CHUNK];
};

int tar_stream_open(struct tar_stream *s, int fd, struct err *err);
void tar_stream_close(struct tar_stream *s);
/* Reads what is behind the archive, and compares; either digest may be NULL. */
int tar_stream_end(struct tar_stream *s, const char *digest, const char *diff_id, struct err *err);
const char *tar_stream_error(struct tar_stream *s);

/* Calls for each name in a folder but "." and ".."; -1 ends it. The folder may lose the entry meanwhile. */
int folder_each(int fd, int (*fn)(void *ctx, const char *name, struct err *err), void *ctx, struct err *err);

#endif
