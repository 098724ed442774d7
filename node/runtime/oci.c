/*
 * The `oci` driver: a task is a container that crun or runc makes from an image, under a shim. Fetching and unpacking the
 * image, and making the container's files, go on beside the loop; the rest is the shim's, as for driver exec.
 */
#include "node/runtime/oci_attach.h"
#include "node/runtime/oci_setup.h"

#include "base/log.h"
#include "base/text.h"
#include "node/runtime/link.h"
#include "node/runtime/oci_files.h"

#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

struct driver_work {
	uv_work_t req;
	struct oci_plan *plan;
	struct images_wait *wait; /* for the image; NULL: it is here */
	bool cancelled;           /* while a worker has it */
	driver_event_fn *fn;
	void *ctx;
	uv_loop_t *loop;
	enum driver_answer answer;
	struct err err;
};

/* A container to take away. */
struct cleaning {
	uv_work_t req;
	struct image_store *store;
	char task[17];
};

static wall_ms wall(void)
{
	struct timeval tv;

	gettimeofday(&tv, NULL);
	return (wall_ms)tv.tv_sec * 1000 + tv.tv_usec / 1000;
}

static bool oci_available(const struct runtime_config *host, char *why, size_t cap)
{
	if (host->images)
		return oci_runtime_installed(why, cap);
	snprintf(why, cap, "this agent keeps no images");
	return false;
}

static int refuse(struct err *err, const struct service *s, const char *what)
{
	return err_set(err, ERR_UNPLACEABLE, "%s: driver oci: %s", s->name, what);
}

static int oci_accept(const struct runtime_config *host, const struct cgroups *cgroups, const struct service *s,
        struct err *err)
{
	struct image_ref ref;

	(void)host;
	if (image_ref_parse(&ref, s->image, err) < 0 || cgroup_accept(cgroups, &s->limit, err) < 0)
		return err_wrap(err, "%s", s->name);
	if (s->network_mode && strcmp(s->network_mode, "bridge") == 0)
		return refuse(err, s,
		        "network_mode: bridge: its containers use the host's network; remove it, or use driver engine");
	if (s->tty || s->stdin_open)
		return refuse(err, s,
		        s->tty ? "tty: there is no terminal; remove it, or use driver engine"
		               : "stdin_open: nobody writes to it; remove it, or use driver engine");
	if (s->init && !oci_init_find())
		return refuse(err, s,
		        "init: this host has none (docker-init, tini-static or catatonit); install one, or remove init");
	for (size_t i = 0; i < s->n_sysctls; i++)
		if (strncmp(s->sysctls[i].key, "net.", 4) == 0 &&
		        !(s->network_mode && !strcmp(s->network_mode, "none")))
			return refuse(err, s,
			        "sysctls: net.* would be set on the host, whose network the container uses; remove it");
	for (size_t i = 0; i < s->n_security_opt; i++) {
		const char *o = s->security_opt[i];

		if ((strncmp(o, "seccomp=", 8) == 0 && strcmp(o, "seccomp=unconfined") != 0) ||
		        (strncmp(o, "label=", 6) == 0 && strcmp(o, "label=disable") != 0) ||
		        (strncmp(o, "systempaths=", 12) == 0 && strcmp(o, "systempaths=unconfined") != 0))
			return err_set(err, ERR_UNPLACEABLE,
			        "%s: driver oci: security_opt: \"%s\": only seccomp=unconfined, label=disable, "
			        "systempaths=unconfined, apparmor= and no-new-privileges are known",
			        s->name, o);
	}
	return 0;
}

/* ---- preparing ---- */

static void tell(struct driver_work *w, enum driver_answer answer, const char *text)
{
	struct driver_event ev = {.kind = DRIVER_PREPARED, .answer = answer};

	text_copy(ev.text, sizeof(ev.text), text);
	w->fn(w->ctx, &ev);
}

static void work_free(struct driver_work *w)
{
	oci_plan_free(w->plan);
	free(w);
}

static void on_worker(uv_work_t *req)
{
	struct driver_work *w = req->data;

	w->answer = oci_setup(w->plan, &w->err);
}

static void oci_take_away(struct image_store *store, uv_loop_t *loop, const char *task);

static void after_worker(uv_work_t *req, int status)
{
	struct driver_work *w = req->data;

	(void)status;
	if (w->cancelled)
		oci_take_away(w->plan->store, w->loop, w->plan->task);
	else
		tell(w, w->answer, w->answer == DRIVER_OK ? "" : w->err.text);
	work_free(w);
}

