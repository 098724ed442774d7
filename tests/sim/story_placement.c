/* What a flock runs while hosts and agents come and go: everything once, and nothing moves without need. */
#include "tests/sim/sim_work.h"
#include "tests/sim/story.h"

#define WEB 6

/* Six replicas in a flock that has been quiet for a while. */
static void deploy_web(struct sim *s)
{
	struct service web = sim_service(s, "web", WEB, "1");

	WAIT(s, SECONDS(15), sim_converged(s));
	sim_deploy(s, 0, "shop", &web, 1);
	WAIT(s, SECONDS(4), sim_at_rest(s));
	sim_run(s, SECONDS(60));
	EXPECT(s, s->works->starts == WEB && s->works->stops == 0);
	sim_count_anew(s);
}

/* Nothing was started, stopped or interrupted since. */
static void expect_calm(struct sim *s)
{
	sim_expect_rest(s, SECONDS(40), 0);
	EXPECT(s, s->works->starts == 0 && s->works->stops == 0);
	EXPECT(s, sim_dark(s) == 0 && sim_serving(s) == WEB);
}

SIM(a_deployment_runs_soon_each_slot_once, .peers = 3, .work = true)
{
	deploy_web(s);
	for (unsigned i = 0; i < 3; i++)
		EXPECT(s, sim_tasks_on(s, i) == 2);
	EXPECT(s, s->works->doubles == 0);
}

SIM(a_deployment_under_loss_runs_each_slot_once_in_the_end, .peers = 5, .work = true, .loss = 20)
{
	struct service web = sim_service(s, "web", WEB, "1");

	WAIT(s, SECONDS(30), sim_all_ready(s) && sim_all_alive(s));
	sim_deploy(s, 0, "shop", &web, 1);
	WAIT(s, SECONDS(30), sim_at_rest(s));
	sim_expect_rest(s, SECONDS(30), 0);
}

/* Hosts. */

SIM(a_crashed_hosts_tasks_run_elsewhere_each_started_once, .peers = 5, .work = true)
{
	unsigned lost, victim;

	deploy_web(s);
	victim = (unsigned)drbg_below(&s->rng, s->n);
	lost = sim_tasks_on(s, victim);
	sim_crash(s, victim);
	WAIT(s, SECONDS(20), sim_at_rest(s));
	EXPECT(s, s->works->starts == lost && s->works->stops == 0 && s->works->doubles == 0);
	/* Back, it finds that others have what it ran, and nothing moves again. */
	sim_run(s, SECONDS(5) + (int64_t)drbg_below(&s->rng, MINUTES(2)));
	sim_start(s, victim);
	sim_expect_rest(s, SECONDS(30), 0);
	EXPECT(s, s->works->starts == lost && s->works->stops == 0 && s->works->doubles == 0);
}

SIM(a_host_that_reboots_at_once_goes_on_with_its_own, .peers = 5, .work = true)
{
	unsigned lost, victim;

	deploy_web(s);
	victim = (unsigned)drbg_below(&s->rng, s->n);
	lost = sim_tasks_on(s, victim);
	sim_crash(s, victim);
	sim_run(s, 500);
	sim_start(s, victim);
	WAIT(s, SECONDS(30), sim_at_rest(s));
	EXPECT(s, s->works->starts == lost && sim_tasks_on(s, victim) == lost);
	sim_expect_rest(s, SECONDS(30), 0);
}

SIM(a_flock_that_loses_its_power_runs_everything_again, .peers = 4, .work = true)
{
	deploy_web(s);
	for (unsigned i = 0; i < s->n; i++)
		sim_crash(s, i);
	sim_run(s, SECONDS(10));
	for (unsigned i = 0; i < s->n; i++) {
		sim_start(s, i);
		sim_run(s, (int64_t)drbg_below(&s->rng, 3000));
	}
	sim_expect_rest(s, SECONDS(60), 0);
	/* Each host goes on with its own; what it was slow to bring back another may have taken. */
	EXPECT(s, s->works->starts >= WEB && s->works->starts <= 2 * WEB);
}

SIM(the_last_survivor_takes_what_it_has_room_for, .peers = 3, .work = true)
{
	struct service web = sim_service(s, "web", WEB, "1");

	web.reserve.cpu_milli = 1000; /* of 4 cores */
	WAIT(s, SECONDS(15), sim_converged(s));
	sim_deploy(s, 0, "shop", &web, 1);
	sim_expect_rest(s, SECONDS(5), 0);
	sim_crash(s, 0);
	sim_crash(s, 1);
	sim_run(s, SECONDS(60));
	EXPECT(s, sim_tasks_on(s, 2) == 4);
	sim_start(s, 0);
	sim_start(s, 1);
	sim_expect_rest(s, SECONDS(60), 0);
}

