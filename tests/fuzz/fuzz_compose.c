/*
 * A Compose file to a spec. What stands before the first NUL byte, if there is one, is every other file (.env, env_file,
 * label_file, configs, what is shipped). A file that is taken must give a spec that peers take as well, byte for byte.
 */
#include "cli/compose/compose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	const char *file;
	size_t len;
};

static int read_file(void *ctx, const char *path, size_t max, struct arena *arena, const char **text, size_t *len,
        struct err *err)
{
	const struct world *w = ctx;

	(void)path;
	if (!w->file)
		return 1;
	if (w->len > max)
		return err_set(err, ERR_USAGE, "read %s: larger than %zu bytes", path, max);
	*text = arena_strndup(arena, w->file, w->len);
	*len = w->len;
	return 0;
}

/* A path without an extension is a folder, with that file in it twice. */
static int read_tree(
        void *ctx, const char *path, size_t max, struct arena *arena, struct spec_files *out, struct err *err)
{
	const struct world *w = ctx;
	struct spec_file *files;

	if (!w->file)
		return 1;
	if (w->len > max)
		return err_set(err, ERR_USAGE, "read %s: larger than %zu bytes", path, max);
	files = arena_array(arena, 2, sizeof(*files));
	files[0].data = files[1].data = arena_memdup(arena, w->file, w->len);
	files[0].n_data = files[1].n_data = w->len;
	*out = (struct spec_files){.n_files = 1, .files = files};
	if (!strchr(path, '.')) {
		out->n_files = 2;
		files[0].path = "b";
		files[1].path = "a/c";
		files[1].executable = true;
	}
	return 0;
}

static const char *get(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "HOME") == 0 ? "/home/bird" : NULL;
}

static const char *real(void *ctx, const char *path, struct arena *arena)
{
	(void)ctx;
	return arena_printf(arena, "/srv/%s", path);
}

static void check(const struct spec *spec)
{
	struct err err = {0};
	struct arena arena;
	struct spec back;
	struct wr w;

	arena_init(&arena);
	wr_init(&w, BODY_BYTES_MAX);
	spec_encode(&w, spec);
	if (!wr_ok(&w) || spec_decode(&back, &arena, w.p, w.len, &err) < 0)
		abort();
	wr_free(&w);
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
	struct world w = {NULL, 0};
	struct compose_io io = {read_file, read_tree, get, real, &w};
	struct source src = {"f.yaml", (const char *)data, size};
	char *shown = NULL;
	struct arena arena;
	struct diags diags;
	struct spec spec;
	size_t len = 0;
	FILE *out;

	if (nul) {
		w.file = (const char *)data;
		w.len = (size_t)(nul - data);
		src.text = (const char *)nul + 1;
		src.len = size - w.len - 1;
	}
	arena_init(&arena);
	diags_init(&diags, &arena);
	/* The parser may count on a NUL behind the text, as the reader of files leaves one. */
	src.text = arena_strndup(&arena, src.text, src.len);
	if (compose_parse(&src, NULL, &io, &arena, &spec, &diags) == 0)
		check(&spec);
	else if (!diags.errors)
		abort(); /* refused, and nobody says why */
	out = open_memstream(&shown, &len);
	diags_print(out, &diags);
	fclose(out);
	free(shown);
	arena_free(&arena);
	return 0;
}
