/*
 * How records reach others: large ones are announced and pulled, what keeps changing is told less and less often. One
 * core against scripted others, in plain packets that the test reads.
 */
#include "gossip/core.h"
#include "gossip/sync_wire.h"
#include "tests/unit/gossip/core_of.h"

#define PEERS_MAX 12
#define BIG       20000 /* bytes: takes no packet */

struct world {
	struct flock flock;
	struct actor who[PEERS_MAX];
	struct gossip *g;
	struct now now;
	unsigned n;
	/* What came out since drain() began to count. */
	unsigned records[PEERS_MAX]; /* parts of records, to each peer, over streams */
	unsigned wants, connects, closed;
	struct key32 wanted;
	uint64_t stream; /* the last that was opened */
	struct key32 stream_peer;
	unsigned pages; /* distinct own pages told in packets */
	uint64_t page_stamp;
	uint64_t inbound[PEERS_MAX]; /* streams that they opened */
};

static struct peer *peer(struct world *w, unsigned i)
{
	return member_by_id(w->g, key32_id(&w->who[i].key));
}

static void read_messages(struct world *w, const uint8_t *bytes, size_t len)
{
	struct record rec;
	struct msg m;
	struct rd r;

	rd_init(&r, bytes, len);
	while (wire_next(&r, &m)) {
		if (m.type == MSG_WANT) {
			w->wants++;
			w->wanted = m.want[0];
		}
		if (m.type == MSG_RECORD && record_decode(&rec, m.bytes, m.len, NULL) == 0 &&
		        rec.kind == REC_STATUS && rec.stamp > w->page_stamp) {
			w->pages++;
			w->page_stamp = rec.stamp;
		}
	}
}

static void drain(struct world *w)
{
	struct gossip_action a;

	while (gossip_next(w->g, &a)) {
		switch (a.kind) {
		case GOSSIP_PACKET:
			read_messages(
			        w, a.bytes + PACKET_HEADER_BYTES, a.len - PACKET_HEADER_BYTES - PACKET_TAG_BYTES);
			break;
		case GOSSIP_CONNECT:
			w->connects++;
			w->stream = a.stream;
			w->stream_peer = a.peer;
			break;
		case GOSSIP_CLOSE:
			w->closed++;
			break;
		case GOSSIP_FRAME:
			if (a.bytes[0] == FRAME_MSGS)
				read_messages(w, a.bytes + 1, a.len - 1);
			for (unsigned i = 1; a.bytes[0] == FRAME_RECORD && i < w->n; i++)
				w->records[i] += w->inbound[i] == a.stream;
			break;
		case GOSSIP_PERSIST: {
			struct key32 id = a.id;

			gossip_on_disk(w->g, &id, true, w->now);
			break;
		}
		default:
			break;
		}
	}
}

static void forget(struct world *w)
{
	memset(w->records, 0, sizeof(w->records));
	w->wants = w->connects = w->pages = w->closed = 0;
}

/* Time passes; all others answer pings. */
static void pass(struct world *w, int64_t ms)
{
	mono_ms until = w->now.mono + ms;

	while (w->now.mono < until) {
		w->now.mono = MIN(MAX(gossip_wake(w->g), w->now.mono + 1), until);
		gossip_tick(w->g, w->now);
		for (unsigned i = 1; i < w->n; i++) {
			member_heard(w->g, peer(w, i));
			for (size_t k = 0; k < PROBES_MAX; k++)
				if (w->g->probes[k].used && w->g->probes[k].target == peer_id(peer(w, i)))
					probe_on_ack(w->g, peer(w, i), w->g->probes[k].seq[0]);
		}
		drain(w);
	}
}

static struct world world(unsigned n)
{
	struct world w = {.flock = flock_new(), .n = n, .now = {.mono = 1000, .wall = 1700000000000}};

	w.g = core_of(&w.flock, w.who, n, true);
	gossip_start(w.g, w.now);
	w.g->ready = true; /* no reconciliation of its own meanwhile */
	for (unsigned i = 1; i < n; i++) {
		struct statement st = {
		        .type = MSG_ALIVE, .subject = key32_id(&w.who[i].key), .incarnation = UINT64_C(1) << 32};

		st.addr = addr_of(i);
		statement_sign(&st, &w.flock.id, w.who[i].secret);
		member_on_statement(w.g, &st, NULL);
		member_heard(w.g, peer(&w, i));
	}
	drain(&w);
	forget(&w);
	return w;
}

static void end(struct world *w)
{
	gossip_free(w->g);
	flock_free(&w->flock);
}

static void opens_stream(struct world *w, unsigned i)
{
	w->inbound[i] = UINT64_C(1) << 63 | i;
	gossip_on_stream(w->g, w->inbound[i], &w->who[i].key, true, w->now);
	drain(w);
}

