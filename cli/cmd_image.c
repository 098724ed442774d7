/* starling image pull, load, ls, rm: what peers keep of images, on the peer asked or on all that are there. */
#include "cli/list.h"

#include "base/text.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes of one piece of an archive: with its envelope it fits one control message. */
#define PIECE_BYTES (192 * 1024)
/* Ms that fetching and unpacking an image may take, unless --timeout says. */
#define IMAGE_WAIT_MS MINUTES(30)

#define ALL                                                                                                      \
	{                                                                                                        \
		"all", 0, OPT_FLAG, NULL, "on all peers that can be reached"                                     \
	}
const struct cli_option cmd_image_pull_options[] = {ALL, {0}};
const struct cli_option cmd_image_load_options[] = {
        {"name", 0, OPT_TEXT, "NAME[:TAG]", "what to call it (default: as the archive says)"}, ALL, {0}};
const struct cli_option cmd_image_ls_options[] = {{0}};
const struct cli_option cmd_image_rm_options[] = {ALL, {0}};

static void size_cell(char *out, size_t cap, const json_t *row)
{
	out_bytes(out, cap, (uint64_t)json_integer_value(json_object_get(row, "bytes")));
}

/* The digest's first digits, as docker shows them. */
static void id_cell(char *out, size_t cap, const json_t *row)
{
	const char *id = json_string_value(json_object_get(row, "id"));

	snprintf(out, cap, "%.12s", id && strlen(id) > 7 ? id + 7 : "-");
}

static const struct column cols[] = {
        {"IMAGE", "image", false, NULL},
        {"ID", NULL, false, id_cell},
        {"SIZE", NULL, false, size_cell},
        {"USED", "used_at", false, NULL},
        {"DIGEST", "digest", true, NULL},
        {"BY-HAND", "by_hand", true, NULL},
        {"ADDED", "added_at", true, NULL},
};

int cmd_image_ls(struct cli *cli)
{
	return list_verb(cli, "images", NULL, cols, ARRAY_LEN(cols), "image");
}

/* ---- on one peer, or on all ---- */

typedef int on_peer_fn(struct cli *cli, struct client *c, const char *peer, json_t *out, struct err *err);

static json_t *end_json(const struct wr *end)
{
	json_t *v = value_json(end->p, end->len);

	return v ? v : json_object();
}

static int on_one(struct cli *cli, struct client *c, const char *name, on_peer_fn *fn, json_t *out)
{
	json_t *row = json_object();
	struct err err = {0};
	int code = 0;

	json_object_set_new(row, "peer", json_string(name));
	if (fn(cli, c, name, row, &err) < 0) {
		cli_warn(cli, "peer %s: %s", name, err.text);
		json_object_set_new(row, "error", json_string(err.text));
		code = (int)err.code;
	}
	json_array_append_new(out, row);
	return code;
}

/* Peers out of reach make it partial; a peer that says no decides the exit code. */
static int on_all(struct cli *cli, struct client *c, on_peer_fn *fn, json_t *out, struct err *err)
{
	json_t *rows = client_list(c, "members", NULL, false, err);
	int code = 0, partial = 0;
	const json_t *row;
	size_t i;

	json_array_foreach (rows, i, row) {
		const char *id = json_string_value(json_object_get(row, "id"));
		const char *name = json_string_value(json_object_get(row, "name"));
		struct err lost = {0};
		const char *state = json_string_value(json_object_get(row, "state"));
		struct client *to;
		int one;

		if (!id || !name || (state && strcmp(state, "left") == 0))
			continue;
		to = client_open_through(cli, id, name, true, &lost);
		if (!to) {
			cli_warn(cli, "peer %s: %s", name, lost.text);
			partial = lost.code == ERR_UNAUTHORISED ? ERR_UNAUTHORISED : ERR_PARTIAL;
			continue;
		}
		one = on_one(cli, to, name, fn, out);
		code = code ? code : one;
		client_close(to);
	}
	json_decref(rows);
	return !rows ? -1 : code ? code : partial;
}

