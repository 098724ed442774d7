#include "tests/unit/gossip/flock.h"
#include "tests/unit/gossip/golden.h"

#include "gossip/session.h"

static const struct key32 flock_id = {{0xf1, 0x0c}};

struct pair {
	struct session *a, *b; /* initiator, responder */
};

static struct pair open_pair(enum session_role role, const struct key32 *expect, const struct key32 *flock_b)
{
	struct actor alice = actor(PEER_A), bob = actor(PEER_A + 1);
	struct drbg ra, rb;
	struct pair p;

	drbg_init_u64(&ra, 1, 1);
	drbg_init_u64(&rb, 1, 2);
	p.a = session_connect(&flock_id, role, alice.secret, expect, &ra);
	p.b = session_accept(flock_b, bob.secret, &rb);
	return p;
}

static void close_pair(struct pair *p)
{
	session_free(p->a);
	session_free(p->b);
}

/* Carries all output of one side to the other, in pieces of at most step bytes. */
static void carry(struct session *from, struct session *to, size_t step)
{
	const uint8_t *out;
	size_t len;

	while ((out = session_output(from, &len))) {
		len = MIN(len, step);
		assert_int_equal(session_feed(to, out, len, NULL), 0);
		session_sent(from, len);
		if (step < 1000)
			return; /* the caller looks at every step */
	}
}

static void shake_hands(struct pair *p)
{
	carry(p->a, p->b, 4096);
	assert_int_equal(session_next(p->b, NULL), SESSION_WAIT);
	carry(p->b, p->a, 4096);
	assert_int_equal(session_next(p->a, NULL), SESSION_READY);
	carry(p->a, p->b, 4096);
	assert_int_equal(session_next(p->b, NULL), SESSION_READY);
}

static void two_peers_prove_their_keys_to_each_other(void **state)
{
	struct actor alice = actor(PEER_A), bob = actor(PEER_A + 1);
	struct pair p = open_pair(SESSION_OPERATOR, &bob.key, &flock_id);

	(void)state;
	shake_hands(&p);
	assert_true(key32_eq(session_peer(p.a), &bob.key));
	assert_true(key32_eq(session_peer(p.b), &alice.key));
	assert_int_equal(session_role(p.b), SESSION_OPERATOR);
	assert_int_equal(session_next(p.a, NULL), SESSION_WAIT);
	close_pair(&p);
}

static void the_bytes_of_a_handshake_are_those_of_the_golden_file(void **state)
{
	struct pair p = open_pair(SESSION_PEER, NULL, &flock_id);
	struct wr all;
	size_t len;

	(void)state;
	wr_init(&all, 4096);
	for (int turn = 0; turn < 3; turn++) {
		struct session *from = turn % 2 ? p.b : p.a, *to = turn % 2 ? p.a : p.b;
		const uint8_t *out = session_output(from, &len);

		wr_bytes(&all, out, len);
		carry(from, to, 4096);
		session_next(to, NULL);
	}
	assert_int_equal(session_send(p.a, "hello", 5, NULL), 0);
	wr_bytes(&all, session_output(p.a, &len), 26);
	assert_int_equal(len, 26);
	golden_hex("handshake.hex", all.p, all.len);
	wr_free(&all);
	close_pair(&p);
}

static void an_eavesdropper_sees_neither_identity(void **state)
{
	struct actor alice = actor(PEER_A), bob = actor(PEER_A + 1);
	struct pair p = open_pair(SESSION_PEER, NULL, &flock_id);

	(void)state;
	for (int turn = 0; turn < 3; turn++) {
		struct session *from = turn % 2 ? p.b : p.a, *to = turn % 2 ? p.a : p.b;
		size_t len;
		const uint8_t *out = session_output(from, &len);

		assert_null(memmem(out, len, alice.key.b, 32));
		assert_null(memmem(out, len, bob.key.b, 32));
		carry(from, to, 4096);
		session_next(to, NULL);
	}
	close_pair(&p);
}

