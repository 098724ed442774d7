/*
 * Versions N (this code) and N + 1 in one flock. Two cores talk in plain packets and frames; what the second says is
 * made to say more on its way, as docs/wire.md ("How it grows") lets a newer version do.
 */
#include "gossip/core.h"
#include "gossip/sync_wire.h"
#include "tests/unit/gossip/flock.h"

#define NEW_MESSAGE 200
#define NEW_FRAME   201
#define NEW_ITEM    202
#define NEW_DURABLE 20 /* kinds of records */
#define NEW_STATUS  40
#define QUEUE_MAX   512

struct delivery {
	enum gossip_action_kind kind;
	uint64_t stream;
	struct wr bytes;
};

struct side {
	struct gossip *g;
	struct actor who;
	bool newer;
	uint64_t streams[16][2]; /* number here, number there */
	size_t n_streams;
	unsigned closed;
	struct delivery out[QUEUE_MAX];
	size_t n_out;
};

struct pair {
	struct flock flock;
	struct side side[2];
	struct now now;
};

static struct addr addr_of(unsigned i)
{
	return (struct addr){.family = 4, .port = 7827, .ip = {10, 0, 0, (uint8_t)i}};
}

static bool grows(uint8_t type)
{
	return type == MSG_PING || type == MSG_ACK || type == MSG_NACK || type == MSG_PING_REQ ||
	       type == MSG_HAVE;
}

/* Messages with one more field where that is allowed, and one of a new type before each. */
static void say_more(struct wr *w, const uint8_t *bytes, size_t len)
{
	struct rd r;

	for (rd_init(&r, bytes, len); rd_left(&r);) {
		uint8_t type = rd_u8(&r);
		size_t n;

		if (type == MSG_END)
			return;
		n = rd_u16(&r);
		wr_u8(w, NEW_MESSAGE);
		wr_u16(w, 3);
		wr_bytes(w, "new", 3);
		wr_u8(w, type);
		wr_u16(w, (uint16_t)(n + (grows(type) ? 5 : 0)));
		wr_bytes(w, rd_bytes(&r, n), n);
		if (grows(type))
			wr_bytes(w, "field", 5);
	}
}

static void newer_packet(struct wr *w, const uint8_t *bytes, size_t len)
{
	size_t head = PACKET_HEADER_BYTES, payload = len - PACKET_HEADER_BYTES - PACKET_TAG_BYTES;

	wr_bytes(w, bytes, head);
	if (bytes[1] == PACKET_GOSSIP)
		say_more(w, bytes + head, payload);
	else
		wr_bytes(w, bytes + head, payload);
	while (w->len + PACKET_TAG_BYTES < PACKET_BYTES_MIN)
		wr_u8(w, 0);
	wr_bytes(w, bytes + len - PACKET_TAG_BYTES, PACKET_TAG_BYTES);
}

static void newer_frame(struct wr *w, const uint8_t *bytes, size_t len)
{
	wr_u8(w, bytes[0]);
	if (bytes[0] == FRAME_MSGS) {
		say_more(w, bytes + 1, len - 1);
		return;
	}
	wr_bytes(w, bytes + 1, len - 1);
	if (bytes[0] == FRAME_SYNC_ASK || bytes[0] == FRAME_SYNC_REPLY) {
		wr_u8(w, NEW_ITEM);
		wr_u16(w, 4);
		wr_bytes(w, "item", 4);
	}
}

static void queue(struct side *s, enum gossip_action_kind kind, uint64_t stream, const uint8_t *bytes, size_t len)
{
	struct delivery *d = &s->out[s->n_out++];

	assert_true(s->n_out < QUEUE_MAX);
	*d = (struct delivery){.kind = kind, .stream = stream};
	wr_init(&d->bytes, 2 * FRAME_BYTES_MAX);
	if (!s->newer)
		wr_bytes(&d->bytes, bytes, len);
	else if (kind == GOSSIP_PACKET)
		newer_packet(&d->bytes, bytes, len);
	else
		newer_frame(&d->bytes, bytes, len);
}

static uint64_t *stream_of(struct side *s, uint64_t number, unsigned which)
{
	for (size_t i = 0; i < s->n_streams; i++)
		if (s->streams[i][which] == number)
			return s->streams[i];
	return NULL;
}

