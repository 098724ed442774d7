/*
 * One line per event: what object, what happened, why, what to do. Cores may log (the simulator sets a sink of
 * its own, or none); only the sink reads a clock or writes.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/types.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* area names the folder or part that speaks: "gossip", "task", "dns". */
typedef void log_sink(enum log_level level, const char *area, const char *text);

/* Longest line; the rest is cut. */
#define LOG_TEXT_MAX 1024

/* NULL silences. Not thread-safe: set once at start. */
void log_set(log_sink *sink, enum log_level least);
void log_at(enum log_level level, const char *area, const char *fmt, ...) PRINTF_LIKE(3, 4);
const char *log_level_name(enum log_level level);

#define log_debug(area, ...) log_at(LOG_DEBUG, area, __VA_ARGS__)
#define log_info(area, ...)  log_at(LOG_INFO, area, __VA_ARGS__)
#define log_warn(area, ...)  log_at(LOG_WARN, area, __VA_ARGS__)
#define log_error(area, ...) log_at(LOG_ERROR, area, __VA_ARGS__)

#endif
