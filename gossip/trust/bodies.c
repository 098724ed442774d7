#include "gossip/trust/bodies.h"

#include "base/text.h"

#include <assert.h>
#include <sodium.h>

static void put_key(struct wr *w, const struct key32 *k)
{
	pk_bin(w, k->b, sizeof(k->b));
}

static void get_key(struct rd *r, struct key32 *k)
{
	up_bin_copy(r, k->b, sizeof(k->b));
}

static void get_array(struct rd *r, uint32_t n)
{
	if (up_array(r) != n)
		rd_fail(r, "another number of fields expected");
}

static int end(struct rd *r, const struct record *rec, struct err *err)
{
	struct err why = {0};

	if (rd_end(r, &why) == 0)
		return 0;
	return err_set(err, ERR_USAGE, "record of kind %u: body is %s", rec->kind, why.text);
}

void body_put_genesis(struct wr *w, const struct genesis *g)
{
	bool named = !key32_is_zero(&g->successor);

	pk_array(w, named ? 4 : 3);
	pk_str(w, g->name);
	pk_u64(w, (uint64_t)g->created);
	put_key(w, &g->root);
	if (named)
		put_key(w, &g->successor);
}

int body_get_genesis(struct genesis *g, const struct record *rec, struct err *err)
{
	struct rd r;
	uint32_t n;

	*g = (struct genesis){0};
	rd_init(&r, rec->body, rec->body ? rec->body_len : 0);
	n = up_array(&r);
	up_str_copy(&r, g->name, sizeof(g->name));
	g->created = up_i64(&r);
	get_key(&r, &g->root);
	if (n == 4)
		get_key(&r, &g->successor);
	else if (n != 3)
		rd_fail(&r, "another number of fields expected");
	if (rd_ok(&r) && n == 4 && (key32_is_zero(&g->successor) || key32_eq(&g->successor, &g->root)))
		rd_fail(&r, "the root's successor is no key, or the root itself");
	if (rd_ok(&r) && !text_is_label(g->name, false))
		rd_fail(&r, "the flock's name is not a label");
	return end(&r, rec, err);
}

void body_put_grant(struct wr *w, const struct grant *g)
{
	pk_array(w, 5);
	put_key(w, &g->operator_key);
	pk_u64(w, g->role);
	pk_u64(w, g->powers);
	pk_str(w, g->name);
	pk_array(w, (uint32_t)g->n_globs);
	for (size_t i = 0; i < g->n_globs; i++)
		pk_str(w, g->globs[i]);
}

int body_get_grant(struct grant *g, const struct record *rec, struct err *err)
{
	struct rd r;
	uint64_t role, powers;

	*g = (struct grant){0};
	rd_init(&r, rec->body, rec->body ? rec->body_len : 0);
	get_array(&r, 5);
	get_key(&r, &g->operator_key);
	role = up_u64(&r);
	powers = up_u64(&r);
	up_str_copy(&r, g->name, sizeof(g->name));
	g->n_globs = up_array(&r);
	if (role < ROLE_READ || role > ROLE_ADMIN)
		rd_fail(&r, "no such role");
	if (powers > UINT32_MAX)
		rd_fail(&r, "no such powers");
	if (g->n_globs > GRANT_GLOBS_MAX) {
		rd_fail(&r, "too many stack globs");
		g->n_globs = 0;
	}
	for (size_t i = 0; i < g->n_globs; i++)
		up_str_copy(&r, g->globs[i], sizeof(g->globs[i]));
	g->role = (enum role)role;
	g->powers = (uint32_t)powers;
	return end(&r, rec, err);
}

void body_put_invite(struct wr *w, const struct invite *inv)
{
	pk_array(w, 3);
	put_key(w, &inv->id);
	pk_u64(w, inv->uses);
	pk_i64(w, inv->expires);
}

int body_get_invite(struct invite *inv, const struct record *rec, struct err *err)
{
	struct rd r;
	uint64_t uses;

	*inv = (struct invite){0};
	rd_init(&r, rec->body, rec->body ? rec->body_len : 0);
	get_array(&r, 3);
	get_key(&r, &inv->id);
	uses = up_u64(&r);
	inv->expires = up_i64(&r);
	if (uses < 1 || uses > INVITE_USES_MAX)
		rd_fail(&r, "number of uses out of range");
	inv->uses = (uint32_t)uses;
	return end(&r, rec, err);
}

void body_put_admission(struct wr *w, const struct admission *a)
{
	pk_array(w, 5);
	put_key(w, &a->invite);
	pk_u64(w, a->use);
	pk_bin(w, a->invite_sig, sizeof(a->invite_sig));
	put_key(w, &a->voucher);
	pk_bin(w, a->voucher_sig, sizeof(a->voucher_sig));
}

