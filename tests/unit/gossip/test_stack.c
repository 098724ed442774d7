#include "tests/unit/gossip/flock.h"

static const struct key32 flock = {{9}};

struct graph {
	struct store *st;
	struct actor by;
};

static struct graph graph_new(void)
{
	return (struct graph){store_new(&flock, test_secret), actor(ADMIN)};
}

/* Adds a revision of stack "web" that names up to two parents; returns its id. */
static struct key32 revise(
        struct graph *g, uint64_t stamp, const char *body, const struct key32 *a, const struct key32 *b)
{
	struct key32 parents[2];
	size_t n = 0;
	struct packed p;
	struct key32 id;

	if (a)
		parents[n++] = *a;
	if (b)
		parents[n++] = *b;
	p = make_revision(&flock, &g->by, "web", stamp, parents, n, body);
	id = p.id;
	put(g->st, &p, true);
	packed_free(&p);
	return id;
}

static struct stack_heads heads(struct graph *g)
{
	struct stack_heads h;

	store_stack_heads(g->st, "web", NULL, NULL, &h);
	return h;
}

static void a_successor_replaces_its_parent(void **state)
{
	struct graph g = graph_new();
	struct key32 a = revise(&g, 1, "a", NULL, NULL), b = revise(&g, 2, "b", &a, NULL);
	struct stack_heads h = heads(&g);

	(void)state;
	assert_int_equal(h.n, 1);
	assert_true(key32_eq(&h.head[0]->rec.id, &b));
	store_free(g.st);
}

/* A parent counts for more than a clock: the successor of a revision from the future still replaces it. */
static void a_clock_that_ran_ahead_cannot_hold_a_stack(void **state)
{
	struct graph g = graph_new();
	struct key32 a = revise(&g, 1000000, "future", NULL, NULL), b = revise(&g, 5, "now", &a, NULL);
	struct stack_heads h = heads(&g);

	(void)state;
	assert_int_equal(h.n, 1);
	assert_true(key32_eq(&h.head[0]->rec.id, &b));
	store_free(g.st);
}

static void of_concurrent_edits_the_newest_wins_and_the_other_is_kept(void **state)
{
	struct graph g = graph_new();
	struct key32 a = revise(&g, 1, "a", NULL, NULL);
	struct key32 b = revise(&g, 2, "b", &a, NULL), c = revise(&g, 3, "c", &a, NULL), d;
	struct stack_heads h = heads(&g);

	(void)state;
	assert_int_equal(h.n, 2);
	assert_true(key32_eq(&h.head[0]->rec.id, &c));
	assert_true(key32_eq(&h.head[1]->rec.id, &b));
	d = revise(&g, 4, "both seen", &b, &c);
	h = heads(&g);
	assert_int_equal(h.n, 1);
	assert_true(key32_eq(&h.head[0]->rec.id, &d));
	store_free(g.st);
}

static void of_edits_with_one_stamp_the_highest_id_wins(void **state)
{
	struct graph g = graph_new();
	struct stack_heads h;

	(void)state;
	for (int i = 0; i < 6; i++) {
		char body[2] = {(char)('a' + i)};

		revise(&g, 5, body, NULL, NULL);
	}
	h = heads(&g);
	assert_int_equal(h.n, 6);
	for (size_t i = 1; i < h.n; i++)
		assert_true(key32_cmp(&h.head[i - 1]->rec.id, &h.head[i]->rec.id) > 0);
	store_free(g.st);
}

static void a_removal_beats_a_concurrent_edit_and_a_later_deploy_brings_back(void **state)
{
	struct graph g = graph_new();
	struct key32 a = revise(&g, 1, "a", NULL, NULL), gone = revise(&g, 2, NULL, &a, NULL);
	struct key32 edit = revise(&g, 9, "edit", &a, NULL), again;
	struct stack_heads h = heads(&g);

	(void)state;
	assert_int_equal(h.n, 2);
	assert_true(key32_eq(&h.head[0]->rec.id, &gone));
	again = revise(&g, 10, "again", &gone, &edit);
	h = heads(&g);
	assert_int_equal(h.n, 1);
	assert_true(key32_eq(&h.head[0]->rec.id, &again));
	store_free(g.st);
}

static bool only_admin(const struct stored *s, void *ctx)
{
	return key32_eq(&s->rec.author, ctx);
}

/* Nobody hides a revision by naming it as parent in a record that does not count. */
/* Removed and deployed anew here; a peer that was away brings an edit of the line that was removed, made later. */
static void a_late_edit_of_a_removed_line_does_not_replace_what_was_deployed_anew(void **state)
{
	struct graph g = graph_new();
	struct key32 a = revise(&g, 1, "a", NULL, NULL), removal = revise(&g, 2, NULL, &a, NULL);
	struct key32 anew = revise(&g, 3, "anew", &removal, NULL), next;
	struct key32 stray = revise(&g, 900, "stray", &a, NULL), last;

	(void)state;
	assert_int_equal(heads(&g).n, 2);
	assert_true(key32_eq(&heads(&g).head[0]->rec.id, &anew));
	next = revise(&g, 4, "next", &anew, NULL);
	assert_true(key32_eq(&heads(&g).head[0]->rec.id, &next));
	/* A second removal, unseen by whoever deployed, wins over both. */
	last = revise(&g, 3, NULL, &anew, NULL);
	assert_int_equal(heads(&g).n, 3);
	assert_true(key32_eq(&heads(&g).head[0]->rec.id, &last));
	/* Who names them all replaces them all. */
	next = revise(&g, 5, "merged", &last, &stray);
	assert_true(key32_eq(&heads(&g).head[0]->rec.id, &next));
	store_free(g.st);
}

