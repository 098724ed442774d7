/* Opening a store's file: whose it is, how SQLite is told to treat it, its tables. */
#include "node/db.h"

#include "node/datadir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* "STRL": how file(1) and we tell our files from those of other programs. */
#define DB_APPLICATION_ID 0x5354524c
/* Raised when the tables change; newer files are refused, older ones are migrated in open_schema(). */
#define DB_SCHEMA_VERSION 2
/* KiB of pages each file keeps in memory: the records live in gossip/store, so a re-read is rare. */
#define DB_CACHE_KIB 64
/* Bytes that SQLite may hold in all before it gives caches back. */
#define DB_HEAP_BYTES (512 * 1024)

static const char schema[] = "CREATE TABLE record("
                             " seq INTEGER PRIMARY KEY,"
                             " id BLOB NOT NULL UNIQUE,"
                             " bytes BLOB NOT NULL,"
                             " seal BLOB);"
                             "CREATE TABLE meta("
                             " name TEXT PRIMARY KEY,"
                             " value BLOB NOT NULL) WITHOUT ROWID;";

static int exec(struct db *db, const char *sql, struct err *err)
{
	if (sqlite3_exec(db->h, sql, NULL, NULL, NULL) != SQLITE_OK)
		return db_fail(db, err, sql);
	return 0;
}

