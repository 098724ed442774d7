/* Probing: whose turn it is, what silence means, who is asked to help; and what a peer that is alone or late makes of it. */
#include "tests/unit/gossip/world.h"

static void everyone_is_probed_within_two_rounds(void **state)
{
	struct world w = world(PEERS_MAX);

	(void)state;
	all_alive(&w);
	for (int round = 0; round < 200; round++) {
		unsigned seen = 0, flaps = 1 + (unsigned)round % (PEERS_MAX - 1);

		for (unsigned i = 0; i < 4 * (PEERS_MAX - 1); i++) {
			struct peer *p = table_next(w.g);

			assert_true(member_up(p));
			for (unsigned k = 1; k < PEERS_MAX; k++)
				seen |= (unsigned)(peer(&w, k) == p) << k;
			if (i == 3)
				peer_set_state(w.g, peer(&w, flaps), MEMBER_DEAD);
			if (i == 6)
				peer_set_state(w.g, peer(&w, flaps), MEMBER_ALIVE);
		}
		assert_int_equal(seen | 1U << flaps, 0xfe);
	}
	end(&w);
}

/* Its watcher looks at a member every other probe, and when that one goes the next on the ring takes over. */
static void everyone_is_watched_by_the_one_before_it(void **state)
{
	struct world w = world(PEERS_MAX);
	struct peer *next = NULL;

	(void)state;
	all_alive(&w);
	for (unsigned lost = 0; lost < 3; lost++) {
		unsigned seen = 0;

		next = NULL;
		for (unsigned k = 1; k < PEERS_MAX; k++)
			if (member_up(peer(&w, k)) && (!next || id_of(&w, k) - w.g->id < peer_id(next) - w.g->id))
				next = peer(&w, k);
		for (unsigned i = 0; i < 40; i++)
			seen += table_next(w.g) == next;
		assert_in_range(seen, 20, 30);
		peer_set_state(w.g, next, MEMBER_DEAD);
	}
	end(&w);
}

/* Hosts that never return cost one ping per period, however many they are, and each has its turn. */
static void the_long_dead_are_tried_in_turn_for_ever(void **state)
{
	struct world w = world(PEERS_MAX);
	unsigned tries[PEERS_MAX] = {0}, all = 0;

	(void)state;
	all_alive(&w);
	pass(&w, SECONDS(120), 0);
	for (unsigned i = 1; i < PEERS_MAX; i++)
		assert_int_equal(state_of(&w, i), MEMBER_DEAD);
	for (mono_ms until = w.now.mono + SECONDS(60); w.now.mono < until;) {
		struct gossip_action a;

		w.now.mono = MAX(gossip_wake(w.g), w.now.mono + 1);
		gossip_tick(w.g, w.now);
		while (gossip_next(w.g, &a))
			for (unsigned i = 1; i < PEERS_MAX; i++) {
				struct addr to = addr_of(i);

				tries[i] += a.kind == GOSSIP_PACKET && addr_eq(&a.addr, &to);
			}
	}
	for (unsigned i = 1; i < PEERS_MAX; i++) {
		assert_in_range(tries[i], 4, 10);
		all += tries[i];
	}
	assert_true(all <= 61);
	end(&w);
}

static void silence_ends_in_death_and_not_before_its_time(void **state)
{
	struct world w = world(3);
	mono_ms least = w.g->tune->alpha * w.g->tune->suspicion_unit;

	(void)state;
	all_alive(&w);
	pass(&w, 2500, 1 << 2);
	assert_int_equal(state_of(&w, 1), MEMBER_SUSPECT);
	tell(&w, MSG_SUSPECT, 1, 0, 2);
	pass(&w, peer(&w, 1)->sus->began + least - 100 - w.now.mono, 1 << 2);
	assert_int_equal(state_of(&w, 1), MEMBER_SUSPECT);
	pass(&w, 500, 1 << 2);
	assert_int_equal(state_of(&w, 1), MEMBER_DEAD);
	end(&w);
}

static void a_refused_connection_is_no_evidence(void **state)
{
	struct world w = world(5);
	struct gossip_action a;
	struct peer *p;

	(void)state;
	all_alive(&w);
	p = peer(&w, 1);
	for (int i = 0; i < 50; i++) {
		struct stream *s = stream_to(w.g, p);

		assert_non_null(s);
		while (gossip_next(w.g, &a))
			;
		gossip_on_stream_closed(w.g, s->id, true, w.now);
	}
	assert_int_equal(state_of(&w, 1), MEMBER_ALIVE);
	assert_int_equal(w.g->health, 0);
	end(&w);
}

