/*
 * Frames of a reconciliation, from an admitted but hostile peer. The first byte says which side is under test;
 * then frames, each behind a length of two bytes.
 */
#include "gossip/sync.h"

#include <sodium.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct key32 flock = {{1}};

static struct store *sample(void)
{
	static const uint8_t hash_secret[16], seed[32] = {1};
	struct store *st = store_new(&flock, hash_secret);
	uint8_t pk[32], secret[64];

	crypto_sign_seed_keypair(pk, secret, seed);
	for (unsigned i = 0; i < 400; i++) {
		struct record r = {.kind = i % 2 ? REC_SETTING : REC_VERDICT, .stamp = i, .name = "x"};
		struct wr w;
		uint8_t body[200] = {0};

		r.body = body;
		r.body_len = 1 + i % 200;
		record_sign(&r, &flock, secret);
		wr_init(&w, RECORD_BYTES_MAX);
		record_encode(&w, &r);
		store_put(st, w.p, w.len, true, NULL, NULL);
		wr_free(&w);
	}
	return st;
}

static void into(void *ctx, const uint8_t *bytes, size_t len)
{
	size_t *sum = ctx;

	for (size_t i = 0; i < len; i++)
		*sum += bytes[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct store *st;              /* signing is slow; nothing here changes it */
	static const struct sync_start start; /* a salt of zeros, so that the corpus holds true answers */
	struct sync *s;
	struct rd r;
	struct wr w;
	size_t sum = 0;

	if (!st)
		st = sample();
	rd_init(&r, data, size);
	s = rd_u8(&r) & 1 ? sync_begin(st, &start, into, &sum) : sync_respond(st, into, &sum);
	wr_init(&w, SYNC_FRAME_MAX);
	while (rd_left(&r)) {
		size_t len;
		const uint8_t *frame;

		wr_reset(&w);
		while (sync_next_frame(s, &w)) {
			if (!wr_ok(&w) || w.len > SYNC_FRAME_MAX)
				abort();
			wr_reset(&w);
		}
		len = MIN(rd_u16(&r), rd_left(&r));
		frame = rd_bytes(&r, len);
		if (sync_held(s) > SYNC_HELD_MAX)
			abort();
		if (!frame || sync_on_frame(s, frame, len, NULL) < 0)
			break;
	}
	wr_free(&w);
	sync_free(s);
	return 0;
}
