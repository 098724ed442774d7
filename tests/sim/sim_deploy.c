/* What operators sign: stacks with real specs. */
#include "tests/sim/sim_work.h"

#include "tests/sim/sim_core.h"

#include <string.h>

struct service sim_service(struct sim *s, const char *name, uint32_t replicas, const char *what)
{
	const char **argv = arena_array(&s->works->arena, 2, sizeof(*argv));
	struct service v;

	argv[0] = "/bin/task";
	argv[1] = what;
	service_defaults(&v);
	v.name = name;
	v.command = argv;
	v.n_command = 2;
	v.replicas = replicas;
	return v;
}

/* As the CLI does: the stamp of the revision in which the service first stood, as that peer knows it. */
static uint64_t born(const struct sim *s, unsigned at, const char *stack, const char *service)
{
	const struct view *view = work_view(s->works->worker[at].work);
	const struct service *found;

	for (size_t i = 0; i < view->n_stacks; i++) {
		if (strcmp(view->stacks[i].name, stack) || !view->stacks[i].spec)
			continue;
		found = spec_service(view->stacks[i].spec, service);
		if (found)
			return found->born;
	}
	return gossip_stamp(s->peer[at].gossip, sim_peer_now(s, at).wall);
}

bool sim_try_deploy(
        struct sim *s, unsigned at, const char *stack, const struct service *services, size_t n, struct err *err)
{
	struct arena arena;
	struct spec spec = {.arena = &arena, .name = stack, .n_services = n};
	uint64_t ticket;
	struct key32 id;
	struct wr w;
	bool ok;

	sim_agent(s, at);
	arena_init(&arena);
	spec.services = arena_memdup(&arena, services, n * sizeof(*services));
	for (size_t i = 0; i < n; i++)
		spec.services[i].born = born(s, at, stack, services[i].name);
	spec_sort(&spec);
	if (spec_check(&spec, err) < 0)
		sim_fail(s, __FILE__, __LINE__, err->text);
	wr_init(&w, BODY_BYTES_MAX);
	spec_encode(&w, &spec);
	ok = sim_submit_body(s, at, stack, w.p, w.len, &id, &ticket, err);
	wr_free(&w);
	arena_free(&arena);
	return ok;
}

void sim_deploy(struct sim *s, unsigned at, const char *stack, const struct service *services, size_t n)
{
	struct err err;

	if (!sim_try_deploy(s, at, stack, services, n, &err))
		sim_fail(s, __FILE__, __LINE__, err.text);
}

bool sim_try_undeploy(struct sim *s, unsigned at, const char *stack, struct err *err)
{
	uint64_t ticket;
	struct key32 id;

	return sim_submit_body(s, at, stack, NULL, 0, &id, &ticket, err);
}
