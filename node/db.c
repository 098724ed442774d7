#include "node/db.h"

#include <errno.h>

/* Pages of write-ahead log (4 KiB each) before they are moved into the file: 1 MiB. */
#define DB_WAL_PAGES_MAX 256

/* What SQLite's "disk I/O error" was about. */
static const char *io_action(int extended)
{
	switch (extended) {
	case SQLITE_IOERR_FSYNC:
	case SQLITE_IOERR_DIR_FSYNC:
		return ": sync failed";
	case SQLITE_IOERR_WRITE:
		return ": write failed";
	case SQLITE_IOERR_READ:
	case SQLITE_IOERR_SHORT_READ:
		return ": read failed";
	case SQLITE_IOERR_TRUNCATE:
		return ": truncate failed";
	default:
		return "";
	}
}

/* The system's error behind SQLite's: the connection does not know it when a commit failed, its files do. */
static int system_errno(const struct db *db, bool log)
{
	int os = sqlite3_system_errno(db->h);
	sqlite3_file *file = NULL;

	if (os || sqlite3_errcode(db->h) != SQLITE_IOERR)
		return os;
	sqlite3_file_control(
	        db->h, "main", log ? SQLITE_FCNTL_JOURNAL_POINTER : SQLITE_FCNTL_FILE_POINTER, &file);
	if (file && file->pMethods)
		file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &os);
	return os;
}

static int fail_on(struct db *db, struct err *err, const char *doing, bool log)
{
	int os = system_errno(db, log);

	return err_set(err, ERR_FAILED, "%s: %s: %s%s%s%s", db->path, doing, sqlite3_errmsg(db->h),
	        io_action(sqlite3_extended_errcode(db->h)), os ? ": " : "", os ? strerror(os) : "");
}

int db_fail(struct db *db, struct err *err, const char *doing)
{
	return fail_on(db, err, doing, false);
}

/* SQLite reports ENOSPC as SQLITE_FULL, and quota or file size limits as a write error with their errno. */
bool db_no_space(const struct db *db, bool log)
{
	int os;

	if (sqlite3_errcode(db->h) == SQLITE_FULL)
		return true;
	if (sqlite3_extended_errcode(db->h) != SQLITE_IOERR_WRITE)
		return false;
	os = system_errno(db, log);
	return os == EDQUOT || os == EFBIG || os == ENOSPC;
}

static enum db_result failed_write(struct db *db, struct err *err, const char *doing, bool log)
{
	int code = sqlite3_errcode(db->h);

	if (db_no_space(db, log)) {
		err_set(err, ERR_FAILED,
		        "%s: the disk is full: nothing new can be accepted; free space on it, running tasks go on",
		        db->path);
		return DB_FAILED;
	}
	if (code == SQLITE_BUSY || code == SQLITE_LOCKED) {
		err_set(err, ERR_FAILED, "%s: held by another program for over %d s; close it", db->path,
		        DB_BUSY_MS / 1000);
		return DB_FAILED;
	}
	fail_on(db, err, doing, log);
	if (code == SQLITE_NOMEM)
		return DB_FAILED;
	/* What a failed sync left unwritten, the kernel forgets: another that succeeds proves nothing. So closing must
	 * not move the log into the file, which would sync both; the next start does it from what it reads then. */
	sqlite3_db_config(db->h, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	return DB_FATAL;
}

static enum db_result write_exec(struct db *db, const char *sql, struct err *err)
{
	if (sqlite3_exec(db->h, sql, NULL, NULL, NULL) != SQLITE_OK)
		return failed_write(db, err, sql, true);
	return DB_OK;
}

enum db_result db_begin(struct db *db, struct err *err)
{
	enum db_result result = write_exec(db, "BEGIN IMMEDIATE", err);

	db->batch = result == DB_OK;
	return result;
}

/* SQLite itself rolls back on some errors; what is written after that would be there without the rest. */
static bool batch_is_gone(struct db *db, struct err *err)
{
	if (!db->batch || !sqlite3_get_autocommit(db->h))
		return false;
	err_set(err, ERR_FAILED, "%s: an earlier write of the batch failed, so none of it is kept", db->path);
	return true;
}

enum db_result db_commit(struct db *db, struct err *err)
{
	enum db_result result = batch_is_gone(db, err) ? DB_FAILED : write_exec(db, "COMMIT", err);

