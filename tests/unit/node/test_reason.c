/* What `explain` and `plan` say of slots and peers: figures and names, not only numbers. */
#include "tests/unit/unit.h"

#include "node/control/fill.h"
#include "node/control/reason.h"
#include "tests/unit/placement/cluster.h"

static struct cluster c;
static struct placement p;

static struct service *begin(size_t peers)
{
	cluster_init(&c, peers);
	cluster_sort(&c);
	return cluster_stack(&c, "shop", 1)->services;
}

static void run(void)
{
	cluster_sort_claims(&c);
	place(&c.view, &c.arena, &p);
}

static const char *detail(size_t slot, const char *peer)
{
	enum place_reason *why = arena_array(&c.arena, c.view.n_members, sizeof(*why));
	struct fill *fill = arena_array(&c.arena, c.view.n_members, sizeof(*fill));
	size_t m = cluster_member(&c, peer);

	fill_members(&c.view, &p, fill);
	fill_planned(&c.view, &p, fill);
	place_explain(&c.view, &p, slot, why);
	return reason_detail(&c.view, &p, slot, m, why[m], fill, &c.arena);
}

static const char *slot(size_t i)
{
	return reason_slot(&c.view, &p, i, &c.arena);
}

static void on(const char *peer, uint32_t index)
{
	cluster_claim(&c, slot_id(&c.view.flock, "shop", "s0", index), cluster_member(&c, peer),
	        service_content(&c.specs[0].services[0]));
}

static void a_constraint_names_what_is_asked_and_what_is_there(void **state)
{
	static struct spec_constraint asked[] = {{"node.labels.zone", OP_EQ, "a"}};
	static struct kv zone[] = {{"zone", "b"}};
	struct service *s = begin(2);

	(void)state;
	c.members[cluster_member(&c, "p0")].labels = zone;
	c.members[cluster_member(&c, "p0")].n_labels = 1;
	s->constraints = asked;
	s->n_constraints = 1;
	run();
	assert_string_equal(detail(0, "p0"), "node.labels.zone == a, and it is b");
	assert_string_equal(detail(0, "p1"), "node.labels.zone == a, and it has none");
	assert_string_equal(slot(0), "fits on no peer: a placement constraint does not hold (8)");
	cluster_free(&c);
}

static void room_is_told_with_what_is_free_and_what_was_asked(void **state)
{
	struct service *s = begin(1);

	(void)state;
	s->replicas = 2;
	s->reserve.cpu_milli = 2500;
	s->reserve.memory = 5ULL << 30;
	run();
	assert_string_equal(
	        detail(1, "p0"), "asks 2.5 cpus, 1.5 of 4 are free; asks 5.0 GiB, 3.0 GiB of 8.0 GiB are free");
	/* The same once it is claimed, not only planned. */
	on("p0", 0);
	run();
	assert_string_equal(
	        detail(1, "p0"), "asks 2.5 cpus, 1.5 of 4 are free; asks 5.0 GiB, 3.0 GiB of 8.0 GiB are free");
	s->reserve = (struct spec_resources){.cpu_milli = 64000};
	c.view.n_claims = 0;
	run();
	assert_string_equal(detail(0, "p0"), "asks 64 cpus, the peer has 4");
	cluster_free(&c);
}

static void a_port_is_told_with_who_has_it(void **state)
{
	static struct spec_port port = {.name = "http", .target = 80, .published = 8080, .mode = PORT_HOST};
	struct service *s = begin(1);

	(void)state;
	s->replicas = 2;
	s->ports = &port;
	s->n_ports = 1;
	run(); /* the first slot is only about to start there */
	assert_string_equal(detail(1, "p0"), "8080/tcp is with shop/s0/0");
	on("p0", 0);
	run();
	assert_string_equal(detail(1, "p0"), "8080/tcp is with shop/s0/0");
	cluster_free(&c);
}

static void volumes_and_devices_are_told_with_where_and_how_many(void **state)
{
	static const char *data[] = {"data", "logs"};
	static const char *lives[] = {"shop/data", "shop/logs"};
	static struct spec_generic want = {"gpu", 2}, has = {"gpu", 3};
	struct service *s = begin(2);

	(void)state;
	s->volumes = data;
	s->n_volumes = 1;
	c.facts[1].volumes = lives;
	c.facts[1].n_volumes = 1;
	run();
	assert_string_equal(detail(0, "p0"), "data lives on p1");
	/* Of two it is the one that is not here too. */
	s->n_volumes = 2;
	c.facts[1].n_volumes = 2;
	c.facts[0].volumes = lives;
	c.facts[0].n_volumes = 1;
	run();
	assert_string_equal(detail(0, "p0"), "logs lives on p1");
	c.facts[0].n_volumes = 0;
	s->n_volumes = 0;
	s->generic = &want;
	s->n_generic = 1;
	s->replicas = 2;
	c.facts[1].generic = &has;
	c.facts[1].n_generic = 1;
	on("p1", 0);
	run();
	assert_string_equal(detail(1, "p0"), "asks 2 gpu, it has 0");
	assert_string_equal(detail(1, "p1"), "asks 2 gpu, 1 of 3 are free");
	cluster_free(&c);
}

