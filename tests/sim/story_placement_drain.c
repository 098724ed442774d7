/* Slots that go from one living peer to another: nobody who asks ever meets a slot without a task. */
#include "tests/sim/sim_work.h"
#include "tests/sim/story.h"

#define WEB 6

static void deploy_web(struct sim *s, uint32_t replicas)
{
	struct service web = sim_service(s, "web", replicas, "1");

	WAIT(s, SECONDS(15), sim_converged(s));
	sim_deploy(s, 0, "shop", &web, 1);
	WAIT(s, SECONDS(4), sim_at_rest(s));
	sim_run(s, SECONDS(20));
	sim_count_anew(s);
	s->works->strict = true;
}

/* The slot of a service of one replica. */
static unsigned only_owner(struct sim *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (sim_tasks_on(s, i))
			return i;
	sim_fail(s, __FILE__, __LINE__, "nobody runs the only slot");
}

static unsigned only_target(struct sim *s, unsigned owner)
{
	for (unsigned i = 0; i < s->n; i++)
		if (i != owner && sim_tasks_on(s, i))
			return i;
	sim_fail(s, __FILE__, __LINE__, "nobody takes the only slot over");
}

static unsigned others_tasks(const struct sim *s, unsigned but)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n; i++)
		n += i != but ? sim_tasks_on(s, i) : 0;
	return n;
}

SIM(a_drained_peer_hands_everything_over, .peers = 5, .work = true)
{
	unsigned peer, had;

	deploy_web(s, 12);
	peer = (unsigned)drbg_below(&s->rng, s->n);
	had = sim_tasks_on(s, peer);
	sim_set_drain(s, (peer + 1) % s->n, peer, true);
	sim_run(s, 500);
	sim_expect_rest(s, SECONDS(20), 0);
	EXPECT(s, sim_tasks_on(s, peer) == 0 && sim_serving(s) == 12);
	EXPECT(s, s->works->starts == had && s->works->stops == had && sim_dark(s) == 0);
}

SIM(a_resumed_peer_gets_nothing_back_at_once, .peers = 4, .work = true)
{
	deploy_web(s, WEB);
	sim_set_drain(s, 0, 1, true);
	sim_run(s, SECONDS(15));
	sim_count_anew(s);
	sim_set_drain(s, 2, 1, false);
	sim_run(s, SECONDS(50));
	EXPECT(s, s->works->starts == 0 && s->works->stops == 0);
	/* A little at a time, later: the three others carry two each, and one of them gives. */
	sim_run(s, MINUTES(5));
	sim_expect_rest(s, SECONDS(90), 0);
	EXPECT(s, sim_dark(s) == 0 && s->works->doubles == 0);
}

SIM(a_drain_that_is_called_off_at_once_ends_well, .peers = 4, .work = true)
{
	deploy_web(s, WEB);
	for (int i = 0; i < 5; i++) {
		sim_set_drain(s, 0, 1, true);
		sim_run(s, (int64_t)drbg_below(&s->rng, 1500));
		sim_set_drain(s, 0, 1, false);
		sim_run(s, (int64_t)drbg_below(&s->rng, 1500));
	}
	sim_run(s, SECONDS(30));
	sim_expect_rest(s, MINUTES(10), 0);
	EXPECT(s, sim_dark(s) == 0);
}

SIM(two_drains_at_once, .peers = 5, .work = true)
{
	unsigned had;

	deploy_web(s, 10);
	had = sim_tasks_on(s, 1) + sim_tasks_on(s, 3);
	sim_set_drain(s, 0, 1, true);
	sim_run(s, (int64_t)drbg_below(&s->rng, 1000));
	sim_set_drain(s, 2, 3, true);
	sim_run(s, 500);
	sim_expect_rest(s, SECONDS(40), 0);
	EXPECT(s, sim_tasks_on(s, 1) == 0 && sim_tasks_on(s, 3) == 0 && sim_dark(s) == 0);
	/* What went from one to the other before it heard of its own drain goes once more. */
	EXPECT(s, s->works->starts >= had && s->works->starts <= 2 * had);
}

SIM(drains_of_one_after_the_other_move_what_they_must, .peers = 5, .work = true)
{
	deploy_web(s, 10);
	for (unsigned i = 0; i < s->n; i++) {
		sim_set_drain(s, 0, i, true);
		sim_run(s, SECONDS(20));
		EXPECT(s, sim_tasks_on(s, i) == 0);
		sim_set_drain(s, 0, i, false);
		sim_run(s, SECONDS(5));
	}
	EXPECT(s, sim_dark(s) == 0);
	sim_expect_rest(s, MINUTES(10), 0);
}

