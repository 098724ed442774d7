/* A Compose parser's world for tests: files below tests/golden/compose, an environment of four variables. */
#ifndef TESTS_UNIT_CLI_COMPOSE_FIXTURE_H
#define TESTS_UNIT_CLI_COMPOSE_FIXTURE_H

#include "cli/compose/compose.h"

#define GOLDEN "tests/golden/compose"

static int fixture_read(void *ctx, const char *path, size_t max, struct arena *arena, const char **text,
        size_t *len, struct err *err)
{
	char full[512];

	(void)ctx;
	snprintf(full, sizeof(full), GOLDEN "/%s", path);
	return compose_io_system.read(NULL, full, max, arena, text, len, err);
}

static int fixture_tree(
        void *ctx, const char *path, size_t max, struct arena *arena, struct spec_files *out, struct err *err)
{
	char full[512];

	(void)ctx;
	snprintf(full, sizeof(full), GOLDEN "/%s", path);
	return compose_io_system.tree(NULL, full, max, arena, out, err);
}

static const char *fixture_getenv(void *ctx, const char *name)
{
	static const char *const env[][2] = {{"GIVEN", "given"}, {"EMPTY", ""}, {"AS", "as"}};

	(void)ctx;
	for (size_t i = 0; i < ARRAY_LEN(env); i++)
		if (strcmp(env[i][0], name) == 0)
			return env[i][1];
	return NULL;
}

static const char *fixture_realpath(void *ctx, const char *path, struct arena *arena)
{
	(void)ctx;
	return strcmp(path, ".") == 0 ? "/srv/Golden Stack_1-" : arena_printf(arena, "/srv/%s", path);
}

static const struct compose_io fixture_io = {fixture_read, fixture_tree, fixture_getenv, fixture_realpath, NULL};

/* Parses text named "f.yaml"; what the user would read comes back in *said (free it). */
static inline int fixture_parse(const char *text, struct arena *arena, struct spec *spec, char **said)
{
	struct source *src = arena_alloc(arena, sizeof(*src));
	struct diags diags;
	size_t len = 0;
	FILE *out;
	int ret;

	*src = (struct source){"f.yaml", text, strlen(text)};
	diags_init(&diags, arena);
	ret = compose_parse(src, NULL, &fixture_io, arena, spec, &diags);
	*said = NULL;
	out = open_memstream(said, &len);
	diags_print(out, &diags);
	fclose(out);
	return ret;
}

#endif
