/*
 * The last field of a launch: a map. A key's meaning and kind never change; what is new gets a key of its own.
 *
 *	pid_file       text: where a container's runtime says which process is the container's first
 *	cleanup        texts: the runtime's command that clears away the container
 *	limits         numbers: resource, soft, hard, and so on
 *	nice           number
 *	io             numbers: class, priority
 *	oom_score_adj  number
 *	new_privs      true
 *	caps           number: bits
 *	mounts         arrays: kind, source, target, flags, size, mode
 *	root           text: the root folder
 *	read_only      true: the root file system
 */
#include "node/runtime/launch_more.h"

#include "base/pack.h"
#include "placement/spec/spec.h"

enum more {
	MORE_PID_FILE,
	MORE_CLEANUP,
	MORE_LIMITS,
	MORE_NICE,
	MORE_IO,
	MORE_OOM_SCORE_ADJ,
	MORE_NEW_PRIVS,
	MORE_CAPS,
	MORE_MOUNTS,
	MORE_ROOT,
	MORE_READ_ONLY,
	MORES,
};

static const char *const names[MORES] = {
        [MORE_PID_FILE] = "pid_file",
        [MORE_CLEANUP] = "cleanup",
        [MORE_LIMITS] = "limits",
        [MORE_NICE] = "nice",
        [MORE_IO] = "io",
        [MORE_OOM_SCORE_ADJ] = "oom_score_adj",
        [MORE_NEW_PRIVS] = "new_privs",
        [MORE_CAPS] = "caps",
        [MORE_MOUNTS] = "mounts",
        [MORE_ROOT] = "root",
        [MORE_READ_ONLY] = "read_only",
};

enum { MOUNT_READ_ONLY = 1, MOUNT_MAKE_SOURCE = 2, MOUNT_MAKE_TARGET = 4, MOUNT_SLAVE = 8, MOUNT_NO_EXEC = 16 };
#define MOUNT_FIELDS 6

static bool has(const struct launch *l, enum more m)
{
	switch (m) {
	case MORE_PID_FILE:
		return l->pid_file != NULL;
	case MORE_CLEANUP:
		return l->cleanup && l->cleanup[0];
	case MORE_LIMITS:
		return l->n_limits > 0;
	case MORE_NICE:
		return l->nice != 0;
	case MORE_IO:
		return l->io_class != LAUNCH_IO_NONE;
	case MORE_OOM_SCORE_ADJ:
		return l->oom_score_adj != 0;
	case MORE_NEW_PRIVS:
		return l->new_privs;
	case MORE_CAPS:
		return l->set_caps;
	case MORE_MOUNTS:
		return l->n_mounts > 0;
	case MORE_ROOT:
		return l->root != NULL;
	case MORE_READ_ONLY:
		return l->read_only_root;
	case MORES:
		break;
	}
	return false;
}

static uint32_t count(const struct launch *l)
{
	uint32_t n = 0;

	for (int m = 0; m < MORES; m++)
		n += has(l, m);
	return n;
}

bool launch_has_more(const struct launch *l)
{
	return count(l) > 0;
}

void launch_no_more(struct launch *l, struct arena *arena)
{
	l->cleanup = arena_array(arena, 1, sizeof(*l->cleanup));
}

static void put_text(struct wr *w, const char *text)
{
	pk_bin(w, text ? text : "", text ? strlen(text) : 0);
}

static void put_mount(struct wr *w, const struct launch_mount *m)
{
	pk_array(w, MOUNT_FIELDS);
	pk_u64(w, m->kind);
	put_text(w, m->source);
	put_text(w, m->target);
	pk_u64(w, (m->read_only ? MOUNT_READ_ONLY : 0) | (m->make_source ? MOUNT_MAKE_SOURCE : 0) |
	                  (m->make_target ? MOUNT_MAKE_TARGET : 0) | (m->slave ? MOUNT_SLAVE : 0) |
	                  (m->no_exec ? MOUNT_NO_EXEC : 0));
	pk_u64(w, m->size);
	pk_u64(w, m->mode);
}

static void put_limits(struct wr *w, const struct launch *l)
{
	pk_array(w, (uint32_t)(3 * l->n_limits));
	for (size_t i = 0; i < l->n_limits; i++) {
		pk_u64(w, l->limits[i].resource);
		pk_u64(w, l->limits[i].soft);
		pk_u64(w, l->limits[i].hard);
	}
}