/* The way up is walked without recursion: a stack has as many revisions as its history is long. */
static void a_long_history_is_walked_to_its_removals(void **state)
{
	struct graph g = graph_new();
	struct key32 first = revise(&g, 1, NULL, NULL, NULL), last = first, stray;

	(void)state;
	for (uint64_t i = 2; i < 3000; i++)
		last = revise(&g, i, "x", &last, NULL);
	stray = revise(&g, 100000, "stray", NULL, NULL);
	assert_int_equal(heads(&g).n, 2);
	assert_true(key32_eq(&heads(&g).head[0]->rec.id, &last));
	assert_true(key32_eq(&heads(&g).head[1]->rec.id, &stray));
	store_free(g.st);
}

static void a_void_successor_hides_nothing(void **state)
{
	struct graph g = graph_new();
	struct key32 a = revise(&g, 1, "a", NULL, NULL), admin = g.by.key;
	struct stack_heads h;

	(void)state;
	g.by = actor(STRANGER);
	revise(&g, 2, "void", &a, NULL);
	store_stack_heads(g.st, "web", only_admin, &admin, &h);
	assert_int_equal(h.n, 1);
	assert_true(key32_eq(&h.head[0]->rec.id, &a));
	store_free(g.st);
}

static void only_what_is_on_disk_counts(void **state)
{
	struct graph g = graph_new();
	struct packed p = make_revision(&flock, &g.by, "web", 1, NULL, 0, "a");

	(void)state;
	put(g.st, &p, false);
	assert_int_equal(heads(&g).n, 0);
	store_on_disk(g.st, &p.id);
	assert_int_equal(heads(&g).n, 1);
	packed_free(&p);
	store_free(g.st);
}

static void more_heads_than_are_told_leave_the_best(void **state)
{
	struct graph g = graph_new();
	struct stack_heads h;

	(void)state;
	for (uint64_t i = 1; i <= STACK_HEADS_MAX + 9; i++)
		revise(&g, i * 7 % 26, "x", NULL, NULL);
	h = heads(&g);
	assert_int_equal(h.n, STACK_HEADS_MAX);
	for (size_t i = 0; i < h.n; i++)
		assert_int_equal(h.head[i]->rec.stamp, 25 - i);
	store_free(g.st);
}

static struct key32 set(struct graph *g, uint64_t stamp, const char *value, const struct key32 *replaces)
{
	struct record r = {.kind = REC_SETTING, .stamp = stamp, .parents = replaces, .n_parents = !!replaces};
	struct packed p = pack(r, "drain/7", value, strlen(value), &flock, &g->by);
	struct key32 id = p.id;

	put(g->st, &p, true);
	packed_free(&p);
	return id;
}

static void a_setting_holds_until_one_that_names_it(void **state)
{
	struct graph g = graph_new();
	struct key32 a = set(&g, 100, "drained", NULL), b = set(&g, 2, "active", &a);
	const struct stored *s = store_setting(g.st, "drain/7", NULL, NULL);

	(void)state;
	assert_true(key32_eq(&s->rec.id, &b));
	assert_ptr_equal(store_current(g.st, &s->rec.key), s);
	set(&g, 3, "drained again", NULL); /* concurrent with b, and newer */
	s = store_setting(g.st, "drain/7", NULL, NULL);
	assert_int_equal(s->rec.stamp, 3);
	assert_null(store_setting(g.st, "drain/8", NULL, NULL));
	store_free(g.st);
}

static bool count_setting(const struct stored *s, void *ctx)
{
	assert_int_equal(s->rec.stamp, 2);
	++*(int *)ctx;
	return true;
}

static void a_walk_over_settings_shows_those_that_hold(void **state)
{
	struct graph g = graph_new();
	struct key32 a = set(&g, 1, "drained", NULL);
	int n = 0;

	(void)state;
	set(&g, 2, "active", &a);
	store_each_setting(g.st, NULL, NULL, count_setting, &n);
	assert_int_equal(n, 1);
	store_free(g.st);
}

static void gather_names(const char *stack, void *ctx)
{
	strcat(ctx, stack);
	strcat(ctx, " ");
}

