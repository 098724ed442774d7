#include "gossip/seal.h"

#include "base/hash.h"

#include <assert.h>
#include <sodium.h>

_Static_assert(PACKET_HEADER_BYTES == 1 + 1 + 8 + crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "packet header");
_Static_assert(PACKET_TAG_BYTES == crypto_aead_xchacha20poly1305_ietf_ABYTES, "packet tag");

#define TOKEN_BYTES 16

void seal_init(struct seal *s, const struct key32 *key, const uint8_t secret[64], const struct key32 *flock,
        const uint8_t start[16], const uint8_t token_secret[32], bool plain)
{
	*s = (struct seal){.key = *key, .id = key32_id(key), .flock = *flock, .plain = plain};
	memcpy(s->start, start, sizeof(s->start));
	memcpy(s->token_secret, token_secret, sizeof(s->token_secret));
	crypto_sign_ed25519_sk_to_curve25519(s->x25519, secret);
}

void seal_renew(struct seal *s, const uint8_t start[16])
{
	memcpy(s->start, start, sizeof(s->start));
	s->counter = 0;
}

void seal_peer_init(struct seal_peer *p, const struct key32 *key)
{
	*p = (struct seal_peer){.key = *key};
}

void seal_peer_free(struct seal_peer *p)
{
	free(p->held.bytes);
	sodium_memzero(p, sizeof(*p));
}

/* Both directions' keys, derived once per peer. */
static bool derive(const struct seal *s, struct seal_peer *p)
{
	uint8_t theirs[32], shared[32];
	struct hash_piece sent[] = {{shared, 32}, {s->flock.b, 32}, {s->key.b, 32}, {p->key.b, 32}};
	struct hash_piece received[] = {{shared, 32}, {s->flock.b, 32}, {p->key.b, 32}, {s->key.b, 32}};

	if (p->keyed || s->plain)
		return true;
	if (crypto_sign_ed25519_pk_to_curve25519(theirs, p->key.b) != 0 ||
	        crypto_scalarmult(shared, s->x25519, theirs) != 0)
		return false;
	hash_pieces(&p->send_key, "starling packet 1", sent, ARRAY_LEN(sent));
	hash_pieces(&p->recv_key, "starling packet 1", received, ARRAY_LEN(received));
	sodium_memzero(shared, sizeof(shared));
	p->keyed = true;
	return true;
}

bool packet_header_get(struct packet_header *h, const uint8_t *bytes, size_t len)
{
	struct rd r;

	if (len < PACKET_BYTES_MIN || len > PACKET_BYTES_MAX)
		return false;
	rd_init(&r, bytes, len);
	h->version = rd_u8(&r);
	h->type = rd_u8(&r);
	h->sender = rd_u64(&r);
	rd_copy(&r, h->start, sizeof(h->start));
	h->counter = rd_u64(&r);
	return h->version == PACKET_VERSION && (h->type == PACKET_GOSSIP || h->type == PACKET_CHALLENGE);
}

size_t seal_packet(struct seal *s, struct seal_peer *p, enum packet_type type, const uint8_t *payload, size_t len,
        uint8_t *out)
{
	uint8_t clear[PAYLOAD_BYTES_MAX] = {0};
	size_t padded = MAX(len, (size_t)PACKET_BYTES_MIN - PACKET_HEADER_BYTES - PACKET_TAG_BYTES);
	struct wr w;

	assert(len <= PAYLOAD_BYTES_MAX);
	if (p && !derive(s, p))
		return 0;
	memcpy(clear, payload, len);
	wr_fixed(&w, out, PACKET_BYTES_MAX);
	wr_u8(&w, PACKET_VERSION);
	wr_u8(&w, (uint8_t)type);
	wr_u64(&w, s->id);
	wr_bytes(&w, s->start, sizeof(s->start));
	wr_u64(&w, ++s->counter);
	if (s->plain) {
		static const uint8_t no_tag[PACKET_TAG_BYTES];

		wr_bytes(&w, clear, padded);
		wr_bytes(&w, no_tag, sizeof(no_tag));
		return w.len;
	}
	crypto_aead_xchacha20poly1305_ietf_encrypt(out + PACKET_HEADER_BYTES, NULL, clear, padded, out,
	        PACKET_HEADER_BYTES, NULL, out + 10, p->send_key.b);
	return PACKET_HEADER_BYTES + padded + PACKET_TAG_BYTES;
}

