#include "tests/unit/gossip/flock.h"

#include "gossip/trust/bodies.h"

/* A flock whose first peer is admitted, and what stands in its store. */
struct scene {
	struct flock f;
	struct store *st;
	struct trust *t;
	uint64_t stamp;
};

/* Valid until four more were asked for. */
static const struct key32 *key_of(unsigned number)
{
	static struct actor some[4];
	static unsigned at;
	struct actor *a = &some[at++ % ARRAY_LEN(some)];

	*a = actor(number);
	return &a->key;
}

static void keep(struct scene *s, struct packed p)
{
	assert_int_equal(put(s->st, &p, true), STORE_NEW);
	packed_free(&p);
	trust_evaluate(s->t, s->st);
}

static struct packed admission(const struct scene *s, const struct admission *a, const struct actor *peer)
{
	struct wr w = record_wr();

	trust_make_admission(&w, &s->f.id, a, 1, peer->secret);
	return packed_of(w);
}

static struct packed invite(struct scene *s, const struct actor *by, const struct actor *key, uint32_t uses)
{
	struct invite inv = {.id = key->key, .uses = uses, .expires = 2000};
	struct wr w = record_wr();

	trust_make_invite(&w, &s->f.id, &inv, ++s->stamp, NULL, 0, by->secret);
	return packed_of(w);
}

static struct packed grant_to(struct scene *s, unsigned number, enum role role, uint32_t powers, const char *glob,
        const struct actor *by)
{
	struct grant g = {.operator_key = actor(number).key, .role = role, .powers = powers, .n_globs = !!glob};

	snprintf(g.name, sizeof(g.name), "key-%u", number);
	if (glob)
		text_copy(g.globs[0], sizeof(g.globs[0]), glob);
	return make_grant(&s->f.id, &g, by, ++s->stamp);
}

static struct packed first_peer(const struct scene *s, const struct actor *by)
{
	struct actor peer = actor(PEER_A);
	struct admission a;

	trust_vouch_first(&a, &s->f.id, &peer.key, by->secret);
	return admission(s, &a, &peer);
}

static struct scene scene_new(void)
{
	struct scene s = {.f = flock_new(), .stamp = 10};

	s.st = flock_store(&s.f);
	s.t = trust_new(&s.f.id);
	keep(&s, first_peer(&s, &s.f.admin));
	return s;
}

static void scene_free(struct scene *s)
{
	trust_free(s->t);
	store_free(s->st);
	flock_free(&s->f);
}

static bool may(struct scene *s, unsigned number, const char *stack, struct err *err)
{
	struct actor by = actor(number);
	struct packed p = make_revision(&s->f.id, &by, stack, 50, NULL, 0, "body");
	struct record r;
	bool ok;

	record_decode(&r, p.w.p, p.w.len, NULL);
	ok = trust_may_write(s->t, &r, err) == 0;
	packed_free(&p);
	return ok;
}

static uint32_t powers_for(struct scene *s, unsigned number, const char *stack)
{
	struct actor by = actor(number);
	struct packed p = make_revision(&s->f.id, &by, stack, 50, NULL, 0, "body");
	struct record r;
	uint32_t powers;

	record_decode(&r, p.w.p, p.w.len, NULL);
	powers = trust_powers_for(s->t, &r);
	packed_free(&p);
	return powers;
}

static void the_chain_from_root_to_the_first_peer_holds(void **state)
{
	struct scene s = scene_new();

	(void)state;
	assert_string_equal(trust_flock_name(s.t), "testing");
	assert_int_equal(trust_operator(s.t, &s.f.root.key)->role, ROLE_ROOT);
	assert_int_equal(trust_operator(s.t, &s.f.admin.key)->role, ROLE_ADMIN);
	assert_int_equal(trust_powers(s.t, &s.f.admin.key), POWER_ALL);
	assert_true(trust_peer(s.t, key_of(PEER_A)));
	assert_false(trust_peer(s.t, key_of(PEER_A + 1)));
	assert_true(may(&s, ADMIN, "web", NULL));
	scene_free(&s);
}

