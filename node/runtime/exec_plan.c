#include "node/runtime/exec_plan.h"

#include "node/runtime/caps.h"
#include "node/runtime/env.h"
#include "node/runtime/exec_accept.h"
#include "node/runtime/rlimits.h"
#include "node/runtime/volumes.h"

#include <string.h>
#include <unistd.h>

#define CAP_SYS_RESOURCE_BIT (1ULL << 24)

int exec_plan_rights(struct launch *l, const struct service *s, bool as_root, struct err *err)
{
	static const uint32_t io_classes[] = {[IO_DEFAULT] = LAUNCH_IO_NONE,
	        [IO_BEST_EFFORT] = LAUNCH_IO_BEST_EFFORT,
	        [IO_IDLE] = LAUNCH_IO_IDLE};
	uint64_t mine = caps_mine();

	if (rlimits_of(l, s, mine & CAP_SYS_RESOURCE_BIT, err) < 0 ||
	        caps_of(&l->caps, s, as_root, mine, err) < 0)
		return -1;
	/* A plain user's agent has none to drop, and with no_new_privs its tasks get none. */
	l->set_caps = mine && (s->n_cap_add || s->n_cap_drop);
	l->nice = s->process.nice;
	l->io_class = io_classes[s->process.io_class];
	l->io_priority = s->process.io_class == IO_BEST_EFFORT ? s->process.io_priority : 0;
	l->oom_score_adj = s->oom_score_adj;
	l->new_privs = exec_new_privs(s);
	return 0;
}

static struct launch_mount *add(struct launch *l, enum launch_mount_kind kind, const char *target)
{
	struct launch_mount *m = &l->mounts[l->n_mounts++];

	*m = (struct launch_mount){.kind = kind, .target = target, .make_target = l->root != NULL};
	return m;
}

static bool is_slave(const char *propagation)
{
	return propagation && strstr(propagation, "slave");
}

static void add_mount(
        struct launch *l, const struct driver_task *t, const struct spec_mount *m, struct arena *arena)
{
	struct launch_mount *out = add(l, m->kind == MOUNT_TMPFS ? LAUNCH_TMPFS : LAUNCH_BIND, m->target);

	if (m->kind == MOUNT_VOLUME)
		out->source = volume_path(arena, t->host->data_dir, t->task->stack, m->source);
	else if (m->kind == MOUNT_BIND)
		out->source = task_template(arena, t->host, t->task, m->source);
	out->make_source = m->kind == MOUNT_BIND && !m->no_create;
	out->read_only = m->read_only;
	out->slave = is_slave(m->propagation);
	out->no_exec = m->kind == MOUNT_TMPFS;
	out->size = m->size;
	out->mode = m->mode;
}

/* Before the service's own, which may lie inside or take the place of one. */
static void add_private(struct launch *l, const struct service *s)
{
	if (s->process.private_tmp) {
		add(l, LAUNCH_TMPFS, "/tmp");
		if (l->root || access("/var/tmp", F_OK) == 0)
			add(l, LAUNCH_TMPFS, "/var/tmp");
	}
	if (s->shm_size)
		add(l, LAUNCH_TMPFS, "/dev/shm")->size = s->shm_size;
}

/* Folders told by environment: at the path that is told, and writable whatever their surroundings are. */
static void add_told_volumes(struct launch *l, const struct driver_task *t, struct arena *arena)
{
	const struct service *s = t->task->spec;

	for (size_t i = 0; i < s->n_volumes && (l->root || l->read_only_root); i++) {
		const char *path = volume_path(arena, t->host->data_dir, t->task->stack, s->volumes[i]);

		add(l, LAUNCH_BIND, path)->source = path;
	}
}

void exec_plan_view(struct launch *l, const struct driver_task *t, struct arena *arena)
{
	const struct service *s = t->task->spec;
	const struct spec_process *p = &s->process;

	l->root = p->rootfs;
	l->read_only_root = s->read_only;
	l->n_mounts = 0;
	l->mounts = arena_array(arena, LAUNCH_MOUNTS_MAX, sizeof(*l->mounts));
	add_private(l, s);
	add_told_volumes(l, t, arena);
	for (size_t i = 0; i < s->n_mounts; i++)
		add_mount(l, t, &s->mounts[i], arena);
	for (size_t i = 0; i < p->n_read_only; i++)
		add(l, LAUNCH_READ_ONLY, p->read_only[i]);
	for (size_t i = 0; i < p->n_hidden; i++)
		add(l, LAUNCH_HIDDEN, p->hidden[i]);
}
