/* Preference of a slot for a peer: weighted rendezvous hashing (Schindelhauer and Schomaker, 2005) in integers. */
#include "placement/rank.h"

#include "base/hash.h"

/* floor(2^LOG2_BITS * log2(1 + i / 256)). tests/unit/placement/test_place.c computes it again by squaring. */
const uint32_t log2_table[257] = {
        0,
        188728,
        376724,
        563992,
        750539,
        936369,
        1121489,
        1305904,
        1489619,
        1672639,
        1854970,
        2036617,
        2217585,
        2397878,
        2577503,
        2756464,
        2934765,
        3112413,
        3289410,
        3465763,
        3641476,
        3816553,
        3991000,
        4164820,
        4338018,
        4510598,
        4682566,
        4853925,
        5024679,
        5194833,
        5364391,
        5533358,
        5701736,
        5869531,
        6036747,
        6203387,
        6369455,
        6534955,
        6699892,
        6864268,
        7028088,
        7191356,
        7354075,
        7516248,
        7677881,
        7838975,
        7999535,
        8159564,
        8319066,
        8478045,
        8636502,
        8794443,
        8951870,
        9108787,
        9265197,
        9421103,
        9576509,
        9731417,
        9885831,
        10039755,
        10193190,
        10346141,
        10498609,
        10650599,
        10802114,
        10953156,
        11103727,
        11253832,
        11403473,
        11552653,
        11701375,
        11849641,
        11997454,
        12144817,
        12291733,
        12438205,
        12584235,
        12729825,
        12874979,
        13019699,
        13163988,
        13307848,
        13451281,
        13594291,
        13736880,
        13879050,
        14020803,
        14162143,
        14303071,
        14443590,
        14583703,
        14723411,
        14862717,
        15001623,
        15140132,
        15278246,
        15415967,
        15553297,
        15690238,
        15826793,
        15962965,
        16098754,
        16234163,
        16369195,
        16503851,
        16638133,
        16772044,
        16905586,
        17038760,
        17171569,
        17304015,
        17436099,
        17567824,
        17699191,
        17830203,
        17960861,
        18091167,
        18221124,
        18350732,
        18479995,
        18608913,
        18737489,
        18865725,
        18993621,
        19121181,
        19248405,
        19375296,
        19501855,
        19628084,
        19753985,
        19879559,
        20004808,
        20129734,
        20254339,
        20378623,
        20502590,
        20626239,
        20749574,
        20872595,
        20995304,
        21117703,
        21239794,
        21361577,
        21483055,
        21604228,
        21725099,
        21845669,
        21965940,
        22085912,
        22205588,
        22324968,
        22444055,
        22562850,
        22681354,
        22799568,
        22917495,
        23035135,
        23152490,
        23269560,
        23386349,
        23502856,
        23619084,
        23735033,
        23850706,
        23966102,
        24081224,
        24196073,
        24310650,
        24424957,
        24538994,
        24652763,
        24766266,
        24879503,
        24992476,
        25105186,
        25217634,
        25329821,
        25441749,
        25553419,
        25664831,
        25775988,
        25886890,
        25997539,
        26107936,
        26218081,
        26327976,
        26437622,
        26547021,
        26656173,
        26765079,
        26873741,
        26982159,
        27090335,
        27198270,
        27305965,
        27413421,
        27520639,
        27627620,
        27734365,
        27840875,
        27947151,
        28053194,
        28159006,
        28264587,
        28369938,
        28475060,
        28579955,
        28684623,
        28789064,
        28893282,
        28997275,
        29101045,
        29204593,
        29307921,
        29411028,
        29513916,
        29616586,
        29719038,
        29821274,
        29923295,
        30025101,
        30126694,
        30228074,
        30329241,
        30430198,
        30530945,
        30631483,
        30731812,
        30831934,
        30931849,
        31031558,
        31131062,
        31230362,
        31329459,
        31428354,
        31527046,
        31625538,
        31723830,
        31821923,
        31919818,
        32017515,
        32115015,
        32212319,
        32309428,
        32406343,
        32503064,
        32599592,
        32695928,
        32792072,
        32888026,
        32983791,
        33079366,
        33174753,
        33269952,
        33364964,
        33459791,
        33554432,
};

