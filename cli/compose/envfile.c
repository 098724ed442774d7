#include "cli/compose/envfile.h"

#include "base/text.h"

/* Variables of one file. */
#define ENVFILE_VARS_MAX 1024

struct reader {
	const char *p;
	const char *end;
	const char *line_start;
	uint32_t line;
	const struct source *src;
	struct envfile *out;
	const struct vars *outer;
	struct arena *arena;
	struct diags *diags;
	bool failed;
};

static void fail(struct reader *r, const char *at, const char *fmt, const char *what)
{
	char text[256];

	snprintf(text, sizeof(text), fmt, what);
	diag_error(
	        r->diags, (struct mark){r->src, r->line, (uint32_t)(at - r->line_start) + 1}, NULL, "%s", text);
	r->failed = true;
}

static bool name_char(char c)
{
	return c == '_' || c == '.' || c == '-' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9');
}

static void skip_blanks(struct reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\r'))
		r->p++;
}

static void next_line(struct reader *r)
{
	while (r->p < r->end && *r->p != '\n')
		r->p++;
	if (r->p < r->end)
		r->p++;
	r->line++;
	r->line_start = r->p;
}

static void add(struct reader *r, const char *key, const char *value)
{
	struct envfile *f = r->out;

	if (f->n == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 16;
		struct kv *bigger = arena_array(r->arena, cap, sizeof(*bigger));

		if (f->n)
			memcpy(bigger, f->vars, f->n * sizeof(*bigger));
		f->vars = bigger;
		f->cap = cap;
	}
	f->vars[f->n++] = (struct kv){key, value};
}

static const char *get(void *ctx, const char *name)
{
	const struct reader *r = ctx;
	const char *value = envfile_get(r->out, name);

	return value ? value : r->outer->get(r->outer->ctx, name);
}

static const char *expand(struct reader *r, const char *key, const char *text)
{
	struct vars vars = {get, NULL, r};
	struct err err = {0};
	const char *value = interpolate(r->arena, text, &vars, &err);

	if (!value)
		diag_error(r->diags, (struct mark){r->src, r->line, 1}, key, "%s", err.text);
	return value ? value : "";
}

/* The quote that closes what r->p stands in, or NULL. */
static const char *closing(const struct reader *r, char quote)
{
	for (const char *p = r->p; p < r->end; p++) {
		if (*p == quote)
			return p;
		if (quote == '"' && *p == '\\')
			p++;
	}
	return NULL;
}

/* Puts what \c stands for. An escaped dollar becomes $$, so that interpolation leaves it alone. */
static void unescape(char c, char *text, size_t *len)
{
	static const char from[] = "nrt\"\\";
	static const char to[] = "\n\r\t\"\\";
	const char *known = strchr(from, c);

	if (known) {
		text[(*len)++] = to[known - from];
		return;
	}
	text[(*len)++] = c == '$' ? '$' : '\\';
	text[(*len)++] = c;
}

/* After the opening quote. */
static const char *read_quoted(struct reader *r, char quote, const char *key)
{
	const char *close = closing(r, quote);
	char *text;
	size_t len = 0;

	if (!close) {
		fail(r, r->p - 1, "%s: the quote is not closed", key);
		return "";
	}
	text = arena_alloc(r->arena, (size_t)(close - r->p) * 2 + 1);
	for (; r->p < close; r->p++) {
		if (*r->p == '\n') {
			r->line++;
			r->line_start = r->p + 1;
		}
		if (quote == '"' && *r->p == '\\')
			unescape(*++r->p, text, &len);
		else
			text[len++] = *r->p;
	}
	text[len] = '\0';
	r->p = close + 1;
	skip_blanks(r);
	if (r->p < r->end && *r->p != '\n' && *r->p != '#') {
		fail(r, r->p, "%s: more text after the closing quote", key);
		return "";
	}
	return quote == '"' ? expand(r, key, text) : text;
}

static const char *read_bare(struct reader *r, enum envfile_format format, const char *key)
{
	const char *start = r->p;
	const char *stop;
	const char *text;

	while (r->p < r->end && *r->p != '\n' &&
	        !(format == ENVFILE_COMPOSE && *r->p == '#' &&
	                (r->p == start || r->p[-1] == ' ' || r->p[-1] == '\t')))
		r->p++;
	stop = r->p;
	while (stop > start &&
	        (stop[-1] == '\r' || (format == ENVFILE_COMPOSE && (stop[-1] == ' ' || stop[-1] == '\t'))))
		stop--;
	text = arena_strndup(r->arena, start, (size_t)(stop - start));
	return format == ENVFILE_COMPOSE ? expand(r, key, text) : text;
}

static void read_line(struct reader *r, enum envfile_format format)
{
	const char *start;
	const char *key;
	const char *value = NULL;

	skip_blanks(r);
	if (r->p == r->end || *r->p == '\n' || *r->p == '#')
		return;
	if (r->end - r->p > 7 && memcmp(r->p, "export", 6) == 0 && (r->p[6] == ' ' || r->p[6] == '\t')) {
		r->p += 7;
		skip_blanks(r);
	}
	start = r->p;
	while (r->p < r->end && name_char(*r->p))
		r->p++;
	key = arena_strndup(r->arena, start, (size_t)(r->p - start));
	skip_blanks(r);
	if (!*key) {
		fail(r, start, "%s", "a line must be KEY=VALUE, KEY or # comment");
		return;
	}
	if (r->p < r->end && *r->p == '=') {
		r->p++;
		if (format == ENVFILE_COMPOSE)
			skip_blanks(r);
		if (format == ENVFILE_COMPOSE && r->p < r->end && (*r->p == '"' || *r->p == '\'')) {
			r->p++;
			value = read_quoted(r, r->p[-1], key);
		} else {
			value = read_bare(r, format, key);
		}
	} else if (r->p < r->end && *r->p != '\n' && *r->p != '#') {
		fail(r, r->p, "%s: expected = after the name", key);
		return;
	}
	if (r->out->n == ENVFILE_VARS_MAX) {
		fail(r, start, "%s: the file holds more than 1024 variables", key);
		return;
	}
	add(r, key, value);
}

void envfile_parse(struct envfile *out, const struct source *src, enum envfile_format format,
        const struct vars *vars, struct arena *arena, struct diags *diags)
{
	struct reader r = {
	        .p = src->text,
	        .end = src->text + src->len,
	        .line_start = src->text,
	        .line = 1,
	        .src = src,
	        .out = out,
	        .outer = vars,
	        .arena = arena,
	        .diags = diags,
	};

	memset(out, 0, sizeof(*out));
	out->arena = arena;
	if (!text_is_utf8(src->text, src->len)) {
		diag_error(diags, (struct mark){src, 0, 0}, NULL, "holds a NUL byte or is not UTF-8");
		return;
	}
	while (r.p < r.end && !r.failed) {
		read_line(&r, format);
		next_line(&r);
	}
}

const char *envfile_get(const struct envfile *f, const char *name)
{
	for (size_t i = f->n; i-- > 0;)
		if (f->vars[i].value && strcmp(f->vars[i].key, name) == 0)
			return f->vars[i].value;
	return NULL;
}