SIM(a_drain_of_all_peers_moves_and_stops_nothing, .peers = 4, .work = true)
{
	deploy_web(s, WEB);
	/* An owner that hears of its target's drain takes its word back; the target may have begun. */
	s->works->strict = false;
	for (unsigned i = 0; i < s->n; i++)
		sim_set_drain(s, 0, i, true);
	sim_run(s, MINUTES(2));
	EXPECT(s, sim_serving(s) == WEB && sim_dark(s) == 0);
	/* Only what was on its way when the last ones were told of their drain has moved. */
	EXPECT(s, s->works->starts == s->works->stops && s->works->starts <= WEB);
	sim_set_drain(s, 1, 2, false);
	sim_run(s, 500);
	sim_expect_rest(s, SECONDS(40), 0);
	EXPECT(s, sim_tasks_on(s, 2) == WEB && sim_dark(s) == 0);
}

SIM(an_update_during_a_drain, .peers = 4, .work = true)
{
	struct service web = sim_service(s, "web", WEB, "2");
	unsigned peer;

	deploy_web(s, WEB);
	peer = (unsigned)drbg_below(&s->rng, s->n);
	sim_set_drain(s, 0, peer, true);
	sim_run(s, (int64_t)drbg_below(&s->rng, SECONDS(4)));
	sim_deploy(s, 1, "shop", &web, 1);
	sim_run(s, 500);
	sim_expect_rest(s, MINUTES(2), 0);
	EXPECT(s, sim_tasks_on(s, peer) == 0 && sim_serving(s) == WEB);
}

SIM(a_slot_is_handed_over_under_loss, .peers = 4, .work = true)
{
	unsigned peer;

	deploy_web(s, WEB);
	peer = (unsigned)drbg_below(&s->rng, s->n);
	s->works->strict = false;
	s->net.loss = 20;
	sim_set_drain(s, 0, peer, true);
	WAIT(s, SECONDS(60), !sim_tasks_on(s, peer));
	EXPECT(s, sim_dark(s) == 0 && s->works->doubles == 0);
	s->net.loss = 0;
	sim_expect_rest(s, SECONDS(30), 0);
}

/* Leaving. */

SIM(a_peer_that_leaves_moves_its_share_and_no_other, .peers = 5, .work = true)
{
	unsigned peer, had;

	deploy_web(s, 10);
	peer = (unsigned)drbg_below(&s->rng, s->n);
	had = sim_tasks_on(s, peer);
	sim_retire(s, peer);
	WAIT(s, SECONDS(30), !s->peer[peer].gossip);
	sim_run(s, 500);
	sim_expect_rest(s, SECONDS(10), 0);
	EXPECT(s, s->works->starts == had && s->works->stops == had && sim_dark(s) == 0);
	EXPECT(s, sim_all_say(s, peer, MEMBER_LEFT));
}

SIM(the_last_but_one_leaves, .peers = 2, .work = true)
{
	deploy_web(s, WEB);
	sim_retire(s, 1);
	WAIT(s, SECONDS(30), !s->peer[1].gossip);
	EXPECT(s, sim_tasks_on(s, 0) == WEB && sim_dark(s) == 0);
}

/* Labels. */

SIM(a_label_that_changes_moves_who_depends_on_it, .peers = 4, .work = true)
{
	struct spec_constraint ssd = {.attr = "node.labels.disk", .op = OP_EQ, .value = "ssd"};
	struct service db = sim_service(s, "db", 2, "1");

	db.n_constraints = 1;
	db.constraints = &ssd;
	for (unsigned i = 0; i < 3; i++)
		sim_host_label(s, i, "disk", "ssd");
	deploy_web(s, WEB);
	sim_deploy(s, 0, "data", &db, 1);
	sim_expect_rest(s, SECONDS(5), 0);
	sim_count_anew(s);
	for (unsigned i = 0; i < 3; i++) {
		sim_set_label(s, 3, 3, "disk", "ssd");
		sim_set_label(s, 3, i, "disk", "hdd");
		sim_run(s, 500);
		sim_expect_rest(s, SECONDS(30), 0);
		for (size_t k = 0; k < s->works->worker[i].n_tasks; k++)
			EXPECT(s, s->works->worker[i].tasks[k]->service[0] != 'd');
		sim_set_label(s, 3, i, "disk", "ssd");
		sim_run(s, SECONDS(10));
	}
	EXPECT(s, sim_dark(s) == 0);
}

/* Death on the way. */

