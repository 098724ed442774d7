/* A made-up flock for tests of placement and reconcile: members, stacks and claims, put in order by hand. */
#ifndef TESTS_UNIT_PLACEMENT_CLUSTER_H
#define TESTS_UNIT_PLACEMENT_CLUSTER_H

#include "base/drbg.h"
#include "base/hash.h"
#include "placement/place.h"

#include <stdio.h>

#define CLUSTER_MEMBERS_MAX  128
#define CLUSTER_STACKS_MAX   16
#define CLUSTER_SERVICES_MAX 8
#define CLUSTER_CLAIMS_MAX   4096

struct cluster {
	struct arena arena;
	struct view view;
	struct facts facts[CLUSTER_MEMBERS_MAX];
	struct view_member members[CLUSTER_MEMBERS_MAX];
	struct view_stack stacks[CLUSTER_STACKS_MAX];
	struct spec specs[CLUSTER_STACKS_MAX];
	struct view_claim claims[CLUSTER_CLAIMS_MAX];
};

static UNUSED struct key32 cluster_key(size_t i)
{
	struct key32 key;
	char text[32];

	snprintf(text, sizeof(text), "peer %zu", i);
	hash32(&key, text, strlen(text));
	return key;
}

/* n alive, ready peers p0, p1 ... of 4 cores and 8 GiB, in the order of their names until cluster_sort(). */
static UNUSED void cluster_init(struct cluster *c, size_t n)
{
	memset(c, 0, sizeof(*c));
	arena_init(&c->arena);
	hash32(&c->view.flock, "flock", 5);
	for (size_t i = 0; i < n; i++) {
		c->facts[i] = (struct facts){.name = arena_printf(&c->arena, "p%zu", i),
		        .version = "0.1.0",
		        .arch = "amd64",
		        .os = "linux",
		        .cpu_milli = 4000,
		        .memory = 8ULL << 30,
		        .drivers = 1 << DRIVER_EXEC,
		        .algorithm = PLACE_ALGORITHM,
		        .ready = true,
		        .adopted = true};
		c->members[i] = (struct view_member){.key = cluster_key(i),
		        .state = VIEW_ALIVE,
		        .boot = 1,
		        .facts_boot = 1,
		        .facts = &c->facts[i],
		        .reachable = true};
		c->members[i].id = key32_id(&c->members[i].key);
	}
	c->view.members = c->members;
	c->view.n_members = n;
	c->view.stacks = c->stacks;
	c->view.claims = c->claims;
}

static UNUSED void cluster_free(struct cluster *c)
{
	arena_free(&c->arena);
}

static UNUSED int cluster_by_key(const void *a, const void *b)
{
	return key32_cmp(&((const struct view_member *)a)->key, &((const struct view_member *)b)->key);
}

static UNUSED int cluster_by_stack(const void *a, const void *b)
{
	return strcmp(((const struct view_stack *)a)->name, ((const struct view_stack *)b)->name);
}

static UNUSED int cluster_by_claim(const void *pa, const void *pb)
{
	const struct view_claim *a = pa, *b = pb;

	if (a->c.slot != b->c.slot)
		return a->c.slot < b->c.slot ? -1 : 1;
	if (a->member != b->member)
		return a->member < b->member ? -1 : 1;
	return a->c.task < b->c.task ? -1 : a->c.task > b->c.task;
}

/* Call once all members stand, before claims and placing. */
static UNUSED void cluster_sort(struct cluster *c)
{
	qsort(c->members, c->view.n_members, sizeof(*c->members), cluster_by_key);
}

static UNUSED size_t cluster_member(const struct cluster *c, const char *name)
{
	for (size_t i = 0; i < c->view.n_members; i++)
		if (c->members[i].facts && !strcmp(c->members[i].facts->name, name))
			return i;
	abort();
}

/* A stack of services s0, s1 ... of one replica of /bin/sleep each. Change them, then place. */
static UNUSED struct spec *cluster_stack(struct cluster *c, const char *name, size_t n_services)
{
	static const char *command[] = {"/bin/sleep", "1000"};
	size_t i = c->view.n_stacks++;
	struct spec *spec = &c->specs[i];

	*spec = (struct spec){.arena = &c->arena,
	        .name = arena_strdup(&c->arena, name),
	        .n_services = n_services,
	        .services = arena_array(&c->arena, n_services, sizeof(struct service))};
	for (size_t k = 0; k < n_services; k++) {
		service_defaults(&spec->services[k]);
		spec->services[k].name = arena_printf(&c->arena, "s%zu", k);
		spec->services[k].command = command;
		spec->services[k].n_command = 2;
		spec->services[k].born = i + 1;
	}
	c->stacks[i] = (struct view_stack){.name = spec->name,
	        .revision_id = 0x100 + i,
	        .stamp = i + 1,
	        .spec = spec,
	        .have_body = true,
	        .powers = ~0U};
	qsort(c->stacks, c->view.n_stacks, sizeof(*c->stacks), cluster_by_stack);
	return spec;
}

static UNUSED struct view_stack *cluster_find_stack(struct cluster *c, const char *name)
{
	for (size_t i = 0; i < c->view.n_stacks; i++)
		if (!strcmp(c->stacks[i].name, name))
			return &c->stacks[i];
	abort();
}