static void a_host_joins_with_an_invite_and_a_voucher(void **state)
{
	struct scene s = scene_new();
	struct actor token = actor(INVITE), vouching = actor(PEER_A), joining = actor(PEER_A + 1);
	struct admission a;
	struct key32 peers[4], resting[4];

	(void)state;
	keep(&s, invite(&s, &s.f.admin, &token, 1));
	assert_int_equal(trust_free_use(s.t, &token.key, 0), 0);
	trust_claim_invite(&a, &s.f.id, &joining.key, token.secret, 0);
	assert_int_equal(trust_vouch(s.t, &a, vouching.secret, 1999, NULL), 0);
	keep(&s, admission(&s, &a, &joining));
	assert_true(trust_peer(s.t, &joining.key));
	assert_int_equal(trust_peers(s.t, peers, 4), 2);
	assert_int_equal(trust_peers(s.t, NULL, 0), 2);
	assert_int_equal(trust_operators(s.t, NULL, 0), 2);
	assert_true(key32_cmp(&peers[0], &peers[1]) < 0);
	assert_int_equal(trust_free_use(s.t, &token.key, 0), -1);
	assert_int_equal(trust_resting_on(s.t, &vouching.key, resting, 4), 1);
	assert_true(key32_eq(&resting[0], &joining.key));
	assert_int_equal(trust_resting_on(s.t, &joining.key, resting, 4), 0);
	/* The joiner did not hear the answer and asks again: the same answer. */
	trust_claim_invite(&a, &s.f.id, &joining.key, token.secret, 0);
	assert_int_equal(trust_vouch(s.t, &a, vouching.secret, 1999, NULL), 0);
	scene_free(&s);
}

static void a_token_is_refused_with_its_reason(void **state)
{
	struct scene s = scene_new();
	struct actor token = actor(INVITE), other = actor(INVITE + 1), vouching = actor(PEER_A);
	struct actor joining = actor(PEER_A + 1);
	struct admission a;
	struct err err = {0};

	(void)state;
	keep(&s, invite(&s, &s.f.admin, &token, 1));
	trust_claim_invite(&a, &s.f.id, &joining.key, token.secret, 0);
	assert_int_equal(trust_vouch(s.t, &a, vouching.secret, 2000, &err), -1);
	assert_non_null(strstr(err.text, "expired"));
	assert_int_equal(err.code, ERR_UNAUTHORISED);
	trust_claim_invite(&a, &s.f.id, &joining.key, other.secret, 0);
	assert_int_equal(trust_vouch(s.t, &a, vouching.secret, 1000, &err), -1);
	assert_non_null(strstr(err.text, "not known"));
	trust_claim_invite(&a, &s.f.id, &joining.key, token.secret, 1);
	assert_int_equal(trust_vouch(s.t, &a, vouching.secret, 1000, &err), -1);
	assert_non_null(strstr(err.text, "use 1"));
	trust_claim_invite(&a, &s.f.id, &joining.key, token.secret, 0);
	a.peer = other.key; /* somebody else's claim */
	assert_int_equal(trust_vouch(s.t, &a, vouching.secret, 1000, &err), -1);
	assert_non_null(strstr(err.text, "claim"));
	trust_claim_invite(&a, &s.f.id, &joining.key, token.secret, 0);
	assert_int_equal(trust_vouch(s.t, &a, other.secret, 1000, &err), -1); /* no peer of the flock */
	assert_non_null(strstr(err.text, "not admitted"));
	scene_free(&s);
}

