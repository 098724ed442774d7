#include "placement/rank.h"
#include "tests/unit/placement/golden.h"
#include "tests/unit/unit.h"

/* One cluster at a time; too large for the stack. */
static struct cluster c;
static struct placement p;

static void run(void)
{
	cluster_sort_claims(&c);
	place(&c.view, &c.arena, &p);
}

static const struct placed_slot *slot_of(const char *stack, const char *service, uint32_t index)
{
	for (size_t i = 0; i < p.n_slots; i++)
		if (!strcmp(c.stacks[p.slots[i].stack].name, stack) &&
		        !strcmp(cluster_service(&c, &p.slots[i])->name, service) && p.slots[i].index == index)
			return &p.slots[i];
	fail_msg("no slot %s/%s/%u", stack, service, index);
	return NULL;
}

static void count_peers(size_t *count)
{
	memset(count, 0, CLUSTER_MEMBERS_MAX * sizeof(*count));
	for (size_t i = 0; i < p.n_slots; i++)
		if (cluster_peer_of(&c, &p.slots[i]) >= 0)
			count[cluster_peer_of(&c, &p.slots[i])]++;
}

static void start(size_t peers)
{
	cluster_init(&c, peers);
	cluster_sort(&c);
}

/* ---- the table of logarithms ---- */

/* log2 by repeated squaring, one bit at a time: x is in [1, 2), 32 fraction bits. */
static uint64_t log2_by_squaring(uint64_t x)
{
	uint64_t log = 0;

	for (int bit = 0; bit < LOG2_BITS + 4; bit++) {
		x = (uint64_t)((unsigned __int128)x * x >> 32);
		log <<= 1;
		if (x >= 2ULL << 32) {
			x >>= 1;
			log |= 1;
		}
	}
	return log;
}

static void the_table_of_logarithms_is_right(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 256; i++) {
		uint64_t want = log2_by_squaring((1ULL << 32) + (i << 24)) >> 4;

		/* Squaring cuts its rounding off each time: a few units below. */
		assert_true(log2_table[i] >= want && log2_table[i] - want <= 4);
	}
	assert_int_equal(log2_table[256], 1 << LOG2_BITS);
	assert_in_range(neg_log2(UINT64_MAX), 1, 2); /* never 0: every peer has some score */
	assert_int_equal(neg_log2(1ULL << 63), 1 << LOG2_BITS);
	assert_true(neg_log2(1) == 64U << LOG2_BITS);
	assert_true(neg_log2(0) == 64U << LOG2_BITS);
	for (int shift = 1; shift < 63; shift++)
		assert_true(neg_log2(3ULL << shift) < neg_log2(3ULL << (shift - 1)));
}

static void hashes_for_many_peers_are_siphash(void **state)
{
	struct drbg r;

	(void)state;
	drbg_init_u64(&r, 1, 0);
	for (int i = 0; i < 1000; i++) {
		id64 slot = drbg_u64(&r);
		uint64_t key = drbg_u64(&r);

		assert_true(rank_end(rank_begin(slot), key) == rank_hash(slot, key));
	}
}

/* ---- spreading ---- */

static void six_replicas_over_three_equal_peers_are_two_each(void **state)
{
	size_t count[CLUSTER_MEMBERS_MAX];

	(void)state;
	start(3);
	cluster_stack(&c, "hello", 1)->services[0].replicas = 6;
	run();
	count_peers(count);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(count[i], 2);
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(p.slots[i].owner, -1);
		assert_int_equal(p.slots[i].n_candidates, 3);
	}
	cluster_free(&c);
}

static void replicas_spread_even_over_unequal_peers(void **state)
{
	size_t count[CLUSTER_MEMBERS_MAX];

	(void)state;
	start(3);
	c.facts[0].cpu_milli = 64000; /* one giant must not take them all */
	cluster_stack(&c, "hello", 1)->services[0].replicas = 3;
	run();
	count_peers(count);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(count[i], 1);
	cluster_free(&c);
}

