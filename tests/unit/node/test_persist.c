/* The durable store on real files: what was promised is there after a crash, and only that is written. */
#include "tests/unit/node/scratch.h"

#include "base/hash.h"
#include "node/datadir.h"
#include "node/persist.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* What came back for each record. */
struct heard {
	unsigned ok, failed, fatal;
	char why[256];
};

static void on_done(void *ctx, const struct key32 *id UNUSED, bool ok, bool fatal, const char *why)
{
	struct heard *h = ctx;

	h->ok += ok;
	h->failed += !ok;
	h->fatal += fatal;
	if (!ok)
		snprintf(h->why, sizeof(h->why), "%s", why);
}

static void run_until(uv_loop_t *loop, struct heard *h, unsigned n)
{
	while (h->ok + h->failed < n)
		uv_run(loop, UV_RUN_ONCE);
}

static struct key32 id_of(unsigned n)
{
	struct key32 id;

	hash32(&id, &n, sizeof(n));
	return id;
}

static void put(struct persist *p, unsigned n, const char *text)
{
	struct key32 id = id_of(n);
	struct err err = {0};

	assert_int_equal(persist_put(p, &id, (const uint8_t *)text, strlen(text), &err), 0);
}

struct listing {
	unsigned n;
	char text[4096]; /* all values, each followed by a blank */
};

static int list_one(void *ctx, const uint8_t *bytes, size_t len, bool sealed UNUSED, struct err *err UNUSED)
{
	struct listing *l = ctx;
	size_t at = strlen(l->text);

	l->n++;
	if (at + len + 2 < sizeof(l->text)) {
		memcpy(l->text + at, bytes, len);
		l->text[at + len] = ' ';
	}
	return 0;
}

static void list_all(struct persist *p, struct listing *l)
{
	struct err err = {0};

	memset(l, 0, sizeof(*l));
	assert_int_equal(persist_each(p, list_one, l, &err), 0);
}

static struct persist *open_sync(const char *dir)
{
	struct err err = {0};
	struct persist *p = persist_open(dir, NULL, NULL, NULL, &err);

	if (!p)
		fail_msg("%s", err.text);
	return p;
}

static void close_on_loop(struct persist *p, uv_loop_t *loop)
{
	persist_close(p);
	uv_run(loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(loop), 0);
}

static void records_come_back_in_order(void **state)
{
	struct scratch *s = *state;
	struct persist *p = open_sync(s->dir);
	struct listing l;

	put(p, 1, "genesis");
	put(p, 2, "grant");
	put(p, 3, "revision");
	persist_close(p);
	p = open_sync(s->dir);
	list_all(p, &l);
	assert_string_equal(l.text, "genesis grant revision ");
	persist_close(p);
}

static void a_body_that_comes_later_takes_its_headers_place(void **state)
{
	struct scratch *s = *state;
	struct persist *p = open_sync(s->dir);
	struct key32 id = id_of(1);
	struct err err = {0};
	struct listing l;

	put(p, 1, "head");
	put(p, 2, "other");
	put(p, 1, "head+body");
	list_all(p, &l);
	assert_string_equal(l.text, "head+body other ");
	assert_int_equal(persist_forget(p, &id, &err), 0);
	list_all(p, &l);
	assert_string_equal(l.text, "other ");
	persist_close(p);
}

static void the_loop_hears_of_every_record_once(void **state)
{
	struct scratch *s = *state;
	struct heard h = {0};
	struct err err = {0};
	struct listing l;
	uv_loop_t loop;
	struct persist *p;

	uv_loop_init(&loop);
	p = persist_open(s->dir, &loop, on_done, &h, &err);
	assert_non_null(p);
	for (unsigned i = 0; i < 500; i++)
		put(p, i, "x");
	run_until(&loop, &h, 500);
	assert_int_equal(h.ok, 500);
	assert_int_equal(h.failed, 0);
	list_all(p, &l);
	assert_int_equal(l.n, 500);
	close_on_loop(p, &loop);
}

static void closing_writes_what_is_queued(void **state)
{
	struct scratch *s = *state;
	struct heard h = {0};
	struct err err = {0};
	struct listing l;
	uv_loop_t loop;
	struct persist *p;

	uv_loop_init(&loop);
	p = persist_open(s->dir, &loop, on_done, &h, &err);
	for (unsigned i = 0; i < 100; i++)
		put(p, i, "x");
	close_on_loop(p, &loop);
	p = open_sync(s->dir);
	list_all(p, &l);
	assert_int_equal(l.n, 100);
	persist_close(p);
}

