#include "tests/unit/unit.h"

#include "base/drbg.h"
#include "gossip/seal.h"
#include "gossip/wire.h"
#include "tests/unit/gossip/golden.h"

#include <sodium.h>

/* Two peers, as each other's packets see them. */
struct side {
	struct key32 key;
	uint8_t secret[64];
	struct seal seal;
	struct seal_peer other;
	struct addr addr;
};

static const struct key32 flock = {{7}};
static uint64_t starts;

static void begin(struct side *s)
{
	uint8_t start[16], token[32];
	struct drbg rng;

	drbg_init_u64(&rng, 99, ++starts);
	drbg_bytes(&rng, start, sizeof(start));
	drbg_bytes(&rng, token, sizeof(token));
	seal_init(&s->seal, &s->key, s->secret, &flock, start, token, false);
}

static void make(struct side *s, uint8_t n)
{
	uint8_t seed[32] = {n};

	memset(s, 0, sizeof(*s));
	crypto_sign_seed_keypair(s->key.b, s->secret, seed);
	s->addr = (struct addr){.family = 4, .port = 7827, .ip = {10, 0, 0, n}};
	begin(s);
}

static void pair(struct side *a, struct side *b)
{
	starts = 0;
	make(a, 1);
	make(b, 2);
	seal_peer_init(&a->other, &b->key);
	seal_peer_init(&b->other, &a->key);
}

static void part(struct side *a, struct side *b)
{
	seal_peer_free(&a->other);
	seal_peer_free(&b->other);
}

struct wire_packet {
	uint8_t bytes[PACKET_BYTES_MAX];
	size_t len;
};

static struct wire_packet say(struct side *s, const char *text)
{
	struct wire_packet p;

	p.len = seal_packet(&s->seal, &s->other, PACKET_GOSSIP, (const uint8_t *)text, strlen(text), p.bytes);
	return p;
}

static enum open_verdict hear_from(
        struct side *s, const struct addr *from, const struct wire_packet *p, struct opened *out, mono_ms now)
{
	struct packet_header h;

	if (!packet_header_get(&h, p->bytes, p->len))
		return OPEN_BAD;
	return seal_open(&s->seal, &s->other, from, &h, p->bytes, p->len, now, out);
}

static struct wire_packet answer_of(const struct opened *o)
{
	struct wire_packet p;

	memcpy(p.bytes, o->answer, o->answer_len);
	p.len = o->answer_len;
	return p;
}

/* Brings two sides that never met to the point where both believe the other's start. */
static void meet(struct side *a, struct side *b)
{
	struct wire_packet p = say(a, "hello");
	struct opened o;

	assert_int_equal(hear_from(b, &a->addr, &p, &o, 0), OPEN_CHALLENGE);
	p = answer_of(&o);
	assert_int_equal(hear_from(a, &b->addr, &p, &o, 0), OPEN_ANSWER);
	p = answer_of(&o);
	assert_int_equal(hear_from(b, &a->addr, &p, &o, 0), OPEN_PROVED);
	assert_memory_equal(o.payload, "hello", 5);
	assert_int_equal(o.answer_len, PACKET_BYTES_MIN);
	p = answer_of(&o);
	assert_int_equal(hear_from(a, &b->addr, &p, &o, 0), OPEN_PROVED);
	assert_int_equal(o.answer_len, 0);
}

static void two_peers_meet_in_two_round_trips(void **state)
{
	struct side a, b;
	struct wire_packet p;
	struct opened o;

	(void)state;
	pair(&a, &b);
	meet(&a, &b);
	p = say(&b, "at once");
	assert_int_equal(hear_from(&a, &b.addr, &p, &o, 0), OPEN_MESSAGES);
	assert_memory_equal(o.payload, "at once", 7);
	part(&a, &b);
}

static void a_challenge_is_never_longer_than_what_caused_it(void **state)
{
	struct side a, b;
	struct wire_packet p;
	struct opened o;

	(void)state;
	pair(&a, &b);
	p = say(&a, "");
	assert_int_equal(p.len, PACKET_BYTES_MIN);
	assert_int_equal(hear_from(&b, &a.addr, &p, &o, 0), OPEN_CHALLENGE);
	assert_true(o.answer_len <= p.len);
	part(&a, &b);
}

