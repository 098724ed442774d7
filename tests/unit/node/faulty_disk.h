/*
 * A disk that can fail, under the real SQLite: a sqlite3_vfs around the default one. It writes down every write,
 * truncation, sync and deletion in the order in which they reached the disk, so that a test can ask afterwards what a
 * crash after the k-th of them would have left (struct image); and it can fail syncs and refuse writes.
 *
 * What a power cut leaves is modelled as POSIX has it: what was synced is there; of what was not, each write by itself
 * may be there, be missing, or be there in part, whatever the order in which they were made. Bytes outside a write
 * are never damaged by it (SQLite's "powersafe overwrite", which it assumes too). Real syncs are left out: the files
 * only live until the test has looked at them.
 */
#ifndef TESTS_UNIT_NODE_FAULTY_DISK_H
#define TESTS_UNIT_NODE_FAULTY_DISK_H

#include "tests/unit/unit.h"

#include "base/drbg.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* store.db and own.db, each with its log and its rollback journal. */
#define DISK_FILES_MAX 6
#define SECTOR_BYTES   512

enum disk_op_kind { DISK_WRITE, DISK_TRUNCATE, DISK_SYNC, DISK_DELETE, DISK_MARK };

struct disk_op {
	enum disk_op_kind kind;
	unsigned file;
	size_t at;  /* DISK_TRUNCATE: the new length; DISK_MARK: what */
	size_t len; /* DISK_MARK: how much */
	uint8_t *bytes;
	bool folder; /* DISK_SYNC, DISK_DELETE: the folder was synced with it, so names gone before are gone for good */
};

struct faulty_disk {
	sqlite3_vfs vfs;
	sqlite3_vfs *real;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool recording;
	char name[DISK_FILES_MAX][32]; /* files by number */
	unsigned n_files;
	struct disk_op *ops;
	size_t n_ops, cap_ops;
	/* Faults. */
	const char
	        *sync_fails; /* the next sync of a file whose name ends so: EIO, once, as the kernel tells it */
	const char *write_fails; /* and cannot be written: write_errno */
	int write_errno;
	int last_errno;
	unsigned syncs_failed, writes_failed, syncs_after_failure;
	/* The gate: transactions on store.db wait here while it is held. */
	bool held, waiting;
};

static struct faulty_disk disk = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

struct disk_file {
	sqlite3_file base;
	unsigned number;
	bool new_name; /* its first sync syncs the folder too */
	char path[256];
	sqlite3_file *real;
};

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

/* The number of a file, by the last part of its path; one more is made up at need. */
static unsigned disk_number(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	unsigned i;

	if (!slash)
		return DISK_FILES_MAX;
	for (i = 0; i < disk.n_files; i++)
		if (strcmp(disk.name[i], slash + 1) == 0)
			return i;
	assert_true(i < DISK_FILES_MAX);
	snprintf(disk.name[i], sizeof(disk.name[i]), "%s", slash + 1);
	disk.n_files++;
	return i;
}

static void disk_note(
        enum disk_op_kind kind, unsigned file, size_t at, const void *bytes, size_t len, bool folder)
{
	struct disk_op *op;

	pthread_mutex_lock(&disk.lock);
	if (disk.recording && file <= DISK_FILES_MAX) {
		if (disk.n_ops == disk.cap_ops) {
			disk.cap_ops = disk.cap_ops ? 2 * disk.cap_ops : 1024;
			disk.ops = xrealloc(disk.ops, disk.cap_ops * sizeof(*disk.ops));
		}
		op = &disk.ops[disk.n_ops++];
		*op = (struct disk_op){.kind = kind, .file = file, .at = at, .len = len, .folder = folder};
		if (bytes)
			op->bytes = xmemdup(bytes, len);
	}
	pthread_mutex_unlock(&disk.lock);
}

/* The test's own word, between the operations on the disk. */
static void disk_mark(size_t what, size_t how_much)
{
	disk_note(DISK_MARK, DISK_FILES_MAX, what, NULL, how_much, false);
}

#define REAL(f) (((struct disk_file *)(f))->real)

static int disk_close(sqlite3_file *f)
{
	return REAL(f)->pMethods->xClose(REAL(f));
}

static int disk_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
	return REAL(f)->pMethods->xRead(REAL(f), to, n, at);
}

