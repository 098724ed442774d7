/*
 * What memberlist's state_test.go promises of its members, promised here too. docs/simulator.md says for each of its
 * names where it is proved; these are the ones that had no story of their own.
 */
#include "tests/sim/story.h"

#include "gossip/core.h"

static unsigned health(const struct sim *s, unsigned peer)
{
	return s->peer[peer].gossip->health;
}

static unsigned worst_health(struct sim *s, unsigned peer, int64_t ms)
{
	mono_ms until = s->now + ms;
	unsigned worst = 0;

	while (s->now < until) {
		sim_advance(s, until);
		worst = MAX(worst, health(s, peer));
	}
	return worst;
}

/* ProbeNode_Awareness_Degraded, ProbeNode_Awareness_Improved. */
SIM(who_hears_nobody_slows_down_and_recovers, .peers = 5)
{
	unsigned worst;

	WAIT(s, SECONDS(10), sim_converged(s));
	sim_run(s, SECONDS(10));
	EXPECT(s, health(s, 0) == 0);
	/* Most of what it sends and is sent is lost: that its peers do not answer is its own doing. */
	s->peer[0].loss = 70;
	worst = worst_health(s, 0, SECONDS(30));
	s->peer[0].loss = 0;
	EXPECT(s, worst > 0);
	WAIT(s, SECONDS(60), health(s, 0) == 0 && sim_all_alive(s));
}

/* ProbeNode_Awareness_MissedNack: those asked to help nack when the target is silent for them as well. */
SIM(a_missed_nack_degrades_and_a_nack_does_not, .peers = 5)
{
	unsigned worst = 0;

	WAIT(s, SECONDS(10), sim_converged(s));
	sim_run(s, SECONDS(10));
	sim_crash(s, 4);
	EXPECT(s, worst_health(s, 0, SECONDS(15)) == 0);
	EXPECT(s, sim_all_say(s, 4, MEMBER_DEAD));
	sim_start(s, 4);
	WAIT(s, SECONDS(30), sim_converged(s));
	sim_run(s, SECONDS(10));
	/* Words of 1 and 2 to 0 get lost now, and with them their nacks; 3 is heard. */
	sim_link(s, 1, 0)->cut = sim_link(s, 2, 0)->cut = true;
	/* The others may be quicker to find it dead than 0 is to ask: not five times in a row. */
	for (int round = 0; round < 5 && !worst; round++) {
		sim_crash(s, 4);
		worst = worst_health(s, 0, SECONDS(15));
		sim_start(s, 4);
		sim_run(s, SECONDS(20));
	}
	EXPECT(s, worst > 0);
}

/* Ping_Buddy: a suspect that hears us, though nobody hears it, learns at once what is said of it. */
SIM(a_suspect_hears_of_it_with_the_next_packet, .peers = 5)
{
	uint64_t before;
	mono_ms suspected;

	WAIT(s, SECONDS(10), sim_converged(s));
	sim_run(s, SECONDS(10));
	before = sim_incarnation(s, 3, 3);
	s->peer[3].mute = true;
	WAIT(s, SECONDS(5),
	        sim_says(s, 0, 3) == MEMBER_SUSPECT || sim_says(s, 1, 3) == MEMBER_SUSPECT ||
	                sim_says(s, 2, 3) == MEMBER_SUSPECT || sim_says(s, 4, 3) == MEMBER_SUSPECT);
	suspected = s->now;
	WAIT(s, SECONDS(2), sim_incarnation(s, 3, 3) > before);
	EXPECT(s, s->now - suspected < 500);
	s->peer[3].mute = false;
	WAIT(s, SECONDS(5), sim_all_alive(s));
	EXPECT(s, sim_deaths(s) == 0);
}

/* GossipToDead: the dead are told that they are dead, for as long as it takes, and answer. */
SIM(the_dead_hear_that_they_are_dead_and_come_back, .peers = 5)
{
	uint64_t before;

	WAIT(s, SECONDS(10), sim_converged(s));
	before = sim_incarnation(s, 2, 2);
	s->peer[2].mute = true;
	WAIT(s, SECONDS(40), sim_all_say(s, 2, MEMBER_DEAD));
	/* Mute still, but not deaf. */
	WAIT(s, SECONDS(20), sim_incarnation(s, 2, 2) > before);
	sim_run(s, MINUTES(30));
	s->peer[2].mute = false;
	WAIT(s, SECONDS(15), sim_all_alive(s));
}

/* SuspicionDogpile: a host that all miss is dead long before the time that one accuser alone would have to wait. */
SIM(confirmations_shorten_a_suspicion, .peers = 12)
{
	/* The least time is alpha 4 * 750 ms * log10(13); one accuser alone waits beta 6 times that. */
	const int64_t alone = 6 * 4 * 750 * 112 / 100;
	mono_ms at;

	WAIT(s, SECONDS(15), sim_converged(s));
	for (int round = 0; round < 5; round++) {
		sim_run(s, SECONDS(10) + (int64_t)drbg_below(&s->rng, 2000));
		at = s->now;
		sim_crash(s, 5);
		WAIT(s, alone, sim_all_say(s, 5, MEMBER_DEAD));
		EXPECT(s, s->now - at < alone / 2);
		sim_start(s, 5);
		WAIT(s, SECONDS(30), sim_converged(s));
	}
}

