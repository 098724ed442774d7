/* What membership promises, one story each. */
#include "tests/sim/story.h"

SIM(every_crash_is_known_to_all_survivors, .peers = 8, .loss = 10)
{
	WAIT(s, SECONDS(10), sim_all_alive(s));
	for (int round = 0; round < 8; round++) {
		unsigned first = (unsigned)drbg_below(&s->rng, s->n), n = 1 + (unsigned)drbg_below(&s->rng, 4);

		for (unsigned k = 0; k < n; k++) {
			sim_crash(s, (first + k) % s->n);
			sim_run(s, (int64_t)drbg_below(&s->rng, 3000));
		}
		for (unsigned k = 0; k < n; k++)
			WAIT(s, SECONDS(60), sim_all_say(s, (first + k) % s->n, MEMBER_DEAD));
		for (unsigned k = 0; k < n; k++)
			sim_start(s, (first + k) % s->n);
		WAIT(s, SECONDS(30), sim_all_alive(s));
	}
}

/* Deaf, mute, cut off, frozen, in a lossy corner: taken for dead, and alive again with no command once it ends. */
SIM(no_false_death_is_permanent, .peers = 6)
{
	WAIT(s, SECONDS(10), sim_all_alive(s));
	for (int way = 0; way < 5; way++) {
		struct sim_peer *p = &s->peer[2];

		switch (way) {
		case 0:
			p->deaf = true;
			break;
		case 1:
			p->mute = true;
			break;
		case 2:
			sim_unplug(s, 2);
			break;
		case 3:
			sim_freeze(s, 2, MINUTES(3));
			break;
		case 4:
			sim_suspend(s, 2, MINUTES(3));
			break;
		}
		WAIT(s, MINUTES(1), sim_all_say(s, 2, MEMBER_DEAD));
		sim_run(s, MINUTES(3));
		sim_calm(s);
		sim_plug(s, 2);
		WAIT(s, SECONDS(30), sim_all_alive(s));
	}
}

SIM(a_refutation_wins, .peers = 6, .loss = 5)
{
	WAIT(s, SECONDS(10), sim_all_alive(s));
	sim_run(s, SECONDS(10));
	for (int round = 0; round < 20; round++) {
		unsigned who = (unsigned)drbg_below(&s->rng, s->n);
		uint64_t before = sim_incarnation(s, (who + 1) % s->n, who);
		bool suspected = false;

		s->peer[who].mute = true;
		for (int i = 0; i < 250; i++) {
			sim_run(s, 10);
			suspected |= sim_all_say(s, who, MEMBER_SUSPECT);
		}
		s->peer[who].mute = false;
		WAIT(s, SECONDS(8), sim_all_alive(s));
		for (unsigned i = 0; suspected && i < s->n; i++)
			EXPECT(s, sim_incarnation(s, i, who) > before);
		sim_run(s, SECONDS(10));
	}
	EXPECT(s, sim_deaths(s) == 0);
}

SIM(incarnations_rise_across_kill_9, .peers = 4)
{
	struct sim_image *old = NULL;

	WAIT(s, SECONDS(5), sim_all_alive(s));
	for (int i = 0; i < 20; i++) {
		uint64_t before = 0;

		for (unsigned k = 0; k < s->n; k++)
			before = MAX(before, sim_incarnation(s, k, 1));
		if (i == 5)
			old = sim_disk_image(s, 1);
		sim_kill(s, 1);
		/* Now and then the boot count goes back with the disk that it is on. */
		if (i % 6 == 5)
			sim_disk_restore(s, 1, old);
		sim_start(s, 1);
		for (unsigned k = 0; k < s->n; k++)
			WAIT(s, SECONDS(20), sim_incarnation(s, k, 1) > before);
		WAIT(s, SECONDS(10), sim_all_alive(s));
		sim_run(s, (int64_t)drbg_below(&s->rng, 5000));
	}
	sim_image_free(old);
}

/* Bytes and packets of a minute in which nothing happens: a ping and its ack, and nothing rides on them. */
static void expect_idle(struct sim *s)
{
	uint64_t packets = 0, bytes = 0;

	for (unsigned i = 0; i < s->n; i++) {
		packets -= s->peer[i].sent_packets;
		bytes -= s->peer[i].sent_bytes;
	}
	for (int i = 0; i < 60; i++) {
		sim_run(s, SECONDS(1));
		EXPECT(s, sim_all_quiet(s));
	}
	for (unsigned i = 0; i < s->n; i++) {
		packets += s->peer[i].sent_packets;
		bytes += s->peer[i].sent_bytes;
		EXPECT(s, s->peer[i].gossip && list_empty(&s->peer[i].pipes));
	}
	/* Two probes per second and peer in a small flock, and their acks. */
	EXPECT(s, packets <= 60 * 4 * s->n * 11 / 10);
	EXPECT(s, bytes <= packets * 130);
}

