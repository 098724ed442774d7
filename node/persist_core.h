/* The store's insides: two queues, the thread that writes them, and what comes back. Only persist*.c includes it. */
#ifndef NODE_PERSIST_CORE_H
#define NODE_PERSIST_CORE_H

#include "base/list.h"
#include "node/db.h"
#include "node/persist.h"

#include <pthread.h>

enum job_kind { JOB_PUT, JOB_FORGET, JOB_OWN, JOB_HINT };

struct persist {
	uv_loop_t *loop;
	persist_done *done;
	void *ctx;
	int lock_fd;
	uv_async_t wake_loop;
	pthread_t worker;
	bool closing; /* loop thread only */
	bool seals;   /* set before the first put, as is seal_key */
	struct key32 seal_key;

	pthread_mutex_t queue_lock;
	pthread_cond_t queue_filled;
	struct list records; /* struct job */
	struct list own;     /* struct job, one per name */
	size_t own_rows;
	size_t queued_bytes;  /* of records, those in the worker's hands included */
	struct list finished; /* struct batch */
	bool stop;
	bool broken; /* DB_FATAL happened */
	char broken_why[ERR_TEXT_MAX];
	char own_why[ERR_TEXT_MAX]; /* for the loop to log; empty: nothing new */
	bool own_failing;

	pthread_mutex_t db_lock; /* guards both files */
	struct db store;
	struct db volatiles;
};

/* Writes one durable record with its seal; db_lock is held. */
enum db_result persist_put_row(struct persist *p, const void *id, const void *bytes, size_t len, struct err *err);
/* Starts the thread; wake_loop must be open. */
int persist_start_worker(struct persist *p, struct err *err);
/* A record to be written or forgotten; refused when too much waits, and after a fatal error. */
int persist_enqueue(struct persist *p, enum job_kind kind, const struct key32 *id, const void *bytes, size_t len,
        struct err *err);
/* A row of this peer's own. */
void persist_enqueue_own(
        struct persist *p, enum job_kind kind, const void *name, size_t name_len, const void *bytes, size_t len);
/* uv_async_cb: tells the owner what became of its records. */
void persist_on_finished(uv_async_t *async);
/* The thread has ended. */
void persist_queues_free(struct persist *p);

#endif