static struct packed big(struct world *w, unsigned n)
{
	static char body[BIG + 1];

	memset(body, 'a' + (int)n % 26, BIG);
	return make_revision(&w->flock.id, &w->flock.admin, "web", n + 1, NULL, 0, body);
}

static struct have have_of(const struct packed *p)
{
	struct record r;

	assert_int_equal(record_decode(&r, p->w.p, p->w.len, NULL), 0);
	return (struct have){
	        .kind = r.kind, .id = r.id, .key = r.key, .stamp = r.stamp, .len = (uint32_t)p->w.len};
}

static void announces(struct world *w, unsigned from, const struct packed *p)
{
	struct have h = have_of(p);
	uint8_t buf[PAYLOAD_BYTES_MAX];
	struct wr reply;

	wr_fixed(&reply, buf, sizeof(buf));
	record_on_have(w->g, peer(w, from), &h, &reply);
	read_messages(w, reply.p, reply.len);
	drain(w);
}

static void comes(struct world *w, unsigned from, const struct packed *p)
{
	record_take(w->g, p->w.p, p->w.len, peer(w, from), NULL, false);
	drain(w);
}

/* The stream that was opened last is up: what waited for it goes out. */
static void stream_is_up(struct world *w)
{
	gossip_on_stream(w->g, w->stream, &w->stream_peer, false, w->now);
	drain(w);
}

static void a_large_record_goes_to_those_who_ask_only(void **state)
{
	struct world w = world(4);
	struct packed p = big(&w, 0);
	struct key32 id = p.id;

	(void)state;
	for (unsigned i = 1; i < 4; i++)
		opens_stream(&w, i);
	forget(&w);
	comes(&w, 1, &p);
	pass(&w, 300);
	assert_true(store_get(gossip_store(w.g), &id)->on_disk);
	for (unsigned i = 1; i < 4; i++)
		assert_int_equal(w.records[i], 0);
	record_on_want(w.g, peer(&w, 2), &id, 1, stream_by_id(w.g, w.inbound[2]));
	drain(&w);
	assert_int_equal(w.records[2], 1);
	assert_int_equal(w.records[1] + w.records[3], 0);
	packed_free(&p);
	end(&w);
}

/* One frame that asks for everything again and again gets a bounded answer. */
static void a_greedy_frame_gets_a_bounded_answer(void **state)
{
	struct world w = world(4);
	struct packed p = big(&w, 0);
	struct key32 ids[WANT_IDS_MAX];
	struct wr f;

	(void)state;
	opens_stream(&w, 1);
	comes(&w, 2, &p);
	forget(&w);
	for (size_t i = 0; i < WANT_IDS_MAX; i++)
		ids[i] = p.id;
	wr_init(&f, FRAME_BYTES_MAX);
	wr_u8(&f, FRAME_MSGS);
	while (f.len + 1100 < FRAME_BYTES_MAX)
		wire_put_want(&f, ids, WANT_IDS_MAX);
	gossip_on_frame(w.g, w.inbound[1], f.p, f.len, w.now);
	drain(&w);
	assert_in_range(w.records[1] * BIG, BIG, 1024 * 1024 + 2 * BIG);
	wr_free(&f);
	packed_free(&p);
	end(&w);
}

/* Questions of reconciliation cost work. A peer that asks and asks is turned away, and may ask again later. */
static void a_peer_that_asks_without_end_is_turned_away(void **state)
{
	struct sync_salt salt = {{0}};
	struct world w = world(4);
	struct span root;
	unsigned frames = 0;
	struct wr f;

	(void)state;
	span_root(&root, false);
	wr_init(&f, FRAME_BYTES_MAX);
	wr_u8(&f, FRAME_SYNC_ASK);
	wr_u8(&f, SYNC_VERSION);
	wr_u64(&f, 0);
	while (f.len + 3000 < SYNC_FRAME_MAX)
		sync_put_prints(&f, gossip_store(w.g), &salt, &root, 2);
	for (int again = 0; again < 2; again++) {
		opens_stream(&w, 1);
		forget(&w);
		for (frames = 0; !w.closed && frames < 1000; frames++) {
			gossip_on_frame(w.g, w.inbound[1], f.p, f.len, w.now);
			drain(&w);
		}
		assert_in_range(frames, 50, 500);
		pass(&w, SECONDS(20));
	}
	wr_free(&f);
	end(&w);
}

