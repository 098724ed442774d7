#include "gossip/store/record.h"

#include "base/hash.h"
#include "base/text.h"

#include <assert.h>
#include <sodium.h>

/* Bytes before the name: six single bytes, author, stamp, body length, body hash. */
#define FIXED_BYTES 82
/* Longest header. */
#define HEADER_BYTES_MAX (FIXED_BYTES + RECORD_NAME_MAX + 2 * RECORD_REFS_MAX * 32)

static const char signature_domain[] = "starling record 1";

static_assert(sizeof(struct key32) == 32, "references are read in place");
static_assert(HEADER_BYTES_MAX + 64 + BODY_BYTES_MAX <= RECORD_BYTES_MAX, "the longest record fits its limit");

bool record_is_volatile(uint8_t kind)
{
	return kind >= REC_FACTS && kind < 48;
}

/* Kinds that each peer writes for itself: two peers' records of one name are two keys. */
static bool is_own(uint8_t kind)
{
	return kind == REC_ADMISSION || record_is_volatile(kind);
}

void record_key(struct key32 *out, uint8_t kind, const struct key32 *author, const char *name)
{
	struct hash_piece pieces[] = {{&kind, 1}, {name, strlen(name)}, {author, sizeof(*author)}};

	hash_pieces(out, "starling record key 1", pieces, is_own(kind) ? 3 : 2);
}

static bool name_is_plain(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return false;
	return text_is_utf8(s, len);
}

static const struct key32 *read_refs(struct rd *r, unsigned n)
{
	return n ? (const struct key32 *)rd_bytes(r, n * sizeof(struct key32)) : NULL;
}

static int decode_header(struct record *out, struct rd *r, struct err *err)
{
	const uint8_t *name;

	*out = (struct record){.version = rd_u8(r)};
	out->kind = rd_u8(r);
	out->flags = rd_u8(r);
	out->n_parents = rd_u8(r);
	out->n_prev = rd_u8(r);
	out->name_len = rd_u8(r);
	rd_key32(r, &out->author);
	out->stamp = rd_u64(r);
	out->body_len = rd_u32(r);
	rd_key32(r, &out->body_hash);
	if (rd_ok(r) && out->version != RECORD_VERSION)
		return err_set(err, ERR_USAGE, "record: version %u, this agent knows %u; upgrade the agent",
		        out->version, RECORD_VERSION);
	if (out->n_parents > RECORD_REFS_MAX || out->n_prev > RECORD_REFS_MAX || out->name_len > RECORD_NAME_MAX)
		return err_set(err, ERR_USAGE,
		        "record: %u parents, %u previous heads, name of %u bytes: over the limit", out->n_parents,
		        out->n_prev, out->name_len);
	if (out->body_len > BODY_BYTES_MAX)
		return err_set(err, ERR_USAGE, "record: body of %u bytes, at most %u are allowed", out->body_len,
		        BODY_BYTES_MAX);
	name = rd_bytes(r, out->name_len);
	out->parents = read_refs(r, out->n_parents);
	out->prev = read_refs(r, out->n_prev);
	if (!rd_ok(r))
		return err_set(err, ERR_USAGE, "record: %s", r->fail);
	memcpy(out->name, name, out->name_len);
	if (!name_is_plain(out->name, out->name_len))
		return err_set(err, ERR_USAGE, "record: its name is not plain UTF-8");
	return 0;
}

/* The body is there whole or not at all, and is what the header promised. */
static int decode_body(struct record *out, struct rd *r, struct err *err)
{
	struct key32 hash;
	size_t left = rd_left(r);
	const uint8_t *body;

	if (out->body_len && !left)
		return 0;
	if (left != out->body_len)
		return err_set(
		        err, ERR_USAGE, "record: %zu bytes of body, its header says %u", left, out->body_len);
	body = rd_bytes(r, left);
	hash32(&hash, body, left);
	if (!key32_eq(&hash, &out->body_hash))
		return err_set(err, ERR_USAGE, "record: body does not match its hash");
	out->body = left ? body : NULL;
	return 0;
}

int record_decode(struct record *out, const uint8_t *bytes, size_t len, struct err *err)
{
	struct rd r;

	rd_init(&r, bytes, len);
	if (decode_header(out, &r, err) < 0)
		return -1;
	hash32(&out->id, bytes, (size_t)(r.p - bytes));
	record_key(&out->key, out->kind, &out->author, out->name);
	rd_copy(&r, out->sig, sizeof(out->sig));
	if (!rd_ok(&r))
		return err_set(err, ERR_USAGE, "record: %s", r.fail);
	return decode_body(out, &r, err);
}

void record_encode_header(struct wr *w, const struct record *r)
{
	assert(r->n_parents <= RECORD_REFS_MAX && r->n_prev <= RECORD_REFS_MAX && r->name_len <= RECORD_NAME_MAX);
	wr_u8(w, r->version);
	wr_u8(w, r->kind);
	wr_u8(w, r->flags);
	wr_u8(w, r->n_parents);
	wr_u8(w, r->n_prev);
	wr_u8(w, r->name_len);
	wr_key32(w, &r->author);
	wr_u64(w, r->stamp);
	wr_u32(w, r->body_len);
	wr_key32(w, &r->body_hash);
	wr_bytes(w, r->name, r->name_len);
	wr_bytes(w, r->parents, r->n_parents * sizeof(struct key32));
	wr_bytes(w, r->prev, r->n_prev * sizeof(struct key32));
}

void record_encode(struct wr *w, const struct record *r)
{
	record_encode_header(w, r);
	wr_bytes(w, r->sig, sizeof(r->sig));
	if (r->body)
		wr_bytes(w, r->body, r->body_len);
}

/* What is signed: domain | flock | header. Room for the domain is counted without its NUL. */
struct signed_text {
	uint8_t bytes[sizeof(signature_domain) + 32 + HEADER_BYTES_MAX];
	size_t len;
	size_t header_at;
};

static void signed_text(struct signed_text *t, const struct record *r, const struct key32 *flock)
{
	struct wr w;

	wr_fixed(&w, t->bytes, sizeof(t->bytes));
	wr_bytes(&w, signature_domain, strlen(signature_domain));
	wr_key32(&w, flock);
	t->header_at = w.len;
	record_encode_header(&w, r);
	assert(wr_ok(&w));
	t->len = w.len;
}

void record_sign(struct record *r, const struct key32 *flock, const uint8_t secret_key[64])
{
	struct signed_text t;

	r->version = RECORD_VERSION;
	r->name_len = (uint8_t)strlen(r->name);
	if (!r->body_len)
		r->body = NULL;
	memcpy(r->author.b, secret_key + 32, 32); /* libsodium keeps the public key behind the seed */
	hash32(&r->body_hash, r->body, r->body_len);
	signed_text(&t, r, flock);
	hash32(&r->id, t.bytes + t.header_at, t.len - t.header_at);
	record_key(&r->key, r->kind, &r->author, r->name);
	crypto_sign_detached(r->sig, NULL, t.bytes, t.len, secret_key);
}

bool record_verify(const struct record *r, const struct key32 *flock)
{
	struct signed_text t;

	signed_text(&t, r, flock);
	return crypto_sign_verify_detached(r->sig, t.bytes, t.len, r->author.b) == 0;
}
