/* configs of the top level and of a service: one file each, which travels with the stack. */
#include "base/text.h"
#include "cli/compose/mounts.h"
#include "cli/near.h"

struct config_draft {
	const char *file, *content, *variable;
	size_t n_sources;
};

static void take_file(struct build *b, const char *path, const struct node *n, void *target)
{
	struct config_draft *d = target;

	d->n_sources += want_text(b, path, n, &d->file);
}

static void take_content(struct build *b, const char *path, const struct node *n, void *target)
{
	struct config_draft *d = target;

	if (n->kind != NODE_SCALAR || n->broken) {
		wrong_kind(b, path, n, "text");
		return;
	}
	d->content = n->text;
	d->n_sources++;
}

static void take_variable(struct build *b, const char *path, const struct node *n, void *target)
{
	struct config_draft *d = target;

	d->n_sources += want_text(b, path, n, &d->variable);
}

static void take_external(struct build *b, const char *path, const struct node *n, void *target)
{
	bool external;

	(void)target;
	if (want_bool(b, path, n, &external) && external)
		refuse(b, path, n,
		        "configs that are kept apart from stacks do not exist yet; give its `file` or `content` here");
}

static const struct key_rule config_rules[] = {
        {"content", take_content, "the text itself, with variables filled in"},
        {"environment", take_variable, "the value of that variable of the CLI's environment"},
        {"external", take_external, "false; true is refused: configs apart from stacks do not exist yet"},
        {"file", take_file, "a file beside the Compose file unless absolute, read by the CLI"},
        {"labels", NULL, "nobody would see them; label the service"},
        {"name", NULL, "a config is known by its key within the stack; remove it"},
        {"template_driver", NULL, "what is in a config is not expanded; remove it"},
};
const struct key_level level_config = {"configs.*", config_rules, ARRAY_LEN(config_rules), true};

static void one_file(struct build *b, struct spec_files *out, const char *text, size_t len)
{
	*out = (struct spec_files){.n_files = 1, .files = arena_array(b->arena, 1, sizeof(*out->files))};
	out->files[0].data = (const uint8_t *)text;
	out->files[0].n_data = len;
}

static void read_config(
        struct build *b, const char *path, const struct node *n, const char *file, struct spec_files *out)
{
	struct err err = {0};
	const char *text;
	size_t len;
	int ret;

	if (*file != '/' && strcmp(b->folder, ".") != 0)
		file = arena_printf(b->arena, "%s/%s", b->folder, file);
	ret = b->io->read(b->io->ctx, file, BODY_BYTES_MAX, b->arena, &text, &len, &err);
	if (ret > 0)
		refuse(b, path, n, "no file %s", file);
	else if (ret < 0)
		refuse(b, path, n, "%s", err.text);
	else
		one_file(b, out, text, len);
}

/* The content of a config of the top level; no files after an error. */
static void find_config(struct build *b, const struct pair *p, struct spec_files *out)
{
	const char *path = path_key(b, "configs", p->key);
	struct config_draft d = {0};
	size_t errors = b->diags->errors;
	const char *value;

	take_map(b, path, p->value, &level_config, &d);
	if (b->diags->errors != errors || b->skipped)
		return;
	if (d.n_sources != 1) {
		refuse(b, path, p->value, "needs one of `file`, `content` and `environment`");
	} else if (d.file) {
		read_config(b, path, p->value, d.file, out);
	} else if (d.content) {
		one_file(b, out, d.content, strlen(d.content));
	} else {
		value = b->vars.get(b->vars.ctx, d.variable);
		if (value)
			one_file(b, out, value, strlen(value));
		else
			refuse(b, path, p->value, "variable %s is not set", d.variable);
	}
}

void check_configs(struct build *b, const struct node *configs)
{
	if (configs->kind != NODE_MAP) {
		wrong_kind(b, "configs", configs, "a map");
		return;
	}
	b->configs = configs;
	b->config_files = arena_array(b->arena, configs->n, sizeof(*b->config_files));
	for (size_t i = 0; i < configs->n; i++)
		if (strncmp(configs->pairs[i].key, "x-", 2) != 0)
			find_config(b, &configs->pairs[i], &b->config_files[i]);
}

