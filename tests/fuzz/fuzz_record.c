/*
 * Records from the network or the disk. First the bytes as they are; then, so that a signature that no fuzzer can
 * forge does not shield what lies behind it, the same bytes as body of a record that is signed here, put into a
 * store and judged by trust.
 */
#include "gossip/trust/bodies.h"

#include <sodium.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t kinds[] = {REC_GENESIS, REC_GRANT, REC_INVITE, REC_ADMISSION, REC_REVOCATION, REC_EVICTION,
        REC_SUCCESSION, REC_REVISION, REC_SETTING, REC_FACTS, REC_STATUS, REC_RUNS, REC_VERDICT, 200};

static struct key32 flock;

static void as_it_is(const uint8_t *data, size_t size, struct store *st)
{
	struct record r;
	struct wr w;

	store_put(st, data, size, true, NULL, NULL);
	if (record_decode(&r, data, size, NULL) < 0)
		return;
	record_verify(&r, &flock);
	/* What was read is what is written. */
	wr_init(&w, RECORD_BYTES_MAX);
	record_encode(&w, &r);
	if (w.len != size || memcmp(w.p, data, size) != 0)
		abort();
	wr_free(&w);
}

static void as_body(uint8_t kind, const uint8_t *data, size_t size, struct store *st, const uint8_t secret[64])
{
	struct record r = {
	        .kind = kind, .stamp = 1, .body = data, .body_len = (uint32_t)MIN(size, BODY_BYTES_MAX)};
	struct wr w;

	if (kind != REC_FACTS && kind != REC_STATUS && kind != REC_RUNS)
		memcpy(r.name, "web", 4);
	record_sign(&r, &flock, secret);
	wr_init(&w, RECORD_BYTES_MAX);
	record_encode(&w, &r);
	store_put(st, w.p, w.len, true, NULL, NULL);
	wr_free(&w);
}

static void decode_bodies(const uint8_t *data, size_t size)
{
	struct record r = {.body = data, .body_len = (uint32_t)size};
	union {
		struct genesis genesis;
		struct grant grant;
		struct invite invite;
		struct admission admission;
		struct revocation revocation;
		struct eviction eviction;
		struct key32 successor;
	} out;
	struct key32 key;

	body_get_genesis(&out.genesis, &r, NULL);
	body_get_grant(&out.grant, &r, NULL);
	body_get_invite(&out.invite, &r, NULL);
	body_get_admission(&out.admission, &r, NULL);
	if (body_get_revocation(&out.revocation, &r, NULL) == 0)
		while (body_next_key(&out.revocation.heads, &key))
			;
	body_get_eviction(&out.eviction, &r, NULL);
	body_get_succession(&out.successor, &r, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t seed[32] = {1}, hash_secret[16];
	uint8_t public_key[32], secret[64], buf[512];
	struct store *st;
	struct trust *t;
	struct wr genesis;

	/* The fuzzer holds the root key: whatever it says in a grant or an eviction is acted upon. */
	crypto_sign_seed_keypair(public_key, secret, seed);
	wr_fixed(&genesis, buf, sizeof(buf));
	trust_make_genesis(&genesis, "fuzzed", 1, secret, &flock);
	st = store_new(&flock, hash_secret);
	t = trust_new(&flock);
	store_put(st, genesis.p, genesis.len, true, NULL, NULL);
	as_it_is(data, size, st);
	decode_bodies(data, size);
	if (size)
		as_body(kinds[data[0] % sizeof(kinds)], data + 1, size - 1, st, secret);
	trust_evaluate(t, st);
	trust_free(t);
	store_free(st);
	return 0;
}
