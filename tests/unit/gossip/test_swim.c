/*
 * One peer's core against scripted others: what it believes, and what it answers. Whole flocks are in tests/sim.
 */
#include "tests/unit/gossip/world.h"

static void whoever_was_not_heard_is_not_counted_on(void **state)
{
	struct world w = world(3);

	(void)state;
	assert_int_equal(state_of(&w, 1), MEMBER_DEAD);
	assert_true(packets_to(&w, 1) > 0);
	tell(&w, MSG_ALIVE, 1, 0, 1);
	assert_int_equal(state_of(&w, 1), MEMBER_ALIVE);
	end(&w);
}

/* (incarnation, severity), over all pairs: what holds after both is the same in either order. */
static void the_order_of_hearing_does_not_matter(void **state)
{
	static const enum msg_type types[] = {MSG_ALIVE, MSG_SUSPECT, MSG_LEFT};

	(void)state;
	for (unsigned x = 0; x < 6; x++)
		for (unsigned y = 0; y < 6; y++) {
			enum member_state got[2];

			for (int swap = 0; swap < 2; swap++) {
				struct world w = world(5);
				unsigned first = swap ? y : x, second = swap ? x : y;

				all_alive(&w);
				/* Both incarnations were signed by their subject and known, as accusations need. */
				tell(&w, MSG_ALIVE, 1, MAX(x / 3, y / 3), 1);
				tell(&w, types[first % 3], 1, first / 3, types[first % 3] == MSG_SUSPECT ? 2 : 1);
				tell(&w, types[second % 3], 1, second / 3,
				        types[second % 3] == MSG_SUSPECT ? 2 : 1);
				got[swap] = state_of(&w, 1);
				end(&w);
			}
			assert_int_equal(got[0], got[1]);
		}
}

/* Its own words alone, over all triples: what holds is the greatest by (incarnation, severity), whoever hears it and how. */
static void of_its_own_words_the_greatest_holds_in_any_order(void **state)
{
	static const enum msg_type types[] = {MSG_ALIVE, MSG_LEFT};

	(void)state;
	for (unsigned x = 0; x < 6 * 6 * 6; x++) {
		const unsigned words[] = {x % 6, x / 6 % 6, x / 36};
		struct world w = world(2);
		unsigned greatest = 0;

		for (unsigned i = 0; i < 3; i++) {
			tell(&w, types[words[i] % 2], 1, words[i] / 2, 1);
			greatest = MAX(greatest, words[i]);
		}
		assert_int_equal(state_of(&w, 1), greatest % 2 ? MEMBER_LEFT : MEMBER_ALIVE);
		assert_int_equal(peer(&w, 1)->incarnation, UINT64_C(1) << 32 | greatest / 2);
		end(&w);
	}
}

/* Its admission is on its way to the disk when its first word comes. */
static void a_word_that_comes_before_its_admission_counts_after_it(void **state)
{
	struct world w = world(3);
	struct wr r = record_wr();
	struct admission a;

	(void)state;
	w.who[3] = actor(PEER_A + 3);
	tell(&w, MSG_ALIVE, 3, 2, 3);
	tell(&w, MSG_ALIVE, 3, 1, 3);
	for (unsigned i = 4; i < 7; i++) { /* others, who never come */
		w.who[i] = actor(PEER_A + i);
		tell(&w, MSG_ALIVE, i, 9, i);
	}
	assert_null(peer(&w, 3));
	trust_vouch_first(&a, &w.flock.id, &w.who[3].key, w.flock.admin.secret);
	trust_make_admission(&r, &w.flock.id, &a, 9, w.who[3].secret);
	assert_int_equal(gossip_load(w.g, r.p, r.len, NULL), 0);
	wr_free(&r);
	w.g->trust_changed = true;
	trust_settle(w.g);
	assert_int_equal(state_of(&w, 3), MEMBER_ALIVE);
	assert_int_equal(peer(&w, 3)->incarnation, UINT64_C(1) << 32 | 2);
	end(&w);
}

