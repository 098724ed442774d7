#include "cli/setting.h"

#include "base/text.h"
#include "cli/authoring.h"
#include "gossip/trust/trust.h"

static void read_body(struct rd *r, struct setting *s)
{
	const uint8_t *body;

	if (up_peek(r) == UP_NIL) {
		up_nil(r);
		return;
	}
	body = up_bin(r, &s->body_len);
	if (rd_ok(r) && s->body_len > sizeof(s->body))
		rd_fail(r, "a setting's body is too long");
	if (!rd_ok(r))
		return;
	memcpy(s->body, body, s->body_len);
	s->exists = true;
}

static int read_answer(struct setting *s, const struct wr *bytes, struct err *err)
{
	uint32_t n, heads;
	struct rd r;

	rd_init(&r, bytes->p, bytes->len);
	n = up_map(&r);
	for (uint32_t i = 0; i < n && rd_ok(&r); i++) {
		size_t len;
		const char *key = up_str(&r, &len);

		if (up_is(key, len, "heads")) {
			heads = up_array(&r);
			if (heads > RECORD_REFS_MAX)
				rd_fail(&r, "too many heads");
			for (; s->n_heads < heads && rd_ok(&r); s->n_heads++)
				up_bin_copy(&r, s->heads[s->n_heads].b, sizeof(s->heads[0].b));
		} else if (up_is(key, len, "body")) {
			read_body(&r, s);
		} else if (up_is(key, len, "author_name")) {
			up_str_copy(&r, s->author_name, sizeof(s->author_name));
		} else {
			up_skip(&r);
		}
	}
	return rd_end(&r, err);
}

int setting_get(struct client *c, const char *name, struct setting *out, struct err *err)
{
	struct wr args, end;
	int rc;

	memset(out, 0, sizeof(*out));
	text_copy(out->name, sizeof(out->name), name);
	wr_init(&args, 512);
	wr_init(&end, CONTROL_MESSAGE_MAX);
	pk_map(&args, 1);
	pk_kv_str(&args, "name", name);
	rc = client_call(c, "setting", &args, false, NULL, NULL, &end, 0, err);
	if (rc == 0 && read_answer(out, &end, err) < 0)
		rc = err_wrap(err, "the agent's answer on setting %s", name);
	wr_free(&args);
	wr_free(&end);
	return rc;
}

int setting_submit(const struct cli *cli, struct client *c, const struct setting *now, const struct wr *body,
        struct err *err)
{
	struct setting_text s = {.name = now->name,
	        .body = body->p,
	        .body_len = body->len,
	        .parents = now->heads,
	        .n_parents = now->n_heads};
	struct authoring a;
	struct wr record;
	int rc;

	if (!wr_ok(body))
		return err_set(err, ERR_USAGE, "setting %s: larger than %d bytes", now->name, SETTING_BYTES_MAX);
	if (authoring_begin(cli, c, &a, err) < 0)
		return -1;
	wr_init(&record, RECORD_BYTES_MAX);
	trust_make_setting(&record, &client_hello(c)->flock, &s, a.stamp, a.prev, a.n_prev, a.key.secret);
	rc = authoring_submit(cli, c, &record, err);
	wr_free(&record);
	authoring_end(&a);
	return rc;
}
