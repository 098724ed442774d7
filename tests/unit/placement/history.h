/*
 * Random histories of a made-up flock: members, facts, stacks and claims change, and what the placement says is done, or not.
 * All randomness is the caller's, so that a history can be told again.
 */
#ifndef TESTS_UNIT_PLACEMENT_HISTORY_H
#define TESTS_UNIT_PLACEMENT_HISTORY_H

#include "tests/unit/placement/cluster.h"

/* One at a time; too large for the stack. */
static struct cluster c;
static const char *const zones[] = {"a", "b", "c"};

/* ---- changes ---- */

static UNUSED size_t history_any(struct drbg *r, size_t n)
{
	return (size_t)drbg_below(r, n);
}

/* As a record that came: facts that stood are never changed in place. */
static UNUSED struct facts *history_new_facts(struct view_member *m)
{
	struct facts *f = arena_memdup(&c.arena, m->facts ? m->facts : &c.facts[0], sizeof(*f));

	if (!m->facts) {
		f->name = "found";
		f->ready = f->adopted = true;
	}
	m->facts = f;
	return f;
}

static UNUSED void history_change_facts(struct drbg *r, struct view_member *m)
{
	static struct spec_generic gpu[] = {{"gpu", 1}, {"gpu", 3}};
	static const char *volumes[] = {"stackd/data", "stackk/data"};
	struct facts *f = history_new_facts(m);

	switch (drbg_below(r, 8)) {
	case 0:
		f->cpu_milli = 1000 * drbg_below(r, 12);
		break;
	case 1:
		f->memory = (uint64_t)(1 + drbg_below(r, 16)) << 30;
		break;
	case 2:
		f->ready = !f->ready;
		break;
	case 3:
		f->adopted = !f->adopted;
		break;
	case 4:
		f->n_generic = history_any(r, 2);
		f->generic = &gpu[history_any(r, 2)];
		break;
	case 5:
		f->n_volumes = history_any(r, 2);
		f->volumes = &volumes[history_any(r, 2)];
		break;
	case 6:
		m->facts = NULL;
		break;
	default:
		f->drivers = drbg_below(r, 4) ? 1 << DRIVER_EXEC : 0;
	}
}

static UNUSED void history_change_member(struct drbg *r)
{
	struct view_member *m = &c.members[history_any(r, c.view.n_members)];
	struct kv *label;

	switch (drbg_below(r, 7)) {
	case 0:
		m->state = (enum view_state)drbg_below(r, 4);
		break;
	case 1:
		m->state = VIEW_ALIVE;
		m->draining = m->overdue = false;
		break;
	case 2:
		m->boot += (uint32_t)drbg_below(r, 2);
		m->facts_boot = m->boot - (uint32_t)drbg_below(r, 2);
		break;
	case 3:
		m->draining = !m->draining;
		break;
	case 4:
		m->overdue = !m->overdue;
		break;
	case 5:
		/* At the same address or another, other labels. */
		label = m->n_labels && drbg_below(r, 2) ? (struct kv *)m->labels
		                                        : arena_alloc(&c.arena, sizeof(*label));
		*label = (struct kv){"zone", zones[drbg_below(r, 3)]};
		m->labels = label;
		m->n_labels = 1;
		break;
	default:
		history_change_facts(r, m);
	}
}

static UNUSED void history_change_service(struct drbg *r, struct service *s)
{
	static struct spec_constraint zone[2][1] = {
	        {{"node.labels.zone", OP_EQ, "a"}}, {{"node.labels.zone", OP_NE, "b"}}};
	static struct spec_port port[2][1] = {{{.name = "a", .target = 80, .published = 80, .mode = PORT_HOST}},
	        {{.name = "a", .target = 80, .published = 81, .mode = PORT_HOST}}};
	static struct spec_generic gpu[] = {{"gpu", 1}};
	static const char *spread[] = {"node.labels.zone"}, *data[] = {"data"};
	static struct spec_prefer prefer[] = {{"node.labels.zone", OP_EQ, "c", 50}};

	switch (drbg_below(r, 12)) {
	case 0:
		s->mode = s->mode == MODE_GLOBAL || drbg_below(r, 2) ? MODE_REPLICATED : MODE_GLOBAL;
		break;
	case 1:
		s->reserve.cpu_milli = 250 * drbg_below(r, 6);
		break;
	case 2:
		s->reserve.memory = (uint64_t)drbg_below(r, 4) << 29;
		break;
	case 3:
		s->priority = (int32_t)drbg_below(r, 3) - 1;
		break;
	case 4:
		s->max_replicas_per_node = (uint32_t)drbg_below(r, 3);
		break;
	case 5:
		s->n_constraints = history_any(r, 2);
		s->constraints = zone[history_any(r, 2)];
		break;
	case 6:
		s->n_ports = history_any(r, 2);
		s->ports = port[history_any(r, 2)];
		break;
	case 7:
		s->partition = (enum spec_partition)drbg_below(r, 3);
		break;
	case 8:
		s->n_generic = history_any(r, 2);
		s->generic = gpu;
		break;
	case 9:
		s->n_spread = history_any(r, 2);
		s->spread = spread;
		s->n_prefer = history_any(r, 2);
		s->prefer = prefer;
		break;
	case 10:
		s->n_volumes = history_any(r, 2);
		s->volumes = data;
		break;
	default:
		s->replicas = (uint32_t)drbg_below(r, 12);
	}
}

