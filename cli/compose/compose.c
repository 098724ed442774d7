/* The front door: file -> tree -> spec; the top level; the stack's name; and laws of the whole, by line. */
#include "cli/compose/compose.h"

#include "base/text.h"
#include "cli/compose/build.h"

struct top {
	const char *name;
	struct mark name_at;
	const struct node *services;
};

static void take_version(struct build *b, const char *path, const struct node *n, void *target)
{
	(void)target;
	diag_warn(b->diags, n->mark, path, "is obsolete and has no effect; remove it");
}

static void take_name(struct build *b, const char *path, const struct node *n, void *target)
{
	struct top *top = target;

	if (want_text(b, path, n, &top->name))
		top->name_at = n->mark;
}

static void take_services(struct build *b, const char *path, const struct node *n, void *target)
{
	(void)b;
	(void)path;
	((struct top *)target)->services = n;
}

static void take_volumes(struct build *b, const char *path, const struct node *n, void *target)
{
	(void)path;
	(void)target;
	check_volumes(b, n);
}

static void take_top_configs(struct build *b, const char *path, const struct node *n, void *target)
{
	(void)path;
	(void)target;
	check_configs(b, n);
}

static const struct key_rule top_rules[] = {
        {"configs", take_top_configs, "files that travel with the stack; see its own table"},
        {"include", NULL, "other files are not included yet; put all services in this one"},
        {"models", NULL, "models are not provided; remove it"},
        {"name", take_name, "the stack's name, unless --name is given; else the name of the file's folder"},
        {"networks", NULL, "service networks come later; services find each other by name in DNS; remove it"},
        {"secrets", NULL,
                "would stand readable in the signed stack, which every peer has; have the files on the hosts and bind "
                "them, or use `configs` for what is no secret"},
        {"services", take_services, "at least one, at most 256"},
        {"version", take_version, "obsolete in Compose itself: taken with a warning, has no effect"},
        {"volumes", take_volumes,
                "names of the volumes that services mount; each is a folder that a host keeps, and its services run "
                "where it is; see its own table"},
        {"x-starling", NULL, "belongs to a service; there is nothing to set for the whole stack"},
};
const struct key_level level_top = {"", top_rules, ARRAY_LEN(top_rules), true};

static const char *var_get(void *ctx, const char *name)
{
	struct build *b = ctx;
	const char *value = b->io->getenv(b->io->ctx, name);

	return value ? value : envfile_get(&b->dotenv, name);
}

/* Once per variable: a file may use it fifty times. */
static void var_unset(void *ctx, const char *name)
{
	struct build *b = ctx;

	for (size_t i = 0; i < b->unset_n; i++)
		if (strcmp(b->unset[i], name) == 0)
			return;
	if (b->unset_n < ARRAY_LEN(b->unset))
		b->unset[b->unset_n++] = arena_strdup(b->arena, name);
	diag_warn(b->diags, b->at, NULL,
	        "variable %s is not set; it becomes empty text (write ${%s:-DEFAULT} or ${%s:?})", name, name,
	        name);
}

/* Memory of one file with its variables filled in: many uses of one large variable must not fill the host's. */
#define FILLED_BYTES_MAX (64 * 1024 * 1024)

static const char *fill_in(void *ctx, const char *text, struct mark at, const char *path)
{
	struct build *b = ctx;
	struct err err = {0};
	const char *value;

	b->at = at;
	if (b->arena->used > FILLED_BYTES_MAX) {
		diag_error(b->diags, at, path, "the file is too large after variables are filled in");
		return NULL;
	}
	value = interpolate(b->arena, text, &b->vars, &err);
	if (!value)
		diag_error(b->diags, at, path, "%s", err.text);
	return value;
}

static const char *folder_of(struct arena *arena, const char *file)
{
	const char *slash = strrchr(file, '/');

	if (!slash)
		return ".";
	return slash == file ? "/" : arena_strndup(arena, file, (size_t)(slash - file));
}

static void read_dotenv(struct build *b)
{
	struct source *src = arena_alloc(b->arena, sizeof(*src));
	struct err err = {0};
	int ret;

	src->name = strcmp(b->folder, ".") == 0 ? ".env" : arena_printf(b->arena, "%s/.env", b->folder);
	ret = b->io->read(b->io->ctx, src->name, ENVFILE_BYTES_MAX, b->arena, &src->text, &src->len, &err);
	if (ret < 0)
		diag_error(b->diags, (struct mark){src, 0, 0}, NULL, "%s", err.text);
	if (ret == 0)
		envfile_parse(&b->dotenv, src, ENVFILE_COMPOSE, &b->vars, b->arena, b->diags);
}

