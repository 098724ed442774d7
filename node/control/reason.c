#include "node/control/reason.h"

#include "base/text.h"
#include "gossip/trust/trust.h"
#include "node/control/fill.h"
#include "placement/depends.h"
#include "placement/filter.h"

static const struct service *service_of(const struct view *v, const struct placed_slot *s)
{
	return &v->stacks[s->stack].spec->services[s->service];
}

const char *reason_slot_name(const struct view *v, const struct placed_slot *s, struct arena *arena)
{
	return arena_printf(arena, "%s/%s/%u", v->stacks[s->stack].name, service_of(v, s)->name, s->index);
}

/* --- amounts --- */

static const char *cores(uint64_t milli, struct arena *arena)
{
	if (milli % 1000 == 0)
		return arena_printf(arena, "%llu", (unsigned long long)milli / 1000);
	return arena_printf(arena, "%g", (double)milli / 1000);
}

static const char *bytes(uint64_t n, struct arena *arena)
{
	if (n >= 1ULL << 30)
		return arena_printf(arena, "%.1f GiB", (double)n / (double)(1ULL << 30));
	return arena_printf(arena, "%.0f MiB", (double)n / (double)(1ULL << 20));
}

/* What other slots than this take of the member, or are about to. */
static struct fill others_at(
        const struct view *v, const struct placement *p, size_t slot, size_t member, const struct fill *fill)
{
	const struct spec_resources *own = &service_of(v, &p->slots[slot])->reserve;
	struct fill f = fill[member];

	if (!fill_is_at(v, p, slot, member))
		return f;
	f.cpu_milli -= MIN(own->cpu_milli, f.cpu_milli);
	f.memory -= MIN(own->memory, f.memory);
	return f;
}

/* How many of a device other slots take. */
static uint64_t taken_of(
        const struct view *v, const struct placement *p, size_t but, size_t member, const char *kind)
{
	uint64_t n = 0;

	for (size_t k = 0; k < p->n_slots; k++) {
		const struct service *s = service_of(v, &p->slots[k]);

		for (size_t i = 0; k != but && i < s->n_generic; i++)
			if (strcmp(s->generic[i].kind, kind) == 0 && fill_is_at(v, p, k, member))
				n += s->generic[i].value;
	}
	return n;
}

/* fill NULL: compared with the whole peer. */
static const char *room_detail(const struct view *v, const struct placement *p, size_t slot, size_t member,
        const struct fill *fill, struct arena *arena)
{
	const struct spec_resources *ask = &service_of(v, &p->slots[slot])->reserve;
	const struct facts *f = v->members[member].facts;
	struct fill t = fill ? others_at(v, p, slot, member, fill) : (struct fill){0};
	uint64_t cpu = f->cpu_milli - MIN(t.cpu_milli, f->cpu_milli);
	uint64_t memory = f->memory - MIN(t.memory, f->memory);
	const char *text = "";

	if (ask->cpu_milli > cpu)
		text = !fill ? arena_printf(arena, "asks %s cpus, the peer has %s", cores(ask->cpu_milli, arena),
		                       cores(f->cpu_milli, arena))
		             : arena_printf(arena, "asks %s cpus, %s of %s are free",
		                       cores(ask->cpu_milli, arena), cores(cpu, arena),
		                       cores(f->cpu_milli, arena));
	if (ask->memory > memory)
		text = arena_printf(arena,
		        !fill ? "%s%sasks %s, the peer has %s" : "%s%sasks %s, %s of %s are free", text,
		        *text ? "; " : "", bytes(ask->memory, arena), bytes(fill ? memory : f->memory, arena),
		        bytes(f->memory, arena));
	return text;
}

/* --- what a peer is --- */

static const char *have_of(const struct view_member *m, const char *attr, struct arena *arena)
{
	static const char node[] = "node.labels.", engine[] = "engine.labels.";
	bool own = strncmp(attr, engine, strlen(engine)) == 0;
	const struct kv *labels = own ? m->facts->labels : m->labels;
	size_t n = own ? m->facts->n_labels : m->n_labels;
	char id[17];

	if (strcmp(attr, "node.hostname") == 0)
		return m->facts->name;
	if (strcmp(attr, "node.platform.os") == 0)
		return m->facts->os;
	if (strcmp(attr, "node.platform.arch") == 0)
		return m->facts->arch;
	if (strcmp(attr, "node.id") == 0) {
		id64_text(id, m->id);
		return arena_strdup(arena, id);
	}
	if (!own && strncmp(attr, node, strlen(node)) != 0)
		return NULL;
	attr += strlen(own ? engine : node);
	for (size_t i = 0; i < n; i++)
		if (strcmp(labels[i].key, attr) == 0)
			return labels[i].value;
	return NULL;
}