static void nobody_is_admitted_by_less_than_the_whole_chain(void **state)
{
	struct scene s = scene_new();
	struct actor token = actor(INVITE), joining = actor(PEER_A + 1), stranger = actor(STRANGER);
	struct admission a;

	(void)state;
	/* An invite by a stranger. */
	keep(&s, invite(&s, &stranger, &token, 4));
	assert_int_equal(trust_free_use(s.t, &token.key, 0), -1);
	/* A voucher by someone who is no peer, with a good invite. */
	token = actor(INVITE + 1);
	keep(&s, invite(&s, &s.f.admin, &token, 4));
	trust_claim_invite(&a, &s.f.id, &joining.key, token.secret, 0);
	trust_vouch(s.t, &a, stranger.secret, 0, NULL);
	keep(&s, admission(&s, &a, &joining));
	assert_false(trust_peer(s.t, &joining.key));
	/* A first peer by a stranger's word; by a deployer's. */
	trust_vouch_first(&a, &s.f.id, &joining.key, stranger.secret);
	keep(&s, admission(&s, &a, &joining));
	keep(&s, grant_to(&s, CI, ROLE_DEPLOY, 0, NULL, &s.f.admin));
	trust_vouch_first(&a, &s.f.id, &joining.key, actor(CI).secret);
	keep(&s, admission(&s, &a, &joining));
	assert_false(trust_peer(s.t, &joining.key));
	/* An admission signed by another key than the one it admits names that other key. */
	trust_vouch_first(&a, &s.f.id, &joining.key, s.f.admin.secret);
	keep(&s, admission(&s, &a, &stranger));
	assert_false(trust_peer(s.t, &joining.key));
	assert_false(trust_peer(s.t, &stranger.key));
	scene_free(&s);
}

/* Hosts race for one use of a token on all sides of a split: the lowest record counts, seen from anywhere, and
 * whoever vouched for it. */
static void of_several_holders_of_one_use_the_lowest_counts(void **state)
{
	struct scene s = scene_new();
	struct actor token = actor(INVITE), shared = actor(INVITE + 1), first = actor(PEER_A);
	struct key32 lowest_id, lowest_peer;

	(void)state;
	keep(&s, invite(&s, &s.f.admin, &token, 4));
	keep(&s, invite(&s, &s.f.admin, &shared, 1));
	for (unsigned i = 0; i < 4; i++) { /* four vouching peers */
		struct actor joining = actor(PEER_A + 1 + i);
		struct admission a;

		trust_claim_invite(&a, &s.f.id, &joining.key, token.secret, i);
		assert_int_equal(trust_vouch(s.t, &a, first.secret, 0, NULL), 0);
		keep(&s, admission(&s, &a, &joining));
	}
	memset(&lowest_id, 0xff, sizeof(lowest_id));
	for (unsigned i = 0; i < 40; i++) {
		struct actor joining = actor(PEER_A + 20 + i), vouching = actor(PEER_A + 1 + i % 4);
		struct admission a;
		struct packed p;

		trust_claim_invite(&a, &s.f.id, &joining.key, shared.secret, 0);
		/* On its side of the split each voucher saw the use free. */
		admission_sign_voucher(&a, &s.f.id, vouching.secret);
		p = admission(&s, &a, &joining);
		if (key32_cmp(&p.id, &lowest_id) < 0) {
			lowest_id = p.id;
			lowest_peer = joining.key;
		}
		keep(&s, p);
		assert_int_equal(trust_peers(s.t, NULL, 0), 6);
		assert_true(trust_peer(s.t, &lowest_peer));
	}
	scene_free(&s);
}

static void a_grant_gives_no_more_than_its_giver_has(void **state)
{
	struct scene s = scene_new();
	struct actor lead = actor(20), ci = actor(CI);

	(void)state;
	keep(&s, grant_to(&s, 20, ROLE_ADMIN, POWER_PRIORITY, "team-*", &s.f.admin));
	keep(&s, grant_to(&s, 21, ROLE_DEPLOY, 0, "team-a-*", &lead));
	assert_non_null(trust_operator(s.t, key_of(21)));
	keep(&s, grant_to(&s, 22, ROLE_DEPLOY, 0, "other", &lead)); /* beyond its stacks */
	keep(&s, grant_to(&s, 23, ROLE_DEPLOY, 0, NULL, &lead));    /* all stacks */
	keep(&s, grant_to(&s, 24, ROLE_DEPLOY, POWER_DEVICES, "team-x", &lead));
	keep(&s, grant_to(&s, CI, ROLE_DEPLOY, 0, "ci-*", &s.f.admin));
	keep(&s, grant_to(&s, 25, ROLE_READ, 0, "ci-*", &ci)); /* a deployer grants nothing */
	for (unsigned n = 22; n <= 25; n++)
		assert_null(trust_operator(s.t, key_of(n)));
	assert_true(may(&s, 21, "team-a-web", NULL));
	assert_false(may(&s, 21, "team-b", NULL));
	scene_free(&s);
}

