/*
 * From a Compose file to a spec: read, fill in variables, check, build. Everything outside the file comes through
 * struct compose_io, so that tests and the fuzzer need neither files nor an environment.
 */
#ifndef CLI_COMPOSE_COMPOSE_H
#define CLI_COMPOSE_COMPOSE_H

#include "cli/compose/diag.h"
#include "placement/spec/spec.h"

struct compose_io {
	/* Reads a whole file of at most max bytes into arena. 0; 1 when there is no such file; -1 with err. */
	int (*read)(void *ctx, const char *path, size_t max, struct arena *arena, const char **text, size_t *len,
	        struct err *err);
	/* Reads a file (one entry without a path), or a folder with all below it, of at most max bytes together, into arena:
	 * content, in no order. 0; 1 when there is no such path; -1 with err, for what cannot be read, is too much, or is
	 * neither file nor folder. */
	int (*tree)(void *ctx, const char *path, size_t max, struct arena *arena, struct spec_files *out,
	        struct err *err);
	/* A variable of the CLI's environment, or NULL. */
	const char *(*getenv)(void *ctx, const char *name);
	/* The absolute path of a folder, for the stack's name; NULL when unknown. */
	const char *(*realpath)(void *ctx, const char *path, struct arena *arena);
	void *ctx;
};
/* The process's own files and environment. */
extern const struct compose_io compose_io_system;

/* Reads file ("-": standard input) and fills in spec, whose memory is arena's. name: --name, or NULL. 0, or -1 when
 * diags hold errors; warnings may be there in both cases. The spec is in order and passes spec_check(). */
int compose_load(const char *file, const char *name, const struct compose_io *io, struct arena *arena,
        struct spec *spec, struct diags *diags);
/* The same from bytes, for the fuzzer: file only names them and where .env and others are looked for. */
int compose_parse(const struct source *src, const char *name, const struct compose_io *io, struct arena *arena,
        struct spec *spec, struct diags *diags);

#endif