/* --- a service's --- */

struct use_draft {
	struct spec_mount *m;
	const char *source;
};

static void take_source(struct build *b, const char *path, const struct node *n, void *target)
{
	want_text(b, path, n, &((struct use_draft *)target)->source);
}

static void take_target(struct build *b, const char *path, const struct node *n, void *target)
{
	const char *text;

	if (want_text(b, path, n, &text))
		((struct use_draft *)target)->m->target =
		        mount_path(b, *text == '/' ? text : arena_printf(b->arena, "/%s", text));
}

static void take_id(struct build *b, const char *path, const struct node *n, uint32_t *out)
{
	uint64_t v;

	if (want_u64(b, path, n, 0, UINT32_MAX - 1, &v))
		*out = (uint32_t)v;
}

static void take_uid(struct build *b, const char *path, const struct node *n, void *target)
{
	take_id(b, path, n, &((struct use_draft *)target)->m->uid);
}

static void take_gid(struct build *b, const char *path, const struct node *n, void *target)
{
	take_id(b, path, n, &((struct use_draft *)target)->m->gid);
}

static void take_mode(struct build *b, const char *path, const struct node *n, void *target)
{
	const char *text;

	if (want_text(b, path, n, &text) && !mount_mode(text, &((struct use_draft *)target)->m->mode))
		refuse(b, path, n, "\"%s\" is not permissions in octal, as in 0440", text);
}

static const struct key_rule use_rules[] = {
        {"gid", take_gid, "a number; 0 unless set"},
        {"mode", take_mode, "permissions in octal, at most 777; 0444 unless set"},
        {"source", take_source, "a config of the top level; needed"},
        {"target", take_target, "its path for the task, below / unless absolute; /SOURCE unless set"},
        {"uid", take_uid, "a number; 0 unless set"},
};
const struct key_level level_config_use = {"services.*.configs[]", use_rules, ARRAY_LEN(use_rules), true};

static void use(struct build *b, const char *path, const struct node *n, struct service *s, struct spec_mount *m,
        const char *name)
{
	const char *names[64];
	size_t count = b->configs ? MIN(b->configs->n, ARRAY_LEN(names)) : 0;
	const char *near;

	for (size_t i = 0; b->configs && i < b->configs->n; i++)
		if (!strcmp(b->configs->pairs[i].key, name)) {
			struct spec_files files = b->config_files[i];

			if (files.n_files) /* else it was refused where it stands */
				mount_files(b, s, m, &files);
			return;
		}
	for (size_t i = 0; i < count; i++)
		names[i] = b->configs->pairs[i].key;
	near = near_word(name, names, count);
	refuse(b, path, n, "config \"%s\" is not declared; %s%s%s", name,
	        near ? "did you mean `" : "add it under `configs` at the top level", near ? near : "",
	        near ? "`?" : "");
}

void take_configs(struct build *b, const char *path, const struct node *n, void *target)
{
	struct service *s = ((struct draft *)target)->s;

	if (n->kind != NODE_LIST) {
		wrong_kind(b, path, n, "a list");
		return;
	}
	for (size_t i = 0; i < n->n; i++) {
		const struct node *item = n->items[i];
		const char *at = path_index(b, path, i);
		struct use_draft d = {.m = mount_add(b, at, item, s)};

		if (!d.m)
			return;
		d.m->kind = MOUNT_SHIPPED;
		d.m->read_only = true;
		if (item->kind == NODE_MAP)
			take_map(b, at, item, &level_config_use, &d);
		else
			want_text(b, at, item, &d.source);
		if (!d.source) {
			if (item->kind == NODE_MAP && !node_get(item, "source"))
				refuse(b, at, item, "has no `source`");
			continue;
		}
		if (!d.m->target)
			d.m->target = arena_printf(b->arena, "/%s", d.source);
		use(b, at, item, s, d.m, d.source);
		mount_check_target(b, at, item, s);
	}
}
