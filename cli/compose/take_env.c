/* command, entrypoint, environment, env_file, labels, label_file. */
#include "base/text.h"
#include "cli/compose/build.h"
#include "cli/compose/words.h"
#include "placement/spec/template.h"

static void take_words(struct build *b, const char *path, const struct node *n, const char ***out, size_t *count)
{
	struct err err = {0};
	const char *text;
	int words;

	if (n->kind == NODE_LIST) {
		want_texts(b, path, n, SPEC_ARGS_MAX, out, count);
		return;
	}
	if (n->kind == NODE_MAP) {
		wrong_kind(b, path, n, "text or a list");
		return;
	}
	if (!want_text(b, path, n, &text))
		return;
	*out = arena_array(b->arena, SPEC_ARGS_MAX, sizeof(**out));
	words = words_split(b->arena, text, *out, SPEC_ARGS_MAX, &err);
	if (words < 0)
		refuse(b, path, n, "%s", err.text);
	else if (words == 0)
		refuse(b, path, n, "is empty; name a program or remove the key");
	else
		*count = (size_t)words;
}

void take_command(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = ((struct draft *)target)->s;

	take_words(b, path, n, &s->command, &s->n_command);
}

void take_entrypoint(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = ((struct draft *)target)->s;

	take_words(b, path, n, &s->entrypoint, &s->n_entrypoint);
}

/* is_env: a name that the agent keeps for itself, and a template that no task knows, are refused where they stand: n is the
 * value's node. */
static void take_kv(struct build *b, const char *path, struct mark at, struct kvs *out, bool is_env,
        const char *key, const char *value, const struct node *n)
{
	if (is_env && spec_env_reserved(key))
		diag_error(b->diags, at, path, "%s: " SPEC_ENV_RESERVED_TEXT, key);
	else if (!is_env || !value || want_templates(b, path, n, value))
		kvs_set(b, out, key, value);
}

/* "KEY=VALUE" or "KEY". */
static void take_kv_item(struct build *b, const char *path, const struct node *n, struct kvs *out, bool is_env)
{
	const char *text;
	const char *eq;

	if (!want_text(b, path, n, &text))
		return;
	eq = strchr(text, '=');
	if (!*text || eq == text)
		refuse(b, path, n, "has no name before the =");
	else if (eq)
		take_kv(b, path, n->mark, out, is_env, arena_strndup(b->arena, text, (size_t)(eq - text)), eq + 1,
		        n);
	else
		take_kv(b, path, n->mark, out, is_env, text, is_env ? NULL : "", n);
}

void take_kvs(struct build *b, const char *path, const struct node *n, struct kvs *out, bool is_env)
{
	if (n->kind == NODE_SCALAR) {
		wrong_kind(b, path, n, "a map or a list");
		return;
	}
	for (size_t i = 0; i < n->n; i++) {
		struct mark at;
		const char *text;

		if (n->kind == NODE_LIST) {
			take_kv_item(b, path_index(b, path, i), n->items[i], out, is_env);
			continue;
		}
		at = n->pairs[i].mark;
		if (!*n->pairs[i].key)
			diag_error(b->diags, at, path, "an entry has no name");
		else if (node_is_null(n->pairs[i].value))
			take_kv(b, path, at, out, is_env, n->pairs[i].key, is_env ? NULL : "", n->pairs[i].value);
		else if (want_text(b, path_key(b, path, n->pairs[i].key), n->pairs[i].value, &text))
			take_kv(b, path, at, out, is_env, n->pairs[i].key, text, n->pairs[i].value);
	}
}

void take_environment(struct build *b, const char *path, const struct node *n, void *target)
{
	take_kvs(b, path, n, &((struct draft *)target)->env, true);
}

void take_labels(struct build *b, const char *path, const struct node *n, void *target)
{
	take_kvs(b, path, n, &((struct draft *)target)->labels, false);
}

struct file_entry {
	const char *path;
	bool required;
	size_t format; /* enum envfile_format */
};

/* A path of the Compose file's, relative to its folder. */
static const char *beside(struct build *b, const char *path)
{
	if (*path == '/' || strcmp(b->folder, ".") == 0)
		return path;
	return arena_printf(b->arena, "%s/%s", b->folder, path);
}

static void read_file(struct build *b, const char *at, const struct node *n, const struct file_entry *f,
        struct kvs *out, bool is_env)
{
	struct source *src = arena_alloc(b->arena, sizeof(*src));
	struct err err = {0};
	struct envfile file;
	int ret;

