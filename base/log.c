#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static log_sink *current_sink;
static enum log_level current_least = LOG_INFO;

void log_set(log_sink *sink, enum log_level least)
{
	current_sink = sink;
	current_least = least;
}

void log_at(enum log_level level, const char *area, const char *fmt, ...)
{
	char text[LOG_TEXT_MAX];
	va_list ap;

	if (!current_sink || level < current_least)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	current_sink(level, area, text);
}

const char *log_level_name(enum log_level level)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};

	return names[level];
}
