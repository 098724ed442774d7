/* msgpack to JSON, for rows that are shown as they came. */
#include "base/text.h"
#include "cli/client.h"

static json_t *read_value(struct rd *r, unsigned depth);

static json_t *read_blob(struct rd *r)
{
	size_t len;
	const uint8_t *p = up_bin(r, &len);
	char *hex;
	json_t *v;

	if (!p)
		return NULL;
	hex = xmalloc(2 * len + 1);
	hex_encode(hex, p, len);
	v = json_string(hex);
	free(hex);
	return v;
}

static json_t *read_array(struct rd *r, unsigned depth)
{
	uint32_t n = up_array(r);
	json_t *list = json_array();

	for (uint32_t i = 0; i < n && rd_ok(r); i++)
		if (json_array_append_new(list, read_value(r, depth + 1)) < 0)
			rd_fail(r, "a list's entry cannot be shown");
	return list;
}

static json_t *read_map(struct rd *r, unsigned depth)
{
	uint32_t n = up_map(r);
	json_t *map = json_object();

	for (uint32_t i = 0; i < n && rd_ok(r); i++) {
		size_t len;
		const char *key = up_str(r, &len);
		char *name = key ? strndup(key, len) : NULL;

		if (name && json_object_set_new(map, name, read_value(r, depth + 1)) < 0)
			rd_fail(r, "a map's entry cannot be shown");
		free(name);
	}
	return map;
}

static json_t *read_value(struct rd *r, unsigned depth)
{
	const char *text;
	size_t len;

	if (depth > UP_DEPTH_MAX) {
		rd_fail(r, "nested too deep");
		return NULL;
	}
	switch (up_peek(r)) {
	case UP_NIL:
		up_nil(r);
		return json_null();
	case UP_BOOL:
		return json_boolean(up_bool(r));
	case UP_INT:
		return json_integer((json_int_t)up_i64(r));
	case UP_DOUBLE:
		return json_real(up_double(r));
	case UP_STR:
		text = up_str(r, &len);
		return text ? json_stringn(text, len) : NULL;
	case UP_BIN:
		return read_blob(r);
	case UP_ARRAY:
		return read_array(r, depth);
	case UP_MAP:
		return read_map(r, depth);
	default:
		rd_fail(r, "not msgpack");
		return NULL;
	}
}

json_t *value_json(const uint8_t *bytes, size_t len)
{
	struct rd r;
	json_t *v;

	rd_init(&r, bytes, len);
	v = read_value(&r, 0);
	if (rd_end(&r, NULL) == 0)
		return v;
	json_decref(v);
	return NULL;
}
