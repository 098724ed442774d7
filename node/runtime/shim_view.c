#include "node/runtime/shim_view.h"

#include "node/runtime/files.h"
#include "node/runtime/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATH_BYTES 4352 /* SPEC_TEXT_MAX and what we put before it */

struct view {
	const struct launch *l;
	struct child_fault *f;
	int self_fd; /* /proc/self of the host: its folder fd holds the sources, whatever the root is by then */
	int sources[LAUNCH_MOUNTS_MAX];
};

#define fault(v, ...) child_fault((v)->f, STEP_VIEW, __VA_ARGS__)

bool view_wanted(const struct launch *l)
{
	return l->n_mounts || l->root || l->read_only_root;
}

static int map_only_me(uint32_t uid, uint32_t gid)
{
	char text[32];

	kernel_file_write("/proc/self/setgroups", "deny");
	snprintf(text, sizeof(text), "%u %u 1", uid, uid);
	if (kernel_file_write("/proc/self/uid_map", text) < 0)
		return -1;
	snprintf(text, sizeof(text), "%u %u 1", gid, gid);
	return kernel_file_write("/proc/self/gid_map", text);
}

static int leave_host(struct view *v)
{
	uint32_t uid = geteuid(), gid = getegid();

	if (unshare(uid ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS) < 0 || (uid && map_only_me(uid, gid) < 0))
		return fault(v, "%s",
		        uid ? "make namespaces of its own as a plain user (run the agent as root, or allow user "
		              "namespaces on this host)"
		            : "make a mount namespace");
	/* What the host unmounts leaves here too; nothing goes the other way. */
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return fault(v, "part its mounts from the host's");
	return 0;
}

/* All folders above the last name of path; with_last: that as well. */
static int make_folders(const char *path, bool with_last)
{
	char part[PATH_BYTES];

	if ((size_t)snprintf(part, sizeof(part), "%s", path) >= sizeof(part)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	for (char *p = strchr(part + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST && errno != EROFS)
			return -1;
		*p = '/';
	}
	return !with_last || mkdir(part, 0755) == 0 || errno == EEXIST ? 0 : -1;
}

/* Before the root changes: a source is the host's, a target the task's. */
static int open_sources(struct view *v)
{
	v->self_fd = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (v->self_fd < 0)
		return fault(v, "open /proc/self");
	for (size_t i = 0; i < v->l->n_mounts; i++) {
		const struct launch_mount *m = &v->l->mounts[i];

		if (m->kind != LAUNCH_BIND)
			continue;
		v->sources[i] = open(m->source, O_PATH | O_CLOEXEC);
		if (v->sources[i] < 0 && errno == ENOENT && m->make_source && make_folders(m->source, true) == 0)
			v->sources[i] = open(m->source, O_PATH | O_CLOEXEC);
		if (v->sources[i] < 0)
			return fault(v, "volumes: %s of this host", m->source);
	}
	return 0;
}

/* The host's own, where the root folder has a place for them. */
static int bind_kernel_folders(struct view *v)
{
	static const char *const names[] = {"proc", "sys", "dev"};
	char path[PATH_BYTES], from[16];
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", v->l->root, names[i]);
		snprintf(from, sizeof(from), "/%s", names[i]);
		if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
			continue;
		if (mount(from, path, NULL, MS_BIND | MS_REC, NULL) < 0)
			return fault(v, "x-starling.process.rootfs: mount %s on %s", from, path);
	}
	return 0;
}

