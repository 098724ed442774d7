/*
 * Reading a task's log: the last lines of it, and what is written from now on. The format is in logfile.h. A reader asks for
 * one line after the other and holds one file open and a few KiB of it, however long the log and however slow the reader.
 */
#include "node/runtime/logfile.h"
#include "node/runtime/task.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file can be longer than the size at which the next begins by one write of the shim's. */
#define LOG_READ_MAX (LOG_FILE_BYTES + 128 * 1024)
#define RECORD_MAX   (LOG_HEAD_BYTES + LOG_LINE_MAX + 1)

struct span {
	uint32_t first, last; /* file numbers; 0: none */
};

static struct span files(int log_fd)
{
	int fd = openat(log_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct span s = {0};
	struct dirent *e;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return s;
	}
	while ((e = readdir(dir))) {
		uint32_t n = log_number(e->d_name);

		if (n && (!s.first || n < s.first))
			s.first = n;
		s.last = MAX(s.last, n);
	}
	closedir(dir);
	return s;
}

static int open_file(int log_fd, uint32_t number)
{
	char name[LOG_NAME_BYTES];

	log_name(name, number);
	return openat(log_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* Where the last `want` records begin; *found says how many there are from there. */
static size_t tail_start(const char *bytes, size_t len, uint64_t want, uint64_t *found)
{
	size_t at = len;

	*found = 0;
	/* What is behind the last newline is being written right now. */
	while (at && bytes[at - 1] != '\n')
		at--;
	while (at && *found < want) {
		size_t start = at - 1;

		while (start && bytes[start - 1] != '\n')
			start--;
		at = start;
		++*found;
	}
	return at;
}

static char *load(int log_fd, uint32_t number, struct arena *arena, size_t *len)
{
	char name[LOG_NAME_BYTES];

	log_name(name, number);
	return (char *)file_read(log_fd, name, LOG_READ_MAX, arena, len, NULL);
}

/* The file and offset at which the last `tail` records begin. */
static void find_tail(int log_fd, struct span s, uint64_t tail, uint32_t *file, size_t *offset)
{
	char name[LOG_NAME_BYTES];
	struct stat st;

	*file = s.last;
	log_name(name, s.last);
	*offset = fstatat(log_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (size_t)st.st_size : 0;
	if (!tail)
		return;
	for (uint32_t n = s.last; n >= s.first && n; n--) {
		struct arena arena;
		uint64_t found = 0;
		size_t len;
		char *bytes;

		arena_init(&arena);
		bytes = load(log_fd, n, &arena, &len);
		*file = n;
		*offset = bytes ? tail_start(bytes, len, tail, &found) : 0;
		arena_free(&arena);
		tail -= found;
		if (!tail)
			return;
	}
}

static int open_log(const struct task *t, struct err *err)
{
	int fd = openat(t->dir_fd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? err_errno(
	                        err, "open the log of task %s/%s/%u", t->pub.stack, t->pub.service, t->pub.index)
	              : fd;
}

struct runtime_log {
	struct list link;    /* in the task's followers, while it follows */
	uv_fs_event_t watch; /* while it follows */
	bool follows;
	bool task_ended; /* a follower's task is finished: what is there now is all */
	int log_fd;
	int fd; /* the file that is read now; -1 none yet */
	uint32_t number;
	wall_ms since;
	void (*more)(void *);
	void *ctx;
	size_t at, len, cap; /* bytes of buf: used, read, room */
	char *buf;
	char note[96];
};

/* Bytes of one piece: many lines; a reader grows to RECORD_MAX when a longer record comes. */
#define PIECE_BYTES 4096

static void log_free(struct runtime_log *l)
{
	if (l->fd >= 0)
		close(l->fd);
	close(l->log_fd);
	free(l->buf);
	free(l);
}

static void on_watch_closed(uv_handle_t *h)
{
	log_free(h->data);
}

/* The next record of what is in the buffer; NULL: there is no whole one. */
static const char *next_record(struct runtime_log *l, size_t *len)
{
	const char *start = l->buf + l->at;
	const char *end = memchr(start, '\n', l->len - l->at);

	if (!end)
		return NULL;
	*len = (size_t)(end - start);
	l->at += *len + 1;
	return start;
}

/* Reads on in the file that is open. False: nothing more is in it now. */
static bool read_on(struct runtime_log *l)
{
	ssize_t n;

	if (l->fd < 0)
		return false;
	memmove(l->buf, l->buf + l->at, l->len - l->at);
	l->len -= l->at;
	l->at = 0;
	if (l->len == l->cap) {
		/* No shim writes a longer one: step over it rather than stand still. */
		if (l->cap > RECORD_MAX)
			l->len = 0;
		l->cap = RECORD_MAX + PIECE_BYTES;
		l->buf = xrealloc(l->buf, l->cap);
	}
	n = read(l->fd, l->buf + l->len, l->cap - l->len);
	if (n <= 0)
		return false;
	l->len += (size_t)n;
	return true;
}

/* Goes on in the file after the one that was read to its end; false: there is none. missed: how many are gone. */
static bool next_file(struct runtime_log *l, uint32_t *missed)
{
	struct span s = files(l->log_fd);
	uint32_t want = l->number + 1;
	uint32_t next = MAX(want, s.first);
	int fd;

	if (!s.first || next > s.last)
		return false;
	/* The shim wrote the last of the old file before it made the new one. */
	if (read_on(l))
		return true;
	fd = open_file(l->log_fd, next);
	if (fd < 0)
		return false;
	*missed = l->number ? next - want : 0;
	if (l->fd >= 0)
		close(l->fd);
	l->fd = fd;
	l->number = next;
	l->at = l->len = 0;
	return true;
}

static void say_missed(struct runtime_log *l, uint32_t missed, struct runtime_log_line *line)
{
	int n = snprintf(l->note, sizeof(l->note),
	        "starling: %u files of this log were rotated away before they were read", missed);

	*line = (struct runtime_log_line){.at = task_wall(),
	        .is_stderr = true,
	        .text = l->note,
	        .len = (size_t)MIN(n, (int)sizeof(l->note) - 1)};
}

int runtime_log_next(struct runtime_log *l, struct runtime_log_line *line)
{
	for (;;) {
		const char *record;
		uint32_t missed = 0;
		size_t len;

		while ((record = next_record(l, &len)))
			if (log_parse(record, len, line) && line->at >= l->since)
				return 1;
		if (read_on(l))
			continue;
		if (!next_file(l, &missed))
			return l->follows && !l->task_ended ? 0 : -1;
		if (missed) {
			say_missed(l, missed, line);
			return 1;
		}
	}
}

static void on_change(uv_fs_event_t *watch, const char *name, int events, int status)
{
	struct runtime_log *l = watch->data;

	(void)name;
	(void)events;
	(void)status;
	l->more(l->ctx);
}

static int follow(struct runtime_log *l, struct task *t, struct err *err)
{
	char path[4200];
	int rc;

	snprintf(path, sizeof(path), "%s/log", t->dir);
	uv_fs_event_init(t->rt->loop, &l->watch);
	l->watch.data = l;
	l->follows = true;
	rc = uv_fs_event_start(&l->watch, on_change, path, 0);
	if (rc < 0)
		return err_set(err, ERR_FAILED, "watch the log of task %s/%s/%u: %s", t->pub.stack,
		        t->pub.service, t->pub.index, uv_strerror(rc));
	list_push_back(&t->followers, &l->link);
	return 0;
}

/* Opens the file in which the last `tail` lines begin, there. */
static void begin(struct runtime_log *l, uint64_t tail)
{
	struct span s = files(l->log_fd);
	size_t offset = 0;
	uint32_t file = s.first;

	if (!s.first)
		return;
	if (tail != UINT64_MAX)
		find_tail(l->log_fd, s, tail, &file, &offset);
	l->fd = open_file(l->log_fd, file);
	l->number = file;
	if (l->fd >= 0)
		lseek(l->fd, (off_t)offset, SEEK_SET);
}

struct runtime_log *runtime_log_open(struct runtime *rt, id64 id, wall_ms since, uint64_t tail, bool follows,
        void (*more)(void *ctx), void *ctx, struct err *err)
{
	struct task *t = runtime_find(rt, id);
	struct runtime_log *l;
	int fd;

	if (!t) {
		err_set(err, ERR_FAILED, "this peer has no task %016llx", (unsigned long long)id);
		return NULL;
	}
	fd = open_log(t, err);
	if (fd < 0)
		return NULL;
	l = xcalloc(1, sizeof(*l));
	list_init(&l->link);
	l->log_fd = fd;
	l->fd = -1;
	l->since = since;
	l->more = more;
	l->ctx = ctx;
	l->cap = PIECE_BYTES;
	l->buf = xmalloc(l->cap);
	if (follows && !supervise_ended(t->life.state) && follow(l, t, err) < 0) {
		runtime_log_close(l);
		return NULL;
	}
	begin(l, tail);
	return l;
}

void runtime_log_close(struct runtime_log *l)
{
	list_remove(&l->link);
	if (l->follows)
		uv_close((uv_handle_t *)&l->watch, on_watch_closed);
	else
		log_free(l);
}

void followers_end(struct task *t)
{
	while (!list_empty(&t->followers)) {
		struct runtime_log *l = list_entry(t->followers.next, struct runtime_log, link);

		list_remove(&l->link);
		uv_fs_event_stop(&l->watch);
		l->task_ended = true;
		l->more(l->ctx);
	}
}
