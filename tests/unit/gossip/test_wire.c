#include "tests/unit/unit.h"

#include "base/drbg.h"
#include "gossip/seal.h"
#include "gossip/wire.h"
#include "tests/unit/gossip/golden.h"

#include <sodium.h>

static const struct key32 flock = {{5}};

static struct key32 keys(uint8_t secret[64], uint8_t n)
{
	uint8_t seed[32] = {n};
	struct key32 pub;

	crypto_sign_seed_keypair(pub.b, secret, seed);
	return pub;
}

static struct statement alive(void)
{
	struct statement st = {
	        .type = MSG_ALIVE, .subject = 0x1122334455667788, .incarnation = UINT64_C(3) << 32 | 4};

	st.addr = (struct addr){.family = 6, .port = 7827, .ip = {0x20, 1, 0xd, 0xb8}};
	memset(st.boot_id, 0xbb, sizeof(st.boot_id));
	return st;
}

/* One of each, in one buffer. */
static void all(struct wr *w)
{
	uint8_t secret[64];
	struct digest_brief d = {{1, 2, 3}}, v = {{4}};
	struct have h = {.kind = 33, .id = {{1}}, .key = {{2}}, .stamp = 99, .len = 1000};
	struct key32 ids[3] = {{{1}}, {{2}}, {{3}}};
	struct wire_state states[2] = {{1, UINT64_C(1) << 32}, {2, UINT64_C(7) << 32 | 3}};
	id64 wanted[2] = {0xa1, 0xb2};
	uint64_t sums[WIRE_STATES_PARTS];
	struct statement st = alive();
	static const enum msg_type others[] = {MSG_LEFT, MSG_SUSPECT, MSG_DEAD};

	keys(secret, 1);
	wire_put_ping(w, 1, UINT64_C(5) << 32 | 7);
	wire_put_ack(w, 2, &d, &v, 0x1122334455667788, 0x0123456789ab);
	wire_put_nack(w, 3);
	wire_put_ping_req(w, 4, 0xabcdef);
	statement_sign(&st, &flock, secret);
	wire_put_statement(w, &st);
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		st = (struct statement){.type = others[i], .subject = 10, .incarnation = 11};
		st.accuser = others[i] == MSG_LEFT ? 0 : 12;
		statement_sign(&st, &flock, secret);
		wire_put_statement(w, &st);
	}
	wire_put_record(w, (const uint8_t *)"record", 6);
	wire_put_have(w, &h);
	wire_put_want(w, ids, 3);
	for (size_t i = 0; i < WIRE_STATES_PARTS; i++)
		sums[i] = i << 32 | 5;
	wire_put_states(w, sums);
	wire_put_states_list(w, 63, states, 2);
	wire_put_states_want(w, wanted, 2);
}

static void every_message_survives_a_round_trip(void **state)
{
	uint8_t buf[2048], again[2048];
	static struct wire_state list[WIRE_STATES_MAX];
	static id64 wanted[WIRE_STATES_MAX];
	uint64_t sums[WIRE_STATES_PARTS];
	struct wr w, back;
	struct rd r;
	struct msg m;
	unsigned n = 0;

	(void)state;
	wr_fixed(&w, buf, sizeof(buf));
	all(&w);
	assert_true(wr_ok(&w));
	wr_fixed(&back, again, sizeof(again));
	rd_init(&r, w.p, w.len);
	while (wire_next(&r, &m)) {
		n++;
		switch (m.type) {
		case MSG_PING:
			assert_int_equal(m.known, UINT64_C(5) << 32 | 7);
			wire_put_ping(&back, m.seq, m.known);
			break;
		case MSG_ACK:
			wire_put_ack(&back, m.seq, &m.durable, &m.volatile_, m.states, m.wall);
			break;
		case MSG_NACK:
			wire_put_nack(&back, m.seq);
			break;
		case MSG_PING_REQ:
			wire_put_ping_req(&back, m.seq, m.target);
			break;
		case MSG_RECORD:
			wire_put_record(&back, m.bytes, m.len);
			break;
		case MSG_HAVE:
			wire_put_have(&back, &m.have);
			break;
		case MSG_WANT:
			wire_put_want(&back, m.want, m.n_want);
			break;
		case MSG_STATES:
			wire_get_states(&m, sums);
			wire_put_states(&back, sums);
			break;
		case MSG_STATES_LIST:
			wire_put_states_list(&back, m.part, list, wire_get_states_list(&m, list));
			break;
		case MSG_STATES_WANT:
			wire_put_states_want(&back, wanted, wire_get_states_want(&m, wanted));
			break;
		default:
			wire_put_statement(&back, &m.st);
			break;
		}
	}
	assert_true(rd_ok(&r));
	assert_int_equal(n, 14);
	assert_int_equal(back.len, w.len);
	assert_memory_equal(back.p, w.p, w.len);
}

