/* Both sides' messages, and what a peer answers. The joiner's judgement is in founding.c. */
#include "node/join.h"

#include "base/hash.h"
#include "base/map.h"
#include "base/text.h"
#include "gossip/trust/bodies.h"

int join_read_ask(struct join_ask *out, const uint8_t *args, size_t len, struct err *err)
{
	bool peer = false, use = false, claim = false;
	struct rd r;
	uint32_t n;

	*out = (struct join_ask){0};
	rd_init(&r, args, len);
	n = up_map(&r);
	for (uint32_t i = 0; i < n && rd_ok(&r); i++) {
		size_t key_len;
		const char *key = up_str(&r, &key_len);

		if (up_is(key, key_len, "peer")) {
			up_bin_copy(&r, out->peer.b, sizeof(out->peer.b));
			peer = true;
		} else if (up_is(key, key_len, "use")) {
			uint64_t v = up_u64(&r);

			if (v > UINT32_MAX)
				rd_fail(&r, "use: too large");
			out->use = (uint32_t)v;
			use = true;
		} else if (up_is(key, key_len, "claim")) {
			up_bin_copy(&r, out->claim, sizeof(out->claim));
			claim = true;
		} else {
			up_skip(&r);
		}
	}
	if (rd_end(&r, err) < 0)
		return err_wrap(err, "the request to join");
	if (!peer || use != claim)
		return err_set(err, ERR_USAGE, "the request to join lacks peer, or one of use and claim");
	out->claimed = claim;
	return 0;
}

static int unknown_invite(struct err *err)
{
	return err_set(err, ERR_UNAUTHORISED,
	        "this token's invite is not known here, or was revoked; create a new token, or give this one a "
	        "few seconds to reach this peer");
}

/* Is this use offered to another host than `peer` just now? */
static bool offered(const struct join_offers *o, id64 invite, uint32_t use, id64 peer, mono_ms now)
{
	for (size_t i = 0; i < JOIN_OFFERS_MAX; i++)
		if (o->at[i].until > now && o->at[i].use == use && o->at[i].invite == invite &&
		        o->at[i].peer != peer)
			return true;
	return false;
}

static void note_offer(struct join_offers *o, id64 invite, uint32_t use, id64 peer, mono_ms now)
{
	struct join_offer *to = NULL;

	for (size_t i = 0; i < JOIN_OFFERS_MAX && !to; i++)
		if (o->at[i].invite == invite && o->at[i].peer == peer)
			to = &o->at[i];
	if (!to) {
		to = &o->at[o->next];
		o->next = (o->next + 1) % JOIN_OFFERS_MAX;
	}
	*to = (struct join_offer){.invite = invite, .peer = peer, .use = use, .until = now + JOIN_OFFER_MS};
}

/* A use that no admission has taken: the first that nobody else was offered, else the first (its host may have
 * broken off); -1 if none. */
static int64_t free_use(const struct trust *t, const struct join_offers *o, const struct key32 *invite,
        const struct key32 *peer, mono_ms now)
{
	int64_t first = trust_free_use(t, invite, 0);

	for (int64_t use = first; use >= 0; use = trust_free_use(t, invite, (uint32_t)use + 1))
		if (!offered(o, key32_id(invite), (uint32_t)use, key32_id(peer), now))
			return use;
	return first;
}

/* Step one: which use may it claim? What can be told now is told now; trust_vouch() judges again. */
static int offer_use(struct wr *answer, const struct key32 *invite, const struct key32 *peer,
        const struct trust *t, struct join_offers *offers, struct now now, struct err *err)
{
	const struct invite *inv = trust_invite(t, invite);
	int64_t use = free_use(t, offers, invite, peer, now.mono);
	wall_ms wall = now.wall;
	char when[25];

	if (!inv)
		return unknown_invite(err);
	if (wall >= inv->expires) {
		text_time(when, inv->expires);
		return err_set(err, ERR_UNAUTHORISED, "the token expired at %s; create a new one", when);
	}
	if (use < 0)
		return err_set(err, ERR_UNAUTHORISED, "the token was for %u use%s, and %s; create a new one",
		        inv->uses, inv->uses == 1 ? "" : "s", inv->uses == 1 ? "it was used" : "all were used");
	note_offer(offers, key32_id(invite), (uint32_t)use, key32_id(peer), now.mono);
	pk_map(answer, 1);
	pk_kv_u64(answer, "use", (uint64_t)use);
	return 0;
}

