/*
 * The zone as one immutable snapshot: built from services and endpoints, then only read, by any thread
 * (DESIGN section 10). Names below the zone's apex:
 *
 *	SERVICE.STACK               A, AAAA of serving endpoints; TXT "revision=..."
 *	_PORT._PROTO.SERVICE.STACK  SRV
 *	SLOT.SERVICE.STACK          one slot
 *	tasks.SERVICE.STACK         all endpoints
 *	nearest.SERVICE.STACK       same peer, else same zone label, else all
 *	PEER.node                   a peer's addresses
 */
#ifndef DNS_ZONE_H
#define DNS_ZONE_H

#include "base/addr.h"
#include "base/err.h"

#define ZONE_DEFAULT "starling.internal."
#define DNS_TTL_S    1 /* seconds; how stale an answer may be */

struct zone; /* snapshot; reference counted, atomically */
struct zone_builder;

struct zone_port {
	const char *name;  /* "http" or "8080" */
	const char *proto; /* "tcp", "udp" */
	uint16_t target;
	uint16_t port; /* host port where it answers */
};

struct zone_endpoint {
	struct addr addr;
	uint32_t slot;
	uint64_t peer;          /* id */
	const char *peer_name;  /* SRV targets are SLOT.SERVICE.STACK or the peer's name for global services */
	const char *zone_label; /* node label `zone`, or NULL */
	size_t n_ports;
	const struct zone_port *ports;
};

struct zone_builder *zone_builder_new(const char *apex, const char *self_peer_name, uint64_t self_peer,
        const char *self_zone_label, const struct addr *ns_addr, uint32_t serial);
/* Say that a service exists, serving or not: names without a serving endpoint answer NODATA, never NXDOMAIN.
 * ports: the service's declared ports, so that their SRV names exist too. */
void zone_add_service(struct zone_builder *b, const char *stack, const char *service, const char *revision,
        uint32_t n_slots, bool global, const struct zone_port *ports, size_t n_ports);
void zone_add_endpoint(
        struct zone_builder *b, const char *stack, const char *service, const struct zone_endpoint *e);
void zone_add_peer(struct zone_builder *b, const char *name, const struct addr *addrs, size_t n);
/* Frees the builder. Endpoints are sorted: equal input in any order gives equal answers. */
struct zone *zone_build(struct zone_builder *b);
struct zone *zone_ref(struct zone *z);
void zone_unref(struct zone *z);
bool zone_equal(const struct zone *a, const struct zone *b); /* apart from the serial */
uint32_t zone_serial(const struct zone *z);

#endif