static void gather(struct pair *p, unsigned i)
{
	struct side *s = &p->side[i], *o = &p->side[!i];
	struct gossip_action a;
	uint64_t *pair;

	while (gossip_next(s->g, &a)) {
		switch (a.kind) {
		case GOSSIP_PACKET:
			queue(s, GOSSIP_PACKET, 0, a.bytes, a.len);
			break;
		case GOSSIP_FRAME:
			pair = stream_of(s, a.stream, 0);
			if (!pair)
				break;
			queue(s, GOSSIP_FRAME, pair[1], a.bytes, a.len);
			if (s->newer)
				queue(s, GOSSIP_FRAME, pair[1], (const uint8_t[]){NEW_FRAME, 1, 2}, 3);
			break;
		case GOSSIP_CONNECT: {
			uint64_t there = UINT64_C(1) << 63 | a.stream, here = a.stream;

			assert_true(s->n_streams < 16 && o->n_streams < 16);
			memcpy(s->streams[s->n_streams++], (uint64_t[2]){here, there}, 16);
			memcpy(o->streams[o->n_streams++], (uint64_t[2]){there, here}, 16);
			gossip_on_stream(o->g, there, &s->who.key, true, p->now);
			gossip_on_stream(s->g, here, &o->who.key, false, p->now);
			break;
		}
		case GOSSIP_CLOSE:
			s->closed++;
			break;
		case GOSSIP_PERSIST: {
			struct key32 id = a.id;

			gossip_on_disk(s->g, &id, true, p->now);
			break;
		}
		default:
			break;
		}
	}
}

static void deliver(struct pair *p, unsigned i)
{
	struct side *s = &p->side[i], *o = &p->side[!i];
	struct addr from = addr_of(1 + i);
	size_t n = s->n_out;

	for (size_t k = 0; k < n; k++) {
		struct delivery *d = &s->out[k];

		if (d->kind == GOSSIP_PACKET)
			gossip_on_packet(o->g, &from, d->bytes.p, d->bytes.len, p->now);
		else
			gossip_on_frame(o->g, d->stream, d->bytes.p, d->bytes.len, p->now);
		wr_free(&d->bytes);
	}
	memmove(s->out, s->out + n, (s->n_out - n) * sizeof(*s->out));
	s->n_out -= n;
}

static void pass(struct pair *p, int64_t ms)
{
	for (int64_t until = p->now.mono + ms; p->now.mono < until;) {
		p->now.mono += 5;
		p->now.wall += 5;
		for (unsigned i = 0; i < 2; i++) {
			gossip_tick(p->side[i].g, p->now);
			gather(p, i);
		}
		for (unsigned i = 0; i < 2; i++)
			deliver(p, i);
	}
}

static void load(struct side *s, const struct packed *p)
{
	assert_int_equal(gossip_load(s->g, p->w.p, p->w.len, NULL), 0);
}

static struct packed unknown(struct pair *p, uint8_t kind, const struct actor *by, uint64_t stamp)
{
	struct record r = {.kind = kind, .stamp = stamp, .flags = 0x40};

	return pack(r, "new", "what it means only a newer version knows", 40, &p->flock.id, by);
}

static struct pair *pair_new(bool a_newer, bool b_newer)
{
	struct pair *p = calloc(1, sizeof(*p));

	p->flock = flock_new();
	p->now = (struct now){.mono = 1000, .wall = 1700000000000};
	for (unsigned i = 0; i < 2; i++) {
		struct side *s = &p->side[i];
		struct gossip_config cfg = {
		        .flock = p->flock.id, .boot = 1, .advertise = addr_of(1 + i), .plain = true};

		s->who = actor(PEER_A + i);
		s->newer = i ? b_newer : a_newer;
		cfg.key = s->who.key;
		cfg.seed[0] = (uint8_t)(1 + i);
		cfg.boot_id[0] = (uint8_t)(1 + i);
		memcpy(cfg.secret, s->who.secret, sizeof(cfg.secret));
		s->g = gossip_new(&cfg);
		load(s, &p->flock.genesis);
		load(s, &p->flock.grant);
	}
	for (unsigned i = 0; i < 2; i++) {
		struct wr r = record_wr();
		struct admission a;
		struct packed rec;
		struct addr at = addr_of(1 + i);

		trust_vouch_first(&a, &p->flock.id, &p->side[i].who.key, p->flock.admin.secret);
		trust_make_admission(&r, &p->flock.id, &a, 1 + i, p->side[i].who.secret);
		rec = packed_of(r);
		for (unsigned k = 0; k < 2; k++)
			load(&p->side[k], &rec);
		gossip_load_addr(p->side[!i].g, &p->side[i].who.key, &at);
		packed_free(&rec);
	}
	return p;
}

