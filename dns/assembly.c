#include "dns/assembly.h"

/* The arrays double; sizes are bounded by what the flock's limits let services and peers declare. */
#define GROW(array, len, cap, more)                                                                              \
	do {                                                                                                     \
		if ((len) + (more) > (cap)) {                                                                    \
			(cap) = MAX((cap)*2, (len) + (more) + 16);                                               \
			(array) = xrealloc((array), (size_t)(cap) * sizeof(*(array)));                           \
		}                                                                                                \
	} while (0)

static uint32_t *slot_of(const struct assembly *a, const uint8_t *rel, size_t len, uint32_t hash)
{
	uint32_t at = hash & (a->n_table - 1);

	for (; a->table[at]; at = (at + 1) & (a->n_table - 1)) {
		const struct zone_node *n = &a->nodes[a->table[at] - 1];

		if (n->hash == hash && n->name_len == len && memcmp(a->names + n->name_at, rel, len) == 0)
			break;
	}
	return &a->table[at];
}

static void rebuild_table(struct assembly *a, uint32_t n_table)
{
	free(a->table);
	a->table = xcalloc(n_table, sizeof(*a->table));
	a->n_table = n_table;
	for (uint32_t i = 0; i < a->n_nodes; i++)
		*slot_of(a, a->names + a->nodes[i].name_at, a->nodes[i].name_len, a->nodes[i].hash) = i + 1;
}

static uint32_t add_node(struct assembly *a, const uint8_t *rel, size_t len, uint32_t hash)
{
	struct zone_node *n;

	/* Never more than half full, so that a miss ends soon. */
	if ((a->n_nodes + 1) * 2 > a->n_table)
		rebuild_table(a, a->n_table * 2);
	GROW(a->nodes, a->n_nodes, a->cap_nodes, 1);
	GROW(a->names, a->names_len, a->names_cap, len);
	n = &a->nodes[a->n_nodes];
	memset(n, 0, sizeof(*n));
	n->hash = hash;
	n->name_at = (uint32_t)a->names_len;
	n->name_len = (uint8_t)len;
	if (len)
		memcpy(a->names + a->names_len, rel, len);
	a->names_len += len;
	*slot_of(a, rel, len, hash) = a->n_nodes + 1;
	return a->n_nodes++;
}

void assembly_init(struct assembly *a, const struct dns_name *apex)
{
	memset(a, 0, sizeof(*a));
	a->apex = *apex;
	rebuild_table(a, 64);
	add_node(a, apex->wire, 0, zone_name_hash(apex->wire, 0));
}

void assembly_free(struct assembly *a)
{
	free(a->table);
	free(a->nodes);
	free(a->sets);
	free(a->reverse);
	free(a->data);
	free(a->names);
	memset(a, 0, sizeof(*a));
}

uint32_t assembly_name(struct assembly *a, const struct dns_name *name)
{
	uint32_t node = ZONE_NO_NODE;

	if (name->len - 1 + a->apex.len > DNS_NAME_MAX) {
		a->omitted++;
		return ZONE_NO_NODE;
	}
	/* From the name itself upwards until something exists: RFC 8020 wants every name in between. */
	for (size_t i = 0; i < name->n_labels; i++) {
		const uint8_t *rel = name->wire + name->at[i];
		size_t len = (size_t)name->len - 1 - name->at[i];
		uint32_t hash = zone_name_hash(rel, len);
		uint32_t found = *slot_of(a, rel, len, hash);
		uint32_t at = found ? found - 1 : add_node(a, rel, len, hash);

		if (node == ZONE_NO_NODE)
			node = at;
		if (found)
			break;
	}
	return node;
}

uint32_t assembly_data(struct assembly *a, const void *items, size_t n, size_t size)
{
	size_t len = n * size;
	size_t padded = (len + 3) & ~(size_t)3;
	uint32_t at = (uint32_t)a->data_len;

	GROW(a->data, a->data_len, a->data_cap, padded);
	if (len)
		memcpy(a->data + at, items, len);
	memset(a->data + at + len, 0, padded - len);
	a->data_len += padded;
	return at;
}

