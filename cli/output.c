#include "cli/output.h"

#include "base/text.h"

#include <time.h>

/* Bytes of one cell; longer ones are cut with "...". */
#define CELL_MAX 120
#define COLS_MAX 24
/* Of a number with a fraction: 1.9 cpus are not 1.8999999999999999. */
#define REAL_DIGITS 10

void out_json(FILE *out, const json_t *value)
{
	char *text = json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(REAL_DIGITS));

	if (text)
		fprintf(out, "%s\n", text);
	free(text);
}

void out_bytes(char *out, size_t cap, uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
	size_t unit = 0;
	uint64_t tenths = bytes > UINT64_MAX / 10 ? UINT64_MAX : bytes * 10;

	while (tenths >= 10240 && unit + 1 < ARRAY_LEN(units)) {
		tenths /= 1024;
		unit++;
	}
	if (unit == 0 || tenths >= 1000)
		snprintf(out, cap, "%llu %s", (unsigned long long)tenths / 10, units[unit]);
	else
		snprintf(out, cap, "%llu.%llu %s", (unsigned long long)tenths / 10,
		        (unsigned long long)tenths % 10, units[unit]);
}

void out_age(char *out, size_t cap, const char *time, wall_ms now)
{
	struct tm tm = {0};
	const char *end = time ? strptime(time, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	int64_t s;

	if (!end) {
		snprintf(out, cap, "-");
		return;
	}
	s = now / 1000 - (int64_t)timegm(&tm);
	s = MAX(s, (int64_t)0);
	if (s < 120)
		snprintf(out, cap, "%llds", (long long)s);
	else if (s < 120 * 60)
		snprintf(out, cap, "%lldm", (long long)s / 60);
	else if (s < 48 * 3600)
		snprintf(out, cap, "%lldh", (long long)s / 3600);
	else
		snprintf(out, cap, "%lldd", (long long)s / 86400);
}

static void join(char *out, size_t cap, const json_t *list)
{
	size_t len = 0;
	size_t i;
	const json_t *v;

	out[0] = '\0';
	json_array_foreach (list, i, v) {
		if (json_is_string(v) && len < cap)
			len += (size_t)snprintf(
			        out + len, cap - len, "%s%s", len ? "," : "", json_string_value(v));
	}
}

static void join_map(char *out, size_t cap, const json_t *map)
{
	size_t len = 0;
	const char *key;
	json_t *v;

	out[0] = '\0';
	json_object_foreach ((json_t *)map, key, v) {
		if (json_is_string(v) && len < cap)
			len += (size_t)snprintf(
			        out + len, cap - len, "%s%s=%s", len ? "," : "", key, json_string_value(v));
		else if (json_is_integer(v) && len < cap)
			len += (size_t)snprintf(out + len, cap - len, "%s%s=%lld", len ? "," : "", key,
			        (long long)json_integer_value(v));
	}
}

static void value_text(char *out, size_t cap, const json_t *v)
{
	if (json_is_string(v))
		text_copy(out, cap, json_string_value(v));
	else if (json_is_integer(v))
		snprintf(out, cap, "%lld", (long long)json_integer_value(v));
	else if (json_is_real(v))
		snprintf(out, cap, "%g", json_real_value(v));
	else if (json_is_boolean(v))
		text_copy(out, cap, json_is_true(v) ? "yes" : "no");
	else if (json_is_array(v))
		join(out, cap, v);
	else if (json_is_object(v))
		join_map(out, cap, v);
	else
		out[0] = '\0';
	if (!*out)
		text_copy(out, cap, "-");
}

void out_cell(char *out, size_t cap, const json_t *row, const char *field)
{
	while (row && field) {
		size_t len = strcspn(field, ".");
		char key[64];

		text_copy(key, MIN(sizeof(key), len + 1), field);
		row = json_object_get(row, key);
		field = field[len] ? field + len + 1 : NULL;
	}
	value_text(out, cap, row);
}

/* Characters, not bytes: what a terminal advances by, but for double-width ones. */
static size_t width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void make_safe(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = ' ';
}

static void cell(char out[CELL_MAX], const struct column *c, const json_t *row)
{
	if (c->cell)
		c->cell(out, CELL_MAX, row);
	else
		out_cell(out, CELL_MAX, row, c->field);
	make_safe(out);
}

static bool shown(const struct cli *cli, const struct column *c)
{
	return !c->wide || cli->format == FORMAT_WIDE;
}

/* The last column is not padded, so that no line ends in blanks. */
static void print_line(
        const struct cli *cli, const struct column *cols, size_t n, const size_t *widths, const json_t *row)
{
	size_t pad = 0;

	for (size_t i = 0; i < n; i++) {
		char text[CELL_MAX];

		if (!shown(cli, &cols[i]))
			continue;
		if (row)
			cell(text, &cols[i], row);
		else
			text_copy(text, sizeof(text), cols[i].title);
		fprintf(cli->out, "%*s%s", (int)pad, "", text);
		pad = widths[i] - width(text) + 3;
	}
	fputc('\n', cli->out);
}

static void print_table(const struct cli *cli, const json_t *rows, const struct column *cols, size_t n)
{
	size_t widths[COLS_MAX] = {0};
	size_t i;
	const json_t *row;

	for (size_t k = 0; k < n; k++)
		widths[k] = width(cols[k].title);
	json_array_foreach (rows, i, row) {
		for (size_t k = 0; k < n; k++) {
			char text[CELL_MAX];

			cell(text, &cols[k], row);
			widths[k] = MAX(widths[k], width(text));
		}
	}
	print_line(cli, cols, n, widths, NULL);
	json_array_foreach (rows, i, row)
		print_line(cli, cols, n, widths, row);
}

void out_rows(const struct cli *cli, const json_t *rows, const struct column *cols, size_t n, const char *id)
{
	size_t i;
	const json_t *row;

	if (cli->format == FORMAT_JSON) {
		out_json(cli->out, rows);
		return;
	}
	if (!cli->quiet) {
		print_table(cli, rows, cols, MIN(n, (size_t)COLS_MAX));
		return;
	}
	json_array_foreach (rows, i, row) {
		char text[CELL_MAX];

		out_cell(text, sizeof(text), row, id);
		if (strcmp(text, "-") != 0)
			fprintf(cli->out, "%s\n", text);
	}
}

/* The longest name that print_members() will print. */
static size_t name_width(const json_t *object, size_t before)
{
	size_t most = 0;
	const char *key;
	json_t *v;

	json_object_foreach ((json_t *)object, key, v) {
		size_t len = before + (before > 0) + strlen(key);

		most = MAX(most, json_is_object(v) ? name_width(v, len) : len);
	}
	return most;
}

static void print_members(FILE *out, const json_t *object, const char *prefix, size_t wide)
{
	const char *key;
	json_t *v;

	json_object_foreach ((json_t *)object, key, v) {
		char name[128];
		char text[512];

		snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? " " : "", key);
		if (json_is_object(v)) {
			print_members(out, v, name, wide);
			continue;
		}
		value_text(text, sizeof(text), v);
		make_safe(text);
		fprintf(out, "%-*s  %s\n", (int)wide, name, text);
	}
}

void out_object(const struct cli *cli, const json_t *object)
{
	if (cli->format == FORMAT_JSON)
		out_json(cli->out, object);
	else
		print_members(cli->out, object, "", name_width(object, 0));
}

void out_clear(const struct cli *cli)
{
	if (cli->out_tty && cli->format != FORMAT_JSON)
		fputs("\033[H\033[2J", cli->out);
}

/* Bytes of a colour sequence (ESC [ digits ; m) at text, 0 when there is none. */
static size_t colour(const char *text, size_t len)
{
	size_t i = 2;

	if (len < 3 || text[0] != 0x1b || text[1] != '[')
		return 0;
	while (i < len && ((text[i] >= '0' && text[i] <= '9') || text[i] == ';'))
		i++;
	return i < len && text[i] == 'm' ? i + 1 : 0;
}

void out_safe(FILE *out, const char *text, size_t len, bool tty)
{
	if (!tty) {
		fwrite(text, 1, len, out);
		return;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		size_t sequence = colour(text + i, len - i);

		if (sequence) {
			fwrite(text + i, 1, sequence, out);
			i += sequence - 1;
		} else {
			fputc(c == 0x7f || (c < 0x20 && c != '\t') ? '?' : c, out);
		}
	}
}