static bool decrypt(const struct seal *s, const struct seal_peer *p, const uint8_t *bytes, size_t len,
        uint8_t *out, size_t *out_len)
{
	*out_len = len - PACKET_HEADER_BYTES - PACKET_TAG_BYTES;
	if (s->plain) {
		memcpy(out, bytes + PACKET_HEADER_BYTES, *out_len);
		return true;
	}
	return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, bytes + PACKET_HEADER_BYTES,
	               len - PACKET_HEADER_BYTES, bytes, PACKET_HEADER_BYTES, bytes + 10, p->recv_key.b) == 0;
}

/* The challenge that (sender, start, from) has to echo in time slot `slot`. Never zero in practice (2^-128). */
static void token(uint8_t out[TOKEN_BYTES], const struct seal *s, const struct packet_header *h,
        const struct addr *from, int64_t slot)
{
	uint8_t buf[64];
	struct wr w;

	wr_fixed(&w, buf, sizeof(buf));
	wr_u64(&w, h->sender);
	wr_bytes(&w, h->start, sizeof(h->start));
	addr_put(&w, from);
	wr_u64(&w, (uint64_t)slot);
	crypto_generichash(out, TOKEN_BYTES, buf, w.len, s->token_secret, sizeof(s->token_secret));
}

static bool token_good(const uint8_t *echo, const struct seal *s, const struct packet_header *h,
        const struct addr *from, mono_ms now)
{
	for (int back = 0; back < 2; back++) {
		uint8_t want[TOKEN_BYTES];

		token(want, s, h, from, now / SEAL_SLOT_MS - back);
		if (sodium_memcmp(want, echo, TOKEN_BYTES) == 0)
			return true;
	}
	return false;
}

/* RFC 4303 section 3.4.3: a sliding window below the highest counter seen. */
static bool replayed(const struct seal_peer *p, uint64_t counter)
{
	if (counter > p->top)
		return false;
	return p->top - counter >= 64 || (p->window >> (p->top - counter) & 1);
}

static void note_counter(struct seal_peer *p, uint64_t counter)
{
	if (counter > p->top) {
		uint64_t by = counter - p->top;

		p->window = by < 64 ? p->window << by | 1 : 1;
		p->top = counter;
	} else {
		p->window |= UINT64_C(1) << (p->top - counter);
	}
}

static bool retired(const struct seal_peer *p, const uint8_t start[16])
{
	static const uint8_t none[16];

	if (memcmp(start, none, sizeof(none)) == 0)
		return true;
	for (size_t i = 0; i < SEAL_RETIRED_MAX; i++)
		if (memcmp(p->retired[i], start, 16) == 0)
			return true;
	return false;
}

static bool known_start(const struct seal_peer *p, const struct packet_header *h)
{
	return p->known && memcmp(p->start, h->start, sizeof(p->start)) == 0;
}

static bool known_addr(const struct seal_peer *p, const struct addr *from)
{
	return addr_eq(&p->addr[0], from) || addr_eq(&p->addr[1], from);
}

static void hold(struct seal_peer *p, const struct addr *from, const struct packet_header *h,
        const uint8_t *payload, size_t len)
{
	free(p->held.bytes);
	p->held.bytes = xmemdup(payload, len);
	p->held.len = len;
	p->held.addr = *from;
	p->held.counter = h->counter;
	memcpy(p->held.start, h->start, sizeof(p->held.start));
}

