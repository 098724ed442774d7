#include "dns/zone.h"

#include "base/arena.h"
#include "dns/assembly.h"
#include "dns/proto.h"

#include <stdio.h>
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

/* A port of an endpoint at one of its names; target ZONE_NO_NODE: declared, nobody answers there. */
struct port_of {
	const char *label;
	const char *proto;
	uint32_t target;
	uint16_t port;
};

static void *next_of(void **array, size_t *n, size_t *cap, size_t size)
{
	if (*n == *cap) {
		*cap = *cap ? *cap * 2 : 16;
		*array = xrealloc(*array, *cap * size);
	}
	memset((uint8_t *)*array + *n * size, 0, size);
	return (uint8_t *)*array + (*n)++ * size;
}

bool zone_apex_ok(const char *apex)
{
	struct dns_name name;

	return strlen(apex) <= ZONE_APEX_MAX && dns_name_parse(&name, apex) && name.n_labels > 0;
}

struct zone_builder *zone_builder_new(const char *apex, const char *self_peer_name, uint64_t self_peer,
        const char *self_zone_label, const struct addr *ns_addr, uint32_t serial)
{
	struct zone_builder *b = xcalloc(1, sizeof(*b));

	if (!dns_name_parse(&b->apex, apex) || b->apex.n_labels == 0)
		abort(); /* a caller's mistake: configuration is checked with zone_apex_ok() */
	arena_init(&b->arena);
	b->self_name = arena_strdup(&b->arena, self_peer_name);
	b->self = self_peer;
	b->self_zone_label = self_zone_label ? arena_strdup(&b->arena, self_zone_label) : NULL;
	if (ns_addr)
		b->ns_addr = *ns_addr;
	b->serial = serial;
	return b;
}

void zone_builder_free(struct zone_builder *b)
{
	arena_free(&b->arena);
	free(b->services);
	free(b->endpoints);
	free(b->peers);
	free(b);
}

/* A copy of text with a prefix of one character, or without (0). */
static const char *keep(struct zone_builder *b, enum recent which, char prefix, const char *text)
{
	const char *last = b->recent[which];
	size_t skip = prefix ? 1 : 0, len = strlen(text);
	char *copy;

	if (last && strcmp(last + skip, text) == 0)
		return last;
	copy = arena_alloc(&b->arena, skip + len + 1);
	copy[0] = prefix;
	memcpy(copy + skip, text, len + 1);
	b->recent[which] = copy;
	return copy;
}

/* A port is found by its name and by its target number. */
static const struct port *keep_ports(struct zone_builder *b, const struct zone_port *ports, size_t n)
{
	struct port *copy = arena_array(&b->arena, n, sizeof(*copy));

	for (size_t i = 0; i < n; i++) {
		const char *name = ports[i].name ? ports[i].name : "";
		char number[8];

		snprintf(number, sizeof(number), "%u", ports[i].target);
		copy[i].names[0] = *name ? keep(b, RECENT_PORT, '_', name) : NULL;
		copy[i].names[1] =
		        ports[i].target && strcmp(name, number) != 0 ? keep(b, RECENT_NUMBER, '_', number) : NULL;
		copy[i].proto = keep(b, RECENT_PROTO, '_', ports[i].proto);
		copy[i].number = ports[i].port;
	}
	return copy;
}

void zone_add_service(struct zone_builder *b, const char *stack, const char *service, const char *revision,
        uint32_t n_slots, bool global, const struct zone_port *ports, size_t n_ports)
{
	struct service *s = next_of((void **)&b->services, &b->n_services, &b->cap_services, sizeof(*s));

	s->stack = keep(b, RECENT_STACK, 0, stack);
	s->name = keep(b, RECENT_SERVICE, 0, service);
	s->revision = revision ? arena_strdup(&b->arena, revision) : "";
	s->n_slots = n_slots;
	s->global = global;
	s->ports = keep_ports(b, ports, n_ports);
	s->n_ports = n_ports;
}

void zone_add_endpoint(
        struct zone_builder *b, const char *stack, const char *service, const struct zone_endpoint *e)
{
	struct endpoint *ep;

