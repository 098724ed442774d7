#include "node/runtime/oci_setup.h"

#include "base/text.h"
#include "node/image/stream.h"
#include "node/image/unpack.h"
#include "node/runtime/env.h"
#include "node/runtime/files.h"
#include "node/runtime/oci_config.h"
#include "node/runtime/oci_files.h"
#include "node/runtime/signals.h"
#include "node/runtime/volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes of the image's passwd or group that are read: 10,000 accounts. */
#define ACCOUNTS_BYTES_MAX (1024 * 1024)

/* ---- the plan ---- */

struct oci_plan *oci_plan_new(const struct driver_task *t, struct image_store *store, struct err *err)
{
	struct oci_plan *p = xcalloc(1, sizeof(*p));
	const struct runtime_task *task = t->task;
	struct spec one = {.name = task->stack, .n_services = 1, .services = (struct service *)task->spec};
	struct user nobody = {.name = "root", .home = "/"};
	struct spec copy;
	struct wr w;
	int rc;

	arena_init(&p->arena);
	wr_init(&w, BODY_BYTES_MAX);
	spec_encode(&w, &one);
	rc = wr_ok(&w) ? spec_decode_kept(&copy, &p->arena, w.p, w.len, err)
	               : err_set(err, ERR_USAGE, "too large");
	wr_free(&w);
	p->dir_fd = rc < 0 ? -1 : dup(t->dir_fd);
	if (p->dir_fd < 0) {
		arena_free(&p->arena);
		free(p);
		return NULL;
	}
	p->store = image_store_hold(store);
	p->service = copy.services;
	p->stack = copy.name;
	p->cgroups = *t->cgroups;
	p->data_dir = arena_strdup(&p->arena, t->host->data_dir);
	p->peer_name = arena_strdup(&p->arena, t->host->peer_name);
	p->dir = arena_strdup(&p->arena, t->dir);
	p->address = t->host->address;
	p->dns = t->host->dns;
	p->run = t->run;
	id64_text(p->task, task->task);
	p->env = env_build(&p->arena, t->host, task, &nobody);
	for (char **e = p->env; *e; e++)
		*e = arena_strdup(&p->arena, *e);
	p->hostname =
	        p->service->hostname
	                ? arena_strdup(&p->arena, task_template(&p->arena, t->host, task, p->service->hostname))
	                : arena_strndup(&p->arena, p->task, 12);
	for (size_t i = 0; i < p->service->n_mounts; i++) {
		struct spec_mount *m = &p->service->mounts[i];

		if (m->kind == MOUNT_BIND)
			m->source = arena_strdup(&p->arena, task_template(&p->arena, t->host, task, m->source));
	}
	return p;
}

void oci_plan_free(struct oci_plan *p)
{
	close(p->dir_fd);
	image_store_close(p->store);
	arena_free(&p->arena);
	free(p);
}

/* ---- its folder ---- */