static void counts_powers_and_states_are_told(void **state)
{
	struct service *s = begin(2);

	(void)state;
	s->max_replicas_per_node = 1;
	s->replicas = 2;
	on("p0", 0);
	c.members[cluster_member(&c, "p1")].state = VIEW_DEAD;
	run();
	assert_string_equal(detail(1, "p0"), "1 of 1 are there");
	assert_string_equal(detail(1, "p1"), "dead");
	s->priority = 5;
	c.stacks[0].powers = 0;
	c.view.n_claims = 0;
	run();
	assert_string_equal(detail(0, "p0"), "priority");
	cluster_free(&c);
}

static void an_owner_that_may_stay_is_said_to(void **state)
{
	begin(2);
	(void)state;
	on("p1", 0);
	run();
	assert_string_equal(slot(0), "runs on p1, and nothing asks it to move");
	c.members[cluster_member(&c, "p1")].state = VIEW_SUSPECT;
	run();
	assert_string_equal(slot(0), "runs on p1, which is suspect: nothing moves before it is believed dead");
	cluster_free(&c);
}

static void a_drain_is_told_from_its_plan_to_its_end(void **state)
{
	begin(2);
	(void)state;
	on("p1", 0);
	c.members[cluster_member(&c, "p1")].draining = true;
	run();
	assert_string_equal(slot(0), "has to leave p1, which drains; p0 is to take it over");
	cluster_begin_moves(&c, &p);
	run();
	assert_string_equal(slot(0), "runs on p1, which hands it over to p0");
	on("p0", 0);
	c.claims[c.view.n_claims - 1].c.state = TASK_STARTING;
	c.claims[c.view.n_claims - 1].c.health = HEALTH_STARTING;
	run();
	assert_string_equal(slot(0), "runs on p1, which hands it over to p0: starting there");
	for (size_t i = 0; i < c.view.n_claims; i++) {
		c.claims[i].c.state = TASK_RUNNING;
		c.claims[i].c.health = HEALTH_HEALTHY;
	}
	run();
	assert_string_equal(slot(0), "runs on p0, which took it over from p1; there it is about to stop");
	cluster_free(&c);
}

static void what_drains_and_fits_nowhere_stays_with_its_reason(void **state)
{
	struct service *s = begin(2);

	(void)state;
	s->reserve.cpu_milli = 3000;
	on("p1", 0);
	c.facts[0].cpu_milli = 1000;
	c.members[cluster_member(&c, "p1")].draining = true;
	run();
	assert_string_equal(slot(0),
	        "runs on p1, which drains, and stays: it fits nowhere else: reservation is larger than the whole peer (9)");
	cluster_free(&c);
}

static void an_orphan_says_whose_it_was_and_who_is_next(void **state)
{
	struct service *s = begin(3);
	const char *first, *second;

	(void)state;
	run();
	first = cluster_name(&c, p.slots[0].candidate[0]);
	second = cluster_name(&c, p.slots[0].candidate[1]);
	assert_string_equal(
	        slot(0), arena_printf(&c.arena,
	                         "runs nowhere yet; %s starts it; if it does not, %s does some seconds later",
	                         first, second));
	on("p2", 0);
	c.members[cluster_member(&c, "p2")].state = VIEW_DEAD;
	run();
	first = cluster_name(&c, p.slots[0].candidate[0]);
	second = cluster_name(&c, p.slots[0].candidate[1]);
	assert_string_equal(
	        slot(0), arena_printf(&c.arena,
	                         "was lost with p2; %s starts it now; if it does not, %s does some seconds later",
	                         first, second));
	s->failover_after_ms = SECONDS(60);
	run();
	assert_non_null(strstr(slot(0), "60s after the loss (failover_after)"));
	cluster_free(&c);
}

static void a_side_without_a_majority_says_how_many_voters_it_sees(void **state)
{
	struct service *s = begin(3);
	struct key32 voters[3];

	(void)state;
	s->partition = PARTITION_MAJORITY;
	run();
	assert_string_equal(slot(0),
	        "fits on no peer: partition: majority needs a list of voters; see `starling voters set` (18)");
	for (size_t i = 0; i < 3; i++)
		voters[i] = c.members[i].key; /* members are sorted by key */
	c.view.voters = voters;
	c.view.n_voters = 3;
	run();
	assert_non_null(strstr(slot(0), "runs nowhere yet"));
	c.members[0].state = VIEW_DEAD;
	run();
	assert_non_null(strstr(slot(0), "runs nowhere yet"));
	c.members[1].state = VIEW_SUSPECT;
	run();
	assert_string_equal(slot(0), "waits: 1 of 3 voters are in sight, and more than half are needed");
	/* Also of a slot for which there is no room: with a majority there might be. */
	s->reserve.cpu_milli = 100000000;
	run();
	assert_string_equal(slot(0), "waits: 1 of 3 voters are in sight, and more than half are needed");
	cluster_free(&c);
}