	if (e->addr.family == 0 || addr_is_any(&e->addr))
		return;
	ep = next_of((void **)&b->endpoints, &b->n_endpoints, &b->cap_endpoints, sizeof(*ep));
	ep->stack = keep(b, RECENT_STACK, 0, stack);
	ep->service = keep(b, RECENT_SERVICE, 0, service);
	ep->addr = e->addr;
	ep->slot = e->slot;
	ep->peer = e->peer;
	ep->peer_name = keep(b, RECENT_PEER, 0, e->peer_name ? e->peer_name : "");
	ep->zone_label = e->zone_label ? keep(b, RECENT_LABEL, 0, e->zone_label) : NULL;
	ep->ports = keep_ports(b, e->ports, e->n_ports);
	ep->n_ports = e->n_ports;
	ep->target = ZONE_NO_NODE;
}

void zone_add_peer(struct zone_builder *b, const char *name, const struct addr *addrs, size_t n)
{
	const char *copy = arena_strdup(&b->arena, name);
	struct peer_addr *p = next_of((void **)&b->peers, &b->n_peers, &b->cap_peers, sizeof(*p));

	p->name = copy;
	for (size_t i = 0; i < n; i++) {
		if (addr_is_any(&addrs[i]))
			continue;
		p = next_of((void **)&b->peers, &b->n_peers, &b->cap_peers, sizeof(*p));
		p->name = copy;
		p->addr = addrs[i];
	}
}

/* Text order; NULL first. */
static int text_cmp(const char *a, const char *b)
{
	if (a == b)
		return 0;
	if (!a || !b)
		return (a != NULL) - (b != NULL);
	return strcmp(a, b);
}

/* The same as DNS sees it. */
static int label_cmp(const char *a, const char *b)
{
	return a == b ? 0 : strcasecmp(a, b);
}

#define NUMBER_CMP(a, b) (((a) > (b)) - ((a) < (b)))

static int ip_cmp(const struct addr *a, const struct addr *b)
{
	int c = NUMBER_CMP(a->family, b->family);

	return c ? c : memcmp(a->ip, b->ip, sizeof(a->ip));
}

static int service_cmp(const void *pa, const void *pb)
{
	const struct service *a = pa, *b = pb;
	int c = text_cmp(a->stack, b->stack);

	c = c ? c : text_cmp(a->name, b->name);
	c = c ? c : NUMBER_CMP(a->global, b->global);
	c = c ? c : NUMBER_CMP(b->n_slots, a->n_slots);
	return c ? c : strcmp(a->revision, b->revision);
}

/* By service, then slot, then peer, then address. The ports of two endpoints that agree in all of that are sorted
 * with the records they become. */
static int endpoint_cmp(const void *pa, const void *pb)
{
	const struct endpoint *a = pa, *b = pb;
	int c = text_cmp(a->stack, b->stack);

	c = c ? c : text_cmp(a->service, b->service);
	c = c ? c : NUMBER_CMP(a->slot, b->slot);
	c = c ? c : NUMBER_CMP(a->peer, b->peer);
	c = c ? c : ip_cmp(&a->addr, &b->addr);
	return c ? c : text_cmp(a->zone_label, b->zone_label);
}

/* The same within one global service, whose tasks are told apart by peer and not by slot. */
static int global_cmp(const void *pa, const void *pb)
{
	const struct endpoint *a = pa, *b = pb;
	int c = label_cmp(a->peer_name, b->peer_name);

	c = c ? c : NUMBER_CMP(a->peer, b->peer);
	c = c ? c : ip_cmp(&a->addr, &b->addr);
	return c ? c : text_cmp(a->zone_label, b->zone_label);
}

static int peer_cmp(const void *pa, const void *pb)
{
	const struct peer_addr *a = pa, *b = pb;
	int c = label_cmp(a->name, b->name);

	return c ? c : ip_cmp(&a->addr, &b->addr);
}

static int peer_addr_cmp(const void *pa, const void *pb)
{
	const struct peer_addr *a = pa, *b = pb;

	return ip_cmp(&a->addr, &b->addr);
}

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