static int disk_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at)
{
	struct disk_file *df = (struct disk_file *)f;

	if (disk.write_fails && ends_with(df->path, disk.write_fails)) {
		disk.writes_failed++;
		errno = disk.last_errno = disk.write_errno;
		return disk.write_errno == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
	}
	disk_note(DISK_WRITE, df->number, (size_t)at, from, (size_t)n, false);
	return REAL(f)->pMethods->xWrite(REAL(f), from, n, at);
}

static int disk_truncate(sqlite3_file *f, sqlite3_int64 len)
{
	disk_note(DISK_TRUNCATE, ((struct disk_file *)f)->number, (size_t)len, NULL, 0, false);
	return REAL(f)->pMethods->xTruncate(REAL(f), len);
}

static int disk_sync(sqlite3_file *f, int flags)
{
	struct disk_file *df = (struct disk_file *)f;

	(void)flags;
	if (disk.syncs_failed)
		disk.syncs_after_failure++;
	if (disk.sync_fails && ends_with(df->path, disk.sync_fails)) {
		disk.syncs_failed++;
		disk.sync_fails = NULL;
		errno = disk.last_errno = EIO;
		return SQLITE_IOERR_FSYNC;
	}
	disk_note(DISK_SYNC, df->number, 0, NULL, 0, df->new_name);
	df->new_name = false;
	return SQLITE_OK;
}

static int disk_size(sqlite3_file *f, sqlite3_int64 *len)
{
	return REAL(f)->pMethods->xFileSize(REAL(f), len);
}

static int disk_lock(sqlite3_file *f, int how)
{
	return REAL(f)->pMethods->xLock(REAL(f), how);
}

static int disk_unlock(sqlite3_file *f, int how)
{
	return REAL(f)->pMethods->xUnlock(REAL(f), how);
}

static int disk_reserved(sqlite3_file *f, int *out)
{
	return REAL(f)->pMethods->xCheckReservedLock(REAL(f), out);
}

static int disk_control(sqlite3_file *f, int op, void *arg)
{
	if (op == SQLITE_FCNTL_LAST_ERRNO && disk.last_errno) {
		*(int *)arg = disk.last_errno;
		return SQLITE_OK;
	}
	return REAL(f)->pMethods->xFileControl(REAL(f), op, arg);
}

static int disk_sector(sqlite3_file *f)
{
	return REAL(f)->pMethods->xSectorSize(REAL(f));
}

static int disk_traits(sqlite3_file *f)
{
	return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f));
}

static int disk_shm_map(sqlite3_file *f, int region, int size, int extend, void volatile **out)
{
	return REAL(f)->pMethods->xShmMap(REAL(f), region, size, extend, out);
}

static int disk_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
	/* The first of SQLite's locks on a log is the writer's: a transaction begins. */
	if (at == 0 && flags == (SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE) &&
	        ends_with(((struct disk_file *)f)->path, "store.db")) {
		pthread_mutex_lock(&disk.lock);
		while (disk.held) {
			disk.waiting = true;
			pthread_cond_broadcast(&disk.changed);
			pthread_cond_wait(&disk.changed, &disk.lock);
		}
		disk.waiting = false;
		pthread_mutex_unlock(&disk.lock);
	}
	return REAL(f)->pMethods->xShmLock(REAL(f), at, n, flags);
}

static void disk_shm_barrier(sqlite3_file *f)
{
	REAL(f)->pMethods->xShmBarrier(REAL(f));
}

static int disk_shm_unmap(sqlite3_file *f, int del)
{
	return REAL(f)->pMethods->xShmUnmap(REAL(f), del);
}

static const sqlite3_io_methods disk_methods = {
        .iVersion = 2,
        .xClose = disk_close,
        .xRead = disk_read,
        .xWrite = disk_write,
        .xTruncate = disk_truncate,
        .xSync = disk_sync,
        .xFileSize = disk_size,
        .xLock = disk_lock,
        .xUnlock = disk_unlock,
        .xCheckReservedLock = disk_reserved,
        .xFileControl = disk_control,
        .xSectorSize = disk_sector,
        .xDeviceCharacteristics = disk_traits,
        .xShmMap = disk_shm_map,
        .xShmLock = disk_shm_lock,
        .xShmBarrier = disk_shm_barrier,
        .xShmUnmap = disk_shm_unmap,
};