static void messages_look_as_they_always_did(void **state)
{
	uint8_t buf[2048];
	struct wr w;

	(void)state;
	wr_fixed(&w, buf, sizeof(buf));
	all(&w);
	golden_hex("messages.hex", w.p, w.len);
}

static void padding_ends_a_packet(void **state)
{
	uint8_t buf[64] = {0};
	struct wr w;
	struct rd r;
	struct msg m;

	(void)state;
	wr_fixed(&w, buf, sizeof(buf));
	wire_put_nack(&w, 5);
	rd_init(&r, buf, sizeof(buf));
	assert_true(wire_next(&r, &m));
	assert_int_equal(m.seq, 5);
	assert_false(wire_next(&r, &m));
	assert_true(rd_ok(&r));
}

static void an_unknown_message_is_stepped_over(void **state)
{
	uint8_t buf[64];
	struct wr w;
	struct rd r;
	struct msg m;

	(void)state;
	wr_fixed(&w, buf, sizeof(buf));
	wr_u8(&w, 200);
	wr_u16(&w, 4);
	wr_u32(&w, 0xffffffff);
	wire_put_nack(&w, 6);
	rd_init(&r, w.p, w.len);
	assert_true(wire_next(&r, &m));
	assert_int_equal(m.type, MSG_NACK);
	assert_int_equal(m.seq, 6);
}

/* Fields that a newer peer adds behind those that we know are stepped over, where nothing is signed or listed. */
static void fields_that_a_newer_peer_adds_are_stepped_over(void **state)
{
	uint8_t buf[2048], longer[4096];
	struct wr w, out;
	struct rd r, in;
	struct msg m;

	(void)state;
	wr_fixed(&w, buf, sizeof(buf));
	all(&w);
	for (rd_init(&r, w.p, w.len); rd_left(&r);) {
		uint8_t type = rd_u8(&r);
		size_t len = rd_u16(&r);
		bool grows = type <= MSG_PING_REQ || type == MSG_HAVE;

		wr_fixed(&out, longer, sizeof(longer));
		wr_u8(&out, type);
		wr_u16(&out, (uint16_t)(len + 5));
		wr_bytes(&out, rd_bytes(&r, len), len);
		wr_bytes(&out, "later", 5);
		wire_put_nack(&out, 77);
		rd_init(&in, out.p, out.len);
		if (type == MSG_RECORD)
			continue; /* what is behind it is a part of it */
		assert_int_equal(wire_next(&in, &m), grows);
		if (!grows)
			continue;
		assert_int_equal(m.type, type);
		assert_true(wire_next(&in, &m));
		assert_int_equal(m.type, MSG_NACK);
		assert_int_equal(m.seq, 77);
	}
}

/* An answer to a ping is no longer than the ping. */
static void an_ack_is_no_longer_than_the_smallest_packet(void **state)
{
	struct digest_brief d = {{0}};
	uint8_t buf[256];
	struct wr w;

	(void)state;
	wr_fixed(&w, buf, sizeof(buf));
	wire_put_ack(&w, 1, &d, &d, 1, 1);
	assert_in_range(PACKET_HEADER_BYTES + w.len + PACKET_TAG_BYTES, 1, PACKET_BYTES_MIN);
}

