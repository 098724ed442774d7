/*
 * The durable store, on the real SQLite, over a disk that fails (faulty_disk.h). A scripted workload is written down
 * operation by operation; then the store is opened on what a crash after each single one would have left.
 *
 * What must hold: the store opens, and holds exactly what it held after some first part of the jobs it was given, in
 * their order; that part has at least every job that was acknowledged before the crash.
 */
#include "tests/unit/node/faulty_disk.h"
#include "tests/unit/node/scratch.h"

#include "base/hash.h"
#include "base/text.h"
#include "node/persist.h"

#include <stdlib.h>

/* Records that jobs are about. */
#define IDS      24
#define JOBS_MAX 512
#define NO_JOB   UINT32_MAX
/* What marks between operations say: so many jobs given to the store, so many acknowledged; boots begun, counted. */
enum { GIVEN, ACKNOWLEDGED, BOOT_BEGUN, BOOT_COUNTED };

struct job {
	unsigned id;
	bool forget;
	size_t len;
};

struct script {
	struct scratch *dir;
	struct drbg rng;
	struct job job[JOBS_MAX];
	unsigned n_jobs;
	unsigned answers, acknowledged; /* done() called; and the number of jobs that are surely on disk */
	unsigned awaited;               /* jobs that done() will be called for */
	uint32_t boot;
	uv_loop_t loop;
	struct persist *p;
	bool failed;
	unsigned n_fatal;
	char why[ERR_TEXT_MAX];
};

static struct key32 id_of(unsigned n)
{
	struct key32 id;

	hash32(&id, &n, sizeof(n));
	return id;
}

/* A record that says which job wrote it, and no byte of which can be another's. */
static uint8_t *bytes_of(const struct script *s, uint32_t job)
{
	uint8_t *p = xmalloc(s->job[job].len);
	struct drbg rng;

	drbg_init_u64(&rng, job, 77);
	drbg_bytes(&rng, p, s->job[job].len);
	memcpy(p, &job, sizeof(job));
	return p;
}

static void on_done(void *ctx, const struct key32 *id UNUSED, bool ok, bool fatal, const char *why)
{
	struct script *s = ctx;

	s->answers++;
	s->n_fatal += fatal;
	s->failed |= !ok;
	if (!ok)
		text_copy(s->why, sizeof(s->why), why);
}

static void open_store(struct script *s)
{
	struct err err = {0};

	uv_loop_init(&s->loop);
	s->p = persist_open(s->dir->dir, &s->loop, on_done, s, &err);
	if (!s->p)
		fail_msg("%s", err.text);
	disk_mark(BOOT_BEGUN, s->boot + 1);
	assert_int_equal(persist_next_boot(s->p, &s->boot, &err), 0);
	disk_mark(BOOT_COUNTED, s->boot);
}

static void close_store(struct script *s)
{
	persist_close(s->p);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&s->loop), 0);
	s->p = NULL;
}

static int give(struct script *s, unsigned id, bool forget, size_t len, struct err *err)
{
	struct key32 key = id_of(id);
	uint32_t n = s->n_jobs++;
	uint8_t *bytes;
	int rc;

	assert_true(n < JOBS_MAX && id < IDS);
	s->job[n] = (struct job){id, forget, MAX(len, sizeof(n))};
	disk_mark(GIVEN, s->n_jobs);
	if (forget)
		return persist_forget(s->p, &key, err);
	s->awaited++;
	bytes = bytes_of(s, n);
	rc = persist_put(s->p, &key, bytes, s->job[n].len, err);
	free(bytes);
	return rc;
}

/* All that was given has been answered. */
static void await(struct script *s)
{
	while (s->answers < s->awaited)
		uv_run(&s->loop, UV_RUN_ONCE);
	s->acknowledged = s->n_jobs;
	disk_mark(ACKNOWLEDGED, s->acknowledged);
}

/* So many records in one transaction: they gather while the one before waits at the gate. The last is a put, since a
 * forgotten record gets no answer. */
static void write_batch(struct script *s, unsigned n, size_t len_max)
{
	struct err err = {0};

	disk_hold();
	assert_int_equal(give(s, (unsigned)drbg_below(&s->rng, IDS), false, 64, &err), 0);
	disk_wait_held();
	for (unsigned i = 0; i < n; i++) {
		bool forget = i + 1 < n && drbg_below(&s->rng, 5) == 0;

		assert_int_equal(give(s, (unsigned)drbg_below(&s->rng, IDS), forget,
		                         (size_t)drbg_below(&s->rng, len_max), &err),
		        0);
	}
	if (drbg_below(&s->rng, 3) == 0) {
		struct key32 key = id_of(1000);

		persist_put_own(s->p, &key, (const uint8_t *)"what this peer says of itself", 29);
	}
	disk_release();
	await(s);
	assert_false(s->failed);
}

