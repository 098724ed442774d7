/*
 * In a simulated flock everyone checks the same signatures. Each is really checked once; then its result is
 * remembered. (The linker puts this in front of libsodium's function, see tests/tests.mk; the core is not changed.)
 */
#include "base/hash.h"
#include "base/map.h"

#include <sodium.h>

int __wrap_crypto_sign_verify_detached(
        const unsigned char *sig, const unsigned char *m, unsigned long long mlen, const unsigned char *pk);
int __real_crypto_sign_verify_detached(
        const unsigned char *sig, const unsigned char *m, unsigned long long mlen, const unsigned char *pk);

/* Results kept: about 100 MiB. Past that it begins anew. */
#define KNOWN_MAX (1024 * 1024)

int __wrap_crypto_sign_verify_detached(
        const unsigned char *sig, const unsigned char *m, unsigned long long mlen, const unsigned char *pk)
{
	static struct map known;
	static char good, bad;
	struct hash_piece pieces[] = {{sig, 64}, {m, mlen}, {pk, 32}};
	struct key32 h;
	void *result;

	hash_pieces(&h, "checked", pieces, ARRAY_LEN(pieces));
	if (known.len >= KNOWN_MAX)
		map_free(&known);
	if (!known.key_len)
		map_init(&known, sizeof(h), NULL);
	result = map_get(&known, &h);
	if (!result) {
		result = __real_crypto_sign_verify_detached(sig, m, mlen, pk) == 0 ? &good : &bad;
		map_put(&known, &h, result);
	}
	return result == &good ? 0 : -1;
}
