#include "cli/compose/interp.h"

#include "base/buf.h"

/* Longest name of a variable. */
#define VAR_NAME_MAX 256

struct interp {
	const char *p;
	const char *end;
	const struct vars *vars;
	struct err *err;
};

static bool name_start(char c)
{
	return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool name_char(char c)
{
	return name_start(c) || (c >= '0' && c <= '9');
}

static int take_name(struct interp *in, char out[VAR_NAME_MAX])
{
	size_t len = 0;

	if (in->p == in->end || !name_start(*in->p))
		return err_set(in->err, ERR_USAGE,
		        "a $ stands before neither a name nor {NAME}; write $$ for a plain dollar");
	while (in->p < in->end && name_char(*in->p)) {
		if (len == VAR_NAME_MAX - 1)
			return err_set(in->err, ERR_USAGE, "the name of a variable is longer than 255");
		out[len++] = *in->p++;
	}
	out[len] = '\0';
	return 0;
}

/* The `}` that closes what in->p stands in, inner ${} skipped; NULL when there is none. */
static const char *closing(const struct interp *in)
{
	unsigned depth = 1;

	for (const char *p = in->p; p < in->end; p++) {
		if (p[0] == '$' && p + 1 < in->end && p[1] == '$') {
			p++;
		} else if (p[0] == '$' && p + 1 < in->end && p[1] == '{') {
			depth++;
			p++;
		} else if (*p == '}' && --depth == 0) {
			return p;
		}
	}
	return NULL;
}

static int expand(struct interp *in, struct wr *out, unsigned depth);

static const char *lookup(struct interp *in, const char *name)
{
	return in->vars->get(in->vars->ctx, name);
}

static void put(struct wr *out, const char *s)
{
	wr_bytes(out, s, strlen(s));
}

static int expand_word(struct interp *in, const char *end, struct wr *out, unsigned depth)
{
	struct interp word = *in;

	word.end = end;
	if (depth + 1 == INTERP_DEPTH_MAX)
		return err_set(in->err, ERR_USAGE, "variables nested more than %d deep", INTERP_DEPTH_MAX);
	return expand(&word, out, depth + 1);
}

static int fail_required(struct interp *in, const char *name, const char *end, bool empty_too, unsigned depth)
{
	struct wr text;
	int ret;

	wr_init(&text, ERR_TEXT_MAX);
	ret = expand_word(in, end, &text, depth);
	if (ret == 0)
		ret = err_set(in->err, ERR_USAGE, "variable %s is %s%s%.*s", name,
		        empty_too ? "unset or empty" : "unset", text.len ? ": " : "", (int)text.len,
		        text.len ? (const char *)text.p : "");
	wr_free(&text);
	return ret;
}

/* After "${". */
static int expand_braces(struct interp *in, struct wr *out, unsigned depth)
{
	const char *end = closing(in);
	char name[VAR_NAME_MAX];
	const char *value;
	bool colon = false;
	bool there;
	char op;
	int ret = 0;

	if (!end)
		return err_set(in->err, ERR_USAGE, "a ${ has no closing }");
	if (take_name(in, name) < 0)
		return -1;
	value = lookup(in, name);
	if (in->p == end) {
		in->p = end + 1;
		if (value)
			put(out, value);
		else if (in->vars->unset)
			in->vars->unset(in->vars->ctx, name);
		return 0;
	}
	if (*in->p == ':' && in->p + 1 < end) {
		colon = true;
		in->p++;
	}
	op = *in->p++;
	there = value && (!colon || *value);
	switch (op) {
	case '-':
		if (there)
			put(out, value);
		else
			ret = expand_word(in, end, out, depth);
		break;
	case '+':
		if (there)
			ret = expand_word(in, end, out, depth);
		break;
	case '?':
		if (there)
			put(out, value);
		else
			ret = fail_required(in, name, end, colon, depth);
		break;
	default:
		return err_set(in->err, ERR_USAGE,
		        "${%s%s%c...}: only :- - :? ? :+ + may follow the name of a variable", name,
		        colon ? ":" : "", op);
	}
	in->p = end + 1;
	return ret;
}

static int expand_dollar(struct interp *in, struct wr *out, unsigned depth)
{
	char name[VAR_NAME_MAX];
	const char *value;

	if (in->p < in->end && *in->p == '$') {
		in->p++;
		wr_u8(out, '$');
		return 0;
	}
	if (in->p < in->end && *in->p == '{') {
		in->p++;
		return expand_braces(in, out, depth);
	}
	if (take_name(in, name) < 0)
		return -1;
	value = lookup(in, name);
	if (value)
		put(out, value);
	else if (in->vars->unset)
		in->vars->unset(in->vars->ctx, name);
	return 0;
}

static int expand(struct interp *in, struct wr *out, unsigned depth)
{
	while (in->p < in->end && wr_ok(out)) {
		char c = *in->p++;

		if (c != '$')
			wr_u8(out, (uint8_t)c);
		else if (expand_dollar(in, out, depth) < 0)
			return -1;
	}
	if (!wr_ok(out))
		return err_set(in->err, ERR_USAGE, "longer than %d bytes after variables are filled in",
		        INTERP_BYTES_MAX);
	return 0;
}

const char *interpolate(struct arena *arena, const char *text, const struct vars *vars, struct err *err)
{
	struct interp in = {text, text + strlen(text), vars, err};
	const char *result = NULL;
	struct wr out;

	wr_init(&out, INTERP_BYTES_MAX);
	if (expand(&in, &out, 0) == 0)
		result = arena_strndup(arena, out.len ? (const char *)out.p : "", out.len);
	wr_free(&out);
	return result;
}