/* Agents. */

SIM(an_agent_that_is_soon_back_moves_nothing, .peers = 5, .work = true)
{
	deploy_web(s);
	for (unsigned i = 0; i < s->n; i++) {
		sim_kill(s, i);
		sim_run(s, (int64_t)drbg_below(&s->rng, 1500));
		sim_start(s, i);
		sim_run(s, SECONDS(10));
	}
	sim_run(s, SECONDS(60));
	expect_calm(s);
}

SIM(a_rolling_restart_of_all_agents_starts_and_stops_nothing, .peers = 8, .work = true)
{
	deploy_web(s);
	sim_expect_rest(s, SECONDS(40), 0); /* with the load evened out */
	sim_count_anew(s);
	for (unsigned i = 0; i < s->n; i++) {
		sim_kill(s, i);
		sim_run(s, 100 + (int64_t)drbg_below(&s->rng, 1000));
		sim_start(s, i);
		sim_run(s, SECONDS(3) + (int64_t)drbg_below(&s->rng, SECONDS(5)));
	}
	sim_run(s, SECONDS(60));
	expect_calm(s);
}

SIM(all_agents_restarted_at_once_start_and_stop_nothing, .peers = 5, .work = true)
{
	deploy_web(s);
	sim_expect_rest(s, SECONDS(40), 0);
	sim_count_anew(s);
	for (unsigned i = 0; i < s->n; i++)
		sim_kill(s, i);
	sim_run(s, (int64_t)drbg_below(&s->rng, SECONDS(60)));
	for (unsigned i = 0; i < s->n; i++) {
		sim_start(s, i);
		sim_run(s, (int64_t)drbg_below(&s->rng, 1000));
	}
	/* After a minute claims say again that their peers see the flock. */
	sim_run(s, SECONDS(80));
	expect_calm(s);
}

/* The agent alone dies: its tasks go on, copies start elsewhere, and when it is back the conflict settles. */
SIM(an_agent_that_dies_alone_costs_copies_which_end, .peers = 5, .work = true)
{
	unsigned kept, victim;

	deploy_web(s);
	victim = (unsigned)drbg_below(&s->rng, s->n);
	kept = sim_tasks_on(s, victim);
	sim_kill(s, victim);
	sim_run(s, SECONDS(20));
	EXPECT(s, s->works->starts == kept && sim_tasks_on(s, victim) == kept);
	sim_run(s, (int64_t)drbg_below(&s->rng, SECONDS(90)));
	sim_start(s, victim);
	WAIT(s, SECONDS(30), sim_at_rest(s));
	/* Those that saw the flock keep theirs. */
	EXPECT(s, s->works->starts == kept && s->works->stops == kept && sim_tasks_on(s, victim) == 0);
	sim_expect_rest(s, SECONDS(30), 0);
	EXPECT(s, sim_dark(s) == 0);
}

SIM(a_flocks_last_agent_goes_on_alone, .peers = 3, .work = true)
{
	deploy_web(s);
	for (unsigned i = 0; i < s->n; i++)
		sim_crash(s, i);
	sim_run(s, SECONDS(5));
	sim_start(s, 1);
	/* Its own at once; the others' when it believes them dead. */
	WAIT(s, SECONDS(5), sim_serving(s) >= 2);
	WAIT(s, SECONDS(40), sim_at_rest(s));
	EXPECT(s, sim_tasks_on(s, 1) == WEB);
	sim_start(s, 0);
	sim_start(s, 2);
	sim_expect_rest(s, SECONDS(60), 0);
}

/* Suspicions. */

SIM(a_pause_shorter_than_a_suspicion_starts_nothing, .peers = 5, .work = true)
{
	deploy_web(s);
	for (int i = 0; i < 20; i++) {
		sim_freeze(s, (unsigned)drbg_below(&s->rng, s->n), 500 + (int64_t)drbg_below(&s->rng, 2500));
		sim_run(s, SECONDS(5) + (int64_t)drbg_below(&s->rng, SECONDS(5)));
	}
	sim_run(s, SECONDS(30));
	expect_calm(s);
}

SIM(twenty_percent_loss_and_pauses_start_nothing, .peers = 5, .work = true)
{
	deploy_web(s);
	s->net.loss = 20;
	for (int i = 0; i < 60; i++) {
		if (drbg_below(&s->rng, 4) == 0)
			sim_freeze(s, (unsigned)drbg_below(&s->rng, s->n), (int64_t)drbg_below(&s->rng, 2000));
		sim_run(s, SECONDS(10));
	}
	s->net.loss = 0;
	sim_run(s, SECONDS(30));
	expect_calm(s);
}

