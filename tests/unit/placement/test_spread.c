/* Spreading over zones and racks, and wishes. */
#include "tests/unit/placement/cluster.h"
#include "tests/unit/unit.h"

static struct cluster c;
static struct placement p;

static void run(void)
{
	cluster_sort_claims(&c);
	place(&c.view, &c.arena, &p);
}

/* Peers p0 ... with zone and rack as told, one letter each; '-' is without the label. */
static struct service *start(const char *zones, const char *racks, uint32_t replicas)
{
	static const char *levels[] = {"node.labels.zone", "node.labels.rack"};
	struct service *s;

	cluster_init(&c, strlen(zones));
	for (size_t i = 0; zones[i]; i++) {
		struct kv *labels = arena_array(&c.arena, 2, sizeof(*labels));
		size_t n = 0;

		if (racks && racks[i] != '-')
			labels[n++] = (struct kv){"rack", arena_strndup(&c.arena, &racks[i], 1)};
		if (zones[i] != '-')
			labels[n++] = (struct kv){"zone", arena_strndup(&c.arena, &zones[i], 1)};
		c.members[i].labels = labels;
		c.members[i].n_labels = n;
	}
	cluster_sort(&c);
	s = cluster_stack(&c, "hello", 1)->services;
	s->replicas = replicas;
	s->spread = levels;
	s->n_spread = racks ? 2 : 1;
	return s;
}

/* Replicas on each peer, by name, as a text: "2 0 1". */
static const char *counts(void)
{
	char text[256] = "";
	size_t n = 0;

	run();
	for (size_t i = 0; i < c.view.n_members; i++) {
		char name[24];
		unsigned count = 0;

		snprintf(name, sizeof(name), "p%zu", i);
		for (size_t k = 0; k < p.n_slots; k++)
			count += cluster_peer_of(&c, &p.slots[k]) == (int)cluster_member(&c, name);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u", i ? " " : "", count);
	}
	return arena_strdup(&c.arena, text);
}

static void zones_come_before_peers(void **state)
{
	(void)state;
	/* Zone b has one peer of five: it still gets its half. */
	start("aaaab", NULL, 8);
	assert_string_equal(counts(), "1 1 1 1 4");
	cluster_free(&c);
}

static void racks_spread_within_their_zone(void **state)
{
	(void)state;
	/* Rack x of zone a and rack x of zone b are two. */
	start("aaabb", "xxyxy", 8);
	assert_string_equal(counts(), "1 1 2 2 2");
	cluster_free(&c);
}

static void peers_without_the_label_are_one_group(void **state)
{
	(void)state;
	start("a--", NULL, 4);
	assert_string_equal(counts(), "2 1 1");
	cluster_free(&c);
}

static void a_zone_that_is_full_leaves_the_rest_to_others(void **state)
{
	(void)state;
	start("aab", NULL, 10)->reserve.cpu_milli = 1000;
	assert_string_equal(counts(), "3 3 4");
	assert_true(p.slots[9].n_candidates > 0);
	cluster_free(&c);
}

static void what_runs_counts_for_its_zone(void **state)
{
	(void)state;
	start("aab", NULL, 4);
	for (uint32_t i = 0; i < 2; i++)
		cluster_claim(&c, slot_id(&c.view.flock, "hello", "s0", i), cluster_member(&c, "p0"), 0);
	assert_string_equal(counts(), "2 0 2");
	/* A zone that was lost and is back draws the next ones; what runs stays. */
	c.specs[0].services[0].replicas = 2;
	assert_string_equal(counts(), "2 0 0");
	cluster_free(&c);
}

static void a_wish_draws_replicas_by_its_weight(void **state)
{
	static struct spec_prefer zone_a[] = {{"node.labels.zone", OP_EQ, "a", 0}};
	static const struct {
		int32_t weight;
		const char *counts;
	} cases[] = {{100, "6 0 0"}, {50, "4 1 1"}, {20, "3 2 1"}, {-20, "1 3 2"}, {-100, "0 3 3"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct service *s = start("abb", NULL, 6);
		const char *got;

		s->n_spread = 0;
		s->n_prefer = 1;
		s->prefer = zone_a;
		zone_a[0].weight = cases[i].weight;
		got = counts();
		assert_string_equal(got, cases[i].counts);
		cluster_free(&c);
	}
}

static void a_wish_gives_in_where_a_condition_would_not(void **state)
{
	static struct spec_prefer zone_a[] = {{"node.labels.zone", OP_EQ, "a", 100}};
	struct service *s;

	(void)state;
	s = start("abb", NULL, 6);
	s->n_spread = 0;
	s->n_prefer = 1;
	s->prefer = zone_a;
	s->reserve.cpu_milli = 1000;
	assert_string_equal(counts(), "4 1 1");
	cluster_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(zones_come_before_peers),
	        cmocka_unit_test(racks_spread_within_their_zone),
	        cmocka_unit_test(peers_without_the_label_are_one_group),
	        cmocka_unit_test(a_zone_that_is_full_leaves_the_rest_to_others),
	        cmocka_unit_test(what_runs_counts_for_its_zone),
	        cmocka_unit_test(a_wish_draws_replicas_by_its_weight),
	        cmocka_unit_test(a_wish_gives_in_where_a_condition_would_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
