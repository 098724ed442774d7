#include "cli/keys.h"

#include "base/text.h"

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

int key_find(struct client *c, const char *name, bool revoked, struct key32 *key, struct err *err)
{
	json_t *rows = key_rows(c, err);
	json_t *row;
	struct key32 last = {{0}};
	size_t n = 0, i;

	if (!rows)
		return -1;
	json_array_foreach (rows, i, row) {
		const char *hex = json_string_value(json_object_get(row, "key"));
		const char *shown = json_string_value(json_object_get(row, "name"));
		const char *state = json_string_value(json_object_get(row, "state"));

		if (!revoked && state && strcmp(state, "revoked") == 0)
			continue;
		if (!hex || !shown || (strcmp(hex, name) != 0 && strcmp(shown, name) != 0) ||
		        !hex_decode(key->b, sizeof(key->b), hex))
			continue;
		n += !n || !key32_eq(key, &last); /* rows are grants, those of one key stand together */
		last = *key;
	}
	json_decref(rows);
	if (n > 1)
		return err_set(err, ERR_USAGE,
		        "%zu keys are called %.80s; give its 64 digits as starling key ls -o json shows them", n,
		        name);
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
