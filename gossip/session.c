#include "gossip/handshake.h"

#include <assert.h>
#include <sodium.h>

#define LENGTH_BYTES   4
#define FRAME_OVERHEAD crypto_secretstream_xchacha20poly1305_ABYTES
/* Bytes that may wait to be sent: 64 frames; past it the other side does not read. */
#define OUTPUT_BYTES_MAX (64 * (FRAME_BYTES_MAX + FRAME_OVERHEAD + LENGTH_BYTES))
/* Bytes of input that may wait: a frame that lacks its last byte, and one read of a socket. */
#define INPUT_BYTES_MAX (2 * (FRAME_BYTES_MAX + FRAME_OVERHEAD + LENGTH_BYTES))
/* Bytes of buffer that an idle session keeps; larger ones are given back. */
#define IDLE_BYTES_MAX 4096

/*
 *	initiator: AWAIT_ANSWER ------------------> OPEN
 *	responder: AWAIT_HELLO ---> AWAIT_PROOF --> OPEN        any failure: BROKEN, for good
 */
enum state { AWAIT_HELLO, AWAIT_ANSWER, AWAIT_PROOF, OPEN, BROKEN };

struct session {
	enum state state;
	bool initiator;
	enum session_role role;
	struct key32 expect;
	bool any; /* no expectation */
	struct key32 peer;
	struct handshake *shake; /* freed once it is done */
	struct wr in;
	size_t in_at; /* bytes of in that were used */
	struct wr out;
	size_t out_at; /* bytes of out that were sent */
	uint8_t *frame;
	size_t frame_len;
	crypto_secretstream_xchacha20poly1305_state push, pull;
};

/* A stream's state from its key alone. libsodium's init_push would draw a random header; the key is fresh and
 * used for one direction of one session, so a fixed header is as good and needs not be sent. */
static void stream_init(crypto_secretstream_xchacha20poly1305_state *state, const uint8_t key[32])
{
	static const uint8_t header[crypto_secretstream_xchacha20poly1305_HEADERBYTES];

	crypto_secretstream_xchacha20poly1305_init_pull(state, header, key);
}

static void drop_handshake(struct session *s)
{
	if (s->shake)
		handshake_wipe(s->shake);
	free(s->shake);
	s->shake = NULL;
}

static void open_streams(struct session *s)
{
	uint8_t initiator[32], responder[32];

	handshake_keys(s->shake, initiator, responder);
	stream_init(&s->push, s->initiator ? initiator : responder);
	stream_init(&s->pull, s->initiator ? responder : initiator);
	sodium_memzero(initiator, sizeof(initiator));
	sodium_memzero(responder, sizeof(responder));
	drop_handshake(s);
	s->state = OPEN;
}

/* Making and breaking. */

static struct session *session_new(const struct key32 *flock, const uint8_t secret[64], struct drbg *rng)
{
	struct session *s = xcalloc(1, sizeof(*s));

	s->shake = xmalloc(sizeof(*s->shake));
	handshake_init(s->shake, flock, secret, rng);
	wr_init(&s->in, INPUT_BYTES_MAX);
	wr_init(&s->out, OUTPUT_BYTES_MAX);
	return s;
}

struct session *session_connect(const struct key32 *flock, enum session_role role, const uint8_t secret[64],
        const struct key32 *expect, struct drbg *rng)
{
	struct session *s = session_new(flock, secret, rng);
	uint8_t hello[HELLO_BYTES];

	s->state = AWAIT_ANSWER;
	s->initiator = true;
	s->role = role;
	s->any = !expect;
	if (expect)
		s->expect = *expect;
	handshake_hello(s->shake, hello);
	wr_bytes(&s->out, hello, sizeof(hello));
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
	drop_handshake(s);
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
	uint8_t answer[ANSWER_BYTES];
	const char *why = handshake_on_hello(s->shake, msg, answer);

	if (why)
		return broken(s, err, why);
	wr_bytes(&s->out, answer, sizeof(answer));
	s->state = AWAIT_PROOF;
	return SESSION_WAIT;
}

static enum session_event on_answer(struct session *s, const uint8_t *msg, struct err *err)
{
	uint8_t proof[PROOF_BYTES];
	const char *why =
	        handshake_on_answer(s->shake, msg, s->role, s->any ? NULL : &s->expect, &s->peer, proof);

	if (why)
		return broken(s, err, why);
	wr_bytes(&s->out, proof, sizeof(proof));
	open_streams(s);
	return SESSION_READY;
}

static enum session_event on_proof(struct session *s, const uint8_t *msg, struct err *err)
{
	const char *why = handshake_on_proof(s->shake, msg, &s->role, &s->peer);

	if (why)
		return broken(s, err, why);
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