/* A child that is killed the moment the first answers have come: all that was answered must be there. */
static void what_was_acknowledged_survives_a_kill(void **state)
{
	struct scratch *s = *state;
	struct listing l;
	unsigned acknowledged = 0;
	int pipe_fd[2];
	struct persist *p;
	pid_t pid;

	assert_int_equal(pipe(pipe_fd), 0);
	pid = fork();
	if (pid == 0) {
		struct heard h = {0};
		uv_loop_t loop;

		uv_loop_init(&loop);
		p = persist_open(s->dir, &loop, on_done, &h, NULL);
		for (unsigned i = 0; i < 2000; i++)
			put(p, i, "x");
		run_until(&loop, &h, 1);
		if (write(pipe_fd[1], &h.ok, sizeof(h.ok)) != sizeof(h.ok))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	close(pipe_fd[1]);
	assert_int_equal(read(pipe_fd[0], &acknowledged, sizeof(acknowledged)), sizeof(acknowledged));
	close(pipe_fd[0]);
	waitpid(pid, NULL, 0);
	assert_true(acknowledged > 0);
	p = open_sync(s->dir);
	list_all(p, &l);
	assert_true(l.n >= acknowledged);
	persist_close(p);
}

static void a_batch_is_whole_or_not_there(void **state)
{
	struct scratch *s = *state;
	struct persist *p = open_sync(s->dir);
	struct err err = {0};
	uint8_t flock[4];
	struct listing l;
	size_t len;

	assert_int_equal(persist_begin(p, &err), 0);
	put(p, 1, "genesis");
	assert_int_equal(persist_meta_put(p, "flock", "abcd", 4, &err), 0);
	persist_rollback(p);
	list_all(p, &l);
	assert_int_equal(l.n, 0);
	assert_int_equal(persist_meta_get(p, "flock", flock, sizeof(flock), &len, &err), 0);
	assert_int_equal(len, 0);
	assert_int_equal(persist_begin(p, &err), 0);
	put(p, 1, "genesis");
	persist_close(p); /* never committed */
	p = open_sync(s->dir);
	list_all(p, &l);
	assert_int_equal(l.n, 0);
	assert_int_equal(persist_begin(p, &err), 0);
	put(p, 1, "genesis");
	assert_int_equal(persist_commit(p, &err), 0);
	persist_close(p);
	p = open_sync(s->dir);
	list_all(p, &l);
	assert_int_equal(l.n, 1);
	persist_close(p);
}

/* Which rows came back sealed: 's' or 'u' for each, in order. */
static int list_seals(
        void *ctx, const uint8_t *bytes UNUSED, size_t len UNUSED, bool sealed, struct err *err UNUSED)
{
	strcat(ctx, sealed ? "s" : "u");
	return 0;
}

static void expect_seals(struct scratch *s, const uint8_t secret[64], const char *want)
{
	struct persist *p = open_sync(s->dir);
	struct err err = {0};
	char got[16] = "";

	if (secret)
		persist_seal_with(p, secret);
	assert_int_equal(persist_each(p, list_seals, got, &err), 0);
	assert_string_equal(got, want);
	persist_close(p);
}

static void run_sql(const char *path, const char *sql)
{
	sqlite3 *h;

	assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
	assert_int_equal(sqlite3_exec(h, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(h);
}

static void only_the_very_bytes_that_were_put_come_back_sealed(void **state)
{
	static const uint8_t ours[64] = {1}, others[64] = {2};
	struct scratch *s = *state;
	struct persist *p = open_sync(s->dir);
	struct key32 page = id_of(9);

	put(p, 1, "before there was a secret");
	persist_seal_with(p, ours);
	put(p, 2, "grant");
	put(p, 3, "revision");
	persist_put_own(p, &page, (const uint8_t *)"page", 4);
	persist_close(p);
	expect_seals(s, ours, "ussu"); /* own rows are not synced, so never taken at their word */
	expect_seals(s, others, "uuuu");
	expect_seals(s, NULL, "uuuu");
	run_sql(scratch_path(s, "store.db"),
	        "UPDATE record SET bytes = x'6772616e64' WHERE bytes = x'6772616e74'");
	run_sql(s->path, "UPDATE record SET seal = x'00' WHERE length(bytes) = 8");
	expect_seals(s, ours, "uuuu");
	/* Put again once they were verified, they have their seals. */
	p = open_sync(s->dir);
	persist_seal_with(p, ours);
	put(p, 1, "before there was a secret");
	put(p, 3, "revision");
	persist_close(p);
	expect_seals(s, ours, "susu");
}

static void a_file_of_the_version_before_is_taken_over(void **state)
{
	static const uint8_t ours[64] = {1};
	struct scratch *s = *state;
	struct persist *p = open_sync(s->dir);

	put(p, 1, "genesis");
	persist_close(p);
	run_sql(scratch_path(s, "store.db"), "ALTER TABLE record DROP COLUMN seal; PRAGMA user_version=1");
	p = open_sync(s->dir);
	persist_seal_with(p, ours);
	put(p, 2, "grant");
	persist_close(p);
	expect_seals(s, ours, "us");
}

static void boots_are_counted(void **state)
{
	struct scratch *s = *state;
	struct err err = {0};

	for (uint32_t want = 1; want <= 4; want++) {
		struct persist *p = open_sync(s->dir);
		uint32_t boot = 0;

		assert_int_equal(persist_next_boot(p, &boot, &err), 0);
		assert_int_equal(boot, want);
		persist_close(p);
	}
}

static void own_rows_keep_the_last_of_each_name(void **state)
{
	struct scratch *s = *state;
	struct key32 facts = id_of(1), page = id_of(2);
	struct err err = {0};
	struct listing l;
	uint8_t hint[16];
	uv_loop_t loop;
	struct persist *p;
	size_t len;

	uv_loop_init(&loop);
	p = persist_open(s->dir, &loop, on_done, NULL, &err);
	persist_put_own(p, &facts, (const uint8_t *)"facts-1", 7);
	persist_put_own(p, &page, (const uint8_t *)"page-1", 6);
	persist_put_own(p, &facts, (const uint8_t *)"facts-2", 7);
	persist_put_hint(p, "addr/one", "1.2.3.4", 7);
	persist_put_hint(p, "addr/one", "1.2.3.5", 7);
	close_on_loop(p, &loop);
	p = open_sync(s->dir);
	list_all(p, &l);
	assert_int_equal(l.n, 2);
	assert_non_null(strstr(l.text, "facts-2 "));
	assert_non_null(strstr(l.text, "page-1 "));
	assert_int_equal(persist_get_hint(p, "addr/one", hint, sizeof(hint), &len, &err), 0);
	assert_int_equal(len, 7);
	assert_memory_equal(hint, "1.2.3.5", 7);
	assert_int_equal(persist_get_hint(p, "addr/two", hint, sizeof(hint), &len, &err), 0);
	assert_int_equal(len, 0);
	persist_close(p);
}

static void damaged_own_rows_do_not_stop_the_agent(void **state)
{
	struct scratch *s = *state;
	struct persist *p = open_sync(s->dir);
	struct key32 facts = id_of(1);
	uint8_t junk[8192];
	struct listing l;
	int fd;

	put(p, 1, "genesis");
	persist_put_own(p, &facts, (const uint8_t *)"facts", 5);
	persist_close(p);
	memset(junk, 0xa5, sizeof(junk));
	fd = open(scratch_path(s, "own.db"), O_WRONLY);
	assert_int_equal(pwrite(fd, junk, sizeof(junk), 0), sizeof(junk));
	close(fd);
	unlink(scratch_path(s, "own.db-wal"));
	p = open_sync(s->dir);
	list_all(p, &l);
	assert_string_equal(l.text, "genesis ");
	persist_close(p);
}

static void damaged_records_are_an_error_that_names_the_file(void **state)
{
	struct scratch *s = *state;
	struct err err = {0};
	int fd;

	persist_close(open_sync(s->dir));
	unlink(scratch_path(s, "store.db-wal"));
	fd = open(scratch_path(s, "store.db"), O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "this is no database, just text that somebody put here.............", 66), 66);
	for (int i = 0; i < 60; i++)
		assert_int_equal(
		        write(fd, "this is no database, just text that somebody put here.............", 66), 66);
	close(fd);
	assert_null(persist_open(s->dir, NULL, NULL, NULL, &err));
	assert_non_null(strstr(err.text, "store.db"));
	assert_non_null(strstr(err.text, "not a database"));
}

static void files_of_newer_versions_and_of_others_are_refused(void **state)
{
	struct scratch *s = *state;
	struct err err = {0};

	persist_close(open_sync(s->dir));
	run_sql(scratch_path(s, "store.db"), "PRAGMA user_version=99");
	assert_null(persist_open(s->dir, NULL, NULL, NULL, &err));
	assert_non_null(strstr(err.text, "newer starling"));
	run_sql(s->path, "PRAGMA application_id=7");
	assert_null(persist_open(s->dir, NULL, NULL, NULL, &err));
	assert_non_null(strstr(err.text, "another program"));
}

static void files_are_private(void **state)
{
	static const char *const names[] = {
	        "store.db", "store.db-wal", "store.db-shm", "own.db", "own.db-wal", "lock"};
	struct scratch *s = *state;
	mode_t mask = umask(022);
	struct persist *p = open_sync(s->dir);
	struct stat st;

	put(p, 1, "genesis");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_int_equal(stat(scratch_path(s, names[i]), &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	persist_close(p);
	umask(mask);
}

static void one_agent_per_folder(void **state)
{
	struct scratch *s = *state;
	struct persist *first = open_sync(s->dir);
	struct err err = {0};
	char pid[32];

	assert_null(persist_open(s->dir, NULL, NULL, NULL, &err));
	snprintf(pid, sizeof(pid), "pid %d;", (int)getpid());
	assert_non_null(strstr(err.text, "in use"));
	assert_non_null(strstr(err.text, pid));
	persist_close(first);
	persist_close(open_sync(s->dir));
}

static void folders_that_cannot_be_written_are_named(void **state)
{
	struct scratch *s = *state;
	struct err err = {0};
	FILE *f = fopen(scratch_path(s, "file"), "w");
	pid_t pid;
	int status;

	fclose(f);
	assert_null(persist_open(s->path, NULL, NULL, NULL, &err));
	assert_non_null(strstr(err.text, "is a file"));
	assert_null(persist_open("/proc/starling", NULL, NULL, NULL, &err));
	assert_non_null(strstr(err.text, "/proc/starling"));
	chmod(s->dir, 0555);
	pid = fork(); /* root may write anywhere; nobody may not */
	if (pid == 0) {
		if (geteuid() == 0 && setuid(65534) < 0)
			_exit(2);
		_exit(persist_open(s->dir, NULL, NULL, NULL, &err) || !strstr(err.text, "cannot write"));
	}
	waitpid(pid, &status, 0);
	chmod(s->dir, 0755);
	assert_int_equal(status, 0);
}

static off_t size_of(struct scratch *s, const char *name)
{
	struct stat st;

	return stat(scratch_path(s, name), &st) < 0 ? -1 : st.st_size;
}

static struct timespec changed(struct scratch *s, const char *name)
{
	struct stat st;

	assert_int_equal(stat(scratch_path(s, name), &st), 0);
	return st.st_mtim;
}

static void the_same_bytes_again_write_nothing(void **state)
{
	struct scratch *s = *state;
	struct persist *p = open_sync(s->dir);
	struct timespec before, after;
	struct err err = {0};
	off_t size;

	put(p, 1, "genesis");
	assert_int_equal(persist_meta_put(p, "flock", "abcd", 4, &err), 0);
	before = changed(s, "store.db-wal");
	size = size_of(s, "store.db-wal");
	put(p, 1, "genesis");
	assert_int_equal(persist_meta_put(p, "flock", "abcd", 4, &err), 0);
	after = changed(s, "store.db-wal");
	assert_int_equal(size_of(s, "store.db-wal"), size);
	assert_memory_equal(&before, &after, sizeof(before));
	put(p, 2, "grant"); /* the check above can fail */
	assert_true(size_of(s, "store.db-wal") > size);
	persist_close(p);
}

static void the_log_does_not_grow_for_ever(void **state)
{
	struct scratch *s = *state;
	struct heard h = {0};
	struct err err = {0};
	char text[200];
	uv_loop_t loop;
	struct persist *p;

	uv_loop_init(&loop);
	p = persist_open(s->dir, &loop, on_done, &h, &err);
	for (unsigned i = 0; i < 1500; i++) {
		memset(text, 'a' + i % 26, sizeof(text) - 1);
		text[sizeof(text) - 1] = '\0';
		put(p, i % 50, text);
		run_until(&loop, &h, i + 1);
	}
	assert_int_equal(h.failed, 0);
	assert_true(size_of(s, "store.db-wal") < 2 * 1024 * 1024);
	close_on_loop(p, &loop);
}

/* Runs fn in a child, whose limits and mounts are its own; it exits 0, or with the number of the failed step. */
static void in_a_child(int (*fn)(struct scratch *), struct scratch *s)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(fn(s));
	waitpid(pid, &status, 0);
	if (status == 77 << 8)
		skip();
	assert_int_equal(status, 0);
}

static int fill_and_recover(struct scratch *s, void (*full)(bool))
{
	static uint8_t big[200 * 1024];
	struct heard h = {0};
	struct err err = {0};
	struct listing l = {0};
	uv_loop_t loop;
	struct persist *p;
	struct key32 id;

	uv_loop_init(&loop);
	p = persist_open(s->dir, &loop, on_done, &h, &err);
	if (!p)
		return 1;
	put(p, 1, "kept");
	run_until(&loop, &h, 1);
	full(true);
	id = id_of(2);
	persist_put(p, &id, big, sizeof(big), &err);
	run_until(&loop, &h, 2);
	if (h.failed != 1 || h.fatal || !strstr(h.why, "disk is full"))
		return 2;
	full(false);
	persist_put(p, &id, big, sizeof(big), &err);
	run_until(&loop, &h, 3);
	if (h.ok != 2)
		return 3;
	if (persist_each(p, list_one, &l, &err) < 0 || l.n != 2)
		return 4;
	persist_close(p);
	uv_run(&loop, UV_RUN_DEFAULT);
	return 0;
}

static void limit_files(bool on)
{
	struct rlimit r;

	getrlimit(RLIMIT_FSIZE, &r);
	r.rlim_cur = on ? 100 * 1024 : r.rlim_max;
	setrlimit(RLIMIT_FSIZE, &r);
}

static int limited(struct scratch *s)
{
	signal(SIGXFSZ, SIG_IGN);
	return fill_and_recover(s, limit_files);
}

static void a_size_limit_refuses_records_and_heals(void **state)
{
	in_a_child(limited, *state);
}

static char filler[128];

static void fill_disk(bool on)
{
	static uint8_t zeros[4096];
	int fd;

	unlink(filler);
	if (!on)
		return;
	fd = open(filler, O_WRONLY | O_CREAT, 0600);
	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
	close(fd);
}

/* A file system of 1 MiB in a mount namespace of the child's own. */
static int small_disk(struct scratch *s)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	        mount("starling-test", s->dir, "tmpfs", 0, "size=1m") < 0)
		return 77;
	snprintf(filler, sizeof(filler), "%s/filler", s->dir);
	return 0;
}

static int full_disk(struct scratch *s)
{
	int rc = small_disk(s);

	return rc ? rc : fill_and_recover(s, fill_disk);
}

static void a_full_disk_refuses_records_and_heals(void **state)
{
	in_a_child(full_disk, *state);
}

static int restart_when_full(struct scratch *s)
{
	struct err err = {0};
	struct listing l = {0};
	uint32_t boot = 0;
	struct persist *p;
	int rc = small_disk(s);

	if (rc)
		return rc;
	p = open_sync(s->dir);
	put(p, 1, "kept");
	if (persist_next_boot(p, &boot, &err) < 0)
		return 1;
	persist_close(p);
	fill_disk(true);
	p = persist_open(s->dir, NULL, NULL, NULL, &err);
	if (!p) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	if (persist_next_boot(p, &boot, &err) < 0 || boot != 2) {
		fprintf(stderr, "%s\n", err.text);
		return 3;
	}
	if (persist_each(p, list_one, &l, &err) < 0 || l.n != 1)
		return 4;
	persist_close(p);
	return 0;
}

static void an_agent_starts_again_on_a_full_disk(void **state)
{
	in_a_child(restart_when_full, *state);
}

static void a_queue_has_an_end(void **state)
{
	static uint8_t big[256 * 1024];
	struct scratch *s = *state;
	struct heard h = {0};
	struct err err = {0};
	unsigned taken = 0;
	uv_loop_t loop;
	struct persist *p;

	uv_loop_init(&loop);
	p = persist_open(s->dir, &loop, on_done, &h, &err);
	/* The loop does not run, so nothing is taken off the account, whatever the disk does. */
	for (unsigned i = 0; i < 100; i++) {
		struct key32 id = id_of(i);

		taken += persist_put(p, &id, big, sizeof(big), &err) == 0;
	}
	assert_in_range(taken, 60, 64);
	assert_non_null(strstr(err.text, "slow disk"));
	run_until(&loop, &h, taken);
	assert_int_equal(h.ok, taken);
	put(p, 1000, "room again");
	close_on_loop(p, &loop);
}

/* The file under the store is replaced by one that cannot be trusted: the agent is told to stop, once and for all. */
static int on_fatal(struct scratch *s)
{
	struct heard h = {0};
	struct err err = {0};
	struct key32 id = id_of(7);
	uint8_t junk[4096];
	uv_loop_t loop;
	struct persist *p;
	int fd;

	uv_loop_init(&loop);
	p = persist_open(s->dir, &loop, on_done, &h, &err);
	if (!p)
		return 1;
	/* More pages than are kept in memory, so that the damage is met. */
	for (unsigned i = 0; i < 4000; i++)
		put(p, i, "x");
	run_until(&loop, &h, 4000);
	memset(junk, 0x5a, sizeof(junk));
	if (truncate(scratch_path(s, "store.db-wal"), 0) < 0)
		return 2;
	fd = open(scratch_path(s, "store.db"), O_WRONLY);
	for (int i = 0; i < 200; i++)
		if (pwrite(fd, junk, sizeof(junk), i * (off_t)sizeof(junk)) < 0)
			return 2;
	close(fd);
	for (unsigned i = 0; i < 200; i++) {
		id = id_of(10000 + i);
		if (persist_put(p, &id, junk, sizeof(junk), &err) < 0)
			break; /* it knows already */
		run_until(&loop, &h, 4001 + i);
	}
	if (h.fatal == 0 || !strstr(h.why, "store.db"))
		return 3;
	if (persist_put(p, &id, junk, sizeof(junk), &err) == 0 || !strstr(err.text, "store.db"))
		return 4;
	return 0;
}

static void a_damaged_file_stops_the_agent(void **state)
{
	in_a_child(on_fatal, *state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        SCRATCH_TEST(records_come_back_in_order),
	        SCRATCH_TEST(a_body_that_comes_later_takes_its_headers_place),
	        SCRATCH_TEST(the_loop_hears_of_every_record_once),
	        SCRATCH_TEST(closing_writes_what_is_queued),
	        SCRATCH_TEST(what_was_acknowledged_survives_a_kill),
	        SCRATCH_TEST(a_batch_is_whole_or_not_there),
	        SCRATCH_TEST(only_the_very_bytes_that_were_put_come_back_sealed),
	        SCRATCH_TEST(a_file_of_the_version_before_is_taken_over),
	        SCRATCH_TEST(boots_are_counted),
	        SCRATCH_TEST(own_rows_keep_the_last_of_each_name),
	        SCRATCH_TEST(damaged_own_rows_do_not_stop_the_agent),
	        SCRATCH_TEST(damaged_records_are_an_error_that_names_the_file),
	        SCRATCH_TEST(files_of_newer_versions_and_of_others_are_refused),
	        SCRATCH_TEST(files_are_private),
	        SCRATCH_TEST(one_agent_per_folder),
	        SCRATCH_TEST(folders_that_cannot_be_written_are_named),
	        SCRATCH_TEST(the_same_bytes_again_write_nothing),
	        SCRATCH_TEST(the_log_does_not_grow_for_ever),
	        SCRATCH_TEST(a_size_limit_refuses_records_and_heals),
	        SCRATCH_TEST(a_full_disk_refuses_records_and_heals),
	        SCRATCH_TEST(an_agent_starts_again_on_a_full_disk),
	        SCRATCH_TEST(a_queue_has_an_end),
	        SCRATCH_TEST(a_damaged_file_stops_the_agent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
