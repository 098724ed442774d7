/*
 * The laws of place() over random flocks. Every flock comes from a number; a failure prints it, and
 * STARLING_TEST_SEED=N runs that one alone; a failing one is made as small as it
 * gets and printed (shrink.h). STARLING_TEST_SECONDS bounds the search (1 s for each law).
 */
#include "placement/slots.h"
#include "tests/unit/placement/cluster.h"
#include "tests/unit/shrink.h"

#include <time.h>

static struct cluster c;
static struct placement p;
static uint64_t seed;

static const char *const zones[] = {"a", "b", "c"};

static void random_members(void)
{
	static struct spec_generic gpus[] = {{"gpu", 2}};
	size_t n = 1 + (size_t)draw(12);

	cluster_init(&c, n);
	for (size_t i = 0; i < n; i++) {
		struct kv *label = arena_alloc(&c.arena, sizeof(*label));

		*label = (struct kv){"zone", zones[draw(3)]};
		c.members[i].labels = label;
		c.members[i].n_labels = 1;
		c.facts[i].cpu_milli = 500 * draw(17);
		c.facts[i].memory = (uint64_t)draw(17) << 30;
		if (chance(6))
			c.members[i].state = (enum view_state)draw(4);
		c.members[i].draining = chance(12);
		c.facts[i].ready = !chance(12);
		if (chance(3)) {
			c.facts[i].n_generic = 1;
			c.facts[i].generic = gpus;
		}
		if (chance(20))
			c.members[i].facts = NULL;
	}
}

static void random_service(struct service *s)
{
	static struct spec_constraint constraint[3][1] = {{{"node.labels.zone", OP_EQ, "a"}},
	        {{"node.labels.zone", OP_NE, "b"}}, {{"node.platform.arch", OP_EQ, "x86_64"}}};
	static struct spec_port port[3][1] = {
	        {{.name = "a", .target = 80, .published = 80, .mode = PORT_HOST}},
	        {{.name = "a", .target = 80, .published = 81, .mode = PORT_HOST}},
	        {{.name = "a", .target = 80}},
	};

	static const char *spread[] = {"node.labels.zone"};
	static struct spec_generic devices[] = {{"gpu", 1}};
	static struct spec_prefer wishes[] = {{"node.labels.zone", OP_EQ, "c", 50}};

	s->replicas = (uint32_t)draw(9);
	s->mode = chance(8) ? MODE_GLOBAL : MODE_REPLICATED;
	s->born = 1 + draw(4);
	if (chance(2))
		s->reserve.cpu_milli = 250 * draw(8);
	if (chance(3))
		s->reserve.memory = (uint64_t)draw(4) << 29;
	if (chance(4))
		s->priority = (int32_t)draw(3) - 1;
	if (chance(3))
		s->max_replicas_per_node = 1 + (uint32_t)draw(3);
	if (chance(3)) {
		s->n_constraints = 1;
		s->constraints = constraint[draw(3)];
	}
	if (chance(3)) {
		s->n_ports = 1;
		s->ports = port[draw(3)];
	}
	if (chance(10))
		s->partition = PARTITION_PAUSE;
	if (chance(4)) {
		s->n_spread = 1;
		s->spread = spread;
	}
	if (chance(6)) {
		s->n_generic = 1;
		s->generic = devices;
	}
	if (chance(6)) {
		s->n_prefer = 1;
		s->prefer = wishes;
	}
}

static void random_stacks(size_t from)
{
	size_t n = from + 1 + (size_t)draw(4);

	for (size_t i = from; i < n; i++) {
		char name[16];
		struct spec *spec;

		snprintf(name, sizeof(name), "stack%c", (int)('a' + (i * 7 + 3) % 16));
		spec = cluster_stack(&c, name, 1 + (size_t)draw(4));
		for (size_t k = 0; k < spec->n_services; k++)
			random_service(&spec->services[k]);
	}
}

