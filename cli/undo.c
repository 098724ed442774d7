#include "cli/undo.h"

#include "cli/authoring.h"

#include <unistd.h>

bool id_begins(const char *id, const char *text)
{
	size_t len = strlen(text);

	return id && len >= ID_PREFIX_MIN && strncmp(id, text, len) == 0;
}

/* NAME, NAME~ID with as many digits as one likes, or the id. */
static bool is_called(const json_t *row, const char *name)
{
	const char *id = json_string_value(json_object_get(row, "id"));
	const char *shown = json_string_value(json_object_get(row, "name"));
	size_t bare = shown ? strcspn(shown, "~") : 0;

	if (id && strcmp(id, name) == 0)
		return true;
	if (!shown || strncmp(shown, name, bare) != 0)
		return false;
	return !name[bare] || (name[bare] == '~' && id_begins(id, name + bare + 1));
}

json_t *node_find(struct client *c, const char *name, struct err *err)
{
	json_t *rows = client_list(c, "members", NULL, false, err);
	json_t *found = NULL;
	bool by_id = false;
	size_t n = 0;
	size_t i;
	json_t *row;

	if (!rows)
		return NULL;
	json_array_foreach (rows, i, row)
		if (is_called(row, name)) {
			found = row;
			n++;
		}
	/* A name stands above the beginning of an id. */
	json_array_foreach (rows, i, row)
		if ((!n || by_id) && id_begins(json_string_value(json_object_get(row, "id")), name)) {
			found = row;
			by_id = true;
			n++;
		}
	if (n > 1 && by_id)
		err_set(err, ERR_USAGE, "%zu peers' ids begin with %s; give more digits", n, name);
	else if (n == 0)
		err_set(err, ERR_FAILED, "no peer %s; see starling node ls", name);
	else if (n > 1)
		err_set(err, ERR_USAGE, "%zu peers are called %s; write NAME~ID as starling node ls shows it", n,
		        name);
	if (n == 1)
		json_incref(found);
	json_decref(rows);
	return n == 1 ? found : NULL;
}

bool undo_agreed(struct cli *cli, const char *what)
{
	char line[16] = "";

	if (cli_flag(cli, "yes"))
		return true;
	fprintf(cli->errors, "%s? [y/N] ", what);
	fflush(cli->errors);
	return fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y');
}

bool undo_may_ask(const struct cli *cli)
{
	return cli_flag(cli, "yes") || isatty(STDIN_FILENO);
}

static int read_list(struct rd *r, struct key_array *out)
{
	uint32_t n = up_array(r);

	/* Each takes more than 32 bytes of the answer: no count can make us allocate more than it has. */
	if (!rd_ok(r) || n > CONTROL_MESSAGE_MAX / 32)
		return -1;
	out->key = xrealloc(out->key, (out->n + n + 1) * sizeof(*out->key));
	for (uint32_t i = 0; i < n && rd_ok(r); i++)
		up_bin_copy(r, out->key[out->n++].b, sizeof(out->key->b));
	return rd_ok(r) ? 0 : -1;
}

int undo_lists(struct client *c, const char *verb, const struct wr *args, struct key32 *key,
        struct key_array *first, const char *first_name, struct key_array *second, const char *second_name,
        struct err *err)
{
	struct wr end;
	struct rd r;
	uint32_t n;
	int rc;

	wr_init(&end, CONTROL_MESSAGE_MAX);
	rc = client_call(c, verb, args, false, NULL, NULL, &end, 0, err);
	rd_init(&r, end.p, end.len);
	n = rc == 0 ? up_map(&r) : 0;
	for (uint32_t i = 0; i < n && rd_ok(&r); i++) {
		size_t len;
		const char *name = up_str(&r, &len);

		if (key && up_is(name, len, "key"))
			up_bin_copy(&r, key->b, sizeof(key->b));
		else if (up_is(name, len, first_name))
			rc |= read_list(&r, first);
		else if (second && up_is(name, len, second_name))
			rc |= read_list(&r, second);
		else
			up_skip(&r);
	}
	if (rc == 0 && n && rd_ok(&r)) {
		wr_free(&end);
		return 0;
	}
	wr_free(&end);
	return err->code ? -1 : err_set(err, ERR_FAILED, "the agent's answer to %s is malformed", verb);
}

int undo_revocable(struct client *c, const struct key32 *key, struct key_array *heads,
        struct key_array *admissions, struct err *err)
{
	struct wr args;
	int rc;

	wr_init(&args, 128);
	pk_map(&args, 1);
	pk_kv_bin(&args, "key", key->b, sizeof(key->b));
	rc = undo_lists(c, "revocable", &args, NULL, heads, "heads", admissions, "admissions", err);
	wr_free(&args);
	return rc;
}

int undo_submit(struct cli *cli, struct client *c, undo_make *make, const struct key32 *key,
        const struct key_array *list, struct err *err)
{
	struct authoring a;
	struct wr record;
	int rc;

	if (authoring_begin(cli, c, &a, err) < 0)
		return -1;
	wr_init(&record, RECORD_BYTES_MAX);
	make(&record, &client_hello(c)->flock, key, list->key, list->n, a.stamp, a.prev, a.n_prev, a.key.secret);
	rc = wr_ok(&record)
	             ? authoring_submit(cli, c, &record, err)
	             : err_set(err, ERR_FAILED, "%zu listed records are more than one record holds", list->n);
	wr_free(&record);
	authoring_end(&a);
	return rc;
}