static void larger_peers_take_more_of_many_small_services(void **state)
{
	size_t count[CLUSTER_MEMBERS_MAX];
	size_t large;

	(void)state;
	start(4);
	c.facts[0].cpu_milli = 16000;
	c.facts[0].memory = 32ULL << 30;
	large = cluster_member(&c, "p0");
	for (size_t i = 0; i < CLUSTER_STACKS_MAX; i++) {
		char name[16];

		snprintf(name, sizeof(name), "stack%zu", i);
		cluster_stack(&c, name, 7);
	}
	run();
	count_peers(count);
	/* It is 4/7 of the flock: 64 of 112. */
	assert_in_range(count[large], 55, 72);
	cluster_free(&c);
}

static void a_hundred_peers_are_loaded_alike(void **state)
{
	size_t count[CLUSTER_MEMBERS_MAX], most = 0, least = SIZE_MAX;

	(void)state;
	start(100);
	for (size_t i = 0; i < 10; i++) {
		char name[16];

		snprintf(name, sizeof(name), "stack%zu", i);
		cluster_stack(&c, name, 5);
		for (size_t k = 0; k < 5; k++)
			c.specs[i].services[k].replicas = 40;
	}
	run();
	assert_int_equal(p.n_slots, 2000);
	count_peers(count);
	for (size_t i = 0; i < 100; i++) {
		most = MAX(most, count[i]);
		least = MIN(least, count[i]);
	}
	print_message("2000 slots on 100 peers: %zu to %zu each, mean 20\n", least, most);
	assert_true(most <= 23); /* DESIGN section 12: max/mean <= 1.15 */
	cluster_free(&c);
}

/* ---- claims ---- */

static void a_live_claim_keeps_its_slot(void **state)
{
	id64 slot;

	(void)state;
	start(3);
	cluster_stack(&c, "hello", 1);
	slot = slot_id(&c.view.flock, "hello", "s0", 0);
	for (size_t m = 0; m < 3; m++) {
		c.view.n_claims = 0;
		cluster_claim(&c, slot, m, 0);
		run();
		assert_int_equal(cluster_peer_of(&c, &p.slots[0]), m);
		assert_int_equal(p.slots[0].n_candidates, 0);
		/* Whatever gates new work does not touch it. */
		c.members[m].state = VIEW_SUSPECT;
		c.members[m].draining = true;
		run();
		assert_int_equal(p.slots[0].owner, 0);
		c.members[m].draining = false;
		c.members[m].state = VIEW_DEAD;
		run();
		assert_int_equal(p.slots[0].owner, -1);
		assert_int_equal(p.slots[0].n_candidates, 2);
		c.members[m].state = VIEW_ALIVE;
	}
	cluster_free(&c);
}

static void states_of_a_task_keep_or_free_its_slot(void **state)
{
	(void)state;
	for (int s = TASK_PENDING; s <= TASK_REFUSED; s++) {
		bool keeps = s != TASK_LOST && s != TASK_REFUSED;

		start(2);
		cluster_stack(&c, "hello", 1);
		cluster_claim(&c, slot_id(&c.view.flock, "hello", "s0", 0), 0, 0)->state = s;
		run();
		assert_int_equal(p.slots[0].owner, keeps ? 0 : -1);
		cluster_free(&c);
	}
}

static void claims_of_an_earlier_run_hold_until_it_has_adopted(void **state)
{
	id64 slot;

	(void)state;
	start(2);
	cluster_stack(&c, "hello", 1);
	slot = slot_id(&c.view.flock, "hello", "s0", 0);
	cluster_claim(&c, slot, 0, 0);
	/* Restarted; its facts are still those of the run before. */
	c.members[0].boot = 2;
	run();
	assert_int_equal(p.slots[0].owner, 0);
	/* The new run speaks, but has not looked for its tasks yet. */
	c.members[0].facts_boot = 2;
	c.facts[0].adopted = c.facts[1].adopted = false;
	run();
	assert_int_equal(p.slots[0].owner, 0);
	/* It has, and this task was not found. */
	c.facts[0].adopted = c.facts[1].adopted = true;
	run();
	assert_int_equal(p.slots[0].owner, -1);
	/* A claim may also arrive before the news of the restart. */
	c.claims[0].c.boot = 3;
	run();
	assert_int_equal(p.slots[0].owner, 0);
	cluster_free(&c);
}

