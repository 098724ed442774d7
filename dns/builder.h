/* What a zone is built from and how, for builder.c, scope.c and zone.c only. */
#ifndef DNS_BUILDER_H
#define DNS_BUILDER_H

#include "base/arena.h"
#include "dns/assembly.h"
#include "dns/zone.h"

#include <strings.h>

/* A port as labels: "_http", "_8080" (NULL where there is only one of them), "_tcp". */
struct port {
	const char *names[2];
	const char *proto;
	uint16_t number; /* where it answers */
};

struct service {
	const char *stack;
	const char *name;
	const char *revision;
	uint32_t n_slots;
	bool global;
	const struct port *ports;
	size_t n_ports;
};

struct endpoint {
	const char *stack;
	const char *service;
	struct addr addr;
	uint32_t slot;
	uint64_t peer;
	const char *peer_name;
	const char *zone_label;
	const struct port *ports;
	size_t n_ports;
	uint32_t target; /* node that its SRV records name */
};

/* One address of a peer; a peer without any has one with family 0. */
struct peer_addr {
	const char *name;
	struct addr addr;
};

/* Texts given last, to be used again: thousands of endpoints of a service share one copy, and comparing them is
 * comparing pointers. */
enum recent { RECENT_STACK, RECENT_SERVICE, RECENT_PEER, RECENT_LABEL, RECENT_PROTO, RECENT_PORT, RECENT_NUMBER };

struct zone_builder {
	struct arena arena;
	const char *recent[RECENT_NUMBER + 1];
	struct dns_name apex;
	const char *self_name;
	uint64_t self;
	const char *self_zone_label;
	struct addr ns_addr;
	uint32_t serial;
	struct service *services;
	size_t n_services, cap_services;
	struct endpoint *endpoints;
	size_t n_endpoints, cap_endpoints;
	struct peer_addr *peers;
	size_t n_peers, cap_peers;
	struct assembly out;
};

/* Text order; NULL first. */
static inline int text_cmp(const char *a, const char *b)
{
	if (a == b)
		return 0;
	if (!a || !b)
		return (a != NULL) - (b != NULL);
	return strcmp(a, b);
}

/* The same as DNS sees it. */
static inline int label_cmp(const char *a, const char *b)
{
	return a == b ? 0 : strcasecmp(a, b);
}

#define NUMBER_CMP(a, b) (((a) > (b)) - ((a) < (b)))

static inline int ip_cmp(const struct addr *a, const struct addr *b)
{
	int c = NUMBER_CMP(a->family, b->family);

	return c ? c : memcmp(a->ip, b->ip, sizeof(a->ip));
}

/* PREFIX.name, or no length when that is no name. */
struct dns_name scope_below(const struct dns_name *name, const char *prefix);
/* The node of a name, which is made if need be; ZONE_NO_NODE, and counted, for what is no name. */
uint32_t scope_node(struct zone_builder *b, const struct dns_name *name);
/* The A and AAAA sets of n addresses that lie stride bytes apart. Returns how many sets there are. */
size_t scope_addresses(
        struct assembly *out, const struct addr *first, size_t n, size_t stride, struct zone_set sets[2]);
/* TXT "key=value", cut to the 255 bytes that one string holds. */
struct zone_set scope_txt(struct assembly *out, const char *key, const char *value);
/* Gives the names the addresses and the ports of n endpoints; s NULL: no TXT, no declared ports. */
void scope_add(struct zone_builder *b, const struct dns_name *names, size_t n_names, const struct endpoint *eps,
        size_t n, const struct service *s);

#endif
