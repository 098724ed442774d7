/*
 * Two queues and one thread.
 *
 *	loop thread                         worker
 *	persist_put, persist_forget  ->  records  -- one transaction, one sync -->  DATA/store.db
 *	persist_put_own, _hint       ->  own      -- one transaction, no sync  -->  DATA/own.db
 *	done(id, ok)                 <-  batches  <-- uv_async
 *
 * While the disk is busy with one batch the next one gathers, so the number of syncs follows the disk, not the
 * number of records.
 */
#include "node/persist.h"

#include "base/list.h"
#include "base/log.h"
#include "base/text.h"
#include "node/datadir.h"
#include "node/db.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* Bytes of the worker's stack: SQLite's deepest path with our statements uses under 40 KiB. */
#define WORKER_STACK_BYTES (256 * 1024)
/* Own rows and hints that may wait; one per name, so pages, facts and a hint per peer fit many times over. */
#define OWN_ROWS_MAX 4096
/* Bytes of a row's name: a record's key or the name of a hint. */
#define ROW_NAME_MAX 96

enum job_kind { JOB_PUT, JOB_FORGET, JOB_OWN, JOB_HINT };

struct job {
	struct list link;
	enum job_kind kind;
	size_t name_len;
	uint8_t name[ROW_NAME_MAX]; /* record id, own key, or text of a hint */
	size_t len;
	uint8_t bytes[];
};

/* What came of one transaction. */
struct batch {
	struct list link;
	struct list jobs;
	enum db_result result;
	char why[ERR_TEXT_MAX];
};

struct persist {
	uv_loop_t *loop;
	persist_done *done;
	void *ctx;
	int lock_fd;
	uv_async_t wake_loop;
	pthread_t worker;
	bool closing; /* loop thread only */

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

static void free_jobs(struct list *jobs)
{
	list_each (jobs, item)
		free(list_entry(item, struct job, link));
	list_init(jobs);
}

/* Moves everything from one list to the end of another. */
static void move_all(struct list *to, struct list *from)
{
	list_each (from, item) {
		list_remove(item);
		list_push_back(to, item);
	}
}

static struct job *job_new(enum job_kind kind, const void *name, size_t name_len, const void *bytes, size_t len)
{
	struct job *j = xmalloc(sizeof(*j) + len);

	list_init(&j->link);
	j->kind = kind;
	j->name_len = MIN(name_len, sizeof(j->name));
	memcpy(j->name, name, j->name_len);
	j->len = len;
	if (len)
		memcpy(j->bytes, bytes, len);
	return j;
}

/* Bytes that a waiting job takes. */
static size_t job_cost(const struct job *j)
{
	return sizeof(*j) + j->len;
}

static enum db_result run_job(struct persist *p, struct job *j, struct err *err)
{
	char name[ROW_NAME_MAX + 1];

	switch (j->kind) {
	case JOB_PUT:
		return db_put(&p->store, j->name, j->name_len, j->bytes, j->len, err);
	case JOB_FORGET:
		return db_del(&p->store, j->name, j->name_len, err);
	case JOB_OWN:
		return db_put(&p->volatiles, j->name, j->name_len, j->bytes, j->len, err);
	case JOB_HINT:
		memcpy(name, j->name, j->name_len);
		name[j->name_len] = '\0';
		return db_meta_put(&p->volatiles, name, j->bytes, j->len, err);
	}
	return DB_OK;
}

/* All of jobs in one transaction on db, or none of them. */
static enum db_result run_jobs(struct persist *p, struct db *db, struct list *jobs, struct err *err)
{
	enum db_result result;

