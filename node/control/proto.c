#include "node/control/proto.h"

#include "base/hash.h"

#include <sodium.h>

#define REQUEST_DOMAIN "starling request 1"

/* A message's length comes before it and is known after it: reserve, write, patch. */
static size_t open_message(struct wr *w)
{
	size_t at = w->len;

	wr_u32(w, 0);
	return at;
}

static void close_message(struct wr *w, size_t at)
{
	if (wr_ok(w))
		wr_patch_u32(w, at, (uint32_t)(w->len - at - 4));
}

void proto_hello(struct wr *w, const struct hello *h)
{
	size_t at = open_message(w);

	pk_map(w, 9);
	pk_kv_u64(w, "hello", 1);
	pk_kv_bin(w, "flock", h->flock.b, 32);
	pk_kv_str(w, "flock_name", h->flock_name);
	pk_kv_bin(w, "peer", h->peer.b, 32);
	pk_kv_str(w, "peer_name", h->peer_name);
	pk_kv_u64(w, "boot", h->boot);
	pk_kv_bin(w, "nonce", h->nonce, sizeof(h->nonce));
	pk_kv_str(w, "version", h->version);
	pk_kv_u64(w, "stamp", h->stamp);
	close_message(w, at);
}

/* What a request's signature covers, hashed: Ed25519 signs these 32 bytes. */
static void request_digest(struct key32 *out, const struct hello *to, const char *verb, uint32_t seq,
        const uint8_t *args, size_t args_len)
{
	uint8_t numbers[8];
	struct wr w;

	wr_fixed(&w, numbers, sizeof(numbers));
	wr_u32(&w, to->boot);
	wr_u32(&w, seq);
	hash_pieces(out, REQUEST_DOMAIN,
	        (struct hash_piece[]){
	                {to->flock.b, sizeof(to->flock.b)},
	                {to->peer.b, sizeof(to->peer.b)},
	                {to->nonce, sizeof(to->nonce)},
	                {numbers, sizeof(numbers)},
	                {verb, strlen(verb)},
	                {args, args_len},
	        },
	        6);
}

void proto_request(struct wr *w, const char *verb, uint32_t seq, const struct wr *args, const struct hello *to,
        const uint8_t secret[64])
{
	size_t at = open_message(w);

	pk_map(w, secret ? 4 : 3);
	pk_kv_str(w, "verb", verb);
	pk_kv_u64(w, "seq", seq);
	pk_str(w, "args");
	wr_bytes(w, args->p, args->len);
	if (secret) {
		struct key32 digest;
		struct key32 key;
		uint8_t sig[64];

		request_digest(&digest, to, verb, seq, args->p, args->len);
		crypto_sign_detached(sig, NULL, digest.b, sizeof(digest.b), secret);
		crypto_sign_ed25519_sk_to_pk(key.b, secret);
		pk_str(w, "auth");
		pk_map(w, 2);
		pk_kv_bin(w, "key", key.b, 32);
		pk_kv_bin(w, "sig", sig, 64);
	}
	close_message(w, at);
}

static void one_value(struct wr *w, const char *key, const struct wr *value)
{
	size_t at = open_message(w);

	pk_map(w, 1);
	pk_str(w, key);
	if (!wr_ok(value))
		w->fail = true;
	wr_bytes(w, value->p, value->len);
	close_message(w, at);
}

void proto_item(struct wr *w, const struct wr *value)
{
	one_value(w, "item", value);
}

void proto_end(struct wr *w, const struct wr *value)
{
	one_value(w, "end", value);
}

void proto_reset(struct wr *w, uint32_t n)
{
	size_t at = open_message(w);

	pk_map(w, 1);
	pk_kv_u64(w, "reset", n);
	close_message(w, at);
}

