/* The line of roots: who succeeds the flock's root, and what becomes of what the old root signed. */
#include "tests/unit/gossip/flock.h"
#include "tests/unit/gossip/golden.h"

enum { SECOND = 60, THIRD, THIEF, FIRST_CI };

struct scene {
	struct key32 id;
	struct store *st;
	struct trust *t;
	uint64_t stamp;
};

static struct key32 keep(struct scene *s, struct packed p)
{
	struct key32 id = p.id;

	assert_int_equal(put(s->st, &p, true), STORE_NEW);
	packed_free(&p);
	trust_evaluate(s->t, s->st);
	return id;
}

static struct packed genesis(struct key32 *id, const struct key32 *successor)
{
	struct wr w = record_wr();

	trust_make_genesis_named(&w, "testing", 1700000000000, successor, actor(ROOT).secret, id);
	return packed_of(w);
}

static struct scene scene_new(const struct key32 *successor)
{
	struct scene s = {.stamp = 100};
	struct packed g = genesis(&s.id, successor);

	s.st = store_new(&s.id, test_secret);
	s.t = trust_new(&s.id);
	keep(&s, g);
	return s;
}

static void scene_free(struct scene *s)
{
	trust_free(s->t);
	store_free(s->st);
}

static struct packed succession(struct scene *s, unsigned by, unsigned successor, uint64_t stamp)
{
	struct key32 next = actor(successor).key;
	struct wr w = record_wr();

	trust_make_succession(&w, &s->id, &next, stamp, NULL, 0, actor(by).secret);
	return packed_of(w);
}

static struct packed grant(struct scene *s, unsigned by, unsigned to, enum role role)
{
	struct actor a = actor(by);
	struct grant g = {.operator_key = actor(to).key, .role = role, .name = "somebody"};

	return make_grant(&s->id, &g, &a, ++s->stamp);
}

static struct packed revocation(
        struct scene *s, unsigned by, unsigned of, const struct key32 *heads, size_t n_heads)
{
	struct key32 key = actor(of).key;
	struct wr w = record_wr();

	trust_make_revocation(&w, &s->id, &key, heads, n_heads, ++s->stamp, NULL, 0, actor(by).secret);
	return packed_of(w);
}

static enum role role_of(struct scene *s, unsigned number)
{
	struct key32 key = actor(number).key;
	const struct grant *g = trust_operator(s->t, &key);

	return g ? g->role : ROLE_NONE;
}

static bool may_write(struct scene *s, struct packed p, struct err *err)
{
	struct record r;
	bool may;

	assert_int_equal(record_decode(&r, p.w.p, p.w.len, NULL), 0);
	may = trust_may_write(s->t, &r, err) == 0;
	packed_free(&p);
	return may;
}

static void the_successor_is_root_and_stands_above_the_one_that_named_it(void **state)
{
	struct scene s = scene_new(NULL);
	struct key32 naming;

	(void)state;
	naming = keep(&s, succession(&s, ROOT, SECOND, 5));
	assert_true(trust_valid(s.t, store_get(s.st, &naming)));
	assert_int_equal(role_of(&s, ROOT), ROLE_ROOT);
	assert_int_equal(role_of(&s, SECOND), ROLE_ROOT);
	assert_false(may_write(&s, revocation(&s, ROOT, SECOND, NULL, 0), NULL));
	assert_true(may_write(&s, revocation(&s, SECOND, ROOT, NULL, 0), NULL));
	keep(&s, revocation(&s, ROOT, SECOND, NULL, 0));
	assert_int_equal(role_of(&s, SECOND), ROLE_ROOT);
	scene_free(&s);
}

