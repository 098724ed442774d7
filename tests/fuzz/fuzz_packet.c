/*
 * Packets and stream frames from the network, against a peer of a flock of three. The input is a list of pieces:
 * length u16, way u8, bytes. Ways: a packet as it came; the payload of a packet that a member sealed; a frame of
 * an open stream; a jump in time. What a sealed payload may do is the more interesting part: a member is trusted
 * no further than what it signs.
 */
#include "gossip/gossip.h"
#include "gossip/seal.h"
#include "gossip/wire.h"

#include <sodium.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PEERS = 3 };

static struct actor {
	struct key32 key;
	uint8_t secret[64];
} who[PEERS], root, admin;
static struct key32 flock;
static struct wr records[2 + PEERS];

static void make_actor(struct actor *a, uint8_t n)
{
	uint8_t seed[32] = {n};

	crypto_sign_seed_keypair(a->key.b, a->secret, seed);
}

/* Signatures are slow; the flock is the same for every input. */
static void found(void)
{
	struct grant g = {.role = ROLE_ADMIN, .powers = POWER_ALL, .name = "admin"};

	if (records[0].len)
		return;
	if (sodium_init() < 0)
		abort();
	make_actor(&root, 1);
	make_actor(&admin, 2);
	g.operator_key = admin.key;
	for (size_t i = 0; i < 2 + PEERS; i++)
		wr_init(&records[i], RECORD_BYTES_MAX);
	trust_make_genesis(&records[0], "fuzz", 1, root.secret, &flock);
	trust_make_grant(&records[1], &flock, &g, 1, NULL, 0, root.secret);
	for (uint8_t i = 0; i < PEERS; i++) {
		struct admission a;

		make_actor(&who[i], (uint8_t)(10 + i));
		trust_vouch_first(&a, &flock, &who[i].key, admin.secret);
		trust_make_admission(&records[2 + i], &flock, &a, 1, who[i].secret);
	}
}

static struct gossip *fresh(struct now now)
{
	struct gossip_config cfg = {.key = who[0].key, .flock = flock, .boot = 1, .plain = true};
	struct gossip *g;

	cfg.advertise = (struct addr){.family = 4, .port = 1, .ip = {10, 0, 0, 1}};
	memcpy(cfg.secret, who[0].secret, sizeof(cfg.secret));
	g = gossip_new(&cfg);
	for (size_t i = 0; i < 2 + PEERS; i++)
		gossip_load(g, records[i].p, records[i].len, NULL);
	gossip_start(g, now);
	return g;
}

/* Answers its challenges for peer 1, so that what peer 1 sends is believed to come from there. */
static void drain(
        struct gossip *g, struct seal *seal, struct seal_peer *us, const struct addr *from, struct now now)
{
	struct gossip_action a;
	static uint8_t packet[PACKET_BYTES_MAX];
	size_t len = 0;

	while (gossip_next(g, &a)) {
		struct packet_header h;
		struct opened o;

		if (a.kind == GOSSIP_PERSIST) {
			gossip_on_disk(g, &a.id, true, now);
		} else if (a.kind == GOSSIP_PACKET && packet_header_get(&h, a.bytes, a.len) &&
		           h.type == PACKET_CHALLENGE) {
			struct addr there = {.family = 4, .port = 1, .ip = {10, 0, 0, 1}};

			seal_open(seal, us, &there, &h, a.bytes, a.len, now.mono, &o);
			memcpy(packet, o.answer, o.answer_len);
			len = o.answer_len;
		}
	}
	if (len)
		gossip_on_packet(g, from, packet, len, now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct now now = {.mono = 1000, .wall = 1700000000000};
	struct addr from = {.family = 4, .port = 2, .ip = {10, 0, 0, 2}};
	static const uint8_t start[16] = {1}, token[32] = {2};
	struct seal_peer us;
	struct seal seal;
	struct gossip *g;
	struct rd r;
	unsigned pieces = 0;

	found();
	g = fresh(now);
	seal_init(&seal, &who[1].key, who[1].secret, &flock, start, token, true);
	seal_peer_init(&us, &who[0].key);
	gossip_on_stream(g, UINT64_C(1) << 63, &who[2].key, true, now);
	rd_init(&r, data, size);
	while (rd_left(&r) && pieces++ < 64) {
		size_t len = rd_u16(&r) % (PACKET_BYTES_MAX + 1);
		uint8_t way = rd_u8(&r);
		uint8_t packet[PACKET_BYTES_MAX];
		const uint8_t *bytes;

		len = MIN(len, rd_left(&r));
		bytes = rd_bytes(&r, len);
		if (!bytes)
			break;
		switch (way % 4) {
		case 0:
			gossip_on_packet(g, &from, bytes, len, now);
			break;
		case 1:
			len = seal_packet(
			        &seal, &us, PACKET_GOSSIP, bytes, MIN(len, (size_t)PAYLOAD_BYTES_MAX), packet);
			gossip_on_packet(g, &from, packet, len, now);
			break;
		case 2:
			gossip_on_frame(g, UINT64_C(1) << 63, bytes, len, now);
			break;
		case 3:
			now.mono += (int64_t)len * 37 + 1;
			now.wall += (int64_t)len * 37 + 1;
			gossip_tick(g, now);
			break;
		}
		drain(g, &seal, &us, &from, now);
	}
	seal_peer_free(&us);
	gossip_free(g);
	return 0;
}