/* One member brings the words of many that never come, and a forged one by the newcomer's name; another brings its own. */
static void one_that_invents_newcomers_does_not_drown_the_true_one(void **state)
{
	struct world w = world(4);
	struct statement st;
	struct wr r = record_wr();
	struct admission a;

	(void)state;
	all_alive(&w);
	w.who[4] = actor(PEER_A + 4);
	st = statement(&w, MSG_ALIVE, 4, 9, 1);
	member_on_statement(w.g, &st, peer(&w, 1));
	st = statement(&w, MSG_ALIVE, 4, 2, 4);
	member_on_statement(w.g, &st, peer(&w, 2));
	for (unsigned i = 0; i < 1000; i++) {
		st.subject = 0x1000 + i;
		member_on_statement(w.g, &st, peer(&w, 1));
	}
	trust_vouch_first(&a, &w.flock.id, &w.who[4].key, w.flock.admin.secret);
	trust_make_admission(&r, &w.flock.id, &a, 9, w.who[4].secret);
	assert_int_equal(gossip_load(w.g, r.p, r.len, NULL), 0);
	wr_free(&r);
	w.g->trust_changed = true;
	trust_settle(w.g);
	assert_int_equal(peer(&w, 4)->incarnation, UINT64_C(1) << 32 | 2);
	assert_int_equal(state_of(&w, 4), MEMBER_ALIVE);
	end(&w);
}

static void a_statement_by_another_hand_is_ignored(void **state)
{
	struct world w = world(4);
	struct statement st;

	(void)state;
	all_alive(&w);
	st = statement(&w, MSG_LEFT, 1, 0, 2);
	member_on_statement(w.g, &st, NULL);
	assert_int_equal(state_of(&w, 1), MEMBER_ALIVE);
	st = statement(&w, MSG_SUSPECT, 1, 0, 2);
	st.accuser = id_of(&w, 3);
	member_on_statement(w.g, &st, NULL);
	assert_int_equal(state_of(&w, 1), MEMBER_ALIVE);
	end(&w);
}

/* Nobody can be accused at an incarnation that it never signed: it could not refute that. */
static void an_accusation_from_the_future_is_ignored(void **state)
{
	struct world w = world(4);

	(void)state;
	all_alive(&w);
	tell(&w, MSG_SUSPECT, 1, 77, 2);
	tell(&w, MSG_DEAD, 1, 77, 2);
	tell(&w, MSG_DEAD, 1, 77, 3);
	assert_int_equal(state_of(&w, 1), MEMBER_ALIVE);
	end(&w);
}

static void one_voice_makes_nobody_dead_in_a_flock_of_five(void **state)
{
	struct world w = world(5);

	(void)state;
	all_alive(&w);
	tell(&w, MSG_DEAD, 1, 0, 2);
	assert_int_equal(state_of(&w, 1), MEMBER_SUSPECT);
	tell(&w, MSG_DEAD, 1, 0, 2);
	assert_int_equal(state_of(&w, 1), MEMBER_SUSPECT);
	tell(&w, MSG_DEAD, 1, 0, 3);
	assert_int_equal(state_of(&w, 1), MEMBER_DEAD);
	end(&w);
}

/* That one suspects all others leaves nobody in the state alive; it is one voice all the same. */
static void one_voice_that_suspects_all_makes_nobody_dead(void **state)
{
	struct world w = world(5);

	(void)state;
	all_alive(&w);
	for (unsigned who = 1; who < 5; who++)
		if (who != 2)
			tell(&w, MSG_SUSPECT, who, 0, 2);
	for (unsigned who = 1; who < 5; who++) {
		if (who == 2)
			continue;
		tell(&w, MSG_DEAD, who, 0, 2);
		assert_int_equal(state_of(&w, who), MEMBER_SUSPECT);
	}
	end(&w);
}