	if (result == DB_OK)
		db->batch = false;
	return result;
}

void db_rollback(struct db *db)
{
	db->batch = false;
	if (!sqlite3_get_autocommit(db->h))
		sqlite3_exec(db->h, "ROLLBACK", NULL, NULL, NULL);
}

static enum db_result step_write(struct db *db, sqlite3_stmt *st, struct err *err)
{
	enum db_result result = DB_OK;

	if (batch_is_gone(db, err))
		result = DB_FAILED;
	else if (sqlite3_step(st) != SQLITE_DONE)
		result = failed_write(db, err, "write", true);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return result;
}

enum db_result db_put(struct db *db, const void *id, size_t id_len, const void *bytes, size_t len,
        const uint8_t seal[DB_SEAL_BYTES], struct err *err)
{
	sqlite3_bind_blob64(db->put, 1, id, id_len, SQLITE_STATIC);
	sqlite3_bind_blob64(db->put, 2, bytes, len, SQLITE_STATIC);
	if (seal)
		sqlite3_bind_blob64(db->put, 3, seal, DB_SEAL_BYTES, SQLITE_STATIC);
	return step_write(db, db->put, err);
}

enum db_result db_del(struct db *db, const void *id, size_t id_len, struct err *err)
{
	sqlite3_bind_blob64(db->del, 1, id, id_len, SQLITE_STATIC);
	return step_write(db, db->del, err);
}

enum db_result db_meta_put(struct db *db, const char *name, const void *bytes, size_t len, struct err *err)
{
	sqlite3_bind_text(db->meta_put, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_blob64(db->meta_put, 2, bytes, len, SQLITE_STATIC);
	return step_write(db, db->meta_put, err);
}

int db_meta_get(struct db *db, const char *name, void *buf, size_t cap, size_t *len, struct err *err)
{
	int rc = 0, step;

	*len = 0;
	sqlite3_bind_text(db->meta_get, 1, name, -1, SQLITE_STATIC);
	step = sqlite3_step(db->meta_get);
	if (step == SQLITE_ROW) {
		const void *value = sqlite3_column_blob(db->meta_get, 0);
		size_t n = (size_t)sqlite3_column_bytes(db->meta_get, 0);

		if (n > cap) {
			rc = err_set(err, ERR_FAILED, "%s: setting %s has %zu bytes and at most %zu are read",
			        db->path, name, n, cap);
		} else if (n) {
			memcpy(buf, value, n);
			*len = n;
		}
	} else if (step != SQLITE_DONE) {
		rc = db_fail(db, err, name);
	}
	sqlite3_reset(db->meta_get);
	sqlite3_clear_bindings(db->meta_get);
	return rc;
}

int db_each(struct db *db, db_row *fn, void *ctx, struct err *err)
{
	sqlite3_stmt *st;
	int rc = 0, step;

	if (sqlite3_prepare_v2(db->h, "SELECT bytes, seal FROM record ORDER BY seq", -1, &st, NULL) != SQLITE_OK)
		return db_fail(db, err, "read records");
	while ((step = sqlite3_step(st)) == SQLITE_ROW) {
		const uint8_t *bytes = sqlite3_column_blob(st, 0), *seal = sqlite3_column_blob(st, 1);

		if (sqlite3_column_bytes(st, 1) != DB_SEAL_BYTES)
			seal = NULL;
		rc = fn(ctx, bytes, (size_t)sqlite3_column_bytes(st, 0), seal, err);
		if (rc < 0)
			break;
	}
	if (rc == 0 && step != SQLITE_DONE)
		rc = db_fail(db, err, "read records");
	sqlite3_finalize(st);
	return rc;
}

enum db_result db_checkpoint(struct db *db, struct err *err)
{
	if (db->wal_pages < DB_WAL_PAGES_MAX)
		return DB_OK;
	/* A reader (somebody's backup) may keep part of the log in use; the next round takes the rest. */
	if (sqlite3_wal_checkpoint_v2(db->h, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) != SQLITE_OK &&
	        sqlite3_errcode(db->h) != SQLITE_BUSY)
		return failed_write(db, err, "move its log into it", false);
	return DB_OK;
}
