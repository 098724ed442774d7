/* What verbs print: tables for people, JSON for scripts. No colour, no cursor motion off a terminal. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "cli/cli.h"

#include <jansson.h>

/* One column of a table of rows (JSON objects). */
struct column {
	const char *title; /* "PEER" */
	/* Path in the row: "peer_name", "exit.code"; a list of texts is joined by commas. */
	const char *field;
	bool wide; /* with -o wide only */
	/* Or: writes the cell itself. */
	void (*cell)(char *out, size_t cap, const json_t *row);
};

/* rows: an array of objects. -o json: the array as it came; -q: the field `id` of each row, one a line; else a table,
 * aligned, with a title line. */
void out_rows(const struct cli *cli, const json_t *rows, const struct column *cols, size_t n, const char *id);
/* One object: -o json as it is, else one "name  value" line per scalar. */
void out_object(const struct cli *cli, const json_t *object);
/* Indented JSON and a newline. */
void out_json(FILE *out, const json_t *value);
/* The text of a cell: field's value in row as people read it, "-" for none. */
void out_cell(char *out, size_t cap, const json_t *row, const char *field);
/* "3m", "2h", "5d" since an RFC 3339 time; "-" for none. */
void out_age(char *out, size_t cap, const char *time, wall_ms now);
/* "1.5 GiB" */
void out_bytes(char *out, size_t cap, uint64_t bytes);
/* Terminal only, for --watch: clears the screen before the next table. */
void out_clear(const struct cli *cli);
/* Writes what a task logged; on a terminal bytes that would move the cursor become '?' (colours may stay). */
void out_safe(FILE *out, const char *text, size_t len, bool tty);

#endif
