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
#include "gossip/session.h"

#include "base/hash.h"

#include <assert.h>
#include <sodium.h>

#define SESSION_VERSION 1
#define MAC_BYTES       16
#define SEAL_BYTES      crypto_aead_xchacha20poly1305_ietf_ABYTES
#define HELLO_BYTES     (4 + 1 + 32 + MAC_BYTES)
#define ANSWER_PLAIN    (32 + 64)
#define ANSWER_BYTES    (32 + ANSWER_PLAIN + SEAL_BYTES)
#define PROOF_PLAIN     (1 + 32 + 64)
#define PROOF_BYTES     (PROOF_PLAIN + SEAL_BYTES)
#define LENGTH_BYTES    4
#define FRAME_OVERHEAD  crypto_secretstream_xchacha20poly1305_ABYTES
/* Bytes that may wait to be sent: 64 frames; past it the other side does not read. */
#define OUTPUT_BYTES_MAX (64 * (FRAME_BYTES_MAX + FRAME_OVERHEAD + LENGTH_BYTES))
/* Bytes of input that may wait: a frame that lacks its last byte, and one read of a socket. */
#define INPUT_BYTES_MAX (2 * (FRAME_BYTES_MAX + FRAME_OVERHEAD + LENGTH_BYTES))
/* Bytes of buffer that an idle session keeps; larger ones are given back. */
#define IDLE_BYTES_MAX 4096

static_assert(HELLO_BYTES + PROOF_BYTES <= SESSION_HANDSHAKE_BYTES_MAX, "what an initiator sends unproved");
static_assert(ANSWER_BYTES <= SESSION_HANDSHAKE_BYTES_MAX, "what a responder sends unproved");
static_assert(HELLO_BYTES == 53 && ANSWER_BYTES == 144 && PROOF_BYTES == 113, "the drawing above");

/*
 *	initiator: AWAIT_ANSWER ------------------> OPEN
 *	responder: AWAIT_HELLO ---> AWAIT_PROOF --> OPEN        any failure: BROKEN, for good
 */
enum state { AWAIT_HELLO, AWAIT_ANSWER, AWAIT_PROOF, OPEN, BROKEN };

struct session {
	enum state state;
	bool initiator;
	enum session_role role;
	struct key32 flock;
	uint8_t secret[64]; /* own identity; erased once the handshake is done */
	struct key32 expect;
	bool any; /* no expectation */
	struct key32 peer;
	uint8_t own_e[32]; /* own fresh secret; erased once used */
	uint8_t k[32];
	struct key32 transcript;
	uint8_t hello[HELLO_BYTES];
	struct wr in;
	size_t in_at; /* bytes of in that were used */
	struct wr out;
	size_t out_at; /* bytes of out that were sent */
	uint8_t *frame;
	size_t frame_len;
	crypto_secretstream_xchacha20poly1305_state push, pull;
};

/* Derivations. */

static void kdf(uint8_t out[32], const uint8_t key[32], const void *text, size_t len)
{
	crypto_generichash(out, 32, text, len, key, 32);
}

static void kdf_label(uint8_t out[32], const uint8_t key[32], const char *label)
{
	kdf(out, key, label, strlen(label));
}

static void hello_mac(uint8_t out[MAC_BYTES], const struct session *s)
{
	crypto_generichash(out, MAC_BYTES, s->hello, HELLO_BYTES - MAC_BYTES, s->flock.b, sizeof(s->flock.b));
}

static void transcript_1(struct session *s, const uint8_t responder_e[32])
{
	struct hash_piece p[] = {{s->flock.b, 32}, {s->hello, HELLO_BYTES}, {responder_e, 32}};

	hash_pieces(&s->transcript, "starling session 1", p, ARRAY_LEN(p));
}

static void transcript_next(struct session *s, const char *domain, const uint8_t *sealed, size_t len)
{
	struct key32 before = s->transcript;
	struct hash_piece p[] = {{before.b, 32}, {sealed, len}};

	hash_pieces(&s->transcript, domain, p, ARRAY_LEN(p));
}

/* Fails for the few keys of small order, with which any secret would give the same result. */
static int agree(struct session *s, const uint8_t their_e[32])
{
	uint8_t shared[32];
	int rc = crypto_scalarmult(shared, s->own_e, their_e);

	if (rc == 0)
		kdf(s->k, shared, s->transcript.b, 32);
	sodium_memzero(shared, sizeof(shared));
	sodium_memzero(s->own_e, sizeof(s->own_e));
	return rc;
}

/* What a side signs: label | transcript | (role) | own key. */
#define SIGNED_BYTES_MAX 128
static size_t signed_text(uint8_t out[SIGNED_BYTES_MAX], const struct session *s, bool proof,
        enum session_role role, const uint8_t key[32])
{
	struct wr w;

