/* One of them lies: what a compromised peer with a valid key cannot do to the others. */
#include "tests/sim/story.h"

#include "gossip/core.h"

#define HEALTHY(s) ((s)->n - 1)

/* How the healthy see each other over the time of a story. */
struct sight {
	uint64_t looks, alive;
	unsigned not_alive[8][8]; /* looks in a row, of viewer and subject */
};

#define LOOK_MS 100
/* An accusation reaches its subject with the next packets, and is answered once per period (1 s). */
#define ANSWERED_MS SECONDS(5)

static void look(struct sim *s, struct sight *sight)
{
	for (unsigned i = 0; i < HEALTHY(s); i++)
		for (unsigned k = 0; k < HEALTHY(s); k++) {
			enum member_state state;

			if (i == k)
				continue;
			state = sim_says(s, i, k);
			EXPECT(s, state != MEMBER_DEAD && state != MEMBER_LEFT);
			sight->looks++;
			sight->alive += state == MEMBER_ALIVE;
			sight->not_alive[i][k] = state == MEMBER_ALIVE ? 0 : sight->not_alive[i][k] + 1;
			EXPECT(s, sight->not_alive[i][k] * LOOK_MS <= ANSWERED_MS);
		}
}

/* Nothing that only the liar said is true for anybody. */
static void expect_nothing_forged(struct sim *s)
{
	for (unsigned i = 0; i < HEALTHY(s); i++) {
		const struct trust *t = gossip_trust(s->peer[i].gossip);
		struct member m;

		EXPECT(s, !sim_stack(s, i, "forged") && !sim_stack(s, i, "0"));
		EXPECT(s, trust_peers(t, NULL, 0) == s->n);
		EXPECT(s, !trust_operator(t, &s->peer[s->n - 1].key));
		EXPECT(s, !store_setting(gossip_store(s->peer[i].gossip), "web", NULL, NULL) ||
		                  !trust_valid(
		                          t, store_setting(gossip_store(s->peer[i].gossip), "web", NULL, NULL)));
		for (unsigned k = 0; k < HEALTHY(s); k++)
			if (k != i) {
				gossip_member(s->peer[i].gossip, &s->peer[k].key, &m);
				EXPECT(s, addr_eq(&m.addr, &s->peer[k].addr));
			}
	}
}

/* Operators and peers go on with their work, and it succeeds. */
static void work(struct sim *s, unsigned n)
{
	unsigned peer = n % HEALTHY(s), copies, wanted;
	uint64_t ticket;
	char body[16];
	struct key32 id;
	mono_ms until;

	snprintf(body, sizeof(body), "%u", n);
	id = sim_submit(s, peer, "web", body, &ticket);
	sim_publish(s, peer, "0", body);
	until = s->now + SECONDS(3);
	while (!sim_accepted(s, ticket, &copies, &wanted) && s->now < until)
		sim_advance(s, until);
	EXPECT(s, sim_accepted(s, ticket, &copies, &wanted) && copies == 3);
	for (unsigned i = 0; i < HEALTHY(s); i++) {
		WAIT(s, SECONDS(15), sim_has(s, i, &id) && sim_page_is(s, i, peer, "0", body));
		EXPECT(s, strcmp(sim_stack(s, i, "web"), body) == 0);
	}
}

/* The liar is the last peer. Percent of looks at which the healthy must be seen alive, not merely suspect. */
static void tell_lies(struct sim *s, struct sim_lies lies, unsigned percent)
{
	struct sight sight = {0};
	uint64_t before[8];
	mono_ms began;

	WAIT(s, SECONDS(20), sim_converged(s));
	for (unsigned i = 0; i < s->n; i++)
		before[i] = sim_incarnation(s, i, i);
	began = s->now;
	sim_lie(s, s->n - 1, lies);
	for (unsigned round = 0; round < 12; round++) {
		for (int i = 0; i < 40; i++) {
			sim_run(s, LOOK_MS);
			look(s, &sight);
		}
		work(s, round);
		expect_nothing_forged(s);
	}
	if (sight.alive * 100 < sight.looks * percent)
		fprintf(stderr, "seen alive at %llu of %llu looks\n", (unsigned long long)sight.alive,
		        (unsigned long long)sight.looks);
	EXPECT(s, sight.alive * 100 >= sight.looks * percent);
	/* However often they are accused: one bump a period. */
	for (unsigned i = 0; i < HEALTHY(s); i++)
		EXPECT(s, (int64_t)(sim_incarnation(s, i, i) - before[i]) <= (s->now - began) / 1000 + 2);
	sim_lie(s, s->n - 1, (struct sim_lies){0});
	WAIT(s, MINUTES(3), sim_converged(s));
	expect_nothing_forged(s);
}

