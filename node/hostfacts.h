/* What this host has: processor, memory, architecture. An edge: asks the kernel. */
#ifndef NODE_HOSTFACTS_H
#define NODE_HOSTFACTS_H

#include "placement/facts.h"

/* What is kept back for the host and the agent: no task is given it. */
struct host_reserve {
	uint64_t cpu_milli;
	uint64_t memory;
};

/* Of a core: the agent takes some thousandths, sshd, journald and the kernel's threads the rest when it matters. */
#define RESERVE_CPU_MILLI 100
/* Of the memory 5%, since page cache and kernel grow with the host; never less than a small system with its agent needs,
 * and on a large host not more than it can use. */
#define RESERVE_MEMORY_PERCENT 5
#define RESERVE_MEMORY_MIN     (64ULL << 20)
#define RESERVE_MEMORY_MAX     (1ULL << 30)

/* Fills arch, os (static texts), cpu_milli and memory, both as far as this process may use them: affinity and cpusets, and the
 * limits of the control groups around it. */
void hostfacts_fill(struct facts *f);
/* The reserve of a host that has so much: as asked for (RESERVE_UNSET: the default), and never all of it unless asked for. */
#define RESERVE_UNSET UINT64_MAX
struct host_reserve hostfacts_reserve(const struct facts *f, uint64_t cpu_milli, uint64_t memory);
/* "amd64" for x86_64, "arm64" for aarch64 ...: the names that Docker and Go use. */
const char *hostfacts_arch(const char *machine);

#endif
