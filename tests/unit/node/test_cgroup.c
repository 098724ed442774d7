/* Control groups on trees that are plain folders: what is written where. test_runtime.c has the kernel's own. */
#include "tests/unit/unit.h"

#include "node/runtime/cgroup.h"
#include "node/runtime/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define TASK "00000000000000aa"

struct tree {
	char root[64];
	struct cgroups c;
	struct arena arena;
	struct launch launch;
};

static void put(struct tree *t, const char *path, const char *text)
{
	char full[256];
	int fd;

	snprintf(full, sizeof(full), "%s/%s", t->root, path);
	for (char *p = full + strlen(t->root) + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = '\0';
		mkdir(full, 0755);
	}
	fd = open(full, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static const char *get(struct tree *t, const char *path)
{
	char full[256];
	size_t len;

	snprintf(full, sizeof(full), "%s/%s", t->root, path);
	return (const char *)file_read(AT_FDCWD, full, 4096, &t->arena, &len, NULL);
}

static int setup(void **state)
{
	struct tree *t = xcalloc(1, sizeof(*t));

	strcpy(t->root, "/tmp/starling-cgroup-XXXXXX");
	assert_non_null(mkdtemp(t->root));
	arena_init(&t->arena);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct tree *t = *state;

	assert_int_equal(folder_remove(AT_FDCWD, t->root, NULL), 0);
	arena_free(&t->arena);
	free(t);
	return 0;
}

static void make_v2(struct tree *t)
{
	put(t, "cgroup.controllers", "cpuset cpu io memory pids\n");
	put(t, "cgroup.subtree_control", "");
	put(t, "starling/cgroup.subtree_control", "");
	put(t, "starling/" TASK "/cpu.max", "");
	put(t, "starling/" TASK "/memory.max", "");
	put(t, "starling/" TASK "/pids.max", "");
	cgroup_detect(&t->c, t->root, true);
}

static const struct spec_resources limit = {.cpu_milli = 1500, .memory = 64 << 20, .pids = 30};

static void version_2_has_one_folder_with_all_limits(void **state)
{
	struct tree *t = *state;
	char dir[128];

	make_v2(t);
	assert_int_equal(t->c.version, 2);
	assert_true(t->c.cpu && t->c.memory && t->c.pids);
	assert_string_equal(t->c.why, "");
	assert_string_equal(get(t, "starling/cgroup.subtree_control"), "+pids");
	assert_int_equal(cgroup_make(&t->c, TASK, &limit, &t->arena, &t->launch, NULL), 0);
	assert_string_equal(get(t, "starling/" TASK "/cpu.max"), "150000 100000");
	assert_string_equal(get(t, "starling/" TASK "/memory.max"), "67108864");
	assert_string_equal(get(t, "starling/" TASK "/pids.max"), "30");
	snprintf(dir, sizeof(dir), "%s/starling/" TASK, t->root);
	assert_int_equal(t->launch.n_cgroups, 1);
	assert_string_equal(t->launch.cgroups[0], dir);
	strcat(dir, "/memory.events");
	assert_string_equal(t->launch.oom_file, dir);
}

static void version_1_has_a_folder_per_controller_that_is_needed(void **state)
{
	struct tree *t = *state;
	struct spec_resources memory_only = {.memory = 1 << 20};

	put(t, "pids/cgroup.procs", "");
	put(t, "memory/cgroup.procs", "");
	put(t, "cpu/cgroup.procs", "");
	cgroup_detect(&t->c, t->root, true);
	assert_int_equal(t->c.version, 1);
	put(t, "pids/starling/" TASK "/pids.max", "");
	put(t, "memory/starling/" TASK "/memory.limit_in_bytes", "");
	put(t, "cpu/starling/" TASK "/cpu.cfs_period_us", "");
	put(t, "cpu/starling/" TASK "/cpu.cfs_quota_us", "");
	assert_int_equal(cgroup_make(&t->c, TASK, &memory_only, &t->arena, &t->launch, NULL), 0);
	assert_int_equal(t->launch.n_cgroups, 2);
	assert_non_null(strstr(t->launch.cgroups[0], "/pids/starling/" TASK));
	assert_non_null(strstr(t->launch.cgroups[1], "/memory/starling/" TASK));
	assert_non_null(strstr(t->launch.oom_file, "/memory.oom_control"));
	assert_string_equal(get(t, "cpu/starling/" TASK "/cpu.cfs_quota_us"), "");
	t->launch = (struct launch){0};
	assert_int_equal(cgroup_make(&t->c, TASK, &limit, &t->arena, &t->launch, NULL), 0);
	assert_int_equal(t->launch.n_cgroups, 3);
	assert_string_equal(get(t, "cpu/starling/" TASK "/cpu.cfs_quota_us"), "150000");
	assert_string_equal(get(t, "memory/starling/" TASK "/memory.limit_in_bytes"), "67108864");
}

static void a_controller_that_is_not_offered_refuses_its_limit_only(void **state)
{
	struct tree *t = *state;
	struct spec_resources cpu = {.cpu_milli = 100}, none = {0};
	struct err err = {0};

	put(t, "cgroup.controllers", "memory pids\n");
	put(t, "cgroup.subtree_control", "");
	put(t, "starling/cgroup.subtree_control", "");
	cgroup_detect(&t->c, t->root, true);
	assert_false(t->c.cpu);
	assert_true(t->c.memory);
	assert_int_equal(cgroup_accept(&t->c, &none, &err), 0);
	assert_int_equal(cgroup_accept(&t->c, &cpu, &err), -1);
	assert_non_null(strstr(err.text, "the limit of cpus cannot be kept on this host"));
	assert_non_null(strstr(err.text, "deploy.resources.limits.cpus"));
}

static void without_root_or_a_tree_there_are_no_limits(void **state)
{
	struct tree *t = *state;
	struct err err = {0};

	put(t, "cgroup.controllers", "cpu memory pids\n");
	cgroup_detect(&t->c, t->root, false);
	assert_int_equal(t->c.version, 0);
	assert_int_equal(cgroup_accept(&t->c, &limit, &err), -1);
	assert_non_null(strstr(err.text, "the agent is not root"));
	cgroup_detect(&t->c, "/nonexistent", true);
	assert_int_equal(t->c.version, 0);
	assert_non_null(strstr(t->c.why, "/nonexistent"));
	assert_int_equal(cgroup_make(&t->c, TASK, &(struct spec_resources){0}, &t->arena, &t->launch, NULL), 0);
	assert_int_equal(t->launch.n_cgroups, 0);
}

static void a_tiny_share_of_cpu_is_raised_to_what_the_kernel_takes(void **state)
{
	struct tree *t = *state;
	struct spec_resources tiny = {.cpu_milli = 1};

	make_v2(t);
	assert_int_equal(cgroup_make(&t->c, TASK, &tiny, &t->arena, &t->launch, NULL), 0);
	assert_string_equal(get(t, "starling/" TASK "/cpu.max"), "1000 100000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(version_2_has_one_folder_with_all_limits, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                version_1_has_a_folder_per_controller_that_is_needed, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                a_controller_that_is_not_offered_refuses_its_limit_only, setup, teardown),
	        cmocka_unit_test_setup_teardown(without_root_or_a_tree_there_are_no_limits, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                a_tiny_share_of_cpu_is_raised_to_what_the_kernel_takes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