	wr_fixed(&w, out, SIGNED_BYTES_MAX);
	if (proof)
		wr_bytes(&w, "starling session proof 1", 24);
	else
		wr_bytes(&w, "starling session answer 1", 25);
	wr_key32(&w, &s->transcript);
	if (proof)
		wr_u8(&w, (uint8_t)role);
	wr_bytes(&w, key, 32);
	return w.len;
}

static void sign_identity(uint8_t sig[64], const struct session *s, bool proof)
{
	uint8_t text[SIGNED_BYTES_MAX];
	size_t len = signed_text(text, s, proof, s->role, s->secret + 32);

	crypto_sign_detached(sig, NULL, text, len, s->secret);
}

static bool identity_proved(
        const struct session *s, bool proof, enum session_role role, const uint8_t key[32], const uint8_t sig[64])
{
	uint8_t text[SIGNED_BYTES_MAX];
	size_t len = signed_text(text, s, proof, role, key);

	return crypto_sign_verify_detached(sig, text, len, key) == 0;
}

static const uint8_t nonce_once[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];

static void seal(uint8_t *out, const struct session *s, const char *label, const uint8_t *plain, size_t len)
{
	uint8_t key[32];

	kdf_label(key, s->k, label);
	crypto_aead_xchacha20poly1305_ietf_encrypt(
	        out, NULL, plain, len, s->transcript.b, 32, NULL, nonce_once, key);
	sodium_memzero(key, sizeof(key));
}

static int unseal(uint8_t *out, const struct session *s, const char *label, const uint8_t *sealed, size_t len)
{
	uint8_t key[32];
	int rc;

	kdf_label(key, s->k, label);
	rc = crypto_aead_xchacha20poly1305_ietf_decrypt(
	        out, NULL, NULL, sealed, len, s->transcript.b, 32, nonce_once, key);
	sodium_memzero(key, sizeof(key));
	return rc;
}

/* A stream's state from its key alone. libsodium's init_push would draw a random header; the key is fresh and
 * used for one direction of one session, so a fixed header is as good and needs not be sent. */
static void stream_init(
        crypto_secretstream_xchacha20poly1305_state *state, const uint8_t key[32], const char *label)
{
	static const uint8_t header[crypto_secretstream_xchacha20poly1305_HEADERBYTES];
	uint8_t stream_key[32];

	kdf_label(stream_key, key, label);
	crypto_secretstream_xchacha20poly1305_init_pull(state, header, stream_key);
	sodium_memzero(stream_key, sizeof(stream_key));
}

static void open_streams(struct session *s)
{
	uint8_t key[32];

	kdf(key, s->k, s->transcript.b, 32);
	stream_init(&s->push, key, s->initiator ? "initiator" : "responder");
	stream_init(&s->pull, key, s->initiator ? "responder" : "initiator");
	sodium_memzero(key, sizeof(key));
	sodium_memzero(s->k, sizeof(s->k));
	sodium_memzero(s->secret, sizeof(s->secret));
	s->state = OPEN;
}

/* Making and breaking. */

static struct session *session_new(const struct key32 *flock, const uint8_t secret[64], struct drbg *rng)
{
	struct session *s = xcalloc(1, sizeof(*s));

	s->flock = *flock;
	memcpy(s->secret, secret, sizeof(s->secret));
	drbg_bytes(rng, s->own_e, sizeof(s->own_e));
	wr_init(&s->in, INPUT_BYTES_MAX);
	wr_init(&s->out, OUTPUT_BYTES_MAX);
	return s;
}

struct session *session_connect(const struct key32 *flock, enum session_role role, const uint8_t secret[64],
        const struct key32 *expect, struct drbg *rng)
{
	struct session *s = session_new(flock, secret, rng);
	struct wr w;
	uint8_t e[32];

	s->state = AWAIT_ANSWER;
	s->initiator = true;
	s->role = role;
	s->any = !expect;
	if (expect)
		s->expect = *expect;
	crypto_scalarmult_base(e, s->own_e);
	wr_fixed(&w, s->hello, sizeof(s->hello));
	wr_bytes(&w, "STRL", 4);
	wr_u8(&w, SESSION_VERSION);
	wr_bytes(&w, e, sizeof(e));
	hello_mac(s->hello + w.len, s);
	wr_bytes(&s->out, s->hello, sizeof(s->hello));
	return s;
}

struct session *session_accept(const struct key32 *flock, const uint8_t secret[64], struct drbg *rng)
{
	struct session *s = session_new(flock, secret, rng);

	s->state = AWAIT_HELLO;
	s->any = true;
	return s;
}