static void when_everyone_is_silent_nobody_is_accused_for_a_while(void **state)
{
	struct world w = world(6);
	unsigned dead = 0;

	(void)state;
	all_alive(&w);
	pass(&w, 10000, 0);
	assert_true(gossip_isolated(w.g));
	for (unsigned i = 1; i < w.n; i++)
		assert_int_not_equal(state_of(&w, i), MEMBER_DEAD);
	pass(&w, 40000, 0);
	assert_false(gossip_isolated(w.g));
	for (unsigned i = 1; i < w.n; i++)
		dead += state_of(&w, i) == MEMBER_DEAD;
	assert_int_equal(dead, 5);
	end(&w);
}

static void another_who_confirms_the_silence_ends_the_isolation(void **state)
{
	struct world w = world(6);

	(void)state;
	all_alive(&w);
	pass(&w, 5000, 0);
	assert_true(gossip_isolated(w.g));
	tell(&w, MSG_SUSPECT, 1, 0, 2);
	assert_false(gossip_isolated(w.g));
	end(&w);
}

/* The process was stopped for a minute: nobody is buried for that. */
static void a_stall_moves_the_timers(void **state)
{
	struct world w = world(5);
	unsigned before;

	(void)state;
	all_alive(&w);
	tell(&w, MSG_SUSPECT, 1, 0, 2);
	before = w.g->health;
	w.now.mono += 60000;
	gossip_tick(w.g, w.now);
	assert_int_equal(state_of(&w, 1), MEMBER_SUSPECT);
	assert_true(peer(&w, 1)->sus->deadline > w.now.mono);
	assert_int_equal(w.g->health, before + 1);
	tell(&w, MSG_ALIVE, 1, 1, 1);
	assert_int_equal(state_of(&w, 1), MEMBER_ALIVE);
	end(&w);
}

/* Confirmations end the wait at once; the timer was not due before them, so nothing is late. */
static void a_wait_cut_short_is_no_stall(void **state)
{
	struct world w = world(8);

	(void)state;
	all_alive(&w);
	tell(&w, MSG_SUSPECT, 1, 0, 2);
	pass(&w, (peer(&w, 1)->sus->deadline - w.now.mono) * 3 / 4, 0xfc);
	assert_int_equal(state_of(&w, 1), MEMBER_SUSPECT);
	w.g->health = 0;
	for (unsigned i = 3; i <= 5; i++)
		tell(&w, MSG_SUSPECT, 1, 0, i);
	assert_true(peer(&w, 1)->sus->deadline < w.now.mono - STALL_MS);
	assert_true(gossip_wake(w.g) >= w.now.mono);
	core_enter(w.g, w.now);
	assert_int_equal(w.g->health, 0);
	assert_true(peer(&w, 1)->sus->deadline < w.now.mono);
	end(&w);
}

/* Connections that it wants to open now. */
static unsigned connects(struct world *w)
{
	struct gossip_action a;
	unsigned n = 0;

	while (gossip_next(w->g, &a))
		n += a.kind == GOSSIP_CONNECT;
	return n;
}

/* In a large flock a newcomer hears of all at once. One neighbour tells it what there is, so that it comes once; two
 * more are asked after that; who stays silent does not keep it waiting. */
static void a_newcomer_reconciles_with_three_and_not_with_all(void **state)
{
	struct world w = world(8);
	unsigned n;

	(void)state;
	for (unsigned i = 1; i < w.n; i++) {
		tell(&w, MSG_ALIVE, i, 0, i);
		member_heard(w.g, peer(&w, i));
	}
	n = connects(&w);
	for (int i = 0; i < 4; i++) {
		w.now.mono += 100;
		gossip_tick(w.g, w.now);
		n += connects(&w);
	}
	assert_int_equal(n, 1);
	for (int i = 0; i < 4; i++) {
		w.now.mono += 100;
		gossip_tick(w.g, w.now);
		n += connects(&w);
	}
	assert_int_equal(n, 2); /* the first said nothing for READY_HEDGE_MS */
	/* One is through: the others may be asked together, once what it brought is on disk. */
	w.g->syncs_done = 1;
	map_put(&w.g->pending, &(struct key32){{1}}, xcalloc(1, sizeof(struct pending)));
	w.now.mono += 1000;
	gossip_tick(w.g, w.now);
	assert_int_equal(connects(&w), 0);
	free(map_del(&w.g->pending, &(struct key32){{1}}));
	w.now.mono += 1000;
	gossip_tick(w.g, w.now);
	assert_int_equal(connects(&w), 2);
	end(&w);
}