/* "a?" is one more character; nobody who has it may hand out "a*". */
static void a_glob_is_within_another_only_if_all_its_names_are(void **state)
{
	static const struct {
		const char *outer, *inner;
		bool within;
	} cases[] = {{"a*", "a*", true}, {"a*", "ab*", true}, {"a*", "a?", true}, {"a*", "b", false},
	        {"a*", "*", false}, {"a?", "a?", true}, {"a?", "ab", true}, {"a?", "a*", false},
	        {"*", "x?*", true}, {"*-web", "a-web", true}, {"*-web", "*-db", false}};

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct scene s = scene_new();
		struct actor lead = actor(20);

		keep(&s, grant_to(&s, 20, ROLE_ADMIN, 0, cases[i].outer, &s.f.admin));
		keep(&s, grant_to(&s, 21, ROLE_DEPLOY, 0, cases[i].inner, &lead));
		assert_int_equal(trust_operator(s.t, key_of(21)) != NULL, cases[i].within);
		scene_free(&s);
	}
}

static void a_refused_author_learns_why(void **state)
{
	struct scene s = scene_new();
	struct err err = {0};

	(void)state;
	keep(&s, grant_to(&s, CI, ROLE_DEPLOY, 0, "ci-*", &s.f.admin));
	keep(&s, grant_to(&s, 30, ROLE_READ, 0, NULL, &s.f.admin));
	assert_false(may(&s, STRANGER, "web", &err));
	assert_non_null(strstr(err.text, "not known to flock testing"));
	assert_int_equal(err.code, ERR_UNAUTHORISED);
	assert_false(may(&s, 30, "web", &err));
	assert_non_null(strstr(err.text, "role read"));
	assert_false(may(&s, CI, "web", &err));
	assert_non_null(strstr(err.text, "ci-*"));
	assert_true(may(&s, CI, "ci-web", &err));
	scene_free(&s);
}

static void powers_come_from_the_grants_that_cover_the_stack(void **state)
{
	struct scene s = scene_new();
	struct key32 ci = actor(CI).key;

	(void)state;
	keep(&s, grant_to(&s, CI, ROLE_DEPLOY, POWER_EXEC_AS_ROOT, "infra", &s.f.admin));
	keep(&s, grant_to(&s, CI, ROLE_DEPLOY, 0, "web-*", &s.f.admin));
	assert_int_equal(powers_for(&s, CI, "infra"), POWER_EXEC_AS_ROOT);
	assert_int_equal(powers_for(&s, CI, "web-a"), 0);
	assert_int_equal(trust_powers(s.t, &ci), POWER_EXEC_AS_ROOT);
	assert_true(may(&s, CI, "web-a", NULL));
	scene_free(&s);
}

static void an_evicted_peer_is_out_and_stays_out(void **state)
{
	struct scene s = scene_new();
	struct actor token = actor(INVITE), a = actor(PEER_A), b = actor(PEER_A + 1), c = actor(PEER_A + 2);
	struct admission adm;
	struct key32 record;
	struct wr w = record_wr();
	struct err err = {0};

	(void)state;
	keep(&s, invite(&s, &s.f.admin, &token, 4));
	for (uint32_t use = 0; use < 2; use++) {
		struct actor joining = use ? c : b;

		trust_claim_invite(&adm, &s.f.id, &joining.key, token.secret, use);
		assert_int_equal(trust_vouch(s.t, &adm, a.secret, 0, NULL), 0);
		keep(&s, admission(&s, &adm, &joining));
	}
	/* The eviction lists b as good; c, which a admitted too, goes with a. */
	trust_make_eviction(&w, &s.f.id, &a.key, &b.key, 1, ++s.stamp, NULL, 0, s.f.admin.secret);
	keep(&s, packed_of(w));
	assert_false(trust_peer(s.t, &a.key));
	assert_true(trust_peer(s.t, &b.key));
	assert_false(trust_peer(s.t, &c.key));
	assert_true(trust_eviction(s.t, &a.key, &record));
	assert_int_equal(store_get(s.st, &record)->rec.kind, REC_EVICTION);
	assert_false(trust_eviction(s.t, &c.key, &record));
	trust_vouch_first(&adm, &s.f.id, &a.key, s.f.admin.secret);
	assert_int_equal(trust_vouch(s.t, &adm, b.secret, 0, &err), -1);
	scene_free(&s);
}