/* The old root is retired by a revocation that lists what stays; the naming itself stays whatever it lists. */
static void what_a_retired_root_signed_stays_up_to_the_listed_heads(void **state)
{
	struct scene s = scene_new(NULL);
	struct key32 good, late, naming;

	(void)state;
	good = keep(&s, grant(&s, ROOT, ADMIN, ROLE_ADMIN));
	naming = keep(&s, succession(&s, ROOT, SECOND, 5));
	keep(&s, revocation(&s, SECOND, ROOT, &good, 1));
	late = keep(&s, grant(&s, ROOT, CI, ROLE_ADMIN));
	assert_int_equal(role_of(&s, ROOT), ROLE_NONE);
	assert_int_equal(role_of(&s, SECOND), ROLE_ROOT);
	assert_int_equal(role_of(&s, ADMIN), ROLE_ADMIN);
	assert_int_equal(role_of(&s, CI), ROLE_NONE);
	assert_true(trust_valid(s.t, store_get(s.st, &s.id)));
	assert_true(trust_valid(s.t, store_get(s.st, &naming)));
	assert_false(trust_valid(s.t, store_get(s.st, &late)));
	/* The admin acts on, under the new root. */
	keep(&s, grant(&s, ADMIN, FIRST_CI, ROLE_DEPLOY));
	assert_int_equal(role_of(&s, FIRST_CI), ROLE_DEPLOY);
	keep(&s, revocation(&s, SECOND, ADMIN, NULL, 0));
	assert_int_equal(role_of(&s, FIRST_CI), ROLE_NONE);
	scene_free(&s);
}

static void a_line_of_three_roots_and_each_stands_above_the_earlier(void **state)
{
	struct scene s = scene_new(NULL);

	(void)state;
	/* The later naming is known first. */
	keep(&s, succession(&s, SECOND, THIRD, 9));
	assert_int_equal(role_of(&s, THIRD), ROLE_NONE);
	keep(&s, succession(&s, ROOT, SECOND, 5));
	assert_int_equal(role_of(&s, THIRD), ROLE_ROOT);
	assert_true(may_write(&s, revocation(&s, THIRD, ROOT, NULL, 0), NULL));
	assert_true(may_write(&s, revocation(&s, THIRD, SECOND, NULL, 0), NULL));
	assert_true(may_write(&s, revocation(&s, SECOND, ROOT, NULL, 0), NULL));
	assert_false(may_write(&s, revocation(&s, SECOND, THIRD, NULL, 0), NULL));
	keep(&s, revocation(&s, SECOND, ROOT, NULL, 0));
	assert_int_equal(role_of(&s, ROOT), ROLE_NONE);
	assert_int_equal(role_of(&s, THIRD), ROLE_ROOT);
	/* Nobody comes back by being named again. */
	keep(&s, succession(&s, THIRD, ROOT, 12));
	assert_int_equal(role_of(&s, ROOT), ROLE_NONE);
	scene_free(&s);
}

static void of_two_successors_the_first_counts_and_the_door_says_so(void **state)
{
	struct scene s = scene_new(NULL);
	struct err err = {0};
	struct key32 second;

	(void)state;
	keep(&s, succession(&s, ROOT, SECOND, 5));
	assert_false(may_write(&s, succession(&s, ROOT, THIRD, 6), &err));
	assert_non_null(strstr(err.text, "has been succeeded"));
	assert_false(may_write(&s, succession(&s, SECOND, ROOT, 6), &err));
	assert_non_null(strstr(err.text, "is root already"));
	assert_true(may_write(&s, succession(&s, SECOND, THIRD, 6), &err));
	second = keep(&s, succession(&s, ROOT, THIRD, 6));
	assert_false(trust_valid(s.t, store_get(s.st, &second)));
	assert_int_equal(role_of(&s, THIRD), ROLE_NONE);
	keep(&s, grant(&s, ROOT, ADMIN, ROLE_ADMIN));
	assert_false(may_write(&s, succession(&s, ADMIN, THIEF, 7), &err));
	assert_non_null(strstr(err.text, "only the flock's root"));
	scene_free(&s);
}

