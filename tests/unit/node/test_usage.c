/* What tasks use, from folders that look like /proc and /sys/fs/cgroup. */
#include "tests/unit/unit.h"

#include "node/runtime/files.h"
#include "node/runtime/usage.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64], proc[80], cgroup[80];

static int setup(void **state)
{
	(void)state;
	strcpy(root, "/tmp/starling-usage-XXXXXX");
	assert_non_null(mkdtemp(root));
	snprintf(proc, sizeof(proc), "%s/proc", root);
	snprintf(cgroup, sizeof(cgroup), "%s/cgroup", root);
	mkdir(proc, 0700);
	mkdir(cgroup, 0700);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return folder_remove(AT_FDCWD, root, NULL);
}

/* A file with its folders. */
static void put(const char *text, const char *fmt, ...)
{
	char path[512];
	va_list ap;
	FILE *f;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	for (char *p = path + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0700);
		*p = '/';
	}
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void put_process(int pid, int ppid, unsigned ticks, unsigned pages, const char *cmd)
{
	char text[300];

	snprintf(text, sizeof(text), "%d (a) b) S %d 1 1 0 -1 0 0 0 0 0 %u 0 0 0 20 0 1 0 5 1000 %u 0 0\n", pid,
	        ppid, ticks, pages);
	put(text, "%s/%d/stat", proc, pid);
	put(cmd, "%s/%d/cmdline", proc, pid);
}

static void a_task_is_what_descends_from_its_shim(void **state)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), tick = 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
	struct usage_look l;
	struct usage u;

	(void)state;
	put_process(1, 0, 100, 100, "init");
	put_process(50, 1, 7, 10, "starling");
	/* "starling", NUL, "shim": written by hand, since text ends at a NUL. */
	{
		char path[200];
		int fd;

		snprintf(path, sizeof(path), "%s/50/cmdline", proc);
		fd = open(path, O_WRONLY | O_TRUNC);
		assert_int_equal(write(fd, "starling\0shim\0/x", 16), 16);
		close(fd);
	}
	put_process(51, 50, 20, 3, "web");
	put_process(52, 51, 30, 4, "worker");
	put_process(53, 50, 40, 5, "forked away");
	put_process(60, 1, 999, 999, "stranger");
	usage_look(&l, proc, cgroup);
	u = usage_of(&l, 51);
	assert_int_equal(u.processes, 3);
	assert_int_equal(u.memory, 12 * page);
	assert_int_equal(u.cpu_us, 90 * tick);
	/* Without a shim: it and its own. */
	u = usage_of(&l, 52);
	assert_int_equal(u.processes, 1);
	assert_int_equal(usage_of(&l, 4711).processes, 0);
	usage_free(&l);
}

static void groups_of_its_own_say_it_better(void **state)
{
	struct usage_look l;
	struct usage u;

	(void)state;
	put_process(1, 0, 100, 100, "init");
	put_process(51, 1, 20, 3, "web");
	put_process(getpid(), 1, 20, 3, "agent");
	put("0::/init.scope\n", "%s/%d/cgroup", proc, getpid());
	put("0::/starling/9\n", "%s/51/cgroup", proc);
	put("usage_usec 1234567\nuser_usec 5\n", "%s/starling/9/cpu.stat", cgroup);
	put("900000\n", "%s/starling/9/memory.current", cgroup);
	put("anon 5\ninactive_file 100000\n", "%s/starling/9/memory.stat", cgroup);
	usage_look(&l, proc, cgroup);
	u = usage_of(&l, 51);
	assert_int_equal(u.cpu_us, 1234567);
	assert_int_equal(u.memory, 800000);
	/* Version 1, a tree per controller; one that the agent is in as well says nothing of the task. */
	put("5:cpu,cpuacct:/a\n4:memory:/agent\n0::/\n", "%s/%d/cgroup", proc, getpid());
	put("5:cpu,cpuacct:/starling/9\n4:memory:/agent\n0::/\n", "%s/51/cgroup", proc);
	put("5000000\n", "%s/cpuacct/starling/9/cpuacct.usage", cgroup);
	put("77\n", "%s/memory/agent/memory.usage_in_bytes", cgroup);
	u = usage_of(&l, 51);
	assert_int_equal(u.cpu_us, 5000);
	assert_int_equal(u.memory, 3 * (uint64_t)sysconf(_SC_PAGESIZE));
	usage_free(&l);
}

static void a_host_is_summed_up(void **state)
{
	uint64_t tick = 1000000 / (uint64_t)sysconf(_SC_CLK_TCK), total;
	struct usage_look l;
	struct usage u;

	(void)state;
	put("cpu  10 20 30 999 999 1 2 3 0 0\ncpu0 1\n", "%s/stat", proc);
	put("MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:    400 kB\n", "%s/meminfo", proc);
	usage_look(&l, proc, cgroup);
	usage_host(&l, &u, &total);
	assert_int_equal(u.cpu_us, 63 * tick);
	assert_int_equal(total, 1000 * 1024);
	assert_int_equal(u.memory, 600 * 1024);
	usage_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test_setup_teardown(a_task_is_what_descends_from_its_shim, setup, teardown),
	        cmocka_unit_test_setup_teardown(groups_of_its_own_say_it_better, setup, teardown),
	        cmocka_unit_test_setup_teardown(a_host_is_summed_up, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