	src->name = beside(b, f->path);
	ret = b->io->read(b->io->ctx, src->name, ENVFILE_BYTES_MAX, b->arena, &src->text, &src->len, &err);
	if (ret > 0 && !f->required)
		return;
	if (ret > 0) {
		refuse(b, at, n, "no file %s; create it, or say `required: false` in the long form", src->name);
		return;
	}
	if (ret < 0) {
		refuse(b, at, n, "%s", err.text);
		return;
	}
	envfile_parse(&file, src, (enum envfile_format)f->format, &b->vars, b->arena, b->diags);
	for (size_t i = 0; i < file.n; i++)
		if (is_env && spec_env_reserved(file.vars[i].key))
			refuse(b, at, n, "%s sets %s: " SPEC_ENV_RESERVED_TEXT, src->name, file.vars[i].key);
		else if (is_env && file.vars[i].value && template_check(file.vars[i].value, &err) < 0)
			refuse(b, at, n, "%s sets %s: %s", src->name, file.vars[i].key, err.text);
		else
			kvs_set(b, out, file.vars[i].key, file.vars[i].value);
}

static void take_file_path(struct build *b, const char *path, const struct node *n, void *target)
{
	want_text(b, path, n, &((struct file_entry *)target)->path);
}

static void take_file_required(struct build *b, const char *path, const struct node *n, void *target)
{
	want_bool(b, path, n, &((struct file_entry *)target)->required);
}

static void take_file_format(struct build *b, const char *path, const struct node *n, void *target)
{
	static const char *const formats[] = {"compose", "raw"}; /* as enum envfile_format */

	want_word(b, path, n, formats, ARRAY_LEN(formats), &((struct file_entry *)target)->format);
}

static const struct key_rule env_file_rules[] = {
        {"format", take_file_format, "`raw`: values as they stand, no quotes and no variables"},
        {"path", take_file_path, "beside the Compose file unless absolute"},
        {"required", take_file_required, "false: a missing file is no error"},
};
const struct key_level level_env_file = {
        "services.*.env_file[]", env_file_rules, ARRAY_LEN(env_file_rules), false};

/* Files of one service. */
#define FILES_MAX 16

/* is_env: env_file, which has a long form as well. */
static void take_files(struct build *b, const char *path, const struct node *n, struct kvs *out, bool is_env)
{
	size_t count = n->kind == NODE_LIST ? n->n : 1;

	if (count > FILES_MAX) {
		refuse(b, path, n, "more than %d files", FILES_MAX);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		const struct node *item = n->kind == NODE_LIST ? n->items[i] : n;
		const char *at = n->kind == NODE_LIST ? path_index(b, path, i) : path;
		struct file_entry f = {NULL, true, ENVFILE_COMPOSE};

		if (item->kind == NODE_MAP && is_env && n->kind == NODE_LIST) {
			take_map(b, at, item, &level_env_file, &f);
			if (!node_get(item, "path"))
				refuse(b, at, item, "has no `path`");
		} else {
			want_text(b, at, item, &f.path);
		}
		if (f.path)
			read_file(b, at, item, &f, out, is_env);
	}
}

void take_env_file(struct build *b, const char *path, const struct node *n, void *target)
{
	take_files(b, path, n, &((struct draft *)target)->file_env, true);
}

void take_label_file(struct build *b, const char *path, const struct node *n, void *target)
{
	take_files(b, path, n, &((struct draft *)target)->file_labels, false);
}

/* The files' entries, overridden by the service's own. */
static struct kvs merge(struct build *b, const struct kvs *file, const struct kvs *own)
{
	struct kvs all = {0};

	for (size_t i = 0; i < file->n; i++)
		kvs_set(b, &all, file->list[i].key, file->list[i].value);
	for (size_t i = 0; i < own->n; i++)
		kvs_set(b, &all, own->list[i].key, own->list[i].value);
	return all;
}

static bool fits(
        struct build *b, const char *path, const struct node *n, const char *key, size_t count, size_t max)
{
	if (count <= max)
		return true;
	refuse(b, path_key(b, path, key), n, "more than %zu entries", max);
	return false;
}

void finish_env(struct build *b, const char *path, struct draft *d)
{
	struct kvs env = merge(b, &d->file_env, &d->env);
	struct kvs labels = merge(b, &d->file_labels, &d->labels);
	size_t n = 0;

	for (size_t i = 0; i < env.n; i++) {
		struct kv kv = env.list[i];

		if (!kv.value)
			kv.value = b->vars.get(b->vars.ctx, kv.key);
		if (kv.value)
			env.list[n++] = kv;
	}
	for (size_t i = 0; i < labels.n; i++)
		if (!labels.list[i].value)
			labels.list[i].value = "";
	if (!fits(b, path, d->node, "environment", n, SPEC_ENV_MAX) ||
	        !fits(b, path, d->node, "labels", labels.n, SPEC_LABEL_MAX))
		return;
	d->s->env = env.list;
	d->s->n_env = n;
	d->s->labels = labels.list;
	d->s->n_labels = labels.n;
}
