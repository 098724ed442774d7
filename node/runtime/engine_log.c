/*
 * A container's output, into the log of its task. The engine keeps what was said while no agent was there; where the
 * log ends is read from the log itself: the time of its last record, and how many records have that time. The engine is
 * asked from there on, and so many are left out: no line is lost and none comes twice.
 */
#include "base/log.h"
#include "base/text.h"
#include "node/runtime/engine_parts.h"
#include "node/runtime/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* A log file and one write beyond. */
#define LOG_READ_MAX (LOG_FILE_BYTES + 128 * 1024)
/* A stream that ended sooner than this is not opened again at once. */
#define SHORT_MS SECONDS(1)
/* Longest timestamp: "2026-11-22T16:50:31.042123456+02:00 ". */
#define STAMP_MAX 40

/* ---- where an earlier agent stopped ---- */

static void find_files(int log_fd, uint32_t *newest, uint32_t *before)
{
	int fd = openat(log_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	*newest = *before = 0;
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		uint32_t n = log_number(e->d_name);

		if (n > *newest) {
			*before = *newest;
			*newest = n;
		} else if (n > *before && n < *newest) {
			*before = n;
		}
	}
	closedir(dir);
}

/* A line that the log's writer adds about itself. */
static bool is_note(const struct runtime_log_line *l)
{
	return l->is_stderr && l->len >= 10 && memcmp(l->text, "starling: ", 10) == 0;
}

/* Counts the last records of one time, from the end on; false: there may be more of it in an earlier file. */
static bool count_back(struct engine_log *log, const char *bytes, size_t len)
{
	while (len && bytes[len - 1] == '\n') {
		size_t start = len - 1;
		struct runtime_log_line line;

		while (start && bytes[start - 1] != '\n')
			start--;
		if (log_parse(bytes + start, len - 1 - start, &line) && !is_note(&line)) {
			if (log->last && line.at != log->last)
				return true;
			log->last = line.at;
			log->at_last++;
		}
		len = start;
	}
	return false;
}