static void a_replayed_packet_is_dropped(void **state)
{
	struct side a, b;
	struct wire_packet p[80];
	struct opened o;

	(void)state;
	pair(&a, &b);
	meet(&a, &b);
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		p[i] = say(&a, "x");
	/* Out of order within the window is fine; twice, or from before it, is not. */
	assert_int_equal(hear_from(&b, &a.addr, &p[70], &o, 0), OPEN_MESSAGES);
	assert_true(o.newest);
	assert_int_equal(hear_from(&b, &a.addr, &p[20], &o, 0), OPEN_MESSAGES);
	assert_false(o.newest);
	assert_int_equal(hear_from(&b, &a.addr, &p[20], &o, 0), OPEN_REPLAY);
	assert_int_equal(hear_from(&b, &a.addr, &p[70], &o, 0), OPEN_REPLAY);
	assert_int_equal(hear_from(&b, &a.addr, &p[6], &o, 0), OPEN_REPLAY);
	assert_int_equal(hear_from(&b, &a.addr, &p[7], &o, 0), OPEN_MESSAGES);
	part(&a, &b);
}

static void a_replay_from_elsewhere_does_not_move_the_peer(void **state)
{
	struct side a, b;
	struct addr spoofed = {.family = 4, .port = 1, .ip = {6, 6, 6, 6}};
	struct wire_packet p, fresh;
	struct opened o;

	(void)state;
	pair(&a, &b);
	meet(&a, &b);
	p = say(&a, "x");
	/* Caught before it arrived, and sent from another address: only a challenge goes there. */
	assert_int_equal(hear_from(&b, &spoofed, &p, &o, 0), OPEN_CHALLENGE);
	fresh = say(&a, "y");
	assert_int_equal(hear_from(&b, &a.addr, &fresh, &o, 0), OPEN_MESSAGES);
	part(&a, &b);
}

static void a_peer_moves_once_it_has_echoed_from_there(void **state)
{
	struct side a, b;
	struct addr moved = {.family = 4, .port = 7827, .ip = {10, 0, 0, 77}};
	struct wire_packet p;
	struct opened o;

	(void)state;
	pair(&a, &b);
	meet(&a, &b);
	p = say(&a, "from the new address");
	assert_int_equal(hear_from(&b, &moved, &p, &o, 0), OPEN_CHALLENGE);
	p = answer_of(&o);
	assert_int_equal(hear_from(&a, &b.addr, &p, &o, 0), OPEN_ANSWER);
	p = answer_of(&o);
	assert_int_equal(hear_from(&b, &moved, &p, &o, 0), OPEN_PROVED);
	assert_true(o.newest);
	assert_false(o.restarted);
	assert_memory_equal(o.payload, "from the new address", 20);
	part(&a, &b);
}

static void a_start_that_was_replaced_never_counts_again(void **state)
{
	struct side a, b, old;
	struct wire_packet early, p;
	struct opened o;

	(void)state;
	pair(&a, &b);
	meet(&a, &b);
	early = say(&a, "never delivered");
	old = a;
	begin(&a);
	p = say(&a, "restarted");
	assert_int_equal(hear_from(&b, &a.addr, &p, &o, 0), OPEN_CHALLENGE);
	p = answer_of(&o);
	assert_int_equal(hear_from(&a, &b.addr, &p, &o, 0), OPEN_ANSWER);
	p = answer_of(&o);
	assert_int_equal(hear_from(&b, &a.addr, &p, &o, 0), OPEN_PROVED);
	assert_true(o.restarted);
	assert_int_equal(hear_from(&b, &a.addr, &early, &o, 0), OPEN_REPLAY);
	p = say(&old, "the old process, somehow");
	assert_int_equal(hear_from(&b, &a.addr, &p, &o, 0), OPEN_REPLAY);
	part(&a, &b);
}

static void an_echo_is_good_for_its_time_and_address_only(void **state)
{
	struct side a, b;
	struct addr elsewhere = {.family = 4, .port = 7827, .ip = {10, 0, 0, 99}};
	struct wire_packet challenge, echo, p;
	struct opened o;

	(void)state;
	pair(&a, &b);
	p = say(&a, "hello");
	hear_from(&b, &a.addr, &p, &o, 0);
	challenge = answer_of(&o);
	hear_from(&a, &b.addr, &challenge, &o, 0);
	echo = answer_of(&o);
	assert_int_equal(hear_from(&b, &elsewhere, &echo, &o, 0), OPEN_BAD);
	assert_int_equal(hear_from(&b, &a.addr, &echo, &o, 3 * SEAL_SLOT_MS), OPEN_BAD);
	assert_int_equal(hear_from(&b, &a.addr, &echo, &o, SEAL_SLOT_MS), OPEN_PROVED);
	part(&a, &b);
}