/* An evicted peer still knows its token: nobody else comes in by it, and who came before is named good or goes. */
static void the_token_of_an_evicted_peer_is_void(void **state)
{
	struct scene s = scene_new();
	struct actor token = actor(INVITE), a = actor(PEER_A);
	struct key32 resting[4];
	struct wr w = record_wr();
	struct err err = {0};

	(void)state;
	keep(&s, invite(&s, &s.f.admin, &token, 8));
	for (uint32_t use = 0; use < 4; use++) {
		struct actor joining = actor(PEER_A + 1 + use);
		struct admission adm;

		trust_claim_invite(&adm, &s.f.id, &joining.key, token.secret, use);
		assert_int_equal(trust_vouch(s.t, &adm, a.secret, 0, NULL), 0);
		if (use == 3) { /* joins after the eviction */
			assert_int_equal(trust_resting_on(s.t, key_of(PEER_A + 1), resting, 4), 2);
			trust_make_eviction(&w, &s.f.id, key_of(PEER_A + 1), key_of(PEER_A + 2), 1, ++s.stamp,
			        NULL, 0, s.f.admin.secret);
			keep(&s, packed_of(w));
			assert_int_equal(trust_vouch(s.t, &adm, a.secret, 0, &err), -1);
			assert_non_null(strstr(err.text, "evicted"));
		}
		keep(&s, admission(&s, &adm, &joining));
	}
	assert_true(trust_peer(s.t, &a.key));
	assert_false(trust_peer(s.t, key_of(PEER_A + 1)));
	assert_true(trust_peer(s.t, key_of(PEER_A + 2)));
	assert_false(trust_peer(s.t, key_of(PEER_A + 3)));
	assert_false(trust_peer(s.t, key_of(PEER_A + 4)));
	scene_free(&s);
}

/* Who joined with a revoked token stays when listed; whoever joins later, or was left out, does not. */
static void a_revoked_token_admits_nobody_more(void **state)
{
	struct scene s = scene_new();
	struct actor token = actor(INVITE), a = actor(PEER_A), b = actor(PEER_A + 1), c = actor(PEER_A + 2);
	struct admission adm;
	struct packed first;
	struct wr w = record_wr();
	struct err err = {0};
	struct key32 stays;

	(void)state;
	assert_int_equal(trust_invite_state(s.t, &token.key), INVITE_VOID);
	keep(&s, invite(&s, &s.f.admin, &token, 4));
	trust_claim_invite(&adm, &s.f.id, &b.key, token.secret, 0);
	assert_int_equal(trust_vouch(s.t, &adm, a.secret, 0, NULL), 0);
	first = admission(&s, &adm, &b);
	stays = first.id;
	keep(&s, first);
	assert_int_equal(trust_invite_state(s.t, &token.key), INVITE_OPEN);
	trust_claim_invite(&adm, &s.f.id, &c.key, token.secret, 1);
	assert_int_equal(trust_vouch(s.t, &adm, a.secret, 0, NULL), 0);
	trust_make_revocation(&w, &s.f.id, &token.key, &stays, 1, ++s.stamp, NULL, 0, s.f.admin.secret);
	keep(&s, packed_of(w));
	keep(&s, admission(&s, &adm, &c));
	assert_int_equal(trust_invite_state(s.t, &token.key), INVITE_REVOKED);
	assert_true(trust_peer(s.t, &b.key));
	assert_false(trust_peer(s.t, &c.key));
	assert_int_equal(trust_vouch(s.t, &adm, a.secret, 0, &err), -1);
	assert_non_null(strstr(err.text, "revoked"));
	scene_free(&s);
}

