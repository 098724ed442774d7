/* Packing and unpacking by the tables of shape.c. */
#include "base/pack.h"
#include "placement/spec/shape.h"

static const void *member(const void *obj, size_t offset)
{
	return (const char *)obj + offset;
}

static void *member_rw(void *obj, size_t offset)
{
	return (char *)obj + offset;
}

static size_t count_of(const struct field *f, const void *obj)
{
	return *(const size_t *)member(obj, f->count_offset);
}

static int64_t number_of(const struct field *f, const void *obj)
{
	const void *p = member(obj, f->offset);

	switch (f->kind) {
	case FIELD_U16:
		return *(const uint16_t *)p;
	case FIELD_U32:
		return *(const uint32_t *)p;
	case FIELD_I32:
		return *(const int32_t *)p;
	case FIELD_ENUM:
		return *(const int *)p;
	case FIELD_BOOL:
		return *(const bool *)p;
	default:
		return *(const int64_t *)p;
	}
}

static void number_set(const struct field *f, void *obj, int64_t v)
{
	void *p = member_rw(obj, f->offset);

	switch (f->kind) {
	case FIELD_U16:
		*(uint16_t *)p = (uint16_t)v;
		break;
	case FIELD_U32:
		*(uint32_t *)p = (uint32_t)v;
		break;
	case FIELD_I32:
		*(int32_t *)p = (int32_t)v;
		break;
	case FIELD_ENUM:
		*(int *)p = (int)v;
		break;
	case FIELD_BOOL:
		*(bool *)p = v != 0;
		break;
	default:
		*(int64_t *)p = v;
	}
}

static const char *text_of(const struct field *f, const void *obj)
{
	return *(const char *const *)member(obj, f->offset);
}

void shape_defaults(const struct shape *sh, void *obj)
{
	memset(obj, 0, sh->size);
	for (size_t i = 0; i < sh->n_fields; i++) {
		const struct field *f = &sh->fields[i];

		if (f->kind == FIELD_STRUCT)
			shape_defaults(f->shape, member_rw(obj, f->offset));
		else if (f->kind == FIELD_TEXT)
			*(const char **)member_rw(obj, f->offset) = f->fallback_text;
		else if (f->fallback)
			number_set(f, obj, f->fallback);
	}
}

static size_t count_set_fields(const struct shape *sh, const void *obj, bool content_only);

static bool is_default(const struct field *f, const void *obj)
{
	const char *text;

	switch (f->kind) {
	case FIELD_TEXT:
		text = text_of(f, obj);
		return !text || (f->fallback_text && !strcmp(text, f->fallback_text));
	case FIELD_BYTES:
	case FIELD_TEXTS:
	case FIELD_KVS:
	case FIELD_STRUCTS:
		return count_of(f, obj) == 0;
	case FIELD_STRUCT:
		return count_set_fields(f->shape, member(obj, f->offset), false) == 0;
	default:
		return number_of(f, obj) == f->fallback;
	}
}

static size_t count_set_fields(const struct shape *sh, const void *obj, bool content_only)
{
	size_t n = 0;

	for (size_t i = 0; i < sh->n_fields; i++)
		n += (sh->fields[i].content || !content_only) && !is_default(&sh->fields[i], obj);
	return n;
}

static void pack_value(struct wr *w, const struct field *f, const void *obj)
{
	const void *p = member(obj, f->offset);
	size_t n;

	switch (f->kind) {
	case FIELD_TEXT:
		pk_str(w, text_of(f, obj));
		break;
	case FIELD_BYTES:
		pk_bin(w, *(const uint8_t *const *)p, count_of(f, obj));
		break;
	case FIELD_TEXTS:
		n = count_of(f, obj);
		pk_array(w, (uint32_t)n);
		for (size_t i = 0; i < n; i++)
			pk_str(w, (*(const char **const *)p)[i]);
		break;
	case FIELD_KVS:
		n = count_of(f, obj);
		pk_map(w, (uint32_t)n);
		for (size_t i = 0; i < n; i++) {
			const struct kv *kv = &(*(const struct kv *const *)p)[i];

			pk_kv_str(w, kv->key, kv->value ? kv->value : "");
		}
		break;
	case FIELD_STRUCT:
		shape_pack(w, f->shape, p, false);
		break;
	case FIELD_STRUCTS:
		n = count_of(f, obj);
		pk_array(w, (uint32_t)n);
		for (size_t i = 0; i < n; i++)
			shape_pack(w, f->shape, *(const char *const *)p + i * f->shape->size, false);
		break;
	case FIELD_ENUM:
		pk_str(w, f->names[number_of(f, obj)]);
		break;
	case FIELD_BOOL:
		pk_bool(w, number_of(f, obj) != 0);
		break;
	default:
		pk_i64(w, number_of(f, obj));
	}
}