/* One signature is enough there, but it must be one's own: else a lone liar makes the other two dead to each other. */
static void in_a_flock_of_three_anothers_voice_kills_nobody(void **state)
{
	struct world w = world(3);

	(void)state;
	all_alive(&w);
	for (uint64_t n = 0; n < 20; n++) {
		tell(&w, MSG_DEAD, 1, n, 2);
		assert_int_not_equal(state_of(&w, 1), MEMBER_DEAD);
		pass(&w, 200, 0x6);
		tell(&w, MSG_ALIVE, 1, n + 1, 1);
		assert_int_equal(state_of(&w, 1), MEMBER_ALIVE);
	}
	/* And a lost one is dead all the same, by what we see ourselves; later, as nobody confirms it. */
	pass(&w, 24000, 1 << 2);
	assert_int_equal(state_of(&w, 1), MEMBER_DEAD);
	end(&w);
}

/* A forger signs nothing for others: who is named pays nothing for it, and is heard as before. */
static void a_forged_accusation_costs_the_forger(void **state)
{
	struct world w = world(6);

	(void)state;
	all_alive(&w);
	for (int i = 0; i < 300; i++) {
		struct statement st = statement(&w, MSG_SUSPECT, 1, 0, 5);

		st.accuser = id_of(&w, 2 + (unsigned)i % 2);
		member_on_statement(w.g, &st, peer(&w, 5));
	}
	assert_int_equal(state_of(&w, 1), MEMBER_ALIVE);
	tell(&w, MSG_DEAD, 1, 0, 2);
	tell(&w, MSG_DEAD, 1, 0, 3);
	assert_int_equal(state_of(&w, 1), MEMBER_DEAD);
	end(&w);
}

/* Nor is any more of what the forger passes on checked, for a while: a check takes longer than its bytes. */
static void who_passes_on_forgeries_is_not_listened_to(void **state)
{
	struct world w = world(6);
	struct statement st;

	(void)state;
	all_alive(&w);
	for (int i = 0; i < FORGED_MAX; i++) {
		st = statement(&w, MSG_ALIVE, 1, 50, 5);
		member_on_statement(w.g, &st, peer(&w, 5));
	}
	st = statement(&w, MSG_ALIVE, 1, 50, 1);
	member_on_statement(w.g, &st, peer(&w, 5));
	assert_int_equal((uint32_t)peer(&w, 1)->incarnation, 0);
	/* The same from anybody else. */
	member_on_statement(w.g, &st, peer(&w, 4));
	assert_int_equal((uint32_t)peer(&w, 1)->incarnation, 50);
	end(&w);
}

/* Who took it for dead are no members any more: our own word stands in, for it to refute. */
static void the_dead_keep_somebody_to_refute(void **state)
{
	struct world w = world(6);

	(void)state;
	all_alive(&w);
	tell(&w, MSG_DEAD, 1, 0, 2);
	tell(&w, MSG_DEAD, 1, 0, 3);
	assert_int_equal(state_of(&w, 1), MEMBER_DEAD);
	suspicion_withdraw(w.g, id_of(&w, 2));
	suspicion_withdraw(w.g, id_of(&w, 3));
	assert_int_equal(state_of(&w, 1), MEMBER_DEAD);
	assert_int_equal(peer(&w, 1)->sus->n, 1);
	assert_true(peer(&w, 1)->sus->by[0].accuser == w.g->id);
	end(&w);
}

/* Two deaths of its sender end the stream that a frame comes on; the rest of the frame is not read from what is gone. */
static void a_frame_may_end_its_own_stream(void **state)
{
	struct world w = world(6);
	uint64_t id = UINT64_C(1) << 63 | 3;
	uint8_t frame[1024] = {FRAME_MSGS};
	struct statement st;
	struct wr m;

	(void)state;
	all_alive(&w);
	gossip_on_stream(w.g, id, &w.who[1].key, true, w.now);
	packets_to(&w, 0);
	wr_fixed(&m, frame + 1, sizeof(frame) - 1);
	for (unsigned by = 2; by <= 3; by++) {
		st = statement(&w, MSG_DEAD, 1, 0, by);
		wire_put_statement(&m, &st);
	}
	wire_put_ping(&m, 9, 0);
	gossip_on_frame(w.g, id, frame, m.len + 1, w.now);
	assert_int_equal(state_of(&w, 1), MEMBER_DEAD);
	assert_null(stream_by_id(w.g, id));
	end(&w);
}

