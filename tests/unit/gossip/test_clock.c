/*
 * Whose clock may stamp records: DESIGN section 6, "HLC".
 */
#include "gossip/core.h"
#include "tests/unit/gossip/core_of.h"

#define PEERS_MAX 6
#define WALL      INT64_C(1700000000000)

struct world {
	struct flock flock;
	struct actor who[PEERS_MAX];
	struct gossip *g;
	struct now now;
	unsigned n;
};

/* Peer 0 is under test. loaded: a revision with that stamp comes from its disk. */
static struct world world_with(unsigned n, uint64_t loaded)
{
	struct world w = {.flock = flock_new(), .n = n, .now = {.mono = 1000, .wall = WALL}};

	w.g = core_of(&w.flock, w.who, n, false);
	if (loaded) {
		struct packed p = make_revision(&w.flock.id, &w.flock.admin, "web", loaded, NULL, 0, "spec");

		assert_int_equal(gossip_load(w.g, p.w.p, p.w.len, NULL), 0);
		packed_free(&p);
	}
	gossip_start(w.g, w.now);
	return w;
}

static struct world world(unsigned n)
{
	return world_with(n, 0);
}

static void end(struct world *w)
{
	gossip_free(w->g);
	flock_free(&w->flock);
}

/* Peer i answers a ping; its clock is so far ahead of ours. */
static void answers(struct world *w, unsigned i, int64_t ahead, int64_t rtt_ms)
{
	struct peer *p = member_by_id(w->g, key32_id(&w->who[i].key));
	struct statement st = {.type = MSG_ALIVE, .subject = peer_id(p), .incarnation = UINT64_C(1) << 32};

	statement_sign(&st, &w->flock.id, w->who[i].secret);
	member_on_statement(w->g, &st, NULL);
	member_heard(w->g, p);
	clock_on_ack(w->g, contact_of(w->g, p), w->now.wall - rtt_ms / 2 + ahead, rtt_ms * 1000);
}

static struct gossip_clock asked(struct world *w)
{
	struct gossip_clock c;

	gossip_clock(w->g, w->now, &c);
	return c;
}

static void alone_no_clock_is_doubted(void **state)
{
	struct world w = world(3);
	struct gossip_clock c = asked(&w);

	(void)state;
	assert_int_equal(c.others, 0);
	assert_int_equal(c.offset_ms, 0);
	assert_false(c.doubted);
	assert_true(key32_is_zero(&c.peer));
	end(&w);
}

/* Of two nobody can say whose clock is wrong; how far they are apart is told. */
static void of_two_clocks_none_is_doubted(void **state)
{
	struct world w = world(2);
	struct gossip_clock c;

	(void)state;
	answers(&w, 1, MINUTES(10), 4);
	c = asked(&w);
	assert_int_equal(c.others, 1);
	assert_false(c.doubted);
	assert_int_equal(c.apart_ms, -MINUTES(10));
	assert_true(key32_eq(&c.peer, &w.who[1].key));
	end(&w);
}

static void a_clock_that_most_others_contradict_is_doubted(void **state)
{
	struct world w = world(5);
	struct gossip_clock c;

	(void)state;
	answers(&w, 1, MINUTES(-3), 4);
	answers(&w, 2, MINUTES(-3) + 40, 4);
	c = asked(&w);
	assert_true(c.doubted);
	assert_in_range(c.offset_ms, MINUTES(3) - 41, MINUTES(3));
	/* Two more agree with ours: now it is the others who are alone. */
	answers(&w, 3, 15, 4);
	answers(&w, 4, -15, 4);
	c = asked(&w);
	assert_int_equal(c.others, 4);
	assert_false(c.doubted);
	assert_in_range(llabs(c.offset_ms), 0, 15);
	assert_in_range(c.apart_ms, MINUTES(3) - 41, MINUTES(3));
	end(&w);
}

/* Three clocks, one of them a liar's: it cannot stop the other two. */
static void one_liar_stops_nobody(void **state)
{
	struct world w = world(3);

	(void)state;
	for (int64_t ahead = -MINUTES(1000); ahead <= MINUTES(1000); ahead += MINUTES(500)) {
		answers(&w, 1, ahead, 4);
		answers(&w, 2, 900, 4);
		assert_false(asked(&w).doubted);
	}
	end(&w);
}