	pthread_mutex_lock(&p->db_lock);
	result = db_begin(db, err);
	list_each (jobs, item) {
		if (result == DB_OK)
			result = run_job(p, list_entry(item, struct job, link), err);
	}
	if (result == DB_OK)
		result = db_commit(db, err);
	if (result != DB_OK)
		db_rollback(db);
	else if (db_checkpoint(db, err) == DB_FATAL)
		result = DB_FATAL;
	pthread_mutex_unlock(&p->db_lock);
	return result;
}

static void run_records(struct persist *p, struct list *jobs)
{
	struct batch *b = xcalloc(1, sizeof(*b));
	struct err err = {0};

	list_init(&b->link);
	list_init(&b->jobs);
	move_all(&b->jobs, jobs);
	/* After a fatal error nothing is tried: a second sync that succeeds would prove nothing. */
	if (p->broken) {
		b->result = DB_FATAL;
		text_copy(b->why, sizeof(b->why), p->broken_why);
	} else {
		b->result = run_jobs(p, &p->store, &b->jobs, &err);
		text_copy(b->why, sizeof(b->why), err.text);
	}
	pthread_mutex_lock(&p->queue_lock);
	if (b->result == DB_FATAL && !p->broken) {
		p->broken = true;
		text_copy(p->broken_why, sizeof(p->broken_why), b->why);
	}
	list_push_back(&p->finished, &b->link);
	pthread_mutex_unlock(&p->queue_lock);
}

static void run_own(struct persist *p, struct list *jobs)
{
	struct err err = {0};
	enum db_result result = run_jobs(p, &p->volatiles, jobs, &err);

	free_jobs(jobs);
	pthread_mutex_lock(&p->queue_lock);
	if (result != DB_OK && !p->own_failing)
		text_copy(p->own_why, sizeof(p->own_why), err.text);
	p->own_failing = result != DB_OK;
	pthread_mutex_unlock(&p->queue_lock);
}

static void *worker(void *arg)
{
	struct persist *p = arg;
	struct list records, own;

	list_init(&records);
	list_init(&own);
	for (;;) {
		pthread_mutex_lock(&p->queue_lock);
		while (list_empty(&p->records) && list_empty(&p->own) && !p->stop)
			pthread_cond_wait(&p->queue_filled, &p->queue_lock);
		move_all(&records, &p->records);
		move_all(&own, &p->own);
		p->own_rows = 0;
		pthread_mutex_unlock(&p->queue_lock);
		if (list_empty(&records) && list_empty(&own))
			return NULL; /* stop, and nothing is left */
		if (!list_empty(&records))
			run_records(p, &records);
		if (!list_empty(&own))
			run_own(p, &own);
		uv_async_send(&p->wake_loop);
	}
}

/* On the loop's thread: tells the owner what became of its records. */
static void on_finished(uv_async_t *async)
{
	struct persist *p = container_of(async, struct persist, wake_loop);
	char why[ERR_TEXT_MAX];
	struct list finished;

	list_init(&finished);
	pthread_mutex_lock(&p->queue_lock);
	move_all(&finished, &p->finished);
	list_each (&finished, item) {
		struct batch *b = list_entry(item, struct batch, link);

		list_each (&b->jobs, entry)
			p->queued_bytes -= job_cost(list_entry(entry, struct job, link));
	}
	text_copy(why, sizeof(why), p->own_why);
	p->own_why[0] = '\0';
	pthread_mutex_unlock(&p->queue_lock);

	if (*why)
		log_warn("store", "what this peer says of itself is not kept on disk now: %s", why);
	list_each (&finished, item) {
		struct batch *b = list_entry(item, struct batch, link);

		list_each (&b->jobs, entry) {
			struct job *j = list_entry(entry, struct job, link);
			struct key32 id;

			memcpy(id.b, j->name, sizeof(id.b));
			/* done may close the store: then nobody wants to hear the rest. */
			if (!p->closing && (j->kind == JOB_PUT || b->result == DB_FATAL))
				p->done(p->ctx, &id, b->result == DB_OK, b->result == DB_FATAL, b->why);
		}
		free_jobs(&b->jobs);
		free(b);
	}
}

static int start_worker(struct persist *p, struct err *err)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WORKER_STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
	rc = pthread_create(&p->worker, &attr, worker, p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (rc != 0)
		err_set(err, ERR_FAILED, "store: start its thread: %s", strerror(rc));
	return rc ? -1 : 0;
}

static void release(struct persist *p)
{
	list_each (&p->finished, item) {
		struct batch *b = list_entry(item, struct batch, link);

		free_jobs(&b->jobs);
		free(b);
	}
	free_jobs(&p->records);
	free_jobs(&p->own);
	if (p->store.h)
		db_close(&p->store);
	if (p->volatiles.h)
		db_close(&p->volatiles);
	close(p->lock_fd);
	pthread_mutex_destroy(&p->queue_lock);
	pthread_mutex_destroy(&p->db_lock);
	pthread_cond_destroy(&p->queue_filled);
}

static void on_closed(uv_handle_t *handle)
{
	free(container_of((uv_async_t *)handle, struct persist, wake_loop));
}

/* own.db is not synced, so a power cut may leave it damaged; all it holds is published again. */
static int open_volatiles(struct persist *p, const char *dir, struct err *err)
{
	struct err first = {0};

	if (db_open(&p->volatiles, dir, "own.db", false, &first) == 0) {
		if (db_check(&p->volatiles, &first) == 0)
			return 0;
		db_close(&p->volatiles);
	}
	log_warn("store", "%s; starting it anew, this peer publishes its contents again", first.text);
	db_unlink(dir, "own.db");
	return db_open(&p->volatiles, dir, "own.db", false, err);
}

struct persist *persist_open(
        const char *data_dir, uv_loop_t *loop, persist_done *done, void *ctx, struct err *err)
{
	struct persist *p;
	int lock_fd, rc;

	if (data_dir_make(data_dir, err) < 0)
		return NULL;
	lock_fd = data_dir_lock(data_dir, err);
	if (lock_fd < 0)
		return NULL;
	p = xcalloc(1, sizeof(*p));
	p->loop = loop;
	p->done = done;
	p->ctx = ctx;
	p->lock_fd = lock_fd;
	list_init(&p->records);
	list_init(&p->own);
	list_init(&p->finished);
	pthread_mutex_init(&p->queue_lock, NULL);
	pthread_mutex_init(&p->db_lock, NULL);
	pthread_cond_init(&p->queue_filled, NULL);
	if (db_open(&p->store, data_dir, "store.db", true, err) < 0 || open_volatiles(p, data_dir, err) < 0) {
		release(p);
		free(p);
		return NULL;
	}
	if (!loop)
		return p;
	rc = uv_async_init(loop, &p->wake_loop, on_finished);
	if (rc < 0) {
		err_set(err, ERR_FAILED, "store: wake the loop: %s", uv_strerror(rc));
		release(p);
		free(p);
		return NULL;
	}
	if (start_worker(p, err) < 0) {
		release(p);
		uv_close((uv_handle_t *)&p->wake_loop, on_closed);
		return NULL;
	}
	return p;
}

void persist_close(struct persist *p)
{
	if (p->loop) {
		p->closing = true;
		pthread_mutex_lock(&p->queue_lock);
		p->stop = true;
		pthread_cond_signal(&p->queue_filled);
		pthread_mutex_unlock(&p->queue_lock);
		pthread_join(p->worker, NULL);
	}
	release(p);
	if (p->loop)
		uv_close((uv_handle_t *)&p->wake_loop, on_closed);
	else
		free(p);
}

int persist_each(struct persist *p, int (*fn)(void *ctx, const uint8_t *bytes, size_t len, struct err *err),
        void *ctx, struct err *err)
{
	int rc;

	pthread_mutex_lock(&p->db_lock);
	rc = db_each(&p->store, fn, ctx, err);
	if (rc == 0)
		rc = db_each(&p->volatiles, fn, ctx, err);
	pthread_mutex_unlock(&p->db_lock);
	return rc;
}

static int enqueue(struct persist *p, struct job *j, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&p->queue_lock);
	if (p->broken) {
		rc = err_set(err, ERR_FAILED, "%s", p->broken_why);
	} else if (p->queued_bytes + job_cost(j) > PERSIST_QUEUE_MAX) {
		rc = err_set(err, ERR_FAILED, "%s: %zu MiB wait for a slow disk; try again", p->store.path,
		        p->queued_bytes >> 20);
	} else {
		p->queued_bytes += job_cost(j);
		list_push_back(&p->records, &j->link);
		pthread_cond_signal(&p->queue_filled);
	}
	pthread_mutex_unlock(&p->queue_lock);
	if (rc < 0)
		free(j);
	return rc;
}