int join_answer(struct wr *answer, const struct join_ask *ask, const struct key32 *invite, const struct trust *t,
        struct join_offers *offers, const uint8_t peer_secret[64], struct now now, struct err *err)
{
	struct admission a = {.peer = ask->peer, .invite = *invite, .use = ask->use};

	if (trust_peer(t, &ask->peer)) {
		pk_map(answer, 1);
		pk_kv_bool(answer, "member", true);
		return 0;
	}
	if (!ask->claimed)
		return offer_use(answer, invite, &ask->peer, t, offers, now, err);
	memcpy(a.invite_sig, ask->claim, sizeof(a.invite_sig));
	if (trust_vouch(t, &a, peer_secret, now.wall, err) < 0)
		return -1;
	pk_map(answer, 3);
	pk_kv_u64(answer, "use", a.use);
	pk_kv_bin(answer, "voucher", a.voucher.b, sizeof(a.voucher.b));
	pk_kv_bin(answer, "voucher_sig", a.voucher_sig, sizeof(a.voucher_sig));
	return 0;
}

int join_read_admit(struct join_admit *out, const uint8_t *args, size_t len, struct err *err)
{
	struct rd r;
	uint32_t n;

	*out = (struct join_admit){0};
	rd_init(&r, args, len);
	n = up_map(&r);
	for (uint32_t i = 0; i < n && rd_ok(&r); i++) {
		size_t key_len;
		const char *key = up_str(&r, &key_len);

		if (up_is(key, key_len, "record"))
			out->record = up_bin(&r, &out->record_len);
		else if (up_is(key, key_len, "from"))
			out->from = up_u64(&r);
		else
			up_skip(&r);
	}
	if (rd_end(&r, err) < 0)
		return err_wrap(err, "admit");
	return 0;
}

int join_check_admission(const uint8_t *record, size_t len, const struct key32 *invite, const struct trust *t,
        const uint8_t peer_secret[64], wall_ms wall, struct err *err)
{
	struct admission a, again;
	struct record r;

	if (record_decode(&r, record, len, err) < 0)
		return err_wrap(err, "admit");
	if (r.kind != REC_ADMISSION || body_get_admission(&a, &r, NULL) < 0)
		return err_set(err, ERR_USAGE, "admit: the record is no admission");
	if (!key32_eq(&a.invite, invite))
		return err_set(err, ERR_UNAUTHORISED, "admit: the record is of another invite than this session");
	/* Between claim and record somebody else may have taken the use, or the peer may have been evicted. The same
	 * judgement again gives the same signature, as Ed25519 is deterministic; so we know our own voucher. */
	again = a;
	if (trust_vouch(t, &again, peer_secret, wall, err) < 0)
		return -1;
	if (!key32_eq(&again.voucher, &a.voucher) ||
	        memcmp(again.voucher_sig, a.voucher_sig, sizeof(a.voucher_sig)) != 0)
		return err_set(err, ERR_UNAUTHORISED, "admit: this peer has not vouched for that record");
	return 0;
}

int join_check_read(const struct key32 *invite, const struct trust *t, struct err *err)
{
	return trust_invite(t, invite) ? 0 : unknown_invite(err);
}

size_t join_record_len(const struct stored *s)
{
	return s->len - (s->rec.kind == REC_REVISION && s->rec.body ? s->rec.body_len : 0);
}

typedef bool visit(const struct stored *s, void *ctx);