static void exactly_a_minute_is_not_too_far(void **state)
{
	struct world w = world(3);

	(void)state;
	for (unsigned i = 1; i < 3; i++)
		answers(&w, i, CLOCK_APART_MAX_MS, 0);
	assert_false(asked(&w).doubted);
	for (unsigned i = 1; i < 3; i++)
		answers(&w, i, CLOCK_APART_MAX_MS + 1, 0);
	assert_true(asked(&w).doubted);
	end(&w);
}

/* Our own clock was set, or the machine slept (the monotonic clock stood still): others are heard anew first. */
static void a_jump_of_our_own_clock_is_judged_by_new_answers(void **state)
{
	struct world w = world(3);

	(void)state;
	answers(&w, 1, 5, 4);
	answers(&w, 2, -5, 4);
	w.now.mono += SECONDS(30);
	w.now.wall += SECONDS(30);
	assert_false(asked(&w).doubted);
	w.now.wall += MINUTES(5);
	assert_int_equal(asked(&w).others, 0);
	assert_false(asked(&w).doubted);
	w.g->now = w.now;
	answers(&w, 1, -MINUTES(5), 4);
	answers(&w, 2, -MINUTES(5), 4);
	assert_true(asked(&w).doubted);
	assert_in_range(asked(&w).offset_ms, MINUTES(5) - 10, MINUTES(5) + 10);
	/* A little at a time is no jump, and is seen. */
	w.now.wall -= SECONDS(20);
	assert_in_range(asked(&w).offset_ms, MINUTES(5) - SECONDS(20) - 10, MINUTES(5) - SECONDS(20) + 10);
	end(&w);
}

/* While we stood still an answer lay in the socket: what it says of the time is old. */
static void a_late_answer_says_nothing_of_the_clock(void **state)
{
	struct world w = world(3);

	(void)state;
	answers(&w, 1, 0, MINUTES(10));
	answers(&w, 2, 0, MINUTES(10));
	assert_int_equal(asked(&w).others, 0);
	end(&w);
}

/* Who is gone has no say. */
static void the_dead_have_no_say(void **state)
{
	struct world w = world(3);

	(void)state;
	answers(&w, 1, MINUTES(5), 4);
	answers(&w, 2, MINUTES(5), 4);
	assert_true(asked(&w).doubted);
	for (unsigned i = 1; i < 3; i++)
		member_set_state(w.g, member_by_id(w.g, key32_id(&w.who[i].key)), MEMBER_DEAD);
	assert_int_equal(asked(&w).others, 0);
	assert_false(asked(&w).doubted);
	end(&w);
}

/* A stamp from the future moves the clock by five minutes at most, wherever it came from. */
static void a_stamp_from_the_future_moves_the_clock_by_five_minutes_at_most(void **state)
{
	uint64_t future = (uint64_t)(WALL + MINUTES(60 * 24)) << 16, given;
	struct world w = world_with(2, future);
	struct gossip_action a;
	struct packed p;

	(void)state;
	given = gossip_stamp(w.g, w.now.wall); /* from disk */
	assert_in_range(hlc_wall(given), WALL + HLC_AHEAD_MAX, WALL + HLC_AHEAD_MAX + 1);
	/* And by gossip: kept as it is. */
	p = make_revision(&w.flock.id, &w.flock.admin, "web", future + 1, NULL, 0, "more");
	record_take(w.g, p.w.p, p.w.len, member_by_id(w.g, key32_id(&w.who[1].key)), NULL, false);
	assert_int_equal(store_get(gossip_store(w.g), &p.id)->rec.stamp, future + 1);
	assert_true(gossip_stamp(w.g, w.now.wall) > given);
	assert_in_range(hlc_wall(gossip_stamp(w.g, w.now.wall)), WALL + HLC_AHEAD_MAX, WALL + HLC_AHEAD_MAX + 1);
	while (gossip_next(w.g, &a))
		;
	packed_free(&p);
	end(&w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(alone_no_clock_is_doubted),
	        cmocka_unit_test(of_two_clocks_none_is_doubted),
	        cmocka_unit_test(a_clock_that_most_others_contradict_is_doubted),
	        cmocka_unit_test(one_liar_stops_nobody),
	        cmocka_unit_test(exactly_a_minute_is_not_too_far),
	        cmocka_unit_test(a_jump_of_our_own_clock_is_judged_by_new_answers),
	        cmocka_unit_test(a_late_answer_says_nothing_of_the_clock),
	        cmocka_unit_test(the_dead_have_no_say),
	        cmocka_unit_test(a_stamp_from_the_future_moves_the_clock_by_five_minutes_at_most),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