int persist_put(struct persist *p, const struct key32 *id, const uint8_t *bytes, size_t len, struct err *err)
{
	if (!p->loop)
		return db_put(&p->store, id->b, sizeof(id->b), bytes, len, err) == DB_OK ? 0 : -1;
	return enqueue(p, job_new(JOB_PUT, id->b, sizeof(id->b), bytes, len), err);
}

int persist_forget(struct persist *p, const struct key32 *id, struct err *err)
{
	if (!p->loop)
		return db_del(&p->store, id->b, sizeof(id->b), err) == DB_OK ? 0 : -1;
	return enqueue(p, job_new(JOB_FORGET, id->b, sizeof(id->b), NULL, 0), err);
}

/* The newest row of a name takes the place of one that still waits, so a flapping task queues one row only. */
static void enqueue_own(struct persist *p, struct job *j)
{
	pthread_mutex_lock(&p->queue_lock);
	list_each (&p->own, item) {
		struct job *old = list_entry(item, struct job, link);

		if (old->kind == j->kind && old->name_len == j->name_len &&
		        memcmp(old->name, j->name, j->name_len) == 0) {
			list_remove(&old->link);
			free(old);
			p->own_rows--;
			break;
		}
	}
	if (p->own_rows < OWN_ROWS_MAX) {
		list_push_back(&p->own, &j->link);
		p->own_rows++;
		pthread_cond_signal(&p->queue_filled);
		j = NULL;
	}
	pthread_mutex_unlock(&p->queue_lock);
	free(j);
}

