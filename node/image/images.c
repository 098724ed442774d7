#include "node/image/images.h"

#include "base/list.h"
#include "base/log.h"
#include "base/text.h"
#include "node/image/load.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

enum kind { PULL, LOAD, COLLECT };

struct upload {
	uint64_t id;
	int fd;
	uint64_t len;
	uint64_t touched; /* uv_now */
};

struct images {
	uv_loop_t *loop;
	struct image_store *store;
	struct list jobs; /* waiting or under way, oldest first */
	unsigned n_jobs, running;
	bool closing;
	struct upload uploads[UPLOADS_MAX];
};

struct job {
	struct list link;
	struct images *images;
	enum kind kind;
	bool running, by_hand, threadless;
	struct list waits;
	uv_thread_t thread;
	uv_async_t async;
	uv_mutex_t lock; /* of text, over */
	char text[ERR_TEXT_MAX];
	bool said, over;
	struct image_work work;
	/* What to do. */
	struct image_ref ref;
	int fd;
	char *name;
	struct arena arena;
	size_t n_needed;
	struct image_ref *needed;
	int64_t keep_ms;
	/* What came of it. */
	int rc;
	struct err err;
	size_t n;
	struct image_entry *entries;
};

struct images_wait {
	struct list link; /* in job.waits */
	struct job *job;
	images_said *said;
	images_done *done;
	void *ctx;
};

static void run_next(struct images *images);

static wall_ms wall(void)
{
	struct timeval tv;

	gettimeofday(&tv, NULL);
	return (wall_ms)tv.tv_sec * 1000 + tv.tv_usec / 1000;
}

/* ---- on the worker ---- */

static void say(void *ctx, const char *text)
{
	struct job *j = ctx;

	uv_mutex_lock(&j->lock);
	text_copy(j->text, sizeof(j->text), text);
	j->said = true;
	uv_mutex_unlock(&j->lock);
	uv_async_send(&j->async);
}

static void note_entry(void *ctx, const struct image_entry *e)
{
	struct job *j = ctx;

	j->entries = xrealloc(j->entries, (j->n + 1) * sizeof(*j->entries));
	j->entries[j->n++] = *e;
}

static bool is_needed(void *ctx, const struct image_entry *e)
{
	const struct job *j = ctx;
	struct image_ref of;

	if (image_ref_parse(&of, e->ref, NULL) < 0)
		return true;
	for (size_t i = 0; i < j->n_needed; i++) {
		const struct image_ref *r = &j->needed[i];

		if (strcmp(of.repo, r->repo) != 0)
			continue;
		if (*r->digest ? strcmp(r->digest, of.digest) == 0 || strcmp(r->digest, e->manifest) == 0 ||
		                         strcmp(r->digest, e->config) == 0
		               : strcmp(of.tag, r->tag) == 0 && !*of.digest)
			return true;
	}
	return false;
}

static int collect(struct job *j)
{
	uint64_t freed = 0;
	int n = image_collect(j->images->store, is_needed, j, wall(), j->keep_ms, &freed, &j->err);

	if (n > 0 || freed)
		log_info("image", "removed %d image%s that nothing here needs, %llu MiB", n, n == 1 ? "" : "s",
		        (unsigned long long)freed >> 20);
	else if (n < 0)
		log_warn("image", "%s", j->err.text);
	return n < 0 ? -1 : 0;
}

static void work(void *ctx)
{
	struct job *j = ctx;
	struct image_store *s = j->images->store;
	struct image_entry e;

	switch (j->kind) {
	case PULL:
		j->rc = image_pull(s, &j->ref, j->by_hand, wall(), &j->work, &e, &j->err);
		if (j->rc == 0)
			note_entry(j, &e);
		break;
	case LOAD:
		j->rc = image_load(s, j->fd, j->name, wall(), &j->work, note_entry, j, &j->err);
		break;
	case COLLECT:
		j->rc = collect(j);
		break;
	}
	uv_mutex_lock(&j->lock);
	j->over = true;
	uv_mutex_unlock(&j->lock);
	uv_async_send(&j->async);
}

/* ---- on the loop ---- */

static void job_free(struct job *j)
{
	uv_mutex_destroy(&j->lock);
	arena_free(&j->arena);
	if (j->fd >= 0)
		close(j->fd);
	free(j->name);
	free(j->entries);
	free(j);
}

static void images_free(struct images *images)
{
	for (size_t i = 0; i < UPLOADS_MAX; i++)
		if (images->uploads[i].id)
			close(images->uploads[i].fd);
	image_store_close(images->store);
	free(images);
}

static void drop(struct job *j)
{
	list_remove(&j->link);
	j->images->n_jobs--;
	job_free(j);
}

static void on_closed(uv_handle_t *h)
{
	struct job *j = h->data;
	struct images *images = j->images;

	drop(j);
	images->running--;
	if (!images->closing)
		run_next(images);
	else if (!images->running)
		images_free(images);
}

