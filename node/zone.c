/* From the placement view to the DNS zone (DESIGN section 10): view_zone() of node/view.h. */
#include "node/view.h"

#include "base/map.h"
#include "base/text.h"

static const char *label(const struct view_member *m, const char *key)
{
	for (size_t i = 0; i < m->n_labels; i++)
		if (!strcmp(m->labels[i].key, key))
			return m->labels[i].value;
	return NULL;
}

static const char *proto_name(enum spec_proto p)
{
	return p == PROTO_UDP ? "udp" : "tcp";
}

static void add_service(struct zone_builder *b, const struct view_stack *st, const struct service *s)
{
	struct zone_port ports[SERVICE_PORTS_MAX];
	char revision[17];

	for (size_t i = 0; i < s->n_ports; i++)
		ports[i] = (struct zone_port){.name = s->ports[i].name,
		        .proto = proto_name(s->ports[i].proto),
		        .target = s->ports[i].target};
	id64_text(revision, st->revision_id);
	zone_add_service(b, st->name, s->name, revision, s->mode == MODE_GLOBAL ? 1 : s->replicas,
	        s->mode == MODE_GLOBAL, ports, s->n_ports);
}

static void add_endpoint(struct zone_builder *b, const struct view *view, const struct placed_slot *slot,
        const struct view_claim *c, const char *peer_name)
{
	const struct view_member *m = &view->members[c->member];
	const struct view_stack *st = &view->stacks[slot->stack];
	const struct service *s = &st->spec->services[slot->service];
	struct zone_port ports[SERVICE_PORTS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < c->c.n_ports; i++) {
		if (c->c.ports[i].index >= s->n_ports)
			continue;
		ports[n++] = (struct zone_port){
		        .name = s->ports[c->c.ports[i].index].name,
		        .proto = proto_name(s->ports[c->c.ports[i].index].proto),
		        .target = s->ports[c->c.ports[i].index].target,
		        .port = c->c.ports[i].port,
		};
	}
	zone_add_endpoint(b, st->name, s->name,
	        &(struct zone_endpoint){
	                .addr = m->facts->addrs[0],
	                .slot = slot->index,
	                .peer = m->id,
	                .peer_name = peer_name,
	                .zone_label = label(m, "zone"),
	                .n_ports = n,
	                .ports = ports,
	        });
}

/* A name that two peers carry names neither: the address of the wrong one would be worse than none. */
static bool name_is_unique(const struct view *view, size_t member)
{
	for (size_t i = 0; i < view->n_members; i++)
		if (i != member && view->members[i].facts &&
		        !strcmp(view->members[i].facts->name, view->members[member].facts->name))
			return false;
	return true;
}

struct zone *view_zone(const struct view *view, const struct placement *p, const char *apex,
        const struct addr *ns_addr, uint32_t serial)
{
	const struct view_member *self = &view->members[view->self];
	char self_id[17];
	struct zone_builder *b;
	struct map slots;

	id64_text(self_id, self->id);
	b = zone_builder_new(
	        apex, self->facts ? self->facts->name : self_id, self->id, label(self, "zone"), ns_addr, serial);
	for (size_t i = 0; i < view->n_members; i++) {
		const struct facts *f = view->members[i].facts;
		bool serves;

		if (!f)
			continue;
		/* A peer that is dead or has left exists, as do two of one name: their name is there, without addresses. */
		serves = view->members[i].state <= VIEW_SUSPECT && name_is_unique(view, i);
		zone_add_peer(b, f->name, f->addrs, serves ? f->n_addrs : 0);
	}
	for (size_t i = 0; i < view->n_stacks; i++)
		if (view->stacks[i].spec)
			for (size_t k = 0; k < view->stacks[i].spec->n_services; k++)
				add_service(b, &view->stacks[i], &view->stacks[i].spec->services[k]);
	map_init(&slots, sizeof(id64), NULL);
	for (size_t i = 0; i < p->n_slots; i++)
		map_put(&slots, &p->slots[i].slot, &p->slots[i]);
	for (size_t i = 0; i < view->n_claims; i++) {
		const struct view_claim *c = &view->claims[i];
		const struct view_member *m = &view->members[c->member];
		const struct placed_slot *slot = map_get(&slots, &c->c.slot);

		/* Who has handed the slot over serves those alone that were told of it before. */
		if (slot && slot->predecessor == (int32_t)i)
			continue;
		if (slot && claim_serves(&c->c) && claim_is_live(view, c) && m->facts && m->facts->n_addrs)
			add_endpoint(b, view, slot, c, m->facts->name);
	}
	map_free(&slots);
	return zone_build(b);
}