/* Joining. */

SIM(a_fresh_peer_joins_and_nothing_moves, .peers = 6, .joined = 4, .work = true)
{
	deploy_web(s);
	for (unsigned i = 4; i < s->n; i++) {
		sim_admit(s, 0, i);
		sim_start(s, i);
		sim_knows(s, i, 1);
		sim_run(s, SECONDS(20));
	}
	EXPECT(s, sim_all_alive(s));
	expect_calm(s);
}

/* Operators. */

SIM(another_stack_moves_nothing, .peers = 4, .work = true)
{
	struct service api = sim_service(s, "api", 5, "1");

	deploy_web(s);
	sim_deploy(s, 1, "other", &api, 1);
	sim_expect_rest(s, SECONDS(5), 0);
	EXPECT(s, s->works->starts == 5 && s->works->stops == 0);
	EXPECT(s, sim_try_undeploy(s, 2, "other", &(struct err){0}));
	sim_expect_rest(s, SECONDS(5), 0);
	EXPECT(s, s->works->starts == 5 && s->works->stops == 5);
	EXPECT(s,
	        sim_serving(s) == WEB &&
	                sim_tasks_on(s, 0) + sim_tasks_on(s, 1) + sim_tasks_on(s, 2) + sim_tasks_on(s, 3) == WEB);
}

SIM(scaling_touches_only_what_it_adds_and_removes, .peers = 4, .work = true)
{
	struct service web = sim_service(s, "web", 9, "1");

	deploy_web(s);
	sim_deploy(s, 1, "shop", &web, 1);
	sim_expect_rest(s, SECONDS(5), 0);
	EXPECT(s, s->works->starts == 3 && s->works->stops == 0);
	web.replicas = 2;
	sim_deploy(s, 2, "shop", &web, 1);
	sim_expect_rest(s, SECONDS(5), 0);
	EXPECT(s, s->works->starts == 3 && s->works->stops == 7);
}

SIM(an_update_goes_one_slot_after_the_other, .peers = 4, .work = true)
{
	struct service web = sim_service(s, "web", WEB, "2");
	mono_ms until;

	deploy_web(s);
	sim_deploy(s, 1, "shop", &web, 1);
	for (until = s->now + MINUTES(2); !sim_at_rest(s) && s->now < until; sim_run(s, 20))
		EXPECT(s, sim_serving(s) >= WEB - 1);
	sim_expect_rest(s, SECONDS(1), 0);
	EXPECT(s, s->works->starts == WEB && s->works->stops == WEB);
}

/* A host that cannot start it is passed over at once. */
SIM(who_cannot_start_a_task_is_passed_over, .peers = 4, .work = true)
{
	struct service web = sim_service(s, "web", WEB, "1");

	WAIT(s, SECONDS(15), sim_converged(s));
	s->works->worker[2].refuses = true;
	sim_deploy(s, 0, "shop", &web, 1);
	WAIT(s, SECONDS(5), sim_at_rest(s));
	EXPECT(s, sim_tasks_on(s, 2) == 0 && s->works->refusals > 0);
	sim_run(s, SECONDS(5));
	sim_count_anew(s);
	/* Each minute it is tried again there, if there is reason to; what runs stays, but for one that evens out the rest. */
	sim_run(s, MINUTES(3));
	WAIT(s, MINUTES(1), sim_at_rest(s));
	EXPECT(s, sim_tasks_on(s, 2) == 0 && s->works->stops <= 1);
}

SIM(starts_that_fail_by_chance_succeed_in_the_end, .peers = 4, .work = true)
{
	struct service web = sim_service(s, "web", WEB, "1");

	WAIT(s, SECONDS(15), sim_converged(s));
	s->works->driver.refuse = 20;
	s->works->driver.block = 20;
	sim_deploy(s, 0, "shop", &web, 1);
	WAIT(s, MINUTES(5), sim_at_rest(s));
	sim_expect_rest(s, SECONDS(1), 0);
}

SIM(tasks_that_fall_ill_stay_where_they_are, .peers = 4, .work = true)
{
	struct service web = sim_service(s, "web", WEB, "1");

	WAIT(s, SECONDS(15), sim_converged(s));
	s->works->driver.sick = 50;
	sim_deploy(s, 0, "shop", &web, 1);
	sim_run(s, MINUTES(5));
	s->works->driver.sick = 0;
	sim_expect_rest(s, MINUTES(2), 0);
	EXPECT(s, s->works->starts == WEB && s->works->stops == 0);
}
