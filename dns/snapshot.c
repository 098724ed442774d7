#include "dns/snapshot.h"

#include "base/hash.h"
#include "dns/proto.h"

/* Fixed: names come from signed specs and admitted peers, never from queries, so that whoever could choose
 * colliding ones may already deploy what he likes. In return equal zones are equal bytes on every peer. */
static const uint8_t name_hash_key[16] = "starling names 1";

uint32_t zone_name_hash(const uint8_t *rel, size_t len)
{
	return (uint32_t)siphash(name_hash_key, rel, len);
}

static const struct zone_node *find_node(const struct zone *z, const uint8_t *rel, size_t len)
{
	uint32_t hash = zone_name_hash(rel, len);

	/* At most half of the table is in use: the walk ends at a free slot. */
	for (uint32_t at = hash & (z->n_table - 1); z->table[at]; at = (at + 1) & (z->n_table - 1)) {
		const struct zone_node *n = &z->nodes[z->table[at] - 1];

		if (n->hash == hash && n->name_len == len && memcmp(z->names + n->name_at, rel, len) == 0)
			return n;
	}
	return NULL;
}

/* A slot's number as we write it: decimal, no leading zero. */
static bool slot_number(const uint8_t *label, uint32_t *out)
{
	size_t n = label[0];
	uint32_t v = 0;

	if (n > 9 || (label[1] == '0' && n > 1))
		return false;
	for (size_t i = 1; i <= n; i++) {
		if (label[i] < '0' || label[i] > '9')
			return false;
		v = v * 10 + (uint32_t)(label[i] - '0');
	}
	*out = v;
	return true;
}

/*
 * Slots exist because the spec says so, serving or not, and 10,000 replicas shall not cost 10,000 names: a slot
 * has nodes only while it has an endpoint. [[_PORT.]_PROTO.]SLOT.SERVICE.STACK exists when the service has such a
 * slot and [[_PORT.]_PROTO.]SERVICE.STACK exists.
 */
static bool is_bare_slot(const struct zone *z, const struct dns_name *name, size_t rel_len, size_t rel_labels)
{
	uint8_t of_service[DNS_NAME_MAX];
	const struct zone_node *service;
	uint32_t slot;
	size_t slot_at, service_at;

	if (rel_labels < 3 || rel_labels > 5)
		return false;
	slot_at = name->at[rel_labels - 3];
	service_at = name->at[rel_labels - 2];
	if (!slot_number(name->wire + slot_at, &slot))
		return false;
	service = find_node(z, name->wire + service_at, rel_len - service_at);
	if (!service || slot >= service->n_slots)
		return false;
	memcpy(of_service, name->wire, slot_at);
	memcpy(of_service + slot_at, name->wire + service_at, rel_len - service_at);
	return slot_at == 0 || (name->wire[1] == '_' && find_node(z, of_service, slot_at + rel_len - service_at));
}

enum zone_found zone_find(
        const struct zone *z, const struct dns_name *name, const struct zone_node **node, size_t *rel_len)
{
	size_t rel_labels, rel;

	if (name->n_labels < z->apex.n_labels || name->len < z->apex.len)
		return ZONE_OUTSIDE;
	rel_labels = name->n_labels - z->apex.n_labels;
	rel = name->at[rel_labels];
	if (name->len - rel != z->apex.len || memcmp(name->wire + rel, z->apex.wire, z->apex.len) != 0)
		return ZONE_OUTSIDE;
	*rel_len = rel;
	*node = find_node(z, name->wire, rel);
	if (*node)
		return ZONE_NAME_NODE;
	return is_bare_slot(z, name, rel, rel_labels) ? ZONE_NAME_BARE : ZONE_NAME_NONE;
}

const struct zone_set *zone_set_of(const struct zone *z, const struct zone_node *node, uint16_t type)
{
	for (uint32_t i = 0; i < node->n_sets; i++)
		if (z->sets[node->sets_at + i].type == type)
			return &z->sets[node->sets_at + i];
	return NULL;
}

const struct zone_reverse *zone_find_reverse(const struct zone *z, const struct addr *ip, size_t *n)
{
	uint32_t lo = 0, hi = z->n_reverse, end;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		const struct zone_reverse *r = &z->reverse[mid];
		int c = memcmp(r->ip, ip->ip, sizeof(r->ip));

		if (c < 0 || (c == 0 && r->family < ip->family))
			lo = mid + 1;
		else
			hi = mid;
	}
	for (end = lo; end < z->n_reverse && z->reverse[end].family == ip->family &&
	               memcmp(z->reverse[end].ip, ip->ip, sizeof(ip->ip)) == 0;)
		end++;
	*n = end - lo;
	return z->reverse + lo;
}

struct zone *zone_ref(struct zone *z)
{
	atomic_fetch_add_explicit(&z->refs, 1, memory_order_relaxed);
	return z;
}

void zone_unref(struct zone *z)
{
	/* Release: our reads are done before another thread frees; acquire: theirs are before we free. */
	if (z && atomic_fetch_sub_explicit(&z->refs, 1, memory_order_acq_rel) == 1)
		free(z);
}

bool zone_equal(const struct zone *a, const struct zone *b)
{
	return a->apex.len == b->apex.len && memcmp(a->apex.wire, b->apex.wire, a->apex.len) == 0 &&
	       a->n_nodes == b->n_nodes && a->n_sets == b->n_sets && a->n_reverse == b->n_reverse &&
	       a->body_len == b->body_len && memcmp(a->body, b->body, a->body_len) == 0;
}

uint32_t zone_serial(const struct zone *z)
{
	return z->serial;
}

size_t zone_omitted(const struct zone *z)
{
	return z->omitted;
}

size_t zone_bytes(const struct zone *z)
{
	return sizeof(*z) + z->body_len;
}
