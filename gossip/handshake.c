/*
 *	initiator                                                      responder
 *	  | hello    "STRL" | 1 | E_i (32) | mac (16)                  |
 *	  |----------------------------------------------------------->|  mac: BLAKE2b of what is before it, keyed
 *	  |                                                            |  by the flock id: strangers get no answer
 *	  |                answer   E_r (32) | seal_r(R (32) | sig (64)) |  and cost no asymmetric work
 *	  |<-----------------------------------------------------------|
 *	  | proof    seal_i(role (1) | I (32) | sig (64))              |
 *	  |----------------------------------------------------------->|
 *	  | u32 length | secretstream frame          (both ways)       |
 *
 * E are fresh X25519 keys, R and I Ed25519 identities. The pattern is SIGMA-I (Krawczyk, 2003):
 *
 *	t1 = H("starling session 1", flock, hello, E_r)
 *	k  = BLAKE2b(key X25519(e_i, E_r), t1)
 *	seal_r: XChaCha20-Poly1305, key KDF(k, "answer"), nonce 0 (the key is used once), associated data t1
 *	        sig by R over "starling session answer 1" | t1 | R
 *	t2 = H("starling session 2", t1, sealed answer)
 *	seal_i: key KDF(k, "proof"), associated data t2; sig by I over "starling session proof 1" | t2 | role | I
 *	t3 = H("starling session 3", t2, sealed proof)
 *	k' = BLAKE2b(key k, t3); stream keys KDF(k', "initiator"), KDF(k', "responder")
 *
 * The seal under a key that only the two sides know stands for SIGMA's MAC of the identity. Both signatures cover
 * the flock and both fresh keys, so nothing replays; an eavesdropper learns neither identity.
 */
#include "gossip/handshake.h"

#include "base/hash.h"

#include <assert.h>
#include <sodium.h>

#define SESSION_VERSION 1
#define MAC_BYTES       16
#define SEAL_BYTES      crypto_aead_xchacha20poly1305_ietf_ABYTES
#define ANSWER_PLAIN    (32 + 64)
#define PROOF_PLAIN     (1 + 32 + 64)

static_assert(HELLO_BYTES == 4 + 1 + 32 + MAC_BYTES, "the drawing above");
static_assert(ANSWER_BYTES == 32 + ANSWER_PLAIN + SEAL_BYTES, "the drawing above");
static_assert(PROOF_BYTES == PROOF_PLAIN + SEAL_BYTES, "the drawing above");
static_assert(HELLO_BYTES + PROOF_BYTES <= SESSION_HANDSHAKE_BYTES_MAX, "what an initiator sends unproved");
static_assert(ANSWER_BYTES <= SESSION_HANDSHAKE_BYTES_MAX, "what a responder sends unproved");

void handshake_init(struct handshake *h, const struct key32 *flock, const uint8_t secret[64], struct drbg *rng)
{
	*h = (struct handshake){.flock = *flock};
	memcpy(h->secret, secret, sizeof(h->secret));
	drbg_bytes(rng, h->own_e, sizeof(h->own_e));
}

void handshake_wipe(struct handshake *h)
{
	sodium_memzero(h, sizeof(*h));
}

static void kdf(uint8_t out[32], const uint8_t key[32], const void *text, size_t len)
{
	crypto_generichash(out, 32, text, len, key, 32);
}

static void kdf_label(uint8_t out[32], const uint8_t key[32], const char *label)
{
	kdf(out, key, label, strlen(label));
}

static void hello_mac(uint8_t out[MAC_BYTES], const struct handshake *h)
{
	crypto_generichash(out, MAC_BYTES, h->hello, HELLO_BYTES - MAC_BYTES, h->flock.b, sizeof(h->flock.b));
}

static void transcript_1(struct handshake *h, const uint8_t responder_e[32])
{
	struct hash_piece p[] = {{h->flock.b, 32}, {h->hello, HELLO_BYTES}, {responder_e, 32}};

	hash_pieces(&h->transcript, "starling session 1", p, ARRAY_LEN(p));
}

static void transcript_next(struct handshake *h, const char *domain, const uint8_t *sealed, size_t len)
{
	struct key32 before = h->transcript;
	struct hash_piece p[] = {{before.b, 32}, {sealed, len}};

	hash_pieces(&h->transcript, domain, p, ARRAY_LEN(p));
}

/* Fails for the few keys of small order, with which any secret would give the same result. */
static int agree(struct handshake *h, const uint8_t their_e[32])
{
	uint8_t shared[32];
	int rc = crypto_scalarmult(shared, h->own_e, their_e);

	if (rc == 0)
		kdf(h->k, shared, h->transcript.b, 32);
	sodium_memzero(shared, sizeof(shared));
	sodium_memzero(h->own_e, sizeof(h->own_e));
	return rc;
}

/* What a side signs: label | transcript | (role) | own key. */
#define SIGNED_BYTES_MAX 128
static size_t signed_text(uint8_t out[SIGNED_BYTES_MAX], const struct handshake *h, bool proof,
        enum session_role role, const uint8_t key[32])
{
	struct wr w;

	wr_fixed(&w, out, SIGNED_BYTES_MAX);
	if (proof)
		wr_bytes(&w, "starling session proof 1", 24);
	else
		wr_bytes(&w, "starling session answer 1", 25);
	wr_key32(&w, &h->transcript);
	if (proof)
		wr_u8(&w, (uint8_t)role);
	wr_bytes(&w, key, 32);
	return w.len;
}