/* A liar that echoes what we tell counts as one of those around, not as all of them. */
static void an_echo_counts_once(void **state)
{
	struct world w = world(6);
	struct statement st;
	struct wr out;
	uint8_t buf[4096];
	unsigned times = 0;

	(void)state;
	all_alive(&w);
	st = statement(&w, MSG_ALIVE, 1, 9, 1);
	member_on_statement(w.g, &st, peer(&w, 2));
	for (int i = 0; i < 40; i++) {
		bool there = false;
		struct msg m;
		struct rd r;

		broadcast_round(&w.g->bc);
		wr_fixed(&out, buf, PAYLOAD_BYTES_MAX);
		broadcast_fill(&w.g->bc, &out, PAYLOAD_BYTES_MAX, 12, 1, false);
		rd_init(&r, out.p, out.len);
		while (wire_next(&r, &m))
			there |= m.type == MSG_ALIVE && m.st.subject == id_of(&w, 1) &&
			         m.st.incarnation == st.incarnation;
		times += there;
		member_on_statement(w.g, &st, peer(&w, 5));
	}
	assert_in_range(times, 12 - HEARD_WEIGHT, 12);
	end(&w);
}

static void the_time_to_refute_shrinks_with_each_accuser(void **state)
{
	struct world w = world(8);
	mono_ms first, second, third;

	(void)state;
	all_alive(&w);
	tell(&w, MSG_SUSPECT, 1, 0, 2);
	first = peer(&w, 1)->sus->deadline;
	tell(&w, MSG_SUSPECT, 1, 0, 3);
	second = peer(&w, 1)->sus->deadline;
	tell(&w, MSG_SUSPECT, 1, 0, 4);
	third = peer(&w, 1)->sus->deadline;
	assert_true(first > second && second > third);
	/* The same one again changes nothing. */
	tell(&w, MSG_SUSPECT, 1, 0, 4);
	assert_int_equal(peer(&w, 1)->sus->deadline, third);
	end(&w);
}

static void a_higher_incarnation_ends_a_suspicion(void **state)
{
	struct world w = world(5);

	(void)state;
	all_alive(&w);
	tell(&w, MSG_SUSPECT, 1, 0, 2);
	assert_int_equal(state_of(&w, 1), MEMBER_SUSPECT);
	tell(&w, MSG_ALIVE, 1, 0, 1);
	assert_int_equal(state_of(&w, 1), MEMBER_SUSPECT);
	tell(&w, MSG_ALIVE, 1, 1, 1);
	assert_int_equal(state_of(&w, 1), MEMBER_ALIVE);
	assert_int_equal(peer(&w, 1)->sus != NULL, 0);
	end(&w);
}

static void an_accused_peer_refutes_with_a_higher_incarnation(void **state)
{
	struct world w = world(4);
	uint64_t before = w.g->incarnation;
	struct statement st;

	(void)state;
	all_alive(&w);
	st = (struct statement){
	        .type = MSG_SUSPECT, .subject = w.g->id, .incarnation = before, .accuser = id_of(&w, 2)};
	statement_sign(&st, &w.flock.id, w.who[2].secret);
	member_on_statement(w.g, &st, NULL);
	assert_int_equal(w.g->incarnation, before + 1);
	assert_true(packets_to(&w, 0) > 0);
	/* The same accusation again is about the past. */
	member_on_statement(w.g, &st, NULL);
	assert_int_equal(w.g->incarnation, before + 1);
	end(&w);
}

