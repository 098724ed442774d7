/* Takes down what a zone is to hold, as it comes. */
#include "dns/builder.h"

#include <stdio.h>

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