/* --- what is there after a crash --- */

struct found {
	const struct script *script;
	uint64_t left; /* rows of the durable file that are still to come */
	uint32_t job[IDS];
	bool bad;
};

static int find(void *ctx, const uint8_t *bytes, size_t len, bool sealed UNUSED, struct err *err UNUSED)
{
	struct found *f = ctx;
	uint32_t job;
	uint8_t *want;

	if (!f->left) /* own rows are not synced, and checked by who reads them */
		return 0;
	f->left--;
	if (len < sizeof(job)) {
		f->bad = true;
		return 0;
	}
	memcpy(&job, bytes, sizeof(job));
	if (job >= f->script->n_jobs || f->script->job[job].len != len) {
		f->bad = true;
		return 0;
	}
	want = bytes_of(f->script, job);
	f->bad |= memcmp(want, bytes, len) != 0;
	free(want);
	f->job[f->script->job[job].id] = job;
	return 0;
}

/* Is this what the store held after the first m jobs? */
static bool is_state_after(const struct found *f, unsigned m)
{
	uint32_t want[IDS];

	for (unsigned i = 0; i < IDS; i++)
		want[i] = NO_JOB;
	for (unsigned i = 0; i < m; i++)
		want[f->script->job[i].id] = f->script->job[i].forget ? NO_JOB : i;
	return memcmp(want, f->job, sizeof(want)) == 0;
}

/* How far things were at an operation. */
struct progress {
	size_t mark[4];
};

struct checker {
	const struct script *script;
	struct drbg *rng;
	struct scratch after; /* folder in which stores are opened again */
	unsigned tried;
};

/* The store on this image must open and hold what it should. */
static void check(
        struct checker *c, const struct image *im, const struct progress *at, const char *kind, size_t op)
{
	struct found f = {.script = c->script};
	struct err err = {0};
	struct persist *p;
	uint32_t boot = 0;
	bool some = false;

	image_write(im, c->after.dir);
	c->tried++;
	p = persist_open(c->after.dir, NULL, NULL, NULL, &err);
	if (!p)
		fail_msg("%s after operation %zu of %zu: %s", kind, op, disk.n_ops, err.text);
	for (unsigned i = 0; i < IDS; i++)
		f.job[i] = NO_JOB;
	if (persist_count(p, &f.left, &err) < 0 || persist_each(p, find, &f, &err) < 0)
		fail_msg("%s after operation %zu: %s", kind, op, err.text);
	if (f.bad)
		fail_msg("%s after operation %zu: a record that nobody wrote so", kind, op);
	for (size_t m = at->mark[ACKNOWLEDGED]; m <= at->mark[GIVEN] && !some; m++)
		some = is_state_after(&f, (unsigned)m);
	if (!some)
		fail_msg(
		        "%s after operation %zu: %zu jobs were acknowledged of %zu, and they are not there in order",
		        kind, op, at->mark[ACKNOWLEDGED], at->mark[GIVEN]);
	if (persist_next_boot(p, &boot, &err) < 0)
		fail_msg("%s after operation %zu: %s", kind, op, err.text);
	if (boot <= at->mark[BOOT_COUNTED] || boot > at->mark[BOOT_BEGUN] + 1)
		fail_msg("%s after operation %zu: boot %u after %zu", kind, op, boot, at->mark[BOOT_COUNTED]);
	persist_close(p);
}

/* The store on this image, three ways of crashing further on. */
static void check_all(struct checker *c, struct crash *crash, const struct progress *at, size_t op)
{
	check(c, &crash->written, at, "killed", op);
	check(c, &crash->synced, at, "power lost, nothing unsynced kept,", op);
	check(c, crash_lucky(crash, c->rng), at, "power lost, unsynced writes in part and in any order,", op);
}

/* A store that is opened after a crash, and crashes while it is. */
static void crash_again(struct checker *c, const struct image *im, const struct progress *at)
{
	struct disk_op *ops = disk.ops;
	size_t n = disk.n_ops, cap = disk.cap_ops;
	struct crash crash = {0};
	struct err err = {0};
	struct persist *p;

	disk.ops = NULL;
	disk.n_ops = disk.cap_ops = 0;
	image_write(im, c->after.dir);
	image_copy(&crash.written, im);
	image_copy(&crash.synced, im);
	disk.recording = true;
	p = persist_open(c->after.dir, NULL, NULL, NULL, &err);
	assert_non_null(p);
	persist_close(p);
	disk.recording = false;
	while (crash.at < disk.n_ops) {
		crash_step(&crash);
		check_all(c, &crash, at, crash.at);
	}
	crash_free(&crash);
	disk_forget_ops();
	disk.ops = ops;
	disk.n_ops = n;
	disk.cap_ops = cap;
}

