#include "node/runtime/volumes.h"

#include "base/text.h"
#include "placement/facts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Who passes through may not list. */
#define PASS_MODE 0711

const char *volume_path(struct arena *arena, const char *data_dir, const char *stack, const char *name)
{
	return arena_printf(arena, "%s/volumes/%s/%s", data_dir, stack, name);
}

/* Opens at/name, made with that mode if it is not there; *made: it was not. Symbolic links are not followed. */
static int enter(int at, const char *name, mode_t mode, bool *made, struct err *err)
{
	int fd;

	*made = mkdirat(at, name, 0700) == 0;
	if (!*made && errno != EEXIST)
		return err_errno(err, "make folder volumes/.../%s", name);
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	/* Not left to the umask. */
	if (fd >= 0 && *made && fchmod(fd, mode) < 0) {
		err_errno(err, "set the mode of folder %s", name);
		close(fd);
		return -1;
	}
	return fd < 0 ? err_errno(err, "open folder %s", name) : fd;
}

/* A task of another user has to get through the data folder to its own; all else in there is 0600 or 0700. */
static int let_pass(int fd, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || ((st.st_mode & 0011) != 0011 && fchmod(fd, (st.st_mode & 07777) | 0011) < 0))
		return err_errno(err, "let tasks pass through the data folder");
	return 0;
}

static int make_one(int stack_fd, const char *name, uint32_t uid, uint32_t gid, struct err *err)
{
	bool made;
	int fd = enter(stack_fd, name, 0700, &made, err);
	int rc = 0;

	if (fd < 0)
		return -1;
	if (made && uid != geteuid() && fchown(fd, uid, gid) < 0) {
		rc = err_errno(err, "give volume %s to its task's user", name);
		unlinkat(stack_fd, name, AT_REMOVEDIR);
	}
	close(fd);
	return rc;
}

/* Would the names of all volumes still fit what this host may tell? */
static int check_room(const char *data_dir, const char *stack, const struct service *s, struct err *err)
{
	struct arena arena;
	const char **have;
	size_t n, text = 0;
	int rc = 0;

	arena_init(&arena);
	n = volumes_list(data_dir, &arena, &have);
	for (size_t i = 0; i < n; i++)
		text += strlen(have[i]);
	for (size_t v = 0; v < s->n_volumes; v++) {
		const char *name = arena_printf(&arena, "%s/%s", stack, s->volumes[v]);
		size_t i = 0;

		while (i < n && strcmp(have[i], name) != 0)
			i++;
		if (i < n)
			continue;
		text += strlen(name);
		if (text > VOLUMES_TEXT_MAX || n + v >= FACTS_VOLUMES_MAX)
			rc = err_set(err, ERR_UNPLACEABLE,
			        "volume %s: this host keeps %zu volumes, and cannot tell others of more; remove folders below "
			        "%s/volumes that nobody needs",
			        name, n, data_dir);
	}
	arena_free(&arena);
	return rc;
}

int volumes_make(const char *data_dir, const char *stack, const struct service *s, uint32_t uid, uint32_t gid,
        struct err *err)
{
	int data, all = -1, own = -1, rc = -1;
	bool made;

	if (!s->n_volumes)
		return 0;
	if (check_room(data_dir, stack, s, err) < 0)
		return -1;
	data = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (data < 0)
		return err_errno(err, "open %s", data_dir);
	if (uid == geteuid() || let_pass(data, err) == 0)
		all = enter(data, "volumes", PASS_MODE, &made, err);
	if (all >= 0)
		own = enter(all, stack, PASS_MODE, &made, err);
	if (own >= 0)
		rc = 0;
	for (size_t i = 0; i < s->n_volumes && rc == 0; i++)
		rc = make_one(own, s->volumes[i], uid, gid, err);
	if (own >= 0)
		close(own);
	if (all >= 0)
		close(all);
	close(data);
	return rc;
}

struct names {
	struct arena *arena;
	size_t n, cap;
	const char **list;
};

static void add(struct names *out, const char *name)
{
	if (out->n == out->cap) {
		size_t cap = out->cap ? out->cap * 2 : 16;
		const char **more = arena_array(out->arena, cap, sizeof(*more));

		if (out->n)
			memcpy(more, out->list, out->n * sizeof(*more));
		out->list = more;
		out->cap = cap;
	}
	out->list[out->n++] = name;
}

/* Folders in at/path that a service could have named; symbolic links are none. */
static void each_folder(int at, const char *path, const char *prefix, struct names *out)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		struct stat st;

		if (!text_is_label(e->d_name, true) ||
		        fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
			continue;
		if (prefix)
			add(out, arena_printf(out->arena, "%s/%s", prefix, e->d_name));
		else
			each_folder(dirfd(dir), e->d_name, arena_strdup(out->arena, e->d_name), out);
	}
	closedir(dir);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

size_t volumes_list(const char *data_dir, struct arena *arena, const char ***out)
{
	struct names names = {.arena = arena};

	each_folder(AT_FDCWD, arena_printf(arena, "%s/volumes", data_dir), NULL, &names);
	if (names.n)
		qsort(names.list, names.n, sizeof(*names.list), by_text);
	*out = names.list;
	return names.n;
}
