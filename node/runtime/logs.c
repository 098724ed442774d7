/* Reading a task's log: the last lines of it, and what is written from now on. The format is in logfile.h. */
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

/* Calls fn for each whole record in bytes; returns how many bytes they were. */
static size_t each_record(const char *bytes, size_t len, wall_ms since, runtime_log_fn *fn, void *ctx)
{
	size_t at = 0;
	const char *end;

	while ((end = memchr(bytes + at, '\n', len - at))) {
		struct runtime_log_line line;
		size_t n = (size_t)(end - (bytes + at));

		if (log_parse(bytes + at, n, &line) && line.at >= since)
			fn(ctx, &line);
		at += n + 1;
	}
	return at;
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
	*file = s.last;
	*offset = 0;
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

int runtime_log_read(
        struct runtime *rt, id64 id, wall_ms since, uint64_t tail, runtime_log_fn *fn, void *ctx, struct err *err)
{
	struct task *t = runtime_find(rt, id);
	struct span s;
	uint32_t file;
	size_t offset;
	int fd;

	if (!t)
		return err_set(err, ERR_FAILED, "this peer has no task %016llx", (unsigned long long)id);
	fd = open_log(t, err);
	if (fd < 0)
		return -1;
	s = files(fd);
	if (tail && s.first) {
		find_tail(fd, s, tail, &file, &offset);
		for (uint32_t n = file; n <= s.last; n++, offset = 0) {
			struct arena arena;
			size_t len;
			char *bytes;

			arena_init(&arena);
			bytes = load(fd, n, &arena, &len);
			if (bytes && offset <= len)
				each_record(bytes + offset, len - offset, since, fn, ctx);
			arena_free(&arena);
		}
	}
	close(fd);
	return 0;
}

/* ---- following ---- */

struct runtime_follow {
	struct list link; /* in the task's followers */
	uv_fs_event_t watch;
	int log_fd;
	int fd; /* the file that is read now; -1 none yet */
	uint32_t number;
	runtime_log_fn *fn;
	void (*ended)(void *);
	void *ctx;
	bool closed; /* by its owner */
	size_t len;  /* bytes of a record that is not whole yet */
	char buf[RECORD_MAX + 4096];
};

static void on_watch_closed(uv_handle_t *h)
{
	struct runtime_follow *f = h->data;

	if (f->fd >= 0)
		close(f->fd);
	close(f->log_fd);
	free(f);
}

/* All that this file has by now. */
static void read_file_on(struct runtime_follow *f)
{
	ssize_t n;

	while (!f->closed && (n = read(f->fd, f->buf + f->len, sizeof(f->buf) - f->len)) > 0) {
		size_t used;

		f->len += (size_t)n;
		used = each_record(f->buf, f->len, 0, f->fn, f->ctx);
		f->len -= used;
		memmove(f->buf, f->buf + used, f->len);
		/* No shim writes that: step over it rather than stand still. */
		if (f->len == sizeof(f->buf))
			f->len = 0;
	}
}

static bool next_file(struct runtime_follow *f)
{
	struct span s = files(f->log_fd);
	uint32_t next = f->fd < 0 ? s.first : MAX(f->number + 1, s.first);
	int fd;

	if (!s.first || next > s.last)
		return false;
	/* The shim wrote the last of the old file before it made the new one. */
	if (f->fd >= 0)
		read_file_on(f);
	fd = open_file(f->log_fd, next);
	if (fd < 0)
		return false;
	if (f->fd >= 0)
		close(f->fd);
	f->fd = fd;
	f->number = next;
	f->len = 0;
	return true;
}

static void pump(struct runtime_follow *f)
{
	do {
		if (f->fd >= 0)
			read_file_on(f);
	} while (!f->closed && next_file(f));
}

static void on_change(uv_fs_event_t *watch, const char *name, int events, int status)
{
	(void)name;
	(void)events;
	(void)status;
	pump(watch->data);
}

static void skip_to_end(struct runtime_follow *f)
{
	struct span s = files(f->log_fd);
	off_t end;

	if (!s.last)
		return;
	f->fd = open_file(f->log_fd, s.last);
	f->number = s.last;
	if (f->fd < 0)
		return;
	/* A record that is being written now is new to the reader: begin after the last newline. */
	end = lseek(f->fd, 0, SEEK_END);
	for (char c = 0; end > 0 && pread(f->fd, &c, 1, end - 1) == 1 && c != '\n'; end--)
		;
	lseek(f->fd, end, SEEK_SET);
}

struct runtime_follow *runtime_log_follow(
        struct runtime *rt, id64 id, runtime_log_fn *fn, void (*ended)(void *), void *ctx)
{
	struct task *t = runtime_find(rt, id);
	struct runtime_follow *f;
	char path[4200];
	int fd = t && !supervise_ended(t->life.state) ? open_log(t, NULL) : -1;

	if (fd < 0)
		return NULL;
	f = xcalloc(1, sizeof(*f));
	f->log_fd = fd;
	f->fd = -1;
	f->fn = fn;
	f->ended = ended;
	f->ctx = ctx;
	skip_to_end(f);
	uv_fs_event_init(rt->loop, &f->watch);
	f->watch.data = f;
	list_init(&f->link);
	snprintf(path, sizeof(path), "%s/log", t->dir);
	if (uv_fs_event_start(&f->watch, on_change, path, 0) < 0) {
		uv_close((uv_handle_t *)&f->watch, on_watch_closed);
		return NULL;
	}
	list_push_back(&t->followers, &f->link);
	return f;
}

void runtime_follow_close(struct runtime_follow *f)
{
	if (f->closed)
		return;
	f->closed = true;
	list_remove(&f->link);
	uv_close((uv_handle_t *)&f->watch, on_watch_closed);
}

void followers_end(struct task *t)
{
	while (!list_empty(&t->followers)) {
		struct runtime_follow *f = list_entry(t->followers.next, struct runtime_follow, link);

		pump(f);
		if (f->closed)
			continue;
		list_remove(&f->link);
		uv_fs_event_stop(&f->watch);
		f->ended(f->ctx);
	}
}
