/* Which names a zone has: everything is sorted, then walked once, so that order of arrival does not show. */
#include "dns/zone.h"

#include "dns/builder.h"
#include "dns/proto.h"

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

	name = scope_below(base, named ? shared : "");
	for (size_t at = 0; at < n; at = end) {
		struct dns_name target = name;

		for (end = at + 1; end < n && eps[end].peer == eps[at].peer;)
			end++;
		if (!one_peer || !named)
			target = scope_below(base, arena_printf(&b->arena, "%s-%016llx", global ? "peer" : shared,
			                                   (unsigned long long)eps[at].peer));
		for (size_t i = at; i < end; i++)
			eps[i].target = scope_node(b, &target);
		if (!one_peer || !named)
			scope_add(b, &target, 1, eps + at, end - at, NULL);
	}
	if (named)
		scope_add(b, &name, 1, eps, n, NULL);
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
	stack = scope_below(&root, s->stack);
	names[0] = scope_below(&stack, s->name);
	names[1] = scope_below(&names[0], "tasks");
	names[2] = scope_below(&names[0], "nearest");
	node = scope_node(b, &names[0]);
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
	scope_add(b, names, n_near == n ? 3 : 2, eps, n, s);
	if (n_near != n)
		scope_add(b, &names[2], 1, near, n_near, s);
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
	node = scope_below(&root, "node");
	if (b->n_peers)
		qsort(b->peers, b->n_peers, sizeof(*b->peers), peer_cmp);
	for (size_t at = 0; at < b->n_peers; at = end) {
		struct dns_name name = scope_below(&node, b->peers[at].name);
		uint32_t index = scope_node(b, &name);
		struct zone_set sets[2];
		size_t n_sets;

		for (end = at + 1; end < b->n_peers && label_cmp(b->peers[end].name, b->peers[at].name) == 0;)
			end++;
		n_sets = scope_addresses(&b->out, &b->peers[at].addr, end - at, sizeof(*b->peers), sets);
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
	apex_sets[2] = scope_txt(&b->out, "peer", b->self_name);
	assembly_sets(&b->out, 0, apex_sets, ARRAY_LEN(apex_sets));
	dns_name_parse(&root, ".");
	ns = scope_below(&root, "ns");
	ns_node = scope_node(b, &ns);
	assembly_sets(&b->out, ns_node, ns_sets,
	        scope_addresses(&b->out, &b->ns_addr, 1, sizeof(struct addr), ns_sets));
	add_peers(b);
	add_services(b);
	add_reverse_of_endpoints(b);
	z = assembly_finish(&b->out, ns_node, b->serial);
	zone_builder_free(b);
	return z;
}
