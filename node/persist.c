/* The store as its owners see it; persist_worker.c writes. */
#include "node/persist_core.h"

#include "base/hash.h"
#include "base/log.h"
#include "node/datadir.h"

#include <sodium.h>
#include <unistd.h>

static void release(struct persist *p)
{
	persist_queues_free(p);
	if (p->store.h)
		db_close(&p->store);
	if (p->volatiles.h)
		db_close(&p->volatiles);
	close(p->lock_fd);
	pthread_mutex_destroy(&p->queue_lock);
	pthread_mutex_destroy(&p->db_lock);
	pthread_cond_destroy(&p->queue_filled);
	sodium_memzero(&p->seal_key, sizeof(p->seal_key));
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
	rc = uv_async_init(loop, &p->wake_loop, persist_on_finished);
	if (rc < 0) {
		err_set(err, ERR_FAILED, "store: wake the loop: %s", uv_strerror(rc));
		release(p);
		free(p);
		return NULL;
	}
	if (persist_start_worker(p, err) < 0) {
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

void persist_seal_with(struct persist *p, const uint8_t secret[64])
{
	hash_pieces(&p->seal_key, "starling disk seal 1", (struct hash_piece[]){{secret, 64}}, 1);
	p->seals = true;
}

static const uint8_t *make_seal(
        const struct persist *p, const void *bytes, size_t len, uint8_t seal[DB_SEAL_BYTES])
{
	if (!p->seals)
		return NULL;
	crypto_generichash(seal, DB_SEAL_BYTES, bytes, len, p->seal_key.b, sizeof(p->seal_key.b));
	return seal;
}

enum db_result persist_put_row(struct persist *p, const void *id, const void *bytes, size_t len, struct err *err)
{
	uint8_t seal[DB_SEAL_BYTES];

	return db_put(&p->store, id, sizeof(struct key32), bytes, len, make_seal(p, bytes, len, seal), err);
}

struct walk {
	const struct persist *persist;
	persist_row *fn;
	void *ctx;
};

static int each_row(void *ctx, const uint8_t *bytes, size_t len, const uint8_t *seal, struct err *err)
{
	const struct walk *w = ctx;
	uint8_t want[DB_SEAL_BYTES];
	bool sealed = seal && make_seal(w->persist, bytes, len, want) && !sodium_memcmp(seal, want, sizeof(want));

	return w->fn(w->ctx, bytes, len, sealed, err);
}

int persist_each(struct persist *p, persist_row *fn, void *ctx, struct err *err)
{
	struct walk w = {p, fn, ctx};
	int rc;

	pthread_mutex_lock(&p->db_lock);
	rc = db_each(&p->store, each_row, &w, err);
	if (rc == 0)
		rc = db_each(&p->volatiles, each_row, &w, err);
	pthread_mutex_unlock(&p->db_lock);
	return rc;
}

int persist_put(struct persist *p, const struct key32 *id, const uint8_t *bytes, size_t len, struct err *err)
{
	if (!p->loop)
		return persist_put_row(p, id, bytes, len, err) == DB_OK ? 0 : -1;
	return persist_enqueue(p, JOB_PUT, id, bytes, len, err);
}

int persist_forget(struct persist *p, const struct key32 *id, struct err *err)
{
	if (!p->loop)
		return db_del(&p->store, id->b, sizeof(id->b), err) == DB_OK ? 0 : -1;
	return persist_enqueue(p, JOB_FORGET, id, NULL, 0, err);
}

void persist_put_own(struct persist *p, const struct key32 *key, const uint8_t *bytes, size_t len)
{
	struct err err = {0};

	if (p->loop)
		persist_enqueue_own(p, JOB_OWN, key->b, sizeof(key->b), bytes, len);
	else if (db_put(&p->volatiles, key->b, sizeof(key->b), bytes, len, NULL, &err) != DB_OK)
		log_warn("store", "%s", err.text);
}

void persist_put_hint(struct persist *p, const char *name, const void *bytes, size_t len)
{
	struct err err = {0};

	if (p->loop)
		persist_enqueue_own(p, JOB_HINT, name, strlen(name), bytes, len);
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
