/* A flock of one peer that founds, invites and admits, step by step. */
#ifndef TESTS_UNIT_NODE_BIRDS_H
#define TESTS_UNIT_NODE_BIRDS_H

#include "tests/unit/node/scratch.h"

#include "base/drbg.h"
#include "base/hash.h"
#include "base/text.h"
#include "node/join.h"
#include "node/newpeer.h"

#include <sys/stat.h>

#define NOW  INT64_C(1800000000000)
#define HOUR MINUTES(60)

static const struct found_options plain;

/* A flock of one peer, as that peer holds it. */
struct birds {
	struct scratch *scratch;
	struct founded made;
	struct keypair admin, peer;
	struct store *store;
	struct trust *trust;
	uint64_t stamp;
	struct join_offers offers;
};

static UNUSED int put_stored(void *ctx, const uint8_t *bytes, size_t len, bool sealed UNUSED, struct err *err)
{
	struct birds *f = ctx;
	struct key32 id;

	return store_put(f->store, bytes, len, true, &id, err) == STORE_NEW ? 0 : -1;
}

static UNUSED void take(struct birds *f, struct wr *record)
{
	struct err err = {0};

	if (put_stored(f, record->p, record->len, false, &err) < 0)
		fail_msg("%s", err.text);
	wr_free(record);
	trust_evaluate(f->trust, f->store);
}

static UNUSED void found(struct birds *f, struct scratch *s, const char *name)
{
	static const uint8_t secret[16];
	char dir[256], key[300], path[300];
	struct err err = {0};
	struct persist *p;

	memset(f, 0, sizeof(*f));
	f->scratch = s;
	snprintf(dir, sizeof(dir), "%s", scratch_path(s, name));
	snprintf(key, sizeof(key), "%s.key", dir);
	if (flock_found(&f->made, dir, name, key, NOW, &plain, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(keyfile_load(key, "operator", &f->admin, &err), 0);
	keyfile_peer_path(path, sizeof(path), dir);
	assert_int_equal(keyfile_load(path, "peer", &f->peer, &err), 0);
	f->store = store_new(&f->made.flock, secret);
	f->trust = trust_new(&f->made.flock);
	f->stamp = (uint64_t)NOW << 16 | 100;
	p = persist_open(dir, NULL, NULL, NULL, &err);
	assert_non_null(p);
	assert_int_equal(persist_each(p, put_stored, f, &err), 0);
	persist_close(p);
	trust_evaluate(f->trust, f->store);
}

static UNUSED void lose(struct birds *f)
{
	trust_free(f->trust);
	store_free(f->store);
}

static UNUSED struct keypair keys_of(uint8_t n)
{
	uint8_t seed[32] = {n, 1};
	struct keypair k;

	keypair_from_seed(&k, seed);
	return k;
}

static UNUSED struct keypair invite(struct birds *f, uint8_t n, uint32_t uses, wall_ms expires)
{
	struct keypair k = keys_of(n);
	struct invite inv = {.id = k.public_key, .uses = uses, .expires = expires};
	struct wr w;

	wr_init(&w, RECORD_BYTES_MAX);
	trust_make_invite(&w, &f->made.flock, &inv, f->stamp++, NULL, 0, f->admin.secret);
	take(f, &w);
	return k;
}

/* One step of `join` as the wire carries it. */
static UNUSED int step(struct birds *f, const struct keypair *inv, const struct wr *args, wall_ms now,
        struct join_reply *out, struct err *err)
{
	struct join_ask ask;
	struct wr answer;
	int rc;

	wr_init(&answer, 4096);
	rc = join_read_ask(&ask, args->p, args->len, err);
	if (rc == 0)
		rc = join_answer(&answer, &ask, &inv->public_key, f->trust, &f->offers, f->peer.secret,
		        (struct now){.mono = now, .wall = now}, err);
	if (rc == 0)
		assert_int_equal(join_read_reply(out, answer.p, answer.len, err), 0);
	wr_free(&answer);
	return rc;
}

/* Up to a signed admission in record. */
static UNUSED int claim(struct birds *f, const struct keypair *inv, const struct keypair *joiner, wall_ms now,
        struct join_reply *reply, struct wr *record, struct err *err)
{
	struct admission a;
	struct wr args;
	int rc;

	wr_init(&args, 4096);
	join_pack_ask(&args, &joiner->public_key);
	rc = step(f, inv, &args, now, reply, err);
	if (rc == 0 && !reply->member) {
		trust_claim_invite(&a, &f->made.flock, &joiner->public_key, inv->secret, reply->use);
		wr_reset(&args);
		join_pack_claim(&args, &a);
		rc = step(f, inv, &args, now, reply, err);
		if (rc == 0) {
			a.voucher = reply->voucher;
			memcpy(a.voucher_sig, reply->voucher_sig, sizeof(a.voucher_sig));
			trust_make_admission(record, &f->made.flock, &a, f->stamp++, joiner->secret);
		}
	}
	wr_free(&args);
	return rc;
}

static UNUSED int admit(
        struct birds *f, const struct keypair *inv, struct wr *record, wall_ms now, struct err *err)
{
	struct join_admit got;
	struct wr args;
	int rc;

	wr_init(&args, RECORD_BYTES_MAX);
	join_pack_admit(&args, record, 0);
	rc = join_read_admit(&got, args.p, args.len, err);
	if (rc == 0)
		rc = join_check_admission(
		        got.record, got.record_len, &inv->public_key, f->trust, f->peer.secret, now, err);
	wr_free(&args);
	if (rc == 0)
		take(f, record);
	return rc;
}

static UNUSED int join(
        struct birds *f, const struct keypair *inv, const struct keypair *joiner, wall_ms now, struct err *err)
{
	struct join_reply reply;
	struct wr record;
	int rc;

	*err = (struct err){0};
	wr_init(&record, RECORD_BYTES_MAX);
	rc = claim(f, inv, joiner, now, &reply, &record, err);
	if (rc == 0 && !reply.member)
		rc = admit(f, inv, &record, now, err);
	if (rc < 0 || reply.member)
		wr_free(&record);
	return rc;
}

struct adding {
	struct founding *to;
	int rc;
	struct err err;
	uint8_t skip;   /* kind left out */
	bool flip;      /* one bit of each record */
	unsigned count; /* of records */
};

static UNUSED bool add_record(const struct stored *s, void *ctx)
{
	struct adding *a = ctx;
	size_t len = join_record_len(s);
	uint8_t *copy = xmemdup(s->bytes, len);

	if (a->flip)
		copy[len / 2] ^= 4;
	if (s->rec.kind != a->skip && a->rc == 0)
		a->rc = founding_add(a->to, copy, len, &a->err);
	a->count++;
	free(copy);
	return true;
}

static UNUSED bool take_id(const struct stored *s, void *ctx)
{
	*(struct key32 *)ctx = s->rec.id;
	return false;
}

static UNUSED void expect_refusal(int rc, const struct err *err, const char *part)
{
	assert_int_equal(rc, -1);
	assert_int_equal(err->code, ERR_UNAUTHORISED);
	if (!strstr(err->text, part))
		fail_msg("\"%s\" does not say \"%s\"", err->text, part);
}

#endif