/* One worker at a time for a task: a start that was given up may still go on when the next begins. */
static int lock_task(struct image_store *store, const char *task)
{
	char path[32];
	int fd;

	mkdirat(image_store_fd(store), "run", 0711);
	snprintf(path, sizeof(path), "run/.lock-%.2s", task + 14);
	fd = openat(image_store_fd(store), path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	while (fd >= 0 && flock(fd, LOCK_EX) < 0 && errno == EINTR)
		;
	return fd;
}

static int clean_locked(struct image_store *store, const char *task, struct err *err)
{
	char path[4096], name[40];

	snprintf(path, sizeof(path), "%s/run/%s/root", image_store_dir(store), task);
	while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
		;
	snprintf(name, sizeof(name), "run/%s", task);
	return folder_drop(image_store_fd(store), name, err);
}

int oci_clean(struct image_store *store, const char *task, struct err *err)
{
	int lock = lock_task(store, task);
	int rc = clean_locked(store, task, err);

	if (lock >= 0)
		close(lock);
	return rc;
}

struct sweeping {
	struct image_store *store;
	const char *data_dir;
};

static int sweep_one(void *ctx, const char *name, struct err *err)
{
	struct sweeping *w = ctx;
	char path[4096];
	id64 id;

	(void)err;
	snprintf(path, sizeof(path), "%s/tasks/%.64s", w->data_dir, name);
	if (id64_parse(&id, name) && access(path, F_OK) < 0 && errno == ENOENT)
		oci_clean(w->store, name, NULL);
	return 0;
}

void oci_sweep(struct image_store *store, const char *data_dir)
{
	struct sweeping w = {store, data_dir};
	int fd = openat(image_store_fd(store), "run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	folder_each(fd, sweep_one, &w, NULL);
	close(fd);
}

static int make_folders(struct oci_plan *p, struct err *err)
{
	static const char *const names[] = {"", "/root", "/upper", "/work", "/volumes", "/bundle"};
	char path[64];

	if (clean_locked(p->store, p->task, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "run/%s%s", p->task, names[i]);
		if (mkdirat(image_store_fd(p->store), path, i ? 0755 : 0711) < 0)
			return err_errno(err, "make folder images/%s", path);
	}
	snprintf(path, sizeof(path), "run/%s", p->task);
	return oci_write(
	        image_store_fd(p->store), arena_printf(&p->arena, "%s/image", path), p->image.manifest, err);
}

static const char *run_path(struct oci_plan *p, const char *name)
{
	return arena_printf(&p->arena, "%s/run/%s/%s", image_store_dir(p->store), p->task, name);
}

/* Overlay, or a copy where there is none. */
static int make_root(struct oci_plan *p, struct err *err)
{
	const char *lower = image_rootfs(p->store, p->image.manifest, &p->arena);
	const char *root = run_path(p, "root");
	struct stat st;
	int from, to, rc;

	if (stat(lower, &st) < 0)
		return err_errno(err, "the files of image %s", p->service->image);
	/* The root's own mode and owner are the upper folder's. */
	if (chmod(run_path(p, "upper"), st.st_mode & 07777) < 0 ||
	        chown(run_path(p, "upper"), st.st_uid, st.st_gid) < 0)
		return err_errno(err, "make its root");
	if (mount("overlay", root, "overlay", 0,
	            arena_printf(&p->arena, "lowerdir=%s,upperdir=%s,workdir=%s", lower, run_path(p, "upper"),
	                    run_path(p, "work"))) == 0)
		return 0;
	if (errno != ENODEV && errno != EINVAL && errno != EPERM && errno != EOPNOTSUPP)
		return err_errno(err, "mount its root");
	from = open(lower, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	to = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = from < 0 || to < 0 ? err_errno(err, "open its root") : folder_copy(from, to, err);
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return rc;
}

static const char *read_in_root(struct oci_plan *p, const char *path)
{
	int root = open(run_path(p, "root"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = root < 0 ? -1 : open_in_root(root, path, O_RDONLY | O_NOCTTY);
	char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= ACCOUNTS_BYTES_MAX) {
		text = arena_alloc(&p->arena, (size_t)st.st_size + 1);
		n = read(fd, text, (size_t)st.st_size);
		text[MAX(n, (ssize_t)0)] = '\0';
	}
	if (fd >= 0)
		close(fd);
	if (root >= 0)
		close(root);
	return text;
}

/* ---- the launch ---- */

static char **words(struct oci_plan *p, const char *runtime, const char *const *list, size_t n, const char **more,
        size_t n_more)
{
	char **out = arena_array(&p->arena, n + n_more + 4, sizeof(*out));
	size_t k = 0;

	out[k++] = arena_strdup(&p->arena, runtime);
	out[k++] = (char *)"--root";
	out[k++] = (char *)OCI_STATE;
	for (size_t i = 0; i < n; i++)
		out[k++] = (char *)list[i];
	for (size_t i = 0; i < n_more; i++)
		out[k++] = (char *)more[i];
	return out;
}

static void name_cgroups(struct oci_plan *p, struct launch *l)
{
	const struct cgroups *c = &p->cgroups;
	bool v2 = c->version == 2;

	if (!c->version)
		return;
	l->cgroups[l->n_cgroups++] = v2 ? arena_printf(&p->arena, "%s/starling/%s", c->root, p->task)
	                                : arena_printf(&p->arena, "%s/pids/starling/%s", c->root, p->task);
	if (v2)
		l->oom_file = arena_printf(&p->arena, "%s/starling/%s/memory.events", c->root, p->task);
	else if (c->memory)
		l->oom_file =
		        arena_printf(&p->arena, "%s/memory/starling/%s/memory.oom_control", c->root, p->task);
}

static int write_launch(
        struct oci_plan *p, const struct image_config *image, const char *runtime, struct err *err)
{
	const struct service *s = p->service;
	const char *signal = s->stop_signal        ? s->stop_signal
	                     : *image->stop_signal ? image->stop_signal
	                                           : "SIGTERM";
	const char *id = arena_printf(&p->arena, "starling-%s-%u", p->task, p->run);
	const char *pid_file = arena_printf(&p->arena, "%s/oci.pid", p->dir);
	const char *start[] = {"run", "--detach", "--pid-file", pid_file, "--bundle", run_path(p, "bundle"), id};
	const char *clear[] = {"delete", "--force", id};
	const char *enter[] = {"exec", id};
	char *env[] = {
	        arena_printf(&p->arena, "STARLING_TASK=%s", p->task), (char *)"PATH=" ENV_PATH_DEFAULT, NULL};
	struct launch l = {.run = p->run, .env = env, .cwd = "/", .pid_file = pid_file};
	struct wr w;
	int rc;

	unlinkat(p->dir_fd, "oci.pid", 0);
	l.argv = words(p, runtime, start, ARRAY_LEN(start), NULL, 0);
	l.cleanup = words(p, runtime, clear, ARRAY_LEN(clear), NULL, 0);
	if (s->check.kind == CHECK_COMMAND)
		l.check = words(p, runtime, enter, ARRAY_LEN(enter), s->check.argv, s->check.n_argv);
	name_cgroups(p, &l);
	l.stop_signal = (uint8_t)signal_number(signal);
	if (!l.stop_signal)
		l.stop_signal = SIGTERM;
	l.stop_grace_ms = (uint32_t)MIN(s->stop_grace_ms, INT32_MAX);
	l.watchdog_ms = (uint32_t)MIN(s->watchdog_ms, INT32_MAX);
	wr_init(&w, LAUNCH_BYTES_MAX);
	launch_put(&w, &l);
	rc = wr_ok(&w) ? file_replace(p->dir_fd, "launch", w.p, w.len, err)
	               : err_set(err, ERR_USAGE, "its command and environment are too large");
	wr_free(&w);
	return rc;
}

static int write_bundle(
        struct oci_plan *p, const struct image_config *image, const struct oci_user *user, struct err *err)
{
	const struct service *s = p->service;
	struct oci_bundle b = {
	        .service = s,
	        .image = image,
	        .user = user,
	        .rootfs = run_path(p, "root"),
	        .cgroup_path = arena_printf(&p->arena, "/starling/%s", p->task),
	        .hostname = p->hostname,
	        .env = p->env,
	        .netns = s->network_mode && !strcmp(s->network_mode, "none") ? "" : NULL,
	        .init = s->init ? oci_init_find() : NULL,
	};
	char *json;
	int rc;

	if (oci_names_make(p, &b, run_path(p, "bundle"), err) < 0 || oci_binds_make(p, &b, user, err) < 0)
		return -1;
	json = oci_config_make(&p->arena, &b, err);
	if (!json)
		return -1;
	rc = oci_write(image_store_fd(p->store), arena_printf(&p->arena, "run/%s/bundle/config.json", p->task),
	        json, err);
	free(json);
	return rc;
}

static int set_up(struct oci_plan *p, struct err *err)
{
	struct image_config image;
	char runtime[OCI_RUNTIME_BYTES];
	const struct service *s = p->service;
	struct oci_user user;

	if (oci_runtime_find(runtime, image_store_dir(p->store), err) < 0 ||
	        image_config(p->store, &p->image, &p->arena, &image, err) < 0 || make_folders(p, err) < 0 ||
	        make_root(p, err) < 0 ||
	        oci_user_find(&user, &p->arena, s->user ? s->user : image.user, read_in_root(p, "etc/passwd"),
	                read_in_root(p, "etc/group"), s->group_add, s->n_group_add, err) < 0)
		return -1;
	if (volumes_make(p->data_dir, p->stack, s, user.uid, user.gid, err) < 0)
		return err_wrap(err, "volumes");
	return write_bundle(p, &image, &user, err) < 0 || write_launch(p, &image, runtime, err) < 0 ? -1 : 0;
}

enum driver_answer oci_setup(struct oci_plan *p, struct err *err)
{
	int lock = lock_task(p->store, p->task);
	int rc = set_up(p, err);

	if (lock >= 0)
		close(lock);
	if (rc == 0)
		return DRIVER_OK;
	err_wrap(err, "%s", p->service->name);
	return err->code == ERR_UNPLACEABLE || err->code == ERR_USAGE ? DRIVER_REFUSES : DRIVER_BLOCKED;
}
