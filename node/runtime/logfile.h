/*
 * A task's log on disk. Text, so that any tool can read it; one record per line:
 *
 *	1763830231042 o listening on 20017
 *	'-----------' | '- the line as the task wrote it, without its newline
 *	 milliseconds '- o stdout, e stderr; O, E: the line goes on in the stream's next record
 *	 since 1970
 *
 * Files are TASKDIR/log/00000001.log, 00000002.log and so on; the highest is written to. A file is full at the
 * size that the launch says, then the next begins and the oldest is deleted. A record never spans files.
 */
#ifndef NODE_RUNTIME_LOGFILE_H
#define NODE_RUNTIME_LOGFILE_H

#include "node/runtime/runtime.h"

/* 13 digits, blank, letter, blank: enough until the year 2286. */
#define LOG_HEAD_BYTES 16
/* Bytes of one file and how many are kept: 10 MiB per task. */
#define LOG_FILE_BYTES (2 * 1024 * 1024)
#define LOG_FILES      5
#define LOG_NAME_BYTES 16

void log_name(char out[LOG_NAME_BYTES], uint32_t number);
/* The number of a file of that name; 0 if it is none. */
uint32_t log_number(const char *name);
void log_head(char out[LOG_HEAD_BYTES], wall_ms at, bool is_stderr, bool partial);
/* One record without its newline; false if it is none, as the half line that a power cut leaves. */
bool log_parse(const char *record, size_t len, struct runtime_log_line *out);

/* The writing side, in the shim. */
struct log_stream {
	bool is_stderr;
	size_t len;
	char line[LOG_LINE_MAX]; /* what has come since the last newline */
};

struct log_writer {
	int dir_fd;
	int fd;
	uint32_t number;
	uint64_t size;
	uint64_t file_bytes;
	uint32_t files;
	uint64_t dropped; /* records that could not be written */
	int drop_errno;
	uint32_t pending; /* records in out */
	size_t out_len;
	char out[2 * (LOG_HEAD_BYTES + LOG_LINE_MAX + 1)];
};

/* Goes on in the newest file of the folder. file_bytes and files of 0 take the defaults. */
int log_open(struct log_writer *w, int dir_fd, uint64_t file_bytes, uint32_t files, struct err *err);
/* Bytes that a stream gave; whole lines are written out before it returns. */
void log_feed(struct log_writer *w, struct log_stream *s, const char *bytes, size_t len, wall_ms now);
/* The stream is over: writes a last line that has no newline. */
void log_finish(struct log_writer *w, struct log_stream *s, wall_ms now);
/* A line of the shim's own, on stderr. */
void log_note(struct log_writer *w, wall_ms now, const char *fmt, ...) PRINTF_LIKE(3, 4);
void log_close(struct log_writer *w);

#endif