/* Passes on what the keys signed that were revoked. */
struct of_revoked {
	struct map keys;
	visit *fn;
	void *ctx;
	bool go_on;
};

static bool add_revoked(const struct stored *s, void *ctx)
{
	struct of_revoked *o = ctx;
	struct revocation v;

	if (body_get_revocation(&v, &s->rec, NULL) == 0)
		map_put(&o->keys, &v.key, o);
	return true;
}

static bool pass_revoked(const struct stored *s, void *ctx)
{
	struct of_revoked *o = ctx;

	if (map_get(&o->keys, &s->rec.author))
		o->go_on = o->fn(s, o->ctx);
	return o->go_on;
}

static void each_of_revoked(const struct store *st, const uint8_t *kinds, size_t n_kinds, visit *fn, void *ctx)
{
	struct of_revoked o = {.fn = fn, .ctx = ctx, .go_on = true};

	map_init(&o.keys, sizeof(struct key32), NULL);
	store_each(st, REC_REVOCATION, add_revoked, &o);
	for (size_t i = 0; o.keys.len && o.go_on && i < n_kinds; i++)
		store_each(st, kinds[i], pass_revoked, &o);
	map_free(&o.keys);
}

void join_each_record(const struct store *st, visit *fn, void *ctx)
{
	static const uint8_t kinds[] = {
	        REC_GENESIS, REC_GRANT, REC_INVITE, REC_ADMISSION, REC_REVOCATION, REC_EVICTION, REC_SUCCESSION};
	static const uint8_t others[] = {REC_REVISION, REC_SETTING};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		store_each(st, kinds[i], fn, ctx);
	each_of_revoked(st, others, ARRAY_LEN(others), fn, ctx);
}

/* One peer's chain. */
struct chain {
	const struct trust *trust;
	void (*fn)(const struct stored *s, void *ctx);
	void *ctx;
	struct map invites;
	struct admission of; /* the admission found last */
};

static bool pass_all(const struct stored *s, void *ctx)
{
	struct chain *c = ctx;

	c->fn(s, c->ctx);
	return true;
}

static bool pass_admission(const struct stored *s, void *ctx)
{
	struct chain *c = ctx;

	if (!trust_valid(c->trust, s) || body_get_admission(&c->of, &s->rec, NULL) < 0)
		return true;
	c->fn(s, c->ctx);
	map_put(&c->invites, &c->of.invite, c);
	return false;
}

static bool pass_invite(const struct stored *s, void *ctx)
{
	struct chain *c = ctx;
	struct invite inv;

	if (body_get_invite(&inv, &s->rec, NULL) == 0 && map_get(&c->invites, &inv.id))
		c->fn(s, c->ctx);
	return true;
}

void join_each_of_chain(const struct store *st, const struct trust *t, const struct key32 *peer,
        void (*fn)(const struct stored *s, void *ctx), void *ctx)
{
	static const uint8_t kinds[] = {REC_GENESIS, REC_GRANT, REC_REVOCATION, REC_EVICTION, REC_SUCCESSION};
	static const uint8_t others[] = {REC_INVITE, REC_REVISION, REC_SETTING};
	struct chain c = {.trust = t, .fn = fn, .ctx = ctx, .of.voucher = *peer, .of.invite.b[0] = 1};

	map_init(&c.invites, sizeof(struct key32), NULL);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		store_each(st, kinds[i], pass_all, &c);
	/* The heads that a revocation lists lead to the chain's invite by way of the key's other ones: all of a revoked
	 * key's go, which is at most what the store keeps of them. */
	each_of_revoked(st, others, ARRAY_LEN(others), pass_all, &c);
	/* No admission rests on itself, so the way ends; at the first peer, which an admin vouched for, or where it breaks. */
	for (size_t i = 0; i < MEMBERS_MAX && !key32_is_zero(&c.of.invite); i++) {
		struct key32 next = c.of.voucher, key;

		record_key(&key, REC_ADMISSION, &next, "");
		store_each_of_key(st, REC_ADMISSION, &key, pass_admission, &c);
		if (key32_eq(&next, &c.of.voucher))
			break;
	}
	store_each(st, REC_INVITE, pass_invite, &c);
	map_free(&c.invites);
}

