/* Who is there: stories of membership. */
#include "tests/sim/story.h"

SIM(three_peers_find_each_other, .peers = 3, .sealed = true)
{
	WAIT(s, SECONDS(2), sim_all_alive(s));
	WAIT(s, SECONDS(4), sim_all_ready(s));
	EXPECT(s, sim_deaths(s) == 0);
}

SIM(a_newcomer_meets_everyone_through_one_peer, .peers = 8, .joined = 7, .sealed = true)
{
	sim_run(s, SECONDS(5));
	sim_knows(s, 7, 3);
	sim_start(s, 7);
	/* Nobody knows it yet: no answer. */
	sim_run(s, SECONDS(5));
	EXPECT(s, sim_says(s, 7, 3) == MEMBER_DEAD);
	EXPECT(s, gossip_counters(s->peer[3].gossip)->drop_unknown > 0);
	sim_admit(s, 3, 7);
	WAIT(s, SECONDS(12), sim_all_alive(s));
	WAIT(s, SECONDS(5), sim_digests_equal(s));
}

SIM(a_crashed_host_is_dead_for_all, .peers = 5)
{
	mono_ms at;

	WAIT(s, SECONDS(3), sim_all_alive(s));
	sim_run(s, SECONDS(2) + (int64_t)drbg_below(&s->rng, 3000));
	at = s->now;
	sim_crash(s, 2);
	WAIT(s, SECONDS(4), sim_all_say(s, 2, MEMBER_SUSPECT));
	WAIT(s, SECONDS(12), sim_all_say(s, 2, MEMBER_DEAD));
	EXPECT(s, s->now - at >= SECONDS(2));
	EXPECT(s, sim_deaths(s) == 4);
}

SIM(in_a_flock_of_three_a_lost_host_is_dead_within_seconds, .peers = 3)
{
	mono_ms at;

	WAIT(s, SECONDS(3), sim_all_alive(s));
	sim_run(s, SECONDS(5) + (int64_t)drbg_below(&s->rng, 3000));
	at = s->now;
	sim_unplug(s, 2);
	WAIT(s, SECONDS(3), sim_says(s, 0, 2) == MEMBER_SUSPECT && sim_says(s, 1, 2) == MEMBER_SUSPECT);
	WAIT(s, at + SECONDS(6) - s->now, sim_says(s, 0, 2) == MEMBER_DEAD && sim_says(s, 1, 2) == MEMBER_DEAD);
}

SIM(loss_of_thirty_percent_kills_nobody, .peers = 8)
{
	WAIT(s, SECONDS(3), sim_all_alive(s));
	s->net.loss = 30;
	sim_run(s, MINUTES(5));
	EXPECT(s, sim_deaths(s) == 0);
}

SIM(loss_kills_nobody_in_a_flock_of_three, .peers = 3, .sealed = true)
{
	WAIT(s, SECONDS(3), sim_all_alive(s));
	s->net.loss = 30;
	s->net.duplicate = 5;
	s->net.delay_max = 40;
	sim_run(s, MINUTES(5));
	EXPECT(s, sim_deaths(s) == 0);
}

SIM(a_split_heals_by_itself, .peers = 6)
{
	WAIT(s, SECONDS(3), sim_all_alive(s));
	sim_split(s, "0 1 | 2 3 4 5");
	WAIT(s, SECONDS(60),
	        sim_says(s, 0, 5) == MEMBER_DEAD && sim_says(s, 1, 2) == MEMBER_DEAD &&
	                sim_says(s, 2, 0) == MEMBER_DEAD && sim_says(s, 5, 1) == MEMBER_DEAD);
	EXPECT(s, sim_says(s, 0, 1) == MEMBER_ALIVE);
	EXPECT(s, sim_says(s, 2, 5) == MEMBER_ALIVE);
	sim_run(s, SECONDS(60));
	sim_heal(s);
	WAIT(s, SECONDS(30), sim_all_alive(s));
}

SIM(who_leaves_has_left_at_once, .peers = 5)
{
	WAIT(s, SECONDS(3), sim_all_alive(s));
	sim_leave(s, 1);
	WAIT(s, SECONDS(1), sim_all_say(s, 1, MEMBER_LEFT));
	sim_run(s, SECONDS(30));
	EXPECT(s, sim_all_say(s, 1, MEMBER_LEFT));
	EXPECT(s, sim_deaths(s) == 0);
	sim_start(s, 1);
	WAIT(s, SECONDS(10), sim_all_alive(s));
}