/* Another admin, beside or below who made a token, cannot close it; its maker and root can. */
static void a_token_is_revoked_by_its_maker_or_from_above(void **state)
{
	struct scene s = scene_new();
	struct actor token = actor(INVITE), ci = actor(CI);
	struct key32 below = actor(INVITE + 1).key;
	struct actor other = actor(INVITE + 1);
	struct wr w = record_wr();

	(void)state;
	keep(&s, grant_to(&s, CI, ROLE_ADMIN, POWER_ALL, NULL, &s.f.admin));
	keep(&s, invite(&s, &s.f.admin, &token, 1));
	keep(&s, invite(&s, &ci, &other, 1));
	trust_make_revocation(&w, &s.f.id, &token.key, NULL, 0, ++s.stamp, NULL, 0, ci.secret);
	keep(&s, packed_of(w));
	assert_int_equal(trust_invite_state(s.t, &token.key), INVITE_OPEN);
	w = record_wr();
	trust_make_revocation(&w, &s.f.id, &below, NULL, 0, ++s.stamp, NULL, 0, s.f.admin.secret);
	keep(&s, packed_of(w));
	assert_int_equal(trust_invite_state(s.t, &below), INVITE_REVOKED);
	scene_free(&s);
}

/* At the door: a revocation that would change nothing is refused instead of kept void. */
static void nobody_revokes_a_key_beside_or_above_it(void **state)
{
	struct scene s = scene_new();
	struct actor admin = s.f.admin, ci = actor(CI);
	const struct {
		const struct actor *by;
		const struct key32 *key;
		bool may;
	} cases[] = {{&admin, &ci.key, true}, {&ci, &admin.key, false}, {&admin, &s.f.root.key, false},
	        {&s.f.root, &admin.key, true}, {&s.f.root, &ci.key, true}, {&ci, &ci.key, false}};

	(void)state;
	keep(&s, grant_to(&s, CI, ROLE_ADMIN, POWER_ALL, NULL, &admin));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct wr w = record_wr();
		struct record r;

		trust_make_revocation(&w, &s.f.id, cases[i].key, NULL, 0, 50, NULL, 0, cases[i].by->secret);
		assert_int_equal(record_decode(&r, w.p, w.len, NULL), 0);
		assert_int_equal(trust_may_write(s.t, &r, NULL), cases[i].may ? 0 : -1);
		wr_free(&w);
	}
	scene_free(&s);
}

static void only_an_admin_evicts(void **state)
{
	struct scene s = scene_new();
	struct wr w = record_wr();

	(void)state;
	keep(&s, grant_to(&s, CI, ROLE_DEPLOY, 0, NULL, &s.f.admin));
	trust_make_eviction(&w, &s.f.id, key_of(PEER_A), NULL, 0, 1, NULL, 0, actor(CI).secret);
	keep(&s, packed_of(w));
	assert_true(trust_peer(s.t, key_of(PEER_A)));
	scene_free(&s);
}

/* What a stolen key signs after the listed heads is void, whatever date it claims; what it signed before holds. */
static void a_revoked_key_keeps_its_listed_history_only(void **state)
{
	struct scene s = scene_new();
	struct actor ci = actor(CI);
	struct record rec = {.kind = REC_REVISION, .stamp = 20};
	struct packed before = pack(rec, "web", "v1", 2, &s.f.id, &ci);
	struct record forged = {.kind = REC_REVISION, .stamp = 5};
	struct packed after = pack(forged, "web", "evil", 4, &s.f.id, &ci);
	struct key32 good = before.id, bad = after.id;
	struct wr w = record_wr();

	(void)state;
	keep(&s, grant_to(&s, CI, ROLE_DEPLOY, POWER_DEVICES, NULL, &s.f.admin));
	keep(&s, before);
	keep(&s, after);
	assert_true(trust_valid(s.t, store_get(s.st, &good)));
	trust_make_revocation(&w, &s.f.id, &ci.key, &good, 1, ++s.stamp, NULL, 0, s.f.admin.secret);
	keep(&s, packed_of(w));
	assert_null(trust_operator(s.t, &ci.key));
	assert_true(trust_valid(s.t, store_get(s.st, &good)));
	assert_int_equal(trust_powers_for(s.t, &store_get(s.st, &good)->rec), POWER_DEVICES);
	assert_false(trust_valid(s.t, store_get(s.st, &bad)));
	assert_int_equal(trust_powers_for(s.t, &store_get(s.st, &bad)->rec), 0);
	scene_free(&s);
}