/* Any truncation, and a length that lies, ends in a refusal or in fewer messages; never in a read past the end
 * (the sanitizer watches). */
static void no_truncation_is_read_past(void **state)
{
	uint8_t buf[2048];
	struct wr w;
	struct msg m;

	(void)state;
	wr_fixed(&w, buf, sizeof(buf));
	all(&w);
	for (size_t len = 0; len < w.len; len++) {
		uint8_t *exact = xmemdup(w.p, len ? len : 1);
		unsigned n = 0;
		struct rd r;

		rd_init(&r, exact, len);
		while (wire_next(&r, &m))
			n++;
		assert_true(n < 14);
		free(exact);
	}
}

static void random_bytes_are_refused_without_harm(void **state)
{
	struct drbg rng;

	(void)state;
	drbg_init_u64(&rng, 3, 3);
	for (int i = 0; i < 20000; i++) {
		uint8_t buf[256];
		struct msg m;
		struct rd r;

		drbg_bytes(&rng, buf, sizeof(buf));
		buf[0] = (uint8_t)(1 + i % 12);
		buf[1] = 0;
		rd_init(&r, buf, sizeof(buf));
		for (int k = 0; wire_next(&r, &m); k++)
			assert_true(k < 256);
	}
}

static void a_want_cannot_ask_for_more_than_its_bound(void **state)
{
	uint8_t buf[2048];
	struct key32 ids[WANT_IDS_MAX + 1];
	struct wr w;
	struct rd r;
	struct msg m;

	(void)state;
	memset(ids, 1, sizeof(ids));
	wr_fixed(&w, buf, sizeof(buf));
	wire_put_want(&w, ids, WANT_IDS_MAX + 1);
	rd_init(&r, w.p, w.len);
	assert_false(wire_next(&r, &m));
	assert_false(rd_ok(&r));
}

static void a_statement_holds_for_its_signer_and_flock_and_words_only(void **state)
{
	uint8_t secret[64], secret2[64];
	struct key32 pub = keys(secret, 1), pub2 = keys(secret2, 2), other_flock = {{6}};
	struct statement st = alive();

	(void)state;
	statement_sign(&st, &flock, secret);
	assert_true(statement_verify(&st, &flock, &pub));
	assert_false(statement_verify(&st, &flock, &pub2));
	assert_false(statement_verify(&st, &other_flock, &pub));
	st.incarnation++;
	assert_false(statement_verify(&st, &flock, &pub));
	st.incarnation--;
	st.addr.port++;
	assert_false(statement_verify(&st, &flock, &pub));
	/* A suspicion's signature is none for a death. */
	st = (struct statement){.type = MSG_SUSPECT, .subject = 1, .incarnation = 2, .accuser = 3};
	statement_sign(&st, &flock, secret);
	st.type = MSG_DEAD;
	assert_false(statement_verify(&st, &flock, &pub));
}

static void the_longest_statement_fits_its_bound(void **state)
{
	uint8_t buf[STATEMENT_BYTES_MAX];
	struct statement st = alive();
	struct wr w;

	(void)state;
	wr_fixed(&w, buf, sizeof(buf));
	wire_put_statement(&w, &st);
	assert_true(wr_ok(&w));
	assert_int_equal(w.len, STATEMENT_BYTES_MAX);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(every_message_survives_a_round_trip),
	        cmocka_unit_test(messages_look_as_they_always_did),
	        cmocka_unit_test(padding_ends_a_packet),
	        cmocka_unit_test(an_unknown_message_is_stepped_over),
	        cmocka_unit_test(fields_that_a_newer_peer_adds_are_stepped_over),
	        cmocka_unit_test(an_ack_is_no_longer_than_the_smallest_packet),
	        cmocka_unit_test(no_truncation_is_read_past),
	        cmocka_unit_test(random_bytes_are_refused_without_harm),
	        cmocka_unit_test(a_want_cannot_ask_for_more_than_its_bound),
	        cmocka_unit_test(a_statement_holds_for_its_signer_and_flock_and_words_only),
	        cmocka_unit_test(the_longest_statement_fits_its_bound),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