static int on_peers(struct cli *cli, on_peer_fn *fn)
{
	struct err err = {0};
	struct client *c = client_open(cli, &err);
	json_t *out = json_array();
	int code = !c                     ? -1
	           : cli_flag(cli, "all") ? on_all(cli, c, fn, out, &err)
	                                  : on_one(cli, c, client_hello(c)->peer_name, fn, out);

	client_close(c);
	if (code >= 0 && cli->format == FORMAT_JSON)
		out_json(cli->out, out);
	json_decref(out);
	return code < 0 ? cli_fail(cli, &err) : code;
}

/* ---- pull, rm ---- */

struct saying {
	const struct cli *cli;
	const char *peer;
	char last[256];
};

static int say_progress(void *ctx, const uint8_t *bytes, size_t len, struct err *err)
{
	struct saying *s = ctx;
	json_t *row = value_json(bytes, len);
	const char *text = json_string_value(json_object_get(row, "text"));

	(void)err;
	if (text && strcmp(text, s->last) != 0) {
		text_copy(s->last, sizeof(s->last), text);
		cli_say(s->cli, "peer %s: %s", s->peer, text);
	}
	json_decref(row);
	return 0;
}

/* Asks for work that ends with a list of images, and says what it does meanwhile. */
static int ask(struct cli *cli, struct client *c, const char *peer, const char *verb, const struct wr *args,
        json_t *out, struct err *err)
{
	struct saying s = {.cli = cli, .peer = peer};
	struct wr end = {0};
	json_t *images, *row;
	size_t i;

	if (client_call(c, verb, args, true, say_progress, &s, &end,
	            cli->timeout_ms ? cli->timeout_ms : IMAGE_WAIT_MS, err) < 0)
		return -1;
	row = end_json(&end);
	wr_free(&end);
	images = json_incref(json_object_get(row, "images"));
	json_decref(row);
	json_array_foreach (images, i, row) {
		const char *name = json_string_value(json_object_get(row, "image"));

		if (cli->quiet && cli->format != FORMAT_JSON)
			fprintf(cli->out, "%s\n", name ? name : "");
		cli_say(cli, "peer %s has image %s", peer, name ? name : "");
	}
	json_object_set_new(out, "images", images ? images : json_array());
	return 0;
}

static int pull_on(struct cli *cli, struct client *c, const char *peer, json_t *out, struct err *err)
{
	struct wr args;
	int rc;

	wr_init(&args, 4096);
	pk_map(&args, 1);
	pk_kv_str(&args, "image", cli->args[0]);
	rc = ask(cli, c, peer, "image_pull", &args, out, err);
	wr_free(&args);
	return rc;
}

int cmd_image_pull(struct cli *cli)
{
	return on_peers(cli, pull_on);
}

static int rm_on(struct cli *cli, struct client *c, const char *peer, json_t *out, struct err *err)
{
	json_t *end;
	struct wr args;

	wr_init(&args, 4096);
	pk_map(&args, 1);
	pk_kv_str(&args, "image", cli->args[0]);
	end = client_get(c, "image_rm", &args, true, err);
	wr_free(&args);
	if (!end)
		return -1;
	cli_say(cli, "peer %s: image %s is removed", peer, cli->args[0]);
	json_object_set(out, "removed", json_object_get(end, "removed"));
	json_decref(end);
	return 0;
}

int cmd_image_rm(struct cli *cli)
{
	return on_peers(cli, rm_on);
}

/* ---- load ---- */