/* Grants add up: each is listed, the refusal names what all of them allow, and the name shown for the key is of one. */
static void each_grant_of_a_key_is_listed(void **state)
{
	struct scene s = scene_new();
	struct actor ci = actor(CI), second = actor(40);
	const struct grant *g[8];
	struct err err = {0};
	struct wr w;
	size_t n, of_ci = 0;

	(void)state;
	keep(&s, grant_to(&s, 40, ROLE_ADMIN, POWER_ALL, NULL, &s.f.root));
	keep(&s, grant_to(&s, CI, ROLE_DEPLOY, 0, "aa-1", &s.f.admin));
	keep(&s, grant_to(&s, CI, ROLE_DEPLOY, POWER_DEVICES, "bb-*", &s.f.admin));
	keep(&s, grant_to(&s, CI, ROLE_READ, 0, "cc", &second));
	n = trust_operators(s.t, g, ARRAY_LEN(g));
	assert_int_equal(n, 6); /* root, two admins, three of ci */
	for (size_t i = 0; i < n; i++) {
		assert_true(trust_grant_holds(s.t, g[i]));
		if (!key32_eq(&g[i]->operator_key, &ci.key))
			continue;
		if (of_ci == 0) /* the one that says most comes first, and names the key */
			assert_ptr_equal(trust_key_name(s.t, &ci.key), g[i]->name);
		assert_string_equal(g[i]->globs[0], of_ci == 0 ? "bb-*" : of_ci == 1 ? "aa-1" : "cc");
		of_ci++;
	}
	assert_int_equal(of_ci, 3);
	assert_true(may(&s, CI, "aa-1", NULL));
	assert_true(may(&s, CI, "bb-2", NULL));
	assert_false(may(&s, CI, "cc", &err));
	assert_non_null(strstr(err.text, "aa-1"));
	assert_non_null(strstr(err.text, "bb-*"));
	assert_null(strstr(err.text, "match cc"));
	/* With its granter one of them falls. */
	w = record_wr();
	trust_make_revocation(&w, &s.f.id, &second.key, NULL, 0, ++s.stamp, NULL, 0, s.f.root.secret);
	keep(&s, packed_of(w));
	n = trust_operators(s.t, NULL, 0);
	assert_int_equal(n, 4);
	scene_free(&s);
}

static void a_key_cannot_revoke_what_is_above_or_beside_it(void **state)
{
	struct scene s = scene_new();
	struct actor second = actor(40);
	struct wr w;

	(void)state;
	keep(&s, grant_to(&s, 40, ROLE_ADMIN, 0, NULL, &s.f.admin));
	keep(&s, grant_to(&s, 41, ROLE_ADMIN, 0, NULL, &s.f.root));
	for (int i = 0; i < 2; i++) {
		struct key32 target = i ? actor(41).key : s.f.admin.key;

		w = record_wr();
		trust_make_revocation(&w, &s.f.id, &target, NULL, 0, ++s.stamp, NULL, 0, second.secret);
		keep(&s, packed_of(w));
		assert_non_null(trust_operator(s.t, &target));
	}
	/* Root may, and what the key had granted falls with it. */
	w = record_wr();
	trust_make_revocation(&w, &s.f.id, &s.f.admin.key, NULL, 0, ++s.stamp, NULL, 0, s.f.root.secret);
	keep(&s, packed_of(w));
	assert_null(trust_operator(s.t, &s.f.admin.key));
	assert_null(trust_operator(s.t, &second.key));
	assert_non_null(trust_operator(s.t, key_of(41)));
	scene_free(&s);
}

