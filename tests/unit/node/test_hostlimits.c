/* What control groups leave of a host, on trees that are plain folders; and what is kept back of that. */
#include "tests/unit/unit.h"

#include "node/hostfacts.h"
#include "node/hostlimits.h"
#include "node/runtime/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define GIB (1ULL << 30)

struct tree {
	char root[64];
	char groups[96];
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

static int setup(void **state)
{
	struct tree *t = xcalloc(1, sizeof(*t));

	strcpy(t->root, "/tmp/starling-limits-XXXXXX");
	assert_non_null(mkdtemp(t->root));
	snprintf(t->groups, sizeof(t->groups), "%s/groups", t->root);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct tree *t = *state;

	assert_int_equal(folder_remove(AT_FDCWD, t->root, NULL), 0);
	free(t);
	return 0;
}

/* A host of 8 cores and 16 GiB. */
static struct host_limits limits_of(struct tree *t)
{
	struct host_limits l = {.cpu_milli = 8000, .memory = 16 * GIB};

	hostlimits_apply(&l, t->groups, t->root);
	return l;
}

static void expect(struct tree *t, uint64_t cpu_milli, uint64_t memory)
{
	struct host_limits l = limits_of(t);

	assert_int_equal(l.cpu_milli, cpu_milli);
	assert_int_equal(l.memory, memory);
}

static void without_groups_the_host_is_what_there_is(void **state)
{
	expect(*state, 8000, 16 * GIB);
}

static void version_2_takes_the_tightest_limit_of_the_whole_path(void **state)
{
	struct tree *t = *state;

	put(t, "groups", "0::/system.slice/starling.service\n");
	put(t, "cgroup.controllers", "cpu memory pids\n");
	put(t, "system.slice/starling.service/cpu.max", "max 100000\n");
	put(t, "system.slice/starling.service/memory.max", "8589934592\n");
	put(t, "system.slice/starling.service/memory.high", "max\n");
	expect(t, 8000, 8 * GIB);
	put(t, "system.slice/cpu.max", "250000 100000\n");
	put(t, "system.slice/memory.max", "4294967296\n");
	expect(t, 2500, 4 * GIB);
	put(t, "system.slice/memory.high", "2147483648\n");
	expect(t, 2500, 2 * GIB);
}

static void in_a_container_the_trees_root_is_its_own_group(void **state)
{
	struct tree *t = *state;

	put(t, "groups", "0::/\n");
	put(t, "cgroup.controllers", "cpu memory\n");
	put(t, "cpu.max", "50000 100000\n");
	put(t, "memory.max", "1073741824\n");
	expect(t, 500, GIB);
}

static void version_1_reads_each_controllers_tree(void **state)
{
	struct tree *t = *state;

	put(t, "groups", "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n");
	put(t, "cpu/docker/abc/cpu.cfs_quota_us", "150000\n");
	put(t, "cpu/docker/abc/cpu.cfs_period_us", "100000\n");
	put(t, "cpu/cpu.cfs_quota_us", "-1\n");
	put(t, "cpu/cpu.cfs_period_us", "100000\n");
	put(t, "memory/docker/abc/memory.limit_in_bytes", "9223372036854771712\n");
	put(t, "memory/docker/memory.limit_in_bytes", "3221225472\n");
	expect(t, 1500, 3 * GIB);
}

static void version_1_seen_from_inside_a_container_is_read_at_the_mount(void **state)
{
	struct tree *t = *state;

	put(t, "groups", "4:memory:/docker/abc\n2:cpu:/docker/abc\n");
	put(t, "memory/memory.limit_in_bytes", "1073741824\n");
	put(t, "cpu/cpu.cfs_quota_us", "100000\n");
	put(t, "cpu/cpu.cfs_period_us", "50000\n");
	expect(t, 2000, GIB);
}

static void a_hybrid_host_limits_by_version_1_and_has_version_2_beside_it(void **state)
{
	struct tree *t = *state;

	put(t, "groups", "3:cpuset:/\n2:cpu:/jobs\n1:memory:/jobs\n0::/jobs\n");
	put(t, "cpu/jobs/cpu.cfs_quota_us", "400000\n");
	put(t, "cpu/jobs/cpu.cfs_period_us", "100000\n");
	put(t, "memory/jobs/memory.limit_in_bytes", "6442450944\n");
	put(t, "unified/jobs/memory.max", "5368709120\n");
	expect(t, 4000, 5 * GIB);
	/* `cpuset` begins with `cpu` and is another controller. */
	put(t, "groups", "3:cpuset:/jobs\n");
	expect(t, 8000, 16 * GIB);
}

static void nonsense_limits_nothing(void **state)
{
	struct tree *t = *state;

	put(t, "groups", "0::/a\nno colons\n5:memory\n::\n2:cpu:/a\n1:memory:/a\n");
	put(t, "cgroup.controllers", "cpu memory\n");
	put(t, "a/cpu.max", "100000\n");
	put(t, "a/memory.max", "lots\n");
	put(t, "cpu/a/cpu.cfs_quota_us", "100000\n");
	put(t, "cpu/a/cpu.cfs_period_us", "0\n");
	put(t, "memory/a/memory.limit_in_bytes", "\n");
	expect(t, 8000, 16 * GIB);
}

static void the_reserve_is_a_twentieth_of_the_memory_within_bounds(void **state)
{
	struct facts f = {.cpu_milli = 8000, .memory = 10 * GIB};
	struct host_reserve r = hostfacts_reserve(&f, RESERVE_UNSET, RESERVE_UNSET);

	(void)state;
	assert_int_equal(r.cpu_milli, 100);
	assert_int_equal(r.memory, f.memory / 100 * 5);
	f.memory = 512ULL << 20;
	assert_int_equal(hostfacts_reserve(&f, RESERVE_UNSET, RESERVE_UNSET).memory, 64ULL << 20);
	f.memory = 256 * GIB;
	assert_int_equal(hostfacts_reserve(&f, RESERVE_UNSET, RESERVE_UNSET).memory, GIB);
	/* A tiny container keeps half for tasks. */
	f = (struct facts){.cpu_milli = 120, .memory = 64ULL << 20};
	r = hostfacts_reserve(&f, RESERVE_UNSET, RESERVE_UNSET);
	assert_int_equal(r.cpu_milli, 60);
	assert_int_equal(r.memory, 32ULL << 20);
}

static void who_asks_for_a_reserve_gets_that_and_at_most_the_host(void **state)
{
	struct facts f = {.cpu_milli = 4000, .memory = 8 * GIB};
	struct host_reserve r = hostfacts_reserve(&f, 0, 0);

	(void)state;
	assert_int_equal(r.cpu_milli, 0);
	assert_int_equal(r.memory, 0);
	r = hostfacts_reserve(&f, 1500, 2 * GIB);
	assert_int_equal(r.cpu_milli, 1500);
	assert_int_equal(r.memory, 2 * GIB);
	r = hostfacts_reserve(&f, 64000, 64 * GIB);
	assert_int_equal(r.cpu_milli, 4000);
	assert_int_equal(r.memory, 8 * GIB);
}

static void this_host_has_something(void **state)
{
	struct facts f = {0};

	(void)state;
	hostfacts_fill(&f);
	assert_true(f.cpu_milli > 0);
	assert_true(f.memory > 1 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(without_groups_the_host_is_what_there_is, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                version_2_takes_the_tightest_limit_of_the_whole_path, setup, teardown),
	        cmocka_unit_test_setup_teardown(in_a_container_the_trees_root_is_its_own_group, setup, teardown),
	        cmocka_unit_test_setup_teardown(version_1_reads_each_controllers_tree, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                version_1_seen_from_inside_a_container_is_read_at_the_mount, setup, teardown),
	        cmocka_unit_test_setup_teardown(
	                a_hybrid_host_limits_by_version_1_and_has_version_2_beside_it, setup, teardown),
	        cmocka_unit_test_setup_teardown(nonsense_limits_nothing, setup, teardown),
	        cmocka_unit_test(the_reserve_is_a_twentieth_of_the_memory_within_bounds),
	        cmocka_unit_test(who_asks_for_a_reserve_gets_that_and_at_most_the_host),
	        cmocka_unit_test(this_host_has_something),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
