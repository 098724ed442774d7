#include "node/hostfacts.h"

#include <sched.h>
#include <sys/utsname.h>
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

void hostfacts_fill(struct facts *f)
{
	uint64_t limit = uv_get_constrained_memory();
	struct utsname u;
	cpu_set_t cpus;

	f->os = "linux";
	f->arch = uname(&u) == 0 ? hostfacts_arch(u.machine) : "unknown";
	f->cpu_milli = 1000;
	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		f->cpu_milli = (uint64_t)CPU_COUNT(&cpus) * 1000;
	f->memory = uv_get_total_memory();
	/* libuv gives 0 or a huge number where there is no limit. */
	if (limit && limit < f->memory)
		f->memory = limit;
}
