/*
 * Images from registries. skopeo speaks with them: logins, certificates, mirrors and plain HTTP are as
 * containers-registries.conf(5) and containers-auth.json(5) of the host say. It writes blobs straight into the store, each
 * checked and by rename, and fetches only those that are not there.
 */
#include "node/image/load.h"

#include "base/text.h"
#include "node/image/stream.h"
#include "node/image/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Bytes of what skopeo says that are kept, from the end: its last line says what went wrong. */
#define SAID_BYTES 4096
/* Words of its command line. */
#define WORDS_MAX 24

struct said {
	char text[SAID_BYTES];
	size_t len;
};

/* Keeps the end. */
static void hear(struct said *s, const char *p, size_t len)
{
	if (len > SAID_BYTES / 2) {
		p += len - SAID_BYTES / 2;
		len = SAID_BYTES / 2;
	}
	if (s->len + len >= SAID_BYTES) {
		memmove(s->text, s->text + s->len - SAID_BYTES / 4, SAID_BYTES / 4);
		s->len = SAID_BYTES / 4;
	}
	memcpy(s->text + s->len, p, len);
	s->len += len;
	s->text[s->len] = '\0';
}

/* The last line; the part of it that says something. */
static const char *last_line(struct said *s)
{
	char *line, *msg;

	while (s->len && strchr("\n\r \"", s->text[s->len - 1]))
		s->text[--s->len] = '\0';
	line = strrchr(s->text, '\n');
	line = line ? line + 1 : s->text;
	msg = strstr(line, "msg=\"");
	return msg ? msg + 5 : line;
}

static bool is_loopback(const char *repo)
{
	return strncmp(repo, "127.", 4) == 0 || strncmp(repo, "localhost:", 10) == 0 ||
	       strncmp(repo, "localhost/", 10) == 0;
}

/* A reference as skopeo takes it: with a digest it wants no tag. */
static void source_of(char *out, size_t cap, const struct image_ref *ref)
{
	snprintf(out, cap, "docker://%s%s%s", ref->repo, *ref->digest ? "@" : ":",
	        *ref->digest ? ref->digest : ref->tag);
}