static void pair_free(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		for (size_t k = 0; k < p->side[i].n_out; k++)
			wr_free(&p->side[i].out[k].bytes);
		gossip_free(p->side[i].g);
	}
	flock_free(&p->flock);
	free(p);
}

static void start(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++)
		gossip_start(p->side[i].g, p->now);
}

static void expect_agreement(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct gossip_counters *c = gossip_counters(p->side[i].g);
		struct member m;

		assert_true(gossip_ready(p->side[i].g));
		assert_true(gossip_member(p->side[i].g, &p->side[!i].who.key, &m));
		assert_int_equal(m.state, MEMBER_ALIVE);
		assert_true(m.rtt_us > 0);
		assert_int_equal(c->drop_bad, 0);
		assert_int_equal(c->deaths, 0);
		assert_int_equal(p->side[i].closed, 0);
	}
	for (int v = 0; v < 2; v++) {
		struct digest x = store_digest(gossip_store(p->side[0].g), v),
		              y = store_digest(gossip_store(p->side[1].g), v);

		assert_memory_equal(&x.root, &y.root, sizeof(x.root));
		assert_int_equal(x.count, y.count);
	}
}

/* Who is newer does not matter, nor whether both are: they find each other, measure, and hold the same records, those of
 * kinds that the older does not know among them. */
static void versions_n_and_n_plus_one_converge(void **state)
{
	(void)state;
	for (unsigned which = 0; which < 4; which++) {
		struct pair *p = pair_new(which & 1, which & 2);
		struct packed mine = unknown(p, NEW_DURABLE, &p->flock.admin, 5),
		              theirs = unknown(p, NEW_DURABLE, &p->flock.admin, 6),
		              status = unknown(p, NEW_STATUS, &p->side[1].who, 7);
		struct key32 large;
		char *body = calloc(1, 100001);
		struct packed big;

		memset(body, 'x', 100000);
		big = make_revision(&p->flock.id, &p->flock.admin, "web", 8, NULL, 0, body);
		large = big.id;
		load(&p->side[0], &mine);
		load(&p->side[1], &theirs);
		load(&p->side[1], &status);
		start(p);
		pass(p, SECONDS(5));
		expect_agreement(p);
		for (unsigned i = 0; i < 2; i++) {
			assert_non_null(store_get(gossip_store(p->side[i].g), &mine.id));
			assert_non_null(store_get(gossip_store(p->side[i].g), &theirs.id));
			assert_non_null(store_get(gossip_store(p->side[i].g), &status.id));
		}
		/* And while they run: a change, announced and pulled, and a page. */
		record_take(p->side[1].g, big.w.p, big.w.len, NULL, NULL, false);
		gossip_publish(p->side[0].g, REC_STATUS, "0", (const uint8_t *)"page", 4, p->now);
		pass(p, SECONDS(5));
		expect_agreement(p);
		assert_non_null(store_get(gossip_store(p->side[0].g), &large)->rec.body);
		packed_free(&mine);
		packed_free(&theirs);
		packed_free(&status);
		packed_free(&big);
		free(body);
		pair_free(p);
	}
}

/* Kinds that nobody here understands cannot fill the store: each author has its share, at every peer. */
static void an_author_of_unknown_kinds_has_a_bounded_share(void **state)
{
	struct pair *p = pair_new(false, true);
	static uint8_t body[4000];
	size_t bytes = 0;

	(void)state;
	start(p);
	pass(p, SECONDS(3));
	for (unsigned i = 0; i < 40; i++) {
		struct record r = {.kind = NEW_DURABLE, .stamp = 100 + i};
		struct packed rec = pack(r, "new", body, sizeof(body), &p->flock.id, &p->flock.admin);

		if (record_take(p->side[1].g, rec.w.p, rec.w.len, NULL, NULL, false) == STORE_NEW)
			bytes += rec.w.len;
		packed_free(&rec);
	}
	assert_in_range(bytes, UNKNOWN_BYTES_PER_AUTHOR_MAX / 2, UNKNOWN_BYTES_PER_AUTHOR_MAX);
	pass(p, SECONDS(10));
	expect_agreement(p);
	assert_true(store_count(gossip_store(p->side[0].g)) > 10);
	pair_free(p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(versions_n_and_n_plus_one_converge),
	        cmocka_unit_test(an_author_of_unknown_kinds_has_a_bounded_share),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