static void claims_beyond_a_peers_size_are_void(void **state)
{
	size_t kept = 0;

	(void)state;
	start(2);
	cluster_stack(&c, "hello", 1)->services[0].replicas = 6;
	c.specs[0].services[0].reserve.cpu_milli = 1000;
	for (uint32_t i = 0; i < 6; i++)
		cluster_claim(&c, slot_id(&c.view.flock, "hello", "s0", i), 0, 0);
	run();
	for (size_t i = 0; i < 6; i++)
		kept += p.slots[i].owner >= 0;
	assert_int_equal(kept, 4); /* of 4 cores; and the lowest slots, so that all peers agree */
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(p.slots[i].owner >= 0, i < 4);
	assert_int_equal(cluster_peer_of(&c, &p.slots[4]), 1);
	cluster_free(&c);
}

/* The conflict rule, every criterion against all that follow, in both orders. */
static void of_two_claims_the_better_one_wins(void **state)
{
	const id64 content = 77;
	struct claim *a, *b;
	id64 slot;

	(void)state;
	for (size_t better = 0; better < 2; better++)
		for (int criterion = 0; criterion < 3; criterion++) {
			id64 now;

			start(2);
			cluster_stack(&c, "hello", 1);
			slot = slot_id(&c.view.flock, "hello", "s0", 0);
			now = service_content(&c.specs[0].services[0]);
			a = cluster_claim(&c, slot, better, content);
			b = cluster_claim(&c, slot, 1 - better, content);
			switch (criterion) {
			case 0: /* healthy, though old and from a small side */
				b->health = HEALTH_UNHEALTHY;
				b->content = now;
				a->sight = SIGHT_FEW;
				break;
			case 1: /* the winning content, though from a small side */
				a->content = now;
				a->sight = SIGHT_FEW;
				break;
			case 2: /* the larger side */
				b->sight = SIGHT_HALF;
				break;
			}
			run();
			assert_int_equal(c.claims[p.slots[0].owner].member, better);
			cluster_free(&c);
		}
}

static void a_tie_of_claims_follows_the_slots_hash(void **state)
{
	size_t won[2] = {0};

	(void)state;
	start(2);
	cluster_stack(&c, "hello", 1)->services[0].replicas = 200;
	for (uint32_t i = 0; i < 200; i++)
		for (size_t m = 0; m < 2; m++)
			cluster_claim(&c, slot_id(&c.view.flock, "hello", "s0", i), m, 0);
	run();
	for (size_t i = 0; i < 200; i++) {
		size_t winner = c.claims[p.slots[i].owner].member;
		uint64_t key[2] = {rank_peer_key(&c.view.flock, &c.members[winner].key),
		        rank_peer_key(&c.view.flock, &c.members[1 - winner].key)};

		assert_true(rank_hash(p.slots[i].slot, key[0]) > rank_hash(p.slots[i].slot, key[1]));
		won[winner]++;
	}
	assert_in_range(won[0], 70, 130); /* neither side always loses */
	cluster_free(&c);
}

static void a_paused_services_dead_owner_keeps_it_until_it_leaves_or_is_drained(void **state)
{
	(void)state;
	start(3);
	cluster_stack(&c, "hello", 1)->services[0].partition = PARTITION_PAUSE;
	cluster_claim(&c, slot_id(&c.view.flock, "hello", "s0", 0), 1, 0);
	c.members[1].state = VIEW_DEAD;
	run();
	assert_int_equal(p.slots[0].owner, 0);
	c.members[1].draining = true;
	run();
	assert_int_equal(p.slots[0].owner, -1);
	assert_int_equal(p.slots[0].n_candidates, 2);
	assert_int_equal(p.n_moves, 0); /* who is away hands nothing over */
	c.members[1].draining = false;
	run();
	assert_int_equal(p.slots[0].owner, 0);
	c.members[1].state = VIEW_LEFT;
	run();
	assert_int_equal(p.slots[0].owner, -1);
	cluster_free(&c);
}