/* The old root stays below the new one, out of reach by any path, until the sources are mounted. */
static int change_root(struct view *v)
{
	const char *root = v->l->root;

	if (mount(root, root, NULL, MS_BIND | MS_REC, NULL) < 0)
		return fault(v, "x-starling.process.rootfs: %s", root);
	if (bind_kernel_folders(v) < 0)
		return -1;
	if (chdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return fault(v, "x-starling.process.rootfs: make %s the root", root);
	return 0;
}

static int make_target(struct view *v, const struct launch_mount *m, bool folder)
{
	int fd;

	if (access(m->target, F_OK) == 0)
		return 0;
	if (m->make_target && make_folders(m->target, folder) == 0) {
		fd = folder ? -1 : open(m->target, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (fd >= 0)
			close(fd);
		if (folder || fd >= 0)
			return 0;
	}
	return fault(v, "volumes: the target %s", m->target);
}

static int bind_one(struct view *v, size_t i)
{
	const struct launch_mount *m = &v->l->mounts[i];
	char source[24];
	struct stat st;

	snprintf(source, sizeof(source), "fd/%d", v->sources[i]);
	if (fstat(v->sources[i], &st) < 0 || make_target(v, m, S_ISDIR(st.st_mode)) < 0)
		return -1;
	if (fchdir(v->self_fd) < 0 || mount(source, m->target, NULL, MS_BIND | MS_REC, NULL) < 0)
		return fault(v, "volumes: mount %s on %s", m->source, m->target);
	close(v->sources[i]);
	if (mount(NULL, m->target, NULL, MS_REC | (m->slave ? MS_SLAVE : MS_PRIVATE), NULL) < 0)
		return fault(v, "volumes: set the propagation of %s", m->target);
	return 0;
}

static int tmpfs_one(struct view *v, const struct launch_mount *m)
{
	char options[64];
	size_t n = (size_t)snprintf(options, sizeof(options), "mode=%o", m->mode ? m->mode : 01777);

	if (m->size)
		snprintf(options + n, sizeof(options) - n, ",size=%llu", (unsigned long long)m->size);
	if (make_target(v, m, true) < 0)
		return -1;
	if (mount("tmpfs", m->target, "tmpfs", MS_NOSUID | MS_NODEV | (m->no_exec ? MS_NOEXEC : 0), options) < 0)
		return fault(v, "tmpfs: mount one on %s", m->target);
	return 0;
}

static int hide_one(struct view *v, const struct launch_mount *m)
{
	struct stat st;
	int rc;

	if (stat(m->target, &st) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0
		                                           : fault(v, "x-starling.process.hidden: %s", m->target);
	if (S_ISDIR(st.st_mode))
		rc = mount("tmpfs", m->target, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY,
		        "mode=0,size=4096");
	else
		rc = mount("/dev/null", m->target, NULL, MS_BIND, NULL);
	return rc < 0 ? fault(v, "x-starling.process.hidden: %s", m->target) : 0;
}

static int pin_one(struct view *v, const struct launch_mount *m)
{
	if (mount(m->target, m->target, NULL, MS_BIND | MS_REC, NULL) < 0)
		return fault(v, "x-starling.process.read_only: %s", m->target);
	return 0;
}

static int mount_one(struct view *v, size_t i)
{
	const struct launch_mount *m = &v->l->mounts[i];

	switch (m->kind) {
	case LAUNCH_BIND:
		return bind_one(v, i);
	case LAUNCH_TMPFS:
		return tmpfs_one(v, m);
	case LAUNCH_READ_ONLY:
		return pin_one(v, m);
	case LAUNCH_HIDDEN:
		return hide_one(v, m);
	}
	return -1;
}

static bool is_below(const char *path, const char *top)
{
	size_t len = strlen(top);

	if (strcmp(top, "/") == 0)
		return true;
	return strncmp(path, top, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* The innermost of our mounts that a mount point lies in decides; in none, it is the root's. */
static bool is_read_only(const struct launch *l, const char *point)
{
	static const char *const kernels[] = {"/proc", "/sys", "/dev"};
	bool read_only = l->read_only_root;
	size_t best = 0;

	for (size_t i = 0; i < ARRAY_LEN(kernels); i++)
		if (is_below(point, kernels[i]))
			read_only = false;
	for (size_t i = 0; i < l->n_mounts; i++) {
		const struct launch_mount *m = &l->mounts[i];

		if (m->kind == LAUNCH_HIDDEN || !is_below(point, m->target) || strlen(m->target) < best)
			continue;
		best = strlen(m->target);
		read_only = m->read_only || m->kind == LAUNCH_READ_ONLY;
	}
	return read_only;
}

static bool wants_read_only(const struct launch *l)
{
	for (size_t i = 0; i < l->n_mounts; i++)
		if (l->mounts[i].read_only || l->mounts[i].kind == LAUNCH_READ_ONLY)
			return true;
	return l->read_only_root;
}

/* One mount point after the other: only Linux 5.12 and later could do a whole tree. */
static int make_read_only(struct view *v)
{
	struct arena arena;
	struct mount_point p;
	char *text;
	size_t len;
	int rc = 0;

	if (!wants_read_only(v->l))
		return 0;
	arena_init(&arena);
	text = (char *)file_read(v->self_fd, "mountinfo", MOUNTINFO_BYTES_MAX, &arena, &len, NULL);
	if (!text)
		rc = fault(v, "read the list of mounts");
	while (rc == 0 && mountinfo_next(&text, &p)) {
		if (!is_read_only(v->l, p.path) || p.flags & MS_RDONLY)
			continue;
		/* Another mount may lie over it, or its server be gone: then it cannot be reached from here either. */
		if (mount(NULL, p.path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | p.flags, NULL) < 0 &&
		        errno != ENOENT && errno != EINVAL && errno != EACCES)
			rc = fault(v, "read_only: %s", p.path);
	}
	arena_free(&arena);
	return rc;
}

int view_make(const struct launch *l, struct child_fault *f)
{
	struct view v = {.l = l, .f = f};

	if (leave_host(&v) < 0 || open_sources(&v) < 0)
		return -1;
	if (l->root && change_root(&v) < 0)
		return -1;
	for (size_t i = 0; i < l->n_mounts; i++)
		if (mount_one(&v, i) < 0)
			return -1;
	if (l->root) {
		/* Where pivot_root left the old one: on top of the new, which "/" by now is. */
		if (chdir("/") < 0 || umount2("/", MNT_DETACH) < 0)
			return fault(&v, "x-starling.process.rootfs: let go of the host's root");
	}
	if (chdir("/") < 0 || make_read_only(&v) < 0)
		return -1;
	close(v.self_fd);
	return 0;
}

int view_enter(int pid, struct child_fault *f)
{
	char path[48];
	int user = -1, mnt;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	mnt = open(path, O_RDONLY | O_CLOEXEC);
	if (geteuid() != 0) {
		snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
		user = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (mnt < 0 || (user >= 0 && setns(user, CLONE_NEWUSER) < 0) || setns(mnt, CLONE_NEWNS) < 0)
		return child_fault(f, STEP_VIEW, "enter the task's view of the file system");
	close(mnt);
	if (user >= 0)
		close(user);
	return 0;
}