struct page {
	uint64_t at, from;
	size_t bytes;
	bool full;
	void (*fn)(const struct stored *s, void *ctx);
	void *ctx;
};

static bool add_to_page(const struct stored *s, void *ctx)
{
	struct page *p = ctx;

	if (p->full || p->at++ < p->from)
		return !p->full;
	if (p->bytes + join_record_len(s) > JOIN_PAGE_BYTES && p->bytes) {
		p->full = true;
		p->at--;
		return false;
	}
	p->bytes += join_record_len(s);
	p->fn(s, p->ctx);
	return true;
}

uint64_t join_page(
        const struct store *st, uint64_t from, void (*fn)(const struct stored *s, void *ctx), void *ctx)
{
	struct page p = {.from = from, .fn = fn, .ctx = ctx};

	join_each_record(st, add_to_page, &p);
	return p.full ? p.at : 0;
}

void join_pack_members(struct wr *end, const struct member *members, size_t n, uint64_t next)
{
	size_t chosen[JOIN_MEMBERS_MAX], count = 0;

	/* In the order of states: alive, suspect, dead, left. */
	for (int state = MEMBER_ALIVE; state <= MEMBER_LEFT; state++)
		for (size_t i = 0; i < n && count < JOIN_MEMBERS_MAX; i++)
			if ((int)members[i].state == state && members[i].addr.family)
				chosen[count++] = i;
	pk_map(end, 2);
	pk_kv_u64(end, "next", next);
	pk_str(end, "members");
	pk_array(end, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		const struct member *m = &members[chosen[i]];
		uint8_t bytes[32];
		struct wr addr;

		wr_fixed(&addr, bytes, sizeof(bytes));
		addr_put(&addr, &m->addr);
		pk_array(end, 2);
		pk_bin(end, m->key.b, sizeof(m->key.b));
		pk_bin(end, addr.p, addr.len);
	}
}

void join_pack_ask(struct wr *args, const struct key32 *peer)
{
	pk_map(args, 1);
	pk_kv_bin(args, "peer", peer->b, sizeof(peer->b));
}

void join_pack_claim(struct wr *args, const struct admission *a)
{
	pk_map(args, 3);
	pk_kv_bin(args, "peer", a->peer.b, sizeof(a->peer.b));
	pk_kv_u64(args, "use", a->use);
	pk_kv_bin(args, "claim", a->invite_sig, sizeof(a->invite_sig));
}

int join_read_reply(struct join_reply *out, const uint8_t *bytes, size_t len, struct err *err)
{
	bool voucher = false, sig = false;
	struct rd r;
	uint32_t n;

	*out = (struct join_reply){0};
	rd_init(&r, bytes, len);
	n = up_map(&r);
	for (uint32_t i = 0; i < n && rd_ok(&r); i++) {
		size_t key_len;
		const char *key = up_str(&r, &key_len);

		if (up_is(key, key_len, "member")) {
			out->member = up_bool(&r);
		} else if (up_is(key, key_len, "use")) {
			out->use = (uint32_t)up_u64(&r);
		} else if (up_is(key, key_len, "voucher")) {
			up_bin_copy(&r, out->voucher.b, sizeof(out->voucher.b));
			voucher = true;
		} else if (up_is(key, key_len, "voucher_sig")) {
			up_bin_copy(&r, out->voucher_sig, sizeof(out->voucher_sig));
			sig = true;
		} else {
			up_skip(&r);
		}
	}
	out->vouched = voucher && sig;
	return rd_end(&r, err);
}

void join_pack_admit(struct wr *args, const struct wr *record, uint64_t from)
{
	pk_map(args, record ? 2 : 1);
	pk_kv_u64(args, "from", from);
	if (record)
		pk_kv_bin(args, "record", record->p, record->len);
}