/* Opens the store as of every operation (or one in `every`, by the seed), once per kind of crash. Of some, the opening
 * crashes too. */
static unsigned crash_everywhere(const struct script *s, unsigned every, struct drbg *rng)
{
	struct checker c = {.script = s, .rng = rng, .after = {.dir = "/tmp/starling-test-XXXXXX"}};
	struct progress at = {{0}};
	struct crash crash = {0};

	assert_non_null(mkdtemp(c.after.dir));
	disk.recording = false;
	disk_repair();
	for (size_t k = 0; k <= disk.n_ops; k++) {
		if (k) {
			const struct disk_op *op = &disk.ops[k - 1];

			crash_step(&crash);
			if (op->kind == DISK_MARK) {
				at.mark[op->at] = op->len;
				continue;
			}
		}
		if (every > 1 && drbg_below(rng, every))
			continue;
		check_all(&c, &crash, &at, k);
		if (drbg_below(rng, 50) == 0)
			crash_again(&c, crash_lucky(&crash, rng), &at);
	}
	crash_free(&crash);
	nftw(c.after.dir, scratch_remove, 8, FTW_DEPTH | FTW_PHYS);
	return c.tried;
}

static struct script *script_new(struct scratch *dir, uint64_t seed)
{
	struct script *s = xcalloc(1, sizeof(*s));

	s->dir = dir;
	drbg_init_u64(&s->rng, seed, 1);
	disk_reset(true);
	return s;
}

