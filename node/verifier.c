/*
 *	loop                                        thread
 *	verifier_take   -> lane of the stream  ->   todo: each frame is checked
 *	deliver         <- front of the lane   <-   uv_async, once it is
 */
#include "node/verifier.h"

#include "base/list.h"
#include "base/map.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

/* Bytes of the thread's stack: Ed25519 and the hashes of a frame's records (14 KiB) fit many times over. */
#define STACK_BYTES (256 * 1024)

enum frame_state { FRAME_WAITS, FRAME_IS_CHECKED, FRAME_READY };

struct frame {
	struct list in_lane;
	struct list in_todo;
	uint64_t stream;
	enum frame_state state; /* with lock */
	bool abandoned;         /* with lock: the thread frees it when it comes back to it */
	size_t n_good;
	struct key32 *good;
	size_t len;
	uint8_t bytes[];
};

/* Frames of one stream, in order. */
struct lane {
	uint64_t stream;
	struct list frames;
	size_t bytes;
};

struct verifier {
	uv_async_t wake_loop;
	struct key32 flock;
	verifier_deliver *deliver;
	void *ctx;
	struct map lanes; /* stream -> struct lane; the loop's own */
	size_t bytes;     /* of all lanes */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct list todo; /* with lock */
	bool stop;        /* with lock */
};

static void frame_free(struct frame *f)
{
	free(f->good);
	free(f);
}

/* --- the thread --- */

static void check(struct verifier *v, struct frame *f)
{
	struct key32 good[FRAME_RECORDS_MAX];

	f->n_good = frame_verify(&v->flock, f->bytes, f->len, good);
	if (f->n_good)
		f->good = xmemdup(good, f->n_good * sizeof(good[0]));
}

static void *run(void *arg)
{
	struct verifier *v = arg;

	pthread_mutex_lock(&v->lock);
	for (;;) {
		struct frame *f;

		while (list_empty(&v->todo) && !v->stop)
			pthread_cond_wait(&v->filled, &v->lock);
		if (v->stop)
			break;
		f = list_entry(v->todo.next, struct frame, in_todo);
		list_remove(&f->in_todo);
		f->state = FRAME_IS_CHECKED;
		pthread_mutex_unlock(&v->lock);
		check(v, f);
		pthread_mutex_lock(&v->lock);
		f->state = FRAME_READY;
		if (f->abandoned)
			frame_free(f);
		else
			uv_async_send(&v->wake_loop);
	}
	pthread_mutex_unlock(&v->lock);
	return NULL;
}

static int start_thread(struct verifier *v)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
	rc = pthread_create(&v->thread, &attr, run, v);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return rc;
}

/* --- the loop --- */

static struct lane *lane_of(struct verifier *v, uint64_t stream)
{
	struct lane *lane = map_get(&v->lanes, &stream);

	if (lane)
		return lane;
	lane = xcalloc(1, sizeof(*lane));
	lane->stream = stream;
	list_init(&lane->frames);
	map_put(&v->lanes, &lane->stream, lane);
	return lane;
}

static struct frame *lane_front(const struct lane *lane)
{
	return list_entry(lane->frames.next, struct frame, in_lane);
}

/* Takes the front frame out; a lane that is empty then goes too. */
static struct frame *lane_pop(struct verifier *v, struct lane *lane)
{
	struct frame *f = lane_front(lane);

	list_remove(&f->in_lane);
	lane->bytes -= f->len;
	v->bytes -= f->len;
	if (list_empty(&lane->frames))
		free(map_del(&v->lanes, &f->stream));
	return f;
}

static bool is_ready(struct verifier *v, const struct frame *f)
{
	bool ready;

	pthread_mutex_lock(&v->lock);
	ready = f->state == FRAME_READY;
	pthread_mutex_unlock(&v->lock);
	return ready;
}

/* The loop is done with a frame, in whatever state it is. */
static void let_go(struct verifier *v, struct frame *f)
{
	bool ours;

	pthread_mutex_lock(&v->lock);
	ours = f->state != FRAME_IS_CHECKED;
	if (f->state == FRAME_WAITS)
		list_remove(&f->in_todo);
	f->abandoned = true;
	pthread_mutex_unlock(&v->lock);
	if (ours)
		frame_free(f);
}