/* Claims of slots that exist and of some that do not, by anybody, in any state. */
static void random_claims(void)
{
	place(&c.view, &c.arena, &p);
	for (size_t i = 0; i < p.n_slots; i++)
		for (uint64_t n = draw(3); n > 0; n--) {
			struct claim *claim =
			        cluster_claim(&c, p.slots[i].slot, (size_t)draw(c.view.n_members), draw(2));

			claim->task ^= n;
			if (chance(4))
				claim->state = (enum task_state)draw(TASK_REFUSED + 1);
			if (chance(2))
				claim->content = service_content(cluster_service(&c, &p.slots[i]));
			claim->revision = c.stacks[p.slots[i].stack].revision_id;
			claim->sight = (enum claim_sight)draw(3);
			claim->boot = chance(10) ? 0 : 1;
		}
	cluster_claim(&c, draw(1000000), 0, 0);
	cluster_sort_claims(&c);
}

static void random_flock(void)
{
	random_members();
	cluster_sort(&c);
	random_stacks(0);
}

static void replace(void)
{
	cluster_sort_claims(&c);
	place(&c.view, &c.arena, &p);
}

/* ---- the laws ---- */

/* What each peer carries once every orphan is started, added up afresh. */
static void limits_hold(void)
{
	struct load load[CLUSTER_MEMBERS_MAX] = {0};
	struct board b;
	struct placement again;

	random_flock();
	if (chance(2))
		random_claims();
	replace();
	board_init(&b, &c.view, &c.arena, &again);
	for (size_t i = 0; i < c.view.n_members; i++)
		load[i] = b.peers[i].load;
	for (size_t i = 0; i < p.n_slots; i++) {
		const struct placed_slot *s = &p.slots[i];
		const struct service *svc = cluster_service(&c, s);

		if (s->owner >= 0 || !s->n_candidates)
			continue;
		for (size_t k = 0; k < svc->n_ports && svc->ports[k].mode == PORT_HOST; k++)
			for (size_t q = 0; q < load[s->candidate[0]].n_ports; q++)
				LAW(load[s->candidate[0]].ports[q] != svc->ports[k].published);
		load_add(&load[s->candidate[0]], svc, &c.arena);
		/* Claims may be more than a peer holds; a slot that asks for more is not placed on top of them. */
		LAW(!svc->reserve.cpu_milli ||
		        load[s->candidate[0]].cpu_milli <= c.members[s->candidate[0]].facts->cpu_milli);
		LAW(!svc->reserve.memory ||
		        load[s->candidate[0]].memory <= c.members[s->candidate[0]].facts->memory);
	}
	for (size_t i = 0; i < p.n_slots; i++) {
		uint32_t same = 0, placed = 0;
		uint32_t most = cluster_service(&c, &p.slots[i])->max_replicas_per_node;

		for (size_t k = 0; k < p.n_slots; k++)
			if (p.slots[k].stack == p.slots[i].stack && p.slots[k].service == p.slots[i].service &&
			        cluster_peer_of(&c, &p.slots[k]) == cluster_peer_of(&c, &p.slots[i])) {
				same++;
				placed += p.slots[k].owner < 0;
			}
		/* Claims may break the limit; placing never adds to that. */
		if (most && cluster_peer_of(&c, &p.slots[i]) >= 0 && placed)
			LAW(same <= most);
	}
	board_free(&b);
}

static void candidates_are_distinct_and_permitted(void)
{
	random_flock();
	if (chance(2))
		random_claims();
	replace();
	for (size_t i = 0; i < p.n_slots; i++) {
		const struct placed_slot *s = &p.slots[i];

		LAW(s->n_candidates <= PLACE_CHOICES);
		LAW(s->owner < 0 || !s->n_candidates);
		LAW(s->owner >= 0 || s->n_candidates || s->reason != REASON_OK);
		for (size_t k = 0; k < s->n_candidates; k++) {
			LAW(place_permits(&c.view, &p, i, s->candidate[k]) == REASON_OK);
			LAW(s->peer_only < 0 || s->candidate[k] == (uint32_t)s->peer_only);
			for (size_t q = 0; q < k; q++)
				LAW(s->candidate[q] != s->candidate[k]);
		}
	}
}

