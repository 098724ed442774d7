/*
 * The durable store: SQLite in WAL mode, synchronous=FULL, all writes on one worker thread, grouped into one
 * commit per batch. DATA/store.db. Nothing is written, and nothing synced, while desired state does not change.
 *
 * DATA/own.db holds what this peer can publish again: its own volatile records, and hints such as the last
 * addresses of peers. It is written without sync and thrown away when a power cut damaged it.
 *
 * Opening takes DATA/lock: one process at a time. Threads: every function is for the loop's thread; done is
 * called there.
 */
#ifndef NODE_PERSIST_H
#define NODE_PERSIST_H

#include "base/addr.h"
#include "base/err.h"
#include "base/types.h"

#include <uv.h>

struct persist;

/* ok false: not durable (full disk: tell the operator; sync error: fatal is set, the agent must stop). */
typedef void persist_done(void *ctx, const struct key32 *id, bool ok, bool fatal, const char *why);

/* loop NULL: synchronous use by init and join; then persist_put writes at once. */
struct persist *persist_open(
        const char *data_dir, uv_loop_t *loop, persist_done *done, void *ctx, struct err *err);
/* Waits until what is queued is on disk; done is called no more. Frees itself when the loop has closed its
 * handle (loop NULL: at once). */
void persist_close(struct persist *p);
/* Every durable record in the order of arrival, then this peer's own volatile ones. fn < 0 ends the walk. sealed: these
 * are the very bytes that were put here under the same secret (see persist_seal_with()). */
typedef int persist_row(void *ctx, const uint8_t *bytes, size_t len, bool sealed, struct err *err);
int persist_each(struct persist *p, persist_row *fn, void *ctx, struct err *err);
/* From now on records are sealed when they are put: a keyed hash of their bytes lies beside them. Whoever puts only
 * what it has verified need not verify again what comes back sealed. secret: the peer's own. Before the first put. */
void persist_seal_with(struct persist *p, const uint8_t secret[64]);
/* Queued; done is called on the loop for each. At most PERSIST_QUEUE_MAX bytes wait. The same bytes again write
 * nothing. persist_forget() gets no done, unless the store failed for good. */
int persist_put(struct persist *p, const struct key32 *id, const uint8_t *bytes, size_t len, struct err *err);
int persist_forget(struct persist *p, const struct key32 *id, struct err *err);
/* Own volatile records (status, facts of this peer): kept without sync, last one per name. */
void persist_put_own(struct persist *p, const struct key32 *key, const uint8_t *bytes, size_t len);
/* Hints that may be lost and are renewed often (peers' last addresses): queued, no sync, the last one per name.
 * loop NULL: kept durably, and given whenever no newer one is there: a new peer's first addresses. */
void persist_put_hint(struct persist *p, const char *name, const void *bytes, size_t len);
/* *len 0: none. A hint longer than cap is an error. */
int persist_get_hint(struct persist *p, const char *name, void *buf, size_t cap, size_t *len, struct err *err);
/* Small settings: boot count, flock id. Synchronous, synced; the loop waits for the disk, so use them at start.
 * *len 0: not there. */
int persist_meta_get(struct persist *p, const char *name, void *buf, size_t cap, size_t *len, struct err *err);
int persist_meta_put(struct persist *p, const char *name, const void *bytes, size_t len, struct err *err);
/* Adds one to the boot count, synced, and returns it. */
int persist_next_boot(struct persist *p, uint32_t *boot, struct err *err);

/* loop NULL only: what is put between the two is there whole or not at all. A failed commit undoes it. */
int persist_begin(struct persist *p, struct err *err);
int persist_commit(struct persist *p, struct err *err);
void persist_rollback(struct persist *p);
/* Durable records held. */
int persist_count(struct persist *p, uint64_t *n, struct err *err);

/* Bytes that may wait for the disk, own rows apart: 30 s of a slow disk at 0.5 MiB/s; beyond it records are
 * refused, and come again by reconciliation. */
#define PERSIST_QUEUE_MAX (16 * 1024 * 1024)

#endif