void field_pack(struct wr *w, const struct field *f, const void *obj)
{
	if (is_default(f, obj))
		pk_nil(w);
	else
		pack_value(w, f, obj);
}

void shape_pack(struct wr *w, const struct shape *sh, const void *obj, bool content_only)
{
	pk_map(w, (uint32_t)count_set_fields(sh, obj, content_only));
	for (size_t i = 0; i < sh->n_fields; i++) {
		const struct field *f = &sh->fields[i];

		if ((content_only && !f->content) || is_default(f, obj))
			continue;
		pk_str(w, f->key);
		pack_value(w, f, obj);
	}
}

static int check_texts(const struct field *f, const void *obj, struct err *err)
{
	const char *const *texts = *(const char *const *const *)member(obj, f->offset);

	for (size_t i = 0; i < count_of(f, obj); i++)
		if (!texts[i] || strlen(texts[i]) > SPEC_TEXT_MAX)
			return err_set(err, ERR_USAGE, "%s[%zu]: longer than %d bytes", f->key, i, SPEC_TEXT_MAX);
	return 0;
}

static int check_kvs(const struct field *f, const void *obj, struct err *err)
{
	const struct kv *kv = *(const struct kv *const *)member(obj, f->offset);

	for (size_t i = 0; i < count_of(f, obj); i++)
		if (!kv[i].key || strlen(kv[i].key) > SPEC_TEXT_MAX ||
		        (kv[i].value && strlen(kv[i].value) > SPEC_TEXT_MAX))
			return err_set(err, ERR_USAGE, "%s: entry %zu is longer than %d bytes", f->key, i,
			        SPEC_TEXT_MAX);
	return 0;
}

static int check_structs(const struct field *f, const void *obj, struct err *err)
{
	const char *list = *(const char *const *)member(obj, f->offset);

	if (f->shape == &service_shape) /* spec_check() names them */
		return 0;
	for (size_t i = 0; i < count_of(f, obj); i++)
		if (shape_check(f->shape, list + i * f->shape->size, err) < 0)
			return err_wrap(err, "%s[%zu]", f->key, i);
	return 0;
}

static int check_field(const struct field *f, const void *obj, struct err *err)
{
	const char *text;

	switch (f->kind) {
	case FIELD_TEXT:
		text = text_of(f, obj);
		if (text && !*text)
			return err_set(err, ERR_USAGE, "%s: must not be empty: leave the key out", f->key);
		if (text && strlen(text) > (size_t)f->max)
			return err_set(err, ERR_USAGE, "%s: longer than %lld bytes", f->key, (long long)f->max);
		return 0;
	case FIELD_BYTES:
	case FIELD_TEXTS:
	case FIELD_KVS:
	case FIELD_STRUCTS:
		if (count_of(f, obj) > (size_t)f->max)
			return err_set(err, ERR_USAGE, "%s: %zu entries, at most %lld are allowed", f->key,
			        count_of(f, obj), (long long)f->max);
		if (f->kind == FIELD_TEXTS)
			return check_texts(f, obj, err);
		if (f->kind == FIELD_KVS)
			return check_kvs(f, obj, err);
		return f->kind == FIELD_STRUCTS ? check_structs(f, obj, err) : 0;
	case FIELD_STRUCT:
		if (shape_check(f->shape, member(obj, f->offset), err) < 0)
			return err_wrap(err, "%s", f->key);
		return 0;
	case FIELD_ENUM:
	case FIELD_BOOL:
		return 0;
	default:
		if (number_of(f, obj) < f->min || number_of(f, obj) > f->max)
			return err_set(err, ERR_USAGE, "%s: %lld is out of range, %lld to %lld is allowed",
			        f->key, (long long)number_of(f, obj), (long long)f->min, (long long)f->max);
		return 0;
	}
}

int shape_check(const struct shape *sh, const void *obj, struct err *err)
{
	for (size_t i = 0; i < sh->n_fields; i++)
		if (check_field(&sh->fields[i], obj, err) < 0)
			return -1;
	return 0;
}

/* ---- reading ---- */

static const char *read_text(struct rd *r, struct arena *arena, size_t max)
{
	size_t len = 0;
	const char *s = up_str(r, &len);

	if (s && len > max) {
		rd_fail(r, "text too long");
		return NULL;
	}
	return s ? arena_strndup(arena, s, len) : NULL;
}