static int run(struct image_work *work, const struct image_ref *ref, char *const argv[], struct said *said,
        struct err *err)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int out[2], status = 0, rc;
	pid_t pid;
	char buf[1024], name[IMAGE_REF_BYTES], text[IMAGE_REF_BYTES + 32];
	ssize_t n;

	if (pipe2(out, O_CLOEXEC) < 0)
		return err_errno(err, "make a pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out[1], 1);
	posix_spawn_file_actions_adddup2(&actions, out[1], 2);
	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	rc = posix_spawnp(&pid, argv[0], &actions, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	close(out[1]);
	if (rc) {
		close(out[0]);
		errno = rc;
		if (rc == ENOENT)
			return err_set(err, ERR_UNPLACEABLE,
			        "this host has no skopeo, which fetches images; install it, or bring the image with `starling "
			        "image load FILE`");
		return err_errno(err, "start %s", argv[0]);
	}
	atomic_store(&work->child, pid);
	if (atomic_load(&work->cancelled))
		kill(pid, SIGTERM);
	image_ref_short(name, ref);
	snprintf(text, sizeof(text), "fetches image %s", name);
	work->say(work->ctx, text);
	while ((n = read(out[0], buf, sizeof(buf))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0)
			hear(said, buf, (size_t)n);
	close(out[0]);
	atomic_store(&work->child, 0);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

/* What skopeo says of common causes, in words that say what to do. */
static int explain(const struct image_ref *ref, struct said *said, struct err *err)
{
	static const struct {
		const char *word;
		enum err_code code;
		const char *text;
	} known[] = {
	        {"manifest unknown", ERR_UNPLACEABLE, "the registry has no such image or tag"},
	        {"name unknown", ERR_UNPLACEABLE, "the registry has no such image"},
	        {"no image found in manifest list", ERR_UNPLACEABLE,
	                "the image is not made for this host's platform"},
	        {"unauthorized", ERR_UNPLACEABLE,
	                "the registry wants a login, or refuses this one, or has no such image"},
	        {"denied", ERR_UNPLACEABLE, "the registry refuses access, or has no such image"},
	        {"server gave HTTP response to HTTPS client", ERR_UNPLACEABLE,
	                "the registry speaks plain HTTP; set insecure = true for it in /etc/containers/registries.conf"},
	        {"certificate signed by unknown authority", ERR_UNPLACEABLE,
	                "the registry's certificate is of an unknown authority; put that into /etc/containers/certs.d/"},
	        {"no space left on device", ERR_FAILED, "disk full"},
	        {"connection refused", ERR_FAILED, "the registry does not answer"},
	        {"no such host", ERR_FAILED, "the registry's name is not known"},
	        {"i/o timeout", ERR_FAILED, "the registry does not answer"},
	        {"does not match", ERR_UNPLACEABLE, "what the registry sent has another digest than it should"},
	};
	const char *line = last_line(said);
	char name[IMAGE_REF_BYTES];

	image_ref_short(name, ref);
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strstr(line, known[i].word))
			return err_set(err, known[i].code, "image %s: %s (%.300s)", name, known[i].text, line);
	return err_set(err, ERR_FAILED, "image %s: skopeo: %.400s", name, *line ? line : "ended without a word");
}

/* The digest of what skopeo left: the one entry of the layout's index. */
static int read_digest(struct image_store *s, const char *tmp, char digest[DIGEST_BYTES], struct err *err)
{
	char path[IMAGE_TMP_BYTES + 16], bytes[STREAM_CHUNK];
	struct image_index index;
	struct arena arena;
	ssize_t n;
	int fd, rc;

	snprintf(path, sizeof(path), "%s/index.json", tmp);
	fd = openat(image_tmp_fd(s), path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return err_errno(err, "read what skopeo fetched");
	arena_init(&arena);
	rc = image_index_parse(&index, &arena, bytes, (size_t)n, err);
	if (rc == 0 && index.n != 1)
		rc = err_set(err, ERR_FAILED, "skopeo fetched %zu images", index.n);
	if (rc == 0)
		text_copy(digest, DIGEST_BYTES, index.entries[0].digest);
	arena_free(&arena);
	return rc;
}

static int fetch(struct image_store *s, const struct image_ref *ref, const char *tmp, struct image_work *work,
        struct err *err)
{
	char source[IMAGE_REF_BYTES + 16], blobs[4096], to[4096];
	struct said *said = xcalloc(1, sizeof(*said));
	char *argv[WORDS_MAX];
	size_t n = 0;
	int rc;

	source_of(source, sizeof(source), ref);
	snprintf(blobs, sizeof(blobs), "%s/blobs", image_store_dir(s));
	snprintf(to, sizeof(to), "oci:%s/tmp/%s:image", image_store_dir(s), tmp);
	argv[n++] = (char *)"skopeo";
	/* A host's own policy holds; without any, skopeo would refuse all. */
	if (access("/etc/containers/policy.json", R_OK) < 0)
		argv[n++] = (char *)"--insecure-policy";
	argv[n++] = (char *)"copy";
	argv[n++] = (char *)"--dest-shared-blob-dir";
	argv[n++] = blobs;
	/* As Docker does: nobody can stand between. */
	if (is_loopback(ref->repo))
		argv[n++] = (char *)"--src-tls-verify=false";
	argv[n++] = source;
	argv[n++] = to;
	argv[n] = NULL;
	rc = run(work, ref, argv, said, err);
	if (rc > 0)
		rc = explain(ref, said, err);
	free(said);
	return rc;
}

int image_pull(struct image_store *s, const struct image_ref *ref, bool by_hand, wall_ms now,
        struct image_work *work, struct image_entry *out, struct err *err)
{
	char tmp[IMAGE_TMP_BYTES], digest[DIGEST_BYTES], name[IMAGE_REF_BYTES], text[IMAGE_REF_BYTES + 32];
	int rc;

	if (disk_check(image_store_fd(s), 0, err) < 0 || image_tmp_folder(s, tmp, err) < 0)
		return -1;
	image_ref_short(name, ref);
	rc = fetch(s, ref, tmp, work, err);
	if (rc == 0)
		rc = read_digest(s, tmp, digest, err);
	if (rc == 0) {
		snprintf(text, sizeof(text), "unpacks image %s", name);
		work->say(work->ctx, text);
		rc = image_adopt(s, digest, ref, by_hand, now, &work->cancelled, out, err);
		if (rc < 0)
			err_wrap(err, "image %s", name);
	}
	folder_drop(image_tmp_fd(s), tmp, NULL);
	return rc;
}