int body_get_admission(struct admission *a, const struct record *rec, struct err *err)
{
	struct rd r;
	uint64_t use;

	*a = (struct admission){.peer = rec->author};
	rd_init(&r, rec->body, rec->body ? rec->body_len : 0);
	get_array(&r, 5);
	get_key(&r, &a->invite);
	use = up_u64(&r);
	up_bin_copy(&r, a->invite_sig, sizeof(a->invite_sig));
	get_key(&r, &a->voucher);
	up_bin_copy(&r, a->voucher_sig, sizeof(a->voucher_sig));
	if (use >= INVITE_USES_MAX)
		rd_fail(&r, "use number out of range");
	a->use = (uint32_t)use;
	return end(&r, rec, err);
}

void body_put_succession(struct wr *w, const struct key32 *successor)
{
	pk_array(w, 1);
	put_key(w, successor);
}

int body_get_succession(struct key32 *successor, const struct record *rec, struct err *err)
{
	struct rd r;

	rd_init(&r, rec->body, rec->body ? rec->body_len : 0);
	get_array(&r, 1);
	get_key(&r, successor);
	if (rd_ok(&r) && key32_is_zero(successor))
		rd_fail(&r, "the successor is no key");
	return end(&r, rec, err);
}

void body_put_key_and_list(struct wr *w, const struct key32 *key, const struct key32 *list, size_t n)
{
	pk_array(w, 2);
	put_key(w, key);
	pk_array(w, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		put_key(w, &list[i]);
}

static int get_key_and_list(struct key32 *key, struct key_list *l, const struct record *rec, struct err *err)
{
	struct key_list walk;
	struct key32 k;
	struct rd r;

	rd_init(&r, rec->body, rec->body ? rec->body_len : 0);
	get_array(&r, 2);
	get_key(&r, key);
	l->n = up_array(&r);
	l->at = r;
	walk = *l;
	while (body_next_key(&walk, &k))
		;
	return end(&walk.at, rec, err);
}

int body_get_revocation(struct revocation *v, const struct record *rec, struct err *err)
{
	return get_key_and_list(&v->key, &v->heads, rec, err);
}

int body_get_eviction(struct eviction *e, const struct record *rec, struct err *err)
{
	return get_key_and_list(&e->peer, &e->good, rec, err);
}

bool body_next_key(struct key_list *l, struct key32 *out)
{
	if (!l->n)
		return false;
	l->n--;
	get_key(&l->at, out);
	return rd_ok(&l->at);
}

/* Signatures inside an admission. Longest text: domain, flock, peer, invite, use, signature. */
#define ADMISSION_TEXT_MAX 256

/* voucher: what the voucher signs, which also covers the invite's signature; else what the invite signs. A first
 * peer has no invite: there the domain differs, so that neither signature can stand for the other. */
static size_t admission_text(
        uint8_t out[ADMISSION_TEXT_MAX], const struct admission *a, const struct key32 *flock, bool voucher)
{
	const char *domain = !voucher                    ? "starling claim 1"
	                     : key32_is_zero(&a->invite) ? "starling first peer 1"
	                                                 : "starling voucher 1";
	struct wr w;

	wr_fixed(&w, out, ADMISSION_TEXT_MAX);
	wr_bytes(&w, domain, strlen(domain));
	wr_key32(&w, flock);
	wr_key32(&w, &a->peer);
	wr_key32(&w, &a->invite);
	wr_u32(&w, a->use);
	if (voucher)
		wr_bytes(&w, a->invite_sig, sizeof(a->invite_sig));
	assert(wr_ok(&w));
	return w.len;
}

void admission_sign_claim(struct admission *a, const struct key32 *flock, const uint8_t invite_secret[64])
{
	uint8_t text[ADMISSION_TEXT_MAX];

	memcpy(a->invite.b, invite_secret + 32, 32);
	crypto_sign_detached(a->invite_sig, NULL, text, admission_text(text, a, flock, false), invite_secret);
}

bool admission_claim_signed(const struct admission *a, const struct key32 *flock)
{
	uint8_t text[ADMISSION_TEXT_MAX];
	size_t len = admission_text(text, a, flock, false);

	return crypto_sign_verify_detached(a->invite_sig, text, len, a->invite.b) == 0;
}

void admission_sign_voucher(struct admission *a, const struct key32 *flock, const uint8_t secret[64])
{
	uint8_t text[ADMISSION_TEXT_MAX];

	memcpy(a->voucher.b, secret + 32, 32);
	crypto_sign_detached(a->voucher_sig, NULL, text, admission_text(text, a, flock, true), secret);
}

bool admission_voucher_signed(const struct admission *a, const struct key32 *flock)
{
	uint8_t text[ADMISSION_TEXT_MAX];
	size_t len = admission_text(text, a, flock, true);

	return crypto_sign_verify_detached(a->voucher_sig, text, len, a->voucher.b) == 0;
}
