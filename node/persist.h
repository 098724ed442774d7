/*
 * The durable store: SQLite in WAL mode, synchronous=FULL, all writes on one worker thread, grouped into one
 * commit per batch. DATA/store.db. Nothing is written, and nothing synced, while desired state does not change.
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
void persist_close(struct persist *p); /* waits for what is queued */
int persist_each(struct persist *p, int (*fn)(void *ctx, const uint8_t *bytes, size_t len, struct err *err),
        void *ctx, struct err *err);
/* Queued; done is called on the loop for each. At most PERSIST_QUEUE_MAX bytes wait. */
int persist_put(struct persist *p, const struct key32 *id, const uint8_t *bytes, size_t len, struct err *err);
int persist_forget(struct persist *p, const struct key32 *id, struct err *err);
/* Own volatile records (status, facts of this peer): kept without sync, last one per name. */
void persist_put_own(struct persist *p, const struct key32 *key, const uint8_t *bytes, size_t len);
/* Small settings: boot count, flock id, peers' last addresses. Synchronous. */
int persist_meta_get(struct persist *p, const char *name, void *buf, size_t cap, size_t *len, struct err *err);
int persist_meta_put(struct persist *p, const char *name, const void *bytes, size_t len, struct err *err);
/* Adds one to the boot count, synced, and returns it. */
int persist_next_boot(struct persist *p, uint32_t *boot, struct err *err);

#define PERSIST_QUEUE_MAX (16 * 1024 * 1024)

#endif
