#include "cli/compose/diag.h"

#include "base/text.h"

#include <stdarg.h>

/* Characters of a source line shown: a terminal's width and some. */
#define CARET_LINE_MAX 160

void diags_init(struct diags *d, struct arena *arena)
{
	memset(d, 0, sizeof(*d));
	d->arena = arena;
}

static void add(
        struct diags *d, enum severity severity, struct mark at, const char *path, const char *fmt, va_list ap)
{
	char text[1024];

	if (severity == DIAG_ERROR)
		d->errors++;
	else
		d->warnings++;
	if (d->n == DIAGS_MAX)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	d->list[d->n++] = (struct diag){
	        .severity = severity,
	        .mark = at,
	        .path = path ? arena_strdup(d->arena, path) : NULL,
	        .text = arena_strdup(d->arena, text),
	};
}

void diag_error(struct diags *d, struct mark at, const char *path, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(d, DIAG_ERROR, at, path, fmt, ap);
	va_end(ap);
}

void diag_warn(struct diags *d, struct mark at, const char *path, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(d, DIAG_WARNING, at, path, fmt, ap);
	va_end(ap);
}

struct mark mark_find(struct mark at, const char *text, size_t len)
{
	const char *p = at.source ? at.source->text : NULL;
	const char *end = p ? p + at.source->len : NULL;
	uint32_t column = 1;

	for (uint32_t line = 1; p && line < at.line; line++) {
		p = memchr(p, '\n', (size_t)(end - p));
		if (p)
			p++;
	}
	for (; p && at.line && p < end && *p != '\n'; p++) {
		if (((unsigned char)*p & 0xc0) == 0x80) /* inside a character */
			continue;
		if (column >= at.column && (size_t)(end - p) >= len && !memcmp(p, text, len))
			return (struct mark){at.source, at.line, column};
		column++;
	}
	return at;
}

/* Text from a file may hold bytes that move a terminal's cursor, or are no text at all: those become '?'. */
static void print_safe(FILE *out, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		size_t n = c < 0xc2 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

		if (c == '\t')
			fputc(' ', out);
		else if (c < 0x20 || c == 0x7f || n > len - i || !text_is_utf8(s + i, n) ||
		         (c == 0xc2 && (unsigned char)s[i + 1] < 0xa0))
			fputc('?', out);
		else
			i += fwrite(s + i, 1, n, out) - 1;
	}
}

static void print_caret(FILE *out, const struct mark *at)
{
	const char *p = at->source->text;
	const char *end = p ? p + at->source->len : NULL;
	size_t len = 0;
	char number[16];

	for (uint32_t line = 1; p && line < at->line; line++) {
		p = memchr(p, '\n', (size_t)(end - p));
		if (p)
			p++;
	}
	if (!p || p >= end)
		return;
	while (p + len < end && p[len] != '\n' && p[len] != '\r')
		len++;
	if (len > CARET_LINE_MAX) {
		len = CARET_LINE_MAX;
		while (len && ((unsigned char)p[len] & 0xc0) == 0x80) /* not within a character */
			len--;
	}
	/* Past the part that is shown a caret would point at nothing. */
	if (at->column > CARET_LINE_MAX)
		return;
	snprintf(number, sizeof(number), "%5u", at->line);
	fprintf(out, "%s | ", number);
	print_safe(out, p, len);
	fprintf(out, "\n%*s | %*s^\n", (int)strlen(number), "", (int)(at->column - 1), "");
}

static bool before(const struct diag *a, const struct diag *b)
{
	if (a->mark.source != b->mark.source)
		return false; /* files in the order in which they were read */
	if (a->mark.line != b->mark.line)
		return a->mark.line < b->mark.line;
	return a->mark.column < b->mark.column;
}

/* Insertion sort: stable, and at most DIAGS_MAX entries. */
static void sort(struct diags *d)
{
	for (size_t i = 1; i < d->n; i++) {
		struct diag x = d->list[i];
		size_t at = i;

		for (; at > 0 && before(&x, &d->list[at - 1]); at--)
			d->list[at] = d->list[at - 1];
		d->list[at] = x;
	}
}

void diags_print(FILE *out, struct diags *d)
{
	size_t all = d->errors + d->warnings;

	sort(d);
	for (size_t i = 0; i < d->n; i++) {
		const struct diag *x = &d->list[i];

		if (x->mark.source)
			fprintf(out, "%s:", x->mark.source->name);
		if (x->mark.line)
			fprintf(out, "%u:%u:", x->mark.line, x->mark.column);
		if (x->mark.source)
			fputc(' ', out);
		if (x->severity == DIAG_WARNING)
			fputs("warning: ", out);
		if (x->path && *x->path) {
			print_safe(out, x->path, strlen(x->path));
			fputs(": ", out);
		}
		print_safe(out, x->text, strlen(x->text));
		fputc('\n', out);
		if (x->mark.source && x->mark.line)
			print_caret(out, &x->mark);
	}
	if (all > d->n)
		fprintf(out, "and %zu more\n", all - d->n);
}
