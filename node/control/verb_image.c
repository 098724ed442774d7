/* images, image_pull, image_put, image_load, image_rm: what this peer keeps of images. */
#include "base/text.h"
#include "node/agent_parts.h"
#include "node/control/call.h"
#include "node/image/images.h"

static bool may_keep(struct call *c)
{
	struct err err;

	if (c->agent->images)
		return true;
	err_set(&err, ERR_FAILED, "%s: peer %s keeps no images: its agent is not root, or its log says why",
	        c->req.verb, c->agent->cfg.name);
	call_fail(c, &err);
	return false;
}

static void pack_entry(struct wr *w, const struct image_entry *e)
{
	char name[IMAGE_REF_BYTES], time[25];
	struct image_ref ref;

	text_copy(name, sizeof(name), e->ref);
	if (image_ref_parse(&ref, e->ref, NULL) == 0)
		image_ref_short(name, &ref);
	pk_map(w, 7);
	pk_kv_str(w, "image", name);
	pk_kv_str(w, "id", e->config);
	pk_kv_str(w, "digest", e->manifest);
	pk_kv_u64(w, "bytes", e->bytes);
	text_time(time, e->added);
	pk_kv_str(w, "added_at", time);
	text_time(time, e->used);
	pk_kv_str(w, "used_at", time);
	pk_kv_bool(w, "by_hand", e->by_hand);
}

void verb_images(struct call *c)
{
	struct image_entry *entries;
	struct arena arena;
	struct rows r;
	size_t n = 0;

	arena_init(&arena);
	rows_init(&r);
	if (c->agent->images)
		n = image_list(images_store(c->agent->images), &arena, &entries);
	for (size_t i = 0; i < n; i++) {
		pack_entry(&r.w, &entries[i]);
		rows_end(&r);
	}
	call_rows(c, &r);
	rows_free(&r);
	arena_free(&arena);
}

/* ---- work that goes on ---- */

struct waiting {
	struct call *call;
	struct images_wait *wait;
};

static void waiting_free(void *state)
{
	struct waiting *w = state;

	/* Whoever asked is gone; the image comes all the same. */
	if (w->wait)
		images_leave(w->wait);
	free(w);
}

static void on_said(void *ctx, const char *text)
{
	struct waiting *s = ctx;
	struct wr w;

	wr_init(&w, ERR_TEXT_MAX + 64);
	pk_map(&w, 1);
	pk_kv_str(&w, "text", text);
	call_item(s->call, &w);
	wr_free(&w);
}

static void on_done(void *ctx, const struct image_entry *entries, size_t n, const struct err *err)
{
	struct waiting *s = ctx;
	struct wr w;

	s->wait = NULL;
	if (err) {
		call_fail(s->call, err);
		return;
	}
	wr_init(&w, CONTROL_MESSAGE_MAX);
	pk_map(&w, 1);
	pk_str(&w, "images");
	pk_array(&w, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		pack_entry(&w, &entries[i]);
	call_end(s->call, &w);
	wr_free(&w);
}

static struct waiting *wait_begin(struct call *c)
{
	struct waiting *s = xcalloc(1, sizeof(*s));

	s->call = c;
	c->state = s;
	c->free_state = waiting_free;
	return s;
}

void verb_image_pull(struct call *c)
{
	char text[IMAGE_REF_BYTES];
	struct image_ref ref;
	struct waiting *s;
	struct err err;
	bool given;

	if (c->state || !may_keep(c))
		return;
	if (arg_text(c, "image", text, sizeof(text), &given, &err) < 0 || image_ref_parse(&ref, text, &err) < 0) {
		call_fail(c, &err);
		return;
	}
	s = wait_begin(c);
	s->wait = images_pull(c->agent->images, &ref, true, on_said, on_done, s, &err);
	if (!s->wait)
		call_fail(c, &err);
}

void verb_image_put(struct call *c)
{
	const uint8_t *bytes;
	uint64_t upload, offset;
	struct err err;
	struct wr w;
	size_t len;
	bool given;
	int rc;

	if (!may_keep(c))
		return;
	rc = arg_u64(c, "upload", &upload, &given, &err);
	if (rc == 0 && !given) {
		upload = images_upload_begin(c->agent->images, &err);
		rc = upload ? 0 : -1;
	}
	if (rc < 0 || arg_u64(c, "offset", &offset, &given, &err) < 0 ||
	        arg_bin(c, "bytes", &bytes, &len, &given, &err) < 0 ||
	        images_upload_piece(c->agent->images, upload, offset, bytes, len, &err) < 0) {
		call_fail(c, &err);
		return;
	}
	wr_init(&w, 64);
	pk_map(&w, 1);
	pk_kv_u64(&w, "upload", upload);
	call_end(c, &w);
	wr_free(&w);
}

void verb_image_load(struct call *c)
{
	char name[IMAGE_REF_BYTES];
	struct image_ref ref;
	struct waiting *s;
	struct err err;
	uint64_t upload;
	bool given, named;
	int fd;

	if (c->state || !may_keep(c))
		return;
	if (arg_u64(c, "upload", &upload, &given, &err) < 0 ||
	        arg_text(c, "name", name, sizeof(name), &named, &err) < 0 ||
	        (*name && image_ref_parse(&ref, name, &err) < 0) ||
	        (fd = images_upload_take(c->agent->images, upload, &err)) < 0) {
		call_fail(c, &err);
		return;
	}
	s = wait_begin(c);
	s->wait = images_load(c->agent->images, fd, name, on_said, on_done, s, &err);
	if (!s->wait)
		call_fail(c, &err);
}

struct needed {
	size_t n;
	const char **refs;
};

static bool is_needed(void *ctx, const struct image_entry *e)
{
	const struct needed *needed = ctx;
	char text[IMAGE_REF_BYTES];
	struct image_ref ref;

	for (size_t i = 0; i < needed->n; i++) {
		if (image_ref_parse(&ref, needed->refs[i], NULL) < 0)
			continue;
		image_ref_text(text, &ref);
		if (strcmp(text, e->ref) == 0 || (*ref.digest && strcmp(ref.digest, e->manifest) == 0))
			return true;
	}
	return false;
}

void verb_image_rm(struct call *c)
{
	char text[IMAGE_REF_BYTES];
	struct needed needed;
	struct arena arena;
	struct err err;
	struct wr w;
	bool given;
	int n = -1;

	if (!may_keep(c))
		return;
	arena_init(&arena);
	if (arg_text(c, "image", text, sizeof(text), &given, &err) == 0) {
		needed.n = agent_needed_images(c->agent, &arena, &needed.refs);
		n = image_remove(images_store(c->agent->images), text, is_needed, &needed, &err);
	}
	arena_free(&arena);
	if (n < 0) {
		call_fail(c, &err);
		return;
	}
	agent_collect_images(c->agent);
	wr_init(&w, 64);
	pk_map(&w, 1);
	pk_kv_u64(&w, "removed", (uint64_t)n);
	call_end(c, &w);
	wr_free(&w);
}
