/*
 * The placer's law: after any history of changes its placement is that of place(), in every field. A history comes from a
 * number, and each of its steps from that number and its own, so that a failing one is told again without the steps that it
 * does not need. STARLING_TEST_SEED=N tells that one alone; STARLING_TEST_SECONDS bounds the search (3 s).
 */
#include "placement/placer_parts.h"
#include "tests/unit/placement/cluster.h"
#include "tests/unit/unit.h"

#include <time.h>

#define STEPS 120

static struct cluster c;
static const char *const zones[] = {"a", "b", "c"};

/* ---- changes ---- */

static size_t any(struct drbg *r, size_t n)
{
	return (size_t)drbg_below(r, n);
}

/* As a record that came: facts that stood are never changed in place. */
static struct facts *new_facts(struct view_member *m)
{
	struct facts *f = arena_memdup(&c.arena, m->facts ? m->facts : &c.facts[0], sizeof(*f));

	if (!m->facts) {
		f->name = "found";
		f->ready = f->adopted = true;
	}
	m->facts = f;
	return f;
}

static void change_facts(struct drbg *r, struct view_member *m)
{
	static struct spec_generic gpu[] = {{"gpu", 1}, {"gpu", 3}};
	static const char *volumes[] = {"stackd/data", "stackk/data"};
	struct facts *f = new_facts(m);

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
		f->n_generic = any(r, 2);
		f->generic = &gpu[any(r, 2)];
		break;
	case 5:
		f->n_volumes = any(r, 2);
		f->volumes = &volumes[any(r, 2)];
		break;
	case 6:
		m->facts = NULL;
		break;
	default:
		f->drivers = drbg_below(r, 4) ? 1 << DRIVER_EXEC : 0;
	}
}

static void change_member(struct drbg *r)
{
	struct view_member *m = &c.members[any(r, c.view.n_members)];
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
		change_facts(r, m);
	}
}

static void change_service(struct drbg *r, struct service *s)
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
		s->n_constraints = any(r, 2);
		s->constraints = zone[any(r, 2)];
		break;
	case 6:
		s->n_ports = any(r, 2);
		s->ports = port[any(r, 2)];
		break;
	case 7:
		s->partition = (enum spec_partition)drbg_below(r, 3);
		break;
	case 8:
		s->n_generic = any(r, 2);
		s->generic = gpu;
		break;
	case 9:
		s->n_spread = any(r, 2);
		s->spread = spread;
		s->n_prefer = any(r, 2);
		s->prefer = prefer;
		break;
	case 10:
		s->n_volumes = any(r, 2);
		s->volumes = data;
		break;
	default:
		s->replicas = (uint32_t)drbg_below(r, 12);
	}
}

/* A new revision: the spec stands at another address. */
static void change_stack(struct drbg *r)
{
	struct view_stack *st;
	struct spec *spec;

	if (c.view.n_stacks < 4 || (c.view.n_stacks < CLUSTER_STACKS_MAX && drbg_below(r, 8) == 0)) {
		char name[16];

		snprintf(name, sizeof(name), "stack%c", (int)('a' + (c.view.n_stacks * 7 + 3) % 16));
		spec = cluster_stack(&c, name, 1 + any(r, 4));
		for (size_t k = 0; k < spec->n_services; k++) {
			spec->services[k].born = 1 + drbg_below(r, 4);
			for (int i = 0; i < 4; i++)
				change_service(r, &spec->services[k]);
		}
		return;
	}
	st = &c.stacks[any(r, c.view.n_stacks)];
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
		change_service(r, &spec->services[any(r, spec->n_services)]);
		st->spec = spec;
		st->revision_id++;
	}
}

static void drop_claim(size_t i)
{
	memmove(&c.claims[i], &c.claims[i + 1], (--c.view.n_claims - i) * sizeof(*c.claims));
}