/* A new revision: the spec stands at another address. */
static UNUSED void history_change_stack(struct drbg *r)
{
	struct view_stack *st;
	struct spec *spec;

	if (c.view.n_stacks < 4 || (c.view.n_stacks < CLUSTER_STACKS_MAX && drbg_below(r, 8) == 0)) {
		char name[16];

		snprintf(name, sizeof(name), "stack%c", (int)('a' + (c.view.n_stacks * 7 + 3) % 16));
		spec = cluster_stack(&c, name, 1 + history_any(r, 4));
		for (size_t k = 0; k < spec->n_services; k++) {
			spec->services[k].born = 1 + drbg_below(r, 4);
			for (int i = 0; i < 4; i++)
				history_change_service(r, &spec->services[k]);
		}
		return;
	}
	st = &c.stacks[history_any(r, c.view.n_stacks)];
	switch (drbg_below(r, 6)) {
	case 0:
		st->removed = !st->removed;
		return;
	case 1:
		st->powers = drbg_below(r, 2) ? ~0U : 0;
		return;
	default:
		spec = arena_memdup(&c.arena, st->spec, sizeof(*spec));
		spec->services =
		        arena_memdup(&c.arena, spec->services, spec->n_services * sizeof(*spec->services));
		history_change_service(r, &spec->services[history_any(r, spec->n_services)]);
		st->spec = spec;
		st->revision_id++;
	}
}

static UNUSED void history_drop_claim(size_t i)
{
	memmove(&c.claims[i], &c.claims[i + 1], (--c.view.n_claims - i) * sizeof(*c.claims));
}

/* Claims of anything by anybody. */
static UNUSED void history_change_claim(struct drbg *r, const struct placement *p)
{
	struct claim *claim;
	id64 slot;

	if (c.view.n_claims && drbg_below(r, 4)) {
		size_t i = history_any(r, c.view.n_claims);

		claim = &c.claims[i].c;
		switch (drbg_below(r, 8)) {
		case 0:
			history_drop_claim(i);
			return;
		case 1:
			claim->state = (enum task_state)drbg_below(r, TASK_REFUSED + 1);
			break;
		case 2:
			claim->health = (enum task_health)drbg_below(r, 4);
			break;
		case 3:
			claim->sight = (enum claim_sight)drbg_below(r, 3);
			break;
		case 4:
			claim->handover_to =
			        drbg_below(r, 2) ? c.members[history_any(r, c.view.n_members)].id : 0;
			break;
		case 5:
			claim->boot = c.members[c.claims[i].member].boot;
			break;
		case 6:
			claim->replaces = !claim->replaces;
			break;
		default:
			claim->revision++;
			claim->healthy_since++;
			claim->content ^= 1;
		}
		return;
	}
	if (!p->n_slots || c.view.n_claims + 1 >= CLUSTER_CLAIMS_MAX)
		return;
	/* One after the other: compilers evaluate arguments in either order. */
	slot = p->slots[history_any(r, p->n_slots)].slot;
	claim = cluster_claim(&c, slot, history_any(r, c.view.n_members), 0);
	claim->task ^= drbg_below(r, 2);
	if (drbg_below(r, 8) == 0)
		claim->slot = drbg_u64(r);
}

