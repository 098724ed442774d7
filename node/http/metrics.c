#include "node/http/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static void text(struct metrics *m, const char *s)
{
	wr_bytes(m->w, s, strlen(s));
}

/* Backslash and newline are escaped everywhere, quotes in label values. */
static void escaped(struct metrics *m, const char *s, bool quotes)
{
	for (; *s; s++) {
		if (*s == '\n')
			text(m, "\\n");
		else if (*s == '\\')
			text(m, "\\\\");
		else if (*s == '"' && quotes)
			text(m, "\\\"");
		else
			wr_u8(m->w, (uint8_t)*s);
	}
}

static void family(struct metrics *m, const char *name, const char *help, const char *type)
{
	m->name = name;
	text(m, "# HELP ");
	text(m, name);
	text(m, " ");
	escaped(m, help, false);
	text(m, "\n# TYPE ");
	text(m, name);
	text(m, type);
}

void metrics_counter(struct metrics *m, const char *name, const char *help)
{
	family(m, name, help, " counter\n");
}

void metrics_gauge(struct metrics *m, const char *name, const char *help)
{
	family(m, name, help, " gauge\n");
}

static void sample(struct metrics *m, const char *number, va_list labels)
{
	const char *label;
	char before = '{';

	text(m, m->name);
	while ((label = va_arg(labels, const char *))) {
		wr_u8(m->w, (uint8_t)before);
		text(m, label);
		text(m, "=\"");
		escaped(m, va_arg(labels, const char *), true);
		text(m, "\"");
		before = ',';
	}
	text(m, before == ',' ? "} " : " ");
	text(m, number);
	text(m, "\n");
}

void metrics_u64(struct metrics *m, uint64_t value, ...)
{
	char number[24];
	va_list labels;

	snprintf(number, sizeof(number), "%" PRIu64, value);
	va_start(labels, value);
	sample(m, number, labels);
	va_end(labels);
}

void metrics_milli(struct metrics *m, int64_t thousandths, ...)
{
	uint64_t size = thousandths < 0 ? 0 - (uint64_t)thousandths : (uint64_t)thousandths;
	char number[32];
	va_list labels;

	snprintf(number, sizeof(number), "%s%" PRIu64 ".%03u", thousandths < 0 ? "-" : "", size / 1000,
	        (unsigned)(size % 1000));
	va_start(labels, thousandths);
	sample(m, number, labels);
	va_end(labels);
}