static int disk_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *f, int flags, int *out)
{
	struct disk_file *df = (struct disk_file *)f;
	int rc;

	(void)vfs;
	memset(df, 0, sizeof(*df));
	df->real = (sqlite3_file *)(df + 1);
	df->number = disk_number(path);
	/* As os_unix.c does it. */
	df->new_name = (flags & SQLITE_OPEN_CREATE) && (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL));
	snprintf(df->path, sizeof(df->path), "%s", path ? path : "");
	rc = disk.real->xOpen(disk.real, path, df->real, flags, out);
	if (df->real->pMethods)
		df->base.pMethods = &disk_methods;
	return rc;
}

static int disk_delete(sqlite3_vfs *vfs, const char *path, int sync)
{
	(void)vfs;
	disk_note(DISK_DELETE, disk_number(path), 0, NULL, 0, sync);
	return disk.real->xDelete(disk.real, path, 0);
}

/* Puts the disk under every file that SQLite opens from now on. */
static void disk_install(void)
{
	disk.real = sqlite3_vfs_find(NULL);
	disk.vfs = *disk.real;
	disk.vfs.zName = "faulty";
	disk.vfs.pNext = NULL;
	disk.vfs.szOsFile = (int)sizeof(struct disk_file) + disk.real->szOsFile;
	disk.vfs.xOpen = disk_open;
	disk.vfs.xDelete = disk_delete;
	assert_int_equal(sqlite3_vfs_register(&disk.vfs, 1), SQLITE_OK);
}

/* The disk works from now on. */
static void disk_repair(void)
{
	disk.sync_fails = disk.write_fails = NULL;
	disk.last_errno = 0;
}

static void disk_forget_ops(void)
{
	for (size_t i = 0; i < disk.n_ops; i++)
		free(disk.ops[i].bytes);
	free(disk.ops);
	disk.ops = NULL;
	disk.n_ops = disk.cap_ops = 0;
}

/* A new story. */
static void disk_reset(bool recording)
{
	disk_forget_ops();
	disk_repair();
	disk.n_files = 0;
	disk.recording = recording;
	disk.syncs_failed = disk.writes_failed = disk.syncs_after_failure = 0;
}

/* The next transaction on store.db waits until disk_release(). */
static void disk_hold(void)
{
	pthread_mutex_lock(&disk.lock);
	disk.held = true;
	pthread_mutex_unlock(&disk.lock);
}

static void disk_wait_held(void)
{
	pthread_mutex_lock(&disk.lock);
	while (!disk.waiting)
		pthread_cond_wait(&disk.changed, &disk.lock);
	pthread_mutex_unlock(&disk.lock);
}

static void disk_release(void)
{
	pthread_mutex_lock(&disk.lock);
	disk.held = false;
	pthread_cond_broadcast(&disk.changed);
	pthread_mutex_unlock(&disk.lock);
}

/* --- what a crash leaves --- */

struct image_file {
	bool exists;
	uint8_t *p;
	size_t len, cap;
};

struct image {
	struct image_file file[DISK_FILES_MAX];
};

static void image_free(struct image *im)
{
	for (unsigned i = 0; i < DISK_FILES_MAX; i++)
		free(im->file[i].p);
	memset(im, 0, sizeof(*im));
}

static void image_resize(struct image_file *f, size_t len)
{
	if (len > f->cap) {
		f->cap = 2 * len;
		f->p = xrealloc(f->p, f->cap);
	}
	if (len > f->len)
		memset(f->p + f->len, 0, len - f->len); /* a hole reads as zeros */
	f->len = len;
	f->exists = true;
}

static void image_copy(struct image *to, const struct image *from)
{
	for (unsigned i = 0; i < DISK_FILES_MAX; i++) {
		image_resize(&to->file[i], 0);
		image_resize(&to->file[i], from->file[i].len);
		if (from->file[i].len)
			memcpy(to->file[i].p, from->file[i].p, from->file[i].len);
		to->file[i].exists = from->file[i].exists;
	}
}

static void image_apply(struct image *im, const struct disk_op *op)
{
	struct image_file *f = &im->file[op->file % DISK_FILES_MAX];

	switch (op->kind) {
	case DISK_WRITE:
		if (op->at + op->len > f->len)
			image_resize(f, op->at + op->len);
		memcpy(f->p + op->at, op->bytes, op->len);
		break;
	case DISK_TRUNCATE:
		image_resize(f, op->at);
		break;
	case DISK_DELETE:
		image_resize(f, 0);
		f->exists = false;
		break;
	case DISK_SYNC:
	case DISK_MARK:
		break;
	}
}

