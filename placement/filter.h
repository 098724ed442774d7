/*
 * May this peer take this slot? Static filters ask what a peer is, dynamic ones what it has left. The first that
 * fails gives the reason; docs/placement.md lists them by number.
 */
#ifndef PLACEMENT_FILTER_H
#define PLACEMENT_FILTER_H

#include "placement/place.h"

/* What a service that requests nothing is felt to take when peers are compared (never when room is counted): a small
 * service, so that such services spread over peers by their sizes. */
#define FELT_CPU_MILLI 100
#define FELT_MEMORY    (64LL << 20)

static inline uint64_t felt_cpu(const struct spec_resources *r)
{
	return r->cpu_milli ? r->cpu_milli : FELT_CPU_MILLI;
}

static inline uint64_t felt_memory(const struct spec_resources *r)
{
	return r->memory ? r->memory : FELT_MEMORY;
}

static inline uint64_t room_left(uint64_t capacity, uint64_t used)
{
	return used < capacity ? capacity - used : 0;
}

/* Taken of one kind of device. */
struct load_generic {
	const char *kind;
	uint64_t used;
};

/* What a peer's slots take together. Zero is empty; lists are in the arena given to load_add. */
struct load {
	uint64_t cpu_milli;
	uint64_t memory;
	uint64_t felt_cpu_milli;
	uint64_t felt_memory;
	size_t n_ports;
	size_t cap_ports;
	uint32_t *ports; /* protocol << 16 | host port */
	size_t n_generic;
	size_t cap_generic;
	struct load_generic *generic;
};

void load_add(struct load *l, const struct service *s, struct arena *arena);
/* Takes off what load_add put on. */
void load_sub(struct load *l, const struct service *s);
/* More than the peer has, of cpu, memory or a device. */
bool load_exceeds(const struct load *l, const struct facts *f);

/* Which of the service's volumes live anywhere, one bit each: they pin it to the peers that have them. A peer that is
 * dead may come back with its volumes; one that has left does not. */
uint32_t filter_pinned(const struct view *view, const struct spec *spec, const struct service *s);

/* What a peer is: REASON_OK, or one of REASON_NOT_ALIVE to REASON_CAPACITY, REASON_VOLUME, REASON_DEVICE; for every peer
 * REASON_POWER or REASON_VOTERS. pinned: filter_pinned(). */
enum place_reason filter_static(const struct view *view, const struct view_stack *stack, const struct service *s,
        uint32_t pinned, size_t member);
/* Why a slot that runs there must go: REASON_DRAINING, or what the peer is no longer permits it (features, driver,
 * constraints, volumes, devices). A peer that is suspect, not ready or unknown keeps what it runs: REASON_OK. */
enum place_reason filter_lost(const struct view *view, const struct view_stack *stack, const struct service *s,
        uint32_t pinned, size_t member);
/* What a peer has left: REASON_OK, REASON_ROOM, REASON_DEVICE_BUSY, REASON_PORT or REASON_PER_NODE. same: replicas of
 * the service on that peer now. */
enum place_reason filter_dynamic(
        const struct facts *f, const struct load *load, const struct service *s, uint32_t same);
/* The value of node.labels.NAME, engine.labels.NAME or node.hostname; NULL: it has none. */
const char *member_attr(const struct view_member *m, const char *attr);
/* How much the peer is what the service wishes: the sum of the weights of the wishes that hold. */
int32_t filter_wishes(const struct view_member *m, const struct service *s);
/* Does one constraint hold for a peer whose facts are known? */
bool constraint_holds(const struct view_member *m, const struct spec_constraint *c);

#endif
