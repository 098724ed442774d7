/*
 * What a new peer is told of its flock, judged before it is stored. The judgement is gossip's own: the records go
 * into a store, and trust_evaluate() says what they amount to.
 */
#include "node/join.h"

#include "base/hash.h"
#include "base/text.h"

#include <sodium.h>
#include <stdio.h>

/* Bytes that all records may have together: 16,384 admissions and as many invites of 400 bytes. */
#define FOUNDING_BYTES_MAX (16 * 1024 * 1024)

struct founding_member {
	struct key32 peer;
	struct addr addr;
};

struct founding {
	struct key32 flock;
	struct store *store;
	struct trust *trust;
	size_t bytes;
	size_t n_members;
	struct founding_member members[JOIN_MEMBERS_MAX];
};

struct founding *founding_new(const struct key32 *flock)
{
	struct founding *f = xcalloc(1, sizeof(*f));
	uint8_t secret[16];

	randombytes_buf(secret, sizeof(secret));
	f->flock = *flock;
	f->store = store_new(flock, secret);
	f->trust = trust_new(flock);
	return f;
}

void founding_free(struct founding *f)
{
	if (!f)
		return;
	trust_free(f->trust);
	store_free(f->store);
	free(f);
}

/* Records of trust, and what else a revoked key signed. */
static bool is_asked_for(uint8_t kind)
{
	return (kind >= REC_GENESIS && kind <= REC_SUCCESSION) || kind == REC_REVISION || kind == REC_SETTING;
}

int founding_add(struct founding *f, const uint8_t *bytes, size_t len, struct err *err)
{
	struct record r;
	struct key32 id;

	if (record_decode(&r, bytes, len, err) < 0)
		return err_wrap(err, "a record of the flock");
	if (!is_asked_for(r.kind))
		return err_set(err, ERR_FAILED, "a record of the flock: kind %u was not asked for", r.kind);
	f->bytes += len;
	if (f->bytes > FOUNDING_BYTES_MAX)
		return err_set(err, ERR_FAILED, "the flock's records are longer than %d MiB",
		        FOUNDING_BYTES_MAX / (1024 * 1024));
	switch (store_put(f->store, bytes, len, true, &id, err)) {
	case STORE_NEW:
	case STORE_BODY:
	case STORE_KNOWN:
	case STORE_OLD:
		return 0;
	case STORE_FULL:
	case STORE_BAD:
		break;
	}
	return err_wrap(err, "a record of the flock");
}

/* [key, address] */
static void read_member(struct founding *f, struct rd *r)
{
	struct key32 peer = {{0}};
	struct addr addr = {0};
	const uint8_t *p;
	size_t len = 0;
	struct rd in;

	if (up_array(r) != 2)
		rd_fail(r, "a member is not a key and an address");
	up_bin_copy(r, peer.b, sizeof(peer.b));
	p = up_bin(r, &len);
	if (!rd_ok(r))
		return;
	rd_init(&in, p, len);
	addr_get(&in, &addr);
	if (rd_end(&in, NULL) < 0)
		rd_fail(r, "a member's address");
	else if (addr.family && f->n_members < JOIN_MEMBERS_MAX)
		f->members[f->n_members++] = (struct founding_member){.peer = peer, .addr = addr};
}

int founding_add_members(struct founding *f, const uint8_t *bytes, size_t len, uint64_t *next, struct err *err)
{
	struct rd r;
	uint32_t n, count;

	*next = 0;
	f->n_members = 0; /* of several pages the last one's count */
	rd_init(&r, bytes, len);
	n = up_map(&r);
	for (uint32_t i = 0; i < n && rd_ok(&r); i++) {
		size_t key_len;
		const char *key = up_str(&r, &key_len);

		if (up_is(key, key_len, "members")) {
			count = up_array(&r);
			for (uint32_t m = 0; m < count && rd_ok(&r); m++)
				read_member(f, &r);
		} else if (up_is(key, key_len, "next")) {
			*next = up_u64(&r);
		} else {
			up_skip(&r);
		}
	}
	if (rd_end(&r, err) < 0)
		return err_wrap(err, "addresses of the flock's peers");
	return 0;
}

