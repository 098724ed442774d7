/*
 * Names of images as people write them, "[HOST[:PORT]/]PATH[:TAG][@sha256:HEX]", and digests. Pure.
 *
 * The normal form is Docker's: without a host "docker.io", a single path component there under "library/", without
 * tag and digest the tag "latest".
 */
#ifndef NODE_IMAGE_REF_H
#define NODE_IMAGE_REF_H

#include "base/err.h"

/* "sha256:", 64 digits, NUL. */
#define DIGEST_BYTES 72
/* Bytes of a host and path, of a tag: the distribution specification's bounds, each with NUL. */
#define IMAGE_REPO_BYTES 256
#define IMAGE_TAG_BYTES  129
/* Bytes of a whole normal form, NUL included. */
#define IMAGE_REF_BYTES (IMAGE_REPO_BYTES + IMAGE_TAG_BYTES + DIGEST_BYTES)

struct image_ref {
	char repo[IMAGE_REPO_BYTES]; /* "docker.io/library/nginx" */
	char tag[IMAGE_TAG_BYTES];   /* "1.25", or empty: only a digest was given */
	char digest[DIGEST_BYTES];   /* "sha256:...", or empty */
};

/* ERR_USAGE with what is wrong. */
int image_ref_parse(struct image_ref *out, const char *text, struct err *err);
/* Host, path, tag and digest, as far as there are any: equal for equal references. */
void image_ref_text(char out[IMAGE_REF_BYTES], const struct image_ref *r);
/* Without host and "library/" where those are Docker's: for people. */
void image_ref_short(char out[IMAGE_REF_BYTES], const struct image_ref *r);
/* "sha256:" and 64 lower-case hex digits? */
bool digest_valid(const char *text);
/* The digits of a digest. */
static inline const char *digest_hex(const char *digest)
{
	return digest + 7;
}

#endif