void log_resume(struct driver_run *r)
{
	int log_fd = openat(r->dir_fd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint32_t files[2];
	bool whole = false;

	if (log_fd < 0)
		return;
	find_files(log_fd, &files[0], &files[1]);
	for (int i = 0; i < 2 && files[i] && !whole; i++) {
		char name[LOG_NAME_BYTES];
		struct arena arena;
		size_t len;
		char *bytes;

		log_name(name, files[i]);
		arena_init(&arena);
		bytes = (char *)file_read(log_fd, name, LOG_READ_MAX, &arena, &len, NULL);
		/* Half a record that a full disk or a power cut left is none. */
		while (bytes && len && bytes[len - 1] != '\n')
			len--;
		whole = bytes && count_back(&r->log, bytes, len);
		arena_free(&arena);
	}
	close(log_fd);
}

/* ---- writing ---- */

void log_writer_close(struct engine *e)
{
	if (!e->writing)
		return;
	log_close(e->writer);
	close(e->writing_fd);
	e->writing = NULL;
}

/* One writer serves all runs: with one each, a thousand quiet tasks would hold 64 KiB each. */
static bool writer_for(struct driver_run *r)
{
	struct engine *e = r->e;
	int fd;

	if (e->writing == r)
		return true;
	log_writer_close(e);
	if (!e->writer) {
		e->writer = xcalloc(1, sizeof(*e->writer));
		e->streams = xcalloc(2, sizeof(*e->streams));
		e->streams[1].is_stderr = true;
	}
	fd = openat(r->dir_fd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || log_open(e->writer, fd, 0, 0, NULL) < 0) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	e->writing_fd = fd;
	e->writing = r;
	return true;
}

/* Is this record in the log already? */
static bool is_old(struct engine_log *log, wall_ms at)
{
	if (!log->resuming)
		return false;
	if (at < log->last)
		return true;
	if (at == log->last && log->skip) {
		log->skip--;
		return true;
	}
	log->resuming = false;
	return false;
}

/* A frame is one record, or more when it is longer than a record may be; each of them counts. */
static void write_frame(
        struct driver_run *r, bool is_stderr, wall_ms at, const char *text, size_t len, bool whole)
{
	struct log_stream *s = &r->e->streams[is_stderr];

	do {
		size_t take = MIN(len, LOG_LINE_MAX);
		bool last = take == len;

		if (!is_old(&r->log, at)) {
			r->log.at_last = at == r->log.last ? r->log.at_last + 1 : 1;
			r->log.last = at;
			log_feed(r->e->writer, s, text, take, at);
			if (last && whole)
				log_feed(r->e->writer, s, "\n", 1, at);
			else
				log_finish(r->e->writer, s, at);
		}
		text += take;
		len -= take;
	} while (len);
}

static void on_frame(void *ctx, bool is_stderr, const char *text, size_t len)
{
	struct driver_run *r = ctx;
	bool whole = len && text[len - 1] == '\n';
	size_t stamp = 0;
	wall_ms at = engine_time(text, MIN(len, STAMP_MAX), &stamp);

	len -= whole;
	if (whole && len && r->log.frames.terminal && text[len - 1] == '\r')
		len--;
	if (!at || !writer_for(r))
		return;
	stamp += stamp < len && text[stamp] == ' ';
	/* A newline within would make two records of one, and the count wrong. */
	for (const char *nl; (nl = memchr(text + stamp, '\n', len - stamp));) {
		write_frame(r, is_stderr, at, text + stamp, (size_t)(nl - text) - stamp, true);
		stamp = (size_t)(nl - text) + 1;
	}
	write_frame(r, is_stderr, at, text + stamp, len - stamp, whole);
}

/* ---- the stream ---- */

static bool on_bytes(void *ctx, const char *bytes, size_t len)
{
	struct driver_run *r = ctx;

	if (frames_feed(&r->log.frames, bytes, len, on_frame, r))
		return true;
	r->log.broken = true;
	log_warn("task",
	        "container %s at %s: its output comes in a form that is not known; it is not read any more",
	        r->name, r->e->socket);
	return false;
}

static void follow_again(void *ctx)
{
	run_look(ctx);
}

static void on_done(void *ctx, const struct ehttp_answer *a)
{
	struct driver_run *r = ctx;
	char why[ENGINE_TEXT_MAX + 1];

	r->log.call = NULL;
	frames_end(&r->log.frames, a->status == 200 ? on_frame : NULL, r);
	if (a->status && a->status != 200 && a->status != 404 && a->status < 500) {
		answer_message(why, a->status, a->body, a->len);
		r->log.broken = true;
		log_warn("task", "container %s at %s: its output cannot be read: %s", r->name, r->e->socket, why);
	}
	if (r->ending) {
		run_log_over(r);
		return;
	}
	/* The end of its output is most often its own. */
	if ((mono_ms)uv_now(r->e->all->loop) - r->log.opened < SHORT_MS && a->status != 200)
		later_start(&r->log.again, r->e->all->loop, SHORT_MS, follow_again, r);
	else
		run_look(r);
}

void log_follow(struct driver_run *r)
{
	struct ehttp_request req = {
	        .method = "GET", .lasting = true, .on_bytes = on_bytes, .on_done = on_done, .ctx = r};
	wall_ms since = MAX(r->log.last - 1, 0);

	if (r->log.call)
		return;
	if (r->log.broken) {
		run_log_over(r);
		return;
	}
	later_stop(&r->log.again);
	r->log.opened = (mono_ms)uv_now(r->e->all->loop);
	r->log.resuming = r->log.last > 0;
	r->log.skip = r->log.at_last;
	r->log.call = engine_ask(r->e, &req,
	        "/containers/%s/logs?follow=%d&stdout=1&stderr=1&timestamps=1&since=%lld.%03d000000", r->name,
	        !r->ending, (long long)(since / 1000), (int)(since % 1000));
}

void log_stop(struct driver_run *r)
{
	if (r->log.call)
		ehttp_cancel(r->log.call);
	r->log.call = NULL;
	later_stop(&r->log.again);
	frames_end(&r->log.frames, NULL, NULL);
	if (r->e->writing == r)
		log_writer_close(r->e);
}
