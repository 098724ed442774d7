/* The records of a set of endpoints under one or several names: addresses, SRV, TXT. */
#include "dns/builder.h"
#include "dns/proto.h"

#include <stdio.h>

/* A port of an endpoint at one of its names; target ZONE_NO_NODE: declared, nobody answers there. */
struct port_of {
	const char *label;
	const char *proto;
	uint32_t target;
	uint16_t port;
};

static int port_cmp(const void *pa, const void *pb)
{
	const struct port_of *a = pa, *b = pb;
	int c = label_cmp(a->proto, b->proto);

	c = c ? c : label_cmp(a->label, b->label);
	c = c ? c : NUMBER_CMP(a->target, b->target);
	return c ? c : NUMBER_CMP(a->port, b->port);
}

static int v4_cmp(const void *a, const void *b)
{
	return memcmp(a, b, 4);
}

static int v6_cmp(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

/* Sorts n items of size bytes and drops the doubles; returns how many are left (RFC 2181, 5: a set has none). */
static size_t sort_unique(void *items, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
	uint8_t *at = items;
	size_t kept = 0;

	if (n)
		qsort(items, n, size, cmp);
	for (size_t i = 0; i < n; i++)
		if (kept == 0 || cmp(at + (kept - 1) * size, at + i * size) != 0)
			memmove(at + kept++ * size, at + i * size, size);
	return kept;
}

size_t scope_addresses(
        struct assembly *out, const struct addr *first, size_t n, size_t stride, struct zone_set sets[2])
{
	cleanup_free uint8_t *v4 = xmalloc(n * 4 + 1);
	cleanup_free uint8_t *v6 = xmalloc(n * 16 + 1);
	size_t n4 = 0, n6 = 0, n_sets = 0;

	for (size_t i = 0; i < n; i++) {
		const struct addr *a = (const struct addr *)((const uint8_t *)first + i * stride);

		if (a->family == 4)
			memcpy(v4 + n4++ * 4, a->ip, 4);
		else if (a->family == 6)
			memcpy(v6 + n6++ * 16, a->ip, 16);
	}
	n4 = sort_unique(v4, n4, 4, v4_cmp);
	n6 = sort_unique(v6, n6, 16, v6_cmp);
	if (n4)
		sets[n_sets++] = (struct zone_set){
		        .type = DNS_TYPE_A, .n = (uint32_t)n4, .at = assembly_data(out, v4, n4, 4)};
	if (n6)
		sets[n_sets++] = (struct zone_set){
		        .type = DNS_TYPE_AAAA, .n = (uint32_t)n6, .at = assembly_data(out, v6, n6, 16)};
	return n_sets;
}

struct zone_set scope_txt(struct assembly *out, const char *key, const char *value)
{
	char text[1 + UINT8_MAX + 1];
	int n = snprintf(text + 1, sizeof(text) - 1, "%s=%s", key, value);

	text[0] = (char)(uint8_t)MIN(n, UINT8_MAX);
	return (struct zone_set){
	        .type = DNS_TYPE_TXT, .n = 1, .at = assembly_data(out, text, 1, 1 + (size_t)(uint8_t)text[0])};
}

struct dns_name scope_below(const struct dns_name *name, const char *prefix)
{
	struct dns_name out = *name;

	if (name->len == 0 || !dns_name_prepend(&out, prefix))
		out.len = 0;
	return out;
}

uint32_t scope_node(struct zone_builder *b, const struct dns_name *name)
{
	if (name->len)
		return assembly_name(&b->out, name);
	b->out.omitted++;
	return ZONE_NO_NODE;
}

/* Returns how many entries it made, 0 to 2. */
static size_t port_entries(struct port_of *out, const struct port *p, uint32_t target)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(p->names); i++)
		if (p->names[i])
			out[n++] = (struct port_of){p->names[i], p->proto, target, p->number};
	return n;
}

/* One _PORT._PROTO set below each of the names. */
static void add_srv_set(struct zone_builder *b, const struct dns_name *names, size_t n_names,
        const struct port_of *ports, size_t n)
{
	cleanup_free struct zone_srv *items = xcalloc(n, sizeof(*items));
	struct zone_set set = {.type = DNS_TYPE_SRV};

	for (size_t i = 0; i < n; i++)
		if (ports[i].target != ZONE_NO_NODE)
			items[set.n++] = (struct zone_srv){.target = ports[i].target, .port = ports[i].port};
	set.at = assembly_data(&b->out, items, set.n, sizeof(*items));
	for (size_t i = 0; i < n_names; i++) {
		struct dns_name proto = scope_below(&names[i], ports[0].proto);
		struct dns_name name = scope_below(&proto, ports[0].label);

		assembly_sets(&b->out, scope_node(b, &name), &set, set.n ? 1 : 0);
	}
}

static void add_srv(struct zone_builder *b, const struct dns_name *names, size_t n_names,
        const struct endpoint *eps, size_t n, const struct port *declared, size_t n_declared)
{
	struct port_of *ports;
	size_t n_ports = 0, end;

	for (size_t i = 0; i < n; i++)
		n_ports += 2 * eps[i].n_ports;
	ports = xcalloc(n_ports + 2 * n_declared + 1, sizeof(*ports));
	n_ports = 0;
	for (size_t i = 0; i < n_declared; i++)
		n_ports += port_entries(ports + n_ports, &declared[i], ZONE_NO_NODE);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < eps[i].n_ports; k++)
			n_ports += port_entries(ports + n_ports, &eps[i].ports[k], eps[i].target);
	n_ports = sort_unique(ports, n_ports, sizeof(*ports), port_cmp);
	for (size_t at = 0; at < n_ports; at = end) {
		for (end = at + 1; end < n_ports && label_cmp(ports[end].proto, ports[at].proto) == 0 &&
		                   label_cmp(ports[end].label, ports[at].label) == 0;)
			end++;
		add_srv_set(b, names, n_names, ports + at, end - at);
	}
	free(ports);
}

void scope_add(struct zone_builder *b, const struct dns_name *names, size_t n_names, const struct endpoint *eps,
        size_t n, const struct service *s)
{
	struct zone_set sets[3];
	size_t n_sets = scope_addresses(&b->out, n ? &eps[0].addr : NULL, n, sizeof(*eps), sets);

	if (s && *s->revision)
		sets[n_sets++] = scope_txt(&b->out, "revision", s->revision);
	for (size_t i = 0; i < n_names; i++)
		assembly_sets(&b->out, scope_node(b, &names[i]), sets, n_sets);
	add_srv(b, names, n_names, eps, n, s ? s->ports : NULL, s ? s->n_ports : 0);
}