static void explain_agrees(void)
{
	enum place_reason why[CLUSTER_MEMBERS_MAX];

	random_flock();
	if (chance(2))
		random_claims();
	replace();
	for (size_t i = 0; i < p.n_slots; i++) {
		const struct placed_slot *s = &p.slots[i];

		place_explain(&c.view, &p, i, why);
		if (s->owner < 0 && s->n_candidates)
			LAW(why[s->candidate[0]] == REASON_OK);
		/* Who gives way may leave room for a slot that was asked before. */
		for (size_t m = 0; s->owner < 0 && !s->n_candidates && !p.n_displaced && m < c.view.n_members;
		        m++)
			if (s->peer_only < 0 || (size_t)s->peer_only == m)
				LAW(why[m] != REASON_OK);
	}
}

static void placing_again_changes_nothing(void)
{
	const char *before;
	int peer[CLUSTER_CLAIMS_MAX];
	bool contested[CLUSTER_CLAIMS_MAX];
	size_t moves, from;

	random_flock();
	if (chance(2))
		random_claims();
	replace();
	before = cluster_dump(&c, &p);
	replace();
	LAW(!strcmp(before, cluster_dump(&c, &p)));
	for (size_t i = 0; i < p.n_slots; i++) {
		peer[i] = cluster_peer_of(&c, &p.slots[i]);
		contested[i] = place_claims(&c.view, p.slots[i].slot, &from) - from > (p.slots[i].owner >= 0);
	}
	moves = p.n_moves + p.n_displaced;
	cluster_begin_moves(&c, &p);
	cluster_adopt(&c, &p);
	replace();
	/* Of slots that several claim, a move may name who serves already, and an owner that sheds slots has room for
	 * claims that were void; and what moves makes room for slots that had no peer. */
	for (size_t i = 0; i < p.n_slots; i++)
		LAW(cluster_peer_of(&c, &p.slots[i]) == peer[i] || (moves && (contested[i] || peer[i] < 0)));
}

static void live_claims_are_kept(void)
{
	random_flock();
	/* One healthy claim per slot by somebody alive: whatever gates new work, and whatever else is wanted. */
	replace();
	for (size_t i = 0; i < p.n_slots; i++) {
		size_t m = (size_t)draw(c.view.n_members);

		if (p.slots[i].peer_only < 0 && c.members[m].state <= VIEW_SUSPECT &&
		        !cluster_service(&c, &p.slots[i])->reserve.cpu_milli &&
		        !cluster_service(&c, &p.slots[i])->reserve.memory)
			cluster_claim(&c, p.slots[i].slot, m, 0);
	}
	replace();
	for (size_t i = 0; i < c.view.n_claims; i++)
		for (size_t k = 0; k < p.n_slots; k++)
			if (p.slots[k].slot == c.claims[i].c.slot)
				LAW(p.slots[k].owner == (int32_t)i);
}

static int peer_of_slot(id64 slot)
{
	for (size_t i = 0; i < p.n_slots; i++)
		if (p.slots[i].slot == slot)
			return cluster_peer_of(&c, &p.slots[i]);
	return -2;
}

static void settle(id64 *slot, int *peer, size_t *n)
{
	random_flock();
	replace();
	cluster_adopt(&c, &p);
	replace();
	*n = p.n_slots;
	for (size_t i = 0; i < *n; i++) {
		slot[i] = p.slots[i].slot;
		peer[i] = p.slots[i].owner >= 0 ? cluster_peer_of(&c, &p.slots[i]) : -1;
	}
}

