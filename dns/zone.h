/*
 * The zone as one immutable snapshot: built from services and endpoints, then only read, by any thread
 * (DESIGN section 10). Names below the zone's apex:
 *
 *	SERVICE.STACK               A, AAAA of serving endpoints; TXT "revision=..."
 *	_PORT._PROTO.SERVICE.STACK  SRV; PORT is the port's name or its target number, both work
 *	SLOT.SERVICE.STACK          one slot
 *	PEER.SERVICE.STACK          the task of a global service on that peer
 *	tasks.SERVICE.STACK         all endpoints
 *	nearest.SERVICE.STACK       same peer, else same zone label, else all
 *	PEER.node                   a peer's addresses
 *	ns                          this responder; the apex itself has SOA, NS, and TXT "peer=..." of who answers
 *
 * SRV is also there below SLOT, PEER, tasks and nearest. Every SRV target is a name whose addresses are those of
 * the very task that the port belongs to: while one slot runs on two peers (a handover) the targets are
 * SLOT-PEERID. The addresses of a peer or of a task, asked for backwards (in-addr.arpa, ip6.arpa), answer PTR.
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

/* Longest apex in text: with it the longest names of a service, _PORT._PROTO.SLOT.SERVICE.STACK with labels of 63
 * bytes, would not fit a DNS name anyway; names that are too long are left out, see zone_omitted(). */
#define ZONE_APEX_MAX 100

/* Can it be a zone's apex: "starling.internal." or without the last dot? */
bool zone_apex_ok(const char *apex);

/* Copies what it is given, here and below. apex must be zone_apex_ok(). ns_addr: where this responder answers, the
 * address of "ns"; NULL or family 0: none. self_zone_label may be NULL. */
struct zone_builder *zone_builder_new(const char *apex, const char *self_peer_name, uint64_t self_peer,
        const char *self_zone_label, const struct addr *ns_addr, uint32_t serial);
/* Drops a builder that will not be built. */
void zone_builder_free(struct zone_builder *b);
/* Say that a service exists, serving or not: names without a serving endpoint answer NODATA, never NXDOMAIN.
 * ports: the service's declared ports, so that their SRV names exist too. */
void zone_add_service(struct zone_builder *b, const char *stack, const char *service, const char *revision,
        uint32_t n_slots, bool global, const struct zone_port *ports, size_t n_ports);
void zone_add_endpoint(
        struct zone_builder *b, const char *stack, const char *service, const struct zone_endpoint *e);
/* May be called several times for one name; a peer without addresses still has its name. */
void zone_add_peer(struct zone_builder *b, const char *name, const struct addr *addrs, size_t n);
/* Frees the builder. Endpoints are sorted: equal input in any order gives equal answers. */
struct zone *zone_build(struct zone_builder *b);
struct zone *zone_ref(struct zone *z);
void zone_unref(struct zone *z);
bool zone_equal(const struct zone *a, const struct zone *b); /* apart from the serial */
uint32_t zone_serial(const struct zone *z);
/* How many names were left out because they cannot be said in DNS: longer than 255 bytes together with the apex,
 * not a label, or of two meanings. For the log. */
size_t zone_omitted(const struct zone *z);
/* Memory that the snapshot takes, in bytes. */
size_t zone_bytes(const struct zone *z);

#endif
