#include "base/drbg.h"

#include <sodium.h>

void drbg_init(struct drbg *d, const uint8_t seed[32])
{
	memcpy(d->key, seed, sizeof(d->key));
	d->at = sizeof(d->block);
}

void drbg_init_u64(struct drbg *d, uint64_t seed, uint64_t stream)
{
	uint8_t key[32] = {0};

	for (int i = 0; i < 8; i++) {
		key[i] = (uint8_t)(seed >> (8 * i));
		key[8 + i] = (uint8_t)(stream >> (8 * i));
	}
	drbg_init(d, key);
}

/* Fast key erasure: the first 32 bytes of each block become the next key, so past output cannot be recovered. */
static void refill(struct drbg *d)
{
	static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];

	crypto_stream_chacha20(d->block, sizeof(d->block), nonce, d->key);
	memcpy(d->key, d->block, sizeof(d->key));
	sodium_memzero(d->block, sizeof(d->key));
	d->at = sizeof(d->key);
}

void drbg_bytes(struct drbg *d, void *out, size_t len)
{
	uint8_t *p = out;

	while (len) {
		size_t n;

		if (d->at == sizeof(d->block))
			refill(d);
		n = MIN(len, sizeof(d->block) - d->at);
		memcpy(p, d->block + d->at, n);
		sodium_memzero(d->block + d->at, n);
		d->at += n;
		p += n;
		len -= n;
	}
}

uint64_t drbg_u64(struct drbg *d)
{
	uint64_t v;

	drbg_bytes(d, &v, sizeof(v));
	return v;
}

uint64_t drbg_below(struct drbg *d, uint64_t n)
{
	uint64_t limit;
	uint64_t v;

	if (n < 2)
		return 0;
	limit = UINT64_MAX - UINT64_MAX % n;
	do
		v = drbg_u64(d);
	while (v >= limit);
	return v % n;
}

int64_t drbg_jitter(struct drbg *d, int64_t base, unsigned percent)
{
	uint64_t span = (uint64_t)base * percent / 100;

	return base - (int64_t)span + (int64_t)drbg_below(d, 2 * span + 1);
}