/* ---- filters ---- */

static void expect_reason(enum place_reason want)
{
	run();
	assert_int_equal(p.slots[0].n_candidates, 0);
	assert_int_equal(p.slots[0].reason, want);
	assert_true(strlen(place_reason_text(want)) > 5);
	cluster_free(&c);
}

/* That most peers drain helps nobody who asks why; that the one which does not is full does. */
static void peers_that_drain_are_a_reason_only_if_there_is_no_other(void **state)
{
	(void)state;
	start(3);
	cluster_stack(&c, "hello", 1)->services[0].reserve.cpu_milli = 100000000;
	c.members[0].draining = c.members[1].draining = true;
	expect_reason(REASON_CAPACITY);
}

/* A flock of one peer and a service that it cannot take, for one reason each. */
static struct service *lone(void)
{
	start(1);
	return cluster_stack(&c, "hello", 1)->services;
}

static void each_filter_has_its_number(void **state)
{
	static struct spec_port port[] = {{.name = "http", .target = 80, .published = 80, .mode = PORT_HOST}};
	static struct spec_constraint zone[] = {{"node.labels.zone", OP_EQ, "a"}};
	static const char *feature[] = {"teleport"};
	struct service *s;

	(void)state;
	lone();
	c.members[0].state = VIEW_DEAD;
	expect_reason(REASON_NOT_ALIVE);
	lone();
	c.members[0].state = VIEW_SUSPECT;
	expect_reason(REASON_NOT_ALIVE);
	lone();
	c.members[0].facts = NULL;
	expect_reason(REASON_NO_FACTS);
	lone();
	c.facts[0].ready = false;
	expect_reason(REASON_NOT_READY);
	lone();
	c.members[0].draining = true;
	expect_reason(REASON_DRAINING);
	lone();
	c.specs[0].n_features = 1;
	c.specs[0].features = feature;
	expect_reason(REASON_FEATURE);
	s = lone();
	s->image = "nginx";
	expect_reason(REASON_DRIVER);
	s = lone();
	s->n_constraints = 1;
	s->constraints = zone;
	expect_reason(REASON_CONSTRAINT);
	s = lone();
	s->reserve.cpu_milli = 4001;
	expect_reason(REASON_CAPACITY);
	s = lone();
	s->reserve.memory = (8ULL << 30) + 1;
	expect_reason(REASON_CAPACITY);
	s = lone();
	s->priority = 1;
	c.stacks[0].powers = 0;
	expect_reason(REASON_POWER);

	s = lone();
	cluster_claim(&c, slot_id(&c.view.flock, "hello", "s0", 0), 0, 0)->state = TASK_REFUSED;
	c.claims[0].c.revision = c.stacks[0].revision_id;
	expect_reason(REASON_REFUSED);
	/* A refusal of another revision, or of an earlier run, is no refusal. */
	s = lone();
	cluster_claim(&c, slot_id(&c.view.flock, "hello", "s0", 0), 0, 0)->state = TASK_REFUSED;
	run();
	assert_int_equal(p.slots[0].n_candidates, 1);
	c.claims[0].c.revision = c.stacks[0].revision_id;
	c.members[0].boot = 2;
	run();
	assert_int_equal(p.slots[0].n_candidates, 1);
	cluster_free(&c);

	s = lone();
	s->replicas = 2;
	s->reserve.memory = 5ULL << 30;
	run();
	assert_int_equal(p.slots[1].reason, REASON_ROOM);
	cluster_free(&c);
	s = lone();
	s->replicas = 2;
	s->n_ports = 1;
	s->ports = port;
	run();
	assert_int_equal(p.slots[1].reason, REASON_PORT);
	cluster_free(&c);
	s = lone();
	s->replicas = 2;
	s->max_replicas_per_node = 1;
	run();
	assert_int_equal(p.slots[1].reason, REASON_PER_NODE);
	cluster_free(&c);
}