static const char *constraint_detail(const struct view_member *m, const struct service *s, struct arena *arena)
{
	for (size_t i = 0; i < s->n_constraints; i++) {
		const struct spec_constraint *c = &s->constraints[i];
		const char *have;

		if (constraint_holds(m, c))
			continue;
		have = have_of(m, c->attr, arena);
		return arena_printf(arena, "%s %s %s, and it %s%s", c->attr,
		        c->op == OP_EQ ? "==" : "!=", c->value, have ? "is " : "has none", have ? have : "");
	}
	return "";
}

static const char *feature_detail(const struct facts *f, const struct spec *spec, struct arena *arena)
{
	for (size_t i = 0; i < spec->n_features; i++) {
		size_t k = 0;

		while (k < f->n_features && strcmp(f->features[k], spec->features[i]) != 0)
			k++;
		if (k == f->n_features)
			return arena_printf(arena, "%s; it runs version %s", spec->features[i], f->version);
	}
	return "";
}

/* --- what other slots and peers have --- */

static bool same_port(const struct spec_port *a, const struct spec_port *b)
{
	return a->mode == PORT_HOST && b->mode == PORT_HOST && a->published == b->published &&
	       a->proto == b->proto;
}

static const char *port_detail(
        const struct view *v, const struct placement *p, size_t slot, size_t member, struct arena *arena)
{
	const struct service *s = service_of(v, &p->slots[slot]);

	for (size_t k = 0; k < p->n_slots; k++) {
		const struct service *other = service_of(v, &p->slots[k]);

		for (size_t i = 0; i < s->n_ports; i++)
			for (size_t j = 0; j < other->n_ports; j++)
				if (k != slot && same_port(&s->ports[i], &other->ports[j]) &&
				        fill_is_at(v, p, k, member))
					return arena_printf(arena, "%u/%s is with %s", s->ports[i].published,
					        s->ports[i].proto == PROTO_UDP ? "udp" : "tcp",
					        reason_slot_name(v, &p->slots[k], arena));
	}
	return "";
}

static bool lives_at(const struct facts *f, const char *volume)
{
	for (size_t i = 0; f && i < f->n_volumes; i++)
		if (strcmp(f->volumes[i], volume) == 0)
			return true;
	return false;
}

static const char *volume_detail(
        const struct view *v, const struct placed_slot *s, size_t member, struct arena *arena)
{
	const struct service *service = service_of(v, s);

	for (size_t i = 0; i < service->n_volumes; i++) {
		const char *name = arena_printf(arena, "%s/%s", v->stacks[s->stack].name, service->volumes[i]);

		if (lives_at(v->members[member].facts, name))
			continue;
		for (size_t m = 0; m < v->n_members; m++)
			if (lives_at(v->members[m].facts, name))
				return arena_printf(arena, "%s lives on %s", service->volumes[i],
				        view_member_name(v, m, arena));
	}
	return "";
}

static const char *device_detail(const struct view *v, const struct placement *p, size_t slot, size_t member,
        bool busy, struct arena *arena)
{
	const struct service *s = service_of(v, &p->slots[slot]);

	for (size_t i = 0; i < s->n_generic; i++) {
		const struct spec_generic *g = &s->generic[i];
		uint64_t has = facts_generic(v->members[member].facts, g->kind);
		uint64_t used = busy ? taken_of(v, p, slot, member, g->kind) : 0;

		if (g->value + used <= has)
			continue;
		return busy ? arena_printf(arena, "asks %llu %s, %llu of %llu are free",
		                      (unsigned long long)g->value, g->kind,
		                      (unsigned long long)(has - MIN(used, has)), (unsigned long long)has)
		            : arena_printf(arena, "asks %llu %s, it has %llu", (unsigned long long)g->value,
		                      g->kind, (unsigned long long)has);
	}
	return "";
}

static const char *count_detail(
        const struct view *v, const struct placement *p, size_t slot, size_t member, struct arena *arena)
{
	const struct placed_slot *s = &p->slots[slot];
	unsigned n = 0;

	for (size_t k = 0; k < p->n_slots; k++)
		n += k != slot && p->slots[k].stack == s->stack && p->slots[k].service == s->service &&
		     fill_is_at(v, p, k, member);
	return arena_printf(arena, "%u of %u are there", n, service_of(v, s)->max_replicas_per_node);
}