/* SEED=n plays one again. */
static uint64_t seed_or(uint64_t otherwise)
{
	const char *text = getenv("SEED");

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

/* Small records, so that every crash point can be tried; opened again twice on the way, which moves the log into the
 * file. */
static void nothing_acknowledged_is_lost_at_any_crash_point(void **state)
{
	uint64_t seed = seed_or(1);
	struct script *s = script_new(*state, seed);
	struct drbg rng;
	unsigned tried;

	drbg_init_u64(&rng, seed, 2);
	for (unsigned run = 0; run < 3; run++) {
		open_store(s);
		for (unsigned i = 0; i < 8; i++)
			write_batch(s, 1 + (unsigned)drbg_below(&s->rng, 6), i % 3 ? 400 : 9000);
		close_store(s);
	}
	tried = crash_everywhere(s, 1, &rng);
	print_message("           seed %llu: %zu operations of %u jobs, %u crashes tried\n",
	        (unsigned long long)seed, disk.n_ops, s->n_jobs, tried);
	assert_true(tried > 1000);
	free(s);
}

/* Large ones, so that the log is moved into the file while the agent runs; some crash points, from the seed. */
static void nothing_is_lost_while_the_log_moves_into_the_file(void **state)
{
	uint64_t seed = seed_or(11);
	struct script *s = script_new(*state, seed);
	bool moved = false;
	struct drbg rng;
	unsigned tried;

	drbg_init_u64(&rng, seed, 2);
	open_store(s);
	for (unsigned i = 0; i < 12; i++)
		write_batch(s, 4, 90000);
	close_store(s);
	for (size_t i = 0, seen = 0; i < disk.n_ops; i++) {
		seen += disk.ops[i].kind == DISK_MARK && disk.ops[i].at == ACKNOWLEDGED;
		moved |= seen && seen < 12 && disk.ops[i].kind == DISK_WRITE &&
		         strcmp(disk.name[disk.ops[i].file], "store.db") == 0;
	}
	assert_true(moved);
	tried = crash_everywhere(s, 40, &rng);
	print_message("           seed %llu: %zu operations of %u jobs, %u crashes tried\n",
	        (unsigned long long)seed, disk.n_ops, s->n_jobs, tried);
	free(s);
}

/* --- a disk that cannot sync --- */

/* After a failed sync nothing is acknowledged, nothing is synced again, and what was acknowledged before is there. */
static void a_failed_sync_ends_the_store_for_good(void **state)
{
	struct script *s = script_new(*state, 3);
	struct err err = {0};
	struct drbg rng;
	unsigned before;

	drbg_init_u64(&rng, 3, 2);
	open_store(s);
	write_batch(s, 5, 400);
	before = s->answers;
	/* One transaction whose sync fails, and one that waits behind it when it does. */
	disk.sync_fails = "store.db-wal";
	disk_hold();
	assert_int_equal(give(s, 1, false, 200, &err), 0);
	disk_wait_held();
	assert_int_equal(give(s, 3, false, 200, &err), 0);
	disk_release();
	while (s->answers < s->awaited)
		uv_run(&s->loop, UV_RUN_ONCE);
	assert_int_equal(s->answers, before + 2);
	assert_int_equal(s->n_fatal, 2);
	assert_non_null(strstr(s->why, "store.db"));
	assert_non_null(strstr(s->why, "sync failed"));
	assert_non_null(strstr(s->why, strerror(EIO)));
	/* The disk says that it works again: too late, since the kernel has forgotten what it could not write. */
	assert_int_equal(give(s, 2, false, 200, &err), -1);
	assert_non_null(strstr(err.text, "store.db"));
	assert_int_equal(disk.syncs_after_failure, 0);
	close_store(s);
	assert_int_equal(disk.syncs_after_failure, 0);
	crash_everywhere(s, 1, &rng);
	free(s);
}

/* The same while the log is moved into the file. */
static void a_failed_sync_of_the_file_ends_the_store_too(void **state)
{
	struct script *s = script_new(*state, 4);
	struct err err = {0};
	struct drbg rng;

	drbg_init_u64(&rng, 4, 2);
	open_store(s);
	disk.sync_fails = "store.db";
	for (unsigned i = 0; i < 40 && !s->n_fatal; i++) {
		if (give(s, i % IDS, false, 60000, &err) < 0)
			break;
		while (s->answers < s->awaited)
			uv_run(&s->loop, UV_RUN_ONCE);
		if (!s->failed) {
			s->acknowledged = s->n_jobs;
			disk_mark(ACKNOWLEDGED, s->acknowledged);
		}
	}
	assert_true(s->n_fatal);
	assert_non_null(strstr(s->why, "store.db"));
	assert_int_equal(disk.syncs_failed, 1);
	close_store(s);
	assert_int_equal(disk.syncs_after_failure, 0);
	crash_everywhere(s, 60, &rng);
	free(s);
}

/* --- a disk that is full --- */

static void refuse_and_heal(struct scratch *dir, const char *file, int error)
{
	struct script *s = script_new(dir, 5);
	struct err err = {0};
	struct drbg rng;

	drbg_init_u64(&rng, 5, 2);
	open_store(s);
	write_batch(s, 5, 400);
	disk.write_fails = file;
	disk.write_errno = error;
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(give(s, i, false, 200, &err), 0);
		while (s->answers < s->awaited)
			uv_run(&s->loop, UV_RUN_ONCE);
		assert_true(s->failed);
		assert_int_equal(s->n_fatal, 0);
		assert_non_null(strstr(s->why, "disk is full"));
		assert_non_null(strstr(s->why, "free space"));
		s->failed = false;
		/* It was refused, so it is as if it had never been given. */
		s->n_jobs--;
		disk_mark(GIVEN, s->n_jobs);
	}
	assert_true(disk.writes_failed >= 4);
	disk_repair();
	write_batch(s, 5, 400);
	close_store(s);
	crash_everywhere(s, 1, &rng);
	free(s);
}

static void a_full_disk_refuses_with_a_reason_and_heals(void **state)
{
	refuse_and_heal(*state, "store.db-wal", ENOSPC);
}

static void a_quota_refuses_with_a_reason_and_heals(void **state)
{
	refuse_and_heal(*state, "store.db-wal", EDQUOT);
}

/* No room for the file while there is some for the log: what is in the log is accepted, and moved later. */
static void a_file_without_room_keeps_its_records_in_the_log(void **state)
{
	struct script *s = script_new(*state, 6);
	struct drbg rng;

	drbg_init_u64(&rng, 6, 2);
	open_store(s);
	disk.write_fails = "store.db";
	disk.write_errno = ENOSPC;
	for (unsigned i = 0; i < 12; i++)
		write_batch(s, 3, 90000);
	assert_true(disk.writes_failed > 0);
	disk_repair();
	write_batch(s, 3, 400);
	close_store(s);
	crash_everywhere(s, 60, &rng);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        SCRATCH_TEST(nothing_acknowledged_is_lost_at_any_crash_point),
	        SCRATCH_TEST(nothing_is_lost_while_the_log_moves_into_the_file),
	        SCRATCH_TEST(a_failed_sync_ends_the_store_for_good),
	        SCRATCH_TEST(a_failed_sync_of_the_file_ends_the_store_too),
	        SCRATCH_TEST(a_full_disk_refuses_with_a_reason_and_heals),
	        SCRATCH_TEST(a_quota_refuses_with_a_reason_and_heals),
	        SCRATCH_TEST(a_file_without_room_keeps_its_records_in_the_log),
	};

	disk_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
