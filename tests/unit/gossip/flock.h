/* A small flock for tests: keys from numbers, records made in one line. Everything replays. */
#ifndef TESTS_UNIT_GOSSIP_FLOCK_H
#define TESTS_UNIT_GOSSIP_FLOCK_H

#include "tests/unit/unit.h"

#include "base/drbg.h"
#include "base/text.h"
#include "gossip/store/store.h"
#include "gossip/trust/trust.h"

#include <sodium.h>

struct actor {
	struct key32 key;
	uint8_t secret[64];
};

/* Keys of the same number are the same in every run. */
static inline struct actor actor(unsigned number)
{
	struct actor a;
	uint8_t seed[32] = {0xac, (uint8_t)(number >> 8), (uint8_t)number};

	crypto_sign_seed_keypair(a.key.b, a.secret, seed);
	return a;
}

enum { ROOT, ADMIN, CI, STRANGER, INVITE, PEER_A = 100 };

static const uint8_t test_secret[16] = {1, 2, 3};

/* One encoded record. */
struct packed {
	struct wr w;
	struct key32 id;
};

static inline struct packed packed_of(struct wr w)
{
	struct packed p = {.w = w};
	struct record r;
	struct err err = {0};

	if (record_decode(&r, w.p, w.len, &err) < 0)
		fail_msg("%s", err.text);
	p.id = r.id;
	return p;
}

static inline struct wr record_wr(void)
{
	struct wr w;

	wr_init(&w, RECORD_BYTES_MAX);
	return w;
}

static inline void packed_free(struct packed *p)
{
	wr_free(&p->w);
}

/* Signs any record; body may be NULL. */
static inline struct packed pack(struct record r, const char *name, const void *body, size_t len,
        const struct key32 *flock, const struct actor *by)
{
	struct wr w = record_wr();

	text_copy(r.name, sizeof(r.name), name);
	r.body = body;
	r.body_len = (uint32_t)len;
	record_sign(&r, flock, by->secret);
	record_encode(&w, &r);
	return packed_of(w);
}

static inline enum store_verdict put(struct store *st, const struct packed *p, bool on_disk)
{
	return store_put(st, p->w.p, p->w.len, on_disk, NULL, NULL);
}

/* A genesis and the first admin, in a store. */
struct flock {
	struct key32 id;
	struct actor root, admin;
	struct packed genesis, grant;
};

static inline struct packed make_grant(
        const struct key32 *flock, const struct grant *g, const struct actor *by, uint64_t stamp)
{
	struct wr w = record_wr();

	trust_make_grant(&w, flock, g, stamp, NULL, 0, by->secret);
	return packed_of(w);
}

static inline struct flock flock_new(void)
{
	struct flock f = {.root = actor(ROOT), .admin = actor(ADMIN)};
	struct grant g = {.operator_key = f.admin.key, .role = ROLE_ADMIN, .powers = POWER_ALL, .name = "admin"};
	struct wr w = record_wr();

	trust_make_genesis(&w, "testing", 1700000000000, f.root.secret, &f.id);
	f.genesis = packed_of(w);
	f.grant = make_grant(&f.id, &g, &f.root, 1);
	return f;
}

static inline void flock_free(struct flock *f)
{
	packed_free(&f->genesis);
	packed_free(&f->grant);
}

static inline struct store *flock_store(const struct flock *f)
{
	struct store *st = store_new(&f->id, test_secret);

	assert_int_equal(put(st, &f->genesis, true), STORE_NEW);
	assert_int_equal(put(st, &f->grant, true), STORE_NEW);
	return st;
}

/* A stack revision. */
static inline struct packed make_revision(const struct key32 *flock, const struct actor *by, const char *stack,
        uint64_t stamp, const struct key32 *parents, size_t n, const char *body)
{
	struct record r = {.kind = REC_REVISION, .stamp = stamp, .parents = parents, .n_parents = (uint8_t)n};

	if (!body)
		r.flags = RECORD_FLAG_REMOVAL;
	return pack(r, stack, body, body ? strlen(body) : 0, flock, by);
}

#endif