/* Where the genesis names the successor, whoever has the root key cannot name another, whatever date it gives it. */
static void a_successor_of_the_genesis_cannot_be_displaced(void **state)
{
	struct key32 named = actor(SECOND).key, other;
	struct scene s = scene_new(&named), plain;
	struct key32 stolen;

	(void)state;
	assert_int_equal(role_of(&s, SECOND), ROLE_ROOT);
	stolen = keep(&s, succession(&s, ROOT, THIEF, 0));
	assert_false(trust_valid(s.t, store_get(s.st, &stolen)));
	assert_int_equal(role_of(&s, THIEF), ROLE_NONE);
	keep(&s, revocation(&s, ROOT, SECOND, NULL, 0));
	keep(&s, revocation(&s, SECOND, ROOT, NULL, 0));
	assert_int_equal(role_of(&s, ROOT), ROLE_NONE);
	assert_int_equal(role_of(&s, SECOND), ROLE_ROOT);
	/* It is another flock than the one without: its id covers the name. */
	plain = scene_new(NULL);
	other = plain.id;
	assert_false(key32_eq(&other, &s.id));
	scene_free(&plain);
	scene_free(&s);
}

/* A thief who holds a revoked admin's key revokes nobody with it, though it stands above whom it granted. */
static void a_revoked_key_revokes_nobody_any_more(void **state)
{
	struct scene s = scene_new(NULL);
	struct key32 head, before;

	(void)state;
	keep(&s, grant(&s, ROOT, ADMIN, ROLE_ADMIN));
	keep(&s, grant(&s, ADMIN, CI, ROLE_DEPLOY));
	head = keep(&s, grant(&s, ADMIN, FIRST_CI, ROLE_DEPLOY));
	/* Both grants are of the listed history, as each would name the one before; here both are listed. */
	before = keep(&s, revocation(&s, ADMIN, FIRST_CI, NULL, 0));
	assert_int_equal(role_of(&s, FIRST_CI), ROLE_NONE);
	{
		struct key32 heads[3], ci = actor(CI).key;
		const struct grant *g = trust_operator(s.t, &ci);

		assert_non_null(g);
		heads[0] = head;
		heads[1] = before;
		keep(&s, grant(&s, ROOT, THIRD, ROLE_ADMIN));
		heads[2] = keep(&s, grant(&s, ADMIN, CI, ROLE_DEPLOY));
		keep(&s, revocation(&s, ROOT, ADMIN, heads, 3));
	}
	assert_int_equal(role_of(&s, ADMIN), ROLE_NONE);
	assert_int_equal(role_of(&s, CI), ROLE_DEPLOY);
	assert_int_equal(role_of(&s, FIRST_CI), ROLE_NONE);
	keep(&s, revocation(&s, ADMIN, CI, NULL, 0));
	assert_int_equal(role_of(&s, CI), ROLE_DEPLOY);
	scene_free(&s);
}

static void the_bytes_of_a_succession_are_those_of_the_golden_file(void **state)
{
	struct key32 named = actor(SECOND).key, id;
	struct scene s = scene_new(NULL);
	struct packed p = succession(&s, ROOT, SECOND, 5), g = genesis(&id, &named);

	(void)state;
	golden_hex("succession.hex", p.w.p, p.w.len);
	golden_hex("genesis-successor.hex", g.w.p, g.w.len);
	packed_free(&p);
	packed_free(&g);
	scene_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(the_successor_is_root_and_stands_above_the_one_that_named_it),
	        cmocka_unit_test(what_a_retired_root_signed_stays_up_to_the_listed_heads),
	        cmocka_unit_test(a_line_of_three_roots_and_each_stands_above_the_earlier),
	        cmocka_unit_test(of_two_successors_the_first_counts_and_the_door_says_so),
	        cmocka_unit_test(a_successor_of_the_genesis_cannot_be_displaced),
	        cmocka_unit_test(a_revoked_key_revokes_nobody_any_more),
	        cmocka_unit_test(the_bytes_of_a_succession_are_those_of_the_golden_file),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