/* The A and AAAA sets of n addresses that lie stride bytes apart. Returns how many sets there are. */
static size_t address_sets(
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

static struct zone_set txt_set(struct assembly *out, const char *key, const char *value)
{
	char text[1 + UINT8_MAX + 1];
	int n = snprintf(text + 1, sizeof(text) - 1, "%s=%s", key, value);

	text[0] = (char)(uint8_t)MIN(n, UINT8_MAX);
	return (struct zone_set){
	        .type = DNS_TYPE_TXT, .n = 1, .at = assembly_data(out, text, 1, 1 + (size_t)(uint8_t)text[0])};
}

/* PREFIX.name, or no length when that is no name. */
static struct dns_name below(const struct dns_name *name, const char *prefix)
{
	struct dns_name out = *name;

	if (name->len == 0 || !dns_name_prepend(&out, prefix))
		out.len = 0;
	return out;
}

static uint32_t node_of(struct zone_builder *b, const struct dns_name *name)
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
		struct dns_name proto = below(&names[i], ports[0].proto);
		struct dns_name name = below(&proto, ports[0].label);

		assembly_sets(&b->out, node_of(b, &name), &set, set.n ? 1 : 0);
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

/* Gives the names the addresses and the ports of n endpoints; s NULL: no TXT, no declared ports. */
static void add_scope(struct zone_builder *b, const struct dns_name *names, size_t n_names,
        const struct endpoint *eps, size_t n, const struct service *s)
{
	struct zone_set sets[3];
	size_t n_sets = address_sets(&b->out, n ? &eps[0].addr : NULL, n, sizeof(*eps), sets);

	if (s && *s->revision)
		sets[n_sets++] = txt_set(&b->out, "revision", s->revision);
	for (size_t i = 0; i < n_names; i++)
		assembly_sets(&b->out, node_of(b, &names[i]), sets, n_sets);
	add_srv(b, names, n_names, eps, n, s ? s->ports : NULL, s ? s->n_ports : 0);
}

/* Is it free for a peer's task in a global service? */
static bool usable_peer_label(const char *name)
{
	return dns_label_ok(name) && label_cmp(name, "tasks") != 0 && label_cmp(name, "nearest") != 0 &&
	       name[0] != '_';
}

/*
 * The tasks of one slot, or of one peer name in a global service. Where two peers share that name, each gets one
 * of its own besides, so that no SRV record pairs one's port with the other's address.
 */
static void add_task_names(
        struct zone_builder *b, const struct dns_name *base, struct endpoint *eps, size_t n, bool global)
{
	const char *shared = global ? eps[0].peer_name : arena_printf(&b->arena, "%u", eps[0].slot);
	bool one_peer = eps[0].peer == eps[n - 1].peer;
	bool named = !global || usable_peer_label(eps[0].peer_name);
	struct dns_name name;
	size_t end;

	name = below(base, named ? shared : "");
	for (size_t at = 0; at < n; at = end) {
		struct dns_name target = name;

		for (end = at + 1; end < n && eps[end].peer == eps[at].peer;)
			end++;
		if (!one_peer || !named)
			target = below(base, arena_printf(&b->arena, "%s-%016llx", global ? "peer" : shared,
			                             (unsigned long long)eps[at].peer));
		for (size_t i = at; i < end; i++)
			eps[i].target = node_of(b, &target);
		if (!one_peer || !named)
			add_scope(b, &target, 1, eps + at, end - at, NULL);
	}
	if (named)
		add_scope(b, &name, 1, eps, n, NULL);
}

/* The endpoints that `nearest` answers with: *n of them, from eps itself or from *copy, which the caller frees. */
static const struct endpoint *nearest_of(
        const struct zone_builder *b, const struct endpoint *eps, size_t *n, struct endpoint **copy)
{
	struct endpoint *out = xcalloc(*n + 1, sizeof(*out));
	size_t kept = 0;

	*copy = out;
	for (size_t i = 0; i < *n; i++)
		if (eps[i].peer == b->self)
			out[kept++] = eps[i];
	if (kept == 0 && b->self_zone_label)
		for (size_t i = 0; i < *n; i++)
			if (text_cmp(eps[i].zone_label, b->self_zone_label) == 0)
				out[kept++] = eps[i];
	if (kept == 0)
		return eps;
	*n = kept;
	return out;
}

static void add_service(struct zone_builder *b, const struct service *s, struct endpoint *eps, size_t n)
{
	struct dns_name root, stack, names[3];
	cleanup_free struct endpoint *copy = NULL;
	const struct endpoint *near;
	size_t n_near = n, end;
	uint32_t node;

	dns_name_parse(&root, ".");
	stack = below(&root, s->stack);
	names[0] = below(&stack, s->name);
	names[1] = below(&names[0], "tasks");
	names[2] = below(&names[0], "nearest");
	node = node_of(b, &names[0]);
	if (node == ZONE_NO_NODE)
		return;
	b->out.nodes[node].n_slots = s->global ? 0 : s->n_slots;
	if (s->global && n)
		qsort(eps, n, sizeof(*eps), global_cmp);
	for (size_t at = 0; at < n; at = end) {
		for (end = at + 1; end < n && (s->global ? label_cmp(eps[end].peer_name, eps[at].peer_name) == 0
		                                         : eps[end].slot == eps[at].slot);)
			end++;
		add_task_names(b, &names[0], eps + at, end - at, s->global);
	}
	near = nearest_of(b, eps, &n_near, &copy);
	add_scope(b, names, n_near == n ? 3 : 2, eps, n, s);
	if (n_near != n)
		add_scope(b, &names[2], 1, near, n_near, s);
}

/* Services and endpoints are sorted alike: walk both. An endpoint whose service nobody declared makes it exist. */
static void add_services(struct zone_builder *b)
{
	size_t si = 0, ei = 0, end;

	if (b->n_services)
		qsort(b->services, b->n_services, sizeof(*b->services), service_cmp);
	if (b->n_endpoints)
		qsort(b->endpoints, b->n_endpoints, sizeof(*b->endpoints), endpoint_cmp);
	while (si < b->n_services || ei < b->n_endpoints) {
		struct service s = {.revision = ""};
		int c = si == b->n_services ? 1 : -1;

		if (si < b->n_services && ei < b->n_endpoints) {
			c = strcmp(b->services[si].stack, b->endpoints[ei].stack);
			c = c ? c : strcmp(b->services[si].name, b->endpoints[ei].service);
		}
		if (c <= 0) {
			s = b->services[si];
		} else {
			s.stack = b->endpoints[ei].stack;
			s.name = b->endpoints[ei].service;
		}
		for (end = ei; end < b->n_endpoints && strcmp(b->endpoints[end].stack, s.stack) == 0 &&
		               strcmp(b->endpoints[end].service, s.name) == 0;)
			end++;
		add_service(b, &s, b->endpoints + ei, end - ei);
		ei = end;
		while (si < b->n_services && strcmp(b->services[si].stack, s.stack) == 0 &&
		        strcmp(b->services[si].name, s.name) == 0)
			si++;
	}
}

static void add_peers(struct zone_builder *b)
{
	struct dns_name root, node;
	size_t end;

	dns_name_parse(&root, ".");
	node = below(&root, "node");
	if (b->n_peers)
		qsort(b->peers, b->n_peers, sizeof(*b->peers), peer_cmp);
	for (size_t at = 0; at < b->n_peers; at = end) {
		struct dns_name name = below(&node, b->peers[at].name);
		uint32_t index = node_of(b, &name);
		struct zone_set sets[2];
		size_t n_sets;

		for (end = at + 1; end < b->n_peers && label_cmp(b->peers[end].name, b->peers[at].name) == 0;)
			end++;
		n_sets = address_sets(&b->out, &b->peers[at].addr, end - at, sizeof(*b->peers), sets);
		assembly_sets(&b->out, index, sets, n_sets);
		for (size_t i = at; i < end; i++)
			assembly_reverse(&b->out, &b->peers[i].addr, index);
	}
}

/* An address that is a peer's is named after the peer; one that only tasks have, after those. */
static void add_reverse_of_endpoints(struct zone_builder *b)
{
	if (b->n_peers)
		qsort(b->peers, b->n_peers, sizeof(*b->peers), peer_addr_cmp);
	for (size_t i = 0; i < b->n_endpoints; i++) {
		struct peer_addr key = {.addr = b->endpoints[i].addr};

		if (b->n_peers && bsearch(&key, b->peers, b->n_peers, sizeof(key), peer_addr_cmp))
			continue;
		assembly_reverse(&b->out, &b->endpoints[i].addr, b->endpoints[i].target);
	}
}

struct zone *zone_build(struct zone_builder *b)
{
	struct zone_set apex_sets[3] = {{.type = DNS_TYPE_NS, .n = 1}, {.type = DNS_TYPE_SOA, .n = 1}};
	struct dns_name root, ns;
	struct zone_set ns_sets[2];
	struct zone *z;
	uint32_t ns_node;

	assembly_init(&b->out, &b->apex);
	apex_sets[2] = txt_set(&b->out, "peer", b->self_name);
	assembly_sets(&b->out, 0, apex_sets, ARRAY_LEN(apex_sets));
	dns_name_parse(&root, ".");
	ns = below(&root, "ns");
	ns_node = node_of(b, &ns);
	assembly_sets(
	        &b->out, ns_node, ns_sets, address_sets(&b->out, &b->ns_addr, 1, sizeof(struct addr), ns_sets));
	add_peers(b);
	add_services(b);
	add_reverse_of_endpoints(b);
	z = assembly_finish(&b->out, ns_node, b->serial);
	zone_builder_free(b);
	return z;
}
