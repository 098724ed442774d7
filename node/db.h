/*
 * One SQLite file of records and small settings: the only code that speaks SQL. persist.c decides what is written
 * when, and on which thread. A struct db is used by one thread at a time; its owner sees to that.
 */
#ifndef NODE_DB_H
#define NODE_DB_H

#include "base/err.h"
#include "base/types.h"

#include <sqlite3.h>

/* How a write ended. Only DB_FATAL leaves it unknown what the disk holds. */
enum db_result {
	DB_OK,
	DB_FAILED, /* not written, may be tried again: disk full, file locked by a tool, no memory */
	DB_FATAL,  /* a sync or write error, or a damaged file: the process must not go on trusting it */
};

struct db {
	sqlite3 *h;
	sqlite3_stmt *put, *del, *meta_get, *meta_put;
	char path[1088];
	int wal_pages; /* since the last checkpoint */
	bool batch;    /* between db_begin() and its end */
};

/* What db_put() keeps beside a row's bytes. */
#define DB_SEAL_BYTES 16

/* How long a write waits for somebody's backup tool, ms. */
#define DB_BUSY_MS 5000

/* durable: synced at each commit. Otherwise no sync at all; a power cut may damage the file. Makes the file and
 * its tables where there are none. A file of a newer version, or of another program, is refused and named. */
int db_open(struct db *db, const char *dir, const char *name, bool durable, struct err *err);
void db_close(struct db *db);
/* Walks the whole file; an error when its structure is damaged. For small files. */
int db_check(struct db *db, struct err *err);
/* Removes the file and what SQLite keeps beside it. */
void db_unlink(const char *dir, const char *name);

/* A failed write inside begin/commit leaves nothing of the batch once db_rollback() is called. err says why. */
enum db_result db_begin(struct db *db, struct err *err);
enum db_result db_commit(struct db *db, struct err *err);
void db_rollback(struct db *db);
/* seal: bytes of any kind that come back with the row; NULL: none. The same bytes and seal again write nothing. */
enum db_result db_put(struct db *db, const void *id, size_t id_len, const void *bytes, size_t len,
        const uint8_t seal[DB_SEAL_BYTES], struct err *err);
enum db_result db_del(struct db *db, const void *id, size_t id_len, struct err *err);
enum db_result db_meta_put(struct db *db, const char *name, const void *bytes, size_t len, struct err *err);
/* *len 0: not there. A value longer than cap is an error. */
int db_meta_get(struct db *db, const char *name, void *buf, size_t cap, size_t *len, struct err *err);
/* In the order in which they were first put. seal NULL: none of that length. */
typedef int db_row(void *ctx, const uint8_t *bytes, size_t len, const uint8_t *seal, struct err *err);
int db_each(struct db *db, db_row *fn, void *ctx, struct err *err);
int db_count(struct db *db, uint64_t *n, struct err *err);
/* Moves the write-ahead log into the file once it is long. Call between batches. */
enum db_result db_checkpoint(struct db *db, struct err *err);

/* For db_open.c: SQLite's last error on db, after what was being done. Returns -1. */
int db_fail(struct db *db, struct err *err, const char *doing);
/* Was it for want of room on the disk? log: the write-ahead log was being written, else the file itself. */
bool db_no_space(const struct db *db, bool log);

#endif
