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

/* Sets of protocols: bits 1 << enum spec_proto. */
#define PORTS_TCP (1u << PROTO_TCP)
#define PORTS_UDP (1u << PROTO_UDP)

void ports_init(struct ports *p, uint16_t first, uint16_t last);
/* Marks a port as a task's, as when it is adopted. A port outside the range is nobody's business here. */
void ports_take(struct ports *p, uint16_t port);
void ports_release(struct ports *p, uint16_t port);
bool ports_taken(const struct ports *p, uint16_t port);
/* Can a socket be bound there now? SO_REUSEADDR, so that closed connections do not count. -1 with errno. */
int port_try(const struct addr *address, uint16_t port, enum spec_proto proto);
/* A port of the range that is free for all of these protocols, searched from where seed says, so that agents on one host
 * hardly meet. It must be free on all of the host's addresses, since many programs listen on all. Takes it. 0 when
 * there is none. */
uint16_t ports_find(struct ports *p, unsigned protos, uint64_t seed);
/* May a task keep this dynamic port of its last run? */
bool port_free_everywhere(uint16_t port, unsigned protos);
/* The port that shares its host port with this one: both are chosen freely, have one target and differ in protocol, as
 * DNS on 53. Of several on one target the first TCP one goes with the first UDP one, and so on. n when there is none. */
size_t ports_twin(const struct spec_port *ports, size_t n, size_t index);

#endif
