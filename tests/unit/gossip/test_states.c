/* Who is there, reconciled (gossip/states.c): against one scripted other over a stream. */
#include "tests/unit/gossip/world.h"

#define STREAM (UINT64_C(1) << 63 | 7)

/* What came back on the stream. */
struct said {
	size_t lists, listed, wanted;
	id64 want[16];
	bool alive[PEERS_MAX];
};

static void hear(struct world *w, struct said *said)
{
	static struct wire_state list[WIRE_STATES_MAX];
	struct gossip_action a;

	*said = (struct said){0};
	while (gossip_next(w->g, &a)) {
		struct msg m;
		struct rd r;

		if (a.kind != GOSSIP_FRAME || a.bytes[0] != FRAME_MSGS)
			continue;
		rd_init(&r, a.bytes + 1, a.len - 1);
		while (wire_next(&r, &m)) {
			if (m.type == MSG_STATES_LIST) {
				said->lists++;
				said->listed += wire_get_states_list(&m, list);
			}
			if (m.type == MSG_STATES_WANT)
				said->wanted = wire_get_states_want(&m, said->want);
			for (unsigned i = 0; i < w->n; i++)
				said->alive[i] |= m.type == MSG_ALIVE && m.st.subject == id_of(w, i);
		}
		assert_true(rd_ok(&r));
	}
}

static void say(struct world *w, const struct wr *messages)
{
	uint8_t frame[FRAME_BYTES_MAX] = {FRAME_MSGS};

	memcpy(frame + 1, messages->p, messages->len);
	gossip_on_frame(w->g, STREAM, frame, messages->len + 1, w->now);
}

static struct world begin(void)
{
	struct world w = world(PEERS_MAX);
	struct said said;

	all_alive(&w);
	gossip_on_stream(w.g, STREAM, &w.who[1].key, true, w.now);
	hear(&w, &said);
	return w;
}

static void all_members_are_listed_to_one_that_knows_nobody(void **state)
{
	struct world w = begin();
	uint64_t none[WIRE_STATES_PARTS] = {0};
	struct said said;
	struct wr m;

	(void)state;
	wr_init(&m, 4096);
	wire_put_states(&m, none);
	say(&w, &m);
	hear(&w, &said);
	assert_int_equal(said.listed, PEERS_MAX);
	/* And nothing to one that knows the same. */
	wr_reset(&m);
	wire_put_states(&m, w.g->states);
	say(&w, &m);
	hear(&w, &said);
	assert_int_equal(said.lists, 0);
	wr_free(&m);
	end(&w);
}

static void what_is_older_is_told_and_what_is_newer_is_asked_for(void **state)
{
	struct world w = begin();
	struct wire_state list[2];
	struct said said;
	struct wr m;
	size_t n = 0;
	uint8_t part = (uint8_t)(id_of(&w, 2) >> 58);

	(void)state;
	wr_init(&m, 4096);
	/* It knows a newer run of 2, and nobody else of that part. */
	list[n++] = (struct wire_state){id_of(&w, 2), UINT64_C(9) << 32};
	wire_put_states_list(&m, part, list, n);
	say(&w, &m);
	hear(&w, &said);
	assert_int_equal(said.wanted, 1);
	assert_true(said.want[0] == id_of(&w, 2));
	assert_false(said.alive[2]);
	/* It knows an older one of 2: it is told, and asked for nothing. */
	wr_reset(&m);
	tell(&w, MSG_ALIVE, 2, 5, 2);
	list[0].incarnation = UINT64_C(1) << 32;
	wire_put_states_list(&m, part, list, n);
	say(&w, &m);
	hear(&w, &said);
	assert_int_equal(said.wanted, 0);
	assert_true(said.alive[2]);
	/* Asked, it tells; of itself too. */
	wr_reset(&m);
	wire_put_states_want(&m, (id64[]){id_of(&w, 3), w.g->id, 0x1234}, 3);
	say(&w, &m);
	hear(&w, &said);
	assert_true(said.alive[3] && said.alive[0] && !said.alive[2]);
	wr_free(&m);
	end(&w);
}

static void sums_follow_every_change(void **state)
{
	struct world w = world(4), same = world(4);

	(void)state;
	all_alive(&w);
	assert_true(w.g->states_sum != same.g->states_sum);
	/* In another order, and with a detour. */
	tell(&same, MSG_ALIVE, 3, 0, 3);
	tell(&same, MSG_ALIVE, 1, 0, 1);
	tell(&same, MSG_ALIVE, 2, 0, 2);
	assert_true(w.g->states_sum == same.g->states_sum);
	tell(&same, MSG_ALIVE, 2, 4, 2);
	assert_true(w.g->states_sum != same.g->states_sum);
	tell(&w, MSG_ALIVE, 2, 3, 2);
	tell(&w, MSG_ALIVE, 2, 4, 2);
	assert_true(w.g->states_sum == same.g->states_sum);
	/* Suspicion is no part of it. */
	tell(&w, MSG_SUSPECT, 1, 0, 2);
	assert_true(w.g->states_sum == same.g->states_sum);
	tell(&w, MSG_LEFT, 3, 1, 3);
	assert_true(w.g->states_sum != same.g->states_sum);
	tell(&same, MSG_LEFT, 3, 1, 3);
	assert_true(w.g->states_sum == same.g->states_sum);
	end(&w);
	end(&same);
}

