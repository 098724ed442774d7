/* Founding a flock and joining it: what is refused and why, what is verified, and that nothing is half done. */
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

static int put_stored(void *ctx, const uint8_t *bytes, size_t len, bool sealed UNUSED, struct err *err)
{
	struct birds *f = ctx;
	struct key32 id;

	return store_put(f->store, bytes, len, true, &id, err) == STORE_NEW ? 0 : -1;
}

static void take(struct birds *f, struct wr *record)
{
	struct err err = {0};

	if (put_stored(f, record->p, record->len, false, &err) < 0)
		fail_msg("%s", err.text);
	wr_free(record);
	trust_evaluate(f->trust, f->store);
}

static void found(struct birds *f, struct scratch *s, const char *name)
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

static void lose(struct birds *f)
{
	trust_free(f->trust);
	store_free(f->store);
}

static struct keypair keys_of(uint8_t n)
{
	uint8_t seed[32] = {n, 1};
	struct keypair k;

	keypair_from_seed(&k, seed);
	return k;
}

static struct keypair invite(struct birds *f, uint8_t n, uint32_t uses, wall_ms expires)
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
static int step(struct birds *f, const struct keypair *inv, const struct wr *args, wall_ms now,
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
static int claim(struct birds *f, const struct keypair *inv, const struct keypair *joiner, wall_ms now,
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

static int admit(struct birds *f, const struct keypair *inv, struct wr *record, wall_ms now, struct err *err)
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

static int join(
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

static bool add_record(const struct stored *s, void *ctx)
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

static bool take_id(const struct stored *s, void *ctx)
{
	*(struct key32 *)ctx = s->rec.id;
	return false;
}

static void expect_refusal(int rc, const struct err *err, const char *part)
{
	assert_int_equal(rc, -1);
	assert_int_equal(err->code, ERR_UNAUTHORISED);
	if (!strstr(err->text, part))
		fail_msg("\"%s\" does not say \"%s\"", err->text, part);
}

static void a_flock_is_founded_whole(void **state)
{
	struct scratch *s = *state;
	struct err err = {0};
	struct key32 flock;
	struct persist *p;
	struct birds f;
	struct stat st;
	uint64_t n;
	bool known;

	found(&f, s, "birds");
	assert_true(f.made.made_admin);
	assert_string_equal(trust_flock_name(f.trust), "birds");
	assert_true(trust_peer(f.trust, &f.peer.public_key));
	assert_int_equal(trust_peers(f.trust, NULL, 0), 1);
	assert_int_equal(trust_operator(f.trust, &f.admin.public_key)->role, ROLE_ADMIN);
	assert_int_equal(trust_powers(f.trust, &f.admin.public_key), POWER_ALL);
	assert_int_equal(stat(f.made.root_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	p = persist_open(scratch_path(s, "birds"), NULL, NULL, NULL, &err);
	assert_int_equal(persist_count(p, &n, &err), 0);
	assert_int_equal(n, 3); /* genesis, grant, admission */
	assert_int_equal(join_flock_of(p, &known, &flock, &err), 0);
	assert_true(known);
	assert_memory_equal(&flock, &f.made.flock, sizeof(flock));
	persist_close(p);
	lose(&f);
}

static void add_to(const struct stored *s, void *ctx)
{
	struct adding *a = ctx;

	add_record(s, a);
}

/* A revision by the admin, whose history it ends; returns its id. */
static struct key32 deploy(struct birds *f, const char *body)
{
	struct record r = {.kind = REC_REVISION, .stamp = f->stamp++};
	struct key32 prev[RECORD_REFS_MAX];
	struct wr w;

	text_copy(r.name, sizeof(r.name), "web");
	r.prev = prev;
	r.n_prev = (uint8_t)store_author_heads(f->store, &f->admin.public_key, prev);
	r.body = (const uint8_t *)body;
	r.body_len = (uint32_t)strlen(body);
	wr_init(&w, RECORD_BYTES_MAX);
	record_sign(&r, &f->made.flock, f->admin.secret);
	record_encode(&w, &r);
	take(f, &w);
	return r.id;
}

/* What a peer shows to a command line from afar: its own chain, which says nothing of others. */
static void a_peer_shows_its_own_chain_and_no_more(void **state)
{
	struct scratch *s = *state;
	struct adding a = {.skip = 0};
	struct keypair one, two, inv;
	struct err err = {0};
	struct birds f;
	struct wr w;

	found(&f, s, "birds");
	inv = invite(&f, 1, 8, NOW + HOUR);
	one = keys_of(2);
	two = keys_of(3);
	assert_int_equal(join(&f, &inv, &one, NOW, &err), 0);
	assert_int_equal(join(&f, &inv, &two, NOW, &err), 0);
	a.to = founding_new(&f.made.flock);
	join_each_of_chain(f.store, f.trust, &one.public_key, add_to, &a);
	assert_int_equal(a.rc, 0);
	assert_int_equal(a.count, 5); /* genesis, grant, invite, its admission, that of the first peer */
	assert_int_equal(founding_check_peer(a.to, &one.public_key, &err), 0);
	expect_refusal(founding_check_peer(a.to, &two.public_key, &err), &err, "is no peer's of the flock");
	founding_free(a.to);
	/* A part of it is nothing; neither is a stranger's key. */
	for (uint8_t kind = REC_GENESIS; kind <= REC_ADMISSION; kind++) {
		a = (struct adding){.skip = kind, .to = founding_new(&f.made.flock)};
		join_each_of_chain(f.store, f.trust, &one.public_key, add_to, &a);
		expect_refusal(founding_check_peer(a.to, &one.public_key, &err), &err, "no chain");
		founding_free(a.to);
	}
	/* An eviction that the peer knows of it shows. */
	wr_init(&w, RECORD_BYTES_MAX);
	trust_make_eviction(&w, &f.made.flock, &one.public_key, NULL, 0, f.stamp++, NULL, 0, f.admin.secret);
	take(&f, &w);
	a = (struct adding){.to = founding_new(&f.made.flock)};
	join_each_of_chain(f.store, f.trust, &one.public_key, add_to, &a);
	expect_refusal(founding_check_peer(a.to, &one.public_key, &err), &err, "was evicted");
	founding_free(a.to);
	lose(&f);
}

/* A revocation lists the last record of the key, here a stack's revision: whoever judges needs the way from there back to
 * the token that the key made, without the bodies. */
static void who_joins_after_a_revocation_is_given_what_its_heads_lead_to(void **state)
{
	struct scratch *s = *state;
	struct keypair joiner, inv, root;
	struct adding a = {.skip = 0};
	struct key32 heads[2];
	struct err err = {0};
	struct birds f;
	struct wr w;

	found(&f, s, "birds");
	assert_int_equal(keyfile_load(f.made.root_path, "root", &root, &err), 0);
	inv = keys_of(1);
	{
		struct invite body = {.id = inv.public_key, .uses = 2, .expires = NOW + HOUR};
		struct key32 prev[RECORD_REFS_MAX];
		size_t n = store_author_heads(f.store, &f.admin.public_key, prev);

		wr_init(&w, RECORD_BYTES_MAX);
		trust_make_invite(&w, &f.made.flock, &body, f.stamp++, prev, n, f.admin.secret);
		take(&f, &w);
	}
	deploy(&f, "a long specification");
	heads[0] = deploy(&f, "a longer specification");
	/* The first peer, which the admin let in by itself. */
	{
		struct key32 key;

		record_key(&key, REC_ADMISSION, &f.peer.public_key, "");
		store_each_of_key(f.store, REC_ADMISSION, &key, take_id, &heads[1]);
	}
	wr_init(&w, RECORD_BYTES_MAX);
	trust_make_revocation(&w, &f.made.flock, &f.admin.public_key, heads, 2, f.stamp++, NULL, 0, root.secret);
	take(&f, &w);
	joiner = keys_of(2);
	assert_int_equal(join(&f, &inv, &joiner, NOW, &err), 0);
	a.to = founding_new(&f.made.flock);
	join_each_record(f.store, add_record, &a);
	assert_int_equal(a.rc, 0);
	assert_int_equal(founding_check(a.to, &joiner.public_key, &f.peer.public_key, &err), 0);
	founding_free(a.to);
	a = (struct adding){.to = founding_new(&f.made.flock)};
	join_each_of_chain(f.store, f.trust, &joiner.public_key, add_to, &a);
	assert_int_equal(founding_check_peer(a.to, &joiner.public_key, &err), 0);
	founding_free(a.to);
	/* Without them nothing of the admin's holds. */
	a = (struct adding){.skip = REC_REVISION, .to = founding_new(&f.made.flock)};
	join_each_record(f.store, add_record, &a);
	expect_refusal(founding_check(a.to, &joiner.public_key, &f.peer.public_key, &err), &err,
	        "do not admit this host");
	founding_free(a.to);
	lose(&f);
}

/* An admin that made many tokens before and after the one that let a peer in: the way from the revocation's heads to that
 * one leads over the others. */
static void a_chain_holds_after_its_admin_with_a_history_of_tokens_is_revoked(void **state)
{
	struct scratch *s = *state;
	struct adding a = {.skip = 0};
	struct keypair joiner, inv, root;
	struct key32 heads[2], key;
	struct err err = {0};
	struct birds f;
	struct wr w;

	found(&f, s, "birds");
	assert_int_equal(keyfile_load(f.made.root_path, "root", &root, &err), 0);
	record_key(&key, REC_ADMISSION, &f.peer.public_key, "");
	store_each_of_key(f.store, REC_ADMISSION, &key, take_id, &heads[1]);
	for (uint8_t n = 1; n <= 25; n++) {
		struct invite body = {.uses = 2, .expires = NOW + HOUR};
		struct key32 prev[RECORD_REFS_MAX];
		size_t n_prev = store_author_heads(f.store, &f.admin.public_key, prev);

		inv = keys_of(n);
		body.id = inv.public_key;
		wr_init(&w, RECORD_BYTES_MAX);
		trust_make_invite(&w, &f.made.flock, &body, f.stamp++, prev, n_prev, f.admin.secret);
		take(&f, &w);
	}
	inv = keys_of(7);
	joiner = keys_of(100);
	assert_int_equal(join(&f, &inv, &joiner, NOW, &err), 0);
	{
		struct key32 all[RECORD_REFS_MAX];

		assert_int_equal(store_author_heads(f.store, &f.admin.public_key, all), 1);
		heads[0] = all[0];
	}
	wr_init(&w, RECORD_BYTES_MAX);
	trust_make_revocation(&w, &f.made.flock, &f.admin.public_key, heads, 2, f.stamp++, NULL, 0, root.secret);
	take(&f, &w);
	assert_true(trust_peer(f.trust, &joiner.public_key));
	a.to = founding_new(&f.made.flock);
	join_each_of_chain(f.store, f.trust, &joiner.public_key, add_to, &a);
	assert_int_equal(a.rc, 0);
	if (founding_check_peer(a.to, &joiner.public_key, &err) < 0)
		fail_msg("%s", err.text);
	founding_free(a.to);
	lose(&f);
}

static void a_founded_folder_is_not_founded_again(void **state)
{
	struct scratch *s = *state;
	struct founded again;
	struct err err = {0};
	struct birds f;
	char key[300];

	found(&f, s, "birds");
	snprintf(key, sizeof(key), "%s/other.key", s->dir);
	assert_int_equal(flock_found(&again, scratch_path(s, "birds"), "fish", key, NOW, &plain, &err), -1);
	assert_non_null(strstr(err.text, "holds a peer of flock"));
	assert_int_equal(access(key, F_OK), -1);
	lose(&f);
	found(&f, s, "birds2"); /* next to it there is room */
	lose(&f);
}

static void founding_that_fails_leaves_nothing(void **state)
{
	struct scratch *s = *state;
	struct founded made;
	struct err err = {0};
	char dir[256], key[300];
	FILE *file;

	snprintf(dir, sizeof(dir), "%s", scratch_path(s, "data"));
	file = fopen(scratch_path(s, "file"), "w");
	fclose(file);
	snprintf(key, sizeof(key), "%s/file/operator.key", s->dir); /* below a file: cannot be made */
	assert_int_equal(flock_found(&made, dir, "birds", key, NOW, &plain, &err), -1);
	assert_non_null(strstr(err.text, "operator.key"));
	assert_int_equal(access(dir, F_OK), -1);
	assert_int_equal(flock_found(&made, dir, "No Label", key, NOW, &plain, &err), -1);
	assert_int_equal(err.code, ERR_USAGE);
	assert_int_equal(access(dir, F_OK), -1);
	/* A folder that was there stays, with what was in it. */
	assert_int_equal(mkdir(dir, 0700), 0);
	file = fopen(scratch_path(s, "data/mine"), "w");
	fclose(file);
	assert_int_equal(flock_found(&made, dir, "birds", key, NOW, &plain, &err), -1);
	assert_int_equal(access(scratch_path(s, "data/mine"), F_OK), 0);
	assert_int_equal(access(scratch_path(s, "data/store.db"), F_OK), -1);
	assert_int_equal(access(scratch_path(s, "data/peer.key"), F_OK), -1);
	assert_int_equal(access(scratch_path(s, "data/root.key"), F_OK), -1);
}

/* Killed between its keys and its records: the same command again goes on where it was. */
static void an_interrupted_attempt_can_be_repeated(void **state)
{
	struct scratch *s = *state;
	struct founded made;
	struct keypair first;
	struct new_peer n;
	struct err err = {0};
	char dir[256], key[300];

	snprintf(dir, sizeof(dir), "%s", scratch_path(s, "data"));
	snprintf(key, sizeof(key), "%s/operator.key", s->dir);
	assert_int_equal(new_peer_open(&n, dir, &err), 0);
	first = n.keys;
	new_peer_close(&n, true);
	assert_int_equal(new_peer_open(&n, dir, &err), 0);
	assert_memory_equal(&n.keys.public_key, &first.public_key, sizeof(first.public_key));
	new_peer_close(&n, false); /* and one that fails takes nothing of the first away */
	assert_int_equal(flock_found(&made, dir, "birds", key, NOW, &plain, &err), 0);
	assert_memory_equal(&made.peer, &first.public_key, sizeof(made.peer));
}

static void an_operator_key_that_is_there_is_used(void **state)
{
	struct scratch *s = *state;
	struct keypair mine;
	struct founded made;
	struct err err = {0};
	char key[256];

	snprintf(key, sizeof(key), "%s", scratch_path(s, "mine.key"));
	assert_int_equal(keyfile_create(key, "operator", "me", &mine, &err), 0);
	assert_int_equal(flock_found(&made, scratch_path(s, "a"), "birds", key, NOW, &plain, &err), 0);
	assert_false(made.made_admin);
	assert_memory_equal(&made.admin, &mine.public_key, sizeof(made.admin));
}

static void a_token_admits_a_host(void **state)
{
	struct scratch *s = *state;
	struct member self = {0};
	struct new_peer n;
	struct adding adding = {0};
	struct err err = {0};
	struct keypair inv;
	uint8_t bytes[32];
	char name[80] = "addr/", dir[256];
	struct birds f;
	struct key32 flock;
	uint64_t next = 9;
	struct wr end;
	bool known;
	size_t len;

	found(&f, s, "birds");
	inv = invite(&f, 50, 1, NOW + HOUR);
	snprintf(dir, sizeof(dir), "%s", scratch_path(s, "second"));
	assert_int_equal(new_peer_open(&n, dir, &err), 0);
	assert_int_equal(join(&f, &inv, &n.keys, NOW + 1, &err), 0);
	assert_true(trust_peer(f.trust, &n.keys.public_key));

	adding.to = founding_new(&f.made.flock);
	join_each_record(f.store, add_record, &adding);
	assert_int_equal(adding.rc, 0);
	assert_int_equal(adding.count, 5);
	self.key = f.peer.public_key;
	assert_int_equal(addr_parse(&self.addr, "192.0.2.1:7827", 0, NULL), 0);
	wr_init(&end, 4096);
	join_pack_members(&end, &self, 1, 0);
	assert_int_equal(founding_add_members(adding.to, end.p, end.len, &next, &err), 0);
	assert_int_equal(next, 0);
	wr_free(&end);
	assert_int_equal(founding_check(adding.to, &n.keys.public_key, &f.peer.public_key, &err), 0);
	assert_string_equal(founding_name(adding.to), "birds");
	assert_int_equal(founding_peers(adding.to), 2);
	assert_int_equal(founding_store(adding.to, n.persist, &err), 0);
	founding_free(adding.to);
	new_peer_close(&n, true);

	n.persist = persist_open(dir, NULL, NULL, NULL, &err);
	assert_int_equal(join_flock_of(n.persist, &known, &flock, &err), 0);
	assert_true(known);
	hex_encode(name + 5, f.peer.public_key.b, 32);
	assert_int_equal(persist_get_hint(n.persist, name, bytes, sizeof(bytes), &len, &err), 0);
	assert_int_equal(len, 7); /* where the agent will find its first peer */
	persist_close(n.persist);
	assert_int_equal(new_peer_open(&n, dir, &err), -1);
	assert_non_null(strstr(err.text, "holds a peer"));
	lose(&f);
}

static void a_token_is_good_for_its_uses_and_its_time(void **state)
{
	struct keypair once, twice, none = keys_of(99), late;
	struct keypair a = keys_of(1), b = keys_of(2), c = keys_of(3), d = keys_of(4);
	struct err err;
	struct birds f;

	found(&f, *state, "birds");
	once = invite(&f, 50, 1, NOW + HOUR);
	twice = invite(&f, 51, 2, NOW + HOUR);
	late = invite(&f, 52, 1, NOW + 1000);
	assert_int_equal(join(&f, &once, &a, NOW, &err), 0);
	expect_refusal(join(&f, &once, &b, NOW, &err), &err, "for 1 use, and it was used");
	assert_int_equal(join(&f, &twice, &b, NOW, &err), 0);
	assert_int_equal(join(&f, &twice, &c, NOW, &err), 0);
	expect_refusal(join(&f, &twice, &d, NOW, &err), &err, "for 2 uses, and all were used");
	expect_refusal(join(&f, &late, &d, NOW + 1000, &err), &err, "expired at 2027-01-15T08:00:01.000Z");
	expect_refusal(join(&f, &none, &d, NOW, &err), &err, "not known here");
	assert_int_equal(join(&f, &late, &d, NOW + 999, &err), 0);
	assert_int_equal(trust_peers(f.trust, NULL, 0), 5);
	lose(&f);
}

/* Through two peers, of which neither knows what the other offered: both are offered use 0, both get a
 * countersignature; the second one's record comes late and tries again. */
static void of_two_hosts_at_the_same_moment_one_tries_again(void **state)
{
	struct keypair inv, a = keys_of(1), b = keys_of(2);
	struct join_reply ra, rb;
	struct wr wa, wb;
	struct err err = {0};
	struct birds f;

	found(&f, *state, "birds");
	inv = invite(&f, 50, 2, NOW + HOUR);
	wr_init(&wa, RECORD_BYTES_MAX);
	wr_init(&wb, RECORD_BYTES_MAX);
	assert_int_equal(claim(&f, &inv, &a, NOW, &ra, &wa, &err), 0);
	f.offers = (struct join_offers){0};
	assert_int_equal(claim(&f, &inv, &b, NOW, &rb, &wb, &err), 0);
	assert_int_equal(ra.use, rb.use);
	assert_int_equal(admit(&f, &inv, &wa, NOW, &err), 0);
	expect_refusal(admit(&f, &inv, &wb, NOW, &err), &err, "taken");
	wr_free(&wb);
	assert_int_equal(join(&f, &inv, &b, NOW, &err), 0);
	assert_int_equal(trust_peers(f.trust, NULL, 0), 3);
	lose(&f);
}

static void a_host_whose_answer_was_lost_asks_again(void **state)
{
	struct keypair inv, a = keys_of(1);
	struct join_reply reply;
	struct wr record;
	struct err err = {0};
	struct birds f;

	found(&f, *state, "birds");
	inv = invite(&f, 50, 1, NOW + HOUR);
	assert_int_equal(join(&f, &inv, &a, NOW, &err), 0);
	wr_init(&record, RECORD_BYTES_MAX);
	assert_int_equal(claim(&f, &inv, &a, NOW + 2 * HOUR, &reply, &record, &err), 0); /* after its expiry */
	assert_true(reply.member);
	assert_int_equal(join_check_read(&inv.public_key, f.trust, &err), 0);
	inv = keys_of(77);
	expect_refusal(join_check_read(&inv.public_key, f.trust, &err), &err, "not known here");
	wr_free(&record);
	lose(&f);
}

static void an_evicted_peer_stays_out(void **state)
{
	struct keypair inv, a = keys_of(1);
	struct err err = {0};
	struct birds f;
	struct wr w;

	found(&f, *state, "birds");
	inv = invite(&f, 50, 5, NOW + HOUR);
	assert_int_equal(join(&f, &inv, &a, NOW, &err), 0);
	wr_init(&w, RECORD_BYTES_MAX);
	trust_make_eviction(&w, &f.made.flock, &a.public_key, NULL, 0, f.stamp++, NULL, 0, f.admin.secret);
	take(&f, &w);
	expect_refusal(join(&f, &inv, &a, NOW, &err), &err, "evicted");
	lose(&f);
}

static void claims_and_records_of_others_are_refused(void **state)
{
	struct keypair inv, other, a = keys_of(1);
	struct admission adm;
	struct join_reply reply;
	struct wr args, record;
	struct err err = {0};
	struct birds f;

	found(&f, *state, "birds");
	inv = invite(&f, 50, 2, NOW + HOUR);
	other = invite(&f, 51, 2, NOW + HOUR);
	wr_init(&args, 4096);
	wr_init(&record, RECORD_BYTES_MAX);
	/* A claim that another key signed; a use that the invite does not have. */
	trust_claim_invite(&adm, &f.made.flock, &a.public_key, other.secret, 0);
	join_pack_claim(&args, &adm);
	expect_refusal(step(&f, &inv, &args, NOW, &reply, &err), &err, "not signed by the token's key");
	trust_claim_invite(&adm, &f.made.flock, &a.public_key, inv.secret, 2);
	wr_reset(&args);
	join_pack_claim(&args, &adm);
	expect_refusal(step(&f, &inv, &args, NOW, &reply, &err), &err, "beyond the 2");
	/* A record of another invite than the session's; a countersignature that this peer never gave. */
	assert_int_equal(claim(&f, &other, &a, NOW, &reply, &record, &err), 0);
	expect_refusal(
	        join_check_admission(record.p, record.len, &inv.public_key, f.trust, f.peer.secret, NOW, &err),
	        &err, "another invite");
	trust_claim_invite(&adm, &f.made.flock, &a.public_key, inv.secret, 0);
	adm.voucher = f.peer.public_key;
	memset(adm.voucher_sig, 7, sizeof(adm.voucher_sig));
	wr_reset(&record);
	trust_make_admission(&record, &f.made.flock, &adm, f.stamp++, a.secret);
	expect_refusal(
	        join_check_admission(record.p, record.len, &inv.public_key, f.trust, f.peer.secret, NOW, &err),
	        &err, "has not vouched");
	/* No admission at all. */
	wr_reset(&record);
	trust_make_invite(&record, &f.made.flock, &(struct invite){.id = a.public_key, .uses = 1, .expires = NOW},
	        f.stamp++, NULL, 0, f.admin.secret);
	assert_int_equal(
	        join_check_admission(record.p, record.len, &inv.public_key, f.trust, f.peer.secret, NOW, &err),
	        -1);
	assert_non_null(strstr(err.text, "no admission"));
	wr_free(&args);
	wr_free(&record);
	lose(&f);
}

static void the_joiner_believes_only_what_leads_to_its_tokens_flock(void **state)
{
	static const struct {
		uint8_t skip;
		const char *says;
	} table[] = {
	        {REC_GENESIS, "no genesis record of the token's flock"},
	        {REC_GRANT, "not admitted"},
	        {REC_ADMISSION, "not admitted"},
	        {REC_INVITE, "do not admit this host"},
	};
	struct keypair inv, joiner = keys_of(1), stranger = keys_of(2);
	struct adding adding;
	struct birds f, other;
	struct err err = {0};

	found(&f, *state, "birds");
	found(&other, f.scratch, "fish");
	inv = invite(&f, 50, 1, NOW + HOUR);
	assert_int_equal(join(&f, &inv, &joiner, NOW, &err), 0);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		adding = (struct adding){.to = founding_new(&f.made.flock), .skip = table[i].skip};
		join_each_record(f.store, add_record, &adding);
		expect_refusal(founding_check(adding.to, &joiner.public_key, &f.peer.public_key, &err), &err,
		        table[i].says);
		founding_free(adding.to);
	}
	/* All of it, but given by somebody who is not in it; and for somebody who is not in it. */
	adding = (struct adding){.to = founding_new(&f.made.flock)};
	join_each_record(f.store, add_record, &adding);
	expect_refusal(founding_check(adding.to, &joiner.public_key, &stranger.public_key, &err), &err,
	        "do not trust its address");
	expect_refusal(founding_check(adding.to, &stranger.public_key, &f.peer.public_key, &err), &err,
	        "do not admit this host");
	founding_free(adding.to);
	/* Another flock's records do not even verify. */
	adding = (struct adding){.to = founding_new(&f.made.flock)};
	join_each_record(other.store, add_record, &adding);
	expect_refusal(founding_check(adding.to, &joiner.public_key, NULL, &err), &err, "no genesis record");
	founding_free(adding.to);
	/* Bits that changed on the way. */
	adding = (struct adding){.to = founding_new(&f.made.flock), .flip = true};
	join_each_record(f.store, add_record, &adding);
	assert_int_equal(adding.rc, -1);
	founding_free(adding.to);
	lose(&f);
	lose(&other);
}

static void records_that_decide_nothing_are_not_taken(void **state)
{
	struct record r = {.kind = REC_VERDICT, .name_len = 1, .name = "x", .stamp = 1};
	struct founding *to;
	struct err err = {0};
	struct birds f;
	struct wr w;

	found(&f, *state, "birds");
	wr_init(&w, RECORD_BYTES_MAX);
	record_sign(&r, &f.made.flock, f.admin.secret);
	record_encode(&w, &r);
	to = founding_new(&f.made.flock);
	assert_int_equal(founding_add(to, w.p, w.len, &err), -1);
	assert_non_null(strstr(err.text, "not asked for"));
	founding_free(to);
	wr_free(&w);
	lose(&f);
}

struct paging {
	unsigned n;
	struct key32 seen[12000];
};

static void note_page(const struct stored *s, void *ctx)
{
	struct paging *p = ctx;

	assert_true(p->n < ARRAY_LEN(p->seen));
	p->seen[p->n++] = s->rec.id;
}

static int by_key(const void *a, const void *b)
{
	return key32_cmp(a, b);
}

static void a_large_flock_comes_in_pages(void **state)
{
	struct paging *p = calloc(1, sizeof(*p));
	uint64_t from = 0, pages = 0;
	struct birds f;

	found(&f, *state, "birds");
	for (unsigned i = 0; i < 6000; i++) {
		struct invite inv = {.uses = 1, .expires = NOW};
		struct key32 id;
		struct wr w;

		hash32(&inv.id, &i, sizeof(i));
		wr_init(&w, RECORD_BYTES_MAX);
		trust_make_invite(&w, &f.made.flock, &inv, f.stamp++, NULL, 0, f.admin.secret);
		assert_int_equal(store_put(f.store, w.p, w.len, true, &id, NULL), STORE_NEW);
		wr_free(&w);
	}
	do {
		uint64_t next = join_page(f.store, from, note_page, p);

		assert_true(next == 0 || next > from);
		from = next;
		pages++;
	} while (from);
	assert_int_equal(p->n, 6003);
	assert_true(pages > 1);
	qsort(p->seen, p->n, sizeof(p->seen[0]), by_key);
	for (unsigned i = 1; i < p->n; i++)
		assert_true(key32_cmp(&p->seen[i - 1], &p->seen[i]) < 0); /* none twice */
	assert_int_equal(join_page(f.store, 1000000, note_page, p), 0);
	assert_int_equal(p->n, 6003);
	free(p);
	lose(&f);
}

static void the_living_are_named_first(void **state UNUSED)
{
	struct founding *to;
	struct member m[JOIN_MEMBERS_MAX + 8] = {0};
	struct key32 flock = {{1}};
	struct err err = {0};
	uint64_t next;
	struct wr w;
	struct rd r;

	for (size_t i = 0; i < ARRAY_LEN(m); i++) {
		m[i].key.b[0] = (uint8_t)i;
		m[i].state = i % 2 ? MEMBER_ALIVE : MEMBER_DEAD;
		m[i].addr =
		        (struct addr){.family = i == 1 ? 0 : 4, .port = (uint16_t)(i + 1), .ip = {127, 0, 0, 1}};
	}
	wr_init(&w, 65536);
	join_pack_members(&w, m, ARRAY_LEN(m), 7);
	to = founding_new(&flock);
	assert_int_equal(founding_add_members(to, w.p, w.len, &next, &err), 0);
	assert_int_equal(next, 7);
	founding_free(to);
	rd_init(&r, w.p, w.len);
	assert_int_equal(up_map(&r), 2);
	up_skip(&r);
	up_skip(&r);
	up_skip(&r);
	assert_int_equal(up_array(&r), JOIN_MEMBERS_MAX);
	assert_int_equal(up_array(&r), 2);
	up_bin_copy(&r, flock.b, 32);
	assert_int_equal(flock.b[0], 3); /* alive, and with an address */
	wr_free(&w);
}

/* Every decoder on changed, cut and lengthened input: an error or a value, never a crash. */
/* Claims first, admissions later: what many hosts do that are given one token at once. */
static void hosts_that_join_at_once_get_a_use_each(void **state)
{
	struct keypair inv, joiner[4] = {keys_of(31), keys_of(32), keys_of(33), keys_of(34)};
	struct join_reply reply[4];
	struct wr record[4];
	struct err err = {0};
	struct birds f;

	found(&f, *state, "birds");
	inv = invite(&f, 30, 3, NOW + HOUR);
	for (uint32_t i = 0; i < 3; i++) {
		wr_init(&record[i], RECORD_BYTES_MAX);
		assert_int_equal(claim(&f, &inv, &joiner[i], NOW, &reply[i], &record[i], &err), 0);
		assert_int_equal(reply[i].use, i);
	}
	/* Asked again, it is the same one. */
	wr_init(&record[3], RECORD_BYTES_MAX);
	assert_int_equal(claim(&f, &inv, &joiner[1], NOW, &reply[3], &record[3], &err), 0);
	assert_int_equal(reply[3].use, 1);
	wr_free(&record[3]);
	assert_int_equal(admit(&f, &inv, &record[0], NOW, &err), 0);
	assert_int_equal(admit(&f, &inv, &record[2], NOW, &err), 0);
	assert_true(trust_peer(f.trust, &joiner[0].public_key));
	assert_true(trust_peer(f.trust, &joiner[2].public_key));
	/* One broke off; a fourth host gets what it left. Whoever is admitted second is told so. */
	wr_init(&record[3], RECORD_BYTES_MAX);
	assert_int_equal(claim(&f, &inv, &joiner[3], NOW, &reply[3], &record[3], &err), 0);
	assert_int_equal(reply[3].use, 1);
	assert_int_equal(admit(&f, &inv, &record[3], NOW, &err), 0);
	expect_refusal(admit(&f, &inv, &record[1], NOW, &err), &err, "use 1 of the token is taken");
	wr_free(&record[1]);
	lose(&f);
}

/* A host that broke off before others came holds its use for a moment only. */
static void an_offer_ends(void **state)
{
	struct keypair inv, joiner[2] = {keys_of(36), keys_of(37)};
	struct join_reply reply;
	struct err err = {0};
	struct wr record;
	struct birds f;

	found(&f, *state, "birds");
	inv = invite(&f, 35, 2, NOW + HOUR);
	for (unsigned i = 0; i < 2; i++) {
		wr_init(&record, RECORD_BYTES_MAX);
		assert_int_equal(
		        claim(&f, &inv, &joiner[i], NOW + (i ? JOIN_OFFER_MS : 0), &reply, &record, &err), 0);
		assert_int_equal(reply.use, 0);
		wr_free(&record);
	}
	lose(&f);
}

static void hostile_bytes_are_errors(void **state UNUSED)
{
	static const uint8_t huge[] = {0xdf, 0xff, 0xff, 0xff, 0xff, 0xdd, 0xff, 0xff, 0xff, 0xff};
	struct admission a = {.use = 3};
	struct founding *to;
	struct key32 flock = {{1}};
	struct join_ask ask;
	struct join_admit admit_args;
	struct join_reply reply;
	struct drbg rng;
	struct wr w[3];
	uint64_t next;
	struct err err;

	assert_int_equal(join_read_ask(&ask, huge, sizeof(huge), &err), -1);
	assert_int_equal(join_read_admit(&admit_args, huge, sizeof(huge), &err), -1);
	assert_int_equal(join_read_reply(&reply, huge, sizeof(huge), &err), -1);
	assert_int_equal(join_read_ask(&ask, NULL, 0, &err), -1);
	for (size_t i = 0; i < ARRAY_LEN(w); i++)
		wr_init(&w[i], 65536);
	join_pack_claim(&w[0], &a);
	join_pack_admit(&w[1], &w[0], 5);
	join_pack_members(&w[2], &(struct member){.addr = {.family = 6, .port = 1}, .state = MEMBER_ALIVE}, 1, 0);
	assert_int_equal(join_read_ask(&ask, w[0].p, w[0].len, &err), 0);
	assert_int_equal(ask.use, 3);
	assert_int_equal(join_read_admit(&admit_args, w[1].p, w[1].len, &err), 0);
	assert_int_equal(admit_args.record_len, w[0].len);
	assert_int_equal(admit_args.from, 5);
	drbg_init_u64(&rng, 7, 7);
	to = founding_new(&flock);
	for (int i = 0; i < 20000; i++) {
		struct wr *from = &w[drbg_below(&rng, ARRAY_LEN(w))];
		size_t len = drbg_below(&rng, from->len + 1);
		uint8_t *copy = xmemdup(from->p, len);

		for (uint64_t flips = drbg_below(&rng, 4); len && flips; flips--)
			copy[drbg_below(&rng, len)] = (uint8_t)drbg_u64(&rng);
		join_read_ask(&ask, copy, len, &err);
		join_read_admit(&admit_args, copy, len, &err);
		join_read_reply(&reply, copy, len, &err);
		founding_add_members(to, copy, len, &next, &err);
		founding_add(to, copy, len, &err);
		free(copy);
	}
	founding_free(to);
	for (size_t i = 0; i < ARRAY_LEN(w); i++)
		wr_free(&w[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        SCRATCH_TEST(a_flock_is_founded_whole),
	        SCRATCH_TEST(a_peer_shows_its_own_chain_and_no_more),
	        SCRATCH_TEST(a_chain_holds_after_its_admin_with_a_history_of_tokens_is_revoked),
	        SCRATCH_TEST(who_joins_after_a_revocation_is_given_what_its_heads_lead_to),
	        SCRATCH_TEST(a_founded_folder_is_not_founded_again),
	        SCRATCH_TEST(founding_that_fails_leaves_nothing),
	        SCRATCH_TEST(an_interrupted_attempt_can_be_repeated),
	        SCRATCH_TEST(an_operator_key_that_is_there_is_used),
	        SCRATCH_TEST(a_token_admits_a_host),
	        SCRATCH_TEST(a_token_is_good_for_its_uses_and_its_time),
	        SCRATCH_TEST(of_two_hosts_at_the_same_moment_one_tries_again),
	        SCRATCH_TEST(a_host_whose_answer_was_lost_asks_again),
	        SCRATCH_TEST(an_evicted_peer_stays_out),
	        SCRATCH_TEST(claims_and_records_of_others_are_refused),
	        SCRATCH_TEST(the_joiner_believes_only_what_leads_to_its_tokens_flock),
	        SCRATCH_TEST(records_that_decide_nothing_are_not_taken),
	        SCRATCH_TEST(a_large_flock_comes_in_pages),
	        cmocka_unit_test(the_living_are_named_first),
	        SCRATCH_TEST(hosts_that_join_at_once_get_a_use_each),
	        SCRATCH_TEST(an_offer_ends),
	        cmocka_unit_test(hostile_bytes_are_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
