/* Laws of depends_on, which services of one stack keep together. */
#include "placement/spec/check.h"

#include <stdio.h>

enum mark { UNSEEN, OPEN, DONE };

struct walk {
	const struct spec *spec;
	uint8_t marks[STACK_SERVICES_MAX];
	size_t depth;
	size_t path[STACK_SERVICES_MAX]; /* the services that are open, outermost first */
};

/* Index of a service; spec->n_services when it has none of that name. They are in order. */
static size_t find(const struct spec *spec, const char *name)
{
	size_t from = 0, to = spec->n_services;

	while (from < to) {
		size_t mid = from + (to - from) / 2;
		int order = strcmp(spec->services[mid].name, name);

		if (!order)
			return mid;
		if (order < 0)
			from = mid + 1;
		else
			to = mid;
	}
	return spec->n_services;
}

/* "a -> b -> a", cut to fit. */
static int cycle(const struct walk *w, size_t first, struct err *err)
{
	const struct service *services = w->spec->services;
	char text[256] = "";
	size_t len = 0;
	size_t at = 0;

	while (w->path[at] != first)
		at++;
	for (size_t i = at; i < w->depth && len < sizeof(text); i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s -> ", services[w->path[i]].name);
	return fault(err, "services.%s: depends_on: goes in a circle, so that none could start: %s%s",
	        services[first].name, text, services[first].name);
}

/* Depth first; the recursion is as deep as there are services. */
static int visit(struct walk *w, size_t i, struct err *err)
{
	const struct service *s = &w->spec->services[i];

	w->marks[i] = OPEN;
	w->path[w->depth++] = i;
	for (size_t d = 0; d < s->n_depends_on; d++) {
		size_t next = find(w->spec, s->depends_on[d].service);

		if (next == w->spec->n_services || w->marks[next] == DONE)
			continue;
		if (w->marks[next] == OPEN)
			return cycle(w, next, err);
		if (visit(w, next, err) < 0)
			return -1;
	}
	w->depth--;
	w->marks[i] = DONE;
	return 0;
}

static int check_one(const struct spec *spec, const struct service *s, size_t i, struct err *err)
{
	const struct spec_depends_on *d = &s->depends_on[i];
	const struct service *other;
	size_t at;

	if (!d->service)
		return fault(err, "services.%s: depends_on: an entry names no service", s->name);
	if (i > 0 && strcmp(s->depends_on[i - 1].service, d->service) >= 0)
		return fault(
		        err, "services.%s: depends_on.%s: stands twice, or is not in order", s->name, d->service);
	at = find(spec, d->service);
	if (at == spec->n_services)
		return d->optional ? 0
		                   : fault(err, "services.%s: depends_on.%s: the stack has no such service",
		                             s->name, d->service);
	other = &spec->services[at];
	if (d->condition == DEPENDS_COMPLETED && other->restart.condition == RESTART_ANY)
		return fault(err,
		        "services.%s: depends_on.%s: %s never completes, since it is started again whenever it ends: give it "
		        "`restart: no` or `restart: on-failure`",
		        s->name, d->service, d->service);
	return 0;
}

int check_depends(const struct spec *spec, struct err *err)
{
	struct walk w = {.spec = spec};

	for (size_t i = 0; i < spec->n_services; i++)
		for (size_t d = 0; d < spec->services[i].n_depends_on; d++)
			if (check_one(spec, &spec->services[i], d, err) < 0)
				return -1;
	for (size_t i = 0; i < spec->n_services; i++)
		if (w.marks[i] == UNSEEN && visit(&w, i, err) < 0)
			return -1;
	return 0;
}