void proto_error(struct wr *w, const struct err *err)
{
	size_t at = open_message(w);

	pk_map(w, 1);
	pk_str(w, "error");
	pk_map(w, 2);
	pk_kv_u64(w, "code", (uint64_t)err->code);
	pk_kv_str(w, "text", err->text);
	close_message(w, at);
}

void proto_in_init(struct proto_in *in)
{
	/* One whole message, and what a read of the next brought along. */
	wr_init(&in->buf, CONTROL_MESSAGE_MAX + 4 + 2 * FRAME_BYTES_MAX);
	in->at = 0;
}

void proto_in_free(struct proto_in *in)
{
	wr_free(&in->buf);
	in->at = 0;
}

int proto_in_feed(struct proto_in *in, const void *bytes, size_t len, struct err *err)
{
	if (in->at) {
		memmove(in->buf.p, in->buf.p + in->at, in->buf.len - in->at);
		in->buf.len -= in->at;
		in->at = 0;
	}
	wr_bytes(&in->buf, bytes, len);
	if (!wr_ok(&in->buf))
		return err_set(err, ERR_USAGE, "control message longer than %d bytes", CONTROL_MESSAGE_MAX);
	return 0;
}

const uint8_t *proto_in_take(struct proto_in *in, size_t *len, struct err *err)
{
	struct rd r;
	size_t have = in->buf.len - in->at;
	const uint8_t *msg;

	if (have < 4)
		return NULL;
	rd_init(&r, in->buf.p + in->at, have);
	*len = rd_u32(&r);
	if (*len > CONTROL_MESSAGE_MAX) {
		err_set(err, ERR_USAGE, "control message announces %zu bytes; at most %d are read", *len,
		        CONTROL_MESSAGE_MAX);
		return NULL;
	}
	if (have - 4 < *len)
		return NULL;
	msg = in->buf.p + in->at + 4;
	in->at += 4 + *len;
	return msg;
}

int proto_read_hello(struct hello *out, const uint8_t *msg, size_t len, struct err *err)
{
	struct rd r;
	bool is_hello = false;
	uint32_t n;

	*out = (struct hello){0};
	rd_init(&r, msg, len);
	n = up_map(&r);
	for (uint32_t i = 0; i < n && rd_ok(&r); i++) {
		size_t key_len;
		const char *key = up_str(&r, &key_len);

		if (up_is(key, key_len, "hello"))
			is_hello = up_u64(&r) == 1;
		else if (up_is(key, key_len, "flock"))
			up_bin_copy(&r, out->flock.b, 32);
		else if (up_is(key, key_len, "flock_name"))
			up_str_copy(&r, out->flock_name, sizeof(out->flock_name));
		else if (up_is(key, key_len, "peer"))
			up_bin_copy(&r, out->peer.b, 32);
		else if (up_is(key, key_len, "peer_name"))
			up_str_copy(&r, out->peer_name, sizeof(out->peer_name));
		else if (up_is(key, key_len, "boot"))
			out->boot = (uint32_t)up_u64(&r);
		else if (up_is(key, key_len, "nonce"))
			up_bin_copy(&r, out->nonce, sizeof(out->nonce));
		else if (up_is(key, key_len, "version"))
			up_str_copy(&r, out->version, sizeof(out->version));
		else if (up_is(key, key_len, "stamp"))
			out->stamp = up_u64(&r);
		else
			up_skip(&r);
	}
	if (rd_end(&r, err) < 0)
		return err_wrap(err, "agent's greeting");
	if (!is_hello)
		return err_set(
		        err, ERR_FAILED, "agent's greeting: another protocol version; use a CLI of its version");
	return 0;
}

/* The bytes of one value, stepped over. */
static const uint8_t *raw_value(struct rd *r, size_t *len)
{
	const uint8_t *at = r->p;

	up_skip(r);
	*len = rd_ok(r) ? (size_t)(r->p - at) : 0;
	return rd_ok(r) ? at : NULL;
}