static void drop_frame(struct session *s)
{
	free(s->frame);
	s->frame = NULL;
	s->frame_len = 0;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	drop_frame(s);
	wr_free(&s->in);
	wr_free(&s->out);
	sodium_memzero(s, sizeof(*s));
	free(s);
}

static enum session_event broken(struct session *s, struct err *err, const char *why)
{
	s->state = BROKEN;
	err_set(err, ERR_UNAUTHORISED, "session: %s", why);
	return SESSION_ERROR;
}

/* Steps of the handshake. Each is given exactly the bytes of its message. */

static enum session_event on_hello(struct session *s, const uint8_t *msg, struct err *err)
{
	uint8_t plain[ANSWER_PLAIN], sealed[ANSWER_PLAIN + SEAL_BYTES], e[32], mac[MAC_BYTES];

	if (memcmp(msg, "STRL", 4) != 0)
		return broken(s, err, "the other side does not speak Starling's protocol");
	if (msg[4] != SESSION_VERSION)
		return broken(s, err, "the other side speaks another version of the protocol");
	memcpy(s->hello, msg, HELLO_BYTES);
	hello_mac(mac, s);
	if (sodium_memcmp(mac, msg + HELLO_BYTES - MAC_BYTES, MAC_BYTES) != 0)
		return broken(s, err, "the other side is not of this flock");
	crypto_scalarmult_base(e, s->own_e);
	transcript_1(s, e);
	if (agree(s, s->hello + 5) != 0)
		return broken(s, err, "the other side sent a weak key");
	memcpy(plain, s->secret + 32, 32);
	sign_identity(plain + 32, s, false);
	seal(sealed, s, "answer", plain, sizeof(plain));
	wr_bytes(&s->out, e, sizeof(e));
	wr_bytes(&s->out, sealed, sizeof(sealed));
	transcript_next(s, "starling session 2", sealed, sizeof(sealed));
	s->state = AWAIT_PROOF;
	return SESSION_WAIT;
}

static enum session_event on_answer(struct session *s, const uint8_t *msg, struct err *err)
{
	uint8_t answer[ANSWER_PLAIN], plain[PROOF_PLAIN], sealed[PROOF_BYTES];

	transcript_1(s, msg);
	if (agree(s, msg) != 0)
		return broken(s, err, "the other side sent a weak key");
	if (unseal(answer, s, "answer", msg + 32, ANSWER_BYTES - 32) != 0)
		return broken(s, err, "the answer is damaged or from another flock");
	if (!identity_proved(s, false, s->role, answer, answer + 32))
		return broken(s, err, "the other side did not prove its key");
	memcpy(s->peer.b, answer, 32);
	if (!s->any && !key32_eq(&s->peer, &s->expect))
		return broken(s, err, "another peer answers at this address");
	transcript_next(s, "starling session 2", msg + 32, ANSWER_BYTES - 32);
	plain[0] = (uint8_t)s->role;
	memcpy(plain + 1, s->secret + 32, 32);
	sign_identity(plain + 33, s, true);
	seal(sealed, s, "proof", plain, sizeof(plain));
	wr_bytes(&s->out, sealed, sizeof(sealed));
	transcript_next(s, "starling session 3", sealed, sizeof(sealed));
	open_streams(s);
	return SESSION_READY;
}

static enum session_event on_proof(struct session *s, const uint8_t *msg, struct err *err)
{
	uint8_t proof[PROOF_PLAIN];

	if (unseal(proof, s, "proof", msg, PROOF_BYTES) != 0)
		return broken(s, err, "the proof of the other side's key is damaged");
	if (proof[0] < SESSION_PEER || proof[0] > SESSION_INVITE)
		return broken(s, err, "the other side asks for a role that this version does not know");
	s->role = (enum session_role)proof[0];
	if (!identity_proved(s, true, s->role, proof + 1, proof + 33))
		return broken(s, err, "the other side did not prove its key");
	memcpy(s->peer.b, proof + 1, 32);
	transcript_next(s, "starling session 3", msg, PROOF_BYTES);
	open_streams(s);
	return SESSION_READY;
}

/* Input. */

int session_feed(struct session *s, const uint8_t *bytes, size_t len, struct err *err)
{
	if (s->state == BROKEN)
		return err_set(err, ERR_FAILED, "session: it broke before");
	/* Nobody can say more than a hello before the answer, which its next message depends on. */
	if (s->state == AWAIT_HELLO && s->in.len + len > HELLO_BYTES) {
		broken(s, err, "the other side does not speak Starling's protocol");
		return -1;
	}
	if (s->in_at) {
		memmove(s->in.p, s->in.p + s->in_at, s->in.len - s->in_at);
		s->in.len -= s->in_at;
		s->in_at = 0;
	}
	wr_bytes(&s->in, bytes, len);
	if (!wr_ok(&s->in)) {
		broken(s, err, "more bytes were fed than a session buffers");
		return -1;
	}
	return 0;
}