/* A folder's name as Compose makes a project's name of it: lower case, what no label may hold left out. */
static const char *name_from_folder(struct build *b)
{
	const char *path = b->io->realpath(b->io->ctx, b->folder, b->arena);
	const char *base = path ? strrchr(path, '/') : NULL;
	char *name;
	size_t len = 0;

	if (!base)
		return NULL;
	base++;
	name = arena_alloc(b->arena, strlen(base) + 1);
	for (; *base && len < NAME_MAX_BYTES - 1; base++) {
		char c = *base >= 'A' && *base <= 'Z' ? (char)(*base - 'A' + 'a') : *base;

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && len))
			name[len++] = c;
	}
	while (len && name[len - 1] == '-')
		len--;
	name[len] = '\0';
	return len ? name : NULL;
}

static void name_stack(struct build *b, const struct source *src, const char *given, const struct top *top)
{
	/* A spec of one lawful service tells whether the name itself is lawful. */
	const char *argv[] = {"true"};
	struct service s;
	struct spec probe = {.arena = b->arena, .n_services = 1, .services = &s};
	struct err err = {0};

	b->spec->name = given ? given : top->name ? top->name : name_from_folder(b);
	if (!b->spec->name) {
		diag_error(b->diags, (struct mark){src, 0, 0}, NULL,
		        "no name can be made of the file's folder; say `name:` or --name");
		return;
	}
	service_defaults(&s);
	s.name = "a";
	s.command = argv;
	s.n_command = 1;
	probe.name = b->spec->name;
	if (spec_check(&probe, &err) == 0)
		return;
	if (given)
		diag_error(b->diags, (struct mark){0}, "--name", "%s", err.text);
	else if (top->name)
		diag_error(b->diags, top->name_at, "name", "%s", err.text);
	else
		diag_error(b->diags, (struct mark){src, 0, 0}, NULL,
		        "%s (made of the file's folder; say `name:` or --name)", err.text);
}

/* Follows "ports[1]" or "deploy.placement" down from n, as far as it leads. */
static const struct node *follow(const struct node *n, const char *path)
{
	while (*path) {
		const struct node *next = NULL;
		char key[256];
		size_t len;

		if (*path == '[') {
			size_t i = strtoul(path + 1, NULL, 10);

			if (n->kind == NODE_LIST && i < n->n)
				next = n->items[i];
			path += strcspn(path, "]");
			path += *path == ']';
		} else {
			path += *path == '.';
			len = strcspn(path, ".[");
			text_copy(key, MIN(sizeof(key), len + 1), path);
			next = node_get(n, key);
			path += len;
		}
		if (!next)
			break;
		n = next;
	}
	return n;
}

/* "services.web: ports[1]: why" -> the place in the file. key_at: where the service's name stands. */
static void law_fault(
        struct build *b, const struct node *service, struct mark key_at, const char *path, const char *text)
{
	static const char name_fault[] = "services: ";
	size_t len = strlen(path);
	char rest[512];

	if (strncmp(text, name_fault, strlen(name_fault)) == 0) {
		diag_error(b->diags, key_at, path, "%s", text + strlen(name_fault));
		return;
	}
	if (strncmp(text, path, len) == 0 && strncmp(text + len, ": ", 2) == 0)
		text += len + 2;
	/* What stands before the first ": " is a path if it has no blank. */
	len = strcspn(text, " ");
	if (len > 1 && text[len] && text[len - 1] == ':') {
		text_copy(rest, MIN(sizeof(rest), len), text);
		refuse(b, path_key(b, path, rest), follow(service, rest), "%s", text + len + 1);
	} else {
		refuse(b, path, service, "%s", text);
	}
}

static void check_laws(struct build *b, struct draft *d, struct mark key_at, const char *path)
{
	struct spec one = {.arena = b->arena, .name = "a", .n_services = 1, .services = d->s};
	struct err err = {0};

	spec_sort(&one);
	if (service_check(d->s, &err) < 0)
		law_fault(b, d->node, key_at, path, err.text);
}

