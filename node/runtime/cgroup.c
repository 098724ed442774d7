#include "node/runtime/cgroup.h"

#include "node/runtime/cgroup_folder.h"
#include "node/runtime/files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Microseconds over which the cpu limit is kept: the kernel's default. */
#define CPU_PERIOD_US 100000
/* The kernel refuses less, on version 1. */
#define CPU_QUOTA_US_MIN 1000

static bool exists(const char *root, const char *name)
{
	char path[1024];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	return access(path, F_OK) == 0;
}

static int make_folder(const char *path)
{
	return mkdir(path, 0755) == 0 || errno == EEXIST ? 0 : -1;
}

static bool has_word(const char *path, const char *word)
{
	struct arena arena;
	char *text, *save = NULL;
	size_t len;
	bool found = false;

	arena_init(&arena);
	text = (char *)file_read(AT_FDCWD, path, 4096, &arena, &len, NULL);
	for (char *w = text ? strtok_r(text, " \n", &save) : NULL; w; w = strtok_r(NULL, " \n", &save))
		found |= strcmp(w, word) == 0;
	arena_free(&arena);
	return found;
}

/* A controller reaches a task's group when each folder above hands it down. */
static bool hand_down(const char *root, const char *controller)
{
	char path[512], enable[16];

	snprintf(enable, sizeof(enable), "+%s", controller);
	snprintf(path, sizeof(path), "%s/cgroup.controllers", root);
	if (!has_word(path, controller))
		return false;
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", root);
	if (kernel_file_write(path, enable) < 0)
		return false;
	snprintf(path, sizeof(path), "%s/starling/cgroup.subtree_control", root);
	return kernel_file_write(path, enable) == 0;
}

static bool detect_v2(struct cgroups *c)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/starling", c->root);
	if (make_folder(path) < 0)
		return false;
	c->version = 2;
	c->cpu = hand_down(c->root, "cpu");
	c->memory = hand_down(c->root, "memory");
	c->pids = hand_down(c->root, "pids");
	return true;
}

static bool detect_v1_controller(const struct cgroups *c, const char *controller)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/cgroup.procs", controller);
	if (!exists(c->root, path))
		return false;
	snprintf(path, sizeof(path), "%s/%s/starling", c->root, controller);
	return make_folder(path) == 0;
}

static bool detect_v1(struct cgroups *c)
{
	c->cpu = detect_v1_controller(c, "cpu");
	c->memory = detect_v1_controller(c, "memory");
	c->pids = detect_v1_controller(c, "pids");
	c->version = c->cpu || c->memory || c->pids ? 1 : 0;
	return c->version != 0;
}

void cgroup_detect(struct cgroups *c, const char *root, bool is_root)
{
	*c = (struct cgroups){0};
	snprintf(c->root, sizeof(c->root), "%s", root);
	if (!is_root) {
		snprintf(c->why, sizeof(c->why), "the agent is not root");
		return;
	}
	if (exists(root, "cgroup.controllers") ? detect_v2(c) : detect_v1(c)) {
		if (!c->cpu || !c->memory || !c->pids)
			snprintf(c->why, sizeof(c->why), "%s does not offer it to the agent", root);
		return;
	}
	snprintf(c->why, sizeof(c->why), "no control group can be made under %s", root);
}

int cgroup_accept(const struct cgroups *c, const struct spec_resources *limit, struct err *err)
{
	const char *missing = limit->cpu_milli && !c->cpu   ? "cpus"
	                      : limit->memory && !c->memory ? "memory"
	                      : limit->pids && !c->pids     ? "pids"
	                                                    : NULL;

	if (!missing)
		return 0;
	return err_set(err, ERR_UNPLACEABLE,
	        "the limit of %s cannot be kept on this host: %s; run the agent as root with control groups, or remove "
	        "deploy.resources.limits.%s",
	        missing, c->why, missing);
}

static int write_limit(const char *dir, const char *file, const char *value, struct err *err)
{
	char path[640];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	if (kernel_file_write(path, value) < 0)
		return err_errno(err, "set %s of the task's control group to %s", file, value);
	return 0;
}

static uint64_t quota_us(const struct spec_resources *limit)
{
	return MAX(limit->cpu_milli * (CPU_PERIOD_US / 1000), (uint64_t)CPU_QUOTA_US_MIN);
}