/* The next len bytes of input, or NULL while they are not all there. */
static const uint8_t *take(struct session *s, size_t len)
{
	if (s->in.len - s->in_at < len)
		return NULL;
	s->in_at += len;
	return s->in.p + s->in_at - len;
}

/* All input is used up. */
static enum session_event idle(struct session *s)
{
	s->in_at = 0;
	wr_reset(&s->in);
	if (s->in.cap > IDLE_BYTES_MAX) {
		wr_free(&s->in);
		wr_init(&s->in, INPUT_BYTES_MAX);
	}
	return SESSION_WAIT;
}

static enum session_event next_frame(struct session *s, struct err *err)
{
	struct rd r;
	uint32_t len;
	uint8_t tag;

	if (s->in_at == s->in.len)
		return idle(s);
	rd_init(&r, s->in.p + s->in_at, s->in.len - s->in_at);
	len = rd_u32(&r);
	if (!rd_ok(&r))
		return SESSION_WAIT;
	if (len < FRAME_OVERHEAD || len > FRAME_BYTES_MAX + FRAME_OVERHEAD)
		return broken(s, err, "a frame of impossible length");
	if (rd_left(&r) < len)
		return SESSION_WAIT;
	s->frame_len = len - FRAME_OVERHEAD;
	s->frame = xmalloc(s->frame_len);
	if (crypto_secretstream_xchacha20poly1305_pull(
	            &s->pull, s->frame, NULL, &tag, r.p, len, s->in.p + s->in_at, LENGTH_BYTES) != 0)
		return broken(s, err, "a frame is damaged");
	s->in_at += LENGTH_BYTES + len;
	return SESSION_FRAME;
}

enum session_event session_next(struct session *s, struct err *err)
{
	const uint8_t *msg;

	drop_frame(s);
	switch (s->state) {
	case AWAIT_HELLO:
		msg = take(s, HELLO_BYTES);
		return msg ? on_hello(s, msg, err) : SESSION_WAIT;
	case AWAIT_ANSWER:
		msg = take(s, ANSWER_BYTES);
		return msg ? on_answer(s, msg, err) : SESSION_WAIT;
	case AWAIT_PROOF:
		msg = take(s, PROOF_BYTES);
		return msg ? on_proof(s, msg, err) : SESSION_WAIT;
	case OPEN:
		return next_frame(s, err);
	case BROKEN:
		break;
	}
	return broken(s, err, "it broke before");
}

const uint8_t *session_frame(const struct session *s, size_t *len)
{
	*len = s->frame_len;
	return s->frame;
}

/* Output. */

const uint8_t *session_output(const struct session *s, size_t *len)
{
	*len = s->out.len - s->out_at;
	return *len ? s->out.p + s->out_at : NULL;
}

void session_sent(struct session *s, size_t n)
{
	assert(n <= s->out.len - s->out_at);
	s->out_at += n;
	if (s->out_at < s->out.len) {
		if (s->out_at < OUTPUT_BYTES_MAX / 4)
			return;
		s->out.len -= s->out_at;
		memmove(s->out.p, s->out.p + s->out_at, s->out.len);
		s->out_at = 0;
		return;
	}
	s->out_at = 0;
	wr_reset(&s->out);
	if (s->out.cap > IDLE_BYTES_MAX) {
		wr_free(&s->out);
		wr_init(&s->out, OUTPUT_BYTES_MAX);
	}
}

int session_send(struct session *s, const void *bytes, size_t len, struct err *err)
{
	uint8_t *at;
	size_t start = s->out.len;

	if (s->state != OPEN)
		return err_set(err, ERR_FAILED, "session: the handshake is not done");
	if (len > FRAME_BYTES_MAX)
		return err_set(err, ERR_FAILED, "session: a frame of %zu bytes, at most %d are allowed", len,
		        FRAME_BYTES_MAX);
	wr_u32(&s->out, (uint32_t)(len + FRAME_OVERHEAD));
	at = wr_reserve(&s->out, len + FRAME_OVERHEAD);
	if (!at) {
		s->out.len = start;
		s->out.fail = false;
		return err_set(err, ERR_FAILED, "session: the other side does not read; %zu bytes wait", start);
	}
	crypto_secretstream_xchacha20poly1305_push(
	        &s->push, at, NULL, bytes, len, s->out.p + start, LENGTH_BYTES, 0);
	return 0;
}

const struct key32 *session_peer(const struct session *s)
{
	return &s->peer;
}

enum session_role session_role(const struct session *s)
{
	return s->role;
}
