/* What operators sign: stacks with real specs, and settings. */
#include "tests/sim/sim_work.h"

#include "base/hash.h"
#include "placement/settings.h"
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

/* Settings. */

static bool set(struct sim *s, unsigned at, const char *name, struct wr *body, struct err *err)
{
	struct record r = {.kind = REC_SETTING, .body = body->p, .body_len = (uint32_t)body->len};
	struct key32 parents[STACK_HEADS_MAX];
	struct stack_heads heads;
	uint64_t ticket;
	bool ok;

	snprintf(r.name, sizeof(r.name), "%s", name);
	store_setting_heads(gossip_store(sim_agent(s, at)), name, NULL, NULL, &heads);
	for (size_t i = 0; i < heads.n; i++)
		parents[i] = heads.head[i]->rec.id;
	r.n_parents = (uint8_t)heads.n;
	r.parents = parents;
	ok = sim_submit_as(s, at, &r, s->admin, &ticket, err);
	wr_free(body);
	return ok;
}

bool sim_try_drain(struct sim *s, unsigned at, unsigned peer, bool drain, struct err *err)
{
	char name[RECORD_NAME_MAX + 1];
	struct wr w;

	setting_name(name, SETTING_DRAIN, key32_id(&s->peer[peer].key));
	wr_init(&w, SETTING_BYTES_MAX);
	drain_encode(&w, drain);
	return set(s, at, name, &w, err);
}

void sim_set_drain(struct sim *s, unsigned at, unsigned peer, bool drain)
{
	struct err err;

	if (!sim_try_drain(s, at, peer, drain, &err))
		sim_fail(s, __FILE__, __LINE__, err.text);
}

bool sim_try_label(struct sim *s, unsigned at, unsigned peer, const char *key, const char *value, struct err *err)
{
	const struct kv label = {.key = key, .value = value};
	char name[RECORD_NAME_MAX + 1];
	struct wr w;

	setting_name(name, SETTING_LABELS, key32_id(&s->peer[peer].key));
	wr_init(&w, SETTING_BYTES_MAX);
	labels_encode(&w, &label, 1);
	return set(s, at, name, &w, err);
}

void sim_set_label(struct sim *s, unsigned at, unsigned peer, const char *key, const char *value)
{
	struct err err;

	if (!sim_try_label(s, at, peer, key, value, &err))
		sim_fail(s, __FILE__, __LINE__, err.text);
}

static int by_key(const void *a, const void *b)
{
	return key32_cmp(a, b);
}

void sim_set_voters(struct sim *s, unsigned at)
{
	struct key32 voters[VOTERS_MAX];
	size_t n = MIN(s->n, (unsigned)VOTERS_MAX);
	struct err err;
	struct wr w;

	for (size_t i = 0; i < n; i++)
		voters[i] = s->peer[i].key;
	qsort(voters, n, sizeof(*voters), by_key);
	wr_init(&w, SETTING_BYTES_MAX);
	voters_encode(&w, voters, n);
	if (!set(s, at, SETTING_VOTERS, &w, &err))
		sim_fail(s, __FILE__, __LINE__, err.text);
}

void sim_order_rebalance(struct sim *s, unsigned at)
{
	struct err err;
	struct wr w;

	wr_init(&w, SETTING_BYTES_MAX);
	rebalance_encode(&w);
	if (!set(s, at, SETTING_REBALANCE, &w, &err))
		sim_fail(s, __FILE__, __LINE__, err.text);
}
