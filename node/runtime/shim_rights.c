#include "node/runtime/shim_rights.h"

#include "node/runtime/files.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_CLASS_SHIFT 13
/* Numbers that are tried: the bits of the mask; the kernel says where its own end. */
#define CAPS_MAX 64

int child_fault(struct child_fault *f, enum launch_step step, const char *fmt, ...)
{
	int error = errno;
	va_list ap;
	size_t len;

	f->step = step;
	f->error = error;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	len = strlen(f->text);
	snprintf(f->text + len, sizeof(f->text) - len, ": %s", strerror(error));
	return -1;
}

static int set_limit(const struct launch_limit *limit, struct child_fault *f)
{
	struct rlimit r = {.rlim_cur = (rlim_t)limit->soft, .rlim_max = (rlim_t)limit->hard};

	if (setrlimit((int)limit->resource, &r) == 0)
		return 0;
	return child_fault(f, STEP_LIMITS, "ulimits: set limit number %u to %llu (hard %llu)", limit->resource,
	        (unsigned long long)limit->soft, (unsigned long long)limit->hard);
}

int rights_limits(const struct launch *l, struct child_fault *f)
{
	char text[16];

	/* The agent may be protected from the OOM killer; its tasks are not, unless they ask. Lowering may be forbidden:
	 * then it was not protected. */
	snprintf(text, sizeof(text), "%d", l->oom_score_adj);
	if (kernel_file_write("/proc/self/oom_score_adj", text) < 0 && l->oom_score_adj)
		return child_fault(f, STEP_LIMITS, "oom_score_adj: set it to %d", l->oom_score_adj);
	if (l->nice && setpriority(PRIO_PROCESS, 0, l->nice) < 0)
		return child_fault(f, STEP_LIMITS, "x-starling.process.nice: set it to %d", l->nice);
	if (l->io_class != LAUNCH_IO_NONE && syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0,
	                                             l->io_class << IOPRIO_CLASS_SHIFT | l->io_priority) < 0)
		return child_fault(f, STEP_LIMITS, "x-starling.process.io: set class %u", l->io_class);
	for (size_t i = 0; i < l->n_limits; i++)
		if (set_limit(&l->limits[i], f) < 0)
			return -1;
	return 0;
}

int rights_before_user(const struct launch *l, struct child_fault *f)
{
	if (!l->set_caps)
		return 0;
	for (int c = 0; c < CAPS_MAX; c++)
		if (!(l->caps >> c & 1) && prctl(PR_CAPBSET_READ, c, 0, 0, 0) == 1 &&
		        prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0)
			return child_fault(f, STEP_CAPS, "cap_drop: drop capability number %d", c);
	if (l->caps && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return child_fault(f, STEP_CAPS, "cap_add: keep capabilities");
	return 0;
}

int rights_after_user(const struct launch *l, struct child_fault *f)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (!l->set_caps)
		return 0;
	for (int i = 0; i < 2; i++) {
		uint32_t half = (uint32_t)(l->caps >> 32 * i);

		data[i].effective = data[i].permitted = data[i].inheritable = half;
	}
	if (syscall(SYS_capset, &header, data) < 0)
		return child_fault(f, STEP_CAPS, "cap_add: set capabilities %llx", (unsigned long long)l->caps);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	/* Root gets its own by exec; anybody else only what is ambient. */
	for (int c = 0; c < CAPS_MAX && geteuid() != 0; c++)
		if (l->caps >> c & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, c, 0, 0) < 0)
			return child_fault(f, STEP_CAPS, "cap_add: raise capability number %d", c);
	return 0;
}