static void frames_arrive_whole_in_order_whatever_the_pieces(void **state)
{
	struct pair p = open_pair(SESSION_PEER, NULL, &flock_id);
	struct drbg d;
	uint8_t *big = malloc(FRAME_BYTES_MAX);
	size_t got = 0, sizes[] = {0, 1, 17, 1000, FRAME_BYTES_MAX, 3};

	(void)state;
	drbg_init_u64(&d, 7, 0);
	drbg_bytes(&d, big, FRAME_BYTES_MAX);
	shake_hands(&p);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		assert_int_equal(session_send(p.a, big, sizes[i], NULL), 0);
	while (got < ARRAY_LEN(sizes)) {
		enum session_event ev;

		carry(p.a, p.b, 1 + drbg_below(&d, 900));
		while ((ev = session_next(p.b, NULL)) == SESSION_FRAME) {
			size_t len;
			const uint8_t *frame = session_frame(p.b, &len);

			assert_int_equal(len, sizes[got]);
			if (len)
				assert_memory_equal(frame, big, len);
			got++;
		}
		assert_int_equal(ev, SESSION_WAIT);
	}
	free(big);
	close_pair(&p);
}

static void frames_may_follow_the_proof_at_once(void **state)
{
	struct pair p = open_pair(SESSION_PEER, NULL, &flock_id);
	size_t len;

	(void)state;
	carry(p.a, p.b, 4096);
	session_next(p.b, NULL);
	carry(p.b, p.a, 4096);
	session_next(p.a, NULL);
	assert_int_equal(session_send(p.a, "early", 5, NULL), 0);
	carry(p.a, p.b, 4096);
	assert_int_equal(session_next(p.b, NULL), SESSION_READY);
	assert_int_equal(session_next(p.b, NULL), SESSION_FRAME);
	session_frame(p.b, &len);
	assert_int_equal(len, 5);
	close_pair(&p);
}

static void a_changed_byte_anywhere_breaks_the_handshake(void **state)
{
	static const size_t lengths[] = {53, 144, 113};

	(void)state;
	for (int message = 0; message < 3; message++) {
		for (size_t at = 0; at < lengths[message]; at++) {
			struct pair p = open_pair(SESSION_PEER, NULL, &flock_id);
			enum session_event ev = SESSION_WAIT;
			struct err err = {0};

			for (int turn = 0; turn <= message; turn++) {
				struct session *from = turn % 2 ? p.b : p.a, *to = turn % 2 ? p.a : p.b;
				uint8_t copy[256];
				size_t len;
				const uint8_t *out = session_output(from, &len);

				memcpy(copy, out, len);
				assert_int_equal(len, lengths[turn]);
				if (turn == message)
					copy[at] ^= 1;
				session_feed(to, copy, len, NULL);
				session_sent(from, len);
				ev = session_next(to, &err);
			}
			/* The top bit of an X25519 key is ignored by the curve, but not by the transcript. */
			assert_int_equal(ev, SESSION_ERROR);
			assert_string_not_equal(err.text, "");
			close_pair(&p);
		}
	}
}

static void a_stranger_to_the_flock_gets_no_answer(void **state)
{
	struct key32 other = {{0xbb}};
	struct pair p = open_pair(SESSION_INVITE, NULL, &other);
	struct err err = {0};
	size_t len;

	(void)state;
	carry(p.a, p.b, 4096);
	assert_int_equal(session_next(p.b, &err), SESSION_ERROR);
	assert_non_null(strstr(err.text, "not of this flock"));
	assert_null(session_output(p.b, &len));
	close_pair(&p);
}

static void the_wrong_peer_at_an_address_is_noticed(void **state)
{
	struct actor carol = actor(PEER_A + 2);
	struct pair p = open_pair(SESSION_PEER, &carol.key, &flock_id);
	struct err err = {0};

	(void)state;
	carry(p.a, p.b, 4096);
	session_next(p.b, NULL);
	carry(p.b, p.a, 4096);
	assert_int_equal(session_next(p.a, &err), SESSION_ERROR);
	assert_non_null(strstr(err.text, "another peer"));
	close_pair(&p);
}

static void garbage_is_refused_before_it_is_buffered(void **state)
{
	struct pair p = open_pair(SESSION_PEER, NULL, &flock_id);
	uint8_t noise[SESSION_HANDSHAKE_BYTES_MAX + 1] = "GET / HTTP/1.1\r\n";
	struct err err = {0};

	(void)state;
	assert_int_equal(session_feed(p.b, noise, sizeof(noise), &err), -1);
	assert_int_equal(session_next(p.b, &err), SESSION_ERROR);
	close_pair(&p);
}

