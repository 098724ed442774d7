/*
 * The law of trust: who may do what is a function of the set of records. From seeds: a flock with successions that
 * compete, grants and revocations up and down and across the tree, evictions, tokens used at once on several sides,
 * authors with and without a history. The same records in any order, judged after each arrival or only once at the
 * end, give the same operators, peers, and verdict on every record; and a void record is counted in the digest like any.
 */
#include "tests/unit/gossip/flock.h"

#include "base/hash.h"
#include "gossip/trust/bodies.h"

#define RECORDS   70
#define SEEDS     40
#define ORDERS    6
#define OPERATORS 8
#define PEERS     9
#define INVITES   3

struct world {
	struct flock f;
	struct drbg d;
	struct store *full; /* all so far, for heads and for what is known */
	struct trust *t;
	struct packed all[RECORDS];
	size_t n;
	uint64_t stamp;
};

static size_t pick(struct world *w, size_t n)
{
	return (size_t)drbg_below(&w->d, n);
}

/* Root, the first admin, and others that become operators, roots, or nothing. */
static struct actor somebody(struct world *w)
{
	return actor((unsigned)pick(w, OPERATORS));
}

static struct actor a_peer(struct world *w)
{
	return actor((unsigned)(PEER_A + pick(w, PEERS)));
}

static struct actor an_invite(struct world *w)
{
	return actor((unsigned)(80 + pick(w, INVITES)));
}

/* The author's own heads; now and then none, as of somebody who hides or lost them. */
static size_t history(struct world *w, const struct actor *by, struct key32 *prev)
{
	return pick(w, 4) ? store_author_heads(w->full, &by->key, prev) : 0;
}

static size_t some_ids(struct world *w, struct key32 *out, size_t max)
{
	size_t n = w->n ? pick(w, max + 1) : 0;

	for (size_t i = 0; i < n; i++)
		out[i] = w->all[pick(w, w->n)].id;
	return n;
}

static void add_operators_record(struct world *w, struct wr *out)
{
	struct actor by = somebody(w), about = somebody(w), token = an_invite(w), peer = a_peer(w);
	struct grant g = {.operator_key = about.key, .role = ROLE_READ + (enum role)pick(w, 3), .name = "x"};
	struct invite inv = {.id = token.key, .uses = 1 + (uint32_t)pick(w, 3), .expires = 1000};
	struct key32 prev[RECORD_REFS_MAX], list[4];
	size_t n_prev = history(w, &by, prev), n;
	uint64_t stamp = pick(w, 3) ? ++w->stamp : pick(w, 20); /* some are dated back, some tie */

	switch (pick(w, 8)) {
	case 0:
	case 1:
		trust_make_grant(out, &w->f.id, &g, stamp, prev, n_prev, by.secret);
		break;
	case 2:
		trust_make_invite(out, &w->f.id, &inv, stamp, prev, n_prev, by.secret);
		break;
	case 3:
	case 4:
		/* Of an operator, with its true heads or with any; or of an invite. */
		n = pick(w, 3) ? store_author_heads(w->full, &about.key, prev) : 0;
		n = MIN(n, (size_t)4);
		memcpy(list, prev, n * sizeof(*list));
		if (!n)
			n = some_ids(w, list, 4);
		n_prev = history(w, &by, prev);
		trust_make_revocation(out, &w->f.id, pick(w, 4) ? &about.key : &token.key, list, n, stamp, prev,
		        n_prev, by.secret);
		break;
	case 5:
		for (n = 0; n < 2; n++)
			list[n] = a_peer(w).key;
		trust_make_eviction(out, &w->f.id, &peer.key, list, pick(w, 3), stamp, prev, n_prev, by.secret);
		break;
	case 6:
		if (pick(w, 2))
			by = actor(ROOT);
		trust_make_succession(out, &w->f.id, &about.key, stamp, prev, history(w, &by, prev), by.secret);
		break;
	default: {
		struct record r = {.kind = REC_REVISION, .stamp = stamp, .prev = prev, .n_prev = (uint8_t)n_prev};

		text_copy(r.name, sizeof(r.name), "web");
		r.body = (const uint8_t *)"v";
		r.body_len = 1;
		record_sign(&r, &w->f.id, by.secret);
		record_encode(out, &r);
		break;
	}
	}
}