static void take_service(struct build *b, const struct pair *p, struct service *s)
{
	const char *path = path_key(b, "services", p->key);
	struct draft d = {.s = s, .node = p->value, .errors_before = b->diags->errors};

	service_defaults(s);
	s->name = p->key;
	if (node_is_null(p->value)) {
		diag_error(b->diags, p->mark, path, "has no keys; a service needs at least `command` or `image`");
		return;
	}
	take_map(b, path, p->value, &level_service, &d);
	if (p->value->kind != NODE_MAP)
		return;
	check_drivers(b, path, &d);
	finish_env(b, path, &d);
	finish_deploy(b, path, &d);
	finish_platform(b, path, &d);
	finish_health(b, path, &d);
	if (b->diags->errors == d.errors_before && !b->skipped)
		check_laws(b, &d, p->mark, path);
}

static void build_services(struct build *b, const struct node *root, const struct top *top)
{
	const struct node *services = top->services;
	size_t n = 0;

	if (!services) {
		refuse(b, NULL, root, "has no `services`");
		return;
	}
	if (services->kind != NODE_MAP) {
		wrong_kind(b, "services", services, "a map");
		return;
	}
	if (services->n > STACK_SERVICES_MAX) {
		refuse(b, "services", services, "more than %d services", STACK_SERVICES_MAX);
		return;
	}
	b->spec->services = arena_array(b->arena, services->n, sizeof(*b->spec->services));
	for (size_t i = 0; i < services->n; i++)
		if (strncmp(services->pairs[i].key, "x-", 2) != 0)
			take_service(b, &services->pairs[i], &b->spec->services[n++]);
	b->spec->n_services = n;
	if (!n)
		refuse(b, "services", services, "holds no service");
	check_dependencies(b, services);
}

/* A law that services keep together: "services.web: depends_on: why". */
static void whole_fault(struct build *b, const struct source *src, const struct top *top, const char *text)
{
	static const char prefix[] = "services.";
	size_t len = strcspn(text, ":");
	const char *path = arena_strndup(b->arena, text, len);
	const struct pair *p = strncmp(path, prefix, strlen(prefix)) == 0
	                               ? node_pair(top->services, path + strlen(prefix))
	                               : NULL;

	if (p)
		law_fault(b, p->value, p->mark, path, text);
	else
		diag_error(b->diags, (struct mark){src, 0, 0}, NULL, "%s", text);
}

/* What only the whole shows: how services need each other, and its size as it is sent. */
static void check_whole(struct build *b, const struct source *src, const struct top *top)
{
	struct err err = {0};
	struct wr w;

	spec_sort(b->spec);
	spec_tie(b->spec);
	if (spec_check(b->spec, &err) < 0) {
		whole_fault(b, src, top, err.text);
		return;
	}
	wr_init(&w, BODY_BYTES_MAX);
	spec_encode(&w, b->spec);
	if (!wr_ok(&w))
		diag_error(b->diags, (struct mark){src, 0, 0}, NULL,
		        "larger than %d bytes when packed, with the files that travel with it; make two stacks "
		        "of it, or put large "
		        "files into an image",
		        BODY_BYTES_MAX);
	wr_free(&w);
}

int compose_parse(const struct source *src, const char *name, const struct compose_io *io, struct arena *arena,
        struct spec *spec, struct diags *diags)
{
	struct build b = {.arena = arena, .diags = diags, .io = io, .spec = spec};
	struct top top = {0};
	struct node *root;

	memset(spec, 0, sizeof(*spec));
	spec->arena = arena;
	b.vars = (struct vars){var_get, var_unset, &b};
	b.folder = folder_of(arena, src->name);
	read_dotenv(&b);
	root = tree_parse(src, arena, diags, fill_in, &b);
	if (!root)
		return -1;
	take_map(&b, "", root, &level_top, &top);
	if (root->kind == NODE_MAP) {
		name_stack(&b, src, name, &top);
		build_services(&b, root, &top);
	}
	if (!diags->errors)
		check_whole(&b, src, &top);
	if (!diags->errors)
		warn_unreachable(&b, top.services);
	return diags->errors ? -1 : 0;
}

int compose_load(const char *file, const char *name, const struct compose_io *io, struct arena *arena,
        struct spec *spec, struct diags *diags)
{
	struct source *src = arena_alloc(arena, sizeof(*src));
	struct err err = {0};
	int ret;

	src->name = strcmp(file, "-") == 0 ? "stdin" : arena_strdup(arena, file);
	ret = io->read(io->ctx, file, COMPOSE_BYTES_MAX, arena, &src->text, &src->len, &err);
	if (ret == 0)
		return compose_parse(src, name, io, arena, spec, diags);
	diag_error(diags, (struct mark){0}, NULL, "%s",
	        ret > 0 ? arena_printf(arena, "no file %s", file) : err.text);
	return -1;
}