/* AliveNode_Conflict: a name is a label, an address an attribute; the key is who one is. */
SIM(another_host_at_a_dead_ones_address_is_somebody_else, .peers = 5, .sealed = true)
{
	struct addr old;

	WAIT(s, SECONDS(10), sim_converged(s));
	old = s->peer[3].addr;
	sim_crash(s, 3);
	WAIT(s, SECONDS(40), sim_all_say(s, 3, MEMBER_DEAD));
	sim_move_to(s, 4, &old);
	sim_run(s, MINUTES(1));
	/* Words to the dead one reach it, and mean nothing to it. */
	EXPECT(s, sim_all_say(s, 3, MEMBER_DEAD) && sim_all_say(s, 4, MEMBER_ALIVE));
	sim_move(s, 3);
	sim_start(s, 3);
	WAIT(s, SECONDS(30), sim_converged(s));
}

/* Two machines with one key: one of them stops, and the flock goes on with the other. */
SIM(a_cloned_identity_is_fenced, .peers = 6, .joined = 5, .sealed = true)
{
	WAIT(s, SECONDS(10), sim_converged(s));
	sim_publish(s, 2, "0", "original");
	sim_run(s, SECONDS(10));
	sim_clone(s, 5, 2);
	sim_start(s, 5);
	WAIT(s, SECONDS(60), s->peer[2].fenced || s->peer[5].fenced);
	sim_run(s, SECONDS(5));
	EXPECT(s, s->peer[2].fenced != s->peer[5].fenced);
	EXPECT(s, !s->peer[2].gossip != !s->peer[5].gossip);
	WAIT(s, SECONDS(60), sim_all_say(s, 2, MEMBER_ALIVE));
	sim_run(s, MINUTES(2));
	EXPECT(s, sim_all_say(s, 2, MEMBER_ALIVE));
	/* And they look for it where it is, not where its twin was. */
	for (unsigned i = 0; i < 5; i++) {
		unsigned left = s->peer[2].gossip ? 2 : 5;
		struct member m;

		if (i == 2)
			continue;
		gossip_member(s->peer[i].gossip, &s->peer[2].key, &m);
		EXPECT(s, !m.udp_bad);
		EXPECT(s, addr_eq(&m.addr, &s->peer[left].addr));
	}
}

/* DeadNode_AliveReplay, AliveNode_Idempotent, SuspectNode_OldSuspect: what was true once is no news. */
SIM(old_statements_change_nothing, .peers = 5)
{
	struct statement old[4];
	struct gossip *g = s->peer[0].gossip;
	struct peer *p;
	uint64_t incarnation;

	WAIT(s, SECONDS(10), sim_converged(s));
	p = member_by_id(g, key32_id(&s->peer[2].key));
	old[0] = *p->alive;
	for (int type = MSG_SUSPECT; type <= MSG_DEAD; type++) {
		struct statement *st = &old[type - MSG_SUSPECT + 1];

		*st = (struct statement){.type = type,
		        .subject = peer_id(p),
		        .incarnation = p->incarnation,
		        .accuser = key32_id(&s->peer[1].key)};
		statement_sign(st, &s->flock, s->peer[1].secret);
	}
	sim_kill(s, 2);
	sim_start(s, 2);
	WAIT(s, SECONDS(10), sim_converged(s));
	incarnation = sim_incarnation(s, 0, 2);
	sim_crash(s, 3);
	WAIT(s, SECONDS(40), sim_all_say(s, 3, MEMBER_DEAD));
	old[3] = *member_by_id(g, key32_id(&s->peer[3].key))->alive;
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < ARRAY_LEN(old); i++)
			member_on_statement(g, &old[i], NULL);
		sim_drain(s, 0);
		sim_run(s, SECONDS(1));
		EXPECT(s, sim_says(s, 0, 2) == MEMBER_ALIVE && sim_incarnation(s, 0, 2) == incarnation);
		EXPECT(s, sim_all_say(s, 3, MEMBER_DEAD));
	}
}

/* DeadNode_LeftNode: who has left is not dead, and no accusation makes it so. */
SIM(who_left_cannot_be_accused, .peers = 5)
{
	WAIT(s, SECONDS(10), sim_converged(s));
	sim_leave(s, 1);
	WAIT(s, SECONDS(2), sim_all_say(s, 1, MEMBER_LEFT));
	sim_lie(s, 4, (struct sim_lies){.accuse = true});
	for (int i = 0; i < 60; i++) {
		sim_run(s, SECONDS(1));
		EXPECT(s, sim_all_say(s, 1, MEMBER_LEFT));
	}
}

/* PushPull, MergeState: two halves that never met know each other once one of each meets. */
SIM(two_halves_meet_through_one_pair, .peers = 8, .later = true)
{
	for (unsigned i = 0; i < s->n; i++)
		memset(s->peer[i].disk.known, 0, 1);
	for (unsigned half = 0; half < 8; half += 4)
		for (unsigned i = half; i < half + 4; i++)
			for (unsigned k = half; k < half + 4; k++)
				if (i != k)
					sim_knows(s, i, k);
	for (unsigned i = 0; i < s->n; i++)
		sim_start(s, i);
	sim_run(s, SECONDS(20));
	EXPECT(s, sim_says(s, 0, 3) == MEMBER_ALIVE && sim_says(s, 0, 7) == MEMBER_DEAD);
	sim_knows(s, 2, 5);
	WAIT(s, SECONDS(30), sim_converged(s));
}
