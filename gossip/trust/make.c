/* Makers: each appends one encoded, signed record. */
#include "gossip/trust/bodies.h"

#include "base/text.h"

#include <sodium.h>

static const struct key32 no_flock;

/* Signs and appends a record whose name is a key in hex (or empty). */
static void make(struct wr *w, struct record *r, const struct wr *body, const struct key32 *about,
        const struct key32 *flock, const uint8_t secret[64])
{
	if (about)
		hex_encode(r->name, about->b, sizeof(about->b));
	r->body = body->p;
	r->body_len = (uint32_t)body->len;
	record_sign(r, flock, secret);
	record_encode(w, r);
}

void trust_make_genesis(struct wr *w, const char *flock_name, wall_ms created, const uint8_t root_secret[64],
        struct key32 *flock_out)
{
	trust_make_genesis_named(w, flock_name, created, NULL, root_secret, flock_out);
}

void trust_make_genesis_named(struct wr *w, const char *flock_name, wall_ms created,
        const struct key32 *successor, const uint8_t root_secret[64], struct key32 *flock_out)
{
	uint8_t buf[TRUST_BODY_MAX];
	struct record r = {.kind = REC_GENESIS, .stamp = (uint64_t)created << 16};
	struct genesis g = {.created = created};
	struct wr body;

	text_copy(g.name, sizeof(g.name), flock_name);
	memcpy(g.root.b, root_secret + 32, 32);
	if (successor)
		g.successor = *successor;
	wr_fixed(&body, buf, sizeof(buf));
	body_put_genesis(&body, &g);
	make(w, &r, &body, NULL, &no_flock, root_secret);
	*flock_out = r.id;
}

void trust_make_succession(struct wr *w, const struct key32 *flock, const struct key32 *successor, uint64_t stamp,
        const struct key32 *prev, size_t n_prev, const uint8_t root_secret[64])
{
	uint8_t buf[TRUST_BODY_MAX];
	struct record r = {.kind = REC_SUCCESSION, .stamp = stamp, .prev = prev, .n_prev = (uint8_t)n_prev};
	struct wr body;

	wr_fixed(&body, buf, sizeof(buf));
	body_put_succession(&body, successor);
	make(w, &r, &body, successor, flock, root_secret);
}

void trust_make_grant(struct wr *w, const struct key32 *flock, const struct grant *g, uint64_t stamp,
        const struct key32 *prev, size_t n_prev, const uint8_t granter_secret[64])
{
	uint8_t buf[TRUST_BODY_MAX];
	struct record r = {.kind = REC_GRANT, .stamp = stamp, .prev = prev, .n_prev = (uint8_t)n_prev};
	struct wr body;

	wr_fixed(&body, buf, sizeof(buf));
	body_put_grant(&body, g);
	make(w, &r, &body, &g->operator_key, flock, granter_secret);
}

void trust_make_invite(struct wr *w, const struct key32 *flock, const struct invite *inv, uint64_t stamp,
        const struct key32 *prev, size_t n_prev, const uint8_t operator_secret[64])
{
	uint8_t buf[TRUST_BODY_MAX];
	struct record r = {.kind = REC_INVITE, .stamp = stamp, .prev = prev, .n_prev = (uint8_t)n_prev};
	struct wr body;

	wr_fixed(&body, buf, sizeof(buf));
	body_put_invite(&body, inv);
	make(w, &r, &body, &inv->id, flock, operator_secret);
}

static void make_with_list(struct wr *w, uint8_t kind, const struct key32 *flock, const struct key32 *key,
        const struct key32 *list, size_t n, uint64_t stamp, const struct key32 *prev, size_t n_prev,
        const uint8_t secret[64])
{
	struct record r = {.kind = kind, .stamp = stamp, .prev = prev, .n_prev = (uint8_t)n_prev};
	struct wr body;

	wr_init(&body, BODY_BYTES_MAX);
	body_put_key_and_list(&body, key, list, n);
	make(w, &r, &body, key, flock, secret);
	wr_free(&body);
}

void trust_make_revocation(struct wr *w, const struct key32 *flock, const struct key32 *key,
        const struct key32 *heads, size_t n_heads, uint64_t stamp, const struct key32 *prev, size_t n_prev,
        const uint8_t operator_secret[64])
{
	make_with_list(w, REC_REVOCATION, flock, key, heads, n_heads, stamp, prev, n_prev, operator_secret);
}

void trust_make_eviction(struct wr *w, const struct key32 *flock, const struct key32 *peer,
        const struct key32 *good, size_t n_good, uint64_t stamp, const struct key32 *prev, size_t n_prev,
        const uint8_t operator_secret[64])
{
	make_with_list(w, REC_EVICTION, flock, peer, good, n_good, stamp, prev, n_prev, operator_secret);
}

void trust_make_setting(struct wr *w, const struct key32 *flock, const struct setting_text *s, uint64_t stamp,
        const struct key32 *prev, size_t n_prev, const uint8_t operator_secret[64])
{
	struct record r = {.kind = REC_SETTING,
	        .stamp = stamp,
	        .n_parents = (uint8_t)s->n_parents,
	        .parents = s->parents,
	        .prev = prev,
	        .n_prev = (uint8_t)n_prev,
	        .body = s->body,
	        .body_len = (uint32_t)s->body_len};

	text_copy(r.name, sizeof(r.name), s->name);
	record_sign(&r, flock, operator_secret);
	record_encode(w, &r);
}

void trust_claim_invite(struct admission *a, const struct key32 *flock, const struct key32 *peer,
        const uint8_t invite_secret[64], uint32_t use)
{
	*a = (struct admission){.peer = *peer, .use = use};
	admission_sign_claim(a, flock, invite_secret);
}

void trust_vouch_first(
        struct admission *a, const struct key32 *flock, const struct key32 *peer, const uint8_t admin_secret[64])
{
	*a = (struct admission){.peer = *peer};
	admission_sign_voucher(a, flock, admin_secret);
}

void trust_make_admission(struct wr *w, const struct key32 *flock, const struct admission *a, uint64_t stamp,
        const uint8_t peer_secret[64])
{
	uint8_t buf[TRUST_BODY_MAX];
	struct record r = {.kind = REC_ADMISSION, .stamp = stamp};
	struct wr body;

	wr_fixed(&body, buf, sizeof(buf));
	body_put_admission(&body, a);
	make(w, &r, &body, NULL, flock, peer_secret);
}