/* However many accuse, and however often: one new incarnation per period. */
static void incarnations_rise_once_per_period(void **state)
{
	struct world w = world(6);
	uint64_t before = w.g->incarnation;

	(void)state;
	all_alive(&w);
	for (int i = 0; i < 100; i++) {
		unsigned by = 1 + (unsigned)i % 5;
		struct statement st = {.type = MSG_SUSPECT,
		        .subject = w.g->id,
		        .incarnation = w.g->incarnation,
		        .accuser = id_of(&w, by)};

		statement_sign(&st, &w.flock.id, w.who[by].secret);
		member_on_statement(w.g, &st, NULL);
		pass(&w, 50, 0x3e);
	}
	/* 5 seconds of the lan profile, and the first at once. */
	assert_in_range(w.g->incarnation - before, 5, 6);
	end(&w);
}

/* An accusation that comes too soon after an answer is answered all the same, in its turn. */
static void a_second_accusation_is_refuted_a_period_later(void **state)
{
	struct world w = world(4);
	uint64_t before = w.g->incarnation;

	(void)state;
	all_alive(&w);
	for (unsigned by = 1; by <= 2; by++) {
		struct statement st = {.type = MSG_SUSPECT,
		        .subject = w.g->id,
		        .incarnation = w.g->incarnation,
		        .accuser = id_of(&w, by)};

		statement_sign(&st, &w.flock.id, w.who[by].secret);
		member_on_statement(w.g, &st, NULL);
	}
	assert_int_equal(w.g->incarnation, before + 1);
	pass(&w, 1100, 0xe);
	assert_int_equal(w.g->incarnation, before + 2);
	end(&w);
}

/* A liar accuses everybody at each new incarnation; soon nobody listens, and a true accuser is heard as before. */
static void who_accuses_without_end_is_no_longer_heard(void **state)
{
	struct world w = world(6);
	uint64_t n = 0;

	(void)state;
	all_alive(&w);
	for (; n < 200; n++) {
		tell(&w, MSG_SUSPECT, 1, n, 5);
		tell(&w, MSG_ALIVE, 1, n + 1, 1);
	}
	assert_true(gossip_counters(w.g)->accusations_dropped >= 100);
	tell(&w, MSG_SUSPECT, 1, n, 5);
	assert_int_equal(state_of(&w, 1), MEMBER_ALIVE);
	tell(&w, MSG_SUSPECT, 1, n, 2);
	assert_int_equal(state_of(&w, 1), MEMBER_SUSPECT);
	end(&w);
}

/* SWIM section 4.3, every other probe: within two rounds everyone is probed, whoever comes and goes meanwhile. */
static void leaving_is_final_until_a_new_boot(void **state)
{
	struct world w = world(4);
	struct statement st;

	(void)state;
	all_alive(&w);
	tell(&w, MSG_LEFT, 1, 1, 1);
	assert_int_equal(state_of(&w, 1), MEMBER_LEFT);
	tell(&w, MSG_SUSPECT, 1, 1, 2);
	tell(&w, MSG_ALIVE, 1, 1, 1);
	assert_int_equal(state_of(&w, 1), MEMBER_LEFT);
	st = (struct statement){
	        .type = MSG_ALIVE, .subject = id_of(&w, 1), .incarnation = UINT64_C(2) << 32, .addr = addr_of(1)};
	statement_sign(&st, &w.flock.id, w.who[1].secret);
	member_on_statement(w.g, &st, NULL);
	assert_int_equal(state_of(&w, 1), MEMBER_ALIVE);
	end(&w);
}

static bool hears_of_own_run(struct world *w, uint32_t boot, uint8_t boot_id)
{
	struct statement st = {
	        .type = MSG_ALIVE, .subject = w->g->id, .incarnation = (uint64_t)boot << 32, .addr = addr_of(9)};
	struct gossip_action a;
	bool fenced = false;

	memset(st.boot_id, boot_id, sizeof(st.boot_id));
	statement_sign(&st, &w->flock.id, w->who[0].secret);
	member_on_statement(w->g, &st, NULL);
	while (gossip_next(w->g, &a))
		fenced |= a.kind == GOSSIP_FENCED;
	return fenced;
}

