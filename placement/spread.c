#include "placement/spread.h"

#include "placement/filter.h"

struct spread_entry {
	uint32_t above; /* group of the level above */
	uint32_t member;
	const char *value; /* NULL: without the label */
};

static int by_value(const void *pa, const void *pb)
{
	const struct spread_entry *a = pa, *b = pb;

	if (a->above != b->above)
		return a->above < b->above ? -1 : 1;
	if (!a->value || !b->value)
		return !!a->value - !!b->value;
	return strcmp(a->value, b->value);
}

static void form_groups(struct spread *s, const struct view *view, const char *attr, size_t level)
{
	uint32_t group = 0;

	for (size_t m = 0; m < view->n_members; m++)
		s->sorting[m] = (struct spread_entry){.above = level ? s->group[level - 1][m] : 0,
		        .member = (uint32_t)m,
		        .value = member_attr(&view->members[m], attr)};
	qsort(s->sorting, view->n_members, sizeof(*s->sorting), by_value);
	for (size_t i = 0; i < view->n_members; i++) {
		group += i > 0 && by_value(&s->sorting[i - 1], &s->sorting[i]) != 0;
		s->group[level][s->sorting[i].member] = group;
	}
}

void spread_begin(struct spread *s, const struct view *view, const struct service *service, const uint32_t *same,
        struct arena *arena)
{
	size_t n = view->n_members;

	s->levels = n ? service->n_spread : 0;
	if (s->levels && !s->sorting)
		s->sorting = arena_array(arena, n, sizeof(*s->sorting));
	for (size_t level = 0; level < s->levels; level++) {
		if (!s->group[level]) {
			s->group[level] = arena_array(arena, n, sizeof(*s->group[level]));
			s->replicas[level] = arena_array(arena, n, sizeof(*s->replicas[level]));
		}
		memset(s->replicas[level], 0, n * sizeof(*s->replicas[level]));
		form_groups(s, view, service->spread[level], level);
		for (size_t m = 0; m < n; m++)
			s->replicas[level][s->group[level][m]] += same[m];
	}
}

void spread_count(struct spread *s, size_t member, int by)
{
	for (size_t level = 0; level < s->levels; level++)
		s->replicas[level][s->group[level][member]] += (uint32_t)by;
}

int spread_compare(const struct spread *s, size_t a, size_t b)
{
	for (size_t level = 0; level < s->levels; level++) {
		uint32_t ra = s->replicas[level][s->group[level][a]];
		uint32_t rb = s->replicas[level][s->group[level][b]];

		if (ra != rb)
			return ra < rb ? -1 : 1;
	}
	return 0;
}