static void a_slot_that_waits_for_a_dead_peer_says_how_to_give_that_up(void **state)
{
	struct service *s = begin(2);

	(void)state;
	s->partition = PARTITION_PAUSE;
	on("p0", 0);
	c.members[cluster_member(&c, "p0")].state = VIEW_DEAD;
	run();
	assert_string_equal(slot(0),
	        "waits for p0, which is dead (partition: pause); `starling node drain p0` if it will not be back soon");
	cluster_free(&c);
}

static void a_slot_that_two_peers_serve_names_both(void **state)
{
	const char *said;

	(void)state;
	begin(3);
	on("p0", 0);
	on("p1", 0);
	run();
	said = slot(0);
	assert_non_null(strstr(said, "runs on p"));
	assert_non_null(strstr(said, "p0"));
	assert_non_null(strstr(said, "p1"));
	assert_non_null(strstr(said, "one of them is to stop; if both go on, look for `disputed` in their logs"));
	cluster_free(&c);
}

static void a_slot_that_makes_room_and_the_one_that_waits_for_it_name_each_other(void **state)
{
	static struct placed_move move;
	struct service *s = begin(2);

	(void)state;
	s->replicas = 2;
	on("p0", 0);
	run();
	move = (struct placed_move){
	        .slot = 0, .to = (int32_t)cluster_member(&c, "p1"), .why = MOVE_REPAIR, .for_slot = 1};
	p.moves = &move;
	p.n_moves = 1;
	p.slots[1].n_candidates = 0;
	p.slots[1].reason = REASON_MAKING_ROOM;
	assert_string_equal(slot(0), "runs on p0 and moves to p1, to make room for shop/s0/1");
	assert_string_equal(slot(1), "waits while shop/s0/0 moves to p1, which makes room for it");
	move.why = MOVE_PREEMPT;
	move.to = -1;
	assert_string_equal(
	        slot(0), "runs on p0 and stops there, to make room for shop/s0/1, whose priority is higher");
	assert_string_equal(slot(1), "waits while shop/s0/0 stops, which makes room for it");
	cluster_free(&c);
}

static void how_full_a_peer_is_counts_what_runs_there(void **state)
{
	struct fill fill[2];
	struct service *s = begin(2);
	size_t p0, p1;

	(void)state;
	s->replicas = 3;
	s->reserve = (struct spec_resources){.cpu_milli = 500, .memory = 1 << 20};
	on("p0", 0);
	on("p0", 1);
	on("p1", 2);
	c.claims[c.view.n_claims - 1].c.state = TASK_DONE;
	run();
	p0 = cluster_member(&c, "p0");
	p1 = cluster_member(&c, "p1");
	fill_members(&c.view, &p, fill);
	assert_int_equal(fill[p0].tasks, 2);
	assert_int_equal(fill[p0].cpu_milli, 1000);
	assert_int_equal(fill[p0].memory, 2 << 20);
	assert_int_equal(fill[p1].tasks, 0);
	assert_int_equal(fill[p1].cpu_milli, 0);
	cluster_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_constraint_names_what_is_asked_and_what_is_there),
	        cmocka_unit_test(room_is_told_with_what_is_free_and_what_was_asked),
	        cmocka_unit_test(a_port_is_told_with_who_has_it),
	        cmocka_unit_test(volumes_and_devices_are_told_with_where_and_how_many),
	        cmocka_unit_test(counts_powers_and_states_are_told),
	        cmocka_unit_test(an_owner_that_may_stay_is_said_to),
	        cmocka_unit_test(a_drain_is_told_from_its_plan_to_its_end),
	        cmocka_unit_test(what_drains_and_fits_nowhere_stays_with_its_reason),
	        cmocka_unit_test(an_orphan_says_whose_it_was_and_who_is_next),
	        cmocka_unit_test(a_slot_that_waits_for_a_dead_peer_says_how_to_give_that_up),
	        cmocka_unit_test(a_slot_that_two_peers_serve_names_both),
	        cmocka_unit_test(a_side_without_a_majority_says_how_many_voters_it_sees),
	        cmocka_unit_test(a_slot_that_makes_room_and_the_one_that_waits_for_it_name_each_other),
	        cmocka_unit_test(how_full_a_peer_is_counts_what_runs_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
