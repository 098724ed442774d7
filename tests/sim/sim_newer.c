/*
 * A peer of the version after this one. What docs/wire.md lets a newer version do, it does: message types and kinds of
 * frames that this version steps over, among those that it reads; more behind the fields of messages that may grow;
 * kinds of records and flags of records that this version keeps and forwards without understanding them. Flocks that
 * speak plain only: nobody can add to a sealed packet.
 */
#include "tests/sim/sim_core.h"

#include "gossip/core.h"

#define NEW_MESSAGE 200
#define NEW_FRAME   201
#define NEW_OWN     40   /* a kind of volatile record */
#define NEW_DURABLE 20   /* one of an operator's */
#define NEW_FLAG    0x40 /* of any record */
#define NEW_BYTES   9    /* of the new message's body: any number will do */
#define NEW_WRAPPED (2 * (MSG_HEADER_BYTES + NEW_BYTES))

static void new_message(struct wr *w)
{
	static const uint8_t body[NEW_BYTES] = "the next";

	wr_u8(w, NEW_MESSAGE);
	wr_u16(w, sizeof(body));
	wr_bytes(w, body, sizeof(body));
}

/* Bytes of the messages before the end or the padding. */
static size_t messages_len(const uint8_t *bytes, size_t len)
{
	size_t at = 0;

	while (at + MSG_HEADER_BYTES <= len && bytes[at] != MSG_END)
		at += MSG_HEADER_BYTES + (size_t)(bytes[at + 1] << 8 | bytes[at + 2]);
	return MIN(at, len);
}

/* Says more behind the fields of those messages that may grow (docs/wire.md), a byte each. */
static void grown(struct wr *w, const uint8_t *messages, size_t len)
{
	static const uint8_t may_grow[] = {MSG_PING, MSG_ACK, MSG_NACK, MSG_PING_REQ, MSG_HAVE};

	for (size_t at = 0; at + MSG_HEADER_BYTES <= len;) {
		size_t n = (size_t)(messages[at + 1] << 8 | messages[at + 2]);
		bool more = memchr(may_grow, messages[at], sizeof(may_grow)) != NULL;

		wr_u8(w, messages[at]);
		wr_u16(w, (uint16_t)(n + more));
		wr_bytes(w, messages + at + MSG_HEADER_BYTES, MIN(n, len - at - MSG_HEADER_BYTES));
		if (more)
			wr_u8(w, 'n');
		at += MSG_HEADER_BYTES + n;
	}
}

static void wrap(struct wr *w, const uint8_t *messages, size_t len)
{
	new_message(w);
	grown(w, messages, len);
	new_message(w);
}

size_t sim_newer_packet(struct sim *s, const uint8_t *bytes, size_t len, uint8_t *out, size_t room)
{
	static const uint8_t nothing[PACKET_BYTES_MIN];
	size_t messages;
	struct wr w;

	(void)s;
	if (bytes[1] != PACKET_GOSSIP) {
		memcpy(out, bytes, len);
		return len;
	}
	messages = messages_len(bytes + PACKET_HEADER_BYTES, len - PACKET_HEADER_BYTES - PACKET_TAG_BYTES);
	wr_fixed(&w, out, room);
	wr_bytes(&w, bytes, PACKET_HEADER_BYTES);
	wrap(&w, bytes + PACKET_HEADER_BYTES, messages);
	wr_bytes(&w, nothing, PACKET_TAG_BYTES);
	if (!wr_ok(&w)) {
		/* No room for more: as it was. */
		memcpy(out, bytes, len);
		return len;
	}
	if (w.len < PACKET_BYTES_MIN)
		wr_bytes(&w, nothing, PACKET_BYTES_MIN - w.len);
	return w.len;
}

size_t sim_newer_frame(struct sim *s, const uint8_t *bytes, size_t len, uint8_t *out, size_t room)
{
	struct wr w;

	(void)s;
	if (len && bytes[0] == FRAME_MSGS) {
		wr_fixed(&w, out, room);
		wr_u8(&w, FRAME_MSGS);
		wrap(&w, bytes + 1, len - 1);
		if (wr_ok(&w))
			return w.len;
	}
	memcpy(out, bytes, len);
	return len;
}

size_t sim_newer_own_frame(uint8_t *out)
{
	memset(out, 'n', NEW_WRAPPED);
	out[0] = NEW_FRAME;
	return NEW_WRAPPED;
}

static void put(struct sim *s, unsigned peer, struct record *r, const uint8_t secret[64])
{
	struct wr w;

	record_sign(r, &s->flock, secret);
	wr_init(&w, RECORD_BYTES_MAX);
	record_encode(&w, r);
	record_take(s->peer[peer].gossip, w.p, w.len, NULL, NULL, false);
	wr_free(&w);
}

void sim_newer_started(struct sim *s, unsigned peer)
{
	const struct sim_peer *p = &s->peer[peer];
	static const uint8_t body[] = "of a kind to come";
	struct record r = {.kind = NEW_DURABLE,
	        .flags = NEW_FLAG,
	        .stamp = gossip_stamp(p->gossip, sim_peer_now(s, peer).wall),
	        .body = body,
	        .body_len = sizeof(body)};

	snprintf(r.name, sizeof(r.name), "next/%u", peer);
	put(s, peer, &r, s->admin);
	r = (struct record){.kind = NEW_OWN,
	        .flags = NEW_FLAG,
	        .stamp = (uint64_t)p->boot << 32 | 1000,
	        .body = body,
	        .body_len = sizeof(body)};
	put(s, peer, &r, p->secret);
}

void sim_make_newer(struct sim *s, unsigned peer)
{
	EXPECT(s, !s->opt.sealed);
	s->peer[peer].newer = true;
	if (!s->peer[peer].gossip)
		return;
	sim_newer_started(s, peer);
	sim_drain(s, peer);
}