/* A newer run is overtaken; one that goes on each time that it is overtaken is another machine. */
static void two_machines_with_one_key_fence_one(void **state)
{
	struct world w = world(3);

	(void)state;
	all_alive(&w);
	assert_false(hears_of_own_run(&w, 50, 0xff));
	assert_int_equal(w.g->incarnation >> 32, 51);
	assert_false(hears_of_own_run(&w, 52, 0xff));
	assert_int_equal(w.g->incarnation >> 32, 53);
	assert_true(hears_of_own_run(&w, 54, 0xff));
	end(&w);
}

/* Words of earlier runs, heard late and in rising order after the disk was set back, are no second machine's. */
static void earlier_runs_of_a_restored_disk_fence_nobody(void **state)
{
	struct world w = world(3);

	(void)state;
	all_alive(&w);
	for (uint32_t boot = 50; boot < 60; boot++) {
		assert_false(hears_of_own_run(&w, 2 * boot, (uint8_t)(0xff - boot)));
		assert_int_equal(w.g->incarnation >> 32, 2 * boot + 1);
	}
	end(&w);
}

static void unknown_senders_get_no_answer(void **state)
{
	struct world w = world(3);
	struct actor stranger = actor(STRANGER);
	uint8_t start[16] = {1}, token[32] = {2}, packet[PACKET_BYTES_MAX];
	struct addr from = addr_of(66);
	struct seal seal;
	struct seal_peer to;
	size_t len;

	(void)state;
	all_alive(&w);
	seal_init(&seal, &stranger.key, stranger.secret, &w.flock.id, start, token, true);
	seal_peer_init(&to, &w.g->key);
	len = seal_packet(&seal, &to, PACKET_GOSSIP, (const uint8_t *)"", 0, packet);
	for (int i = 0; i < 100; i++)
		gossip_on_packet(w.g, &from, packet, len, w.now);
	assert_int_equal(packets_to(&w, 66), 0);
	assert_int_equal(gossip_counters(w.g)->drop_unknown, 100);
	seal_peer_free(&to);
	end(&w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(whoever_was_not_heard_is_not_counted_on),
	        cmocka_unit_test(the_order_of_hearing_does_not_matter),
	        cmocka_unit_test(of_its_own_words_the_greatest_holds_in_any_order),
	        cmocka_unit_test(a_word_that_comes_before_its_admission_counts_after_it),
	        cmocka_unit_test(one_that_invents_newcomers_does_not_drown_the_true_one),
	        cmocka_unit_test(a_statement_by_another_hand_is_ignored),
	        cmocka_unit_test(an_accusation_from_the_future_is_ignored),
	        cmocka_unit_test(one_voice_makes_nobody_dead_in_a_flock_of_five),
	        cmocka_unit_test(one_voice_that_suspects_all_makes_nobody_dead),
	        cmocka_unit_test(in_a_flock_of_three_anothers_voice_kills_nobody),
	        cmocka_unit_test(a_forged_accusation_costs_the_forger),
	        cmocka_unit_test(who_passes_on_forgeries_is_not_listened_to),
	        cmocka_unit_test(the_dead_keep_somebody_to_refute),
	        cmocka_unit_test(a_frame_may_end_its_own_stream),
	        cmocka_unit_test(an_echo_counts_once),
	        cmocka_unit_test(the_time_to_refute_shrinks_with_each_accuser),
	        cmocka_unit_test(a_higher_incarnation_ends_a_suspicion),
	        cmocka_unit_test(an_accused_peer_refutes_with_a_higher_incarnation),
	        cmocka_unit_test(incarnations_rise_once_per_period),
	        cmocka_unit_test(a_second_accusation_is_refuted_a_period_later),
	        cmocka_unit_test(who_accuses_without_end_is_no_longer_heard),
	        cmocka_unit_test(leaving_is_final_until_a_new_boot),
	        cmocka_unit_test(two_machines_with_one_key_fence_one),
	        cmocka_unit_test(earlier_runs_of_a_restored_disk_fence_nobody),
	        cmocka_unit_test(unknown_senders_get_no_answer),
	};

	if (sodium_init() < 0)
		return 1;
	log_set(NULL, LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