struct seek {
	const struct key32 *id;
	bool found;
};

static bool seek(const struct stored *s, void *ctx)
{
	struct seek *k = ctx;

	k->found = key32_eq(&s->rec.id, k->id);
	return !k->found;
}

int founding_check(struct founding *f, const struct key32 *self, const struct key32 *voucher, struct err *err)
{
	struct seek genesis = {.id = &f->flock}; /* the flock id is the genesis record's id */

	store_each(f->store, REC_GENESIS, seek, &genesis);
	if (!genesis.found)
		return err_set(err, ERR_UNAUTHORISED,
		        "the peer gave no genesis record of the token's flock; it is no peer of that flock");
	trust_evaluate(f->trust, f->store);
	if (voucher && !trust_peer(f->trust, voucher))
		return err_set(err, ERR_UNAUTHORISED,
		        "the peer that answered is not admitted to the flock by its own records; do not trust its address");
	if (!trust_peer(f->trust, self))
		return err_set(err, ERR_UNAUTHORISED,
		        "the flock's records do not admit this host: no chain from root to admin, invite and this peer "
		        "(another host may have used the token at the same moment); create a new token");
	return 0;
}

int founding_check_peer(struct founding *f, const struct key32 *peer, struct err *err)
{
	struct key32 eviction;
	char id[17];

	trust_evaluate(f->trust, f->store);
	if (trust_peer(f->trust, peer))
		return 0;
	id64_text(id, key32_id(peer));
	if (trust_eviction(f->trust, peer, &eviction))
		return err_set(err, ERR_UNAUTHORISED, "peer %s was evicted from the flock", id);
	return err_set(err, ERR_UNAUTHORISED,
	        "the key %s that answers is no peer's of the flock: no chain from root to admin, invite and that key",
	        id);
}

const struct trust *founding_trust(const struct founding *f)
{
	return f->trust;
}

const char *founding_name(const struct founding *f)
{
	return trust_flock_name(f->trust);
}

size_t founding_peers(const struct founding *f)
{
	return trust_peers(f->trust, NULL, 0);
}

struct writing {
	struct persist *p;
	struct err *err;
	int rc;
};

static bool write_record(const struct stored *s, void *ctx)
{
	struct writing *w = ctx;

	w->rc = persist_put(w->p, &s->rec.id, s->bytes, join_record_len(s), w->err);
	return w->rc == 0;
}

/* As the agent names the hint; see node/agent.c. */
static void write_addrs(const struct founding *f, struct persist *p)
{
	for (size_t i = 0; i < f->n_members; i++) {
		uint8_t bytes[32];
		char name[80] = "addr/";
		struct wr w;

		wr_fixed(&w, bytes, sizeof(bytes));
		addr_put(&w, &f->members[i].addr);
		hex_encode(name + strlen(name), f->members[i].peer.b, sizeof(f->members[i].peer.b));
		persist_put_hint(p, name, w.p, w.len);
	}
}

int founding_store(const struct founding *f, struct persist *p, struct err *err)
{
	struct writing w = {.p = p, .err = err};

	if (persist_begin(p, err) < 0)
		return -1;
	join_each_record(f->store, write_record, &w);
	write_addrs(f, p);
	if (w.rc < 0 || persist_meta_put(p, "flock", f->flock.b, sizeof(f->flock.b), err) < 0) {
		persist_rollback(p);
		return -1;
	}
	return persist_commit(p, err);
}

int join_flock_of(struct persist *p, bool *known, struct key32 *flock, struct err *err)
{
	size_t len;

	if (persist_meta_get(p, "flock", flock->b, sizeof(flock->b), &len, err) < 0)
		return -1;
	*known = len == sizeof(flock->b);
	return 0;
}