static void add_admission(struct world *w, struct wr *out)
{
	struct actor joining = a_peer(w), token = an_invite(w), vouching = a_peer(w), by = somebody(w);
	struct admission a;

	if (pick(w, 4) == 0) {
		trust_vouch_first(&a, &w->f.id, &joining.key, by.secret);
	} else {
		trust_claim_invite(&a, &w->f.id, &joining.key, token.secret, (uint32_t)pick(w, 3));
		admission_sign_voucher(&a, &w->f.id, vouching.secret);
	}
	trust_make_admission(out, &w->f.id, &a, ++w->stamp, joining.secret);
}

static void fill(struct world *w, uint64_t seed)
{
	*w = (struct world){.f = flock_new(), .stamp = 10};
	drbg_init_u64(&w->d, seed, 0);
	w->full = flock_store(&w->f);
	while (w->n < RECORDS) {
		struct wr out = record_wr();
		struct packed p;

		if (pick(w, 3))
			add_operators_record(w, &out);
		else
			add_admission(w, &out);
		p = packed_of(out);
		if (put(w->full, &p, true) != STORE_NEW)
			packed_free(&p);
		else
			w->all[w->n++] = p;
	}
}

static void world_free(struct world *w)
{
	for (size_t i = 0; i < w->n; i++)
		packed_free(&w->all[i]);
	store_free(w->full);
	flock_free(&w->f);
}

struct judging {
	struct wr w;
	const struct trust *t;
	size_t valid, voids;
};

static bool judge(const struct stored *s, void *ctx)
{
	struct judging *j = ctx;
	bool valid = trust_valid(j->t, s);

	wr_key32(&j->w, &s->rec.id);
	wr_u8(&j->w, valid);
	wr_u32(&j->w, trust_powers_for(j->t, &s->rec));
	j->valid += valid;
	j->voids += !valid;
	return true;
}

/* All that trust says, hashed. */
static struct key32 print(const struct trust *t, const struct store *st, struct judging *j)
{
	struct key32 peers[PEERS], out;
	const struct grant *grants[RECORDS + 2];
	size_t n = trust_peers(t, peers, PEERS);
	struct digest d = store_digest(st, false);

	*j = (struct judging){.t = t};
	wr_init(&j->w, 1 << 16);
	store_each(st, 0, judge, j);
	for (size_t i = 0; i < n; i++) {
		wr_key32(&j->w, &peers[i]);
		wr_u32(&j->w, (uint32_t)trust_resting_on(t, &peers[i], NULL, 0));
	}
	n = trust_operators(t, grants, ARRAY_LEN(grants));
	assert_true(n <= ARRAY_LEN(grants));
	for (size_t i = 0; i < n; i++) {
		wr_key32(&j->w, &grants[i]->operator_key);
		wr_u8(&j->w, (uint8_t)grants[i]->role);
		wr_bytes(&j->w, grants[i]->name, strlen(grants[i]->name));
	}
	for (unsigned i = 0; i < INVITES; i++) {
		struct key32 token = actor(80 + i).key;

		wr_u8(&j->w, (uint8_t)trust_invite_state(t, &token));
		wr_u32(&j->w, (uint32_t)trust_free_use(t, &token, 0));
	}
	wr_key32(&j->w, &d.root);
	wr_u32(&j->w, d.count);
	assert_true(wr_ok(&j->w));
	assert_int_equal(d.count, store_count(st)); /* void or not, it is in the digest */
	hash32(&out, j->w.p, j->w.len);
	wr_free(&j->w);
	return out;
}

