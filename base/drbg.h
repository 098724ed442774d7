/*
 * Random numbers for pure cores: a ChaCha20 stream from a 32-byte seed. The agent seeds it from the kernel, so
 * it is fit for keys and nonces; the simulator seeds it from a number, so that every run replays.
 */
#ifndef BASE_DRBG_H
#define BASE_DRBG_H

#include "base/types.h"

struct drbg {
	uint8_t key[32];
	uint8_t block[256];
	size_t at; /* bytes of block used */
};

void drbg_init(struct drbg *d, const uint8_t seed[32]);
/* For tests and the simulator: a generator from a number and a stream index. */
void drbg_init_u64(struct drbg *d, uint64_t seed, uint64_t stream);
void drbg_bytes(struct drbg *d, void *out, size_t len);
uint64_t drbg_u64(struct drbg *d);
/* Uniform in [0, n); 0 for n == 0. */
uint64_t drbg_below(struct drbg *d, uint64_t n);
/* base plus or minus up to percent of it, for timers that must not march in step. */
int64_t drbg_jitter(struct drbg *d, int64_t base, unsigned percent);

#endif
