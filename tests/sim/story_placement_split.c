/* Splits, by policy; and everything at once. */
#include "tests/sim/sim_work.h"
#include "tests/sim/story.h"

#define WEB 6

static void deploy_web(struct sim *s, enum spec_partition partition)
{
	struct service web = sim_service(s, "web", WEB, "1");

	web.partition = partition;
	WAIT(s, SECONDS(15), sim_converged(s));
	sim_set_voters(s, 0);
	sim_run(s, SECONDS(2));
	sim_deploy(s, 0, "shop", &web, 1);
	WAIT(s, SECONDS(4), sim_at_rest(s));
	sim_run(s, SECONDS(20));
	sim_count_anew(s);
}

static unsigned serving_on(const struct sim *s, unsigned from, unsigned to)
{
	unsigned n = 0;

	for (unsigned i = from; i < to; i++)
		n += sim_tasks_on(s, i);
	return n;
}

SIM(run_serves_everything_on_both_sides, .peers = 5, .work = true)
{
	deploy_web(s, PARTITION_RUN);
	sim_split(s, "0 1 | 2 3 4");
	sim_run(s, SECONDS(60));
	EXPECT(s, serving_on(s, 0, 2) == WEB && serving_on(s, 2, 5) == WEB);
	sim_heal(s);
	sim_expect_rest(s, MINUTES(3), 0);
	EXPECT(s, sim_dark(s) == 0 && sim_serving(s) == WEB);
}

SIM(majority_serves_everything_where_most_voters_are, .peers = 5, .work = true)
{
	deploy_web(s, PARTITION_MAJORITY);
	sim_split(s, "0 1 | 2 3 4");
	sim_run(s, SECONDS(60));
	EXPECT(s, serving_on(s, 0, 2) == 0 && serving_on(s, 2, 5) == WEB);
	sim_heal(s);
	sim_expect_rest(s, MINUTES(3), 0);
	EXPECT(s, sim_serving(s) == WEB);
}

SIM(pause_starts_and_stops_nothing, .peers = 5, .work = true)
{
	deploy_web(s, PARTITION_PAUSE);
	sim_split(s, "0 1 | 2 3 4");
	sim_run(s, SECONDS(60));
	EXPECT(s, s->works->starts == 0 && s->works->stops == 0);
	sim_heal(s);
	sim_run(s, MINUTES(3));
	EXPECT(s, s->works->starts == 0 && s->works->stops == 0 && sim_dark(s) == 0);
}

/* ---- random histories ---- */

static unsigned any(struct sim *s)
{
	return (unsigned)drbg_below(&s->rng, s->n);
}

static void deploy_anything(struct sim *s)
{
	static const char *const stacks[] = {"alpha", "beta", "gamma"}, *const whats[] = {"1", "2", "3"};
	struct service web;
	unsigned at = any(s);
	struct err err;

	if (!s->peer[at].gossip || s->peer[at].frozen_until > s->now)
		return;
	web = sim_service(s, "web", (uint32_t)drbg_below(&s->rng, 6), whats[drbg_below(&s->rng, 3)]);
	web.parallelism = 1 + (uint32_t)drbg_below(&s->rng, 2);
	if (drbg_below(&s->rng, 6) == 0)
		web.mode = MODE_GLOBAL;
	if (drbg_below(&s->rng, 5))
		sim_try_deploy(s, at, stacks[drbg_below(&s->rng, 3)], &web, 1, &err);
	else
		sim_try_undeploy(s, at, stacks[drbg_below(&s->rng, 3)], &err);
}

static void strike(struct sim *s)
{
	unsigned peer = any(s), at = any(s);
	struct err err;

	switch (drbg_below(&s->rng, 12)) {
	case 0:
		sim_crash(s, peer);
		break;
	case 1:
		sim_kill(s, peer);
		break;
	case 2:
	case 3:
		sim_start(s, peer);
		break;
	case 4:
		if (s->peer[peer].gossip)
			sim_freeze(s, peer, 1 + (int64_t)drbg_below(&s->rng, SECONDS(20)));
		break;
	case 5:
		sim_split(s, drbg_below(&s->rng, 2) ? "0 1 | 2 3 4" : "0 2 | 1 3 4");
		break;
	case 6:
		sim_heal(s);
		break;
	case 7:
		s->net.loss = (unsigned)drbg_below(&s->rng, 30);
		break;
	case 8:
	case 9:
		if (s->peer[at].gossip && s->peer[at].frozen_until <= s->now)
			sim_try_drain(s, at, peer, drbg_below(&s->rng, 2), &err);
		break;
	case 10:
		if (s->peer[peer].gossip && s->peer[peer].frozen_until <= s->now)
			sim_retire(s, peer);
		break;
	default:
		deploy_anything(s);
	}
}

SIM(after_any_history_each_slot_has_one_task, .peers = 5, .work = true)
{
	WAIT(s, SECONDS(15), sim_converged(s));
	for (int i = 0; i < 3; i++)
		deploy_anything(s);
	s->works->driver.sick = s->works->driver.refuse = s->works->driver.block = 10;
	for (unsigned i = 10 + (unsigned)drbg_below(&s->rng, 20); i > 0; i--) {
		strike(s);
		sim_run(s, (int64_t)drbg_below(&s->rng, SECONDS(12)));
	}
	s->works->driver.sick = s->works->driver.refuse = s->works->driver.block = 0;
	s->net.loss = 0;
	sim_calm(s);
	sim_run(s, SECONDS(60)); /* who was frozen, or leaving, is done */
	for (unsigned i = 0; i < s->n; i++) {
		sim_start(s, i);
		s->works->worker[i].leaving = false;
	}
	WAIT(s, MINUTES(3), sim_converged(s));
	for (unsigned i = 0; i < s->n; i++)
		sim_set_drain(s, 0, i, false);
	sim_expect_rest(s, MINUTES(10), 0);
}