SIM(a_liar_that_accuses_all_stops_nobody_from_being_seen_alive, .peers = 5)
{
	tell_lies(s, (struct sim_lies){.accuse = true}, 80);
}

SIM(in_a_flock_of_eight_a_liar_that_accuses_all_stops_nobody, .peers = 8, .sealed = true)
{
	tell_lies(s, (struct sim_lies){.accuse = true}, 90);
}

SIM(a_liar_forges_nothing, .peers = 5, .sealed = true)
{
	tell_lies(s, (struct sim_lies){.forge = true}, 99);
}

SIM(a_liar_that_replays_old_packets_and_records_changes_nothing, .peers = 5, .sealed = true)
{
	tell_lies(s, (struct sim_lies){.replay = true}, 99);
}

SIM(a_liar_that_claims_everything_harms_only_itself, .peers = 5)
{
	tell_lies(s, (struct sim_lies){.claim = true}, 99);
}

SIM(a_liar_that_floods_is_endured, .peers = 5)
{
	tell_lies(s, (struct sim_lies){.flood = true}, 95);
}

SIM(a_liar_that_does_all_of_it_under_loss_is_endured, .peers = 6, .loss = 5)
{
	tell_lies(s,
	        (struct sim_lies){.accuse = true, .forge = true, .replay = true, .claim = true, .flood = true},
	        80);
}

/* Mute but for its lies: it is found dead, as any other would be. */
SIM(a_liar_that_answers_nothing_is_dead_all_the_same, .peers = 5)
{
	WAIT(s, SECONDS(20), sim_converged(s));
	sim_lie(s, 4, (struct sim_lies){.silent = true});
	WAIT(s, SECONDS(40), sim_all_say(s, 4, MEMBER_DEAD));
	for (unsigned i = 0; i < 4; i++)
		EXPECT(s, sim_says(s, i, (i + 1) % 4) == MEMBER_ALIVE);
}

/* And it can be put out: eviction ends its lies. */
SIM(an_evicted_liar_is_heard_no_more, .peers = 5)
{
	struct member m;

	WAIT(s, SECONDS(20), sim_converged(s));
	sim_lie(s, 4, (struct sim_lies){.accuse = true, .forge = true, .claim = true});
	sim_run(s, SECONDS(20));
	sim_evict(s, 0, 4);
	for (unsigned i = 0; i < 4; i++)
		WAIT(s, SECONDS(5), !gossip_member(s->peer[i].gossip, &s->peer[4].key, &m));
	sim_run(s, SECONDS(10));
	for (int look = 0; look < 60; look++) {
		sim_run(s, SECONDS(1));
		for (unsigned i = 0; i < 4; i++)
			for (unsigned k = 0; k < 4; k++)
				EXPECT(s, i == k || sim_says(s, i, k) == MEMBER_ALIVE);
	}
}

/* Two of three are suspected by one voice each, just when an operator comes: they are asked for copies all the same. */
SIM(a_mere_suspect_keeps_a_copy, .peers = 3)
{
	struct gossip *g = s->peer[0].gossip;
	unsigned copies, wanted;
	uint64_t ticket;

	WAIT(s, SECONDS(10), sim_converged(s));
	for (unsigned i = 1; i < 3; i++) {
		struct statement st = {.type = MSG_SUSPECT,
		        .subject = key32_id(&s->peer[i].key),
		        .incarnation = sim_incarnation(s, 0, i),
		        .accuser = key32_id(&s->peer[3 - i].key)};

		statement_sign(&st, &s->flock, s->peer[3 - i].secret);
		member_on_statement(g, &st, NULL);
	}
	EXPECT(s, sim_says(s, 0, 1) == MEMBER_SUSPECT && sim_says(s, 0, 2) == MEMBER_SUSPECT);
	sim_submit(s, 0, "web", "v1", &ticket);
	WAIT(s, SECONDS(3), sim_accepted(s, ticket, &copies, &wanted));
	EXPECT(s, copies == 3);
}