static void deliver(struct verifier *v, struct frame *f)
{
	struct good_records good = {0};

	if (is_ready(v, f))
		good = (struct good_records){f->n_good, f->good};
	v->deliver(v->ctx, f->stream, f->bytes, f->len, &good);
	let_go(v, f);
}

static struct lane *ready_lane(struct verifier *v)
{
	map_each (&v->lanes, value)
		if (is_ready(v, lane_front(value)))
			return value;
	return NULL;
}

static void on_checked(uv_async_t *async)
{
	struct verifier *v = container_of(async, struct verifier, wake_loop);
	struct lane *lane;

	while (!uv_is_closing((uv_handle_t *)async) && (lane = ready_lane(v)))
		deliver(v, lane_pop(v, lane));
}

bool verifier_take(struct verifier *v, uint64_t stream, const uint8_t *bytes, size_t len)
{
	struct lane *lane = map_get(&v->lanes, &stream);
	bool records = frame_has_records(bytes, len);
	struct frame *f;

	if (!lane && !records)
		return false;
	if ((lane && lane->bytes + len > VERIFIER_LANE_MAX) || v->bytes + len > VERIFIER_MAX) {
		verifier_flush(v, stream);
		return false;
	}
	lane = lane_of(v, stream);
	f = xcalloc(1, sizeof(*f) + len);
	f->stream = stream;
	f->len = len;
	memcpy(f->bytes, bytes, len);
	list_init(&f->in_todo);
	list_push_back(&lane->frames, &f->in_lane);
	lane->bytes += len;
	v->bytes += len;
	pthread_mutex_lock(&v->lock);
	if (records) {
		list_push_back(&v->todo, &f->in_todo);
		pthread_cond_signal(&v->filled);
	} else {
		f->state = FRAME_READY;
	}
	pthread_mutex_unlock(&v->lock);
	return true;
}

void verifier_flush(struct verifier *v, uint64_t stream)
{
	struct lane *lane;

	while ((lane = map_get(&v->lanes, &stream)))
		deliver(v, lane_pop(v, lane));
}

void verifier_forget(struct verifier *v, uint64_t stream)
{
	struct lane *lane;

	while ((lane = map_get(&v->lanes, &stream)))
		let_go(v, lane_pop(v, lane));
}

struct verifier *verifier_new(
        uv_loop_t *loop, const struct key32 *flock, verifier_deliver *fn, void *ctx, struct err *err)
{
	struct verifier *v = xcalloc(1, sizeof(*v));
	int rc;

	v->flock = *flock;
	v->deliver = fn;
	v->ctx = ctx;
	map_init(&v->lanes, sizeof(uint64_t), NULL);
	list_init(&v->todo);
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->filled, NULL);
	rc = uv_async_init(loop, &v->wake_loop, on_checked);
	if (rc < 0) {
		err_set(err, ERR_FAILED, "signatures: wake the loop: %s", uv_strerror(rc));
		free(v);
		return NULL;
	}
	rc = start_thread(v);
	if (rc) {
		/* The handle is the loop's until it has closed it; so is the memory. */
		err_set(err, ERR_FAILED, "signatures: start their thread: %s", strerror(rc));
		v->stop = true;
		verifier_close(v);
		return NULL;
	}
	return v;
}

static void on_closed(uv_handle_t *handle)
{
	struct verifier *v = container_of((uv_async_t *)handle, struct verifier, wake_loop);

	pthread_mutex_destroy(&v->lock);
	pthread_cond_destroy(&v->filled);
	free(v);
}

void verifier_close(struct verifier *v)
{
	bool runs;

	pthread_mutex_lock(&v->lock);
	runs = !v->stop;
	v->stop = true;
	pthread_cond_signal(&v->filled);
	pthread_mutex_unlock(&v->lock);
	if (runs)
		pthread_join(v->thread, NULL);
	map_each (&v->lanes, value) {
		struct lane *lane = value;

		list_each (&lane->frames, item)
			frame_free(list_entry(item, struct frame, in_lane));
		free(lane);
	}
	map_free(&v->lanes);
	uv_close((uv_handle_t *)&v->wake_loop, on_closed);
}
