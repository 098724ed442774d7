#include "node/image/ref.h"

#include "base/text.h"

#include <stdio.h>

#define DOCKER "docker.io/"

static bool is_lower(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool digest_valid(const char *text)
{
	uint8_t bytes[32];

	if (strncmp(text, "sha256:", 7) != 0 || strlen(text) != 71 || !hex_decode(bytes, 32, text + 7))
		return false;
	for (const char *p = text + 7; *p; p++)
		if (!is_lower(*p))
			return false;
	return true;
}

/* Components of lower-case letters and digits, parted by '/', with '.', '_', '-' within. */
static bool path_valid(const char *p)
{
	char before = '/';

	for (; *p; before = *p++) {
		if (is_lower(*p))
			continue;
		if (!strchr("._-/", *p) || before == '/' || (*p == '/' && !is_lower(before)))
			return false;
	}
	return is_lower(before);
}

static bool host_valid(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!is_lower(p[i]) && !(p[i] >= 'A' && p[i] <= 'Z') && !strchr(".-:[]", p[i]))
			return false;
	return len > 0;
}

static bool tag_valid(const char *p)
{
	for (size_t i = 0; p[i]; i++)
		if (!is_lower(p[i]) && !(p[i] >= 'A' && p[i] <= 'Z') && p[i] != '_' &&
		        (i == 0 || !strchr(".-", p[i])))
			return false;
	return *p;
}

/* The first component names a host if it could be no part of a path, or has a dot or a port, or is localhost. */
static size_t host_length(const char *text)
{
	size_t len = strcspn(text, "/");

	if (!text[len])
		return 0;
	if (memchr(text, '.', len) || memchr(text, ':', len) || (len == 9 && memcmp(text, "localhost", 9) == 0))
		return len;
	return 0;
}

int image_ref_parse(struct image_ref *out, const char *text, struct err *err)
{
	char name[IMAGE_REF_BYTES];
	const char *path;
	char *at, *colon;
	size_t host;

	*out = (struct image_ref){0};
	if (strlen(text) >= sizeof(name))
		return err_set(
		        err, ERR_USAGE, "image \"%.80s...\": longer than %zu characters", text, sizeof(name) - 1);
	text_copy(name, sizeof(name), text);
	at = strchr(name, '@');
	if (at) {
		*at++ = '\0';
		if (!digest_valid(at))
			return err_set(
			        err, ERR_USAGE, "image \"%s\": a digest is sha256: and 64 hex digits", text);
		text_copy(out->digest, sizeof(out->digest), at);
	}
	host = host_length(name);
	path = name + host + (host > 0);
	colon = strchr(path, ':');
	if (colon) {
		*colon++ = '\0';
		if (!tag_valid(colon) || strlen(colon) >= sizeof(out->tag))
			return err_set(err, ERR_USAGE,
			        "image \"%s\": a tag has 1 to 128 letters, digits, '_', '.', '-', and begins with none of the "
			        "last two",
			        text);
		text_copy(out->tag, sizeof(out->tag), colon);
	} else if (!at) {
		text_copy(out->tag, sizeof(out->tag), "latest");
	}
	if (!path_valid(path) || (host && !host_valid(name, host)))
		return err_set(err, ERR_USAGE,
		        "image \"%s\": a name is [HOST[:PORT]/]PATH[:TAG][@sha256:DIGEST], its path in lower case",
		        text);
	if ((size_t)snprintf(out->repo, sizeof(out->repo), "%s%s%s", host ? "" : DOCKER,
	            !host && !strchr(path, '/') ? "library/" : "", name) >= sizeof(out->repo))
		return err_set(err, ERR_USAGE, "image \"%s\": host and path are longer than %d", text,
		        IMAGE_REPO_BYTES - 1);
	return 0;
}

static void put_text(char out[IMAGE_REF_BYTES], const char *repo, const struct image_ref *r)
{
	snprintf(out, IMAGE_REF_BYTES, "%s%s%s%s%s", repo, *r->tag ? ":" : "", r->tag, *r->digest ? "@" : "",
	        r->digest);
}

void image_ref_text(char out[IMAGE_REF_BYTES], const struct image_ref *r)
{
	put_text(out, r->repo, r);
}

void image_ref_short(char out[IMAGE_REF_BYTES], const struct image_ref *r)
{
	const char *repo = r->repo;

	if (strncmp(repo, DOCKER, strlen(DOCKER)) == 0)
		repo += strlen(DOCKER);
	if (repo != r->repo && strncmp(repo, "library/", 8) == 0)
		repo += 8;
	put_text(out, repo, r);
}