static void who_may_do_what_does_not_depend_on_the_order_of_arrival(void **state)
{
	size_t valid = 0, voids = 0, roots = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct key32 expected, got;
		struct judging j;
		struct world w;

		fill(&w, seed);
		w.t = trust_new(&w.f.id);
		trust_evaluate(w.t, w.full);
		expected = print(w.t, w.full, &j);
		valid += j.valid;
		voids += j.voids;
		for (unsigned i = 2; i < OPERATORS; i++) {
			struct key32 key = actor(i).key;
			const struct grant *g = trust_operator(w.t, &key);

			roots += g && g->role == ROLE_ROOT;
		}
		for (int round = 0; round < ORDERS; round++) {
			const struct packed *order[RECORDS + 2];
			struct store *st = store_new(&w.f.id, test_secret);
			struct trust *t = trust_new(&w.f.id);

			for (size_t i = 0; i < w.n; i++)
				order[i] = &w.all[i];
			order[w.n] = &w.f.genesis;
			order[w.n + 1] = &w.f.grant;
			for (size_t i = w.n + 2; i-- > 1;) {
				size_t k = pick(&w, i + 1);
				const struct packed *swap = order[i];

				order[i] = order[k];
				order[k] = swap;
			}
			for (size_t i = 0; i < w.n + 2; i++) {
				put(st, order[i], true);
				if (round % 2)
					trust_evaluate(t, st);
			}
			trust_evaluate(t, st);
			got = print(t, st, &j);
			if (!key32_eq(&got, &expected))
				fail_msg("seed %llu: another verdict in order %d", (unsigned long long)seed,
				        round);
			trust_free(t);
			store_free(st);
		}
		trust_free(w.t);
		world_free(&w);
	}
	/* Worlds in which all or nothing counts would prove little. */
	assert_true(valid > RECORDS * SEEDS / 10);
	assert_true(voids > RECORDS * SEEDS / 10);
	assert_true(roots > SEEDS / 4);
}

/* Nobody is admitted beyond the uses of a token, and nobody is left out while it has some. */
static void a_token_admits_as_many_as_it_has_uses_whoever_asked_whom(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct flock f = flock_new();
		struct store *st = flock_store(&f);
		struct trust *t = trust_new(&f.id);
		struct actor token = actor(INVITE), first = actor(PEER_A);
		struct invite inv = {.id = token.key, .expires = 1000};
		struct admission a;
		struct packed p;
		struct drbg d;
		size_t joining;
		struct wr w = record_wr();

		drbg_init_u64(&d, seed, 1);
		inv.uses = 1 + (uint32_t)drbg_below(&d, 6);
		joining = (size_t)drbg_below(&d, 9);
		trust_make_invite(&w, &f.id, &inv, 5, NULL, 0, f.admin.secret);
		p = packed_of(w);
		put(st, &p, true);
		packed_free(&p);
		trust_vouch_first(&a, &f.id, &first.key, f.admin.secret);
		w = record_wr();
		trust_make_admission(&w, &f.id, &a, 6, first.secret);
		p = packed_of(w);
		put(st, &p, true);
		packed_free(&p);
		for (size_t i = 0; i < joining; i++) {
			struct actor host = actor((unsigned)(PEER_A + 1 + i));

			trust_claim_invite(
			        &a, &f.id, &host.key, token.secret, (uint32_t)drbg_below(&d, inv.uses));
			admission_sign_voucher(&a, &f.id, first.secret);
			w = record_wr();
			trust_make_admission(&w, &f.id, &a, 7 + i, host.secret);
			p = packed_of(w);
			put(st, &p, true);
			packed_free(&p);
		}
		trust_evaluate(t, st);
		assert_int_equal(trust_peers(t, NULL, 0), 1 + MIN(joining, (size_t)inv.uses));
		trust_free(t);
		store_free(st);
		flock_free(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(who_may_do_what_does_not_depend_on_the_order_of_arrival),
	        cmocka_unit_test(a_token_admits_as_many_as_it_has_uses_whoever_asked_whom),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