static void tell_all(struct job *j)
{
	while (!list_empty(&j->waits)) {
		struct images_wait *w = list_entry(j->waits.next, struct images_wait, link);

		list_remove(&w->link);
		if (w->done)
			w->done(w->ctx, j->entries, j->n, j->rc < 0 ? &j->err : NULL);
		free(w);
	}
}

static void on_async(uv_async_t *async)
{
	struct job *j = async->data;
	char text[ERR_TEXT_MAX];
	bool said, over;

	uv_mutex_lock(&j->lock);
	said = j->said;
	over = j->over;
	j->said = false;
	text_copy(text, sizeof(text), j->text);
	uv_mutex_unlock(&j->lock);
	if (said)
		list_each (&j->waits, item) {
			struct images_wait *w = list_entry(item, struct images_wait, link);

			if (w->said)
				w->said(w->ctx, text);
		}
	if (!over || uv_is_closing((uv_handle_t *)async))
		return;
	if (!j->threadless)
		uv_thread_join(&j->thread);
	j->threadless = true;
	tell_all(j);
	uv_close((uv_handle_t *)async, on_closed);
}

/* A collection runs alone. */
static bool may_run(const struct images *images, const struct job *j)
{
	const struct job *first = list_entry(images->jobs.next, struct job, link);

	if (images->running && (j->kind == COLLECT || (first->running && first->kind == COLLECT)))
		return false;
	return images->running < IMAGE_JOBS_MAX;
}

static void begin(struct job *j)
{
	uv_async_init(j->images->loop, &j->async, on_async);
	j->async.data = j;
	j->running = true;
	j->images->running++;
	if (uv_thread_create(&j->thread, work, j) == 0)
		return;
	err_set(&j->err, ERR_FAILED, "no thread to be had for the image's work");
	j->rc = -1;
	j->threadless = j->over = true;
	uv_async_send(&j->async);
}

static void run_next(struct images *images)
{
	list_each (&images->jobs, item) {
		struct job *j = list_entry(item, struct job, link);

		if (j->running)
			continue;
		if (!may_run(images, j))
			return;
		begin(j);
	}
}

static struct job *job_new(struct images *images, enum kind kind)
{
	struct job *j = xcalloc(1, sizeof(*j));

	j->images = images;
	j->kind = kind;
	j->fd = -1;
	list_init(&j->waits);
	arena_init(&j->arena);
	uv_mutex_init(&j->lock);
	j->work.say = say;
	j->work.ctx = j;
	list_push_back(&images->jobs, &j->link);
	images->n_jobs++;
	return j;
}

static struct images_wait *wait_for(struct job *j, images_said *said, images_done *done, void *ctx)
{
	struct images_wait *w = xcalloc(1, sizeof(*w));

	*w = (struct images_wait){.job = j, .said = said, .done = done, .ctx = ctx};
	list_push_back(&j->waits, &w->link);
	return w;
}

static bool has_room(const struct images *images, struct err *err)
{
	if (images->n_jobs < IMAGE_QUEUE_MAX && !images->closing)
		return true;
	err_set(err, ERR_FAILED, "%d images are being fetched or wait for it; try again later", IMAGE_QUEUE_MAX);
	return false;
}

static struct job *same_pull(struct images *images, const struct image_ref *ref)
{
	list_each (&images->jobs, item) {
		struct job *j = list_entry(item, struct job, link);

		if (j->kind == PULL && !j->over && !atomic_load(&j->work.cancelled) &&
		        memcmp(&j->ref, ref, sizeof(*ref)) == 0)
			return j;
	}
	return NULL;
}

struct images_wait *images_pull(struct images *images, const struct image_ref *ref, bool by_hand,
        images_said *said, images_done *done, void *ctx, struct err *err)
{
	struct job *j = same_pull(images, ref);
	struct images_wait *w;

	/* One that an operator asks for has to be marked as such: work of its own, which finds the blobs there. */
	if (j && (j->by_hand || !by_hand))
		return wait_for(j, said, done, ctx);
	if (!has_room(images, err))
		return NULL;
	j = job_new(images, PULL);
	j->ref = *ref;
	j->by_hand = by_hand;
	w = wait_for(j, said, done, ctx);
	run_next(images);
	return w;
}

struct images_wait *images_load(struct images *images, int fd, const char *name, images_said *said,
        images_done *done, void *ctx, struct err *err)
{
	struct images_wait *w;
	struct job *j;

	if (!has_room(images, err)) {
		close(fd);
		return NULL;
	}
	j = job_new(images, LOAD);
	j->by_hand = true;
	j->fd = fd;
	j->name = name && *name ? xstrdup(name) : NULL;
	w = wait_for(j, said, done, ctx);
	run_next(images);
	return w;
}