/* Acks whose sum differs for some seconds, and not at once, open a stream; one that agrees never does. */
static void a_lasting_difference_opens_a_stream(void **state)
{
	struct world w = world(4);
	struct peer *p;
	mono_ms began;
	bool asked = false;

	(void)state;
	all_alive(&w);
	pass(&w, SECONDS(20), 0xe);
	p = peer(&w, 1);
	for (int i = 0; i < 100; i++) {
		w.now.mono += 100;
		gossip_tick(w.g, w.now);
		states_on_sum(w.g, p, w.g->states_sum);
		packets_to(&w, 0);
		assert_int_equal(gossip_counters(w.g)->states, 0);
	}
	began = w.now.mono;
	while (!asked && w.now.mono - began < SECONDS(10)) {
		w.now.mono += 100;
		gossip_tick(w.g, w.now);
		states_on_sum(w.g, p, 77);
		packets_to(&w, 0);
		asked = gossip_counters(w.g)->states;
	}
	assert_true(asked);
	assert_in_range(w.now.mono - began, 2000, 3300);
	end(&w);
}

/* In a packet, a small question could have a large answer. */
static void states_are_asked_on_streams_alone(void **state)
{
	struct world w = begin();
	uint64_t none[WIRE_STATES_PARTS] = {0};
	uint8_t buf[PAYLOAD_BYTES_MAX];
	struct msg m;
	struct wr ask, reply;
	struct rd r;

	(void)state;
	wr_init(&ask, 4096);
	wire_put_states(&ask, none);
	rd_init(&r, ask.p, ask.len);
	assert_true(wire_next(&r, &m));
	wr_fixed(&reply, buf, sizeof(buf));
	on_message(w.g, peer(&w, 1), &m, &reply, NULL);
	assert_int_equal(reply.len, 0);
	assert_int_equal(packets_to(&w, 0), 0);
	wr_free(&ask);
	end(&w);
}

/* 500 bytes of question cost a walk over all members: who asks without end is not answered without end. */
static void who_asks_without_end_is_not_answered_without_end(void **state)
{
	struct world w = begin();
	uint64_t none[WIRE_STATES_PARTS] = {0};
	unsigned answered = 0;
	struct said said;
	struct wr m;

	(void)state;
	wr_init(&m, 4096);
	wire_put_states(&m, none);
	for (int i = 0; i < 200; i++) {
		say(&w, &m);
		hear(&w, &said);
		answered += said.lists > 0;
	}
	assert_in_range(answered, 8, 20);
	w.now.mono += SECONDS(10);
	say(&w, &m);
	hear(&w, &said);
	assert_true(said.lists > 0);
	wr_free(&m);
	end(&w);
}

/* A want of a thousand ids is answered with a thousand statements; it costs as much as they, and so does a list. */
static void large_questions_cost_more_than_small_ones(void **state)
{
	static id64 ids[WIRE_STATES_MAX];
	static struct wire_state list[WIRE_STATES_MAX];
	unsigned answered[4] = {0};

	(void)state;
	for (unsigned how = 0; how < 4; how++) {
		struct world w = begin();
		struct said said;
		struct wr m;
		uint8_t part = (uint8_t)(id_of(&w, 2) >> 58);

		ids[0] = id_of(&w, 2);
		list[0] = (struct wire_state){id_of(&w, 2), UINT64_C(9) << 32};
		for (size_t i = 1; i < WIRE_STATES_MAX; i++) {
			ids[i] = id_of(&w, 2);
			list[i] = (struct wire_state){i, 1};
		}
		wr_init(&m, FRAME_BYTES_MAX - 1);
		if (how < 2)
			wire_put_states_want(&m, ids, how ? WIRE_STATES_MAX : 1);
		else
			wire_put_states_list(&m, part, list, how == 3 ? WIRE_STATES_MAX : 1);
		for (int i = 0; i < 100; i++) {
			say(&w, &m);
			hear(&w, &said);
			answered[how] += said.alive[2] || said.wanted;
		}
		wr_free(&m);
		end(&w);
	}
	assert_int_equal(answered[0], 100);
	assert_in_range(answered[1], 10, 20);
	assert_int_equal(answered[2], 100);
	assert_in_range(answered[3], 10, 20);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(all_members_are_listed_to_one_that_knows_nobody),
	        cmocka_unit_test(what_is_older_is_told_and_what_is_newer_is_asked_for),
	        cmocka_unit_test(sums_follow_every_change),
	        cmocka_unit_test(a_lasting_difference_opens_a_stream),
	        cmocka_unit_test(who_asks_without_end_is_not_answered_without_end),
	        cmocka_unit_test(large_questions_cost_more_than_small_ones),
	        cmocka_unit_test(states_are_asked_on_streams_alone),
	};

	if (sodium_init() < 0)
		return 1;
	log_set(NULL, LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