static void another_stack_moves_nothing(void)
{
	id64 slot[CLUSTER_CLAIMS_MAX];
	int peer[CLUSTER_CLAIMS_MAX];
	size_t n;

	settle(slot, peer, &n);
	random_stacks(c.view.n_stacks);
	replace();
	for (size_t i = 0; i < n; i++)
		if (peer[i] >= 0)
			LAW(peer_of_slot(slot[i]) == peer[i]);
	/* And gone again, once it runs. */
	cluster_adopt(&c, &p);
	c.stacks[c.view.n_stacks - 1].removed = true;
	replace();
	for (size_t i = 0; i < n; i++)
		if (peer[i] >= 0 && peer_of_slot(slot[i]) != -2)
			LAW(peer_of_slot(slot[i]) == peer[i]);
}

static void a_leave_moves_only_the_leavers(void)
{
	id64 slot[CLUSTER_CLAIMS_MAX];
	int peer[CLUSTER_CLAIMS_MAX];
	size_t n, gone;

	settle(slot, peer, &n);
	gone = (size_t)draw(c.view.n_members);
	c.members[gone].state = draw(2) ? VIEW_DEAD : VIEW_LEFT;
	replace();
	for (size_t i = 0; i < n; i++) {
		if (peer[i] < 0)
			continue;
		if (peer[i] != (int)gone)
			LAW(peer_of_slot(slot[i]) == peer[i]);
		else if (c.members[gone].state == VIEW_LEFT)
			LAW(peer_of_slot(slot[i]) != peer[i]);
	}
}

/* The first stack's orphans are placed as if the later-born one were not there. */
static void a_later_stack_disturbs_no_orphan(void)
{
	id64 slot[CLUSTER_CLAIMS_MAX];
	int peer[CLUSTER_CLAIMS_MAX];
	size_t n, first;

	random_flock();
	for (size_t i = 0; i < c.view.n_stacks; i++)
		for (size_t k = 0; k < c.specs[i].n_services; k++)
			c.specs[i].services[k].priority = 0;
	replace();
	n = p.n_slots;
	for (size_t i = 0; i < n; i++) {
		slot[i] = p.slots[i].slot;
		peer[i] = cluster_peer_of(&c, &p.slots[i]);
	}
	first = c.view.n_stacks;
	random_stacks(first);
	for (size_t i = first; i < c.view.n_stacks; i++)
		for (size_t k = 0; k < c.specs[i].n_services; k++) {
			c.specs[i].services[k].born = 100;
			c.specs[i].services[k].priority = -(int32_t)draw(2);
		}
	replace();
	/* Where the later would not fit otherwise, orphans give way to each other: nothing runs yet. */
	for (size_t i = 0; i < n && !p.n_displaced; i++)
		LAW(peer_of_slot(slot[i]) == peer[i]);
}

/* The claim of a slot's owner. */
static struct claim *owner_claim(size_t slot)
{
	return &c.claims[p.slots[slot].owner].c;
}

/* One round of what all peers together would do: heirs take over, who is preempted stops, orphans start. */
static void play_round(void)
{
	bool gone[CLUSTER_CLAIMS_MAX] = {false};
	size_t kept = 0;

	for (size_t i = 0; i < p.n_moves; i++) {
		const struct placed_move *m = &p.moves[i];

		if (m->to >= 0)
			c.claims[p.slots[m->slot].owner].member = (size_t)m->to;
		else if (m->why == MOVE_PREEMPT)
			gone[p.slots[m->slot].owner] = true;
	}
	for (size_t i = 0; i < c.view.n_claims; i++)
		if (!gone[i])
			c.claims[kept++] = c.claims[i];
	c.view.n_claims = kept;
	cluster_adopt(&c, &p);
	replace();
}

static size_t left_to_do(void)
{
	size_t n = 0;

	for (size_t i = 0; i < p.n_moves; i++)
		n += p.moves[i].to >= 0 || p.moves[i].why == MOVE_PREEMPT;
	for (size_t i = 0; i < p.n_slots; i++)
		n += p.slots[i].owner < 0 && p.slots[i].n_candidates;
	return n;
}

/* Rounds until nothing is left to do: each repair and preemption may make way for the next. */
#define ROUNDS_MAX 40