SIM(when_nothing_changes_queues_are_empty_and_no_stream_is_open, .peers = 8)
{
	uint64_t ticket;

	WAIT(s, SECONDS(10), sim_converged(s));
	sim_run(s, MINUTES(2));
	expect_idle(s);
	sim_submit(s, 0, "web", "v1", &ticket);
	sim_publish(s, 3, "0", "news");
	sim_kill(s, 5);
	sim_start(s, 5);
	WAIT(s, SECONDS(20), sim_converged(s));
	sim_run(s, MINUTES(2));
	expect_idle(s);
}

SIM(suspected_by_half_and_seen_by_half_is_alive, .peers = 6)
{
	WAIT(s, SECONDS(10), sim_all_alive(s));
	/* 0 is heard by 3, 4 and 5 only; those who do not hear it ask them. */
	for (unsigned k = 1; k < 3; k++)
		sim_cut(s, 0, k);
	sim_run(s, MINUTES(5));
	EXPECT(s, sim_deaths(s) == 0);
}

/* One that hears all and is heard by none must not take the others along. */
SIM(one_way_cuts_do_no_lasting_harm, .peers = 5)
{
	WAIT(s, SECONDS(10), sim_all_alive(s));
	for (int round = 0; round < 12; round++) {
		for (int cuts = 0; cuts < 4; cuts++)
			sim_cut(s, (unsigned)drbg_below(&s->rng, s->n), (unsigned)drbg_below(&s->rng, s->n));
		sim_run(s, SECONDS(40));
		sim_links_reset(s);
		WAIT(s, SECONDS(30), sim_all_alive(s));
	}
}

SIM(a_peer_behind_a_nat_is_alive, .peers = 5, .sealed = true)
{
	sim_nat(s, 2, SECONDS(30));
	WAIT(s, SECONDS(60), sim_all_alive(s));
	sim_run(s, MINUTES(10));
	EXPECT(s, sim_all_alive(s));
	/* The NAT forgets, and maps it to another port. */
	for (int i = 0; i < 5; i++) {
		sim_nat_drop(s, 2);
		sim_run(s, SECONDS(30));
		WAIT(s, SECONDS(30), sim_all_alive(s));
	}
	sim_publish(s, 2, "0", "from inside");
	WAIT(s, SECONDS(30), sim_all_see_page(s, 2, "0", "from inside"));
	sim_publish(s, 0, "0", "from outside");
	WAIT(s, SECONDS(30), sim_all_see_page(s, 0, "0", "from outside"));
}

SIM(clocks_that_run_away_harm_nobody, .peers = 5)
{
	WAIT(s, SECONDS(10), sim_all_alive(s));
	for (unsigned i = 0; i < s->n; i++)
		sim_drift(s, i, (int64_t)i * 400 - 800);
	for (int i = 0; i < 20; i++) {
		sim_step_clock(
		        s, (unsigned)drbg_below(&s->rng, s->n), (int64_t)drbg_below(&s->rng, 7200000) - 3600000);
		sim_run(s, SECONDS(30));
	}
	EXPECT(s, sim_all_alive(s));
	EXPECT(s, sim_deaths(s) == 0);
}

SIM(a_laptop_that_sleeps_wakes_up_alive, .peers = 4, .sealed = true, .slow = true)
{
	uint64_t ticket;
	struct key32 id;

	WAIT(s, SECONDS(10), sim_converged(s));
	sim_suspend(s, 3, MINUTES(60) * 8);
	WAIT(s, SECONDS(40), sim_all_say(s, 3, MEMBER_DEAD));
	id = sim_submit(s, 0, "web", "overnight", &ticket);
	sim_run(s, MINUTES(60) * 8 - SECONDS(60));
	WAIT(s, SECONDS(90), sim_all_alive(s) && sim_all_have(s, &id));
	/* It does not hold the night against the others. */
	EXPECT(s, s->peer[3].deaths_seen == 0);
}

SIM(large_delays_and_reordering_kill_nobody, .peers = 6, .profile = PROFILE_WAN)
{
	s->net.delay_min = 100;
	s->net.delay_max = 400;
	s->net.reorder = 30;
	s->net.duplicate = 10;
	WAIT(s, SECONDS(20), sim_all_alive(s));
	sim_run(s, MINUTES(10));
	EXPECT(s, sim_deaths(s) == 0);
}

/* Nobody whom it knows is up, and nobody knows where it is. */
SIM(who_left_and_is_back_is_found_by_one_that_moved_meanwhile, .peers = 3)
{
	WAIT(s, SECONDS(5), sim_converged(s));
	sim_leave(s, 0);
	sim_leave(s, 2);
	WAIT(s, SECONDS(2), sim_says(s, 1, 0) == MEMBER_LEFT && sim_says(s, 1, 2) == MEMBER_LEFT);
	sim_run(s, SECONDS(5));
	sim_unplug(s, 1);
	sim_move(s, 1);
	sim_start(s, 0);
	sim_start(s, 2);
	sim_run(s, MINUTES(2));
	sim_plug(s, 1);
	WAIT(s, SECONDS(30), sim_converged(s));
}
