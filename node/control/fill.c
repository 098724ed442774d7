#include "node/control/fill.h"

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

		for (size_t i = from; i < to; i++) {
			struct fill *f = &out[v->claims[i].member];

			if (!fill_counts(v, &v->claims[i]))
				continue;
			f->cpu_milli += service->reserve.cpu_milli;
			f->memory += service->reserve.memory;
		}
	}
}
