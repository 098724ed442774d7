#include "base/hash.h"

#include <sodium.h>

void hash32(struct key32 *out, const void *bytes, size_t len)
{
	crypto_generichash(out->b, sizeof(out->b), bytes, len, NULL, 0);
}

static void update_len(crypto_generichash_state *st, size_t len)
{
	uint8_t be[8];
	uint64_t v = len;

	for (int i = 8; i-- > 0; v >>= 8)
		be[i] = (uint8_t)v;
	crypto_generichash_update(st, be, sizeof(be));
}

void hash_pieces(struct key32 *out, const char *domain, const struct hash_piece *pieces, size_t n)
{
	crypto_generichash_state st;

	crypto_generichash_init(&st, NULL, 0, sizeof(out->b));
	update_len(&st, strlen(domain));
	crypto_generichash_update(&st, (const uint8_t *)domain, strlen(domain));
	for (size_t i = 0; i < n; i++) {
		update_len(&st, pieces[i].len);
		if (pieces[i].len)
			crypto_generichash_update(&st, pieces[i].p, pieces[i].len);
	}
	crypto_generichash_final(&st, out->b, sizeof(out->b));
}

id64 key32_id(const struct key32 *k)
{
	id64 id = 0;

	for (int i = 0; i < 8; i++)
		id = id << 8 | k->b[i];
	return id;
}

uint64_t siphash(const uint8_t key[16], const void *bytes, size_t len)
{
	uint8_t b[8];

	crypto_shorthash(b, bytes, len, key);
	/* Written out, so that compilers make one load of it: tables and placement call this most. */
	return (uint64_t)b[7] << 56 | (uint64_t)b[6] << 48 | (uint64_t)b[5] << 40 | (uint64_t)b[4] << 32 |
	       (uint64_t)b[3] << 24 | (uint64_t)b[2] << 16 | (uint64_t)b[1] << 8 | b[0];
}