SIM(a_frozen_peer_refutes_when_it_wakes, .peers = 5)
{
	uint64_t before;
	struct member m;

	WAIT(s, SECONDS(3), sim_all_alive(s));
	gossip_member(s->peer[0].gossip, &s->peer[3].key, &m);
	before = m.incarnation;
	/* Whose turn it is to be probed is chance: now and then nobody has missed it, and told, within 3 s. */
	for (int tries = 0; tries < 3 && sim_says(s, 0, 3) != MEMBER_SUSPECT; tries++) {
		mono_ms until = s->now + SECONDS(3);

		sim_freeze(s, 3, SECONDS(3));
		while (s->now < until && sim_says(s, 0, 3) != MEMBER_SUSPECT)
			sim_run(s, 20);
	}
	EXPECT(s, sim_says(s, 0, 3) == MEMBER_SUSPECT);
	WAIT(s, SECONDS(4), sim_all_alive(s));
	gossip_member(s->peer[0].gossip, &s->peer[3].key, &m);
	EXPECT(s, m.incarnation > before);
	EXPECT(s, sim_deaths(s) == 0);
}

SIM(a_restart_raises_the_incarnation, .peers = 4)
{
	WAIT(s, SECONDS(3), sim_all_alive(s));
	sim_crash(s, 1);
	WAIT(s, SECONDS(20), sim_all_say(s, 1, MEMBER_DEAD));
	sim_start(s, 1);
	WAIT(s, SECONDS(5), sim_all_alive(s));
	EXPECT(s, sim_boot_seen(s, 0, 1) == 2);
}

SIM(an_agent_that_restarts_at_once_is_never_dead, .peers = 4, .sealed = true)
{
	WAIT(s, SECONDS(3), sim_all_alive(s));
	for (int i = 0; i < 5; i++) {
		sim_kill(s, 2);
		sim_run(s, 300);
		sim_start(s, 2);
		WAIT(s, SECONDS(3), sim_all_alive(s));
	}
	EXPECT(s, sim_deaths(s) == 0);
}

/* UDP both ways is cut for a while in which TCP is refused: the agent restarts slowly, its host is fine. */
SIM(refused_connections_alone_kill_no_faster, .peers = 5)
{
	mono_ms at;

	WAIT(s, SECONDS(3), sim_all_alive(s));
	sim_run(s, SECONDS(2));
	at = s->now;
	sim_kill(s, 4);
	WAIT(s, SECONDS(5), sim_says(s, 0, 4) == MEMBER_SUSPECT);
	/* The full time for refuting is given all the same: alpha * unit, from the first suspicion. */
	sim_run(s, at + 2900 - s->now);
	EXPECT(s, sim_deaths(s) == 0);
	sim_start(s, 4);
	WAIT(s, SECONDS(3), sim_all_alive(s));
	EXPECT(s, sim_deaths(s) == 0);
}

SIM(a_peer_keeps_its_identity_at_a_new_address, .peers = 5, .sealed = true)
{
	WAIT(s, SECONDS(3), sim_all_alive(s));
	sim_move(s, 2);
	sim_run(s, SECONDS(20));
	EXPECT(s, sim_all_alive(s));
	EXPECT(s, sim_deaths(s) == 0);
	for (unsigned i = 0; i < s->n; i++) {
		struct member m;

		gossip_member(s->peer[i].gossip, &s->peer[2].key, &m);
		EXPECT(s, addr_eq(&m.addr, &s->peer[2].addr));
	}
}

SIM(one_that_is_cut_off_knows_that_it_is_isolated, .peers = 6)
{
	WAIT(s, SECONDS(3), sim_all_alive(s));
	sim_run(s, SECONDS(5));
	sim_unplug(s, 0);
	WAIT(s, SECONDS(8), gossip_isolated(s->peer[0].gossip));
	EXPECT(s, sim_deaths(s) == 0);
	WAIT(s, SECONDS(40), sim_says(s, 0, 1) == MEMBER_DEAD && sim_says(s, 0, 5) == MEMBER_DEAD);
	EXPECT(s, !gossip_isolated(s->peer[0].gossip));
	sim_plug(s, 0);
	WAIT(s, SECONDS(30), sim_all_alive(s));
}

