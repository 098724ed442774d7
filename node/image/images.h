/*
 * The agent's images, on its loop: what takes long runs on threads of its own, a few at a time, and who waits for the same
 * image waits for the same work. Nothing is collected while something is fetched.
 */
#ifndef NODE_IMAGE_IMAGES_H
#define NODE_IMAGE_IMAGES_H

#include "node/image/store.h"

#include <uv.h>

/* Fetches at once: more would share the same line and the same disk. */
#define IMAGE_JOBS_MAX 3
/* Work waiting or under way; more is refused, to be tried again. */
#define IMAGE_QUEUE_MAX 256

struct images;
/* Somebody who waits for a piece of work. */
struct images_wait;

/* Half a sentence: "fetches image nginx:1.25". */
typedef void images_said(void *ctx, const char *text);
/* It is over: entries that it put into the table, or err. The wait is freed after it. */
typedef void images_done(void *ctx, const struct image_entry *entries, size_t n, const struct err *err);

struct images *images_new(uv_loop_t *loop, const char *data_dir, struct err *err);
/* Ends what goes on, and waits for its threads; nobody is told. Freed once the loop has turned. */
void images_close(struct images *images);
struct image_store *images_store(struct images *images);

/* Fetches it, whether it is here or not. NULL with err: too much to do already. */
struct images_wait *images_pull(struct images *images, const struct image_ref *ref, bool by_hand,
        images_said *said, images_done *done, void *ctx, struct err *err);
/* From an archive; fd is the work's from now on, also when this fails. */
struct images_wait *images_load(struct images *images, int fd, const char *name, images_said *said,
        images_done *done, void *ctx, struct err *err);
/* Removes what none of these references (normal forms, copied) needs: image_collect(). done may be NULL. */
void images_collect(struct images *images, const char *const *needed, size_t n, int64_t keep_ms,
        images_done *done, void *ctx);
/* Waits no more. The last one to leave a fetch for a task ends it; what an operator asked for goes on. */
void images_leave(struct images_wait *wait);

/* ---- archives on their way here, in pieces ---- */

/* Uploads at once, and ms without a piece after which one is given up. */
#define UPLOADS_MAX    4
#define UPLOAD_IDLE_MS MINUTES(10)
/* Bytes of one piece: with its envelope it fits a control message. */
#define UPLOAD_PIECE_MAX (192 * 1024)

/* A new one: its number, or 0 with err. */
uint64_t images_upload_begin(struct images *images, struct err *err);
/* offset: where this piece begins; a piece that came before is no error. */
int images_upload_piece(struct images *images, uint64_t upload, uint64_t offset, const uint8_t *bytes, size_t len,
        struct err *err);
/* The file, open at its begin, which is the caller's now; -1 with err. */
int images_upload_take(struct images *images, uint64_t upload, struct err *err);

#endif
