/*
 * What a zone snapshot looks like inside, for the files of dns/ only. One block of memory, never written after it
 * was made:
 *
 *	struct zone | table | nodes | sets | reverse | data | names
 *
 * A name is kept without the apex and the root ("\3web\5hello"), lower-cased. table is open addressing over nodes.
 * Every name that has something below it is a node too, with no sets: a name that is not in the table has nothing
 * below it either (RFC 8020). Names of different meaning may share data ("tasks.web" and "web").
 */
#ifndef DNS_SNAPSHOT_H
#define DNS_SNAPSHOT_H

#include "dns/name.h"
#include "dns/zone.h"

#include <stdatomic.h>

#define ZONE_NO_NODE UINT32_MAX

struct zone_node {
	uint32_t hash;
	uint32_t name_at; /* in names */
	uint32_t sets_at; /* index of the first in sets */
	uint32_t n_slots; /* of a replicated service: slots 0 to n_slots - 1 exist without a node of their own */
	uint8_t name_len;
	uint8_t n_sets;
	uint16_t zero; /* no padding: snapshots are compared bytewise */
};

/* Records of one type at one name. Item in data: A 4 bytes, AAAA 16 bytes, SRV struct zone_srv, NS struct
 * zone_target, TXT one string with its length before it, SOA nothing (made from the apex and the serial). */
struct zone_set {
	uint16_t type;
	uint16_t zero;
	uint32_t n;  /* items */
	uint32_t at; /* in data, a multiple of 4 */
};

struct zone_srv {
	uint32_t target; /* index of a node */
	uint16_t port;
	uint16_t zero;
};

/* One name of an address that we hold; sorted by address, then node. */
struct zone_reverse {
	uint8_t ip[16];
	uint32_t family; /* 4 or 6 */
	uint32_t node;
};

struct zone {
	atomic_uint refs;
	uint32_t serial;
	struct dns_name apex;
	uint32_t ns;      /* node that the apex' NS record names */
	uint32_t n_table; /* slots, a power of two */
	uint32_t n_nodes;
	uint32_t n_sets;
	uint32_t n_reverse;
	uint32_t data_len;
	uint32_t names_len;
	uint32_t omitted;
	size_t body_len;               /* bytes behind this struct */
	const uint32_t *table;         /* index of a node + 1; 0: free */
	const struct zone_node *nodes; /* the first is the apex */
	const struct zone_set *sets;
	const struct zone_reverse *reverse;
	const uint8_t *data;
	const uint8_t *names;
	max_align_t body[];
};

uint32_t zone_name_hash(const uint8_t *rel, size_t len);

enum zone_found {
	ZONE_OUTSIDE,   /* not below the apex */
	ZONE_NAME_NONE, /* nothing of that name, and nothing below it */
	ZONE_NAME_BARE, /* exists without a node: a slot that nothing serves now, and its ports */
	ZONE_NAME_NODE,
};

/* node is set for ZONE_NAME_NODE; *rel_len gets the bytes of name before the apex unless outside. */
enum zone_found zone_find(
        const struct zone *z, const struct dns_name *name, const struct zone_node **node, size_t *rel_len);

const struct zone_set *zone_set_of(const struct zone *z, const struct zone_node *node, uint16_t type);

/* The names of an address: *n of them from the pointer returned on, 0 when it is not ours. */
const struct zone_reverse *zone_find_reverse(const struct zone *z, const struct addr *ip, size_t *n);

#endif
