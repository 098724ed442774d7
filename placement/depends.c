#include "placement/depends.h"

static bool holds_for(enum spec_depends condition, const struct claim *c)
{
	switch (condition) {
	case DEPENDS_STARTED:
		return c->state == TASK_RUNNING || c->state == TASK_UNHEALTHY || c->state == TASK_DONE;
	case DEPENDS_HEALTHY:
		return claim_serves(c);
	case DEPENDS_COMPLETED:
		return c->state == TASK_DONE;
	}
	return false;
}

static bool holds(const struct view *view, const struct placement *p, uint32_t stack, uint32_t service,
        enum spec_depends condition)
{
	size_t wanted = 0, held = 0;

	for (size_t k = 0; k < p->n_slots; k++) {
		const struct placed_slot *s = &p->slots[k];

		if (s->stack != stack || s->service != service)
			continue;
		wanted++;
		held += s->owner >= 0 && holds_for(condition, &view->claims[s->owner].c);
	}
	return condition == DEPENDS_COMPLETED ? held == wanted : held || !wanted;
}

const struct spec_depends_on *place_waits_for(const struct view *view, const struct placement *p, size_t slot)
{
	const struct placed_slot *s = &p->slots[slot];
	const struct spec *spec = view->stacks[s->stack].spec;
	const struct service *mine = &spec->services[s->service];

	for (size_t i = 0; i < mine->n_depends_on; i++) {
		const struct service *other = spec_service(spec, mine->depends_on[i].service);

		if (other && !holds(view, p, s->stack, (uint32_t)(other - spec->services),
		                     mine->depends_on[i].condition))
			return &mine->depends_on[i];
	}
	return NULL;
}

const char *depends_text(enum spec_depends condition)
{
	static const char *const texts[] = {
	        [DEPENDS_STARTED] = "is started",
	        [DEPENDS_HEALTHY] = "is healthy",
	        [DEPENDS_COMPLETED] = "has completed successfully",
	};

	return texts[condition];
}
