/*
 * Golden files: tests/golden/compose/NAME.yaml gives NAME.json (the canonical form) or NAME.err (what the user reads),
 * and NAME.warn beside the JSON when there are warnings. UPDATE_GOLDEN=1 writes them.
 */
#include "tests/unit/unit.h"

#include "cli/spec_file.h"
#include "tests/unit/cli/compose_fixture.h"

#include <dirent.h>
#include <unistd.h>

static char *slurp(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t cap = 0;
	ssize_t len;

	if (!f)
		return NULL;
	len = getdelim(&text, &cap, '\0', f);
	fclose(f);
	if (len >= 0)
		return text;
	free(text);
	return xstrdup("");
}

/* got NULL: the file must not be there. */
static unsigned compare(const char *name, const char *ext, const char *got)
{
	char path[512];
	char *want;
	unsigned bad = 0;

	snprintf(path, sizeof(path), GOLDEN "/%s.%s", name, ext);
	if (getenv("UPDATE_GOLDEN")) {
		FILE *f;

		unlink(path);
		if (got) {
			f = fopen(path, "we");
			assert_non_null(f);
			fputs(got, f);
			fclose(f);
		}
		return 0;
	}
	want = slurp(path);
	if ((!want) != (!got) || (want && strcmp(want, got) != 0)) {
		fprintf(stderr, "%s:\n--- expected\n%s--- got\n%s", path, want ? want : "(no such file)\n",
		        got ? got : "(nothing)\n");
		bad = 1;
	}
	free(want);
	return bad;
}

static unsigned check_file(const char *name)
{
	struct arena arena;
	struct diags diags;
	struct spec spec;
	char file[300];
	char *said = NULL;
	char *json = NULL;
	size_t len;
	FILE *out;
	unsigned bad;
	int ret;

	arena_init(&arena);
	diags_init(&diags, &arena);
	snprintf(file, sizeof(file), "%s.yaml", name);
	ret = compose_load(file, NULL, &fixture_io, &arena, &spec, &diags);
	out = open_memstream(&said, &len);
	diags_print(out, &diags);
	fclose(out);
	if (ret == 0) {
		json_t *value = spec_json(&spec);
		char *text = json_dumps(value, JSON_INDENT(1));

		assert_non_null(text);
		assert_true(asprintf(&json, "%s\n", text) > 0);
		free(text);
		json_decref(value);
		assert_int_equal(diags.errors, 0);
	} else {
		assert_true(diags.errors > 0);
	}
	bad = compare(name, "json", json);
	bad += compare(name, "err", ret == 0 ? NULL : said);
	bad += compare(name, "warn", ret == 0 && *said ? said : NULL);
	free(said);
	free(json);
	arena_free(&arena);
	return bad;
}

static void each_file_gives_its_spec_or_its_errors(void **state)
{
	DIR *dir = opendir(GOLDEN);
	unsigned bad = 0;
	unsigned n = 0;

	(void)state;
	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir));) {
		char *dot = strrchr(e->d_name, '.');

		if (!dot || dot == e->d_name || strcmp(dot, ".yaml") != 0)
			continue;
		*dot = '\0';
		bad += check_file(e->d_name);
		n++;
	}
	closedir(dir);
	assert_true(n > 50);
	assert_int_equal(bad, 0);
}

static void a_given_name_counts_before_the_file_and_its_folder(void **state)
{
	static const char text[] = "name: from-file\nservices: {a: {command: x}}\n";
	const struct source src = {"some/Dir/f.yaml", text, sizeof(text) - 1};
	static const char bare[] = "services: {a: {command: x}}\n";
	const struct source no_name = {"some/Dir/f.yaml", bare, sizeof(bare) - 1};
	struct arena arena;
	struct diags diags;
	struct spec spec;

	(void)state;
	arena_init(&arena);
	diags_init(&diags, &arena);
	assert_int_equal(compose_parse(&src, "given", &fixture_io, &arena, &spec, &diags), 0);
	assert_string_equal(spec.name, "given");
	assert_int_equal(compose_parse(&src, NULL, &fixture_io, &arena, &spec, &diags), 0);
	assert_string_equal(spec.name, "from-file");
	assert_int_equal(compose_parse(&no_name, NULL, &fixture_io, &arena, &spec, &diags), 0);
	assert_string_equal(spec.name, "dir");
	assert_int_equal(compose_parse(&src, "Not Good", &fixture_io, &arena, &spec, &diags), -1);
	arena_free(&arena);
}

static void the_order_of_keys_does_not_change_the_signed_bytes(void **state)
{
	static const char *const texts[] = {
	        "services: {a: {command: x, environment: {A: 1, B: 2}, user: u}, b: {command: y}}",
	        "services: {b: {command: [y]}, a: {user: u, environment: [B=2, A=1], command: x}}",
	};
	struct wr bytes[2];
	struct arena arena;
	struct spec spec;
	char *said;

	(void)state;
	arena_init(&arena);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(fixture_parse(texts[i], &arena, &spec, &said), 0);
		free(said);
		wr_init(&bytes[i], BODY_BYTES_MAX);
		spec_encode(&bytes[i], &spec);
		assert_true(wr_ok(&bytes[i]));
	}
	assert_int_equal(bytes[0].len, bytes[1].len);
	assert_memory_equal(bytes[0].p, bytes[1].p, bytes[0].len);
	wr_free(&bytes[0]);
	wr_free(&bytes[1]);
	arena_free(&arena);
}

static void a_missing_file_is_said_by_name(void **state)
{
	struct arena arena;
	struct diags diags;
	struct spec spec;

	(void)state;
	arena_init(&arena);
	diags_init(&diags, &arena);
	assert_int_equal(compose_load("nowhere.yaml", NULL, &fixture_io, &arena, &spec, &diags), -1);
	assert_int_equal(diags.errors, 1);
	assert_string_equal(diags.list[0].text, "no file nowhere.yaml");
	arena_free(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	        cmocka_unit_test(each_file_gives_its_spec_or_its_errors),
	        cmocka_unit_test(a_given_name_counts_before_the_file_and_its_folder),
	        cmocka_unit_test(the_order_of_keys_does_not_change_the_signed_bytes),
	        cmocka_unit_test(a_missing_file_is_said_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