/* Room for n elements that the input announces; 0 after a failure. */
static size_t read_count(struct rd *r, const struct field *f, void *obj, uint32_t n)
{
	if (rd_ok(r) && n > f->max)
		rd_fail(r, "list too long");
	if (!rd_ok(r))
		n = 0;
	*(size_t *)member_rw(obj, f->count_offset) = n;
	return n;
}

static void read_bytes(struct rd *r, const struct field *f, void *obj, struct arena *arena)
{
	size_t len = 0;
	const uint8_t *bytes = up_bin(r, &len);

	if (bytes && len > (size_t)f->max)
		rd_fail(r, "bytes too long");
	if (!bytes || !rd_ok(r))
		return;
	*(const uint8_t **)member_rw(obj, f->offset) = arena_memdup(arena, bytes, len);
	*(size_t *)member_rw(obj, f->count_offset) = len;
}

static void read_enum(struct rd *r, const struct field *f, void *obj)
{
	size_t len = 0;
	const char *s = up_str(r, &len);

	for (int i = 0; s && f->names[i]; i++)
		if (up_is(s, len, f->names[i])) {
			number_set(f, obj, i);
			return;
		}
	rd_fail(r, "unknown name of a choice");
}

static void read_value(struct rd *r, const struct field *f, void *obj, struct arena *arena, bool lenient)
{
	void *p = member_rw(obj, f->offset);
	const char **texts;
	struct kv *kvs;
	char *structs;
	int64_t v;
	size_t n;

	switch (f->kind) {
	case FIELD_TEXT:
		*(const char **)p = read_text(r, arena, (size_t)f->max);
		break;
	case FIELD_BYTES:
		read_bytes(r, f, obj, arena);
		break;
	case FIELD_TEXTS:
		n = read_count(r, f, obj, up_array(r));
		*(const char ***)p = texts = arena_array(arena, n, sizeof(*texts));
		for (size_t i = 0; i < n && rd_ok(r); i++)
			texts[i] = read_text(r, arena, SPEC_TEXT_MAX);
		break;
	case FIELD_KVS:
		n = read_count(r, f, obj, up_map(r));
		*(struct kv **)p = kvs = arena_array(arena, n, sizeof(*kvs));
		for (size_t i = 0; i < n && rd_ok(r); i++) {
			kvs[i].key = read_text(r, arena, SPEC_TEXT_MAX);
			kvs[i].value = read_text(r, arena, SPEC_TEXT_MAX);
		}
		break;
	case FIELD_STRUCT:
		shape_unpack(r, f->shape, p, arena, lenient);
		break;
	case FIELD_STRUCTS:
		n = read_count(r, f, obj, up_array(r));
		*(char **)p = structs = arena_array(arena, n, f->shape->size);
		for (size_t i = 0; i < n && rd_ok(r); i++)
			shape_unpack(r, f->shape, structs + i * f->shape->size, arena, lenient);
		break;
	case FIELD_ENUM:
		read_enum(r, f, obj);
		break;
	case FIELD_BOOL:
		number_set(f, obj, up_bool(r));
		break;
	default:
		v = up_i64(r);
		if (rd_ok(r) && (v < f->min || v > f->max))
			rd_fail(r, "number out of range");
		else
			number_set(f, obj, v);
	}
}

/* The row of a key, at or after row *at, which only moves forward since keys ascend. */
static const struct field *row_of(const struct shape *sh, size_t *at, const char *key, size_t len)
{
	for (size_t i = *at; i < sh->n_fields; i++)
		if (up_is(key, len, sh->fields[i].key)) {
			*at = i + 1;
			return &sh->fields[i];
		}
	return NULL;
}

static bool ascends(const char *prev, size_t prev_len, const char *key, size_t len)
{
	int c = memcmp(prev, key, MIN(prev_len, len));

	return c < 0 || (c == 0 && prev_len < len);
}

void shape_unpack(struct rd *r, const struct shape *sh, void *obj, struct arena *arena, bool lenient)
{
	uint32_t n = up_map(r);
	const char *prev = "";
	size_t prev_len = 0;
	size_t at = 0;

	shape_defaults(sh, obj);
	for (uint32_t i = 0; i < n && rd_ok(r); i++) {
		size_t len = 0;
		const char *key = up_str(r, &len);
		const struct field *f;

		if (!key)
			break;
		if (!ascends(prev, prev_len, key, len)) {
			rd_fail(r, "keys out of order");
			break;
		}
		f = row_of(sh, &at, key, len);
		if (f)
			read_value(r, f, obj, arena, lenient);
		else if (lenient)
			up_skip(r);
		else
			rd_fail(r, "unknown key");
		prev = key;
		prev_len = len;
	}
}