SIM(a_restored_disk_image_overtakes_its_newer_self, .peers = 4)
{
	WAIT(s, SECONDS(3), sim_all_alive(s));
	for (int i = 0; i < 3; i++) {
		sim_kill(s, 1);
		sim_start(s, 1);
		WAIT(s, SECONDS(5), sim_all_alive(s));
	}
	WAIT(s, SECONDS(10),
	        sim_boot_seen(s, 0, 1) == 4 && sim_boot_seen(s, 2, 1) == 4 && sim_boot_seen(s, 3, 1) == 4);
	sim_kill(s, 1);
	s->peer[1].boot = 1;
	sim_start(s, 1);
	WAIT(s, SECONDS(10), s->peer[1].boot == 5);
	WAIT(s, SECONDS(5), sim_boot_seen(s, 0, 1) == 5 && sim_all_alive(s));
}

SIM(one_survivor_of_three_goes_on, .peers = 3)
{
	WAIT(s, SECONDS(3), sim_all_alive(s));
	sim_crash(s, 1);
	sim_crash(s, 2);
	WAIT(s, SECONDS(40), sim_says(s, 0, 1) == MEMBER_DEAD && sim_says(s, 0, 2) == MEMBER_DEAD);
	EXPECT(s, !gossip_isolated(s->peer[0].gossip));
}

SIM(a_peer_alone_after_a_reboot_is_ready, .peers = 3, .later = true)
{
	sim_start(s, 0);
	WAIT(s, SECONDS(4), gossip_ready(s->peer[0].gossip));
	EXPECT(s, s->now >= SECONDS(2));
}

SIM(a_hundred_peers_see_a_crash, .peers = 100)
{
	uint64_t sent;
	mono_ms at;

	WAIT(s, SECONDS(30), sim_all_alive(s));
	sim_run(s, SECONDS(20));
	sent = s->peer[7].sent_packets;
	sim_run(s, SECONDS(10));
	/* Idle load: about one ping and one ack per second. */
	EXPECT(s, s->peer[7].sent_packets - sent < 60);
	at = s->now;
	sim_crash(s, 42);
	WAIT(s, SECONDS(30), sim_all_say(s, 42, MEMBER_DEAD));
	EXPECT(s, s->now - at < SECONDS(25));
	EXPECT(s, sim_deaths(s) == 99);
}

SIM(without_udp_between_two_peers_streams_keep_them_alive, .peers = 2)
{
	struct member m;

	WAIT(s, SECONDS(3), sim_all_alive(s));
	sim_link(s, 0, 1)->cut_udp = sim_link(s, 1, 0)->cut_udp = true;
	sim_run(s, MINUTES(2));
	EXPECT(s, sim_deaths(s) == 0);
	gossip_member(s->peer[0].gossip, &s->peer[1].key, &m);
	EXPECT(s, m.udp_bad);
	sim_publish(s, 0, "0", "over tcp");
	WAIT(s, SECONDS(1), sim_page_is(s, 1, 0, "0", "over tcp"));
	sim_links_reset(s);
	sim_run(s, SECONDS(10));
	gossip_member(s->peer[0].gossip, &s->peer[1].key, &m);
	EXPECT(s, !m.udp_bad);
}

SIM(a_pair_that_cannot_talk_does_not_accuse, .peers = 5)
{
	WAIT(s, SECONDS(3), sim_all_alive(s));
	sim_link(s, 1, 3)->cut_udp = sim_link(s, 3, 1)->cut_udp = true;
	sim_run(s, MINUTES(2));
	EXPECT(s, sim_deaths(s) == 0);
	EXPECT(s, gossip_counters(s->peer[1].gossip)->suspicions == 0);
}

SIM(the_evicted_are_no_members_and_get_no_answer, .peers = 5, .sealed = true)
{
	struct member m;

	WAIT(s, SECONDS(5), sim_all_ready(s));
	sim_publish(s, 4, "0", "mine");
	WAIT(s, SECONDS(1), sim_page_is(s, 0, 4, "0", "mine"));
	sim_evict(s, 1, 4);
	for (unsigned i = 0; i < 4; i++) {
		WAIT(s, SECONDS(2), !gossip_member(s->peer[i].gossip, &s->peer[4].key, &m));
		EXPECT(s, !sim_page_is(s, i, 4, "0", "mine"));
	}
	sim_run(s, SECONDS(30));
	sim_publish(s, 4, "0", "still here");
	sim_run(s, SECONDS(30));
	for (unsigned i = 0; i < 4; i++) {
		EXPECT(s, !sim_page_is(s, i, 4, "0", "still here"));
		EXPECT(s, sim_says(s, i, (i + 1) % 4) == MEMBER_ALIVE);
	}
}

