/* What a peer's slots take, and what it has left for one more. */
#include "placement/filter.h"

static uint32_t port_key(const struct spec_port *p)
{
	return (uint32_t)p->proto << 16 | p->published;
}

static struct load_generic *generic_of(struct load *l, const char *kind, struct arena *arena)
{
	for (size_t i = 0; i < l->n_generic; i++)
		if (!strcmp(l->generic[i].kind, kind))
			return &l->generic[i];
	if (l->n_generic == l->cap_generic) {
		struct load_generic *more = arena_array(arena, l->cap_generic * 2 + 2, sizeof(*more));

		if (l->n_generic)
			memcpy(more, l->generic, l->n_generic * sizeof(*more));
		l->generic = more;
		l->cap_generic = l->cap_generic * 2 + 2;
	}
	l->generic[l->n_generic] = (struct load_generic){.kind = kind};
	return &l->generic[l->n_generic++];
}

void load_add(struct load *l, const struct service *s, struct arena *arena)
{
	l->cpu_milli += s->reserve.cpu_milli;
	l->memory += s->reserve.memory;
	l->felt_cpu_milli += felt_cpu(&s->reserve);
	l->felt_memory += felt_memory(&s->reserve);
	for (size_t i = 0; i < s->n_ports; i++) {
		if (s->ports[i].mode != PORT_HOST)
			continue;
		if (l->n_ports == l->cap_ports) {
			uint32_t *more = arena_array(arena, l->cap_ports * 2 + 4, sizeof(*more));

			if (l->n_ports)
				memcpy(more, l->ports, l->n_ports * sizeof(*more));
			l->ports = more;
			l->cap_ports = l->cap_ports * 2 + 4;
		}
		l->ports[l->n_ports++] = port_key(&s->ports[i]);
	}
	for (size_t i = 0; i < s->n_generic; i++)
		generic_of(l, s->generic[i].kind, arena)->used += s->generic[i].value;
}

void load_sub(struct load *l, const struct service *s)
{
	l->cpu_milli -= s->reserve.cpu_milli;
	l->memory -= s->reserve.memory;
	l->felt_cpu_milli -= felt_cpu(&s->reserve);
	l->felt_memory -= felt_memory(&s->reserve);
	for (size_t i = 0; i < s->n_ports; i++) {
		size_t k = 0;

		if (s->ports[i].mode != PORT_HOST)
			continue;
		while (k < l->n_ports && l->ports[k] != port_key(&s->ports[i]))
			k++;
		if (k < l->n_ports)
			l->ports[k] = l->ports[--l->n_ports];
	}
	for (size_t i = 0; i < s->n_generic; i++)
		for (size_t k = 0; k < l->n_generic; k++)
			if (!strcmp(l->generic[k].kind, s->generic[i].kind))
				l->generic[k].used -= s->generic[i].value;
}

bool load_exceeds(const struct load *l, const struct facts *f)
{
	for (size_t i = 0; i < l->n_generic; i++)
		if (l->generic[i].used > facts_generic(f, l->generic[i].kind))
			return true;
	return l->cpu_milli > f->cpu_milli || l->memory > f->memory;
}

static bool port_taken(const struct load *l, uint32_t key)
{
	for (size_t i = 0; i < l->n_ports; i++)
		if (l->ports[i] == key)
			return true;
	return false;
}

static uint64_t devices_used(const struct load *l, const char *kind)
{
	for (size_t i = 0; i < l->n_generic; i++)
		if (!strcmp(l->generic[i].kind, kind))
			return l->generic[i].used;
	return 0;
}

enum place_reason filter_dynamic(
        const struct facts *f, const struct load *load, const struct service *s, uint32_t same)
{
	if (s->reserve.cpu_milli > room_left(f->cpu_milli, load->cpu_milli) ||
	        s->reserve.memory > room_left(f->memory, load->memory))
		return REASON_ROOM;
	for (size_t i = 0; i < s->n_generic; i++) {
		const char *kind = s->generic[i].kind;

		if (s->generic[i].value > room_left(facts_generic(f, kind), devices_used(load, kind)))
			return REASON_DEVICE_BUSY;
	}
	for (size_t i = 0; i < s->n_ports; i++)
		if (s->ports[i].mode == PORT_HOST && port_taken(load, port_key(&s->ports[i])))
			return REASON_PORT;
	if (s->max_replicas_per_node && same >= s->max_replicas_per_node)
		return REASON_PER_NODE;
	return REASON_OK;
}