/* One statement that gives one row with one number or word. */
static int query_text(struct db *db, const char *sql, char *out, size_t cap, struct err *err)
{
	sqlite3_stmt *st;
	int rc = 0;

	if (sqlite3_prepare_v2(db->h, sql, -1, &st, NULL) != SQLITE_OK)
		return db_fail(db, err, sql);
	if (sqlite3_step(st) != SQLITE_ROW)
		rc = db_fail(db, err, sql);
	else
		snprintf(out, cap, "%s", (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	return rc;
}

/* A pragma that SQLite cannot honour is not an error to it; so what it answers is compared. */
static int pragma(struct db *db, const char *name, const char *value, const char *want, struct err *err)
{
	char sql[64], got[32];

	snprintf(sql, sizeof(sql), "PRAGMA %s=%s", name, value);
	if (exec(db, sql, err) < 0)
		return -1;
	snprintf(sql, sizeof(sql), "PRAGMA %s", name);
	if (query_text(db, sql, got, sizeof(got), err) < 0)
		return -1;
	if (strcmp(got, want) != 0)
		return err_set(err, ERR_FAILED,
		        "%s: its file system cannot do %s=%s (it gave %s); keep the data folder on a local disk",
		        db->path, name, want, got);
	return 0;
}

static int query_int(struct db *db, const char *sql, long *out, struct err *err)
{
	char text[32];

	if (query_text(db, sql, text, sizeof(text), err) < 0)
		return -1;
	*out = strtol(text, NULL, 10);
	return 0;
}

/* Whose file is it? Creates the tables in an empty one. */
static int open_schema(struct db *db, struct err *err)
{
	long id, version, tables;
	char sql[96];

	if (query_int(db, "PRAGMA application_id", &id, err) < 0 ||
	        query_int(db, "PRAGMA user_version", &version, err) < 0 ||
	        query_int(db, "SELECT count(*) FROM sqlite_schema", &tables, err) < 0)
		return -1;
	if (tables && id != DB_APPLICATION_ID)
		return err_set(
		        err, ERR_FAILED, "%s: a database of another program; give another --data DIR", db->path);
	if (tables && version > DB_SCHEMA_VERSION)
		return err_set(err, ERR_FAILED,
		        "%s: written by a newer starling (its version %ld, this one reads up to %d); install the newer one",
		        db->path, version, DB_SCHEMA_VERSION);
	if (tables && version == DB_SCHEMA_VERSION)
		return 0;
	if (exec(db, "BEGIN IMMEDIATE", err) < 0)
		return -1;
	snprintf(sql, sizeof(sql), "PRAGMA application_id=%d; PRAGMA user_version=%d", DB_APPLICATION_ID,
	        DB_SCHEMA_VERSION);
	/* Version 1 had no seals. */
	if (exec(db, tables ? "ALTER TABLE record ADD COLUMN seal BLOB" : schema, err) < 0 ||
	        exec(db, sql, err) < 0 || exec(db, "COMMIT", err) < 0) {
		db_rollback(db);
		return -1;
	}
	return 0;
}

static int prepare(struct db *db, sqlite3_stmt **st, const char *sql, struct err *err)
{
	if (sqlite3_prepare_v3(db->h, sql, -1, SQLITE_PREPARE_PERSISTENT, st, NULL) != SQLITE_OK)
		return db_fail(db, err, "prepare");
	return 0;
}

static int on_wal(void *ctx, sqlite3 *h UNUSED, const char *schema_name UNUSED, int pages)
{
	struct db *db = ctx;

	db->wal_pages = pages;
	return SQLITE_OK;
}

static int configure(struct db *db, bool durable, struct err *err)
{
	char cache[16];
	int keep = 1;

	snprintf(cache, sizeof(cache), "-%d", DB_CACHE_KIB);
	sqlite3_extended_result_codes(db->h, 0);
	sqlite3_db_config(db->h, SQLITE_DBCONFIG_LOOKASIDE, NULL, 0, 0);
	sqlite3_busy_timeout(db->h, DB_BUSY_MS);
	sqlite3_wal_hook(db->h, on_wal, db);
	/* The log stays when the file is closed: its blocks let the next start count its boot on a full disk. */
	sqlite3_file_control(db->h, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
	if (pragma(db, "cache_size", cache, cache, err) < 0 || exec(db, "PRAGMA mmap_size=0", err) < 0 ||
	        pragma(db, "temp_store", "MEMORY", "2", err) < 0 ||
	        pragma(db, "journal_mode", "WAL", "wal", err) < 0 ||
	        pragma(db, "synchronous", durable ? "FULL" : "OFF", durable ? "2" : "0", err) < 0)
		return -1;
	return 0;
}

/* What an earlier run left in the log is moved into the file, so that this run's log begins at its start again: in
 * blocks that it has already, not in new ones that a full disk would refuse. */
static int reuse_log(struct db *db, struct err *err)
{
	if (sqlite3_wal_checkpoint_v2(db->h, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) != SQLITE_OK &&
	        sqlite3_errcode(db->h) != SQLITE_BUSY && !db_no_space(db, false))
		return db_fail(db, err, "read its log");
	return 0;
}

int db_open(struct db *db, const char *dir, const char *name, bool durable, struct err *err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
	int rc;

	*db = (struct db){0};
	snprintf(db->path, sizeof(db->path), "%.*s/%s", DATA_PATH_MAX, dir, name);
	sqlite3_soft_heap_limit64(DB_HEAP_BYTES);
	/* SQLite would make it readable for all, and gives log and index the mode of the file: specs have secrets. */
	rc = open(db->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (rc < 0)
		return err_errno(err, "%s: open", db->path);
	close(rc);
	rc = sqlite3_open_v2(db->path, &db->h, flags, NULL);
	if (rc != SQLITE_OK) {
		if (db->h)
			db_fail(db, err, "open");
		else
			err_set(err, ERR_FAILED, "%s: open: %s", db->path, sqlite3_errstr(rc));
		db_close(db);
		return -1;
	}
	if (configure(db, durable, err) < 0 || open_schema(db, err) < 0 || reuse_log(db, err) < 0 ||
	        /* The same bytes again change no page, so they cost no sync. */
	        prepare(db, &db->put,
	                "INSERT INTO record(id, bytes, seal) VALUES(?1, ?2, ?3) ON CONFLICT(id) DO UPDATE"
	                " SET bytes = excluded.bytes, seal = excluded.seal"
	                " WHERE bytes <> excluded.bytes OR seal IS NOT excluded.seal",
	                err) < 0 ||
	        prepare(db, &db->del, "DELETE FROM record WHERE id = ?1", err) < 0 ||
	        prepare(db, &db->meta_get, "SELECT value FROM meta WHERE name = ?1", err) < 0 ||
	        prepare(db, &db->meta_put,
	                "INSERT INTO meta(name, value) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE"
	                " SET value = excluded.value WHERE value <> excluded.value",
	                err) < 0) {
		if (db->h && sqlite3_errcode(db->h) == SQLITE_NOTADB)
			err_set(err, ERR_FAILED,
			        "%s: not a database, or damaged; move it away and join this host again",
			        db->path);
		db_close(db);
		return -1;
	}
	return 0;
}

void db_close(struct db *db)
{
	sqlite3_finalize(db->put);
	sqlite3_finalize(db->del);
	sqlite3_finalize(db->meta_get);
	sqlite3_finalize(db->meta_put);
	sqlite3_close_v2(db->h);
	*db = (struct db){0};
}

int db_check(struct db *db, struct err *err)
{
	char text[64];

	if (query_text(db, "PRAGMA quick_check(1)", text, sizeof(text), err) < 0)
		return -1;
	if (strcmp(text, "ok") != 0)
		return err_set(err, ERR_FAILED, "%s: damaged: %s", db->path, text);
	return 0;
}

int db_count(struct db *db, uint64_t *n, struct err *err)
{
	long count;

	if (query_int(db, "SELECT count(*) FROM record", &count, err) < 0)
		return -1;
	*n = (uint64_t)count;
	return 0;
}

void db_unlink(const char *dir, const char *name)
{
	static const char *const ends[] = {"", "-wal", "-shm"};
	char path[DATA_PATH_MAX + 64];

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		snprintf(path, sizeof(path), "%.*s/%s%s", DATA_PATH_MAX, dir, name, ends[i]);
		unlink(path);
	}
}