static void sign_identity(uint8_t sig[64], const struct handshake *h, bool proof, enum session_role role)
{
	uint8_t text[SIGNED_BYTES_MAX];
	size_t len = signed_text(text, h, proof, role, h->secret + 32);

	crypto_sign_detached(sig, NULL, text, len, h->secret);
}

static bool identity_proved(const struct handshake *h, bool proof, enum session_role role, const uint8_t key[32],
        const uint8_t sig[64])
{
	uint8_t text[SIGNED_BYTES_MAX];
	size_t len = signed_text(text, h, proof, role, key);

	return crypto_sign_verify_detached(sig, text, len, key) == 0;
}

static const uint8_t nonce_once[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];

static void seal(uint8_t *out, const struct handshake *h, const char *label, const uint8_t *plain, size_t len)
{
	uint8_t key[32];

	kdf_label(key, h->k, label);
	crypto_aead_xchacha20poly1305_ietf_encrypt(
	        out, NULL, plain, len, h->transcript.b, 32, NULL, nonce_once, key);
	sodium_memzero(key, sizeof(key));
}

static int unseal(uint8_t *out, const struct handshake *h, const char *label, const uint8_t *sealed, size_t len)
{
	uint8_t key[32];
	int rc;

	kdf_label(key, h->k, label);
	rc = crypto_aead_xchacha20poly1305_ietf_decrypt(
	        out, NULL, NULL, sealed, len, h->transcript.b, 32, nonce_once, key);
	sodium_memzero(key, sizeof(key));
	return rc;
}

void handshake_hello(struct handshake *h, uint8_t hello[HELLO_BYTES])
{
	struct wr w;
	uint8_t e[32];

	crypto_scalarmult_base(e, h->own_e);
	wr_fixed(&w, h->hello, sizeof(h->hello));
	wr_bytes(&w, "STRL", 4);
	wr_u8(&w, SESSION_VERSION);
	wr_bytes(&w, e, sizeof(e));
	hello_mac(h->hello + w.len, h);
	memcpy(hello, h->hello, HELLO_BYTES);
}

const char *handshake_on_hello(struct handshake *h, const uint8_t *hello, uint8_t answer[ANSWER_BYTES])
{
	uint8_t plain[ANSWER_PLAIN], mac[MAC_BYTES];

	if (memcmp(hello, "STRL", 4) != 0)
		return "the other side does not speak Starling's protocol";
	if (hello[4] != SESSION_VERSION)
		return "the other side speaks another version of the protocol";
	memcpy(h->hello, hello, HELLO_BYTES);
	hello_mac(mac, h);
	if (sodium_memcmp(mac, hello + HELLO_BYTES - MAC_BYTES, MAC_BYTES) != 0)
		return "the other side is not of this flock";
	crypto_scalarmult_base(answer, h->own_e);
	transcript_1(h, answer);
	if (agree(h, h->hello + 5) != 0)
		return "the other side sent a weak key";
	memcpy(plain, h->secret + 32, 32);
	sign_identity(plain + 32, h, false, SESSION_PEER);
	seal(answer + 32, h, "answer", plain, sizeof(plain));
	transcript_next(h, "starling session 2", answer + 32, ANSWER_BYTES - 32);
	return NULL;
}

const char *handshake_on_answer(struct handshake *h, const uint8_t *answer, enum session_role role,
        const struct key32 *expect, struct key32 *peer, uint8_t proof[PROOF_BYTES])
{
	uint8_t theirs[ANSWER_PLAIN], plain[PROOF_PLAIN];

	transcript_1(h, answer);
	if (agree(h, answer) != 0)
		return "the other side sent a weak key";
	if (unseal(theirs, h, "answer", answer + 32, ANSWER_BYTES - 32) != 0)
		return "the answer is damaged or from another flock";
	if (!identity_proved(h, false, role, theirs, theirs + 32))
		return "the other side did not prove its key";
	memcpy(peer->b, theirs, 32);
	if (expect && !key32_eq(peer, expect))
		return "another peer answers at this address";
	transcript_next(h, "starling session 2", answer + 32, ANSWER_BYTES - 32);
	plain[0] = (uint8_t)role;
	memcpy(plain + 1, h->secret + 32, 32);
	sign_identity(plain + 33, h, true, role);
	seal(proof, h, "proof", plain, sizeof(plain));
	transcript_next(h, "starling session 3", proof, PROOF_BYTES);
	return NULL;
}

const char *handshake_on_proof(
        struct handshake *h, const uint8_t *proof, enum session_role *role, struct key32 *peer)
{
	uint8_t theirs[PROOF_PLAIN];

	if (unseal(theirs, h, "proof", proof, PROOF_BYTES) != 0)
		return "the proof of the other side's key is damaged";
	if (theirs[0] < SESSION_PEER || theirs[0] > SESSION_INVITE)
		return "the other side asks for a role that this version does not know";
	if (!identity_proved(h, true, (enum session_role)theirs[0], theirs + 1, theirs + 33))
		return "the other side did not prove its key";
	*role = (enum session_role)theirs[0];
	memcpy(peer->b, theirs + 1, 32);
	transcript_next(h, "starling session 3", proof, PROOF_BYTES);
	return NULL;
}

void handshake_keys(struct handshake *h, uint8_t initiator[32], uint8_t responder[32])
{
	uint8_t key[32];

	kdf(key, h->k, h->transcript.b, 32);
	kdf_label(initiator, key, "initiator");
	kdf_label(responder, key, "responder");
	sodium_memzero(key, sizeof(key));
}
