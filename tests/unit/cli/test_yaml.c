/* The tree: positions, anchors, merge keys, and bounds against files made to grow. */
#include "tests/unit/unit.h"

#include "cli/compose/tree.h"

struct world {
	struct arena arena;
	struct diags diags;
	struct source src;
};

static struct node *parse(struct world *w, const char *text)
{
	arena_init(&w->arena);
	diags_init(&w->diags, &w->arena);
	w->src = (struct source){"f.yaml", text, strlen(text)};
	return tree_parse(&w->src, &w->arena, &w->diags, NULL, NULL);
}

static void nodes_know_where_they_stand(void **state)
{
	struct world w;
	struct node *root = parse(&w, "a: 1\nb:\n  - x\n  - {c: d}\n");
	struct node *b = node_get(root, "b");

	(void)state;
	assert_int_equal(b->kind, NODE_LIST);
	assert_int_equal(b->items[1]->mark.line, 4);
	assert_int_equal(b->items[1]->mark.column, 5);
	assert_int_equal(b->items[1]->pairs[0].mark.column, 6);
	assert_string_equal(node_get(b->items[1], "c")->text, "d");
	arena_free(&w.arena);
}

static void an_alias_stands_for_its_anchor_and_the_newest_wins(void **state)
{
	struct world w;
	struct node *root = parse(&w, "a: &x 1\nb: *x\nc: &x 2\nd: *x\n");

	(void)state;
	assert_string_equal(node_get(root, "b")->text, "1");
	assert_string_equal(node_get(root, "d")->text, "2");
	arena_free(&w.arena);
}

static void own_keys_win_over_merged_ones_and_earlier_over_later(void **state)
{
	struct world w;
	struct node *root =
	        parse(&w, "a: &a {k: a, l: a}\nb: &b {k: b, l: b, m: b}\nc:\n  k: own\n  <<: [*a, *b]\n");
	struct node *c = node_get(root, "c");

	(void)state;
	assert_int_equal(c->n, 3);
	assert_string_equal(node_get(c, "k")->text, "own");
	assert_string_equal(node_get(c, "l")->text, "a");
	assert_string_equal(node_get(c, "m")->text, "b");
	arena_free(&w.arena);
}

static void a_quoted_merge_key_is_a_key(void **state)
{
	struct world w;
	struct node *root = parse(&w, "\"<<\": {a: 1}\n");

	(void)state;
	assert_non_null(node_get(root, "<<"));
	assert_null(node_get(root, "a"));
	arena_free(&w.arena);
}

static void only_plain_scalars_mean_null(void **state)
{
	struct world w;
	struct node *root = parse(&w, "a:\nb: ~\nc: null\nd: \"null\"\ne: ''\nf: !!str null\n");

	(void)state;
	assert_true(node_is_null(node_get(root, "a")));
	assert_true(node_is_null(node_get(root, "b")));
	assert_true(node_is_null(node_get(root, "c")));
	assert_false(node_is_null(node_get(root, "d")));
	assert_false(node_is_null(node_get(root, "e")));
	assert_false(node_is_null(node_get(root, "f")));
	arena_free(&w.arena);
}

static void twins_are_refused_and_the_rest_is_still_read(void **state)
{
	struct world w;
	struct node *root = parse(&w, "a: 1\nb: 2\na: 3\nb: 4\n");

	(void)state;
	assert_non_null(root);
	assert_int_equal(w.diags.errors, 2);
	assert_string_equal(node_get(root, "a")->text, "1");
	arena_free(&w.arena);
}

/* n levels, each ten times the one before. */
static char *laughs(unsigned levels)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	fputs("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n", f);
	for (unsigned i = 1; i < levels; i++) {
		fprintf(f, "a%u: &a%u [", i, i);
		for (unsigned k = 0; k < 10; k++)
			fprintf(f, "%s*a%u", k ? "," : "", i - 1);
		fputs("]\n", f);
	}
	fclose(f);
	return text;
}

static void aliases_count_as_all_they_stand_for(void **state)
{
	struct world w;
	char *few = laughs(4);
	char *many = laughs(30);

	(void)state;
	assert_non_null(parse(&w, few));
	arena_free(&w.arena);
	assert_null(parse(&w, many));
	assert_int_equal(w.diags.errors, 1);
	/* Refused early: before more memory than the file's own nodes was taken. */
	assert_true(w.arena.used < 1024 * 1024);
	arena_free(&w.arena);
	free(few);
	free(many);
}

static void merged_maps_count_too(void **state)
{
	char *text = NULL;
	struct world w;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	fputs("base: &base\n", f);
	for (unsigned i = 0; i < 1000; i++)
		fprintf(f, "  k%u: v\n", i);
	for (unsigned i = 0; i < 200; i++)
		fprintf(f, "m%u: {<<: *base}\n", i);
	fclose(f);
	assert_null(parse(&w, text));
	assert_non_null(strstr(w.diags.list[0].text, "aliases expand"));
	arena_free(&w.arena);
	free(text);
}

static void depth_is_bounded(void **state)
{
	char text[2000];
	struct world w;

	(void)state;
	memset(text, '[', 900);
	memset(text + 900, ']', 900);
	text[1800] = '\0';
	assert_null(parse(&w, text));
	assert_non_null(strstr(w.diags.list[0].text, "nested more than 32 deep"));
	arena_free(&w.arena);
}

static void bad_yaml_is_said_with_its_line(void **state)
{
	struct world w;

	(void)state;
	assert_null(parse(&w, "a: [1, 2\nb: 3\n"));
	assert_int_equal(w.diags.errors, 1);
	assert_int_equal(w.diags.list[0].mark.line, 2);
	arena_free(&w.arena);
	assert_null(parse(&w, "a: 1\nb: \"caf\xe9\"\n"));
	assert_int_equal(w.diags.list[0].mark.line, 2);
	arena_free(&w.arena);
}

static void a_document_of_nothing_is_an_error(void **state)
{
	struct world w;

	(void)state;
	assert_null(parse(&w, ""));
	assert_int_equal(w.diags.errors, 1);
	arena_free(&w.arena);
	assert_null(parse(&w, "a: 1\n---\nb: 2\n"));
	arena_free(&w.arena);
}

static void more_faults_than_anyone_reads_are_counted(void **state)
{
	char *text = NULL;
	char *said = NULL;
	struct world w;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	for (unsigned i = 0; i < 151; i++)
		fputs("a: 1\n", f);
	fclose(f);
	assert_non_null(parse(&w, text));
	assert_int_equal(w.diags.errors, 150);
	f = open_memstream(&said, &len);
	diags_print(f, &w.diags);
	fclose(f);
	assert_non_null(strstr(said, "and 50 more\n"));
	free(said);
	arena_free(&w.arena);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(nodes_know_where_they_stand),
	        cmocka_unit_test(an_alias_stands_for_its_anchor_and_the_newest_wins),
	        cmocka_unit_test(own_keys_win_over_merged_ones_and_earlier_over_later),
	        cmocka_unit_test(a_quoted_merge_key_is_a_key),
	        cmocka_unit_test(only_plain_scalars_mean_null),
	        cmocka_unit_test(twins_are_refused_and_the_rest_is_still_read),
	        cmocka_unit_test(aliases_count_as_all_they_stand_for),
	        cmocka_unit_test(merged_maps_count_too),
	        cmocka_unit_test(depth_is_bounded),
	        cmocka_unit_test(bad_yaml_is_said_with_its_line),
	        cmocka_unit_test(a_document_of_nothing_is_an_error),
	        cmocka_unit_test(more_faults_than_anyone_reads_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