/* The echo was right: the start and the address it came from count from now on. */
static void prove(struct seal_peer *p, const struct addr *from, const struct packet_header *h, struct opened *out)
{
	if (!known_start(p, h)) {
		if (p->known) {
			memcpy(p->retired[p->retired_at], p->start, sizeof(p->start));
			p->retired_at = (p->retired_at + 1) % SEAL_RETIRED_MAX;
		}
		memcpy(p->start, h->start, sizeof(p->start));
		p->top = 0;
		p->window = 0;
		p->addr[0] = p->addr[1] = *from;
		p->known = true;
		out->restarted = true;
	} else if (!known_addr(p, from)) {
		p->addr[1] = p->addr[0];
		p->addr[0] = *from;
	}
	note_counter(p, h->counter);
	out->newest = h->counter == p->top;
	if (p->held.bytes && memcmp(p->held.start, h->start, 16) == 0 && addr_eq(&p->held.addr, from) &&
	        !replayed(p, p->held.counter)) {
		note_counter(p, p->held.counter);
		memcpy(out->payload, p->held.bytes, p->held.len);
		out->len = p->held.len;
	}
	free(p->held.bytes);
	p->held.bytes = NULL;
}

static void answer(struct seal *s, struct seal_peer *p, const uint8_t challenge[TOKEN_BYTES],
        const uint8_t echo[TOKEN_BYTES], struct opened *out)
{
	uint8_t payload[2 * TOKEN_BYTES];
	uint8_t packet[PACKET_BYTES_MAX];
	size_t len;

	memcpy(payload, challenge, TOKEN_BYTES);
	memcpy(payload + TOKEN_BYTES, echo, TOKEN_BYTES);
	len = seal_packet(s, p, PACKET_CHALLENGE, payload, sizeof(payload), packet);
	assert(len == PACKET_BYTES_MIN);
	memcpy(out->answer, packet, len);
	out->answer_len = len;
}

static enum open_verdict on_challenge(struct seal *s, struct seal_peer *p, const struct addr *from,
        const struct packet_header *h, mono_ms now, struct opened *out)
{
	static const uint8_t none[TOKEN_BYTES];
	uint8_t challenge[TOKEN_BYTES], echo[TOKEN_BYTES], ours[TOKEN_BYTES] = {0};
	enum open_verdict verdict = OPEN_ANSWER;

	memcpy(challenge, out->payload, TOKEN_BYTES);
	memcpy(echo, out->payload + TOKEN_BYTES, TOKEN_BYTES);
	out->len = 0;
	if (retired(p, h->start) || (known_start(p, h) && replayed(p, h->counter)))
		return OPEN_REPLAY;
	if (memcmp(echo, none, TOKEN_BYTES) != 0) {
		if (!token_good(echo, s, h, from, now))
			return OPEN_BAD;
		prove(p, from, h, out);
		verdict = OPEN_PROVED;
	}
	if (memcmp(challenge, none, TOKEN_BYTES) == 0)
		return verdict == OPEN_PROVED ? verdict : OPEN_BAD;
	if (!known_start(p, h) || !known_addr(p, from))
		token(ours, s, h, from, now / SEAL_SLOT_MS);
	else if (verdict != OPEN_PROVED)
		note_counter(p, h->counter);
	answer(s, p, ours, challenge, out);
	return verdict;
}

enum open_verdict seal_open(struct seal *s, struct seal_peer *p, const struct addr *from,
        const struct packet_header *h, const uint8_t *bytes, size_t len, mono_ms now, struct opened *out)
{
	static const uint8_t none[TOKEN_BYTES];
	uint8_t ours[TOKEN_BYTES];

	out->len = out->answer_len = 0;
	out->newest = out->restarted = false;
	if (!p)
		return decrypt(s, p, bytes, len, out->payload, &out->len) && s->plain ? OPEN_MESSAGES : OPEN_BAD;
	if (!derive(s, p) || !decrypt(s, p, bytes, len, out->payload, &out->len))
		return OPEN_BAD;
	if (h->type == PACKET_CHALLENGE)
		return out->len < 2 * TOKEN_BYTES ? OPEN_BAD : on_challenge(s, p, from, h, now, out);
	if (retired(p, h->start))
		return OPEN_REPLAY;
	if (known_start(p, h)) {
		if (replayed(p, h->counter))
			return OPEN_REPLAY;
		if (known_addr(p, from)) {
			note_counter(p, h->counter);
			out->newest = h->counter == p->top;
			return OPEN_MESSAGES;
		}
	}
	hold(p, from, h, out->payload, out->len);
	out->len = 0;
	token(ours, s, h, from, now / SEAL_SLOT_MS);
	answer(s, p, ours, none, out);
	return OPEN_CHALLENGE;
}
