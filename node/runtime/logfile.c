#include "node/runtime/logfile.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

void log_name(char out[LOG_NAME_BYTES], uint32_t number)
{
	snprintf(out, LOG_NAME_BYTES, "%08u.log", number);
}

uint32_t log_number(const char *name)
{
	char digits[12];
	uint64_t n;
	size_t len = strlen(name);

	if (len < 12 || len - 4 >= sizeof(digits) || strcmp(name + len - 4, ".log") != 0)
		return 0;
	memcpy(digits, name, len - 4);
	digits[len - 4] = '\0';
	return text_u64(digits, 1, UINT32_MAX, &n) ? (uint32_t)n : 0;
}

void log_head(char out[LOG_HEAD_BYTES], wall_ms at, bool is_stderr, bool partial)
{
	uint64_t t = at > 0 ? (uint64_t)at : 0;

	for (int i = 12; i >= 0; i--, t /= 10)
		out[i] = (char)('0' + t % 10);
	out[13] = ' ';
	out[14] = is_stderr ? (partial ? 'E' : 'e') : (partial ? 'O' : 'o');
	out[15] = ' ';
}

bool log_parse(const char *record, size_t len, struct runtime_log_line *out)
{
	wall_ms at = 0;
	char letter;

	if (len < LOG_HEAD_BYTES || record[13] != ' ' || record[15] != ' ')
		return false;
	for (int i = 0; i < 13; i++) {
		if (record[i] < '0' || record[i] > '9')
			return false;
		at = at * 10 + (record[i] - '0');
	}
	letter = record[14];
	if (letter != 'o' && letter != 'e' && letter != 'O' && letter != 'E')
		return false;
	*out = (struct runtime_log_line){
	        .at = at,
	        .is_stderr = letter == 'e' || letter == 'E',
	        .partial = letter == 'O' || letter == 'E',
	        .text = record + LOG_HEAD_BYTES,
	        .len = len - LOG_HEAD_BYTES,
	};
	return true;
}

static uint32_t newest(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	uint32_t most = 0;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while ((e = readdir(dir)))
		most = MAX(most, log_number(e->d_name));
	closedir(dir);
	return most;
}

static int open_number(struct log_writer *w, uint32_t number)
{
	char name[LOG_NAME_BYTES];
	struct stat st;
	int fd;

	log_name(name, number);
	fd = openat(w->dir_fd, name, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	if (w->fd >= 0)
		close(w->fd);
	w->fd = fd;
	w->number = number;
	w->size = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
	return 0;
}

/* A shim that was killed in the middle of a write leaves half a record: end it, so that the next stands alone. */
static void end_torn_record(struct log_writer *w)
{
	char last;

	if (w->size && pread(w->fd, &last, 1, (off_t)w->size - 1) == 1 && last != '\n' &&
	        write(w->fd, "\n", 1) == 1)
		w->size++;
}

int log_open(struct log_writer *w, int dir_fd, uint64_t file_bytes, uint32_t files, struct err *err)
{
	uint32_t number = newest(dir_fd);

	w->dir_fd = dir_fd;
	w->fd = -1;
	w->file_bytes = file_bytes ? file_bytes : LOG_FILE_BYTES;
	w->files = files ? files : LOG_FILES;
	w->dropped = 0;
	w->pending = 0;
	w->out_len = 0;
	if (open_number(w, number ? number : 1) < 0)
		return err_errno(err, "open the task's log");
	end_torn_record(w);
	return 0;
}

static void rotate(struct log_writer *w)
{
	char name[LOG_NAME_BYTES];

	if (open_number(w, w->number + 1) < 0)
		return;
	if (w->number > w->files) {
		log_name(name, w->number - w->files);
		unlinkat(w->dir_fd, name, 0);
	}
}

/* All or nothing: a disk that fills up in the middle of a record would join it with the next one. */
static bool append(struct log_writer *w, const char *p, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = write(w->fd, p + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			w->drop_errno = errno;
			if (done && ftruncate(w->fd, (off_t)w->size) < 0)
				w->size += done;
			return false;
		}
		done += (size_t)n;
	}
	w->size += len;
	return true;
}

static void flush(struct log_writer *w)
{
	char line[128];

	if (!w->out_len)
		return;
	if (w->size && w->size + w->out_len > w->file_bytes)
		rotate(w);
	if (w->dropped) {
		/* The time of the first record that does get through. */
		int n = snprintf(line, sizeof(line), "%.13s e starling: %llu log lines lost: %s\n", w->out,
		        (unsigned long long)w->dropped, strerror(w->drop_errno));

		if (append(w, line, (size_t)MIN(n, (int)sizeof(line) - 1)))
			w->dropped = 0;
	}
	if (!append(w, w->out, w->out_len))
		w->dropped += w->pending;
	w->out_len = 0;
	w->pending = 0;
}

static void record(struct log_writer *w, bool is_stderr, bool partial, const char *text, size_t len, wall_ms now)
{
	if (sizeof(w->out) - w->out_len < LOG_HEAD_BYTES + len + 1)
		flush(w);
	log_head(w->out + w->out_len, now, is_stderr, partial);
	memcpy(w->out + w->out_len + LOG_HEAD_BYTES, text, len);
	w->out_len += LOG_HEAD_BYTES + len;
	w->out[w->out_len++] = '\n';
	w->pending++;
}

void log_feed(struct log_writer *w, struct log_stream *s, const char *bytes, size_t len, wall_ms now)
{
	while (len) {
		size_t room = sizeof(s->line) - s->len;
		const char *newline = memchr(bytes, '\n', MIN(len, room + 1));
		size_t take = newline ? (size_t)(newline - bytes) : MIN(len, room);

		memcpy(s->line + s->len, bytes, take);
		s->len += take;
		bytes += take + (newline != NULL);
		len -= take + (newline != NULL);
		if (newline || (s->len == sizeof(s->line) && len)) {
			record(w, s->is_stderr, !newline, s->line, s->len, now);
			s->len = 0;
		}
	}
	flush(w);
}

void log_finish(struct log_writer *w, struct log_stream *s, wall_ms now)
{
	if (s->len)
		record(w, s->is_stderr, true, s->line, s->len, now);
	s->len = 0;
	flush(w);
}

void log_note(struct log_writer *w, wall_ms now, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	record(w, true, false, text, (size_t)MIN(n, (int)sizeof(text) - 1), now);
	flush(w);
}

void log_close(struct log_writer *w)
{
	flush(w);
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
}
