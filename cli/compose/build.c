/* The walker over a level's table, and the typed values of scalars. */
#include "cli/compose/build.h"

#include "base/text.h"
#include "cli/near.h"
#include "placement/spec/template.h"

const char *path_key(struct build *b, const char *path, const char *key)
{
	return *path ? arena_printf(b->arena, "%s.%s", path, key) : key;
}

const char *path_index(struct build *b, const char *path, size_t i)
{
	return arena_printf(b->arena, "%s[%zu]", path, i);
}

static const struct key_rule *find(const struct key_level *level, const char *key)
{
	for (size_t i = 0; i < level->n; i++)
		if (strcmp(level->rules[i].key, key) == 0)
			return &level->rules[i];
	return NULL;
}

static const char *near_key(const struct key_level *level, const char *key)
{
	const char *keys[128];
	size_t n = MIN(level->n, ARRAY_LEN(keys));

	for (size_t i = 0; i < n; i++)
		keys[i] = level->rules[i].key;
	return near_word(key, keys, n);
}

static void unknown_key(struct build *b, const char *path, const struct pair *p, const struct key_level *level)
{
	const char *near = near_key(level, p->key);

	if (level->extensions && strncmp(p->key, "x-", 2) == 0) {
		if (near)
			diag_warn(b->diags, p->mark, path, "has no meaning; did you mean `%s`?", near);
		return;
	}
	if (near)
		diag_error(b->diags, p->mark, path, "unknown key; did you mean `%s`?", near);
	else
		diag_error(b->diags, p->mark, path, "unknown key");
}

void take_map(
        struct build *b, const char *path, const struct node *map, const struct key_level *level, void *target)
{
	if (map->kind != NODE_MAP) {
		wrong_kind(b, path, map, "a map");
		return;
	}
	for (size_t i = 0; i < map->n; i++) {
		const struct pair *p = &map->pairs[i];
		const struct key_rule *rule = find(level, p->key);
		const char *at = path_key(b, path, p->key);

		if (!rule)
			unknown_key(b, at, p, level);
		else if (!rule->take)
			diag_error(b->diags, p->mark, at, "%s", rule->text);
		else if (node_is_null(p->value))
			diag_error(b->diags, p->mark, at, "has no value; give one or remove the key");
		else
			rule->take(b, at, p->value, target);
	}
}

void wrong_kind(struct build *b, const char *path, const struct node *n, const char *what)
{
	refuse(b, path, n, "must be %s, not %s", what, node_kind_text(n));
}

static bool scalar(struct build *b, const char *path, const struct node *n, const char *what)
{
	if (n->kind == NODE_SCALAR && n->broken) {
		b->skipped = true;
		return false;
	}
	if (n->kind == NODE_SCALAR && !node_is_null(n))
		return true;
	wrong_kind(b, path, n, what);
	return false;
}

bool want_text(struct build *b, const char *path, const struct node *n, const char **out)
{
	if (!scalar(b, path, n, "text"))
		return false;
	if (strlen(n->text) > SPEC_TEXT_MAX) {
		refuse(b, path, n, "longer than %d bytes", SPEC_TEXT_MAX);
		return false;
	}
	*out = n->text;
	return true;
}

bool want_u64(struct build *b, const char *path, const struct node *n, uint64_t min, uint64_t max, uint64_t *out)
{
	if (!scalar(b, path, n, "a number"))
		return false;
	if (text_u64(n->text, min, max, out))
		return true;
	refuse(b, path, n, "\"%s\" is not a whole number from %llu to %llu", n->text, (unsigned long long)min,
	        (unsigned long long)max);
	return false;
}

bool want_i64(struct build *b, const char *path, const struct node *n, int64_t min, int64_t max, int64_t *out)
{
	bool minus;
	uint64_t v;

	if (!scalar(b, path, n, "a number"))
		return false;
	minus = *n->text == '-';
	if (text_u64(n->text + minus, 0, INT64_MAX, &v)) {
		*out = minus ? -(int64_t)v : (int64_t)v;
		if (*out >= min && *out <= max)
			return true;
	}
	refuse(b, path, n, "\"%s\" is not a whole number from %lld to %lld", n->text, (long long)min,
	        (long long)max);
	return false;
}