/* The round on peer i, once helpers were asked in it. */
static struct probe *asking_round(struct world *w, unsigned i)
{
	for (int64_t ms = 0; ms < SECONDS(20); ms++) {
		for (size_t k = 0; k < PROBES_MAX; k++)
			if (w->g->probes[k].used && w->g->probes[k].target == id_of(w, i) &&
			        w->g->probes[k].asked)
				return &w->g->probes[k];
		pass(w, 1, ((1U << w->n) - 2) & ~(1U << i));
	}
	fail_msg("nobody was asked to help");
	return NULL;
}

/* Helpers of the round: the first acks, the others nack as many as told. Ends the round. */
static bool silent_after(unsigned n, unsigned acks, unsigned nacks)
{
	struct world w = world(n);
	struct probe *pr;
	bool silent;

	all_alive(&w);
	pr = asking_round(&w, 1);
	assert_in_range(pr->n_helpers, acks + nacks, INDIRECT_PROBES);
	for (unsigned i = 0; i < acks + nacks; i++) {
		struct peer *p = member_by_id(w.g, pr->helper[i].id);

		for (int again = 0; again < 3; again++)
			if (i < acks)
				probe_on_ack(w.g, p, pr->indirect_seq);
			else
				probe_on_nack(w.g, p, pr->indirect_seq);
	}
	for (int64_t ms = 0; pr->used && pr->target == id_of(&w, 1) && ms < SECONDS(2); ms++)
		pass(&w, 1, 0);
	silent = peer(&w, 1)->silent;
	end(&w);
	return silent;
}

static void one_who_lies_does_not_hide_a_silent_peer(void **state)
{
	(void)state;
	assert_true(silent_after(5, 1, 2)); /* the word of one against two */
	assert_false(silent_after(5, 1, 1));
	assert_false(silent_after(5, 1, 0));
	assert_false(silent_after(5, 2, 0));
	assert_true(silent_after(5, 0, 2));
	assert_false(silent_after(4, 1, 1)); /* there are not two to contradict it */
}

/* One who was not asked, with the right number; and one who was, with each that it can think of. */
static void only_those_asked_are_believed_about_another(void **state)
{
	struct world w = world(PEERS_MAX);
	struct probe *pr;

	(void)state;
	all_alive(&w);
	pr = asking_round(&w, 1);
	for (unsigned i = 1; i < PEERS_MAX; i++) {
		bool asked = false;

		for (unsigned k = 0; k < pr->n_helpers; k++)
			asked |= pr->helper[k].id == id_of(&w, i);
		for (int k = 0; !asked && k < 3; k++) {
			probe_on_ack(w.g, peer(&w, i), pr->indirect_seq);
			probe_on_nack(w.g, peer(&w, i), pr->indirect_seq);
		}
	}
	assert_true(pr->used);
	for (unsigned k = 0; k < pr->n_helpers; k++)
		assert_int_equal(pr->helper[k].said, HELPER_ASKED);
	for (uint32_t seq = 0; seq < 100000; seq++)
		probe_on_ack(w.g, member_by_id(w.g, pr->helper[0].id), seq);
	assert_int_equal(pr->helper[0].said, HELPER_ASKED);
	/* Nor does one number tell the next. */
	assert_true(llabs((int64_t)pr->seq[1] - pr->seq[0]) > 1000);
	assert_true(llabs((int64_t)pr->indirect_seq - pr->seq[2]) > 1000);
	end(&w);
}

/* Nacks among the messages of a reply to a ping-req of peer `from`. */
static unsigned ask_to_ping(struct world *w, unsigned from, uint32_t seq, id64 target)
{
	uint8_t buf[PAYLOAD_BYTES_MAX];
	unsigned nacks = 0;
	struct msg m;
	struct wr reply;
	struct rd r;

	wr_fixed(&reply, buf, sizeof(buf));
	relay_on_ping_req(w->g, peer(w, from), seq, target, &reply);
	rd_init(&r, reply.p, reply.len);
	while (wire_next(&r, &m))
		nacks += m.type == MSG_NACK && m.seq == seq;
	return nacks;
}