/* A healthy, running claim; the caller may change it before the next cluster_claim. */
static UNUSED struct claim *cluster_claim(struct cluster *c, id64 slot, size_t member, id64 content)
{
	struct view_claim *vc = &c->claims[c->view.n_claims++];

	if (c->view.n_claims > CLUSTER_CLAIMS_MAX)
		abort();
	*vc = (struct view_claim){.c = {.task = slot ^ (member + 1) * 0x9e3779b97f4a7c15ULL,
	                                  .slot = slot,
	                                  .content = content,
	                                  .boot = c->members[member].boot,
	                                  .state = TASK_RUNNING,
	                                  .health = HEALTH_HEALTHY,
	                                  .healthy_since = 1},
	        .member = member};
	return &vc->c;
}

static UNUSED void cluster_sort_claims(struct cluster *c)
{
	qsort(c->claims, c->view.n_claims, sizeof(*c->claims), cluster_by_claim);
}

static UNUSED const struct service *cluster_service(const struct cluster *c, const struct placed_slot *s)
{
	return &c->stacks[s->stack].spec->services[s->service];
}

/* Every orphan is taken by its first candidate. */
static UNUSED void cluster_adopt(struct cluster *c, const struct placement *p)
{
	for (size_t i = 0; i < p->n_slots; i++)
		if (p->slots[i].owner < 0 && p->slots[i].n_candidates)
			cluster_claim(c, p->slots[i].slot, p->slots[i].candidate[0],
			        service_content(cluster_service(c, &p->slots[i])))
			        ->revision = c->stacks[p->slots[i].stack].revision_id;
	cluster_sort_claims(c);
}

/* Every owner that is told to names the target in its claim. */
static UNUSED void cluster_begin_moves(struct cluster *c, const struct placement *p)
{
	for (size_t i = 0; i < p->n_moves; i++)
		if (p->moves[i].to >= 0)
			c->claims[p->slots[p->moves[i].slot].owner].c.handover_to = c->members[p->moves[i].to].id;
}

/* Who has the slot, or would start it; -1 nobody. */
static UNUSED int cluster_peer_of(const struct cluster *c, const struct placed_slot *s)
{
	if (s->owner >= 0)
		return (int)c->claims[s->owner].member;
	return s->n_candidates ? (int)s->candidate[0] : -1;
}

static UNUSED const char *cluster_name(const struct cluster *c, size_t member)
{
	return c->members[member].facts ? c->members[member].facts->name : "(unknown)";
}

/* The placement as text, one line per slot, peers by name. Ends with NUL; memory of the cluster's arena. */
static UNUSED char *cluster_dump(struct cluster *c, const struct placement *p)
{
	struct wr w;
	char *text;

	wr_init(&w, 1 << 24);
	for (size_t i = 0; i < p->n_slots; i++) {
		const struct placed_slot *s = &p->slots[i];
		char line[256];
		int n = snprintf(line, sizeof(line), "%s/%s/%u", c->stacks[s->stack].name,
		        cluster_service(c, s)->name, s->index);

		if (s->peer_only >= 0)
			n += snprintf(
			        line + n, sizeof(line) - (size_t)n, "@%s", cluster_name(c, (size_t)s->peer_only));
		if (s->owner >= 0)
			n += snprintf(line + n, sizeof(line) - (size_t)n, " kept by %s",
			        cluster_name(c, c->claims[s->owner].member));
		for (size_t k = 0; k < s->n_candidates; k++)
			n += snprintf(
			        line + n, sizeof(line) - (size_t)n, " %s", cluster_name(c, s->candidate[k]));
		if (s->owner < 0 && !s->n_candidates)
			n += snprintf(
			        line + n, sizeof(line) - (size_t)n, " nowhere: %s", place_reason_text(s->reason));
		wr_bytes(&w, line, (size_t)n);
		wr_u8(&w, '\n');
	}
	for (size_t i = 0; i < p->n_moves; i++) {
		static const char *const why[] = {"drain", "forbidden", "repair", "preempt", "rebalance"};
		const struct placed_move *m = &p->moves[i];
		const struct placed_slot *s = &p->slots[m->slot];
		char line[256];
		int n = snprintf(line, sizeof(line), "%s %s/%s/%u: %s -> %s", why[m->why],
		        c->stacks[s->stack].name, cluster_service(c, s)->name, s->index,
		        cluster_name(c, (size_t)cluster_peer_of(c, s)),
		        m->to >= 0 ? cluster_name(c, (size_t)m->to) : "nowhere");

		if (m->to < 0)
			n += snprintf(line + n, sizeof(line) - (size_t)n, ", %s", place_reason_text(m->reason));
		if (m->for_slot != m->slot)
			n += snprintf(line + n, sizeof(line) - (size_t)n, ", for %s/%s/%u",
			        c->stacks[p->slots[m->for_slot].stack].name,
			        cluster_service(c, &p->slots[m->for_slot])->name, p->slots[m->for_slot].index);
		wr_bytes(&w, line, (size_t)n);
		wr_u8(&w, '\n');
	}
	text = arena_strndup(&c->arena, w.len ? (const char *)w.p : "", w.len);
	wr_free(&w);
	return text;
}

#endif
