/* Host ports of tasks: free ones are found by trying to bind them. */
#ifndef NODE_RUNTIME_PORTS_H
#define NODE_RUNTIME_PORTS_H

#include "base/addr.h"
#include "placement/spec/spec.h"

/* Which of the dynamic range this agent has given to its tasks; one map for both protocols keeps it simple. */
struct ports {
	uint16_t first, last;
	uint8_t taken[8192];
};

void ports_init(struct ports *p, uint16_t first, uint16_t last);
/* Marks a port as a task's, as when it is adopted. A port outside the range is nobody's business here. */
void ports_take(struct ports *p, uint16_t port);
void ports_release(struct ports *p, uint16_t port);
bool ports_taken(const struct ports *p, uint16_t port);
/* Can a socket be bound there now? SO_REUSEADDR, so that closed connections do not count. -1 with errno. */
int port_try(const struct addr *address, uint16_t port, enum spec_proto proto);
/* A free port of the range, searched from where seed says, so that agents on one host hardly meet. It must be free on
 * all of the host's addresses, since many programs listen on all. Takes it. 0 when there is none. */
uint16_t ports_find(struct ports *p, enum spec_proto proto, uint64_t seed);
/* May a task keep this dynamic port of its last run? */
bool port_free_everywhere(uint16_t port, enum spec_proto proto);

#endif