void persist_put_own(struct persist *p, const struct key32 *key, const uint8_t *bytes, size_t len)
{
	struct err err = {0};

	if (p->loop)
		enqueue_own(p, job_new(JOB_OWN, key->b, sizeof(key->b), bytes, len));
	else if (db_put(&p->volatiles, key->b, sizeof(key->b), bytes, len, &err) != DB_OK)
		log_warn("store", "%s", err.text);
}

void persist_put_hint(struct persist *p, const char *name, const void *bytes, size_t len)
{
	struct err err = {0};

	if (p->loop)
		enqueue_own(p, job_new(JOB_HINT, name, strlen(name), bytes, len));
	else if (db_meta_put(&p->store, name, bytes, len, &err) != DB_OK)
		log_warn("store", "%s", err.text);
}

int persist_get_hint(struct persist *p, const char *name, void *buf, size_t cap, size_t *len, struct err *err)
{
	int rc;

	pthread_mutex_lock(&p->db_lock);
	rc = db_meta_get(&p->volatiles, name, buf, cap, len, err);
	if (rc == 0 && *len == 0)
		rc = db_meta_get(&p->store, name, buf, cap, len, err);
	pthread_mutex_unlock(&p->db_lock);
	return rc;
}

int persist_meta_get(struct persist *p, const char *name, void *buf, size_t cap, size_t *len, struct err *err)
{
	int rc;

	pthread_mutex_lock(&p->db_lock);
	rc = db_meta_get(&p->store, name, buf, cap, len, err);
	pthread_mutex_unlock(&p->db_lock);
	return rc;
}

int persist_meta_put(struct persist *p, const char *name, const void *bytes, size_t len, struct err *err)
{
	enum db_result result;

	pthread_mutex_lock(&p->db_lock);
	result = db_meta_put(&p->store, name, bytes, len, err);
	pthread_mutex_unlock(&p->db_lock);
	return result == DB_OK ? 0 : -1;
}

int persist_next_boot(struct persist *p, uint32_t *boot, struct err *err)
{
	uint8_t b[4] = {0};
	uint32_t n;
	size_t len;

	if (persist_meta_get(p, "boot", b, sizeof(b), &len, err) < 0)
		return -1;
	n = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	if (n == UINT32_MAX)
		return err_set(
		        err, ERR_FAILED, "%s: the boot count is used up; join this host anew", p->store.path);
	n++;
	b[0] = (uint8_t)(n >> 24);
	b[1] = (uint8_t)(n >> 16);
	b[2] = (uint8_t)(n >> 8);
	b[3] = (uint8_t)n;
	if (persist_meta_put(p, "boot", b, sizeof(b), err) < 0)
		return -1;
	*boot = n;
	return 0;
}

int persist_begin(struct persist *p, struct err *err)
{
	return db_begin(&p->store, err) == DB_OK ? 0 : -1;
}

int persist_commit(struct persist *p, struct err *err)
{
	if (db_commit(&p->store, err) == DB_OK)
		return 0;
	db_rollback(&p->store);
	return -1;
}

void persist_rollback(struct persist *p)
{
	db_rollback(&p->store);
}

int persist_count(struct persist *p, uint64_t *n, struct err *err)
{
	int rc;

	pthread_mutex_lock(&p->db_lock);
	rc = db_count(&p->store, n, err);
	pthread_mutex_unlock(&p->db_lock);
	return rc;
}