SIM(a_newcomer_learns_of_the_dead_too, .peers = 6, .joined = 5)
{
	struct member m;

	WAIT(s, SECONDS(5), sim_all_alive(s));
	sim_crash(s, 4);
	WAIT(s, SECONDS(20), sim_all_say(s, 4, MEMBER_DEAD));
	sim_run(s, MINUTES(2));
	sim_knows(s, 5, 0);
	sim_start(s, 5);
	sim_admit(s, 0, 5);
	WAIT(s, SECONDS(15), sim_all_say(s, 5, MEMBER_ALIVE));
	sim_run(s, SECONDS(5));
	/* It was told where the dead one was, and that it is dead, and will try it for ever. */
	gossip_member(s->peer[5].gossip, &s->peer[4].key, &m);
	EXPECT(s, m.state == MEMBER_DEAD && m.incarnation);
	EXPECT(s, addr_eq(&m.addr, &s->peer[4].addr));
}

SIM(two_hundred_peers_run, .peers = 200)
{
	WAIT(s, SECONDS(60), sim_all_alive(s) && sim_all_ready(s));
	s->net.loss = 5;
	sim_run(s, SECONDS(20));
	sim_crash(s, 17);
	sim_crash(s, 170);
	WAIT(s, SECONDS(40), sim_all_say(s, 17, MEMBER_DEAD) && sim_all_say(s, 170, MEMBER_DEAD));
	EXPECT(s, sim_deaths(s) == 2 * 198);
}

SIM(over_a_wide_area_slow_is_not_dead, .peers = 8, .profile = PROFILE_WAN)
{
	s->net.delay_min = 60;
	s->net.delay_max = 250;
	WAIT(s, SECONDS(10), sim_all_alive(s));
	s->net.loss = 15;
	sim_run(s, MINUTES(5));
	EXPECT(s, sim_deaths(s) == 0);
	s->net.loss = 0;
	sim_crash(s, 3);
	WAIT(s, SECONDS(45), sim_all_say(s, 3, MEMBER_DEAD));
}

SIM(on_one_machine_a_loss_is_seen_at_once, .peers = 3, .profile = PROFILE_LOCAL)
{
	mono_ms at;

	WAIT(s, SECONDS(3), sim_all_alive(s));
	sim_run(s, SECONDS(5) + (int64_t)drbg_below(&s->rng, 2000));
	at = s->now;
	sim_crash(s, 1);
	WAIT(s, SECONDS(5), sim_all_say(s, 1, MEMBER_DEAD));
	EXPECT(s, s->now - at >= 1900);
}

/* Everything at once, for an hour of virtual time: whatever happens, in the end all agree. */
SIM(after_an_hour_of_trouble_all_agree, .peers = 7)
{
	uint64_t ticket;

	WAIT(s, SECONDS(5), sim_all_ready(s));
	s->net.duplicate = 3;
	s->net.delay_max = 20;
	for (int i = 0; i < 120; i++) {
		unsigned peer = (unsigned)drbg_below(&s->rng, s->n);
		char body[16];

		snprintf(body, sizeof(body), "%d", i);
		s->net.loss = (unsigned)drbg_below(&s->rng, 25);
		switch (drbg_below(&s->rng, 7)) {
		case 0:
			sim_crash(s, peer);
			break;
		case 1:
			sim_kill(s, peer);
			break;
		case 2:
			if (s->peer[peer].gossip)
				sim_freeze(s, peer, (int64_t)drbg_below(&s->rng, 20000));
			break;
		case 3:
			sim_split(s, drbg_below(&s->rng, 2) ? "0 1 2 | 3 4 5 6" : "0 2 4 | 1 3 | 5 6");
			break;
		case 4:
			sim_heal(s);
			break;
		case 5:
			sim_move(s, peer);
			break;
		case 6:
			if (s->peer[peer].gossip && s->peer[peer].frozen_until <= s->now) {
				sim_submit(s, peer, "web", body, &ticket);
				sim_publish(s, peer, "0", body);
			}
			break;
		}
		for (unsigned k = 0; k < s->n; k++)
			if (!s->peer[k].gossip && drbg_below(&s->rng, 3) == 0)
				sim_start(s, k);
		sim_run(s, (int64_t)drbg_below(&s->rng, 60000));
	}
	s->net.loss = 0;
	sim_heal(s);
	for (unsigned k = 0; k < s->n; k++)
		if (!s->peer[k].gossip)
			sim_start(s, k);
	WAIT(s, MINUTES(1), sim_all_alive(s));
	WAIT(s, MINUTES(1), sim_digests_equal(s));
	WAIT(s, MINUTES(1), sim_all_ready(s));
	sim_run(s, MINUTES(1));
	EXPECT(s, sim_all_alive(s));
}
