#include "node/hostlimits.h"

#include "base/text.h"
#include "node/runtime/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Bytes of /proc/self/cgroup, and of one control file. */
#define GROUPS_BYTES_MAX  65536
#define CONTROL_BYTES_MAX 256
/* A path of a group; the kernel's own bound. */
#define GROUP_PATH_MAX 4096
/* Version 1's "no limit" is the largest page-aligned number, version 2's the word "max". */
#define V1_NO_LIMIT (1ULL << 62)

/* One control file's words, at most two, into a buffer. False: no such file. */
static bool read_words(const char *dir, const char *file, char words[2][32])
{
	char path[GROUP_PATH_MAX + 64];
	struct arena arena;
	const char *text;
	size_t len;

	words[0][0] = words[1][0] = '\0';
	snprintf(path, sizeof(path), "%s/%s", dir, file);
	arena_init(&arena);
	text = (const char *)file_read(AT_FDCWD, path, CONTROL_BYTES_MAX, &arena, &len, NULL);
	if (text)
		sscanf(text, "%31s %31s", words[0], words[1]);
	arena_free(&arena);
	return text && words[0][0];
}

static bool read_number(const char *dir, const char *file, uint64_t *out)
{
	char words[2][32];

	return read_words(dir, file, words) && text_u64(words[0], 0, INT64_MAX, out);
}

static void lower(uint64_t *limit, uint64_t to)
{
	*limit = MIN(*limit, to);
}

static void apply_v2(struct host_limits *l, const char *dir)
{
	uint64_t quota, period, bytes;
	char words[2][32];

	if (read_words(dir, "cpu.max", words) && text_u64(words[0], 0, INT64_MAX / 1000, &quota) &&
	        text_u64(words[1], 1, INT64_MAX, &period))
		lower(&l->cpu_milli, quota * 1000 / period);
	if (read_number(dir, "memory.max", &bytes))
		lower(&l->memory, bytes);
	if (read_number(dir, "memory.high", &bytes))
		lower(&l->memory, bytes);
}

static void apply_v1_cpu(struct host_limits *l, const char *dir)
{
	uint64_t quota, period;

	/* A quota of -1 is no number here: no limit. */
	if (read_number(dir, "cpu.cfs_quota_us", &quota) && read_number(dir, "cpu.cfs_period_us", &period) &&
	        period && quota <= INT64_MAX / 1000)
		lower(&l->cpu_milli, quota * 1000 / period);
}

static void apply_v1_memory(struct host_limits *l, const char *dir)
{
	uint64_t bytes;

	if (read_number(dir, "memory.limit_in_bytes", &bytes) && bytes < V1_NO_LIMIT)
		lower(&l->memory, bytes);
}

typedef void apply_group(struct host_limits *, const char *dir);

/* The group below mount, and each above it up to the mount itself. */
static void walk_up(struct host_limits *l, const char *mount, const char *group, apply_group *apply)
{
	char dir[GROUP_PATH_MAX];
	size_t base = strlen(mount);

	if ((size_t)snprintf(dir, sizeof(dir), "%s%s", mount, group) >= sizeof(dir))
		return;
	for (;;) {
		char *slash;

		apply(l, dir);
		slash = strrchr(dir + base, '/');
		if (!slash)
			return;
		*slash = '\0';
	}
}

static bool has_controller(const char *list, size_t len, const char *controller)
{
	size_t want = strlen(controller);

	for (const char *p = list; p < list + len; p += strcspn(p, ",:") + 1)
		if (strncmp(p, controller, want) == 0 && (p[want] == ',' || p[want] == ':'))
			return true;
	return false;
}

/* "4:memory:/path", or "0::/path" for version 2. */
static void apply_line(struct host_limits *l, const char *line, const char *root)
{
	const char *list = strchr(line, ':');
	const char *group = list ? strchr(list + 1, ':') : NULL;
	char mount[512];

	if (!group)
		return;
	list++;
	if (list == group) {
		snprintf(mount, sizeof(mount), "%s/cgroup.controllers", root);
		snprintf(mount, sizeof(mount), "%s%s", root, access(mount, F_OK) == 0 ? "" : "/unified");
		walk_up(l, mount, group + 1, apply_v2);
		return;
	}
	if (has_controller(list, (size_t)(group - list), "cpu")) {
		snprintf(mount, sizeof(mount), "%s/cpu", root);
		walk_up(l, mount, group + 1, apply_v1_cpu);
	}
	if (has_controller(list, (size_t)(group - list), "memory")) {
		snprintf(mount, sizeof(mount), "%s/memory", root);
		walk_up(l, mount, group + 1, apply_v1_memory);
	}
}

void hostlimits_apply(struct host_limits *l, const char *groups, const char *root)
{
	struct arena arena;
	char *text, *save = NULL;
	size_t len;

	arena_init(&arena);
	text = (char *)file_read(AT_FDCWD, groups, GROUPS_BYTES_MAX, &arena, &len, NULL);
	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save))
		apply_line(l, line, root);
	arena_free(&arena);
}