/* A write of which only some sectors arrived, and one of those up to some byte. */
static void image_apply_torn(struct image *im, const struct disk_op *op, struct drbg *rng)
{
	struct image_file *f = &im->file[op->file];
	size_t sectors = (op->len + SECTOR_BYTES - 1) / SECTOR_BYTES;

	if (op->kind != DISK_WRITE) {
		image_apply(im, op);
		return;
	}
	if (op->at + op->len > f->len)
		image_resize(f, op->at + op->len);
	for (size_t i = 0; i < sectors; i++) {
		size_t at = i * SECTOR_BYTES, n = MIN(op->len - at, (size_t)SECTOR_BYTES);

		switch (drbg_below(&rng[0], 4)) {
		case 0: /* missing */
			break;
		case 1: /* torn inside the sector */
			memcpy(f->p + op->at + at, op->bytes + at, drbg_below(&rng[0], n + 1));
			break;
		default:
			memcpy(f->p + op->at + at, op->bytes + at, n);
			break;
		}
	}
}

/* Follows the operations one by one: the disk as it would be after each, for several kinds of crash. */
struct crash {
	struct image written; /* the process is killed: all that was written is there */
	struct image synced;  /* the power goes, and nothing survives that was not synced */
	struct image lucky;   /* the power goes, and of the rest some survives: see crash_lucky() */
	size_t at;            /* operations taken */
	size_t *pending;      /* numbers of those that no sync has covered */
	size_t n_pending, cap_pending;
};

/* Is this pending operation on the disk once op has come back? */
static bool covers(const struct crash *c, const struct disk_op *op, size_t pending)
{
	const struct disk_op *p = &disk.ops[c->pending[pending]];

	if (p->file == op->file)
		return true;
	/* A name that is gone for good takes along what was done to its file before. */
	for (size_t i = pending; op->folder && i < c->n_pending; i++)
		if (disk.ops[c->pending[i]].file == p->file && disk.ops[c->pending[i]].kind == DISK_DELETE)
			return true;
	return false;
}

static void crash_step(struct crash *c)
{
	const struct disk_op *op = &disk.ops[c->at];
	size_t kept = 0;

	image_apply(&c->written, op);
	if (op->kind == DISK_SYNC || (op->kind == DISK_DELETE && op->folder)) {
		for (size_t i = 0; i < c->n_pending; i++) {
			if (covers(c, op, i))
				image_apply(&c->synced, &disk.ops[c->pending[i]]);
			else
				c->pending[kept++] = c->pending[i];
		}
		c->n_pending = kept;
		image_apply(&c->synced, op);
	} else if (op->kind != DISK_MARK) {
		if (c->n_pending == c->cap_pending) {
			c->cap_pending = 2 * c->cap_pending + 64;
			c->pending = xrealloc(c->pending, c->cap_pending * sizeof(*c->pending));
		}
		c->pending[c->n_pending++] = c->at;
	}
	c->at++;
}

/* What was synced, and of the rest each by itself: missing, there, or torn; in any order. */
static const struct image *crash_lucky(struct crash *c, struct drbg *rng)
{
	image_copy(&c->lucky, &c->synced);
	for (size_t i = 0; i < c->n_pending; i++) {
		const struct disk_op *op = &disk.ops[c->pending[i]];

		switch (drbg_below(rng, 3)) {
		case 0:
			break;
		case 1:
			image_apply(&c->lucky, op);
			break;
		default:
			image_apply_torn(&c->lucky, op, rng);
			break;
		}
	}
	return &c->lucky;
}

static void crash_free(struct crash *c)
{
	image_free(&c->written);
	image_free(&c->synced);
	image_free(&c->lucky);
	free(c->pending);
}

/* Puts an image into a folder, in place of what SQLite had there. What it shares between processes (-shm) is not on
 * the disk. */
static void image_write(const struct image *im, const char *dir)
{
	char path[320];

	for (unsigned i = 0; i < disk.n_files; i++) {
		const struct image_file *f = &im->file[i];
		int fd;

		snprintf(path, sizeof(path), "%s/%s-shm", dir, disk.name[i]);
		unlink(path);
		snprintf(path, sizeof(path), "%s/%s", dir, disk.name[i]);
		unlink(path);
		if (!f->exists)
			continue;
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		assert_true(fd >= 0);
		if (f->len)
			assert_int_equal(write(fd, f->p, f->len), (ssize_t)f->len);
		close(fd);
	}
}

#endif
