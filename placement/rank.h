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
/* How many such requests the peer has room for, in 256ths, by the scarcest resource; its capacity when nothing is
 * requested. At least 1. */
uint32_t rank_weight(const struct facts *f, const struct load *load, const struct spec_resources *request);
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
