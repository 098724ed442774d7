/* From the placement view to the DNS zone (DESIGN section 10): view_zone() of node/view.h. */
#include "node/view.h"

#include "base/hash.h"
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

/* ---- what a zone is made of, told to a builder, or to a hash ---- */

struct teller {
	struct zone_builder *b; /* NULL: to w */
	struct wr w;
};

static void put_text(struct wr *w, const char *s)
{
	wr_bytes(w, s ? s : "", s ? strlen(s) + 1 : 1);
}

static void put_port(struct wr *w, const struct zone_port *p)
{
	put_text(w, p->name);
	put_text(w, p->proto);
	wr_u16(w, p->target);
	wr_u16(w, p->port);
}

static void put_addr(struct wr *w, const struct addr *a)
{
	wr_u8(w, a->family);
	wr_bytes(w, a->ip, sizeof(a->ip));
}

static void tell_peer(struct teller *t, const char *name, const struct addr *addrs, size_t n)
{
	if (t->b) {
		zone_add_peer(t->b, name, addrs, n);
		return;
	}
	put_text(&t->w, name);
	wr_u64(&t->w, n);
	for (size_t i = 0; i < n; i++)
		put_addr(&t->w, &addrs[i]);
}

static void tell_service(struct teller *t, const struct view_stack *st, const struct service *s)
{
	struct zone_port ports[SERVICE_PORTS_MAX];
	char revision[17];

	if (!t->b) {
		/* A revision says all of its services. */
		wr_u64(&t->w, st->revision_id);
		put_text(&t->w, s->name);
		return;
	}
	for (size_t i = 0; i < s->n_ports; i++)
		ports[i] = (struct zone_port){.name = s->ports[i].name,
		        .proto = proto_name(s->ports[i].proto),
		        .target = s->ports[i].target};
	id64_text(revision, st->revision_id);
	zone_add_service(t->b, st->name, s->name, revision, s->mode == MODE_GLOBAL ? 1 : s->replicas,
	        s->mode == MODE_GLOBAL, ports, s->n_ports);
}

static void tell_endpoint(struct teller *t, const struct view *view, const struct placed_slot *slot,
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
	if (t->b) {
		zone_add_endpoint(t->b, st->name, s->name,
		        &(struct zone_endpoint){
		                .addr = m->facts->addrs[0],
		                .slot = slot->index,
		                .peer = m->id,
		                .peer_name = peer_name,
		                .zone_label = label(m, "zone"),
		                .n_ports = n,
		                .ports = ports,
		        });
		return;
	}
	wr_u64(&t->w, slot->slot);
	wr_u32(&t->w, slot->index);
	wr_u64(&t->w, m->id);
	put_addr(&t->w, &m->facts->addrs[0]);
	put_text(&t->w, label(m, "zone"));
	wr_u64(&t->w, n);
	for (size_t i = 0; i < n; i++)
		put_port(&t->w, &ports[i]);
}

/* A name that two peers carry names neither: the address of the wrong one would be worse than none.
 * Facts' names are at most NAME_MAX_BYTES with their NUL. Empty where another peer has the same. */
static char (*unique_names(const struct view *view))[NAME_MAX_BYTES]
{
	static const uint8_t once, again;
	char(*name)[NAME_MAX_BYTES] = xcalloc(view->n_members + 1, sizeof(*name));
	struct map names;

	map_init(&names, sizeof(*name), NULL);
	for (size_t i = 0; i < view->n_members; i++) {
		if (!view->members[i].facts)
			continue;
		text_copy(name[i], sizeof(name[i]), view->members[i].facts->name);
		map_put(&names, name[i], (void *)(map_get(&names, name[i]) ? &again : &once));
	}
	for (size_t i = 0; i < view->n_members; i++)
		if (view->members[i].facts && map_get(&names, name[i]) == &again)
			name[i][0] = '\0';
	map_free(&names);
	return name;
}

static void tell_peers(struct teller *t, const struct view *view)
{
	char(*name)[NAME_MAX_BYTES] = unique_names(view);

	for (size_t i = 0; i < view->n_members; i++) {
		const struct facts *f = view->members[i].facts;
		bool serves;

		if (!f)
			continue;
		/* A peer that is dead or has left exists, as do two of one name: their name is there, without addresses. */
		serves = view->members[i].state <= VIEW_SUSPECT && name[i][0];
		tell_peer(t, f->name, f->addrs, serves ? f->n_addrs : 0);
	}
	free(name);
}

static void tell_endpoints(struct teller *t, const struct view *view, const struct placement *p)
{
	struct map slots;

	map_init(&slots, sizeof(id64), NULL);
	for (size_t i = 0; i < p->n_slots; i++)
		map_put(&slots, &p->slots[i].slot, &p->slots[i]);
	for (size_t i = 0; i < view->n_claims; i++) {
		const struct view_claim *c = &view->claims[i];
		const struct view_member *m = &view->members[c->member];
		const struct placed_slot *slot = map_get(&slots, &c->c.slot);

		/* The owner's alone. Who has handed the slot over serves those that were told of it before; a task beyond
		 * its peer's room, or one that came to a slot that is served, is to be nobody's answer. */
		if (!slot || slot->owner != (int32_t)i)
			continue;
		if (claim_serves(&c->c) && claim_is_live(view, c) && m->facts && m->facts->n_addrs)
			tell_endpoint(t, view, slot, c, m->facts->name);
	}
	map_free(&slots);
}

static void tell(struct teller *t, const struct view *view, const struct placement *p)
{
	tell_peers(t, view);
	for (size_t i = 0; i < view->n_stacks; i++)
		if (view->stacks[i].spec)
			for (size_t k = 0; k < view->stacks[i].spec->n_services; k++)
				tell_service(t, &view->stacks[i], &view->stacks[i].spec->services[k]);
	tell_endpoints(t, view, p);
}

struct zone *view_zone(const struct view *view, const struct placement *p, const char *apex,
        const struct addr *ns_addr, uint32_t serial)
{
	const struct view_member *self = &view->members[view->self];
	struct teller t = {0};
	char self_id[17];

	id64_text(self_id, self->id);
	t.b = zone_builder_new(
	        apex, self->facts ? self->facts->name : self_id, self->id, label(self, "zone"), ns_addr, serial);
	tell(&t, view, p);
	return zone_build(t.b);
}

void view_zone_hash(
        const struct view *view, const struct placement *p, const struct addr *ns_addr, struct key32 *out)
{
	const struct view_member *self = &view->members[view->self];
	struct teller t = {0};

	wr_init(&t.w, SIZE_MAX); /* as many as there are members, services and claims, all of them bounded */
	put_addr(&t.w, ns_addr);
	put_text(&t.w, self->facts ? self->facts->name : "");
	put_text(&t.w, label(self, "zone"));
	tell(&t, view, p);
	hash32(out, t.w.p, t.w.len);
	wr_free(&t.w);
}