/* What the placement says is done: orphans start, moves are begun or finished, what lost stops. */
static UNUSED void history_follow(struct drbg *r, const struct placement *p)
{
	for (size_t i = 0; i < p->n_moves && c.view.n_claims + 1 < CLUSTER_CLAIMS_MAX; i++) {
		const struct placed_slot *s = &p->slots[p->moves[i].slot];

		if (p->moves[i].to < 0 || drbg_below(r, 2))
			continue;
		c.claims[s->owner].c.handover_to = c.members[p->moves[i].to].id;
		if (drbg_below(r, 2))
			cluster_claim(&c, s->slot, (size_t)p->moves[i].to, 0)->health = HEALTH_STARTING;
	}
	for (size_t i = 0; i < p->n_slots && c.view.n_claims + 1 < CLUSTER_CLAIMS_MAX; i++)
		if (p->slots[i].owner < 0 && p->slots[i].n_candidates && drbg_below(r, 4))
			cluster_claim(&c, p->slots[i].slot, p->slots[i].candidate[0],
			        service_content(cluster_service(&c, &p->slots[i])))
			        ->revision = c.stacks[p->slots[i].stack].revision_id;
	for (size_t i = c.view.n_claims; i-- > 0;)
		if (c.members[c.claims[i].member].state > VIEW_SUSPECT && drbg_below(r, 2))
			history_drop_claim(i);
		else if (c.claims[i].c.health == HEALTH_STARTING && drbg_below(r, 2))
			c.claims[i].c.health = HEALTH_HEALTHY;
}

/* A member joins or is evicted: all after it stand elsewhere. */
static UNUSED void history_change_membership(struct drbg *r)
{
	size_t n = c.view.n_members, at;

	if (n > 2 && drbg_below(r, 2)) {
		at = history_any(r, n);
		for (size_t i = c.view.n_claims; i-- > 0;) {
			if (c.claims[i].member == at)
				history_drop_claim(i);
			else if (c.claims[i].member > at)
				c.claims[i].member--;
		}
		memmove(&c.members[at], &c.members[at + 1], (--c.view.n_members - at) * sizeof(*c.members));
		return;
	}
	if (n + 1 >= CLUSTER_MEMBERS_MAX)
		return;
	c.members[n] = c.members[0];
	c.members[n].key = cluster_key(1000 + history_any(r, 100000));
	c.members[n].id = key32_id(&c.members[n].key);
	for (at = 0; key32_cmp(&c.members[at].key, &c.members[n].key) < 0; at++)
		;
	if (at < n && key32_eq(&c.members[at].key, &c.members[n].key))
		return;
	for (size_t i = 0; i < c.view.n_claims; i++)
		c.claims[i].member += c.claims[i].member >= at;
	c.view.n_members++;
	cluster_sort(&c);
}

static UNUSED void history_step(struct drbg *r, const struct placement *p, bool wild)
{
	static struct key32 voters[2];

	for (uint64_t n = drbg_below(r, 4); n > 0; n--)
		switch (drbg_below(r, 12)) {
		case 0:
		case 1:
		case 2:
			history_change_member(r);
			break;
		case 3:
			if (drbg_below(r, 2))
				history_change_stack(r);
			break;
		case 4:
			if (drbg_below(r, 4) == 0)
				history_change_membership(r);
			break;
		case 5:
			if (drbg_below(r, 4) == 0) {
				c.view.voters = voters;
				c.view.n_voters = history_any(r, 3);
			}
			break;
		default:
			if (wild || drbg_below(r, 8) == 0)
				history_change_claim(r, p);
		}
	cluster_sort_claims(&c);
}

/* Two to thirteen members, three stacks. Returns whether claims are made of anything by anybody. */
static UNUSED bool history_begin(struct drbg *r, uint64_t seed)
{
	bool wild;

	drbg_init_u64(r, seed, 0);
	wild = drbg_below(r, 2);
	cluster_init(&c, 2 + history_any(r, 12));
	cluster_sort(&c);
	for (int i = 0; i < 3; i++)
		history_change_stack(r);
	return wild;
}

/* Step i, of which the randomness is the seed's and its own; p: the placement before it. */
static UNUSED void history_go_on(uint64_t seed, int i, const struct placement *p, bool wild)
{
	struct drbg r;

	drbg_init_u64(&r, seed, (uint64_t)i + 1);
	if (drbg_below(&r, 2))
		history_follow(&r, p);
	cluster_sort_claims(&c);
	history_step(&r, p, wild);
}

#endif