static const char *power_detail(const struct view *v, const struct placed_slot *s)
{
	uint32_t lacks = service_powers(service_of(v, s)) & ~v->stacks[s->stack].powers;

	return lacks ? trust_power_name(lacks & -lacks) : "";
}

const char *reason_detail(const struct view *v, const struct placement *p, size_t slot, size_t member,
        enum place_reason reason, const struct fill *fill, struct arena *arena)
{
	static const char *const states[] = {"", "suspect: it did not answer lately", "dead", "left"};
	const struct placed_slot *s = &p->slots[slot];
	const struct view_member *m = &v->members[member];

	if (reason == REASON_NOT_ALIVE)
		return states[m->state];
	if (reason == REASON_POWER)
		return power_detail(v, s);
	if (!m->facts)
		return "";
	switch (reason) {
	case REASON_FEATURE:
		return feature_detail(m->facts, v->stacks[s->stack].spec, arena);
	case REASON_CONSTRAINT:
		return constraint_detail(m, service_of(v, s), arena);
	case REASON_CAPACITY:
		return room_detail(v, p, slot, member, NULL, arena);
	case REASON_ROOM:
		return room_detail(v, p, slot, member, fill, arena);
	case REASON_PORT:
		return port_detail(v, p, slot, member, arena);
	case REASON_PER_NODE:
		return count_detail(v, p, slot, member, arena);
	case REASON_VOLUME:
		return volume_detail(v, s, member, arena);
	case REASON_DEVICE:
		return device_detail(v, p, slot, member, false, arena);
	case REASON_DEVICE_BUSY:
		return device_detail(v, p, slot, member, true, arena);
	default:
		return "";
	}
}

/* --- the slot itself --- */

static const char *name_of(const struct view *v, int32_t member, struct arena *arena)
{
	return view_member_name(v, (size_t)member, arena);
}

/* The lost peer that had the slot last, or -1. */
static int32_t lost_owner(const struct view *v, const struct placed_slot *s)
{
	size_t from, to = place_claims(v, s->slot, &from);

	for (size_t i = from; i < to; i++)
		if (v->claims[i].c.state != TASK_REFUSED && v->members[v->claims[i].member].state == VIEW_DEAD)
			return (int32_t)v->claims[i].member;
	return -1;
}

/* Voters that this peer sees alive: what decides for `partition: majority`. */
static size_t voters_in_sight(const struct view *v)
{
	size_t n = 0;

	for (size_t i = 0; i < v->n_voters; i++)
		for (size_t m = 0; m < v->n_members; m++)
			n += v->members[m].state == VIEW_ALIVE && key32_eq(&v->members[m].key, &v->voters[i]);
	return n;
}

static const char *orphan(const struct view *v, const struct placement *p, size_t slot, struct arena *arena)
{
	const struct placed_slot *s = &p->slots[slot];
	int32_t lost = lost_owner(v, s);
	const struct spec_depends_on *waits = place_waits_for(v, p, slot);
	const char *then = "";

	if (service_of(v, s)->partition == PARTITION_MAJORITY && v->n_voters &&
	        voters_in_sight(v) * 2 <= v->n_voters)
		return arena_printf(arena, "waits: %zu of %zu voters are in sight, and more than half are needed",
		        voters_in_sight(v), v->n_voters);
	if (waits)
		return arena_printf(
		        arena, "waits until %s %s (depends_on)", waits->service, depends_text(waits->condition));
	if (!s->n_candidates) {
		for (size_t i = 0; i < p->n_moves; i++)
			if (p->moves[i].for_slot == slot && p->moves[i].slot != slot)
				return arena_printf(arena, "waits while %s %s, which makes room for it",
				        reason_slot_name(v, &p->slots[p->moves[i].slot], arena),
				        p->moves[i].to < 0 ? "stops"
				                           : arena_printf(arena, "moves to %s",
				                                     name_of(v, p->moves[i].to, arena)));
		return arena_printf(
		        arena, "fits on no peer: %s (%d)", place_reason_text(s->reason), (int)s->reason);
	}
	if (s->n_candidates > 1)
		then = arena_printf(arena, "; if it does not, %s does some seconds later",
		        name_of(v, (int32_t)s->candidate[1], arena));
	if (lost >= 0 && service_of(v, s)->failover_after_ms)
		return arena_printf(arena,
		        "was lost with %s; %s starts it %llds after the loss (failover_after)%s",
		        name_of(v, lost, arena), name_of(v, (int32_t)s->candidate[0], arena),
		        (long long)service_of(v, s)->failover_after_ms / 1000, then);
	if (lost >= 0)
		return arena_printf(arena, "was lost with %s; %s starts it now%s", name_of(v, lost, arena),
		        name_of(v, (int32_t)s->candidate[0], arena), then);
	return arena_printf(
	        arena, "runs nowhere yet; %s starts it%s", name_of(v, (int32_t)s->candidate[0], arena), then);
}