static void constraints_compare_as_swarm_does(void **state)
{
	static struct kv facts_labels[] = {{"disk", "ssd"}}, labels[] = {{"disk", "hdd"}, {"zone", "A"}};
	char id[17], key[65];
	const struct {
		const char *attr, *value;
		bool equal;
	} cases[] = {
	        {"node.hostname", "p0", true},
	        {"node.hostname", "P0", true},
	        {"node.hostname", "p1", false},
	        {"node.role", "manager", true},
	        {"node.labels.zone", "a", true},
	        {"node.labels.zone", "ab", false},
	        {"node.labels.disk", "hdd", true},
	        {"engine.labels.disk", "ssd", true},
	        {"engine.labels.zone", "a", false},
	        {"node.labels.none", "", false},
	        {"node.platform.os", "linux", true},
	        {"node.platform.arch", "x86_64", true},
	        {"node.platform.arch", "amd64", true},
	        {"node.platform.arch", "aarch64", false},
	        {"node.id", id, true},
	        {"node.id", key, true},
	        {"node.id", "p0", false},
	};

	(void)state;
	start(1);
	c.facts[0].labels = facts_labels;
	c.facts[0].n_labels = 1;
	c.members[0].labels = labels;
	c.members[0].n_labels = 2;
	snprintf(id, sizeof(id), "%016llx", (unsigned long long)c.members[0].id);
	for (size_t i = 0; i < 32; i++)
		snprintf(key + 2 * i, 3, "%02x", c.members[0].key.b[i]);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		for (int op = OP_EQ; op <= OP_NE; op++) {
			struct spec_constraint con = {cases[i].attr, op, cases[i].value};

			if (constraint_holds(&c.members[0], &con) != ((op == OP_EQ) == cases[i].equal))
				fail_msg("%s %s %s", con.attr, op == OP_EQ ? "==" : "!=", con.value);
		}
	cluster_free(&c);
}

static void the_most_common_reason_is_told_and_absence_last(void **state)
{
	static struct spec_constraint zone[] = {{"node.labels.zone", OP_EQ, "a"}};

	(void)state;
	start(4);
	cluster_stack(&c, "hello", 1)->services[0].n_constraints = 1;
	c.specs[0].services[0].constraints = zone;
	for (size_t i = 1; i < 4; i++)
		c.members[i].state = VIEW_DEAD;
	expect_reason(REASON_CONSTRAINT);
}

/* ---- order, global ---- */

static void priority_then_birth_decide_who_gets_scarce_room(void **state)
{
	(void)state;
	start(1);
	cluster_stack(&c, "b", 1);
	cluster_stack(&c, "a", 1); /* born later */
	cluster_stack(&c, "vip", 1);
	for (size_t i = 0; i < 3; i++)
		c.specs[i].services[0].reserve.cpu_milli = 2000;
	run();
	assert_int_equal(slot_of("b", "s0", 0)->n_candidates, 1);
	assert_int_equal(slot_of("a", "s0", 0)->n_candidates, 1);
	assert_int_equal(slot_of("vip", "s0", 0)->reason, REASON_ROOM);
	c.specs[2].services[0].priority = 1;
	run();
	assert_int_equal(slot_of("b", "s0", 0)->n_candidates, 1);
	assert_int_equal(slot_of("a", "s0", 0)->reason, REASON_ROOM);
	assert_int_equal(slot_of("vip", "s0", 0)->n_candidates, 1);
	cluster_free(&c);
}

static void a_global_service_has_a_slot_on_each_permitted_peer(void **state)
{
	static struct spec_constraint not_p1[] = {{"node.hostname", OP_NE, "p1"}};
	size_t p0;

	(void)state;
	start(4);
	cluster_stack(&c, "hello", 1)->services[0].mode = MODE_GLOBAL;
	c.specs[0].services[0].n_constraints = 1;
	c.specs[0].services[0].constraints = not_p1;
	p0 = cluster_member(&c, "p0");
	c.members[cluster_member(&c, "p2")].state = VIEW_DEAD;
	run();
	assert_int_equal(p.n_slots, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(p.slots[i].n_candidates, 1);
		assert_int_equal(p.slots[i].candidate[0], p.slots[i].peer_only);
	}
	/* A peer that may not be given new slots keeps the one that it runs. */
	cluster_adopt(&c, &p);
	c.members[p0].state = VIEW_SUSPECT;
	run();
	assert_int_equal(p.n_slots, 2);
	c.view.n_claims = 0;
	run();
	assert_int_equal(p.n_slots, 1);
	/* One that drains stops it: there is nowhere to hand it over to. */
	c.members[p0].state = VIEW_ALIVE;
	run();
	cluster_adopt(&c, &p);
	c.members[p0].draining = true;
	run();
	assert_int_equal(p.n_slots, 1);
	assert_int_equal(p.n_moves, 0);
	cluster_free(&c);
}