static void set_up(struct driver_work *w)
{
	w->req.data = w;
	uv_queue_work(w->loop, &w->req, on_worker, after_worker);
}

static void on_said(void *ctx, const char *text)
{
	struct driver_work *w = ctx;
	struct driver_event ev = {.kind = DRIVER_PROGRESS};

	text_copy(ev.text, sizeof(ev.text), text);
	w->fn(w->ctx, &ev);
}

static void on_fetched(void *ctx, const struct image_entry *entries, size_t n, const struct err *err)
{
	struct driver_work *w = ctx;

	w->wait = NULL;
	if (!err && n) {
		w->plan->image = entries[0];
		set_up(w);
		return;
	}
	tell(w, err && (err->code == ERR_UNPLACEABLE || err->code == ERR_USAGE) ? DRIVER_REFUSES : DRIVER_BLOCKED,
	        err ? err->text : "nothing was fetched");
	work_free(w);
}

static enum driver_answer begin(
        const struct runtime_config *host, struct driver_work *w, const struct image_ref *ref, struct err *err)
{
	const struct service *s = w->plan->service;
	struct image_store *store = images_store(host->images);
	/* A restart runs what the start ran. */
	bool fresh = s->pull == PULL_ALWAYS && w->plan->run == 1;

	if (!fresh && image_find(store, ref, wall(), &w->plan->image)) {
		set_up(w);
		return DRIVER_LATER;
	}
	if (s->pull == PULL_NEVER) {
		err_set(err, ERR_UNPLACEABLE,
		        "image %s is not on this host, and pull_policy is never; bring it with `starling image load` or `image "
		        "pull`",
		        s->image);
		return DRIVER_REFUSES;
	}
	w->wait = images_pull(host->images, ref, false, on_said, on_fetched, w, err);
	return w->wait ? DRIVER_LATER : DRIVER_BLOCKED;
}

static enum driver_answer oci_prepare(uv_loop_t *loop, const struct driver_task *t, driver_event_fn *fn,
        void *ctx, struct driver_work **work, struct err *err)
{
	struct driver_work *w = xcalloc(1, sizeof(*w));
	enum driver_answer answer = DRIVER_REFUSES;
	struct image_ref ref;

	*w = (struct driver_work){.fn = fn, .ctx = ctx, .loop = loop};
	if (image_ref_parse(&ref, t->task->spec->image, err) == 0)
		w->plan = oci_plan_new(t, images_store(t->host->images), err);
	if (w->plan)
		answer = begin(t->host, w, &ref, err);
	if (answer == DRIVER_LATER) {
		*work = w;
		return answer;
	}
	err_wrap(err, "%s", t->task->service);
	if (w->plan)
		oci_plan_free(w->plan);
	free(w);
	return answer;
}

static void oci_cancel(struct driver_work *w)
{
	if (!w->wait) {
		w->cancelled = true;
		return;
	}
	images_leave(w->wait);
	work_free(w);
}

/* ---- the end ---- */

static void clean_on_worker(uv_work_t *req)
{
	struct cleaning *c = req->data;
	struct err err = {0};

	if (oci_clean(c->store, c->task, &err) < 0)
		log_warn("task", "the files of container %s stay: %s", c->task, err.text);
}

static void after_cleaning(uv_work_t *req, int status)
{
	struct cleaning *c = req->data;

	(void)status;
	image_store_close(c->store);
	free(c);
}

static void oci_take_away(struct image_store *store, uv_loop_t *loop, const char *task)
{
	struct cleaning *c = xcalloc(1, sizeof(*c));

	c->store = image_store_hold(store);
	text_copy(c->task, sizeof(c->task), task);
	c->req.data = c;
	uv_queue_work(loop, &c->req, clean_on_worker, after_cleaning);
}

static void oci_ended(uv_loop_t *loop, const struct driver_task *t)
{
	char task[17];

	id64_text(task, t->task->task);
	if (t->host->images)
		oci_take_away(images_store(t->host->images), loop, task);
}

const struct driver driver_oci = {
        .name = "oci",
        .kind = DRIVER_OCI,
        .available = oci_available,
        .accept = oci_accept,
        .prepare = oci_prepare,
        .cancel = oci_cancel,
        .launch = link_launch,
        .adopt = link_adopt,
        .stop = link_stop,
        .check = link_check,
        .release = link_release,
        .ended = oci_ended,
        .attach = oci_attach,
};