/* A handover that takes long: the target is still starting the task 2 s later. */
static unsigned begin_slow_handover(struct sim *s, unsigned *owner)
{
	unsigned target;

	deploy_web(s, 1);
	s->works->driver.start_min = s->works->driver.start_max = SECONDS(2);
	*owner = only_owner(s);
	sim_set_drain(s, *owner, *owner, true);
	WAIT(s, SECONDS(3), others_tasks(s, *owner) == 1);
	target = only_target(s, *owner);
	sim_run(s, (int64_t)drbg_below(&s->rng, 1900));
	return target;
}

SIM(a_target_that_dies_on_the_way_is_replaced, .peers = 4, .work = true)
{
	unsigned owner, target = begin_slow_handover(s, &owner);

	sim_crash(s, target);
	sim_run(s, 500);
	sim_expect_rest(s, SECONDS(40), 0);
	EXPECT(s, sim_tasks_on(s, owner) == 0 && sim_dark(s) == 0);
	sim_start(s, target);
	sim_expect_rest(s, SECONDS(40), 0);
	EXPECT(s, sim_dark(s) == 0);
}

SIM(an_owner_that_dies_on_the_way_is_succeeded_by_its_target, .peers = 4, .work = true)
{
	unsigned owner, target = begin_slow_handover(s, &owner);

	sim_crash(s, owner);
	sim_run(s, 500);
	sim_expect_rest(s, SECONDS(40), 0);
	EXPECT(s, sim_tasks_on(s, target) == 1 && s->works->starts == 1 && sim_dark(s) <= SECONDS(2));
	sim_start(s, owner);
	sim_expect_rest(s, SECONDS(40), 0);
	EXPECT(s, s->works->starts == 1);
}

SIM(both_die_on_the_way, .peers = 5, .work = true)
{
	unsigned owner, target = begin_slow_handover(s, &owner);

	s->works->strict = false;
	sim_crash(s, owner);
	sim_run(s, (int64_t)drbg_below(&s->rng, 3000));
	sim_crash(s, target);
	sim_run(s, 500);
	sim_expect_rest(s, SECONDS(60), 0);
	sim_start(s, target);
	sim_run(s, (int64_t)drbg_below(&s->rng, SECONDS(20)));
	sim_start(s, owner);
	sim_expect_rest(s, SECONDS(60), 0);
	EXPECT(s, sim_tasks_on(s, owner) == 0);
}

SIM(the_owners_agent_restarts_on_the_way, .peers = 4, .work = true)
{
	unsigned owner;

	begin_slow_handover(s, &owner);
	s->works->strict = false; /* DNS of a peer that begins anew */
	sim_kill(s, owner);
	sim_run(s, (int64_t)drbg_below(&s->rng, 2000));
	sim_start(s, owner);
	sim_run(s, 500);
	sim_expect_rest(s, SECONDS(60), 0);
	EXPECT(s, sim_tasks_on(s, owner) == 0 && sim_dark(s) == 0);
}

SIM(the_targets_agent_restarts_on_the_way, .peers = 4, .work = true)
{
	unsigned owner, target = begin_slow_handover(s, &owner);

	s->works->strict = false;
	sim_kill(s, target);
	sim_run(s, (int64_t)drbg_below(&s->rng, 2000));
	sim_start(s, target);
	sim_run(s, 500);
	sim_expect_rest(s, SECONDS(60), 0);
	EXPECT(s, sim_tasks_on(s, owner) == 0 && sim_dark(s) == 0);
}

SIM(a_target_that_refuses_is_passed_over, .peers = 4, .work = true)
{
	unsigned owner;

	deploy_web(s, 1);
	owner = only_owner(s);
	for (unsigned i = 0, spared = 0; i < s->n; i++)
		if (i != owner && spared++)
			s->works->worker[i].refuses = true;
	sim_set_drain(s, owner, owner, true);
	sim_run(s, 500);
	sim_expect_rest(s, SECONDS(60), 0);
	EXPECT(s, sim_tasks_on(s, owner) == 0 && sim_dark(s) == 0);
}

/* Nobody else may run it: it stays, and is served. */
SIM(a_drain_without_a_way_out_keeps_the_slot, .peers = 3, .work = true)
{
	struct spec_constraint here = {.attr = "node.hostname", .op = OP_EQ, .value = "p1"};
	struct service db = sim_service(s, "db", 1, "1");

	db.n_constraints = 1;
	db.constraints = &here;
	WAIT(s, SECONDS(15), sim_converged(s));
	sim_deploy(s, 0, "data", &db, 1);
	sim_expect_rest(s, SECONDS(5), 0);
	sim_count_anew(s);
	sim_set_drain(s, 0, 1, true);
	sim_run(s, MINUTES(1));
	EXPECT(s, sim_tasks_on(s, 1) == 1 && sim_dark(s) == 0 && s->works->starts == 0);
}
