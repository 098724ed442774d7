/* Arguments of a request, and rows of an answer. */
#include "node/control/call.h"

void rows_init(struct rows *r)
{
	*r = (struct rows){0};
	wr_init(&r->w, ROWS_BYTES_MAX);
}

void rows_free(struct rows *r)
{
	wr_free(&r->w);
	free(r->end);
}

void rows_end(struct rows *r)
{
	if (r->n == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 32;
		r->end = xrealloc(r->end, r->cap * sizeof(*r->end));
	}
	r->end[r->n++] = r->w.len;
}

bool arg_find(const struct call *c, const char *name, struct rd *r)
{
	uint32_t n;

	rd_init(r, c->req.args, c->req.args_len);
	n = up_map(r);
	for (uint32_t i = 0; i < n && rd_ok(r); i++) {
		size_t len;
		const char *key = up_str(r, &len);

		if (up_is(key, len, name))
			return up_peek(r) != UP_NIL;
		up_skip(r);
	}
	return false;
}

int arg_done(const struct call *c, const char *name, const struct rd *r, struct err *err)
{
	if (rd_ok(r))
		return 0;
	return err_set(err, ERR_USAGE, "request %s: argument %s: %s", c->req.verb, name, r->fail);
}

int arg_text(const struct call *c, const char *name, char *out, size_t cap, bool *given, struct err *err)
{
	struct rd r;

	out[0] = '\0';
	*given = arg_find(c, name, &r);
	if (*given)
		up_str_copy(&r, out, cap);
	return arg_done(c, name, &r, err);
}

int arg_u64(const struct call *c, const char *name, uint64_t *out, bool *given, struct err *err)
{
	struct rd r;

	*out = 0;
	*given = arg_find(c, name, &r);
	if (*given)
		*out = up_u64(&r);
	return arg_done(c, name, &r, err);
}

int arg_bool(const struct call *c, const char *name, bool *out, struct err *err)
{
	struct rd r;

	*out = arg_find(c, name, &r) && up_bool(&r);
	return arg_done(c, name, &r, err);
}

int arg_bin(
        const struct call *c, const char *name, const uint8_t **out, size_t *len, bool *given, struct err *err)
{
	struct rd r;

	*out = NULL;
	*len = 0;
	*given = arg_find(c, name, &r);
	if (*given)
		*out = up_bin(&r, len);
	return arg_done(c, name, &r, err);
}