void assembly_sets(struct assembly *a, uint32_t node, const struct zone_set *sets, size_t n)
{
	if (node == ZONE_NO_NODE || n == 0)
		return;
	if (a->nodes[node].n_sets) {
		a->omitted++;
		return;
	}
	GROW(a->sets, a->n_sets, a->cap_sets, (uint32_t)n);
	memcpy(a->sets + a->n_sets, sets, n * sizeof(*sets));
	a->nodes[node].sets_at = a->n_sets;
	a->nodes[node].n_sets = (uint8_t)n;
	a->n_sets += (uint32_t)n;
}

void assembly_reverse(struct assembly *a, const struct addr *ip, uint32_t node)
{
	if (node == ZONE_NO_NODE || ip->family == 0)
		return;
	GROW(a->reverse, a->n_reverse, a->cap_reverse, 1);
	memset(&a->reverse[a->n_reverse], 0, sizeof(*a->reverse));
	memcpy(a->reverse[a->n_reverse].ip, ip->ip, sizeof(ip->ip));
	a->reverse[a->n_reverse].family = ip->family;
	a->reverse[a->n_reverse].node = node;
	a->n_reverse++;
}

static int reverse_cmp(const void *pa, const void *pb)
{
	const struct zone_reverse *a = pa, *b = pb;
	int c = memcmp(a->ip, b->ip, sizeof(a->ip));

	if (c == 0)
		c = (a->family > b->family) - (a->family < b->family);
	return c ? c : (a->node > b->node) - (a->node < b->node);
}

static void sort_reverse(struct assembly *a)
{
	uint32_t n = 0;

	if (a->n_reverse)
		qsort(a->reverse, a->n_reverse, sizeof(*a->reverse), reverse_cmp);
	for (uint32_t i = 0; i < a->n_reverse; i++)
		if (n == 0 || reverse_cmp(&a->reverse[n - 1], &a->reverse[i]) != 0)
			a->reverse[n++] = a->reverse[i];
	a->n_reverse = n;
}

static const void *put(uint8_t **at, const void *bytes, size_t len)
{
	const void *start = *at;

	if (len)
		memcpy(*at, bytes, len);
	*at += len;
	return start;
}

struct zone *assembly_finish(struct assembly *a, uint32_t ns, uint32_t serial)
{
	struct zone *z;
	uint8_t *at;
	size_t body_len;

	sort_reverse(a);
	body_len = a->n_table * sizeof(*a->table) + a->n_nodes * sizeof(*a->nodes) +
	           a->n_sets * sizeof(*a->sets) + a->n_reverse * sizeof(*a->reverse) + a->data_len + a->names_len;
	z = xcalloc(1, sizeof(*z) + body_len);
	atomic_init(&z->refs, 1);
	z->serial = serial;
	z->apex = a->apex;
	z->ns = ns;
	z->n_table = a->n_table;
	z->n_nodes = a->n_nodes;
	z->n_sets = a->n_sets;
	z->n_reverse = a->n_reverse;
	z->data_len = (uint32_t)a->data_len;
	z->names_len = (uint32_t)a->names_len;
	z->omitted = a->omitted;
	z->body_len = body_len;
	at = (uint8_t *)z->body;
	z->table = put(&at, a->table, a->n_table * sizeof(*a->table));
	z->nodes = put(&at, a->nodes, a->n_nodes * sizeof(*a->nodes));
	z->sets = put(&at, a->sets, a->n_sets * sizeof(*a->sets));
	z->reverse = put(&at, a->reverse, a->n_reverse * sizeof(*a->reverse));
	z->data = put(&at, a->data, a->data_len);
	z->names = put(&at, a->names, a->names_len);
	assembly_free(a);
	return z;
}