static void a_message_replayed_to_a_second_session_proves_nothing(void **state)
{
	struct pair first = open_pair(SESSION_PEER, NULL, &flock_id), second;
	struct actor bob = actor(PEER_A + 1);
	struct drbg rng;
	uint8_t hello[64], proof[128];
	const uint8_t *out;
	size_t hello_len, proof_len, len;

	(void)state;
	out = session_output(first.a, &hello_len);
	memcpy(hello, out, hello_len);
	carry(first.a, first.b, 4096);
	session_next(first.b, NULL);
	carry(first.b, first.a, 4096);
	session_next(first.a, NULL);
	out = session_output(first.a, &proof_len);
	memcpy(proof, out, proof_len);
	drbg_init_u64(&rng, 99, 0);
	second = (struct pair){.b = session_accept(&flock_id, bob.secret, &rng)};
	session_feed(second.b, hello, hello_len, NULL);
	assert_int_equal(session_next(second.b, NULL), SESSION_WAIT);
	session_output(second.b, &len);
	session_feed(second.b, proof, proof_len, NULL);
	assert_int_equal(session_next(second.b, NULL), SESSION_ERROR);
	close_pair(&first);
	session_free(second.b);
}

static void damaged_lengths_and_frames_end_the_session_for_good(void **state)
{
	struct pair p = open_pair(SESSION_PEER, NULL, &flock_id);
	uint8_t frame[64];
	const uint8_t *out;
	struct err err = {0};
	size_t len;

	(void)state;
	shake_hands(&p);
	session_send(p.a, "hello", 5, NULL);
	out = session_output(p.a, &len);
	memcpy(frame, out, len);
	frame[len - 1] ^= 1;
	session_feed(p.b, frame, len, NULL);
	assert_int_equal(session_next(p.b, &err), SESSION_ERROR);
	assert_int_equal(session_next(p.b, &err), SESSION_ERROR);
	assert_int_equal(session_send(p.b, "x", 1, &err), -1);
	memset(frame, 0xff, 4);
	session_feed(p.a, frame, 4, NULL);
	assert_int_equal(session_next(p.a, &err), SESSION_ERROR);
	assert_non_null(strstr(err.text, "length"));
	close_pair(&p);
}

static void a_reader_that_does_not_read_fills_a_bound(void **state)
{
	struct pair p = open_pair(SESSION_PEER, NULL, &flock_id);
	uint8_t *big = calloc(1, FRAME_BYTES_MAX + 1);
	struct err err = {0};
	int sent = 0;

	(void)state;
	shake_hands(&p);
	assert_int_equal(session_send(p.a, big, FRAME_BYTES_MAX + 1, &err), -1);
	while (session_send(p.a, big, FRAME_BYTES_MAX, &err) == 0)
		sent++;
	assert_in_range(sent, 16, 64);
	/* Nothing of what was accepted is lost, and there is room again. */
	while (sent) {
		size_t len;
		const uint8_t *out = session_output(p.a, &len);

		len = MIN(len, 60000);
		assert_int_equal(session_feed(p.b, out, len, NULL), 0);
		session_sent(p.a, len);
		while (session_next(p.b, NULL) == SESSION_FRAME)
			sent--;
	}
	assert_int_equal(session_send(p.a, big, FRAME_BYTES_MAX, &err), 0);
	free(big);
	close_pair(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(two_peers_prove_their_keys_to_each_other),
	        cmocka_unit_test(the_bytes_of_a_handshake_are_those_of_the_golden_file),
	        cmocka_unit_test(an_eavesdropper_sees_neither_identity),
	        cmocka_unit_test(frames_arrive_whole_in_order_whatever_the_pieces),
	        cmocka_unit_test(frames_may_follow_the_proof_at_once),
	        cmocka_unit_test(a_changed_byte_anywhere_breaks_the_handshake),
	        cmocka_unit_test(a_stranger_to_the_flock_gets_no_answer),
	        cmocka_unit_test(the_wrong_peer_at_an_address_is_noticed),
	        cmocka_unit_test(garbage_is_refused_before_it_is_buffered),
	        cmocka_unit_test(a_message_replayed_to_a_second_session_proves_nothing),
	        cmocka_unit_test(damaged_lengths_and_frames_end_the_session_for_good),
	        cmocka_unit_test(a_reader_that_does_not_read_fills_a_bound),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