/* A packet full of the same question is no flood at the one that it names. */
static void a_ping_req_is_repeated_once(void **state)
{
	struct world w = world(4);

	(void)state;
	all_alive(&w);
	for (int i = 0; i < 70; i++)
		assert_int_equal(ask_to_ping(&w, 1, 9, id_of(&w, 2)), 0);
	assert_int_equal(packets_to(&w, 2), 2);
	/* The number of one ask is not another target's. */
	ask_to_ping(&w, 1, 10, id_of(&w, 2));
	ask_to_ping(&w, 1, 10, id_of(&w, 3));
	assert_int_equal(packets_to(&w, 3), 0);
	end(&w);
}

/* One that asks without end is told no at once, and another is still helped. */
static void one_origin_does_not_take_all_relays(void **state)
{
	struct world w = world(4);
	unsigned nacks = 0;

	(void)state;
	all_alive(&w);
	for (uint32_t seq = 0; seq < RELAYS_MAX; seq++)
		nacks += ask_to_ping(&w, 1, seq, id_of(&w, 2));
	assert_int_equal(nacks, RELAYS_MAX - RELAYS_PER_ORIGIN);
	assert_int_equal(packets_to(&w, 2), RELAYS_PER_ORIGIN);
	assert_int_equal(ask_to_ping(&w, 3, 5, id_of(&w, 2)), 0);
	assert_int_equal(packets_to(&w, 2), 1);
	/* And it again, once its own are over. */
	pass(&w, 2 * w.g->tune->period + 1, 0xe);
	assert_int_equal(ask_to_ping(&w, 1, 1000, id_of(&w, 2)), 0);
	end(&w);
}

/* What a ping-req names is a peer id; one that nobody knows, or the asker itself, is not pinged. */
static void a_ping_req_reaches_members_only(void **state)
{
	struct world w = world(4);

	(void)state;
	all_alive(&w);
	ask_to_ping(&w, 1, 9, 0x1234);
	ask_to_ping(&w, 1, 9, id_of(&w, 1));
	assert_int_equal(packets_to(&w, 0), 0);
	ask_to_ping(&w, 1, 9, id_of(&w, 2));
	assert_int_equal(packets_to(&w, 2), 1);
	end(&w);
}

static void a_target_that_stays_silent_is_nacked(void **state)
{
	struct world w = world(4);
	unsigned nacks = 0;

	(void)state;
	all_alive(&w);
	ask_to_ping(&w, 1, 9, id_of(&w, 2));
	packets_to(&w, 0);
	for (int i = 0; i < 60; i++) {
		struct gossip_action a;
		struct addr asker = addr_of(1);

		w.now.mono += 10;
		gossip_tick(w.g, w.now);
		while (gossip_next(w.g, &a)) {
			struct msg m;
			struct rd r;

			if (a.kind != GOSSIP_PACKET || !addr_eq(&a.addr, &asker))
				continue;
			rd_init(&r, a.bytes + PACKET_HEADER_BYTES,
			        a.len - PACKET_HEADER_BYTES - PACKET_TAG_BYTES);
			while (wire_next(&r, &m))
				nacks += m.type == MSG_NACK && m.seq == 9;
		}
	}
	assert_int_equal(nacks, 1);
	end(&w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(everyone_is_probed_within_two_rounds),
	        cmocka_unit_test(everyone_is_watched_by_the_one_before_it),
	        cmocka_unit_test(the_long_dead_are_tried_in_turn_for_ever),
	        cmocka_unit_test(silence_ends_in_death_and_not_before_its_time),
	        cmocka_unit_test(a_refused_connection_is_no_evidence),
	        cmocka_unit_test(when_everyone_is_silent_nobody_is_accused_for_a_while),
	        cmocka_unit_test(another_who_confirms_the_silence_ends_the_isolation),
	        cmocka_unit_test(a_stall_moves_the_timers),
	        cmocka_unit_test(a_wait_cut_short_is_no_stall),
	        cmocka_unit_test(a_newcomer_reconciles_with_three_and_not_with_all),
	        cmocka_unit_test(one_who_lies_does_not_hide_a_silent_peer),
	        cmocka_unit_test(only_those_asked_are_believed_about_another),
	        cmocka_unit_test(a_ping_req_is_repeated_once),
	        cmocka_unit_test(one_origin_does_not_take_all_relays),
	        cmocka_unit_test(a_ping_req_reaches_members_only),
	        cmocka_unit_test(a_target_that_stays_silent_is_nacked),
	};

	if (sodium_init() < 0)
		return 1;
	log_set(NULL, LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