static const char *moved(const struct view *v, const struct placement *p, const struct placed_move *m,
        int32_t owner, struct arena *arena)
{
	const char *from = name_of(v, owner, arena);
	const char *to = m->to >= 0 ? name_of(v, m->to, arena) : NULL;
	const char *other = m->for_slot < p->n_slots ? reason_slot_name(v, &p->slots[m->for_slot], arena) : "";

	switch (m->why) {
	case MOVE_REPAIR:
		return arena_printf(
		        arena, "runs on %s and moves to %s, to make room for %s", from, to ? to : "-", other);
	case MOVE_PREEMPT:
		return arena_printf(arena,
		        "runs on %s and stops there, to make room for %s, whose priority is higher", from, other);
	case MOVE_REBALANCE:
		return arena_printf(arena, "runs on %s and moves to %s, which is emptier", from, to ? to : "-");
	case MOVE_FAILING:
		return to ? arena_printf(arena, "keeps failing on %s; %s is to try it", from, to)
		          : arena_printf(arena, "keeps failing on %s, and stays: it fits nowhere else: %s (%d)",
		                    from, place_reason_text(m->reason), (int)m->reason);
	default:
		break;
	}
	if (to)
		return arena_printf(arena, "has to leave %s, %s; %s is to take it over", from,
		        m->why == MOVE_DRAIN ? "which drains" : "which no longer may run it", to);
	return arena_printf(arena, "runs on %s, %s, and stays: it fits nowhere else: %s (%d)", from,
	        m->why == MOVE_DRAIN ? "which drains" : "which no longer may run it",
	        place_reason_text(m->reason), (int)m->reason);
}

const char *reason_slot(const struct view *v, const struct placement *p, size_t slot, struct arena *arena)
{
	const struct placed_slot *s = &p->slots[slot];
	const struct placed_move *m = fill_move(p, slot);
	int32_t owner, heir;

	if (s->owner < 0)
		return orphan(v, p, slot, arena);
	owner = (int32_t)v->claims[s->owner].member;
	if (s->predecessor >= 0)
		return arena_printf(arena, "runs on %s, which took it over from %s; there it is about to stop",
		        name_of(v, owner, arena), name_of(v, (int32_t)v->claims[s->predecessor].member, arena));
	if (s->successor >= 0)
		return arena_printf(arena, "runs on %s, which hands it over to %s: starting there",
		        name_of(v, owner, arena), name_of(v, (int32_t)v->claims[s->successor].member, arena));
	if (m)
		return moved(v, p, m, owner, arena);
	heir = fill_bound_for(v, p, slot);
	if (heir >= 0)
		return arena_printf(arena, "runs on %s, which hands it over to %s", name_of(v, owner, arena),
		        name_of(v, heir, arena));
	if (v->members[owner].state == VIEW_DEAD)
		return arena_printf(arena,
		        "waits for %s, which is dead (partition: pause); `starling node drain %s` if it will not be back soon",
		        name_of(v, owner, arena), name_of(v, owner, arena));
	if (v->members[owner].state == VIEW_SUSPECT)
		return arena_printf(arena,
		        "runs on %s, which is suspect: nothing moves before it is believed dead",
		        name_of(v, owner, arena));
	if (v->claims[s->owner].c.state >= TASK_DONE)
		return arena_printf(arena, "has ended on %s (%s)", name_of(v, owner, arena),
		        task_state_name(v->claims[s->owner].c.state));
	if (fill_rival(v, p, slot) >= 0)
		return arena_printf(arena,
		        "runs on %s, and on %s too: one of them is to stop; if both go on, look for `disputed` in their logs",
		        name_of(v, owner, arena), name_of(v, fill_rival(v, p, slot), arena));
	return arena_printf(arena, "runs on %s, and nothing asks it to move", name_of(v, owner, arena));
}
