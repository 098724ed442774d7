/*
 * Which of the permitted peers a slot prefers. Integers only, so that every CPU agrees.
 *
 *	score(slot, peer) = -log2(h / 2^64) / weight        lowest first, ties by peer key
 *
 * Two scores are compared by cross-multiplication, which is exact.
 */
#ifndef PLACEMENT_RANK_H
#define PLACEMENT_RANK_H

#include "placement/filter.h"

/* Fraction bits of a logarithm: 64 << 25 and a 32-bit weight multiply within 64 bits. */
#define LOG2_BITS 25

extern const uint32_t log2_table[257];

/* -log2(h / 2^64) in 2^-LOG2_BITS: from 1 to 64 << LOG2_BITS. */
uint32_t neg_log2(uint64_t h);
uint64_t rank_peer_key(const struct key32 *flock, const struct key32 *peer);
/* SipHash-2-4 of slot and peer. */
uint64_t rank_hash(id64 slot, uint64_t peer_key);

/*
 * The same for one slot and many peers: a placement from nothing takes one of each. The slot's half is worked in once, and inline
 * the processor has several peers' under way at a time (Aumasson and Bernstein, 2012).
 */
struct rank_state {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rank_rotate(uint64_t v, unsigned by)
{
	return v << by | v >> (64 - by);
}

static inline void rank_round(struct rank_state *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rank_rotate(s->v1, 13) ^ s->v0;
	s->v3 = rank_rotate(s->v3, 16) ^ s->v2;
	s->v0 = rank_rotate(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rank_rotate(s->v1, 17) ^ s->v2;
	s->v3 = rank_rotate(s->v3, 21) ^ s->v0;
	s->v2 = rank_rotate(s->v2, 32);
}

static inline void rank_word(struct rank_state *s, uint64_t word)
{
	s->v3 ^= word;
	rank_round(s);
	rank_round(s);
	s->v0 ^= word;
}

/* Both words go in as big-endian bytes, and SipHash reads them as little-endian. */
static inline struct rank_state rank_begin(id64 slot)
{
	/* SipHash's constants: the key is zero, see rank_hash(). */
	struct rank_state s = {0x736f6d6570736575, 0x646f72616e646f6d, 0x6c7967656e657261, 0x7465646279746573};

	rank_word(&s, __builtin_bswap64(slot));
	return s;
}

static inline uint64_t rank_end(struct rank_state s, uint64_t peer_key)
{
	rank_word(&s, __builtin_bswap64(peer_key));
	rank_word(&s, 16ULL << 56); /* bytes hashed */
	s.v2 ^= 0xff;
	for (int i = 0; i < 4; i++)
		rank_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* How many such requests the peer has room for, in 256ths, by the scarcest resource; its capacity when nothing is
 * requested. At least 1. */
uint32_t rank_weight(const struct facts *f, const struct load *load, const struct spec_resources *request);
/* How full the peer is, by its fullest resource, in 2^-20. */
uint64_t rank_full(const struct facts *f, const struct load *load);
/* How full the peer would be with one more, by its fullest resource, in 2^-20. */
uint64_t rank_utilisation(const struct facts *f, const struct load *load, const struct spec_resources *request);

struct score {
	uint32_t log; /* neg_log2 */
	uint32_t weight;
};

static inline bool score_less(struct score a, struct score b)
{
	return (uint64_t)a.log * b.weight < (uint64_t)b.log * a.weight;
}

#endif