static int limit_cpu(
        const struct cgroups *c, const char *dir, const struct spec_resources *limit, struct err *err)
{
	char text[64];

	if (c->version == 2) {
		snprintf(text, sizeof(text), "%" PRIu64 " %d", quota_us(limit), CPU_PERIOD_US);
		return write_limit(dir, "cpu.max", text, err);
	}
	snprintf(text, sizeof(text), "%d", CPU_PERIOD_US);
	if (write_limit(dir, "cpu.cfs_period_us", text, err) < 0)
		return -1;
	snprintf(text, sizeof(text), "%" PRIu64, quota_us(limit));
	return write_limit(dir, "cpu.cfs_quota_us", text, err);
}

static int limit_memory(
        const struct cgroups *c, const char *dir, const struct spec_resources *limit, struct err *err)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, limit->memory);
	return write_limit(dir, c->version == 2 ? "memory.max" : "memory.limit_in_bytes", text, err);
}

static int limit_pids(const char *dir, const struct spec_resources *limit, struct err *err)
{
	char text[32];

	snprintf(text, sizeof(text), "%u", limit->pids);
	return write_limit(dir, "pids.max", text, err);
}

/* The folder of a task below a controller's tree; version 2 has one tree for all. */
static char *folder(const struct cgroups *c, const char *controller, const char *task, struct arena *arena)
{
	if (c->version == 2)
		return arena_printf(arena, "%s/starling/%s", c->root, task);
	return arena_printf(arena, "%s/%s/starling/%s", c->root, controller, task);
}

static int add(const struct cgroups *c, struct launch *launch, char *dir, struct err *err)
{
	for (size_t i = 0; i < launch->n_cgroups; i++)
		if (strcmp(launch->cgroups[i], dir) == 0)
			return 0;
	if (make_folder(dir) < 0 && errno == ENOENT) {
		/* Another agent of this host left, and took the folder above with it. */
		struct cgroups again;

		cgroup_detect(&again, c->root, true);
	}
	if (make_folder(dir) < 0)
		return err_errno(err, "make the control group %s", dir);
	launch->cgroups[launch->n_cgroups++] = dir;
	return 0;
}

int cgroup_make(const struct cgroups *c, const char *task, const struct spec_resources *limit,
        struct arena *arena, struct launch *launch, struct err *err)
{
	char *dir;

	if (cgroup_accept(c, limit, err) < 0)
		return -1;
	if (c->version == 2 || c->pids) {
		dir = folder(c, "pids", task, arena);
		if (add(c, launch, dir, err) < 0 || (limit->pids && limit_pids(dir, limit, err) < 0))
			return -1;
	}
	if (limit->memory) {
		dir = folder(c, "memory", task, arena);
		if (add(c, launch, dir, err) < 0 || limit_memory(c, dir, limit, err) < 0)
			return -1;
		launch->oom_file = arena_printf(
		        arena, "%s/%s", dir, c->version == 2 ? "memory.events" : "memory.oom_control");
	}
	if (limit->cpu_milli) {
		dir = folder(c, "cpu", task, arena);
		if (add(c, launch, dir, err) < 0 || limit_cpu(c, dir, limit, err) < 0)
			return -1;
	}
	return 0;
}

static const char *const controllers[] = {"pids", "memory", "cpu"};

int cgroup_kill(const struct cgroups *c, const char *task)
{
	struct arena arena;
	int found = 0;

	arena_init(&arena);
	for (size_t i = 0; c->version && i < ARRAY_LEN(controllers); i++)
		found += cgroup_folder_kill(folder(c, controllers[i], task, &arena));
	arena_free(&arena);
	return found;
}

void cgroup_remove(const struct cgroups *c, const char *task)
{
	struct arena arena;

	arena_init(&arena);
	for (size_t i = 0; c->version && i < ARRAY_LEN(controllers); i++)
		cgroup_folder_remove(folder(c, controllers[i], task, &arena));
	arena_free(&arena);
}

void cgroup_leave(const struct cgroups *c)
{
	char path[512];

	if (c->version == 2) {
		snprintf(path, sizeof(path), "%s/starling", c->root);
		rmdir(path);
	}
	for (size_t i = 0; c->version == 1 && i < ARRAY_LEN(controllers); i++) {
		snprintf(path, sizeof(path), "%s/%s/starling", c->root, controllers[i]);
		rmdir(path);
	}
}
