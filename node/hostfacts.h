/* What this host has: processor, memory, architecture. An edge: asks the kernel. */
#ifndef NODE_HOSTFACTS_H
#define NODE_HOSTFACTS_H

#include "placement/facts.h"

/* Fills arch, os (static texts), cpu_milli and memory, both as far as this process may use them (affinity, cgroup). */
void hostfacts_fill(struct facts *f);
/* "amd64" for x86_64, "arm64" for aarch64 ...: the names that Docker and Go use. */
const char *hostfacts_arch(const char *machine);

#endif