static void what_many_announce_is_asked_of_one(void **state)
{
	struct world w = world(6);
	struct packed p = big(&w, 0);

	(void)state;
	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 1; i < 6; i++)
			announces(&w, i, &p);
	assert_int_equal(w.connects, 1);
	assert_true(key32_eq(&w.stream_peer, &w.who[1].key));
	stream_is_up(&w);
	assert_int_equal(w.wants, 1);
	assert_true(key32_eq(&w.wanted, &p.id));
	comes(&w, 1, &p);
	assert_int_equal(w.g->n_pulls, 0);
	forget(&w);
	/* It is here: nobody is asked any more. */
	announces(&w, 2, &p);
	pass(&w, SECONDS(3));
	assert_int_equal(w.wants, 0);
	packed_free(&p);
	end(&w);
}

static void a_pull_that_fails_is_asked_of_another_announcer(void **state)
{
	struct world w = world(5);
	struct packed p = big(&w, 0);

	(void)state;
	for (unsigned i = 1; i < 5; i++)
		announces(&w, i, &p);
	assert_true(key32_eq(&w.stream_peer, &w.who[1].key));
	/* The first cannot be reached. */
	gossip_on_stream_closed(w.g, w.stream, true, w.now);
	gossip_tick(w.g, w.now);
	drain(&w);
	assert_true(key32_eq(&w.stream_peer, &w.who[2].key));
	stream_is_up(&w);
	assert_int_equal(w.wants, 1);
	/* The second says nothing. */
	pass(&w, SECONDS(1));
	assert_true(key32_eq(&w.stream_peer, &w.who[2].key));
	pass(&w, SECONDS(2));
	assert_true(key32_eq(&w.stream_peer, &w.who[3].key));
	stream_is_up(&w);
	assert_int_equal(w.wants, 2);
	/* The third sends something forged under that name: its header, with a wrong signature. */
	p.w.p[p.w.len - BIG - 1] ^= 1;
	comes(&w, 3, &p);
	p.w.p[p.w.len - BIG - 1] ^= 1;
	gossip_tick(w.g, w.now);
	drain(&w);
	assert_true(key32_eq(&w.stream_peer, &w.who[4].key));
	stream_is_up(&w);
	comes(&w, 4, &p);
	assert_int_equal(w.g->n_pulls, 0);
	assert_non_null(store_get(gossip_store(w.g), &p.id));
	packed_free(&p);
	end(&w);
}

static void a_slow_pull_goes_on_while_pieces_come(void **state)
{
	struct world w = world(4);
	struct packed p = big(&w, 0);

	(void)state;
	announces(&w, 1, &p);
	announces(&w, 2, &p);
	stream_is_up(&w);
	for (size_t at = 0, n = p.w.len / 8 + 1; at < p.w.len; at += n) {
		uint8_t buf[BIG];
		struct wr f;

		wr_fixed(&f, buf, sizeof(buf));
		wr_u8(&f, FRAME_RECORD);
		wr_u8(&f, 0);
		wr_u32(&f, (uint32_t)p.w.len);
		wr_u32(&f, (uint32_t)at);
		wr_bytes(&f, p.w.p + at, MIN(n, p.w.len - at));
		pass(&w, 1500);
		gossip_on_frame(w.g, w.stream, f.p, f.len, w.now);
		drain(&w);
	}
	assert_non_null(store_get(gossip_store(w.g), &p.id));
	assert_int_equal(w.connects, 1); /* the other was not troubled */
	packed_free(&p);
	end(&w);
}

/* One that announces what there is not does not keep others' from being pulled. */
static void one_announcer_does_not_take_all_pulls(void **state)
{
	struct world w = world(3);
	struct packed p[2 * PULLS_PER_SOURCE];
	unsigned of_2 = 0, busy = 0;

	(void)state;
	for (unsigned i = 0; i < 4 * PULLS_MAX; i++) {
		struct have h = {
		        .kind = REC_REVISION, .id = {{1, (uint8_t)(i >> 8), (uint8_t)i}}, .stamp = 1, .len = BIG};
		uint8_t buf[PAYLOAD_BYTES_MAX];
		struct wr reply;

		wr_fixed(&reply, buf, sizeof(buf));
		record_on_have(w.g, peer(&w, 1), &h, &reply);
		drain(&w);
	}
	assert_int_equal(w.g->n_pulls, PULLS_MAX);
	for (unsigned i = 0; i < w.g->n_pulls; i++)
		busy += w.g->pulls[i].stream != 0;
	assert_int_equal(busy, PULLS_AT_ONCE_PER_SOURCE);
	for (unsigned i = 0; i < ARRAY_LEN(p); i++) {
		p[i] = big(&w, i);
		announces(&w, 2, &p[i]);
	}
	for (unsigned i = 0; i < w.g->n_pulls; i++)
		of_2 += w.g->pulls[i].from[0] == peer_id(peer(&w, 2));
	assert_int_equal(w.g->n_pulls, PULLS_MAX);
	assert_int_equal(of_2, PULLS_PER_SOURCE);
	busy = 0;
	for (unsigned i = 0; i < w.g->n_pulls; i++)
		busy += w.g->pulls[i].stream != 0;
	assert_int_equal(busy, 2 * PULLS_AT_ONCE_PER_SOURCE);
	for (unsigned i = 0; i < ARRAY_LEN(p); i++)
		packed_free(&p[i]);
	end(&w);
}