bool want_bool(struct build *b, const char *path, const struct node *n, bool *out)
{
	static const char *const yes[] = {"true", "True", "TRUE"};
	static const char *const no[] = {"false", "False", "FALSE"};

	if (!scalar(b, path, n, "true or false"))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (strcmp(n->text, yes[i]) == 0 || strcmp(n->text, no[i]) == 0) {
			*out = strcmp(n->text, yes[i]) == 0;
			return true;
		}
	}
	refuse(b, path, n, "\"%s\" is neither true nor false", n->text);
	return false;
}

bool want_duration(struct build *b, const char *path, const struct node *n, int64_t *ms)
{
	if (!scalar(b, path, n, "a duration"))
		return false;
	if (text_duration(n->text, ms))
		return true;
	refuse(b, path, n, "\"%s\" is not a duration; write it as 500ms, 10s or 1m30s", n->text);
	return false;
}

bool want_size(struct build *b, const char *path, const struct node *n, uint64_t *bytes)
{
	if (!scalar(b, path, n, "a size"))
		return false;
	if (text_size(n->text, bytes) && *bytes > 0)
		return true;
	refuse(b, path, n, "\"%s\" is not a size; write it as 64m or 2gb", n->text);
	return false;
}

bool want_milli(struct build *b, const char *path, const struct node *n, uint64_t *milli)
{
	if (!scalar(b, path, n, "a number of cores"))
		return false;
	if (text_milli(n->text, milli) && *milli > 0)
		return true;
	refuse(b, path, n, "\"%s\" is not a number of cores; write it as 0.5 or 2, with at most three decimals",
	        n->text);
	return false;
}

bool want_texts(
        struct build *b, const char *path, const struct node *n, size_t max, const char ***out, size_t *count)
{
	if (n->kind != NODE_LIST) {
		wrong_kind(b, path, n, "a list");
		return false;
	}
	if (n->n > max) {
		refuse(b, path, n, "more than %zu entries", max);
		return false;
	}
	*out = arena_array(b->arena, n->n + 1, sizeof(**out));
	for (size_t i = 0; i < n->n; i++)
		if (!want_text(b, path_index(b, path, i), n->items[i], &(*out)[i]))
			return false;
	*count = n->n;
	return true;
}

bool want_templates(struct build *b, const char *path, const struct node *n, const char *text)
{
	struct err err = {0};
	size_t len = 0;
	const char *at = template_fault(text, &len);

	if (!at)
		return true;
	template_check(text, &err);
	diag_error(b->diags, mark_find(n->mark, at, len), path, "%s", err.text);
	return false;
}

bool want_text_or_texts(
        struct build *b, const char *path, const struct node *n, size_t max, const char ***out, size_t *count)
{
	if (n->kind != NODE_SCALAR)
		return want_texts(b, path, n, max, out, count);
	*out = arena_array(b->arena, 2, sizeof(**out));
	*count = want_text(b, path, n, *out);
	return *count == 1;
}

bool want_word(struct build *b, const char *path, const struct node *n, const char *const *words, size_t n_words,
        size_t *out)
{
	const char *near;
	char list[256] = "";

	if (!scalar(b, path, n, "a word"))
		return false;
	for (size_t i = 0; i < n_words; i++) {
		size_t len = strlen(list);

		if (strcmp(n->text, words[i]) == 0) {
			*out = i;
			return true;
		}
		snprintf(list + len, sizeof(list) - len, "%s%s", i ? ", " : "", words[i]);
	}
	near = near_word(n->text, words, n_words);
	if (near)
		refuse(b, path, n, "\"%s\" is none of %s; did you mean `%s`?", n->text, list, near);
	else
		refuse(b, path, n, "\"%s\" is none of %s", n->text, list);
	return false;
}

void kvs_set(struct build *b, struct kvs *kvs, const char *key, const char *value)
{
	for (size_t i = 0; i < kvs->n; i++) {
		if (strcmp(kvs->list[i].key, key) == 0) {
			kvs->list[i].value = value;
			return;
		}
	}
	if (kvs->n == kvs->cap) {
		size_t cap = kvs->cap ? kvs->cap * 2 : 8;
		struct kv *bigger = arena_array(b->arena, cap, sizeof(*bigger));

		if (kvs->n)
			memcpy(bigger, kvs->list, kvs->n * sizeof(*bigger));
		kvs->list = bigger;
		kvs->cap = cap;
	}
	kvs->list[kvs->n++] = (struct kv){key, value};
}