/* Moves come to an end, only what has lower priority loses its place, and each is what it says. */
static void moves_come_to_an_end(void)
{
	size_t rounds = 0;

	random_flock();
	replace();
	cluster_adopt(&c, &p); /* one claim for each slot that fits */
	for (size_t i = 0; i < c.view.n_members; i++)
		if (chance(4))
			c.members[i].draining = !c.members[i].draining;
	random_stacks(c.view.n_stacks);
	replace();
	while (left_to_do() && rounds++ < ROUNDS_MAX) {
		for (size_t i = 0; i < p.n_moves; i++) {
			const struct placed_move *m = &p.moves[i];
			int32_t mine = cluster_service(&c, &p.slots[m->slot])->priority;
			int32_t theirs = cluster_service(&c, &p.slots[m->for_slot])->priority;

			LAW(!i || p.moves[i - 1].slot < m->slot);
			LAW(p.slots[m->slot].owner >= 0);
			LAW(m->to < 0 || place_permits(&c.view, &p, m->slot, (size_t)m->to) == REASON_OK);
			LAW(m->why != MOVE_PREEMPT || (mine < theirs && m->to < 0));
			LAW(m->why != MOVE_REPAIR || (mine <= theirs && m->to >= 0));
			LAW(m->why != MOVE_REPAIR || p.slots[m->for_slot].reason == REASON_MAKING_ROOM);
			LAW(owner_claim(m->slot)->state == TASK_RUNNING);
		}
		play_round();
	}
	LAW(!left_to_do());
}

static void shuffle(void *list, size_t n, size_t size)
{
	char swap[1024];

	for (size_t i = n; i > 1; i--) {
		char *a = (char *)list + (i - 1) * size, *b = (char *)list + draw(i) * size;

		memcpy(swap, a, size);
		memcpy(a, b, size);
		memcpy(b, swap, size);
	}
}

/* The view is sorted by whoever builds it; what it was built from may come in any order. */
static void order_of_inputs_does_not_matter(void)
{
	struct key32 owner[CLUSTER_CLAIMS_MAX];
	const char *before;

	random_flock();
	random_claims();
	replace();
	before = cluster_dump(&c, &p);
	for (size_t i = 0; i < c.view.n_claims; i++) {
		owner[i] = c.members[c.claims[i].member].key;
		c.claims[i].member = i;
	}
	shuffle(c.members, c.view.n_members, sizeof(*c.members));
	shuffle(c.stacks, c.view.n_stacks, sizeof(*c.stacks));
	shuffle(c.claims, c.view.n_claims, sizeof(*c.claims));
	cluster_sort(&c);
	qsort(c.stacks, c.view.n_stacks, sizeof(*c.stacks), cluster_by_stack);
	for (size_t i = 0; i < c.view.n_claims; i++)
		for (size_t m = 0; m < c.view.n_members; m++)
			if (key32_eq(&c.members[m].key, &owner[c.claims[i].member])) {
				c.claims[i].member = m;
				break;
			}
	replace();
	LAW(!strcmp(before, cluster_dump(&c, &p)));
}

/* ---- the search ---- */

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void clean_up(void)
{
	cluster_free(&c);
}

static void print_member(size_t i)
{
	static const char *const states[] = {"alive", "suspect", "dead", "left"};
	const struct view_member *m = &c.members[i];

	printf("  peer %s: %s%s%s, zone %s", cluster_name(&c, i), states[m->state], m->draining ? ", drains" : "",
	        m->facts && !m->facts->ready ? ", not ready" : "", m->n_labels ? m->labels[0].value : "none");
	if (m->facts)
		printf(", %llu cpu, %llu MiB", (unsigned long long)m->facts->cpu_milli,
		        (unsigned long long)(m->facts->memory >> 20));
	printf("\n");
}