static void removed_and_unread_stacks_have_no_slots(void **state)
{
	(void)state;
	start(1);
	cluster_stack(&c, "a", 1);
	cluster_stack(&c, "b", 1);
	cluster_find_stack(&c, "a")->removed = true;
	cluster_find_stack(&c, "b")->spec = NULL;
	run();
	assert_int_equal(p.n_slots, 0);
	cluster_free(&c);
}

static void an_empty_flock_places_nothing_and_survives(void **state)
{
	(void)state;
	start(0);
	cluster_stack(&c, "a", 1);
	run();
	assert_int_equal(p.n_slots, 1);
	assert_int_equal(p.slots[0].n_candidates, 0);
	cluster_free(&c);
}

/* ---- golden ---- */

static void expect_golden(const char *path)
{
	cleanup_free char *want = NULL;
	const char *got = cluster_dump(&c, &p);
	FILE *f = fopen(path, "rb");
	size_t len;

	if (!f)
		fail_msg("cannot open %s; this test runs from the root of the tree", path);
	want = xcalloc(1, 1 << 20);
	len = fread(want, 1, (1 << 20) - 1, f);
	fclose(f);
	if (strlen(got) != len || memcmp(got, want, len) != 0)
		fail_msg("placement differs from %s (`make golden` writes it anew); it is now:\n%s", path, got);
}

static void fixed_clusters_are_placed_as_in_the_golden_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(golden_clusters); i++) {
		char path[128];

		golden_clusters[i].build(&c);
		run();
		snprintf(path, sizeof(path), "tests/golden/placement-%s.txt", golden_clusters[i].name);
		expect_golden(path);
		cluster_free(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_table_of_logarithms_is_right),
	        cmocka_unit_test(hashes_for_many_peers_are_siphash),
	        cmocka_unit_test(six_replicas_over_three_equal_peers_are_two_each),
	        cmocka_unit_test(replicas_spread_even_over_unequal_peers),
	        cmocka_unit_test(larger_peers_take_more_of_many_small_services),
	        cmocka_unit_test(a_hundred_peers_are_loaded_alike),
	        cmocka_unit_test(a_live_claim_keeps_its_slot),
	        cmocka_unit_test(states_of_a_task_keep_or_free_its_slot),
	        cmocka_unit_test(claims_of_an_earlier_run_hold_until_it_has_adopted),
	        cmocka_unit_test(claims_beyond_a_peers_size_are_void),
	        cmocka_unit_test(of_two_claims_the_better_one_wins),
	        cmocka_unit_test(a_tie_of_claims_follows_the_slots_hash),
	        cmocka_unit_test(a_paused_services_dead_owner_keeps_it_until_it_leaves_or_is_drained),
	        cmocka_unit_test(peers_that_drain_are_a_reason_only_if_there_is_no_other),
	        cmocka_unit_test(each_filter_has_its_number),
	        cmocka_unit_test(constraints_compare_as_swarm_does),
	        cmocka_unit_test(the_most_common_reason_is_told_and_absence_last),
	        cmocka_unit_test(priority_then_birth_decide_who_gets_scarce_room),
	        cmocka_unit_test(a_global_service_has_a_slot_on_each_permitted_peer),
	        cmocka_unit_test(removed_and_unread_stacks_have_no_slots),
	        cmocka_unit_test(an_empty_flock_places_nothing_and_survives),
	        cmocka_unit_test(fixed_clusters_are_placed_as_in_the_golden_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
