/*
 * What arrives on the peer port. The first byte chooses what the bytes meet: an acceptor, a connector, a session
 * that is open; the second how they are cut into reads. With the top bit set they are sent through the other
 * side's session, and arrive as a frame unless the byte after says where to damage it.
 */
#include "gossip/session.h"

#include <sodium.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct key32 flock = {{1}};

static void carry(struct session *from, struct session *to)
{
	size_t len;
	const uint8_t *out = session_output(from, &len);

	if (!out)
		return;
	session_feed(to, out, len, NULL);
	session_sent(from, len);
}

static void drain(struct session *s)
{
	enum session_event ev;
	struct err err;

	do {
		size_t len, sum = 0;
		const uint8_t *frame;

		ev = session_next(s, &err);
		frame = session_frame(s, &len);
		for (size_t i = 0; ev == SESSION_FRAME && i < len; i++)
			sum += frame[i];
		(void)sum;
	} while (ev == SESSION_FRAME || ev == SESSION_READY);
}

static void feed(struct session *s, const uint8_t *data, size_t size, size_t step)
{
	for (size_t at = 0; at < size; at += step) {
		if (session_feed(s, data + at, MIN(step, size - at), NULL) < 0)
			return;
		drain(s);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t seed_a[32] = {1}, seed_b[32] = {2};
	uint8_t pk[32], secret_a[64], secret_b[64];
	struct session *a, *b, *target;
	struct drbg rng;
	size_t step;

	if (size < 3)
		return 0;
	crypto_sign_seed_keypair(pk, secret_a, seed_a);
	crypto_sign_seed_keypair(pk, secret_b, seed_b);
	drbg_init_u64(&rng, 1, 1);
	a = session_connect(&flock, SESSION_PEER, secret_a, NULL, &rng);
	b = session_accept(&flock, secret_b, &rng);
	step = 1 + (size_t)data[1] * 16;
	if ((data[0] & 3) >= 1) { /* up to three messages of a real handshake first */
		carry(a, b);
		drain(b);
	}
	if ((data[0] & 3) >= 2) {
		carry(b, a);
		drain(a);
	}
	if ((data[0] & 3) >= 3) {
		carry(a, b);
		drain(b);
	}
	target = data[0] & 4 ? a : b;
	if (data[0] & 0x80 && (data[0] & 3) == 3) {
		struct session *from = target == a ? b : a;
		uint8_t copy[4096];
		size_t len;
		const uint8_t *out;

		session_send(from, data + 3, MIN(size - 3, (size_t)2048), NULL);
		out = session_output(from, &len);
		len = MIN(len, sizeof(copy));
		memcpy(copy, out, len);
		if (data[2] && len)
			copy[data[2] % len] ^= data[2];
		feed(target, copy, len, step);
	} else {
		feed(target, data + 2, size - 2, step);
	}
	session_free(a);
	session_free(b);
	return 0;
}
