#include "tests/unit/unit.h"

#include "node/control/proto.h"

#include <sodium.h>

static struct hello greeting(void)
{
	struct hello h = {
	        .boot = 7, .stamp = 99, .flock_name = "shop", .peer_name = "till-1", .version = "0.1.0"};

	memset(h.flock.b, 1, 32);
	memset(h.peer.b, 2, 32);
	memset(h.nonce, 3, 16);
	return h;
}

/* Feeds one byte at a time: a message is there exactly when its last byte is. */
static const uint8_t *drip(struct proto_in *in, const struct wr *w, size_t *len)
{
	struct err err = {0};
	const uint8_t *msg = NULL;

	for (size_t i = 0; i < w->len; i++) {
		assert_null(msg);
		assert_int_equal(proto_in_feed(in, w->p + i, 1, &err), 0);
		msg = proto_in_take(in, len, &err);
		assert_int_equal(err.code, 0);
	}
	assert_non_null(msg);
	return msg;
}

static void a_greeting_arrives_as_it_was_sent(void **state)
{
	struct hello h = greeting();
	struct hello got;
	struct proto_in in;
	struct err err;
	struct wr w;
	const uint8_t *msg;
	size_t len;

	(void)state;
	wr_init(&w, 4096);
	proto_hello(&w, &h);
	proto_in_init(&in);
	msg = drip(&in, &w, &len);
	assert_int_equal(proto_read_hello(&got, msg, len, &err), 0);
	assert_memory_equal(&got, &h, sizeof(h));
	proto_in_free(&in);
	wr_free(&w);
}

struct asked {
	struct wr w;
	struct proto_in in;
	struct request r;
	uint8_t secret[64];
};

static void ask(struct asked *a, const struct hello *to)
{
	uint8_t pk[32];
	uint8_t seed[32] = {5};
	struct err err;
	const uint8_t *msg;
	struct wr args;
	size_t len;

	crypto_sign_seed_keypair(pk, a->secret, seed);
	wr_init(&args, 100);
	pk_map(&args, 1);
	pk_kv_str(&args, "stack", "web");
	wr_init(&a->w, 4096);
	proto_request(&a->w, "ps", 4, &args, to, a->secret);
	proto_in_init(&a->in);
	msg = drip(&a->in, &a->w, &len);
	assert_int_equal(proto_read_request(&a->r, msg, len, &err), 0);
	wr_free(&args);
}

static void asked_free(struct asked *a)
{
	proto_in_free(&a->in);
	wr_free(&a->w);
}

static void a_signature_holds_for_one_request_to_one_boot_of_one_peer(void **state)
{
	struct hello h = greeting();
	struct asked a;

	(void)state;
	ask(&a, &h);
	assert_string_equal(a.r.verb, "ps");
	assert_true(proto_request_signed(&a.r, &h));
	h.boot++;
	assert_false(proto_request_signed(&a.r, &h));
	h.boot--;
	h.peer.b[0] ^= 1;
	assert_false(proto_request_signed(&a.r, &h));
	h.peer.b[0] ^= 1;
	h.nonce[15] ^= 1;
	assert_false(proto_request_signed(&a.r, &h));
	h.nonce[15] ^= 1;
	a.r.seq++;
	assert_false(proto_request_signed(&a.r, &h));
	a.r.seq--;
	memcpy(a.r.verb, "rm", 3);
	assert_false(proto_request_signed(&a.r, &h));
	memcpy(a.r.verb, "ps", 3);
	a.r.args_len--;
	assert_false(proto_request_signed(&a.r, &h));
	a.r.args_len++;
	assert_true(proto_request_signed(&a.r, &h));
	asked_free(&a);
}

static void a_message_that_announces_too_much_is_refused_before_it_is_awaited(void **state)
{
	static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff};
	struct err err = {0};
	struct proto_in in;
	size_t len;

	(void)state;
	proto_in_init(&in);
	assert_int_equal(proto_in_feed(&in, huge, sizeof(huge), &err), 0);
	assert_null(proto_in_take(&in, &len, &err));
	assert_int_equal(err.code, ERR_USAGE);
	proto_in_free(&in);
}

static void an_error_keeps_its_code_and_text(void **state)
{
	struct err sent = {.code = ERR_UNAUTHORISED, .text = "no"};
	struct proto_in in;
	struct reply reply;
	struct err err;
	struct wr w;
	const uint8_t *msg;
	size_t len;

	(void)state;
	wr_init(&w, 4096);
	proto_error(&w, &sent);
	proto_in_init(&in);
	msg = drip(&in, &w, &len);
	assert_int_equal(proto_read_reply(&reply, msg, len, &err), 0);
	assert_int_equal(reply.kind, REPLY_ERROR);
	assert_int_equal(reply.error.code, ERR_UNAUTHORISED);
	assert_string_equal(reply.error.text, "no");
	proto_in_free(&in);
	wr_free(&w);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_greeting_arrives_as_it_was_sent),
	        cmocka_unit_test(a_signature_holds_for_one_request_to_one_boot_of_one_peer),
	        cmocka_unit_test(a_message_that_announces_too_much_is_refused_before_it_is_awaited),
	        cmocka_unit_test(an_error_keeps_its_code_and_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