static void any_changed_byte_is_noticed(void **state)
{
	struct side a, b;
	struct wire_packet p;
	struct opened o;

	(void)state;
	pair(&a, &b);
	meet(&a, &b);
	p = say(&a, "exactly this");
	for (size_t i = 0; i < p.len; i++) {
		struct wire_packet bad = p;

		bad.bytes[i] ^= 1;
		assert_int_equal(hear_from(&b, &a.addr, &bad, &o, 0), OPEN_BAD);
	}
	assert_int_equal(hear_from(&b, &a.addr, &p, &o, 0), OPEN_MESSAGES);
	part(&a, &b);
}

static void a_third_peer_and_another_flock_cannot_read_or_write(void **state)
{
	struct side a, b, c;
	struct wire_packet p;
	struct opened o;
	struct key32 other_flock = {{8}};

	(void)state;
	pair(&a, &b);
	meet(&a, &b);
	/* c uses a's id, but has not a's key. */
	make(&c, 3);
	seal_peer_init(&c.other, &b.key);
	c.seal.id = a.seal.id;
	p = say(&c, "I am a");
	assert_int_equal(hear_from(&b, &a.addr, &p, &o, 0), OPEN_BAD);
	seal_peer_free(&c.other);
	/* The very same two keys in another flock have other keys between them. */
	seal_init(&c.seal, &a.key, a.secret, &other_flock, a.seal.start, a.seal.token_secret, false);
	seal_peer_init(&c.other, &b.key);
	p = say(&c, "hello");
	assert_int_equal(hear_from(&b, &a.addr, &p, &o, 0), OPEN_BAD);
	seal_peer_free(&c.other);
	/* What a sent cannot be sent back to a: each direction has its key. */
	p = say(&a, "mirror");
	assert_int_equal(hear_from(&a, &b.addr, &p, &o, 0), OPEN_BAD);
	part(&a, &b);
}

static void short_long_and_foreign_packets_are_none_of_ours(void **state)
{
	struct side a, b;
	struct wire_packet p;
	struct packet_header h;

	(void)state;
	pair(&a, &b);
	p = say(&a, "x");
	assert_true(packet_header_get(&h, p.bytes, p.len));
	assert_false(packet_header_get(&h, p.bytes, PACKET_BYTES_MIN - 1));
	assert_false(packet_header_get(&h, p.bytes, PACKET_BYTES_MAX + 1));
	p.bytes[0]++;
	assert_false(packet_header_get(&h, p.bytes, p.len));
	p.bytes[0]--;
	p.bytes[1] = 9;
	assert_false(packet_header_get(&h, p.bytes, p.len));
	part(&a, &b);
}

/* One packet, byte for byte: whoever changes the format sees it here, and raises PACKET_VERSION. */
static void a_packet_looks_as_it_always_did(void **state)
{
	struct side a, b;
	uint8_t payload[64], packet[PACKET_BYTES_MAX];
	struct wr w;
	size_t len;

	(void)state;
	pair(&a, &b);
	wr_fixed(&w, payload, sizeof(payload));
	wire_put_ping(&w, 42, 0);
	len = seal_packet(&a.seal, &a.other, PACKET_GOSSIP, w.p, w.len, packet);
	golden_hex("packet.hex", packet, len);
	part(&a, &b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(two_peers_meet_in_two_round_trips),
	        cmocka_unit_test(a_challenge_is_never_longer_than_what_caused_it),
	        cmocka_unit_test(a_replayed_packet_is_dropped),
	        cmocka_unit_test(a_replay_from_elsewhere_does_not_move_the_peer),
	        cmocka_unit_test(a_peer_moves_once_it_has_echoed_from_there),
	        cmocka_unit_test(a_start_that_was_replaced_never_counts_again),
	        cmocka_unit_test(an_echo_is_good_for_its_time_and_address_only),
	        cmocka_unit_test(any_changed_byte_is_noticed),
	        cmocka_unit_test(a_third_peer_and_another_flock_cannot_read_or_write),
	        cmocka_unit_test(short_long_and_foreign_packets_are_none_of_ours),
	        cmocka_unit_test(a_packet_looks_as_it_always_did),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