static void read_auth(struct rd *r, struct request *out)
{
	bool key_seen = false;
	bool sig_seen = false;
	uint32_t n = up_map(r);

	for (uint32_t i = 0; i < n && rd_ok(r); i++) {
		size_t key_len;
		const char *key = up_str(r, &key_len);

		if (up_is(key, key_len, "key")) {
			up_bin_copy(r, out->key.b, 32);
			key_seen = true;
		} else if (up_is(key, key_len, "sig")) {
			up_bin_copy(r, out->sig, 64);
			sig_seen = true;
		} else {
			up_skip(r);
		}
	}
	out->has_auth = key_seen && sig_seen;
}

int proto_read_request(struct request *out, const uint8_t *msg, size_t len, struct err *err)
{
	struct rd r;
	uint32_t n;

	*out = (struct request){0};
	rd_init(&r, msg, len);
	n = up_map(&r);
	for (uint32_t i = 0; i < n && rd_ok(&r); i++) {
		size_t key_len;
		const char *key = up_str(&r, &key_len);

		if (up_is(key, key_len, "verb"))
			up_str_copy(&r, out->verb, sizeof(out->verb));
		else if (up_is(key, key_len, "seq"))
			out->seq = (uint32_t)up_u64(&r);
		else if (up_is(key, key_len, "args")) {
			if (up_peek(&r) != UP_MAP)
				rd_fail(&r, "args must be a map");
			out->args = raw_value(&r, &out->args_len);
		} else if (up_is(key, key_len, "auth"))
			read_auth(&r, out);
		else
			up_skip(&r);
	}
	if (rd_end(&r, err) < 0)
		return err_wrap(err, "control request");
	if (!out->verb[0] || !out->args)
		return err_set(err, ERR_USAGE, "control request: verb and args are required");
	return 0;
}

bool proto_request_signed(const struct request *r, const struct hello *by)
{
	struct key32 digest;

	if (!r->has_auth)
		return false;
	request_digest(&digest, by, r->verb, r->seq, r->args, r->args_len);
	return crypto_sign_verify_detached(r->sig, digest.b, sizeof(digest.b), r->key.b) == 0;
}

static void read_error(struct rd *r, struct err *out)
{
	uint32_t n = up_map(r);

	out->code = ERR_FAILED;
	for (uint32_t i = 0; i < n && rd_ok(r); i++) {
		size_t key_len;
		const char *key = up_str(r, &key_len);

		if (up_is(key, key_len, "code")) {
			uint64_t code = up_u64(r);

			if (code >= ERR_FAILED && code <= ERR_UNAUTHORISED)
				out->code = (enum err_code)code;
		} else if (up_is(key, key_len, "text")) {
			up_str_copy(r, out->text, sizeof(out->text));
		} else {
			up_skip(r);
		}
	}
}

int proto_read_reply(struct reply *out, const uint8_t *msg, size_t len, struct err *err)
{
	struct rd r;
	size_t key_len = 0;
	const char *key;

	*out = (struct reply){0};
	rd_init(&r, msg, len);
	if (up_map(&r) != 1)
		rd_fail(&r, "a map of one entry expected");
	key = up_str(&r, &key_len);
	if (up_is(key, key_len, "item")) {
		out->kind = REPLY_ITEM;
		out->value = raw_value(&r, &out->value_len);
	} else if (up_is(key, key_len, "end")) {
		out->kind = REPLY_END;
		out->value = raw_value(&r, &out->value_len);
	} else if (up_is(key, key_len, "reset")) {
		out->kind = REPLY_RESET;
		out->n = (uint32_t)up_u64(&r);
	} else if (up_is(key, key_len, "error")) {
		out->kind = REPLY_ERROR;
		read_error(&r, &out->error);
	} else {
		rd_fail(&r, "item, reset, end or error expected");
	}
	if (rd_end(&r, err) < 0)
		return err_wrap(err, "agent's reply");
	return 0;
}
