/* Founding a flock, and the chain that its peers show: nothing is half done. */
#include "tests/unit/node/birds.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
	        SCRATCH_TEST(a_flock_is_founded_whole),
	        SCRATCH_TEST(a_peer_shows_its_own_chain_and_no_more),
	        SCRATCH_TEST(who_joins_after_a_revocation_is_given_what_its_heads_lead_to),
	        SCRATCH_TEST(a_chain_holds_after_its_admin_with_a_history_of_tokens_is_revoked),
	        SCRATCH_TEST(a_founded_folder_is_not_founded_again),
	        SCRATCH_TEST(founding_that_fails_leaves_nothing),
	        SCRATCH_TEST(an_interrupted_attempt_can_be_repeated),
	        SCRATCH_TEST(an_operator_key_that_is_there_is_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