/* A layout folder as a tar archive; files only, as a layout has no others. */
static int add_folder(struct archive *a, int dir, const char *prefix, unsigned depth, struct err *err)
{
	DIR *d = depth < 4 ? fdopendir(dup(dir)) : NULL;
	int rc = 0;

	for (struct dirent *e; rc == 0 && d && (e = readdir(d));) {
		char path[1024], buf[65536];
		struct archive_entry *entry;
		struct stat st;
		int fd;

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix ? "/" : "", e->d_name);
		fd = openat(dir, e->d_name, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || fstat(fd, &st) < 0) {
			rc = err_errno(err, "open %s", path);
		} else if (S_ISDIR(st.st_mode)) {
			rc = add_folder(a, fd, path, depth + 1, err);
		} else {
			entry = archive_entry_new();
			archive_entry_set_pathname(entry, path);
			archive_entry_set_filetype(entry, AE_IFREG);
			archive_entry_set_perm(entry, 0644);
			archive_entry_set_size(entry, st.st_size);
			if (archive_write_header(a, entry) != ARCHIVE_OK)
				rc = err_set(err, ERR_FAILED, "%s: %s", path, archive_error_string(a));
			archive_entry_free(entry);
			for (ssize_t n; rc == 0 && (n = read(fd, buf, sizeof(buf))) != 0;)
				if (n < 0 || archive_write_data(a, buf, (size_t)n) != n)
					rc = err_errno(err, "read %s", path);
		}
		if (fd >= 0)
			close(fd);
	}
	if (d)
		closedir(d);
	return rc;
}

/* The file to send, open at its begin. */
static int open_source(const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct archive *a;
	struct stat st;
	int tar = -1;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(err, "open %s", path);
	if (!S_ISDIR(st.st_mode))
		return fd;
	tar = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	a = archive_write_new();
	archive_write_set_format_pax_restricted(a);
	if (tar < 0 || archive_write_open_fd(a, tar) != ARCHIVE_OK) {
		err_errno(err, "make a file in /tmp");
		tar = -1;
	} else if (add_folder(a, fd, "", 0, err) < 0 || archive_write_close(a) != ARCHIVE_OK) {
		close(tar);
		tar = -1;
	}
	archive_write_free(a);
	close(fd);
	if (tar >= 0)
		lseek(tar, 0, SEEK_SET);
	return tar;
}

/* Sends the file in pieces; returns the upload's number, 0 with err. */
static uint64_t send_file(struct client *c, int fd, struct err *err)
{
	uint8_t *bytes = xmalloc(PIECE_BYTES);
	uint64_t upload = 0, offset = 0;
	ssize_t n;

	while ((n = pread(fd, bytes, PIECE_BYTES, (off_t)offset)) > 0) {
		struct wr args;
		json_t *end;

		wr_init(&args, PIECE_BYTES + 4096);
		pk_map(&args, upload ? 3 : 2);
		if (upload)
			pk_kv_u64(&args, "upload", upload);
		pk_kv_u64(&args, "offset", offset);
		pk_str(&args, "bytes");
		pk_bin(&args, bytes, (size_t)n);
		end = client_get(c, "image_put", &args, true, err);
		wr_free(&args);
		if (!end) {
			free(bytes);
			return 0;
		}
		upload = (uint64_t)json_integer_value(json_object_get(end, "upload"));
		json_decref(end);
		offset += (uint64_t)n;
	}
	free(bytes);
	if (n < 0)
		err_errno(err, "read the archive");
	else if (!upload)
		err_set(err, ERR_USAGE, "the archive is empty");
	return n < 0 ? 0 : upload;
}

static int load_on(struct cli *cli, struct client *c, const char *peer, json_t *out, struct err *err)
{
	int fd = open_source(cli->args[0], err);
	const char *name = cli_text(cli, "name");
	uint64_t upload;
	struct wr args;
	int rc;

	if (fd < 0)
		return -1;
	cli_say(cli, "peer %s: gets the archive", peer);
	upload = send_file(c, fd, err);
	close(fd);
	if (!upload)
		return -1;
	wr_init(&args, 4096);
	pk_map(&args, name ? 2 : 1);
	pk_kv_u64(&args, "upload", upload);
	if (name)
		pk_kv_str(&args, "name", name);
	rc = ask(cli, c, peer, "image_load", &args, out, err);
	wr_free(&args);
	return rc;
}

int cmd_image_load(struct cli *cli)
{
	return on_peers(cli, load_on);
}
