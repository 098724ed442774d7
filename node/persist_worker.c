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
#include "node/persist_core.h"

#include "base/log.h"
#include "base/text.h"

#include <signal.h>
#include <stdio.h>

/* Bytes of the worker's stack: SQLite keeps its own state on the heap, so the usual 8 MiB would only count against
 * limits. */
#define WORKER_STACK_BYTES (256 * 1024)
/* Own rows and hints that may wait; one per name, so pages, facts and a hint per peer fit many times over. */
#define OWN_ROWS_MAX 4096
/* Bytes of a row's name: a record's key or the name of a hint. */
#define ROW_NAME_MAX 96

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
		return persist_put_row(p, j->name, j->bytes, j->len, err);
	case JOB_FORGET:
		return db_del(&p->store, j->name, j->name_len, err);
	case JOB_OWN:
		return db_put(&p->volatiles, j->name, j->name_len, j->bytes, j->len, NULL, err);
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
void persist_on_finished(uv_async_t *async)
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

int persist_start_worker(struct persist *p, struct err *err)
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

int persist_enqueue(struct persist *p, enum job_kind kind, const struct key32 *id, const void *bytes, size_t len,
        struct err *err)
{
	struct job *j = job_new(kind, id->b, sizeof(id->b), bytes, len);
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

/* The newest row of a name takes the place of one that still waits, so a flapping task queues one row only. */
void persist_enqueue_own(
        struct persist *p, enum job_kind kind, const void *name, size_t name_len, const void *bytes, size_t len)
{
	struct job *j = job_new(kind, name, name_len, bytes, len);

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

void persist_queues_free(struct persist *p)
{
	list_each (&p->finished, item) {
		struct batch *b = list_entry(item, struct batch, link);

		free_jobs(&b->jobs);
		free(b);
	}
	free_jobs(&p->records);
	free_jobs(&p->own);
}
