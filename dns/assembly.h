/* Grows the parts of a zone - names, record sets, their data - and packs them into one snapshot. */
#ifndef DNS_ASSEMBLY_H
#define DNS_ASSEMBLY_H

#include "dns/snapshot.h"

struct assembly {
	struct dns_name apex;
	uint32_t *table;
	uint32_t n_table;
	struct zone_node *nodes;
	uint32_t n_nodes, cap_nodes;
	struct zone_set *sets;
	uint32_t n_sets, cap_sets;
	struct zone_reverse *reverse;
	uint32_t n_reverse, cap_reverse;
	uint8_t *data;
	size_t data_len, data_cap;
	uint8_t *names;
	size_t names_len, names_cap;
	uint32_t omitted;
};

/* The apex becomes node 0. */
void assembly_init(struct assembly *a, const struct dns_name *apex);
void assembly_free(struct assembly *a);

/* The node of a name below the apex (name ends with the root, without the apex), made with everything above it if
 * need be. ZONE_NO_NODE, and counted as omitted, when it is too long together with the apex. */
uint32_t assembly_name(struct assembly *a, const struct dns_name *name);

/* Appends items (size bytes each) and returns the offset, for one or several sets. */
uint32_t assembly_data(struct assembly *a, const void *items, size_t n, size_t size);

/* All sets of one name at once. A name that already has some keeps them and the new ones are counted as omitted:
 * it takes two things of one name, which the checks of specs and the reserved names rule out. */
void assembly_sets(struct assembly *a, uint32_t node, const struct zone_set *sets, size_t n);

void assembly_reverse(struct assembly *a, const struct addr *ip, uint32_t node);

/* The snapshot, with one reference. Frees the assembly. */
struct zone *assembly_finish(struct assembly *a, uint32_t ns, uint32_t serial);

#endif