void images_collect(
        struct images *images, const char *const *needed, size_t n, int64_t keep_ms, images_done *done, void *ctx)
{
	struct job *j;

	if (!has_room(images, NULL))
		return;
	j = job_new(images, COLLECT);
	j->by_hand = true;
	j->keep_ms = keep_ms;
	j->needed = arena_array(&j->arena, n + 1, sizeof(*j->needed));
	for (size_t i = 0; i < n; i++)
		j->n_needed += image_ref_parse(&j->needed[j->n_needed], needed[i], NULL) == 0;
	wait_for(j, NULL, done, ctx);
	run_next(images);
}

static void cancel(struct job *j)
{
	int child;

	atomic_store(&j->work.cancelled, true);
	child = atomic_load(&j->work.child);
	if (child > 0)
		kill(child, SIGTERM);
}

void images_leave(struct images_wait *w)
{
	struct job *j = w->job;

	list_remove(&w->link);
	free(w);
	if (!list_empty(&j->waits) || j->by_hand)
		return;
	if (j->running)
		cancel(j);
	else
		drop(j);
}

struct images *images_new(uv_loop_t *loop, const char *data_dir, struct err *err)
{
	struct images *images = xcalloc(1, sizeof(*images));

	images->loop = loop;
	list_init(&images->jobs);
	images->store = image_store_open(data_dir, err);
	if (images->store)
		return images;
	free(images);
	return NULL;
}

void images_close(struct images *images)
{
	images->closing = true;
	list_each (&images->jobs, item) {
		struct job *j = list_entry(item, struct job, link);

		while (!list_empty(&j->waits)) {
			struct images_wait *w = list_entry(j->waits.next, struct images_wait, link);

			list_remove(&w->link);
			free(w);
		}
		if (!j->running) {
			drop(j);
			continue;
		}
		cancel(j);
		if (!j->threadless)
			uv_thread_join(&j->thread);
		if (!uv_is_closing((uv_handle_t *)&j->async))
			uv_close((uv_handle_t *)&j->async, on_closed);
	}
	if (!images->running)
		images_free(images);
}

struct image_store *images_store(struct images *images)
{
	return images->store;
}

/* ---- uploads ---- */

static struct upload *upload_find(struct images *images, uint64_t id, struct err *err)
{
	for (size_t i = 0; i < UPLOADS_MAX; i++)
		if (id && images->uploads[i].id == id)
			return &images->uploads[i];
	err_set(err, ERR_FAILED,
	        "this upload is not known: it was given up, or the agent was restarted; begin again");
	return NULL;
}

uint64_t images_upload_begin(struct images *images, struct err *err)
{
	struct upload *free_one = NULL;
	uint64_t now = uv_now(images->loop);

	for (size_t i = 0; i < UPLOADS_MAX; i++) {
		struct upload *u = &images->uploads[i];

		if (u->id && now - u->touched > (uint64_t)UPLOAD_IDLE_MS) {
			close(u->fd);
			u->id = 0;
		}
		if (!u->id)
			free_one = u;
	}
	if (!free_one) {
		err_set(err, ERR_FAILED, "%d images are being sent to this peer already; try again later",
		        UPLOADS_MAX);
		return 0;
	}
	free_one->fd = openat(image_tmp_fd(images->store), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (free_one->fd < 0) {
		err_errno(err, "make a file for the image");
		return 0;
	}
	uv_random(NULL, NULL, &free_one->id, sizeof(free_one->id), 0, NULL);
	free_one->id = free_one->id >> 1 | 1; /* fits a JSON integer, and is not 0 */
	free_one->len = 0;
	free_one->touched = now;
	return free_one->id;
}

int images_upload_piece(struct images *images, uint64_t upload, uint64_t offset, const uint8_t *bytes, size_t len,
        struct err *err)
{
	struct upload *u = upload_find(images, upload, err);

	if (!u)
		return -1;
	if (offset > u->len)
		return err_set(err, ERR_USAGE, "a piece of the image is missing at byte %llu",
		        (unsigned long long)u->len);
	if (offset + len > IMAGE_BLOB_MAX)
		return err_set(
		        err, ERR_USAGE, "the archive is longer than %lld bytes", (long long)IMAGE_BLOB_MAX);
	if (pwrite(u->fd, bytes, len, (off_t)offset) != (ssize_t)len)
		return err_errno(err, "write the image to this peer's disk");
	u->len = MAX(u->len, offset + len);
	u->touched = uv_now(images->loop);
	return 0;
}

int images_upload_take(struct images *images, uint64_t upload, struct err *err)
{
	struct upload *u = upload_find(images, upload, err);

	if (!u)
		return -1;
	u->id = 0;
	if (lseek(u->fd, 0, SEEK_SET) == 0)
		return u->fd;
	close(u->fd);
	return err_errno(err, "read the image");
}
