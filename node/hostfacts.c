#include "node/hostfacts.h"

#include "node/hostlimits.h"
#include "node/runtime/cgroup.h"

#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <uv.h>

const char *hostfacts_arch(const char *machine)
{
	static const struct {
		const char *machine, *arch;
	} names[] = {
	        {"x86_64", "amd64"},
	        {"aarch64", "arm64"},
	        {"armv7l", "arm"},
	        {"armv6l", "arm"},
	        {"i686", "386"},
	        {"i386", "386"},
	        {"riscv64", "riscv64"},
	        {"ppc64le", "ppc64le"},
	        {"s390x", "s390x"},
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(names[i].machine, machine))
			return names[i].arch;
	return "unknown";
}

static uint64_t usable_cpus(void)
{
	cpu_set_t cpus;
	long online;

	/* The scheduler's mask, which cpusets narrow. A host with more cores than the set has room for gives an error. */
	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		return (uint64_t)MAX(CPU_COUNT(&cpus), 1);
	online = sysconf(_SC_NPROCESSORS_ONLN);
	return online > 0 ? (uint64_t)online : 1;
}

void hostfacts_fill(struct facts *f)
{
	struct host_limits limits = {.cpu_milli = usable_cpus() * 1000, .memory = uv_get_total_memory()};
	struct utsname u;

	hostlimits_apply(&limits, "/proc/self/cgroup", CGROUP_ROOT);
	f->os = "linux";
	f->arch = uname(&u) == 0 ? hostfacts_arch(u.machine) : "unknown";
	f->cpu_milli = limits.cpu_milli;
	f->memory = limits.memory;
}

struct host_reserve hostfacts_reserve(const struct facts *f, uint64_t cpu_milli, uint64_t memory)
{
	struct host_reserve r = {.cpu_milli = cpu_milli, .memory = memory};

	if (cpu_milli == RESERVE_UNSET)
		r.cpu_milli = MIN((uint64_t)RESERVE_CPU_MILLI, f->cpu_milli / 2);
	if (memory == RESERVE_UNSET) {
		r.memory = f->memory / 100 * RESERVE_MEMORY_PERCENT;
		r.memory = MIN(MAX(r.memory, RESERVE_MEMORY_MIN), RESERVE_MEMORY_MAX);
		r.memory = MIN(r.memory, f->memory / 2);
	}
	r.cpu_milli = MIN(r.cpu_milli, f->cpu_milli);
	r.memory = MIN(r.memory, f->memory);
	return r;
}