/* The same records, put in many orders: the same operators and peers, and each record valid or not alike. */
static void trust_does_not_depend_on_the_order_of_arrival(void **state)
{
	struct scene s = scene_new();
	struct actor token = actor(INVITE), second = actor(50);
	struct packed all[16];
	size_t n = 0;
	bool expected[16];
	struct drbg d;

	(void)state;
	all[n++] = invite(&s, &s.f.admin, &token, 3);
	assert_int_equal(put(s.st, &all[0], true), STORE_NEW);
	trust_evaluate(s.t, s.st);
	for (unsigned i = 0; i < 5; i++) {
		struct actor joining = actor(PEER_A + 1 + i);
		struct admission adm;

		trust_claim_invite(&adm, &s.f.id, &joining.key, token.secret, i % 3);
		/* Each is vouched for by the one before, so some rest on ones that lose their use. */
		trust_vouch(s.t, &adm, actor(PEER_A + i).secret, 0, NULL);
		all[n++] = admission(&s, &adm, &joining);
	}
	all[n++] = first_peer(&s, &s.f.root);
	all[n++] = grant_to(&s, 50, ROLE_ADMIN, 0, NULL, &s.f.admin);
	all[n++] = grant_to(&s, 51, ROLE_DEPLOY, 0, NULL, &second);
	all[n++] = make_revision(&s.f.id, &s.f.admin, "web", 9, NULL, 0, "x");
	drbg_init_u64(&d, 11, 0);
	for (int round = 0; round < 50; round++) {
		struct store *st = store_new(&s.f.id, test_secret);
		struct trust *t = trust_new(&s.f.id);
		size_t order[18];

		for (size_t i = 0; i < n + 2; i++)
			order[i] = i;
		for (size_t i = n + 2; i-- > 1;) {
			size_t j = drbg_below(&d, i + 1), swap = order[i];

			order[i] = order[j];
			order[j] = swap;
		}
		for (size_t i = 0; i < n + 2; i++) {
			const struct packed *p = order[i] < n    ? &all[order[i]]
			                         : order[i] == n ? &s.f.genesis
			                                         : &s.f.grant;

			put(st, p, true);
			trust_evaluate(t, st);
		}
		for (size_t i = 0; i < n; i++) {
			bool valid = trust_valid(t, store_get(st, &all[i].id));

			if (round == 0)
				expected[i] = valid;
			assert_int_equal(valid, expected[i]);
		}
		trust_free(t);
		store_free(st);
	}
	for (size_t i = 0; i < n; i++)
		packed_free(&all[i]);
	scene_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_chain_from_root_to_the_first_peer_holds),
	        cmocka_unit_test(a_host_joins_with_an_invite_and_a_voucher),
	        cmocka_unit_test(a_token_is_refused_with_its_reason),
	        cmocka_unit_test(nobody_is_admitted_by_less_than_the_whole_chain),
	        cmocka_unit_test(of_several_holders_of_one_use_the_lowest_counts),
	        cmocka_unit_test(a_grant_gives_no_more_than_its_giver_has),
	        cmocka_unit_test(a_glob_is_within_another_only_if_all_its_names_are),
	        cmocka_unit_test(a_refused_author_learns_why),
	        cmocka_unit_test(powers_come_from_the_grants_that_cover_the_stack),
	        cmocka_unit_test(an_evicted_peer_is_out_and_stays_out),
	        cmocka_unit_test(the_token_of_an_evicted_peer_is_void),
	        cmocka_unit_test(a_revoked_token_admits_nobody_more),
	        cmocka_unit_test(a_token_is_revoked_by_its_maker_or_from_above),
	        cmocka_unit_test(nobody_revokes_a_key_beside_or_above_it),
	        cmocka_unit_test(only_an_admin_evicts),
	        cmocka_unit_test(a_revoked_key_keeps_its_listed_history_only),
	        cmocka_unit_test(each_grant_of_a_key_is_listed),
	        cmocka_unit_test(a_key_cannot_revoke_what_is_above_or_beside_it),
	        cmocka_unit_test(trust_does_not_depend_on_the_order_of_arrival),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