/* Claims of anything by anybody. */
static void change_claim(struct drbg *r, const struct placement *p)
{
	struct claim *claim;

	if (c.view.n_claims && drbg_below(r, 4)) {
		size_t i = any(r, c.view.n_claims);

		claim = &c.claims[i].c;
		switch (drbg_below(r, 8)) {
		case 0:
			drop_claim(i);
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
			claim->handover_to = drbg_below(r, 2) ? c.members[any(r, c.view.n_members)].id : 0;
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
	claim = cluster_claim(&c, p->slots[any(r, p->n_slots)].slot, any(r, c.view.n_members), 0);
	claim->task ^= drbg_below(r, 2);
	if (drbg_below(r, 8) == 0)
		claim->slot = drbg_u64(r);
}

/* What the placement says is done: orphans start, moves are begun or finished, what lost stops. */
static void follow(struct drbg *r, const struct placement *p)
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
			drop_claim(i);
		else if (c.claims[i].c.health == HEALTH_STARTING && drbg_below(r, 2))
			c.claims[i].c.health = HEALTH_HEALTHY;
}

/* A member joins or is evicted: all after it stand elsewhere. */
static void change_membership(struct drbg *r)
{
	size_t n = c.view.n_members, at;

	if (n > 2 && drbg_below(r, 2)) {
		at = any(r, n);
		for (size_t i = c.view.n_claims; i-- > 0;) {
			if (c.claims[i].member == at)
				drop_claim(i);
			else if (c.claims[i].member > at)
				c.claims[i].member--;
		}
		memmove(&c.members[at], &c.members[at + 1], (--c.view.n_members - at) * sizeof(*c.members));
		return;
	}
	if (n + 1 >= CLUSTER_MEMBERS_MAX)
		return;
	c.members[n] = c.members[0];
	c.members[n].key = cluster_key(1000 + any(r, 100000));
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

static void step(struct drbg *r, const struct placement *p, bool wild)
{
	static struct key32 voters[2];

	for (uint64_t n = drbg_below(r, 4); n > 0; n--)
		switch (drbg_below(r, 12)) {
		case 0:
		case 1:
		case 2:
			change_member(r);
			break;
		case 3:
			if (drbg_below(r, 2))
				change_stack(r);
			break;
		case 4:
			if (drbg_below(r, 4) == 0)
				change_membership(r);
			break;
		case 5:
			if (drbg_below(r, 4) == 0) {
				c.view.voters = voters;
				c.view.n_voters = any(r, 3);
			}
			break;
		default:
			if (wild || drbg_below(r, 8) == 0)
				change_claim(r, p);
		}
	cluster_sort_claims(&c);
}

/* ---- the law ---- */

static const char *difference(const struct placement *a, const struct placement *b)
{
	if (a->n_slots != b->n_slots || a->n_left_out != b->n_left_out)
		return "number of slots";
	for (size_t i = 0; i < a->n_slots; i++) {
		const struct placed_slot *x = &a->slots[i], *y = &b->slots[i];

		if (x->slot != y->slot || x->stack != y->stack || x->service != y->service ||
		        x->index != y->index || x->peer_only != y->peer_only)
			return "slots";
		if (x->owner != y->owner || x->successor != y->successor || x->predecessor != y->predecessor)
			return "owners";
		if (x->n_candidates != y->n_candidates || x->reason != y->reason ||
		        memcmp(x->candidate, y->candidate, sizeof(x->candidate)) != 0)
			return "candidates";
	}
	if (a->n_moves != b->n_moves)
		return "number of moves";
	for (size_t i = 0; i < a->n_moves; i++)
		if (a->moves[i].slot != b->moves[i].slot || a->moves[i].to != b->moves[i].to ||
		        a->moves[i].why != b->moves[i].why || a->moves[i].for_slot != b->moves[i].for_slot ||
		        a->moves[i].reason != b->moves[i].reason)
			return "moves";
	return NULL;
}

static size_t calls, crowded;

/* Returns the step that differs, or -1. skip: steps in which nothing happens; NULL: none. */
static int history(uint64_t seed, const bool *skip, const char **what)
{
	struct placer *placer = placer_new();
	struct placement p, q;
	struct arena arena[2];
	struct drbg r;
	bool wild;
	int failed = -1;

	arena_init(&arena[0]);
	arena_init(&arena[1]);
	drbg_init_u64(&r, seed, 0);
	wild = drbg_below(&r, 2);
	cluster_init(&c, 2 + any(&r, 12));
	cluster_sort(&c);
	for (int i = 0; i < 3; i++)
		change_stack(&r);
	place(&c.view, &arena[1], &q);
	for (int i = 0; i < STEPS && failed < 0; i++) {
		drbg_init_u64(&r, seed, (uint64_t)i + 1);
		if (!skip || !skip[i]) {
			if (drbg_below(&r, 2))
				follow(&r, &q);
			cluster_sort_claims(&c);
			step(&r, &q, wild);
		}
		arena_free(&arena[0]);
		arena_free(&arena[1]);
		placer_place(placer, &c.view, &arena[0], &p);
		place(&c.view, &arena[1], &q);
		calls++;
		crowded += placer->n_crowded > 0;
		*what = difference(&p, &q);
		if (*what)
			failed = i;
	}
	placer_free(placer);
	arena_free(&arena[0]);
	arena_free(&arena[1]);
	cluster_free(&c);
	return failed;
}

static void fail_with(uint64_t seed, int step, const char *what)
{
	bool skip[STEPS] = {false};
	char left[8 * STEPS] = "";
	const char *same;

	for (int i = 0; i < step; i++) {
		skip[i] = true;
		if (history(seed, skip, &same) != step || strcmp(same, what) != 0)
			skip[i] = false;
	}
	for (int i = 0; i <= step; i++)
		if (!skip[i])
			snprintf(left + strlen(left), sizeof(left) - strlen(left), " %d", i);
	fail_msg("seed %llu: %s differ at step %d; steps needed:%s", (unsigned long long)seed, what, step, left);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void after_any_history_the_placement_is_that_from_nothing(void **state)
{
	const char *one = getenv("STARLING_TEST_SEED"), *limit = getenv("STARLING_TEST_SECONDS");
	double end = seconds() + (limit ? atof(limit) : 3.0);
	uint64_t seed = one ? strtoull(one, NULL, 10) : 1, first = seed;

	(void)state;
	do {
		const char *what;
		int failed = history(seed, NULL, &what);

		if (failed >= 0)
			fail_with(seed, failed, what);
		seed++;
	} while (!one && seconds() < end);
	print_message("%llu histories, %zu calls, in %zu of them some peer's tasks came to more than it has\n",
	        (unsigned long long)(seed - first), calls, crowded);
	if (!one)
		assert_true(crowded < calls / 2); /* else little was kept */
}

static void an_empty_view_places_nothing(void **state)
{
	struct placer *placer = placer_new();
	struct view nothing = {0};
	struct placement p;
	struct arena arena;

	(void)state;
	arena_init(&arena);
	for (int i = 0; i < 2; i++) {
		placer_place(placer, &nothing, &arena, &p);
		assert_int_equal(p.n_slots, 0);
		assert_int_equal(p.n_moves, 0);
	}
	placer_free(placer);
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(after_any_history_the_placement_is_that_from_nothing),
	        cmocka_unit_test(an_empty_view_places_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