uint32_t neg_log2(uint64_t h)
{
	unsigned top;
	uint64_t mantissa;
	uint32_t low, high, fraction;

	h += h == 0;
	top = 63 - (unsigned)__builtin_clzll(h);
	mantissa = h << (63 - top);
	low = log2_table[mantissa >> 55 & 0xff];
	high = log2_table[(mantissa >> 55 & 0xff) + 1];
	fraction = mantissa >> 39 & 0xffff;
	return (64U << LOG2_BITS) - (top << LOG2_BITS) - low -
	       (uint32_t)((uint64_t)(high - low) * fraction >> 16);
}

/* Written out, so that compilers make one swap and one store of it: this runs for every slot and peer. */
static void put_u64(uint8_t out[8], uint64_t v)
{
	out[0] = (uint8_t)(v >> 56);
	out[1] = (uint8_t)(v >> 48);
	out[2] = (uint8_t)(v >> 40);
	out[3] = (uint8_t)(v >> 32);
	out[4] = (uint8_t)(v >> 24);
	out[5] = (uint8_t)(v >> 16);
	out[6] = (uint8_t)(v >> 8);
	out[7] = (uint8_t)v;
}

uint64_t rank_peer_key(const struct key32 *flock, const struct key32 *peer)
{
	struct key32 hash;

	hash_pieces(&hash, "starling place peer 1",
	        (struct hash_piece[]){{flock->b, sizeof(flock->b)}, {peer->b, sizeof(peer->b)}}, 2);
	return key32_id(&hash);
}

uint64_t rank_hash(id64 slot, uint64_t peer_key)
{
	/* Both halves are keyed by the flock already: this key only has to be the same everywhere. */
	static const uint8_t key[16];
	uint8_t both[16];

	put_u64(both, slot);
	put_u64(both + 8, peer_key);
	return siphash(key, both, sizeof(both));
}

static uint32_t clamp_weight(uint64_t w)
{
	return w < 1 ? 1 : w > UINT32_MAX ? UINT32_MAX : (uint32_t)w;
}

uint32_t rank_weight(const struct facts *f, const struct load *load, const struct spec_resources *request)
{
	uint64_t w = UINT64_MAX;

	if (!request->cpu_milli && !request->memory)
		return clamp_weight(f->cpu_milli);
	/* 256ths: near a full peer, 1.0 and 1.9 requests' room are not the same. */
	if (request->cpu_milli)
		w = MIN(w, room_left(f->cpu_milli, load->cpu_milli) * 256 / request->cpu_milli);
	if (request->memory)
		w = MIN(w, room_left(f->memory, load->memory) * 256 / request->memory);
	return clamp_weight(w);
}

/* load / capacity in 2^-20, saturating; no capacity is fuller than any. */
static uint64_t share(uint64_t load, uint64_t capacity)
{
	unsigned __int128 s;

	if (!capacity)
		return UINT64_MAX;
	s = ((unsigned __int128)load << 20) / capacity;
	return s > UINT64_MAX ? UINT64_MAX : (uint64_t)s;
}

uint64_t rank_full(const struct facts *f, const struct load *load)
{
	return MAX(share(load->felt_cpu_milli, f->cpu_milli), share(load->felt_memory, f->memory));
}

uint64_t rank_utilisation(const struct facts *f, const struct load *load, const struct spec_resources *request)
{
	return MAX(share(load->felt_cpu_milli + felt_cpu(request), f->cpu_milli),
	        share(load->felt_memory + felt_memory(request), f->memory));
}