static void stacks_are_told_once_each_in_name_order(void **state)
{
	static const char *const names[] = {"web", "api", "db", "api", "web"};
	struct graph g = graph_new();
	char all[64] = "";

	(void)state;
	for (uint64_t i = 0; i < ARRAY_LEN(names); i++) {
		struct packed p = make_revision(&flock, &g.by, names[i], i, NULL, 0, "x");

		put(g.st, &p, true);
		packed_free(&p);
	}
	store_each_stack(g.st, gather_names, all);
	assert_string_equal(all, "api db web ");
	store_free(g.st);
}

static void an_author_names_its_own_heads_next(void **state)
{
	struct graph g = graph_new();
	struct record r = {.kind = REC_SETTING, .stamp = 1};
	struct packed a = pack(r, "labels/1", "v", 1, &flock, &g.by), b;
	struct key32 out[RECORD_REFS_MAX];
	struct actor other = actor(CI);
	struct packed c;

	(void)state;
	put(g.st, &a, true);
	r = (struct record){.kind = REC_REVISION, .stamp = 2, .prev = &a.id, .n_prev = 1};
	b = pack(r, "web", "x", 1, &flock, &g.by);
	put(g.st, &b, true);
	c = make_revision(&flock, &other, "web", 3, NULL, 0, "y");
	put(g.st, &c, true);
	assert_int_equal(store_author_heads(g.st, &g.by.key, out), 1);
	assert_true(key32_eq(&out[0], &b.id));
	assert_int_equal(store_author_heads(g.st, &other.key, out), 1);
	packed_free(&a);
	packed_free(&b);
	packed_free(&c);
	store_free(g.st);
}

static void count_gone(const struct stored *header, void *ctx)
{
	assert_null(header->rec.body);
	++*(size_t *)ctx;
}

static bool keep_third(const struct stored *s, void *ctx)
{
	(void)ctx;
	return s->rec.stamp == 3;
}

/* Headers stay for ever; bodies of the last twenty, of heads, and of what still runs. */
static void old_bodies_go_and_headers_stay(void **state)
{
	struct graph g = graph_new();
	struct key32 last = revise(&g, 1, "first", NULL, NULL), missing[4];
	size_t gone = 0;

	(void)state;
	revise(&g, 2, "a head of old", NULL, NULL);
	for (uint64_t i = 3; i <= 30; i++)
		last = revise(&g, i, "x", &last, NULL);
	store_trim_bodies(g.st, "web", keep_third, NULL, count_gone, &gone);
	assert_int_equal(gone, 30 - STACK_BODIES_KEPT - 2);
	assert_int_equal(store_count(g.st), 30);
	assert_int_equal(store_missing_bodies(g.st, missing, 4), 0);
	assert_int_equal(heads(&g).n, 2);
	store_free(g.st);
}

static bool by_admin(const struct stored *s, void *ctx)
{
	return key32_eq(&s->rec.author, ctx);
}

/* Anybody can make well-formed revisions of any stack: however many, and however they are dated, the bodies of those
 * that count stay, and of the others a bounded number. */
static void void_revisions_push_out_no_body_that_counts(void **state)
{
	struct graph g = graph_new(), stranger = {g.st, actor(STRANGER)};
	struct key32 head = revise(&g, 1, "runs", NULL, NULL), missing[4];
	size_t gone = 0;

	(void)state;
	store_judge(g.st, by_admin, &g.by.key);
	for (uint64_t i = 0; i < 50; i++)
		revise(&stranger, 1000 + i, "evil", &head, NULL);
	store_trim_bodies(g.st, "web", NULL, NULL, count_gone, &gone);
	assert_int_equal(gone, 50 - STACK_BODIES_KEPT);
	assert_non_null(store_get(g.st, &head)->rec.body);
	store_drop_body(g.st, &head);
	assert_int_equal(store_missing_bodies(g.st, missing, 4), 1);
	assert_true(key32_eq(&missing[0], &head));
	store_free(g.st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(a_successor_replaces_its_parent),
	        cmocka_unit_test(a_clock_that_ran_ahead_cannot_hold_a_stack),
	        cmocka_unit_test(of_concurrent_edits_the_newest_wins_and_the_other_is_kept),
	        cmocka_unit_test(of_edits_with_one_stamp_the_highest_id_wins),
	        cmocka_unit_test(a_removal_beats_a_concurrent_edit_and_a_later_deploy_brings_back),
	        cmocka_unit_test(a_late_edit_of_a_removed_line_does_not_replace_what_was_deployed_anew),
	        cmocka_unit_test(a_long_history_is_walked_to_its_removals),
	        cmocka_unit_test(a_void_successor_hides_nothing),
	        cmocka_unit_test(only_what_is_on_disk_counts),
	        cmocka_unit_test(more_heads_than_are_told_leave_the_best),
	        cmocka_unit_test(a_setting_holds_until_one_that_names_it),
	        cmocka_unit_test(a_walk_over_settings_shows_those_that_hold),
	        cmocka_unit_test(stacks_are_told_once_each_in_name_order),
	        cmocka_unit_test(an_author_names_its_own_heads_next),
	        cmocka_unit_test(old_bodies_go_and_headers_stay),
	        cmocka_unit_test(void_revisions_push_out_no_body_that_counts),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
