#include "cli/authoring.h"

#include "base/text.h"
#include "cli/revision.h"
#include "cli/submit.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

/* An operator's key, or the root's: what it may do, the flock's grants say. */
static int load_key(const struct cli *cli, struct keypair *out, struct err *err)
{
	struct key32 root;

	if (keyfile_public(cli->key_path, "root", &root, NULL) == 0)
		return keyfile_load(cli->key_path, "root", out, err);
	return client_key(cli, out, err);
}

int authoring_begin(const struct cli *cli, struct client *c, struct authoring *out, struct err *err)
{
	struct stack_head head;
	struct arena arena;
	int rc;

	memset(out, 0, sizeof(*out));
	if (load_key(cli, &out->key, err) < 0)
		return -1;
	arena_init(&arena);
	rc = author_heads_get(c, &out->key.public_key, &arena, &head, err);
	if (rc == 0) {
		out->stamp = head.stamp;
		out->n_prev = head.n_author_heads;
		memcpy(out->prev, head.author_heads, sizeof(out->prev));
	} else {
		authoring_end(out);
	}
	arena_free(&arena);
	return rc;
}

void authoring_end(struct authoring *a)
{
	sodium_memzero(a, sizeof(*a));
}

int authoring_submit(const struct cli *cli, struct client *c, const struct wr *record, struct err *err)
{
	struct submitted submitted;
	char what[64];

	snprintf(what, sizeof(what), "%s: ", cli->verb->name);
	return submit_record(cli, c, record, what, &submitted, err);
}

int flock_file_write(const char *key_path, const struct key32 *flock, struct err *err)
{
	char dir[CLI_PATH_MAX], path[CLI_PATH_MAX + 16], tmp[CLI_PATH_MAX + 32], line[66];
	int fd, rc = 0;

	text_copy(dir, sizeof(dir), key_path);
	snprintf(path, sizeof(path), "%s/flock", dirname(dir));
	snprintf(tmp, sizeof(tmp), "%s.new", path);
	hex_encode(line, flock->b, sizeof(flock->b));
	line[64] = '\n';
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return err_errno(err, "write %s", tmp);
	if (write(fd, line, 65) != 65 || fsync(fd) < 0 || rename(tmp, path) < 0)
		rc = err_errno(err, "write %s", path);
	close(fd);
	if (rc < 0)
		unlink(tmp);
	return rc;
}
