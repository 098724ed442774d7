#include "cli/keys.h"

#include "base/text.h"
#include "cli/undo.h"

int read_key(struct key32 *out, const char *text, const char *kind, struct err *err)
{
	bool root = strcmp(kind, "root") == 0;

	if (hex_decode(out->b, sizeof(out->b), text))
		return 0;
	if (strspn(text, "0123456789abcdefABCDEF") == strlen(text))
		return err_set(err, ERR_USAGE, "key %s: a public key has 64 hex digits", text);
	if (keyfile_public(text, NULL, out, err) < 0) {
		if (err)
			err->code = ERR_USAGE;
		return -1;
	}
	if (keyfile_public(text, kind, out, NULL) == 0)
		return 0;
	return err_set(err, ERR_USAGE,
	        "key file %s: holds %s key, and %s key is needed; make one with `starling key new FILE%s`", text,
	        root ? "an operator's" : "a root", root ? "a root" : "an operator's", root ? " --root" : "");
}

json_t *key_rows(struct client *c, struct err *err)
{
	struct wr args;
	json_t *rows;

	wr_init(&args, 64);
	pk_map(&args, 1);
	pk_kv_bool(&args, "all", true);
	rows = client_list(c, "keys", &args, false, err);
	wr_free(&args);
	return rows;
}

/* How many keys are called so, the last of them into key. by_id: by the beginning of the key instead of the name. */
static size_t count_keys(const json_t *rows, const char *name, bool by_id, bool revoked, struct key32 *key)
{
	const json_t *row;
	size_t n = 0, i;

	json_array_foreach (rows, i, row) {
		const char *hex = json_string_value(json_object_get(row, "key"));
		const char *shown = json_string_value(json_object_get(row, "name"));
		const char *state = json_string_value(json_object_get(row, "state"));
		struct key32 one;

		if (!revoked && state && strcmp(state, "revoked") == 0)
			continue;
		if (!hex || !shown || !(by_id ? id_begins(hex, name) : strcmp(shown, name) == 0) ||
		        !hex_decode(one.b, sizeof(one.b), hex))
			continue;
		n += !n || !key32_eq(key, &one); /* rows are grants, those of one key stand together */
		*key = one;
	}
	return n;
}

int key_find(struct client *c, const char *name, bool revoked, struct key32 *key, struct err *err)
{
	json_t *rows = key_rows(c, err);
	size_t n;

	if (!rows)
		return -1;
	n = count_keys(rows, name, false, revoked, key);
	/* A name stands above the beginning of a key. */
	if (!n) {
		n = count_keys(rows, name, true, revoked, key);
		if (n > 1)
			err_set(err, ERR_USAGE, "%zu keys begin with %.80s; give more digits", n, name);
	} else if (n > 1) {
		err_set(err, ERR_USAGE,
		        "%zu keys are called %.80s; give the first digits as starling key ls -o json shows them",
		        n, name);
	}
	json_decref(rows);
	if (n > 1)
		return -1;
	return n ? 0 : err_set(err, ERR_FAILED, "no key %.80s acts in this flock; see starling key ls", name);
}

json_t *key_signed(struct client *c, const struct key32 *key, struct err *err)
{
	struct wr args;
	json_t *rows;

	wr_init(&args, 128);
	pk_map(&args, 1);
	pk_kv_bin(&args, "key", key->b, sizeof(key->b));
	rows = client_list(c, "signed", &args, false, err);
	wr_free(&args);
	return rows;
}