static void put(struct wr *w, const struct launch *l, enum more m)
{
	switch (m) {
	case MORE_PID_FILE:
		put_text(w, l->pid_file);
		break;
	case MORE_CLEANUP:
		launch_put_texts(w, l->cleanup);
		break;
	case MORE_LIMITS:
		put_limits(w, l);
		break;
	case MORE_NICE:
		pk_i64(w, l->nice);
		break;
	case MORE_IO:
		pk_array(w, 2);
		pk_u64(w, l->io_class);
		pk_u64(w, l->io_priority);
		break;
	case MORE_OOM_SCORE_ADJ:
		pk_i64(w, l->oom_score_adj);
		break;
	case MORE_CAPS:
		pk_u64(w, l->caps);
		break;
	case MORE_MOUNTS:
		pk_array(w, (uint32_t)l->n_mounts);
		for (size_t i = 0; i < l->n_mounts; i++)
			put_mount(w, &l->mounts[i]);
		break;
	case MORE_ROOT:
		put_text(w, l->root);
		break;
	case MORE_NEW_PRIVS:
	case MORE_READ_ONLY:
		pk_bool(w, true);
		break;
	case MORES:
		break;
	}
}

void launch_put_more(struct wr *w, const struct launch *l)
{
	pk_map(w, count(l));
	for (int m = 0; m < MORES; m++)
		if (has(l, m)) {
			pk_str(w, names[m]);
			put(w, l, m);
		}
}

static void get_limits(struct rd *r, struct launch *l)
{
	uint32_t n = up_array(r);

	if (n % 3 || n > 3 * LAUNCH_LIMITS_MAX)
		rd_fail(r, "limits of a launch that cannot be");
	for (l->n_limits = 0; rd_ok(r) && l->n_limits < n / 3; l->n_limits++) {
		struct launch_limit *limit = &l->limits[l->n_limits];

		limit->resource = (uint32_t)up_u64(r);
		limit->soft = up_u64(r);
		limit->hard = up_u64(r);
	}
}

static void get_mount(struct rd *r, struct launch_mount *m, struct arena *arena)
{
	uint64_t flags;

	if (up_array(r) != MOUNT_FIELDS)
		rd_fail(r, "a mount of a launch that cannot be");
	m->kind = (enum launch_mount_kind)up_u64(r);
	m->source = launch_get_text(r, arena);
	m->target = launch_get_text(r, arena);
	flags = up_u64(r);
	m->read_only = flags & MOUNT_READ_ONLY;
	m->make_source = flags & MOUNT_MAKE_SOURCE;
	m->make_target = flags & MOUNT_MAKE_TARGET;
	m->slave = flags & MOUNT_SLAVE;
	m->no_exec = flags & MOUNT_NO_EXEC;
	m->size = up_u64(r);
	m->mode = (uint32_t)up_u64(r);
	if (rd_ok(r) && ((unsigned)m->kind > LAUNCH_HIDDEN || m->target[0] != '/' ||
	                        (m->kind == LAUNCH_BIND && m->source[0] != '/')))
		rd_fail(r, "a mount of a launch that cannot be");
}

static void get_mounts(struct rd *r, struct launch *l, struct arena *arena)
{
	uint32_t n = up_array(r);

	if (n > LAUNCH_MOUNTS_MAX)
		rd_fail(r, "too many mounts in a launch");
	if (!rd_ok(r))
		return;
	l->mounts = arena_array(arena, n + 1, sizeof(*l->mounts));
	for (l->n_mounts = 0; rd_ok(r) && l->n_mounts < n; l->n_mounts++)
		get_mount(r, &l->mounts[l->n_mounts], arena);
	if (!rd_ok(r))
		l->n_mounts = 0;
}

static void get(struct rd *r, struct launch *l, struct arena *arena, enum more m)
{
	switch (m) {
	case MORE_PID_FILE:
		l->pid_file = launch_get_text(r, arena);
		break;
	case MORE_CLEANUP:
		l->cleanup = launch_get_texts(r, arena, 2 * SPEC_ARGS_MAX);
		break;
	case MORE_LIMITS:
		get_limits(r, l);
		break;
	case MORE_NICE:
		l->nice = (int32_t)up_i64(r);
		break;
	case MORE_IO:
		if (up_array(r) != 2)
			rd_fail(r, "an io priority of a launch that cannot be");
		l->io_class = (uint32_t)up_u64(r);
		l->io_priority = (uint32_t)up_u64(r);
		break;
	case MORE_OOM_SCORE_ADJ:
		l->oom_score_adj = (int32_t)up_i64(r);
		break;
	case MORE_NEW_PRIVS:
		l->new_privs = up_bool(r);
		break;
	case MORE_CAPS:
		l->set_caps = true;
		l->caps = up_u64(r);
		break;
	case MORE_MOUNTS:
		get_mounts(r, l, arena);
		break;
	case MORE_ROOT:
		l->root = launch_get_text(r, arena);
		break;
	case MORE_READ_ONLY:
		l->read_only_root = up_bool(r);
		break;
	case MORES:
		up_skip(r);
		break;
	}
}

void launch_get_more(struct rd *r, struct launch *l, struct arena *arena)
{
	for (uint32_t n = up_map(r); n && rd_ok(r); n--) {
		size_t len;
		const char *key = up_str(r, &len);
		enum more m = 0;

		while (key && m < MORES && !up_is(key, len, names[m]))
			m++;
		if (key)
			get(r, l, arena, m);
	}
}
