/* Files of variables: `.env` beside the Compose file, and what env_file and label_file name. */
#ifndef CLI_COMPOSE_ENVFILE_H
#define CLI_COMPOSE_ENVFILE_H

#include "cli/compose/diag.h"
#include "cli/compose/interp.h"
#include "placement/spec/spec.h"

/* Bytes of one file. */
#define ENVFILE_BYTES_MAX (256 * 1024)

enum envfile_format {
	ENVFILE_COMPOSE, /* quotes, comments, variables */
	ENVFILE_RAW,     /* KEY=VALUE, the value as it stands */
};

struct envfile {
	size_t n;
	struct kv *vars; /* in file order; value NULL: a name alone, taken from the environment */
	size_t cap;
	struct arena *arena;
};

/*
 * Lines of `KEY=VALUE`, `export KEY=VALUE`, `KEY`, `# comment`. VALUE is bare (ends before " #", trimmed), 'single
 * quoted' (kept as it is) or "double quoted" (\n \r \t \\ \" \$; may span lines). Bare and double-quoted values are
 * interpolated; a variable defined earlier in the same file counts before vars. Faults go to diags.
 */
void envfile_parse(struct envfile *out, const struct source *src, enum envfile_format format,
        const struct vars *vars, struct arena *arena, struct diags *diags);
/* The last value of name, or NULL. */
const char *envfile_get(const struct envfile *f, const char *name);

#endif
