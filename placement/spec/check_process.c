/* Laws of x-starling.process: what a process of the host may have beside Compose's keys. */
#include "placement/spec/check.h"

/* Of best-effort, unless set: ionice(1)'s middle. */
#define IO_PRIORITY_DEFAULT 4

static int check_paths(const char *const *paths, size_t n, const char *key, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (!path_is_clean(paths[i]) || !strcmp(paths[i], "/"))
			return fault(err,
			        "x-starling.process.%s[%zu]: \"%s\" is not an absolute path below / without . and ..",
			        key, i, paths[i]);
		for (size_t k = 0; k < i; k++)
			if (!strcmp(paths[k], paths[i]))
				return fault(
				        err, "x-starling.process.%s[%zu]: %s stands twice", key, i, paths[i]);
	}
	return 0;
}

int check_process(const struct service *s, struct err *err)
{
	const struct spec_process *p = &s->process;

	if (s->image && (p->rootfs || p->private_tmp || p->nice || p->io_class != IO_DEFAULT || p->n_read_only ||
	                        p->n_hidden))
		return fault(err,
		        "x-starling.process: is of processes, and this is a container: remove it, or `image`");
	if (p->rootfs && (!path_is_clean(p->rootfs) || !strcmp(p->rootfs, "/")))
		return fault(err,
		        "x-starling.process.rootfs: \"%s\" is not an absolute path below / without . and ..",
		        p->rootfs);
	if (p->io_priority != IO_PRIORITY_DEFAULT && p->io_class != IO_BEST_EFFORT)
		return fault(err, "x-starling.process.io_priority: is of `io_class: best-effort` alone");
	if (check_paths(p->read_only, p->n_read_only, "read_only", err) < 0)
		return -1;
	return check_paths(p->hidden, p->n_hidden, "hidden", err);
}