static void print_service(const char *stack, const struct service *s)
{
	printf("  %s/%s: %s%u, born %llu, priority %d, %llu cpu, %llu MiB, per node %u", stack, s->name,
	        s->mode == MODE_GLOBAL ? "global " : "", s->replicas, (unsigned long long)s->born, s->priority,
	        (unsigned long long)s->reserve.cpu_milli, (unsigned long long)(s->reserve.memory >> 20),
	        s->max_replicas_per_node);
	for (size_t i = 0; i < s->n_constraints; i++)
		printf(", %s %s %s", s->constraints[i].attr,
		        s->constraints[i].op == OP_EQ ? "==" : "!=", s->constraints[i].value);
	for (size_t i = 0; i < s->n_ports; i++)
		printf(", port %u", s->ports[i].published);
	for (size_t i = 0; i < s->n_spread; i++)
		printf(", spread %s", s->spread[i]);
	for (size_t i = 0; i < s->n_generic; i++)
		printf(", %llu %s", (unsigned long long)s->generic[i].value, s->generic[i].kind);
	printf("\n");
}

/* The cluster as the law left it. */
static void print_case(void)
{
	for (size_t i = 0; i < c.view.n_members; i++)
		print_member(i);
	for (size_t i = 0; i < c.view.n_stacks; i++)
		for (size_t k = 0; k < c.stacks[i].spec->n_services; k++)
			print_service(c.stacks[i].name, &c.stacks[i].spec->services[k]);
	for (size_t i = 0; i < c.view.n_claims; i++)
		printf("  claim of %016llx by %s: %s, boot %u\n", (unsigned long long)c.claims[i].c.slot,
		        cluster_name(&c, c.claims[i].member), task_state_name(c.claims[i].c.state),
		        c.claims[i].c.boot);
	printf("%s", cluster_dump(&c, &p));
	fflush(stdout);
}

static void search(const char *name, void (*law)(void))
{
	const char *one = getenv("STARLING_TEST_SEED"), *limit = getenv("STARLING_TEST_SECONDS");
	double end = seconds() + (limit ? atof(limit) : 1.0);
	size_t n = 0;

	for (seed = one ? strtoull(one, NULL, 10) : 1; n == 0 || (!one && seconds() < end); seed++, n++) {
		drbg_init_u64(&tape.rng, seed, 0);
		tape.n = 0;
		tape.replay = false;
		if (!law_fails(law, clean_up))
			continue;
		print_message("seed %llu: %s; made small:\n", (unsigned long long)seed, tape.why);
		clean_up();
		shrink(law, clean_up, seconds);
		print_case();
		fail_msg("seed %llu: %s", (unsigned long long)seed, tape.why);
	}
	print_message("%s: %zu random flocks\n", name, n);
}

#define LAW_TEST(law)                                                                                            \
	static void law_##law(void **state)                                                                      \
	{                                                                                                        \
		(void)state;                                                                                     \
		search(#law, law);                                                                               \
	}

LAW_TEST(order_of_inputs_does_not_matter)
LAW_TEST(limits_hold)
LAW_TEST(candidates_are_distinct_and_permitted)
LAW_TEST(explain_agrees)
LAW_TEST(placing_again_changes_nothing)
LAW_TEST(live_claims_are_kept)
LAW_TEST(another_stack_moves_nothing)
LAW_TEST(a_leave_moves_only_the_leavers)
LAW_TEST(a_later_stack_disturbs_no_orphan)
LAW_TEST(moves_come_to_an_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(law_order_of_inputs_does_not_matter),
	        cmocka_unit_test(law_limits_hold),
	        cmocka_unit_test(law_candidates_are_distinct_and_permitted),
	        cmocka_unit_test(law_explain_agrees),
	        cmocka_unit_test(law_placing_again_changes_nothing),
	        cmocka_unit_test(law_live_claims_are_kept),
	        cmocka_unit_test(law_another_stack_moves_nothing),
	        cmocka_unit_test(law_a_leave_moves_only_the_leavers),
	        cmocka_unit_test(law_a_later_stack_disturbs_no_orphan),
	        cmocka_unit_test(law_moves_come_to_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