/* However many are announced, few are under way, and a bounded number waits. */
static void pulls_under_way_are_few(void **state)
{
	struct packed p[PULLS_MAX + 20];
	struct world w = world(3);

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(p); i++) {
		p[i] = big(&w, i);
		announces(&w, 1 + i % 2, &p[i]);
	}
	assert_int_equal(w.g->n_pulls, PULLS_MAX);
	for (unsigned i = 1; i < 3; i++) {
		struct stream *s = stream_to(w.g, peer(&w, i));

		gossip_on_stream(w.g, s->id, &w.who[i].key, false, w.now);
	}
	drain(&w);
	assert_int_equal(w.wants, PULLS_AT_ONCE);
	/* One is through: the next begins. */
	comes(&w, 1, &p[0]);
	gossip_tick(w.g, w.now);
	drain(&w);
	assert_int_equal(w.wants, PULLS_AT_ONCE + 1);
	/* Nobody sends anything: all are given up. */
	pass(&w, SECONDS(2) * (PULLS_MAX / PULLS_AT_ONCE + 2));
	assert_int_equal(w.g->n_pulls, 0);
	for (unsigned i = 0; i < ARRAY_LEN(p); i++)
		packed_free(&p[i]);
	end(&w);
}

static void publish(struct world *w, unsigned n)
{
	char body[32];

	snprintf(body, sizeof(body), "state %u", n);
	gossip_publish(w->g, REC_STATUS, "0", (const uint8_t *)body, strlen(body), w->now);
	drain(w);
}

static void a_page_that_keeps_changing_is_told_ever_less_often(void **state)
{
	struct world w = world(4);
	mono_ms began;
	unsigned n = 0;

	(void)state;
	pass(&w, SECONDS(1));
	forget(&w);
	publish(&w, n++);
	assert_int_equal(w.pages, 1); /* the first at once */
	for (unsigned ms = 0; ms < SECONDS(1); ms += 20, pass(&w, 20))
		publish(&w, n++);
	assert_in_range(w.pages, 8, 20); /* as it goes, with 50 and 100 ms between */
	for (unsigned ms = 0; ms < SECONDS(15); ms += 20, pass(&w, 20))
		publish(&w, n++);
	forget(&w);
	for (unsigned ms = 0; ms < SECONDS(20); ms += 20, pass(&w, 20))
		publish(&w, n++);
	assert_in_range(w.pages, 9, 11); /* every two seconds */
	/* Its last state is told, and soon. */
	began = w.now.mono;
	publish(&w, n++);
	while (w.page_stamp < store_page(gossip_store(w.g), REC_STATUS, &w.who[0].key, "0")->rec.stamp)
		pass(&w, 10);
	assert_in_range(w.now.mono - began, 0, 2010);
	/* Another page of this peer is not held back by it. */
	forget(&w);
	gossip_publish(w.g, REC_STATUS, "1", (const uint8_t *)"x", 1, w.now);
	pass(&w, 60);
	assert_int_equal(w.pages, 1);
	/* After some quiet it is told at once again. */
	pass(&w, SECONDS(10));
	forget(&w);
	publish(&w, n++);
	assert_int_equal(w.pages, 1);
	pass(&w, 60);
	publish(&w, n++);
	pass(&w, 60);
	assert_int_equal(w.pages, 2);
	end(&w);
}

static void pages_that_came_and_went_are_forgotten(void **state)
{
	struct world w = world(3);

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		gossip_publish(w.g, REC_STATUS, name, (const uint8_t *)"x", 1, w.now);
		pass(&w, i % 100 ? 1 : 1000);
		assert_in_range(w.g->flaps.len, 1, 2 * PAGES_MAX);
	}
	end(&w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_large_record_goes_to_those_who_ask_only),
	        cmocka_unit_test(a_greedy_frame_gets_a_bounded_answer),
	        cmocka_unit_test(a_peer_that_asks_without_end_is_turned_away),
	        cmocka_unit_test(what_many_announce_is_asked_of_one),
	        cmocka_unit_test(a_pull_that_fails_is_asked_of_another_announcer),
	        cmocka_unit_test(a_slow_pull_goes_on_while_pieces_come),
	        cmocka_unit_test(pulls_under_way_are_few),
	        cmocka_unit_test(one_announcer_does_not_take_all_pulls),
	        cmocka_unit_test(a_page_that_keeps_changing_is_told_ever_less_often),
	        cmocka_unit_test(pages_that_came_and_went_are_forgotten),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
