#include "node/control/fill.h"

#include "placement/filter.h"

uint64_t fill_percent(const struct fill *fill, const struct facts *facts)
{
	uint64_t cpu, memory;

	if (!facts || !facts->cpu_milli || !facts->memory)
		return 0;
	cpu = fill->felt_cpu_milli * 100 / facts->cpu_milli;
	memory = fill->felt_memory / (facts->memory / 100 + 1);
	return MAX(cpu, memory);
}

static void add(struct fill *f, const struct service *s)
{
	f->cpu_milli += s->reserve.cpu_milli;
	f->memory += s->reserve.memory;
	f->felt_cpu_milli += felt_cpu(&s->reserve);
	f->felt_memory += felt_memory(&s->reserve);
}

bool fill_counts(const struct view *v, const struct view_claim *c)
{
	return c->c.state < TASK_DONE && claim_is_live(v, c);
}

void fill_members(const struct view *v, const struct placement *p, struct fill *out)
{
	memset(out, 0, v->n_members * sizeof(*out));
	for (size_t i = 0; i < v->n_claims; i++)
		if (fill_counts(v, &v->claims[i]))
			out[v->claims[i].member].tasks++;
	for (size_t k = 0; k < p->n_slots; k++) {
		const struct placed_slot *s = &p->slots[k];
		const struct service *service = &v->stacks[s->stack].spec->services[s->service];
		size_t from, to = place_claims(v, s->slot, &from);

		for (size_t i = from; i < to; i++)
			if (fill_counts(v, &v->claims[i]))
				add(&out[v->claims[i].member], service);
	}
}

const struct placed_move *fill_move(const struct placement *p, size_t slot)
{
	size_t from = 0, to = p->n_moves;

	while (from < to) {
		size_t mid = from + (to - from) / 2;

		if (p->moves[mid].slot == slot)
			return &p->moves[mid];
		if (p->moves[mid].slot < slot)
			from = mid + 1;
		else
			to = mid;
	}
	return NULL;
}

int32_t fill_rival(const struct view *v, const struct placement *p, size_t slot)
{
	const struct placed_slot *s = &p->slots[slot];
	size_t from, to = place_claims(v, s->slot, &from);

	for (size_t i = from; s->owner >= 0 && s->successor < 0 && s->predecessor < 0 && i < to; i++)
		if (v->claims[i].member != v->claims[s->owner].member && claim_serves(&v->claims[i].c) &&
		        claim_is_live(v, &v->claims[i]))
			return (int32_t)v->claims[i].member;
	return -1;
}

int32_t fill_bound_for(const struct view *v, const struct placement *p, size_t slot)
{
	const struct placed_slot *s = &p->slots[slot];
	const struct placed_move *m = fill_move(p, slot);

	if (s->owner < 0)
		return s->n_candidates ? (int32_t)s->candidate[0] : -1;
	if (m)
		return m->to;
	if (s->successor >= 0)
		return -1;
	for (size_t i = 0; v->claims[s->owner].c.handover_to && i < v->n_members; i++)
		if (v->members[i].id == v->claims[s->owner].c.handover_to)
			return (int32_t)i;
	return -1;
}

bool fill_is_at(const struct view *v, const struct placement *p, size_t slot, size_t member)
{
	size_t from, to = place_claims(v, p->slots[slot].slot, &from);

	for (size_t i = from; i < to; i++)
		if (v->claims[i].member == member && fill_counts(v, &v->claims[i]))
			return true;
	return fill_bound_for(v, p, slot) == (int32_t)member;
}

void fill_planned(const struct view *v, const struct placement *p, struct fill *out)
{
	for (size_t k = 0; k < p->n_slots; k++) {
		const struct placed_slot *s = &p->slots[k];
		const struct service *service = &v->stacks[s->stack].spec->services[s->service];
		int32_t to = fill_bound_for(v, p, k);

		if (to >= 0)
			add(&out[to], service);
	}
}
