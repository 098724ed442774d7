/* Hashes, all from libsodium: BLAKE2b for names and content, SipHash-2-4 for tables and placement. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/types.h"

/* BLAKE2b-256 of one piece. */
void hash32(struct key32 *out, const void *bytes, size_t len);

/* BLAKE2b-256 of several pieces; each is preceded by its length (u64), so that no two lists of pieces collide.
 * domain is a literal that says what is hashed, e.g. "starling slot 1". */
struct hash_piece {
	const void *p;
	size_t len;
};
void hash_pieces(struct key32 *out, const char *domain, const struct hash_piece *pieces, size_t n);
/* The first 8 bytes of a hash, big-endian. */
id64 key32_id(const struct key32 *k);
/* SipHash-2-4. */
uint64_t siphash(const uint8_t key[16], const void *bytes, size_t len);

#endif
